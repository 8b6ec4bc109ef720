import assert from "assert";
import * as fs from "fs";
import { createServer } from "http";
import type { AddressInfo } from "net";
import * as os from "os";
import * as path from "path";

import * as pulumi from "@pulumi/pulumi";

import { baseOf } from "../../components/bases";
import { ImageName, mapImages } from "../../components/images";
import {
    baseRefused,
    Facts,
    familiesOf,
    misfits,
    newBases,
    preflight,
    registryProblems,
    remarks,
    spreadIn,
} from "../../preflight";
import { leastConfig } from "../support/least-config";

/** Pulumi's runtime keeps its state in a store; this creates a new one, so that no other test sees it. */
const { withLocalStorage } = require("@pulumi/pulumi/runtime/state") as {
    withLocalStorage<T>(callback: () => Promise<T>): Promise<T>;
};

const config = (changes: Record<string, unknown> = {}) =>
    leastConfig({ storageClass: "standard", ...changes });

const node = (name: string, labels: Record<string, string> = {}) => ({
    name,
    labels: { "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", ...labels },
    taints: [],
    isReady: true,
});

const facts: Facts = {
    fingerprint: "aaaa",
    storageClasses: [
        { name: "standard", isDefault: true, expandable: false },
        { name: "growing", isDefault: false, expandable: true },
    ],
    volumeClasses: [],
    nodes: [node("a")],
    namespace: undefined,
    owner: undefined,
    pullSecret: undefined,
    nodePortOwner: undefined,
    ingressClasses: undefined,
    volumes: [],
    families: ["IPv4"],
    version: "v1.34.2",
    quotas: [],
    limits: [],
    own: {},
    occupancy: undefined,
    running: {},
};

const behindIngress = {
    service: { type: "ClusterIP" },
    publicUrl: "https://example.org",
    ingress: { className: "nginx", host: "example.org" },
};

/** The stack itself, before or after its first update. */
const stack = (cluster?: string) => ({ name: "organization/dabaweb/test", cluster });

const volume = { name: "data-redis-master-0", storageClass: "standard", size: "1Gi" };

