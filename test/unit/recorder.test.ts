import assert from "assert";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { Graph, GraphResource } from "../../review/graph";
import { recordGraphs } from "../../review/record-graphs";

/** Uses features that the program does not use, or not yet. */
const PROGRAM = `
import * as pulumi from "@pulumi/pulumi";

class Outer extends pulumi.ComponentResource {
    constructor(name: string, opts: pulumi.ComponentResourceOptions) {
        super("test:index:Outer", name, {}, opts);
    }
}
class Thing extends pulumi.CustomResource {
    constructor(name: string, inputs: pulumi.Inputs, opts: pulumi.CustomResourceOptions) {
        super("test:index:Thing", name, { made: undefined, ...inputs }, opts);
    }
}

export = async () => {
    const outer = new Outer("new", { aliases: [{ name: "old" }] });
    const inner = new Outer("new-inner", { parent: outer });
    const source = new Thing("source", {}, { parent: inner });
    new Thing(
        "thing",
        {
            plain: 1,
            hidden: pulumi.secret({ key: "value", list: ["value"] }),
            unknown: (source as unknown as { made: pulumi.Output<string> }).made,
        },
        {
            deleteBeforeReplace: false,
            dependsOn: [outer],
            ignoreChanges: ["plain"],
            protect: true,
            replaceOnChanges: ["hidden"],
            replacementTrigger: pulumi.secret("value"),
            retainOnDelete: true,
        },
    );
    return { address: "here", password: pulumi.secret("value") };
};
`;

describe("the recorder", () => {
    let graph: Graph;
    before(() => {
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "record-"));
        try {
            fs.writeFileSync(path.join(folder, "index.ts"), PROGRAM);
            fs.writeFileSync(path.join(folder, "Pulumi.some.yaml"), "config: {}\n");
            fs.copyFileSync("tsconfig.json", path.join(folder, "tsconfig.json"));
            fs.symlinkSync(path.resolve("node_modules"), path.join(folder, "node_modules"));
            graph = recordGraphs(["Pulumi.some.yaml"], folder)[0]!;
        } finally {
            fs.rmSync(folder, { recursive: true });
        }
    });

    function urn(name: string): string {
        return Object.keys(graph.resources).find((each) => each.endsWith(`::${name}`))!;
    }
    function recorded(name: string): GraphResource {
        return graph.resources[urn(name)]!;
    }

    it("forms URNs as the engine does: from all parents' types, without the stack's", () => {
        const outer = "test:index:Outer";
        assert.strictEqual(urn("thing"), "urn:pulumi:some::dabaweb::test:index:Thing::thing");
        assert.strictEqual(
            urn("source"),
            `urn:pulumi:some::dabaweb::${outer}$${outer}$test:index:Thing::source`,
        );
        assert.strictEqual(recorded("source").parent, urn("new-inner"));
    });

    it("records every option that is set, and no other", () => {
        assert.deepStrictEqual(recorded("thing").options, {
            deleteBeforeReplace: false,
            ignoreChanges: ["plain"],
            protect: true,
            replaceOnChanges: ["hidden"],
            replacementTrigger: "[secret]",
            retainOnDelete: true,
        });
        assert.deepStrictEqual(recorded("source").options, {});
    });

    it("records the aliases that a child has because of its parent's", () => {
        assert.deepStrictEqual(recorded("new").options.aliases, [
            "urn:pulumi:some::dabaweb::test:index:Outer::old",
        ]);
        assert.deepStrictEqual(recorded("new-inner").options.aliases, [
            "urn:pulumi:some::dabaweb::test:index:Outer$test:index:Outer::old-inner",
        ]);
    });

    it("records what a resource depends on, and through which input", () => {
        assert.deepStrictEqual(recorded("thing").dependencies, [urn("source")]);
        assert.deepStrictEqual(recorded("thing").propertyDependencies, { unknown: [urn("source")] });
    });

    it("shows the keys of secrets, never a value, and says what is not known yet", () => {
        assert.deepStrictEqual(recorded("thing").inputs, {
            plain: 1,
            hidden: { key: "[secret]", list: ["[secret]"] },
            unknown: "[known after the update]",
        });
        assert.deepStrictEqual(recorded("dabaweb-some").outputs, { address: "here", password: "[secret]" });
    });
});
