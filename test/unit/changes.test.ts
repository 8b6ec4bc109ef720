import assert from "assert";
import { spawnSync } from "child_process";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { Change, compareGraphs } from "../../review/changes";
import forceNew from "../../review/force-new.json";
import { generatedName, Graph, GraphResource, graphText, readGraph, SECRET } from "../../review/graph";
import { report } from "../../review/report";
import { recordedStack, STACKS } from "../support/program";

const K8S = "pulumi:providers:kubernetes";
const IMAGE = "docker:index/registryImage:RegistryImage";
const PASSWORD = "random:index/randomPassword:RandomPassword";
const SET = "kubernetes:apps/v1:StatefulSet";
const CLAIM = "kubernetes:core/v1:PersistentVolumeClaim";
const SECRETS = "kubernetes:core/v1:Secret";
const CONFIG = "kubernetes:core/v1:ConfigMap";

function urn(type: string, name: string): string {
    return `urn:pulumi:s::p::${type}::${name}`;
}

/** A resource with only what a test sets. */
function one(type: string, inputs: Record<string, unknown>, more: Partial<GraphResource> = {}) {
    return { type, inputs, dependencies: [], propertyDependencies: {}, options: {}, ...more };
}

/** A graph of resources by name. */
function graph(resources: Record<string, Omit<GraphResource, "name">>, stack = "s"): Graph {
    return {
        stack,
        resources: Object.fromEntries(
            Object.entries(resources).map(([name, resource]) => [
                urn(resource.type, name),
                { name, ...resource },
            ]),
        ),
    };
}

/** Action of each changed resource by name, with an exclamation mark for a danger. */
function actions(before: Graph, after: Graph): Record<string, string> {
    return Object.fromEntries(
        compareGraphs(before, after).changes.map(({ name, action, danger }) => [
            name,
            danger ? `${action}!` : action,
        ]),
    );
}

/** The only change between two states of one resource. */
function onlyChange(
    before: Omit<GraphResource, "name">,
    after: Omit<GraphResource, "name">,
): Change | undefined {
    const { changes } = compareGraphs(graph({ it: before }), graph({ it: after }));
    assert.ok(changes.length < 2);
    return changes[0];
}

function claim(spec: Record<string, unknown>, options: Record<string, unknown> = {}) {
    return one(CLAIM, { metadata: { name: "it" }, spec }, { options });
}