describe("the preflight", () => {
    it("finds nothing wrong with a cluster that fits", () => {
        assert.deepStrictEqual(misfits(config(), facts, stack()), []);
        const deployed = { ...facts, volumes: [volume], owner: stack().name };
        assert.deepStrictEqual(misfits(config(), deployed, stack("aaaa")), []);
    });

    const renamed: [
        string,
        boolean,
        { owner: string; namespace?: string; cluster?: string },
        Partial<Facts>,
    ][] = [
        ["was renamed", true, { owner: "organization/dabaweb/old" }, {}],
        ["was moved to another backend", true, { owner: "acme/dabaweb/test" }, {}],
        ["has another namespace", false, { owner: "organization/dabaweb/old", namespace: "other" }, {}],
        ["was never deployed", false, { owner: "organization/dabaweb/old", cluster: undefined }, {}],
        [
            "has a right to its namespace alone",
            true,
            { owner: "organization/dabaweb/old", cluster: "with namespace 1111" },
            {
                fingerprint: undefined,
                namespace: { uid: "1111", labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
            },
        ],
        [
            "cannot tell which cluster it is",
            false,
            { owner: "organization/dabaweb/old" },
            { fingerprint: undefined },
        ],
    ];
    for (const [what, accepted, { owner, ...known }, found] of renamed) {
        it(`${accepted ? "takes" : "does not take"} the namespace of its former self if the stack ${what}`, () => {
            const before = { ...stack("aaaa"), namespace: "team", ...known };
            const seen = { ...facts, ...found, owner };
            const problems = misfits(config(), seen, before).join("\n");
            const said = remarks(config(), seen, before).join("\n");
            if (accepted) {
                assert.strictEqual(problems, "");
                assert.ok(
                    said.startsWith(`this stack was deployed as ${owner} and is now ${stack().name}; if`),
                    said,
                );
            } else {
                assert.ok(problems.startsWith(`namespace team belongs to stack ${owner}`), problems);
                assert.match(
                    problems,
                    /or rename that stack with `pulumi stack rename` instead of creating a second one/,
                );
                assert.strictEqual(said, "");
            }
        });
    }

    it("skips what it has no permission to read", () => {
        const nothing = { fingerprint: undefined, storageClasses: undefined, nodes: undefined };
        const blind = { ...facts, ...nothing, volumes: undefined };
        assert.deepStrictEqual(misfits(config({ storageClass: "unheard-of" }), blind, stack("aaaa")), []);
    });

    it("identifies a cluster by the stack's namespace if the stack was deployed with rights to no other", () => {
        const made = config({ namespace: { name: "team", create: false } });
        const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
        const seen = (uid: string) => ({ ...facts, namespace: { uid, labels } });
        assert.deepStrictEqual(misfits(made, seen("1111"), stack("with namespace 1111")), []);
        assert.deepStrictEqual(misfits(made, { ...seen("2222"), fingerprint: undefined }, stack("aaaa")), []);
        assert.match(
            misfits(made, seen("2222"), stack("with namespace 1111")).join("\n"),
            /points to cluster with namespace 2222, but this stack is deployed to cluster with namespace 1111/,
        );
    });

    it("refuses to push without a login to a registry that requires one, and checks no more than that", () => {
        const open = config({ registry: { address: "registry.example.com/team" } }).registry;
        assert.match(
            registryProblems(open, 401, false).join("\n"),
            /registry\.example\.com\/team requires a login and there is none; run `docker login registry\.example\.com`, or/,
        );
        assert.deepStrictEqual(registryProblems(open, 401, true), []);
        assert.deepStrictEqual(registryProblems({ ...open, username: "me", password: "x" }, 401, false), []);
        assert.deepStrictEqual(registryProblems(open, 200, false), []);
        assert.match(registryProblems(open, 503, true).join("\n"), /answers with HTTP 503/);
    });

    it("accepts an ingress class that exists, or that it has no right to look for", () => {
        for (const ingressClasses of [["nginx", "traefik"], undefined]) {
            assert.deepStrictEqual(misfits(config(behindIngress), { ...facts, ingressClasses }, stack()), []);
        }
    });

    it("accepts a storage class without an object where volumes have it, or all claims do, or it may not look", () => {
        const manual = config({ storageClass: "manual", "mysql-master": { storageClass: "manual" } });
        const claims = ["redis-master", "redis-slave", "mysql-master", "mysql-slave"].flatMap((name) =>
            [0, 1].map((ordinal) => ({
                name: `data-${name}-${ordinal}`,
                storageClass: "manual",
                size: "1Gi",
            })),
        );
        for (const found of [
            { volumeClasses: ["manual"] },
            { volumeClasses: undefined },
            { volumeClasses: [], volumes: claims },
        ]) {
            assert.deepStrictEqual(misfits(manual, { ...facts, ...found }, stack()), []);
        }
    });

    const refused: [string, Record<string, unknown>, Partial<Facts>, RegExp][] = [
        [
            "an ingress class that the cluster lacks",
            behindIngress,
            { ingressClasses: ["traefik"] },
            /ingress\.className is nginx, but the cluster has traefik; set it to the class of an ingress controller that/,
        ],
        [
            "a cluster other than the stack's",
            {},
            { fingerprint: "bbbb" },
            /context here points to cluster bbbb, but this stack is deployed to cluster aaaa/,
        ],
        [
            "a missing namespace",
            { namespace: { name: "team", create: false } },
            { namespace: "absent" },
            /namespace team does not exist/,
        ],
        [
            "a namespace without Pod Security",
            { namespace: { name: "team", create: false } },
            { namespace: { uid: "1111", labels: {} } },
            /enforce=\(unset\); it must be restricted/,
        ],
        [
            "a namespace of another stack",
            {},
            { owner: "organization/dabaweb/prod" },
            /namespace team belongs to stack organization\/dabaweb\/prod, whose objects have the same names; set namespace\.name/,
        ],
        [
            "a pull secret that does not exist",
            { registry: { address: "registry.example.com", pullSecret: "login" } },
            { pullSecret: "absent" },
            /registry\.pullSecret is login, but namespace team has no such Secret; create it with `kubectl create secret/,
        ],
        [
            "a storage class that does not exist",
            { storageClass: "fast" },
            {},
            /storageClass fast of redis-master does not exist, and no volume has it; the cluster has standard, growing/,
        ],
        [
            "no storage class at all",
            { storageClass: undefined },
            { storageClasses: [] },
            /sets no storageClass and the cluster has no default class/,
        ],
        [
            "a platform that no node has",
            { platform: "linux/arm64" },
            {},
            /platform is linux\/arm64, but the nodes are linux\/amd64/,
        ],
        [
            "a nodePort that another Service has",
            {},
            { nodePortOwner: "other/web" },
            /nodePort 32000 is already used by Service other\/web/,
        ],
        [
            "a smaller volume",
            { "redis-master": { storage: "500Mi" } },
            { volumes: [volume] },
            /data-redis-master-0 has 1Gi and cannot shrink to 500Mi/,
        ],
        [
            "another class for a volume",
            { storageClass: "growing" },
            { volumes: [volume] },
            /data-redis-master-0 has storageClass standard and cannot become growing/,
        ],
        [
            "growth that the class forbids",
            { "redis-master": { storage: "2Gi" }, "redis-slave": { storage: "2Gi" } },
            { volumes: [volume] },
            /cannot grow from 1Gi to 2Gi, because storageClass standard does not allow expansion/,
        ],
    ];
    const running = { pods: 1, image: "m:1", spread: "preferred" as const };
    const tied = [
        { ...volume, node: "a" },
        { ...volume, name: "data-redis-slave-0", node: "a" },
    ];
    const three = { nodes: ["a", "b", "c"].map((name) => node(name)) };
    refused.push(
        [
            "volumes that tie two pods to one node which must not share it",
            { spread: "required" },
            { ...three, volumes: tied },
            /volumes data-redis-master-0, data-redis-slave-0 tie .* to node a; give redis-slave-0 a new volume, .*`kubectl delete pvc\/data-redis-slave-0 pod\/redis-slave-0 --namespace team`; or set spread to preferred/,
        ],
        [
            "fewer nodes than pods that must not share one",
            { spread: "required" },
            {},
            /spread is required, but 1 nodes accept the 2 pods of redis; add nodes, or set spread to preferred/,
        ],
        [
            "a Kubernetes whose kubelet cannot sleep before it stops a pod",
            {},
            { version: "v1.29.14-eks-1" },
            /^the cluster runs Kubernetes v1\.29\.14-eks-1, and 1\.30 or newer is required; upgrade it, or set kubeContext to/,
        ],
        [
            "a cluster without IPv4",
            {},
            { families: ["IPv6"] },
            /^the pods of this cluster have addresses of IPv6 alone, and IPv4 is required/,
        ],
        [
            "a quota without room for the stack",
            {},
            { quotas: [{ name: "tight", hard: { pods: "4" }, used: { pods: "0" }, isScoped: false }] },
            /^quota tight allows pods: 4, of which 4 is left for the stack, but it needs 5; ask for a larger quota/,
        ],
        [
            "a limit range that no container of the stack fits",
            {},
            { limits: [{ name: "small", type: "Container", max: { memory: "256Mi" } }] },
            /^LimitRange small allows memory of at most 256Mi per Container, but mysql-master has/m,
        ],
        [
            "a step back of an engine",
            { bases: { mysql: "hub.example.com/mysql:8.4.6" } },
            { running: { "mysql-slave": { ...running, base: "mysql:9.7.4" } } },
            /^the base of mysql-slave: 9\.7\.4 runs and 8\.4\.6 may not read its data; set it back to 9\.7\.4, or/,
        ],
        [
            "a jump that an engine does not support",
            { bases: { mysql: "hub.example.com/mysql:9.7.4" } },
            { running: { "mysql-master": { ...running, base: "mysql:8.0.40" } } },
            /MySQL does not upgrade it to 9\.7\.4 in one step; upgrade to 8\.4 first/,
        ],
    );
    for (const [what, changes, found, message] of refused) {
        it(`refuses ${what}, with the remedy`, () => {
            const problems = misfits(config(changes), { ...facts, ...found }, stack("aaaa"));
            assert.ok(problems.length > 0, "nothing was refused");
            assert.match(problems.join("\n"), message);
        });
    }

    it("knows the version of a StatefulSet that records none from the stack's last update, if there is such a StatefulSet", () => {
        const older = config({ bases: { redis: "hub.example.com/redis:7.4.2" } });
        const known = { ...stack("aaaa"), bases: { "redis-master": "redis:8.0.2" } };
        const old = { ...facts, running: { "redis-master": { ...running, base: undefined } } };
        assert.match(
            misfits(older, old, known).join("\n"),
            /^the base of redis-master: 8\.0\.2 runs and 7\.4\.2/,
        );
        assert.deepStrictEqual(misfits(older, facts, known), []);
    });

    it("says that it does not know the version of a pinned image that changes", () => {
        const pin = `registry.example.com/x@sha256:${"0".repeat(64)}`;
        const pinned = config({ images: { "redis-slave": pin } });
        const said = (image: string) =>
            remarks(
                pinned,
                { ...facts, running: { "redis-slave": { ...running, image, base: undefined } } },
                stack(),
            );
        assert.match(
            said("redis:8").join("\n"),
            /^not checked: which version .* pins for redis-slave has; .*upgrades\.md/,
        );
        assert.deepStrictEqual(said(pin), []);
    });

    it("says that no node accepts a workload, since one may be added", () => {
        const picky = config({ "redis-slave": { nodeSelector: { disk: "ssd" } } });
        const said =
            /^no node accepts the pods of redis-slave now: none has its nodeSelector, the platform linux\/amd64/;
        assert.match(remarks(picky, facts, stack()).join("\n"), said);
        assert.deepStrictEqual(
            remarks(picky, { ...facts, nodes: [node("a", { disk: "ssd" })] }, stack()),
            [],
        );
    });

    const protectedData = { protect: true, namespace: { name: "team", create: false } };

    it("requires different nodes for protected data if there are enough, and names volumes that prevent it", () => {
        const kept = config(protectedData);
        assert.strictEqual(spreadIn(kept, { ...facts, ...three }, "redis"), "required");
        assert.strictEqual(spreadIn(kept, facts, "redis"), "preferred");
        const held = { ...facts, ...three, volumes: tied };
        assert.strictEqual(spreadIn(kept, held, "redis"), "preferred");
        assert.match(
            remarks(kept, held, stack()).join("\n"),
            /if one node is lost, so is more than one copy: volumes data-redis-master-0, data-redis-slave-0 tie .* pod\/redis-slave-0/,
        );
        assert.deepStrictEqual(
            remarks(kept, { ...held, nodes: facts.nodes }, stack()),
            [],
            "there is no other node",
        );
        assert.deepStrictEqual(remarks(config(), held, stack()), [], "the data is not protected");
    });

    it("says that protected pods may share a node if it cannot count the nodes", () => {
        const blind = { ...facts, nodes: undefined };
        assert.match(
            remarks(config(protectedData), blind, stack()).join("\n"),
            /^not checked: whether there are nodes for each of the 2 pods of redis, .* set spread to required\nnot checked: .* of mysql, /,
        );
        for (const unasked of [config(), config({ ...protectedData, spread: "preferred" })]) {
            assert.deepStrictEqual(remarks(unasked, blind, stack()), []);
        }
    });

    it("names the versions of Kubernetes that leave broken pods as they are", () => {
        const said = (version: string) => remarks(config(), { ...facts, version }, stack());
        for (const version of ["v1.35.0", "v1.35.3", "v1.35.2-gke.100"]) {
            assert.match(
                said(version).join("\n"),
                /^Kubernetes v1\.35\..* delete such a pod by hand: `kubectl delete pod/,
            );
        }
        for (const version of ["v1.34.3", "v1.35.4", "v1.35.30", "v1.36.0"]) {
            assert.deepStrictEqual(said(version), []);
        }
    });

    it("counts only nodes that accept the pods and take new ones", () => {
        const kept = config(protectedData);
        const few = (change: object) => [node("a"), { ...node("b"), ...change }];
        const arm = { labels: { "kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64" } };
        for (const change of [{ isReady: false }, arm, { taints: [{ key: "x", effect: "NoSchedule" }] }]) {
            assert.strictEqual(spreadIn(kept, { ...facts, nodes: few(change) }, "redis"), "preferred");
        }
        assert.strictEqual(spreadIn(kept, { ...facts, nodes: few({}) }, "redis"), "required");
    });

    it("requires no storage class for slaves that do not exist", () => {
        const none = { replicas: 0, storageClass: "gone" };
        const alone = config({ "redis-slave": none, "mysql-slave": none });
        assert.deepStrictEqual(misfits(alone, facts, stack()), []);
    });

    it("lets the stack keep its own nodePort and grow if the class can expand", () => {
        const own = { ...facts, nodePortOwner: "team/dabacluster" };
        const volumes = [{ ...volume, storageClass: "growing" }];
        const more = { storage: "2Gi" };
        const grown = config({ storageClass: "growing", "redis-master": more, "redis-slave": more });
        assert.deepStrictEqual(misfits(grown, { ...own, volumes }, stack("aaaa")), []);
    });
});

