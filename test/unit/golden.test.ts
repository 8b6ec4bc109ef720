import assert from "assert";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { stackFile } from "../../operations/stack-file";
import { Change, compareGraphs } from "../../review/changes";
import { Graph, graphText, readGraph } from "../../review/graph";
import { recordGraphs } from "../../review/record-graphs";
import { report } from "../../review/report";
import { copyProgram } from "../support/copy";
import { graphOf, usersStacks } from "../support/program";

const GOLDEN = path.join(__dirname, "../golden");

describe("the golden graph", () => {
    for (const stack of usersStacks()) {
        it(`of stack ${stack} is what its program registers (make golden)`, () => {
            const file = path.join(GOLDEN, `${stack}.json`);
            assert.ok(fs.existsSync(file), `stack ${stack} has no golden graph; make one: make golden`);
            const text = graphText(graphOf(stack));
            if (fs.readFileSync(file, "utf8") !== text) {
                const difference = report(compareGraphs(readGraph(file), JSON.parse(text) as Graph));
                assert.fail(
                    `the program differs from test/golden/${stack}.json:\n\n${difference}\n` +
                        "If the change is meant to do that, run make golden and commit what it writes.",
                );
            }
        });
    }

    it("is the same in another checkout, whatever the shell exports", () => {
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "golden-"));
        const exported = { PULUMI_K8S_DELETE_UNREACHABLE: "true", DOCKER_CERT_PATH: "/x", KUBECONFIG: "/x" };
        const [here, former] = [graphOf("prod"), { ...process.env }];
        try {
            copyProgram(folder);
            fs.copyFileSync("Pulumi.prod.yaml", path.join(folder, "Pulumi.prod.yaml"));
            Object.assign(process.env, exported);
            assert.deepStrictEqual(recordGraphs(["Pulumi.prod.yaml"], folder), [here]);
        } finally {
            Object.keys(exported).forEach((key) => delete process.env[key]);
            Object.assign(process.env, former);
            fs.rmSync(folder, { recursive: true });
        }
    });

    it("exists for a stack with an encrypted password, which stays encrypted", () => {
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "golden-"));
        try {
            const registry = 'registry: { address: "localhost:5001" }';
            const login = registry.replace(" }", ", username: me, password: { secure: v1:nonce:text } }");
            const text = fs.readFileSync("Pulumi.prod.yaml", "utf8");
            assert.ok(text.includes(registry));
            const file = path.join(folder, "Pulumi.mine.yaml");
            fs.writeFileSync(file, `encryptionsalt: v1:salt\n${text.replace(registry, login)}`);
            const graph = recordGraphs([file])[0]!;
            const credentials = Object.values(graph.resources).find(
                ({ name }) => name === "registry-credentials",
            );
            assert.deepStrictEqual(credentials?.inputs.stringData, { ".dockerconfigjson": "[secret]" });
            assert.doesNotMatch(graphText(graph), /secure|v1:(salt|nonce)/);
        } finally {
            fs.rmSync(folder, { recursive: true });
        }
    });

    it("exists for no other stack", () => {
        const goldens = fs.readdirSync(GOLDEN).filter((file) => file.endsWith(".json"));
        assert.deepStrictEqual(
            goldens,
            [...usersStacks()].sort().map((stack) => `${stack}.json`),
        );
    });
});

/** The effects on a stack of a change to the program or its configuration, as `kind name: action`. */
function effects(before: Graph, after: Graph, wanted: (change: Change) => boolean = () => true): string[] {
    return compareGraphs(before, after)
        .changes.filter(wanted)
        .map(({ type, name, action }) => `${type.split(":").pop()} ${name}: ${action}`)
        .sort();
}

