import assert from "assert";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { readStackFile } from "../../operations/stack-file";
import { recordGraphs } from "../../review/record-graphs";
import { allStacks, at, Recorded, recordedStack, resourcesOf } from "../support/program";

const NAMESPACE = "kubernetes:core/v1:Namespace";

/** The objects of a program that have their own name, as a cluster identifies them. */
function objects(recorded: readonly Recorded[]): string[] {
    return recorded
        .filter(({ type }) => type.startsWith("kubernetes:"))
        .flatMap((resource) => {
            const name = at<string | undefined>(resource, "metadata.name");
            const namespace = at<string | undefined>(resource, "metadata.namespace") ?? "";
            // Pulumi gives an object without a name a new one.
            return name === undefined ? [] : [`${resource.type} ${namespace}/${name}`];
        });
}

function nodePorts(recorded: readonly Recorded[]): number[] {
    return recorded.flatMap((resource) =>
        (at<{ nodePort?: number }[] | undefined>(resource, "spec.ports") ?? []).flatMap(
            ({ nodePort }) => nodePort ?? [],
        ),
    );
}

function repositories(recorded: readonly Recorded[]): string[] {
    return recorded
        .filter(({ type }) => type === "docker:index/registryImage:RegistryImage")
        .map(({ inputs }) => String(inputs.name).replace(/:[^:/]*$/, ""));
}

function duplicates<T>(values: readonly T[]): T[] {
    return values.filter((value, index) => values.indexOf(value) !== index);
}

describe("stacks side by side on one cluster", () => {
    const contexts = new Set(allStacks().map((stack) => readStackFile(stack).context));
    for (const context of contexts) {
        const stacks = allStacks().filter((stack) => readStackFile(stack).context === context);
        it(`share nothing in ${context}: ${stacks.join(", ")}`, () => {
            const programs = stacks.map(recordedStack);
            assert.ok(programs.every((recorded) => objects(recorded).length > 20));
            assert.deepStrictEqual(duplicates(programs.flatMap(objects)), []);
            assert.deepStrictEqual(duplicates(programs.flatMap(nodePorts)), []);
            assert.deepStrictEqual(duplicates(programs.flatMap(repositories)), []);
        });
    }

    it("share nothing if one is a copy of the other with its own namespace and nodePort", () => {
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "side-by-side-"));
        try {
            for (const stack of ["dev", "prod"]) {
                const text = fs.readFileSync(`Pulumi.${stack}.yaml`, "utf8");
                const copied = path.join(folder, `Pulumi.${stack}-copy.yaml`);
                fs.writeFileSync(
                    copied,
                    text
                        .replace(`name: dabaweb-${stack}`, `name: dabaweb-${stack}-copy`)
                        .replaceAll(/3200\d/g, "32009"),
                );
                const copy = resourcesOf(recordGraphs([copied])[0]!);
                const both = [recordedStack(stack), copy];
                assert.strictEqual(copy.length, both[0]!.length);
                assert.deepStrictEqual(duplicates(both.flatMap(objects)), []);
                assert.deepStrictEqual(duplicates(both.flatMap(nodePorts)), []);
                assert.deepStrictEqual(duplicates(both.flatMap(repositories)), []);
            }
        } finally {
            fs.rmSync(folder, { recursive: true });
        }
    });

    for (const stack of allStacks()) {
        it(`have nothing outside their namespace but that namespace: ${stack}`, () => {
            const recorded = recordedStack(stack).filter(({ type }) => type.startsWith("kubernetes:"));
            const own = readStackFile(stack).namespace;
            const outside = recorded.filter(
                (resource) => at(resource, "metadata.namespace") !== own && resource.type !== NAMESPACE,
            );
            assert.deepStrictEqual(
                outside.map(({ urn }) => urn),
                [],
            );
        });

        it(`record the owner of the namespace before anything else is in it: ${stack}`, () => {
            const recorded = recordedStack(stack).filter(({ type }) => type.startsWith("kubernetes:"));
            const owner = recorded.find(({ name }) => name === "dabaweb-stack");
            assert.strictEqual(at(owner, "data.stack"), `organization/dabaweb/${stack}`);
            const early = recorded.filter(
                ({ urn, type, dependencies }) =>
                    urn !== owner?.urn && type !== NAMESPACE && !dependencies.includes(owner!.urn),
            );
            assert.deepStrictEqual(
                early.map(({ urn }) => urn),
                [],
            );
        });
    }
});