describe("a change between two graphs", () => {
    it("is a creation or a deletion if only one of them has the resource", () => {
        const [none, some] = [graph({}), graph({ set: one(SET, {}), config: one(CONFIG, {}) })];
        assert.deepStrictEqual(actions(none, some), { set: "create", config: "create" });
        assert.deepStrictEqual(actions(some, none), { set: "delete!", config: "delete" });
    });

    it("does not exist between equal graphs", () => {
        const same = graph({ it: claim({ storageClassName: "a" }) });
        const { changes, counts } = compareGraphs(same, same);
        assert.deepStrictEqual(changes, []);
        assert.deepStrictEqual(counts, { create: 0, update: 0, replace: 0, delete: 0, same: 1 });
    });

    it("is an update that lists its properties if nothing forces a replacement", () => {
        const requests = (storage: string) => claim({ resources: { requests: { storage } } });
        const change = onlyChange(requests("1Gi"), requests("2Gi"));
        assert.strictEqual(change?.action, "update");
        assert.deepStrictEqual(change.properties, [
            { path: "spec.resources.requests.storage", before: "1Gi", after: "2Gi" },
        ]);
    });

    for (const [from, to] of [
        ["a", "b"],
        [undefined, "b"],
        ["a", undefined],
    ]) {
        it(`of the storage class from ${from} to ${to} replaces the volume, says why and is a danger`, () => {
            const of = (storageClassName: string | undefined) =>
                claim({
                    accessModes: ["x"],
                    ...(storageClassName === undefined ? {} : { storageClassName }),
                });
            const change = onlyChange(of(from), of(to));
            assert.strictEqual(change?.action, "replace");
            assert.strictEqual(change.danger, true);
            assert.deepStrictEqual(change.properties, [
                { path: "spec.storageClassName", before: from, after: to },
            ]);
            assert.match(
                change.causes[0]?.reason ?? "",
                /^spec.storageClassName cannot be changed in place$/,
            );
            assert.match(change.causes[0]?.source ?? "", /diff\.go/);
        });
    }

    it("to a field below a force-new field also replaces the resource", () => {
        const of = (app: string) =>
            one("kubernetes:apps/v1:Deployment", { spec: { selector: { matchLabels: { app } } } });
        assert.strictEqual(onlyChange(of("a"), of("b"))?.action, "replace");
    });

    it("to the name or namespace replaces a Kubernetes object of any kind", () => {
        const of = (name: string) => one("kubernetes:example.org/v1:Thing", { metadata: { name } });
        assert.strictEqual(onlyChange(of("a"), of("b"))?.action, "replace");
        const labelled = one("kubernetes:example.org/v1:Thing", { metadata: { name: "a", labels: {} } });
        assert.strictEqual(onlyChange(of("a"), labelled)?.action, "update");
    });

    it("to anything counts as a replacement if the type is unknown", () => {
        const change = onlyChange(one("aws:s3:Bucket", { a: 1 }), one("aws:s3:Bucket", { a: 2 }));
        assert.strictEqual(change?.action, "replace");
        assert.match(change.causes[0]?.reason ?? "", /does not list the type/);
    });

    it("to a password's length replaces the password", () => {
        assert.strictEqual(
            onlyChange(one(PASSWORD, { length: 32 }), one(PASSWORD, { length: 33 }))?.action,
            "replace",
        );
    });

    it("to protection is an update that says so, and a replacement says that the resource was protected", () => {
        const change = onlyChange(claim({}, { protect: true }), claim({}));
        assert.strictEqual(change?.action, "update");
        assert.deepStrictEqual(change.properties, [
            { path: "pulumi.protect", before: true, after: undefined },
        ]);
        const replaced = onlyChange(
            claim({ storageClassName: "a" }, { protect: true, retainOnDelete: true }),
            claim({ storageClassName: "b" }),
        );
        assert.deepStrictEqual([replaced?.protected, replaced?.retained], [true, true]);
    });

    it("to the dependencies names what is added and removed", () => {
        const of = (...names: string[]) => {
            return one(SET, {}, { dependencies: names.map((name) => urn(CLAIM, name)) });
        };
        assert.deepStrictEqual(onlyChange(of("a", "c"), of("a", "b", "c"))?.properties, [
            { path: `pulumi.dependencies["${CLAIM}::b"]`, before: undefined, after: true },
        ]);
    });

    it("to an ignored property has no effect but is still listed", () => {
        const of = (size: string) =>
            one(
                SET,
                { spec: { replicas: 1, volumeClaimTemplates: [{ spec: { size } }] } },
                { options: { ignoreChanges: ["spec.volumeClaimTemplates[*].spec.size"] } },
            );
        assert.strictEqual(onlyChange(of("1"), of("2")), undefined);
        assert.deepStrictEqual(compareGraphs(graph({ it: of("1") }), graph({ it: of("2") })).withoutEffect, [
            urn(SET, "it"),
        ]);
    });

    it("to a property in replaceOnChanges replaces the resource", () => {
        const of = (a: string) =>
            one(
                CONFIG,
                { metadata: { annotations: { "x.y/a": a } } },
                {
                    options: { replaceOnChanges: ['metadata.annotations["x.y/a"]'] },
                },
            );
        const change = onlyChange(of("1"), of("2"));
        assert.strictEqual(change?.action, "replace");
        assert.strictEqual(change.properties[0]?.path, 'metadata.annotations["x.y/a"]');
    });

    it("names list elements by name, or by position if they have none, and detects a mere change of order", () => {
        const of = (containers: unknown[]) => one(SET, { spec: { template: { containers } } });
        const [a, b] = [
            { name: "a", image: "1", args: ["x", "y"] },
            { name: "b", image: "1" },
        ];
        const paths = (before: unknown[], after: unknown[]) =>
            onlyChange(of(before), of(after))?.properties.map((property) => property.path);
        assert.deepStrictEqual(
            paths(
                [a, b],
                [
                    { ...a, args: ["x", "z"] },
                    { ...b, image: "2" },
                ],
            ),
            ["spec.template.containers[a].args[1]", "spec.template.containers[b].image"],
        );
        assert.deepStrictEqual(paths([b], [a, b]), ["spec.template.containers[a]"]);
        assert.deepStrictEqual(paths([a, b], [b, a]), ["spec.template.containers"]);
    });

    it("to the name in Pulumi is a deletion and a creation, or nothing if an alias gives the old name", () => {
        const before = graph({ old: claim({ storageClassName: "a" }) });
        const renamed = (options: Record<string, unknown>) =>
            graph({ new: claim({ storageClassName: "a" }, options) });
        assert.deepStrictEqual(actions(before, renamed({})), { old: "delete!", new: "create" });
        assert.deepStrictEqual(actions(before, renamed({ aliases: [urn(CLAIM, "old")] })), {});
    });

    it("is refused between two stacks", () => {
        assert.throws(
            () => compareGraphs(graph({}, "dev"), graph({}, "prod")),
            /the graphs belong to stacks dev and prod; compare two graphs of the same stack/,
        );
    });
});