describe("a change in one place", () => {
    let folder: string;
    beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "golden-"))));
    afterEach(() => fs.rmSync(folder, { recursive: true }));

    /** The graph of a stack with `from` replaced by `to` in its file. */
    function withConfig(stack: string, from: string, to: string): Graph {
        const text = fs.readFileSync(stackFile(stack), "utf8");
        assert.ok(text.includes(from), `Pulumi.${stack}.yaml has no "${from}"`);
        const file = path.join(folder, `Pulumi.${stack}.yaml`);
        fs.writeFileSync(file, text.replace(from, to));
        return recordGraphs([file])[0]!;
    }

    // A master without data relies on the record of how many slaves there are: it is the system's, not the slaves'.
    for (const [stack, system, from, to, created] of [
        ["dev", "redis", "redis-slave: { replicas: 1", "redis-slave: { replicas: 2", [1]],
        ["prod", "mysql", "mysql-slave:\n    replicas: 2", "mysql-slave:\n    replicas: 4", [2, 3]],
    ] as const) {
        it(`to ${stack}'s number of ${system} slaves changes only these and the record of how many there are`, () => {
            const changed = withConfig(stack, from, to);
            assert.deepStrictEqual(effects(graphOf(stack), changed), [
                `ConfigMap ${system}-initialised: update`,
                ...created.map((pod) => `PersistentVolumeClaim data-${system}-slave-${pod}: create`),
                // It exists only if there is more than one slave.
                ...(stack === "dev" ? [`PodDisruptionBudget ${system}-slave: create`] : []),
                `StatefulSet ${system}-slave: update`,
            ]);
        });
    }

    it("to prod's storage class replaces its volumes and nothing else, and is a danger", () => {
        const other = withConfig("prod", "storageClass: retained", "storageClass: standard");
        const { changes } = compareGraphs(graphOf("prod"), other);
        assert.deepStrictEqual(
            changes.map(({ name, action, danger, protected: kept }) => ({ name, action, danger, kept })),
            [
                "mysql-master-0",
                "mysql-slave-0",
                "mysql-slave-1",
                "redis-master-0",
                "redis-slave-0",
                "redis-slave-1",
            ].map((pod) => ({ name: `data-${pod}`, action: "replace", danger: true, kept: true })),
        );
        assert.ok(changes.every(({ properties }) => properties[0]?.path === "spec.storageClassName"));
    });

    it("to one line in images/nginx, in another checkout, changes only the references to nginx", () => {
        copyProgram(folder, { "images/nginx/etc/nginx.conf": "# one line more" });
        for (const stack of ["dev", "prod"]) {
            fs.copyFileSync(`Pulumi.${stack}.yaml`, path.join(folder, `Pulumi.${stack}.yaml`));
        }
        for (const after of recordGraphs(["Pulumi.dev.yaml", "Pulumi.prod.yaml"], folder)) {
            const before = graphOf(after.stack);
            assert.deepStrictEqual(effects(before, after), [
                "Deployment dabacluster: update",
                "RegistryImage nginx: replace",
            ]);
            assert.deepStrictEqual(
                compareGraphs(before, after).changes.flatMap(({ properties }) =>
                    properties.map((p) => p.path),
                ),
                [
                    "spec.template.spec.containers[nginx].image",
                    "build.buildArgs.CONTENT",
                    "name",
                    "triggers.content",
                ],
            );
        }
    });

    it("to the dabaweb image also rebuilds nginx, runs the migration and endangers nothing", () => {
        copyProgram(folder, { "images/dabaweb/app/form/views.py": "# one line more" });
        fs.copyFileSync("Pulumi.dev.yaml", path.join(folder, "Pulumi.dev.yaml"));
        const after = recordGraphs(["Pulumi.dev.yaml"], folder)[0]!;
        assert.deepStrictEqual(effects(graphOf("dev"), after), [
            "CronJob dabacluster-cleanup: update",
            "Deployment dabacluster: update",
            "Job dabacluster-migrate: replace",
            "RegistryImage dabaweb: replace",
            "RegistryImage nginx: replace",
        ]);
        assert.deepStrictEqual(
            effects(graphOf("dev"), after, ({ danger }) => danger),
            [],
        );
    });
});