/**
 * Lets the tests of a block run the preflight against an API server.
 *
 * @param answers what the server says to a path, or the status of its error; nobody may read it if that is undefined.
 * @returns runs it, and tells what identifies the stack's cluster afterwards, and the warnings.
 */
function withServer(answers: (path: string, query: URLSearchParams) => unknown) {
    const pinned = config({
        namespace: { name: "team", create: false },
        images: mapImages((image) => `localhost:5001/${image}@sha256:${"0".repeat(64)}`),
    });
    const server = createServer(({ url = "" }, response) => {
        const { pathname, searchParams } = new URL(url, "http://here");
        const answer = answers(pathname, searchParams) ?? 403;
        const isError = typeof answer === "number";
        response.writeHead(isError ? answer : 200, { "content-type": "application/json" });
        response.end(JSON.stringify(isError ? { kind: "Status" } : answer));
    });
    const former = { kubeconfig: process.env.KUBECONFIG, warn: pulumi.log.warn };
    let folder: string;

    before(async () => {
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "preflight-"));
        process.env.KUBECONFIG = path.join(folder, "kubeconfig");
        const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
        const kubeconfig = {
            // The client accepts plain http only with this.
            clusters: [{ name: "c", cluster: { server: address, "insecure-skip-tls-verify": true } }],
            users: [{ name: "u", user: {} }],
            contexts: [{ name: "here", context: { cluster: "c", user: "u" } }],
        };
        fs.writeFileSync(process.env.KUBECONFIG, JSON.stringify(kubeconfig));
    });
    after(() => {
        server.close();
        fs.rmSync(folder, { recursive: true });
        Object.assign(pulumi.log, { warn: former.warn });
        if (former.kubeconfig === undefined) {
            delete process.env.KUBECONFIG;
        } else {
            process.env.KUBECONFIG = former.kubeconfig;
        }
    });

    return async (known?: string): Promise<{ fingerprint?: string; said: string[] }> => {
        const said: string[] = [];
        Object.assign(pulumi.log, { warn: (message: string) => Promise.resolve(void said.push(message)) });
        return withLocalStorage(async () => {
            const mocks = { newResource: () => ({ id: "", state: {} }), call: () => ({}) };
            await pulumi.runtime.setMocks(mocks, "dabaweb", "test", true, "organization");
            const { fingerprint } = await preflight(pinned, { cluster: known, bases: {} });
            await pulumi.runtime.disconnect();
            return { ...(fingerprint === undefined ? {} : { fingerprint }), said: said.sort() };
        });
    };
}