describe("a change to the data of a Secret or ConfigMap", () => {
    const rows: readonly [string, string, Record<string, unknown>, Record<string, unknown>, string][] = [
        ["a Secret", SECRETS, {}, {}, "replace!"],
        [
            "a Secret whose provider makes Secrets mutable",
            SECRETS,
            { enableSecretMutable: "true" },
            {},
            "update",
        ],
        [
            "an immutable Secret of that provider",
            SECRETS,
            { enableSecretMutable: "true" },
            { immutable: true },
            "replace!",
        ],
        ["a ConfigMap", CONFIG, { enableSecretMutable: "true" }, {}, "replace"],
        [
            "a ConfigMap whose provider makes ConfigMaps mutable",
            CONFIG,
            { enableConfigMapMutable: "true" },
            {},
            "update",
        ],
    ];
    for (const [what, type, provider, inputs, action] of rows) {
        it(`is "${action}" for ${what}`, () => {
            const of = (value: string) =>
                graph({
                    provider: one(K8S, provider),
                    it: one(type, { ...inputs, data: { value } }, { provider: urn(K8S, "provider") }),
                });
            assert.deepStrictEqual(actions(of("a"), of("b")), { it: action });
        });
    }
});

describe("what follows from another resource's change", () => {
    /** A password, a Secret with a generated name that holds it, and a workload that mounts the Secret. */
    function chain(length: number, immutable: boolean): Graph {
        return graph({
            provider: one(K8S, { enableSecretMutable: "true" }),
            password: one(PASSWORD, { length }),
            secret: one(
                SECRETS,
                { immutable, stringData: { password: SECRET }, metadata: {} },
                {
                    provider: urn(K8S, "provider"),
                    propertyDependencies: { stringData: [urn(PASSWORD, "password")] },
                },
            ),
            set: one(
                SET,
                { spec: { secretName: generatedName("secret"), other: generatedName("another") } },
                { propertyDependencies: { spec: [urn(SECRETS, "secret")] } },
            ),
        });
    }

    it("is a new value in the Secret that holds a new password", () => {
        const { changes } = compareGraphs(chain(32, false), chain(33, false));
        assert.deepStrictEqual(
            changes.map(({ name, action }) => `${name}: ${action}`),
            ["secret: update", "password: replace"],
        );
        assert.deepStrictEqual(
            changes[0]?.properties.map((property) => property.path),
            ["stringData.password"],
        );
    });

    it("is the new name of an immutable Secret in everything that mounts it", () => {
        const { changes } = compareGraphs(chain(32, true), chain(33, true));
        assert.deepStrictEqual(
            changes.map(({ name, action, danger }) => `${name}: ${action}${danger ? "!" : ""}`),
            ["secret: replace!", "set: update", "password: replace"],
        );
        assert.deepStrictEqual(
            changes[1]?.properties.map((property) => property.path),
            ["spec.secretName"],
        );
    });

    it("is a new value if a Secret takes its value from a different resource", () => {
        const other = { [urn(PASSWORD, "other")]: { name: "other", ...one(PASSWORD, { length: 32 }) } };
        const { stack, resources } = chain(32, false);
        const secret = {
            ...resources[urn(SECRETS, "secret")]!,
            propertyDependencies: { stringData: [urn(PASSWORD, "other")] },
        };
        const before = { stack, resources: { ...resources, ...other } };
        const after = { stack, resources: { ...before.resources, [urn(SECRETS, "secret")]: secret } };
        assert.deepStrictEqual(actions(before, after), { secret: "update" });
    });

    it("is the replacement of everything that a replaced provider made", () => {
        const of = (clusterIdentifier: string) =>
            graph({
                provider: one(K8S, { clusterIdentifier, context: clusterIdentifier }),
                it: one(CLAIM, {}, { provider: urn(K8S, "provider") }),
            });
        assert.deepStrictEqual(actions(of("a"), of("b")), { provider: "replace", it: "replace!" });
    });

    it("is nothing if a provider gets another context for the same cluster", () => {
        const of = (context: string) => graph({ provider: one(K8S, { clusterIdentifier: "a", context }) });
        assert.deepStrictEqual(actions(of("a"), of("b")), { provider: "update" });
    });

    it("is the replacement of everything that uses values of a resource that is deleted first", () => {
        const of = (name: string, options: Record<string, unknown>) =>
            graph({
                image: one(IMAGE, { name }, { options }),
                set: one(
                    SET,
                    { spec: { image: name } },
                    { propertyDependencies: { spec: [urn(IMAGE, "image")] } },
                ),
            });
        assert.deepStrictEqual(actions(of("a", {}), of("b", {})), { image: "replace", set: "replace!" });
        const createdFirst = { deleteBeforeReplace: false };
        assert.deepStrictEqual(actions(of("a", createdFirst), of("b", createdFirst)), {
            image: "replace",
            set: "update",
        });
    });
});

