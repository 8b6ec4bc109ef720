import assert from "assert";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";
import { parseDocument } from "yaml";

import { clusterNodes } from "../../local/cluster/nodes";
import { names } from "../../local/places";
import { forThisMachine } from "../../local/stacks/this-machine";
import { command } from "../support/command";
import { docker } from "../support/docker";
import { isLong } from "../support/long";
import { runPage, TEST_STACK } from "../support/page-session";
import { RECOVERY_SECONDS } from "../support/system";
import { kubectl } from "./side-by-side";

const ROOT = path.resolve(__dirname, "../..");

/** The examples that the pages deploy, with their nodePorts. */
const EXAMPLES = { "key-value": 32002, myweb: 32009 } as const;
type Example = keyof typeof EXAMPLES;

/** A page deploys twice and waits four times for Kubernetes to notice what became of a node. */
const PAGE_MINUTES = 30;

/**
 * The pages that need several nodes and switch them off: test/faults/lend.ts creates a cluster for them and removes it. The
 * pages name the local environment, so their commands are translated.
 */
describe("the how-tos about nodes", function () {
    this.timeout(PAGE_MINUTES * 60_000);

    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "howto-nodes-"));
    /** The stack files as they are before a page. */
    const prepared = new Map<string, string>();
    const registry = process.env.TEST_REGISTRY;
    const ports = (process.env.TEST_NODE_PORTS ?? "").split(",");
    let cluster: string;

    before("create the stacks", async function () {
        if (!isLong && registry === undefined) {
            console.log("      skipped: `make test-long` runs it, see docs/tests.md");
            this.skip();
        }
        assert.ok(
            registry !== undefined && ports.length >= Object.keys(EXAMPLES).length,
            "TEST_REGISTRY or TEST_NODE_PORTS is not set; run this file with test/faults/lend.ts, see docs/tests.md",
        );
        const context = await kubectl(["config", "current-context"]);
        cluster = context.replace(/^kind-/, "");
        for (const example of Object.keys(EXAMPLES) as Example[]) {
            await createStack(example, context, registry);
        }
    });

    beforeEach(() => {
        prepared.forEach((text, file) => fs.writeFileSync(file, text));
    });

    afterEach("bring back what a failed page left switched off", async () => {
        const nodes = await clusterNodes(cluster);
        await docker(["start", ...nodes.map(({ name }) => name)]);
        await kubectl(["wait", "nodes", "--all", "--for=condition=Ready", `--timeout=${RECOVERY_SECONDS}s`]);
        for (const { name } of nodes) {
            // kubectl refuses to remove a taint that the node does not have.
            await command("kubectl", ["taint", "node", name, "node.kubernetes.io/out-of-service-"]);
        }
        await kubectl(["uncordon", `${cluster}-control-plane`]);
    });

    after(() => fs.rmSync(folder, { recursive: true }));

    /** What `make env EXAMPLE=...` does, for this cluster: a copy of the stack file, and a stack that has it. */
    async function createStack(example: Example, context: string, address: string): Promise<void> {
        const source = path.join(ROOT, "examples", example);
        const file = stackFile(example);
        const document = parseDocument(fs.readFileSync(path.join(source, "Pulumi.dev.yaml"), "utf8"));
        document.setIn(["config", `${example}:kubeContext`], context);
        document.setIn(["config", `${example}:registry`], address);
        document.setIn(["config", `${example}:nodePort`], Number(translate(String(EXAMPLES[example]))));
        fs.mkdirSync(path.dirname(file));
        fs.copyFileSync(path.join(source, "Pulumi.yaml"), path.join(path.dirname(file), "Pulumi.yaml"));
        fs.writeFileSync(file, forThisMachine(document.toString(), example));
        const { code, stderr } = await command("pulumi", [
            "-C",
            path.dirname(file),
            "stack",
            "init",
            TEST_STACK,
        ]);
        assert.strictEqual(code, 0, stderr);
        prepared.set(file, fs.readFileSync(file, "utf8"));
    }

    function stackFile(example: string): string {
        return path.join(folder, example, `Pulumi.${TEST_STACK}.yaml`);
    }

    function translate(text: string): string {
        return Object.values(EXAMPLES)
            .reduce((all, port, index) => all.replaceAll(String(port), ports[index]!), text)
            .replace(new RegExp(`\\b${names.cluster}-(control-plane|worker)`, "g"), `${cluster}-$1`)
            .replace(/^eval "\$\(make -s env EXAMPLE=(\S+)\)"$/, (_, example: string) => {
                const select = `pulumi -C examples/${example} stack select ${TEST_STACK}`;
                return `export PULUMI_OPTION_CONFIG_FILE='${stackFile(example)}' && ${select}`;
            });
    }

    for (const page of [
        "docs/howto/choose-nodes.md",
        "docs/howto/lose-a-node.md",
        "docs/howto/keep-data.md",
    ]) {
        it(page, () => runPage(page, translate));
    }
});