/** What the deployer of a namespace may read. */
const OF_NAMESPACE: Readonly<Record<string, unknown>> = {
    "/api/v1/namespaces/team": {
        metadata: {
            name: "team",
            uid: "1111",
            labels: { "pod-security.kubernetes.io/enforce": "restricted" },
        },
    },
    "/api/v1/namespaces/team/configmaps/dabaweb-stack": { data: { stack: "organization/dabaweb/test" } },
    "/api/v1/namespaces/team/persistentvolumeclaims": { items: [] },
    "/apis/apps/v1/namespaces/team/statefulsets": { items: [] },
    "/api/v1/namespaces/team/pods": { items: [] },
    "/api/v1/namespaces/team/limitranges": { items: [] },
    "/version": { gitVersion: "v1.34.2" },
};

const unread = (...what: string[]) =>
    what.map((each) => `not checked: no permission to read ${each}.`).sort();
const ABROAD = ["quotas in team", "storage classes", "the Services of all namespaces (nodePort)"];

describe("the preflight with rights in only one namespace", () => {
    const looked = withServer((path) => OF_NAMESPACE[path]);
    const always = unread("nodes", ...ABROAD);

    it("identifies the cluster by that namespace, and says what it could not check", async () => {
        const fingerprint = "with namespace 1111";
        assert.deepStrictEqual(await looked(undefined), { fingerprint, said: always });
        assert.deepStrictEqual(await looked(fingerprint), { fingerprint, said: always });
    });

    it("says so if the stack identifies its cluster by what only others may read", async () => {
        const unsure =
            "not checked: no permission to read namespace kube-system, which identifies this stack's cluster.";
        assert.deepStrictEqual(await looked("aaaa"), {
            fingerprint: "aaaa",
            said: [...always, unsure].sort(),
        });
    });
});