describe("the list of force-new fields", () => {
    it("names the source of every row", () => {
        for (const { type, source } of forceNew.rows) {
            assert.match(source, /^\S+ \S+, \S+\.go: \S/, type);
        }
    });

    it("knows every type that the program registers", () => {
        const types = new Set(
            STACKS.flatMap((stack) => recordedStack(stack))
                .filter(({ component }) => component !== true)
                .map(({ type }) => type),
        );
        const known = (type: string) =>
            forceNew.rows.some(
                (row) => row.type === type || (row.type === "kubernetes:*" && type.startsWith("kubernetes:")),
            );
        assert.deepStrictEqual(
            [...types].filter((type) => !known(type)),
            [],
        );
    });
});

describe("the report of a comparison", () => {
    const before = graph({ it: claim({ storageClassName: "a" }, { protect: true }), gone: one(CONFIG, {}) });
    const after = graph({ it: claim({ storageClassName: "b" }, { protect: true }), made: one(CONFIG, {}) });
    let folder: string;
    beforeEach(() => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "report-"));
        fs.writeFileSync(path.join(folder, "before.json"), graphText(before));
        fs.writeFileSync(path.join(folder, "after.json"), graphText(after));
        fs.writeFileSync(path.join(folder, "text.json"), "text");
        fs.writeFileSync(path.join(folder, "list.json"), "[]");
    });
    afterEach(() => fs.rmSync(folder, { recursive: true }));

    function run(...args: string[]) {
        const command = ["-r", "ts-node/register/transpile-only", "review/report.ts"];
        const files = args.map((arg) => (arg.endsWith(".json") ? path.join(folder, arg) : arg));
        return spawnSync(process.execPath, [...command, ...files], { encoding: "utf8" });
    }

    it("names counts, dangers, properties and causes, dangers first", () => {
        const lines = report(compareGraphs(before, after)).split("\n");
        assert.strictEqual(lines[0], "s: 1 to create, 0 to update, 1 to replace, 1 to delete, 0 unchanged");
        assert.match(lines[1] ?? "", /^DANGER: 1 of them/);
        assert.match(lines[2] ?? "", /^!! replace {3}kubernetes:core\/v1:PersistentVolumeClaim it$/);
        assert.match(lines[3] ?? "", /spec\.storageClassName: "a" -> "b"$/);
        assert.match(lines[4] ?? "", /because spec\.storageClassName cannot be changed in place$/);
        assert.match(lines[5] ?? "", /protected/);
    });

    it("is printed for two files, as text or as JSON", () => {
        const text = run("before.json", "after.json");
        assert.strictEqual(text.status, 0, text.stderr);
        assert.strictEqual(text.stdout, report(compareGraphs(before, after)));
        const json = run("before.json", "after.json", "--json");
        assert.strictEqual(json.status, 0, json.stderr);
        assert.deepStrictEqual(
            (JSON.parse(json.stdout) as { counts: unknown }).counts,
            compareGraphs(before, after).counts,
        );
    });

    const refused: readonly [string, string, RegExp][] = [
        ["a missing file", "none.json", /^there is no file \S+none\.json; name a recorded graph/],
        ["a file that is not JSON", "text.json", /text\.json is not JSON; it must be a graph/],
        ["a file that is not a graph", "list.json", /list\.json is not valid: [^]*it must be a graph/],
    ];
    for (const [what, file, message] of refused) {
        it(`refuses ${what} with one sentence`, () => {
            assert.throws(() => readGraph(path.join(folder, file)), { message });
        });
    }

    it("fails with one sentence if it cannot be made", () => {
        const { status, stdout, stderr } = run("before.json");
        assert.deepStrictEqual(
            { status, stdout, stderr },
            {
                status: 1,
                stdout: "",
                stderr: "1 file is named; name two files: before.json after.json [--json]\n",
            },
        );
    });
});