describe("the preflight with rights to read all nodes and pods", () => {
    const full = (name: string) => ({
        metadata: { name, labels: node(name).labels },
        status: {
            allocatable: { cpu: "4", memory: "16Gi", pods: "110" },
            conditions: [{ type: "Ready", status: "True" }],
        },
    });
    const pod = (name: string, on: string | undefined, memory: string, metadata: object = {}) => ({
        metadata: { name, namespace: "other", ...metadata },
        spec: { nodeName: on, containers: [{ name: "c", resources: { requests: { memory } } }] },
    });
    const own = (workload: string) => ({
        namespace: "team",
        labels: { "app.kubernetes.io/part-of": "mysql", "app.kubernetes.io/name": workload },
    });
    /** The pages of each list. */
    let lists: Record<string, object[][]>;
    let autoscaler: object | number | undefined;
    let asked: URLSearchParams[];
    /** A path that the server fails to answer. */
    let failing: string | undefined;
    const looked = withServer((path, query) => {
        const pages = lists[path];
        if (pages !== undefined) {
            asked.push(query);
            const index = Number(query.get("continue") ?? 0);
            const more = index + 1 < pages.length ? { continue: String(index + 1) } : {};
            return { metadata: more, items: pages[index] };
        }
        const more = { "/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status": autoscaler };
        return path === failing ? 500 : { ...OF_NAMESPACE, ...more }[path];
    });
    beforeEach(() => {
        lists = { "/api/v1/nodes": [[full("a")], [full("b")]] };
        autoscaler = undefined;
        failing = undefined;
        asked = [];
    });
    const pods = (...pages: object[][]) => {
        lists["/api/v1/pods"] = pages;
    };
    const abroad = unread(...ABROAD);

    it("reads long lists in pages, and leaves out pods that take no room", async () => {
        const ending = { deletionTimestamp: "2026-01-01T00:00:00Z" };
        pods(
            [pod("x", "a", "15Gi"), pod("waiting", undefined, "99Gi"), pod("ending", "b", "16Gi", ending)],
            [pod("y", "b", "15800Mi")],
            [pod("mysql-master-0", "b", "500Mi", own("mysql-master"))],
        );
        const { said } = await looked();
        const room = said.filter((each) => !abroad.includes(each));
        assert.match(
            room.join("\n"),
            /^the 5 pods of the stack together request memory: \S+, but the 2 nodes that accept them have memory: 1608Mi left; unless the cluster adds a node by itself, .*\.$/,
        );
        assert.deepStrictEqual(
            asked.map((query) => [query.get("limit"), query.get("continue"), query.has("fieldSelector")]),
            [
                ["500", null, false],
                ["500", "1", false],
                ["500", null, true],
                ["500", "1", true],
                ["500", "2", true],
            ],
        );
    });

    it("refuses what has no room if there is no autoscaler, and no node belongs to a pool", async () => {
        autoscaler = 404;
        pods([pod("x", "a", "16Gi"), pod("y", "b", "15800Mi")]);
        await assert.rejects(
            looked(),
            /nothing was changed:\n {2}- no node has room for a pod of mysql-master: .* node b, .*\n/,
        );
        lists["/api/v1/nodes"]![1] = [
            {
                ...full("b"),
                metadata: { name: "b", labels: { ...node("b").labels, "karpenter.sh/nodepool": "x" } },
            },
        ];
        assert.match(
            (await looked()).said.join("\n"),
            /^no node has room for a pod of mysql-master: .*adds a node by itself/m,
        );
    });

    it("does not count the stack's own pods as taking the room", async () => {
        autoscaler = 404;
        lists["/api/v1/nodes"] = [[full("a")]];
        const master = own("mysql-master");
        pods([pod("mysql-master-0", "a", "15Gi", master)]);
        assert.deepStrictEqual((await looked()).said, abroad);
        pods([pod("mysql-master-0", "a", "15Gi", { ...master, namespace: "other" })]);
        await assert.rejects(looked(), /the 5 pods of the stack together request memory/);
    });

    it("looks where the volumes are, of a stack without protection, too", async () => {
        pods([pod("x", "a", "16Gi")]);
        lists["/api/v1/namespaces/team/persistentvolumeclaims"] = [
            [
                {
                    metadata: { name: "data-mysql-master-0" },
                    spec: { volumeName: "disk", resources: { requests: { storage: "2Gi" } } },
                },
            ],
        ];
        const where = { key: "kubernetes.io/hostname", operator: "In", values: ["a"] };
        const nodeAffinity = { required: { nodeSelectorTerms: [{ matchExpressions: [where] }] } };
        lists["/api/v1/persistentvolumes"] = [[{ metadata: { name: "disk" }, spec: { nodeAffinity } }]];
        await assert.rejects(
            looked(),
            /\n {2}- node a has the volume of mysql-master-0, but no room for it: /,
        );
    });

    it("goes on if the pods cannot be listed, and says so", async () => {
        failing = "/api/v1/pods";
        const { said } = await looked();
        assert.match(
            said.join("\n"),
            /^not checked: the pods of all namespaces \(room on the nodes\), because the answer is HTTP 500\.$/m,
        );
    });

    it("says once that it may not list the pods", async () => {
        const what = "the pods of all namespaces (room on the nodes)";
        assert.deepStrictEqual((await looked()).said, unread(...ABROAD, what));
    });
});

describe("the addresses of a cluster's pods", () => {
    const node = (podCIDRs: string[] | undefined, ...addresses: string[]) => ({
        spec: podCIDRs === undefined ? {} : { podCIDRs },
        status: {
            addresses: [
                { type: "Hostname", address: "a:b" },
                ...addresses.map((address) => ({ type: "InternalIP", address })),
            ],
        },
    });
    const cases: [string, ReturnType<typeof node>[], string[]][] = [
        ["IPv4", [node(["10.0.0.0/24"], "fd00::1")], ["IPv4"]],
        ["IPv6", [node(["fd00:1::/64"], "192.0.2.1")], ["IPv6"]],
        ["both", [node(["10.0.0.0/24", "fd00:1::/64"])], ["IPv4", "IPv6"]],
        ["those of the nodes if the network has its own ranges", [node(undefined, "fd00::1")], ["IPv6"]],
        ["both, by two nodes", [node(undefined, "fd00::1"), node(undefined, "192.0.2.1")], ["IPv6", "IPv4"]],
        ["unknown without nodes", [], []],
    ];
    for (const [what, nodes, expected] of cases) {
        it(`are ${what}`, () => assert.deepStrictEqual(familiesOf(nodes), expected));
    }
});

describe("the bases of images, which Docker may have to fetch", () => {
    const now = (name: ImageName) => baseOf(`images/${name}/Dockerfile`);
    const before = mapImages(now);

    it("are looked up only if an image was built on something else, or never", () => {
        assert.deepStrictEqual([...newBases(config(), before)], []);
        assert.deepStrictEqual(
            [...newBases(config(), { ...before, "mysql-slave": "mysql:1" })],
            [[now("mysql-slave"), "bases.mysql"]],
        );
        assert.deepStrictEqual([...newBases(config(), {}).values()].sort(), [
            "bases.mysql",
            "bases.nginx",
            "bases.python",
            "bases.python-build",
            "bases.rclone",
            "bases.redis",
        ]);
        const pin = `registry.example.com/x@sha256:${"0".repeat(64)}`;
        const own = config({
            bases: { redis: "own/redis:1" },
            images: { "mysql-master": pin, "mysql-slave": pin },
        });
        assert.deepStrictEqual([...newBases(own, before)], [["own/redis:1", "bases.redis"]]);
    });

    for (const [complaints, why] of [
        ["no such manifest: docker.io/library/redis@sha256:0", /has no such image/],
        ["toomanyrequests: You have reached your unauthenticated pull rate limit.", /no more images for now/],
        ["errors:\ndenied: requested access to the resource is denied", /requires a login/],
    ] as const) {
        it(`are refused with the key to change: ${why.source}`, () => {
            const [sentence = "", ...more] = baseRefused("redis:1", "bases.redis", complaints);
            assert.deepStrictEqual(more, []);
            assert.match(sentence, why);
            assert.match(
                sentence,
                /^the registry of the base image redis:1 [^\n]+; set bases\.redis to an image that Docker can pull, or /,
            );
        });
    }
});
