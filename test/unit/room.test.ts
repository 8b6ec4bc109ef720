import assert from "assert";

import type { StackConfig } from "../../config";
import { parts } from "../../config/demand";
import {
    allocatableOf,
    type Ground,
    isOfPool,
    type Placed,
    type PodSpec,
    roomProblems,
    type Space,
    spaceOf,
} from "../../config/room";
import { leastConfig as config } from "../support/least-config";

const MI = 2 ** 20;
const GI = 2 ** 30;

describe("the room that a pod takes, as the scheduler counts it", () => {
    const asks = (cpu?: string, memory?: string) => ({
        resources: { requests: { ...(cpu ? { cpu } : {}), ...(memory ? { memory } : {}) } },
    });
    const cases: [string, PodSpec, number, number][] = [
        ["all its containers", { containers: [asks("100m", "1Gi"), asks("1")] }, 1.1, GI],
        ["nothing if they request nothing", { containers: [{}, { resources: {} }] }, 0, 0],
        [
            "its largest init container, of each kind",
            { containers: [asks("1", "1Mi")], initContainers: [asks("2"), asks("500m", "3Mi")] },
            2,
            3 * MI,
        ],
        [
            "a sidecar beside its containers",
            {
                containers: [asks("1", "1Mi")],
                initContainers: [{ restartPolicy: "Always", ...asks("1", "1Mi") }],
            },
            2,
            2 * MI,
        ],
        [
            "an init container beside the sidecars that are listed before it",
            {
                containers: [asks("1")],
                initContainers: [
                    asks("1500m"),
                    { restartPolicy: "Always", ...asks("1") },
                    asks("1500m"),
                    { restartPolicy: "Always", ...asks("100m") },
                ],
            },
            2.5,
            0,
        ],
        [
            "its overhead",
            { containers: [asks("1")], overhead: { cpu: "250m", memory: "120Mi" } },
            1.25,
            120 * MI,
        ],
        [
            "what the whole pod requests, if it says so",
            { containers: [asks("1", "1Gi")], resources: { requests: { cpu: "3" } } },
            3,
            GI,
        ],
        ["nothing for a quantity in an unusual form", { containers: [asks("1e3", "1Gi")] }, 0, GI],
    ];
    for (const [what, spec, cpu, memory] of cases) {
        it(`is ${what}`, () => assert.deepStrictEqual(spaceOf(spec), { cpu, memory, pods: 1 }));
    }

    it("is not bounded by what a node says in an unusual form, or does not say", () => {
        assert.deepStrictEqual(allocatableOf({ cpu: "3920m", memory: "1e9" }), {
            cpu: 3.92,
            memory: Infinity,
            pods: Infinity,
        });
    });
});

describe("a node of a group that may grow", () => {
    const cases: [Record<string, string>, Record<string, string>, boolean][] = [
        [{ "karpenter.sh/nodepool": "default" }, {}, true],
        [{ "eks.amazonaws.com/nodegroup": "n" }, {}, true],
        [{ "cloud.google.com/gke-nodepool": "n" }, {}, true],
        [{ "kubernetes.azure.com/agentpool": "n" }, {}, true],
        [{ "doks.digitalocean.com/node-pool-id": "n" }, {}, true],
        [{}, { "cluster-autoscaler.kubernetes.io/scale-down-disabled": "true" }, true],
        [{}, { "cluster.x-k8s.io/machine": "m" }, true],
        [{ "kubernetes.io/hostname": "a" }, { "node.alpha.kubernetes.io/ttl": "0" }, false],
    ];
    for (const [labels, annotations, expected] of cases) {
        const [mark] = Object.keys({ ...labels, ...annotations });
        it(`is ${expected ? "" : "not "}one with ${mark}`, () =>
            assert.strictEqual(isOfPool(labels, annotations), expected));
    }
    it("is none of which nothing is said", () => assert.strictEqual(isOfPool(), false));
});

describe("the room on the nodes", () => {
    const node = (name: string, more: Partial<Ground["nodes"][number]> = {}) => ({
        name,
        labels: {
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": name,
        },
        taints: [],
        isReady: true,
        ...more,
    });
    const space = (cpu: number, mebibytes: number, pods = 110): Space => ({
        cpu,
        memory: mebibytes * MI,
        pods,
    });
    const other = (on: string, cpu: number, mebibytes: number, priority = 0): Placed => ({
        node: on,
        space: space(cpu, mebibytes, 1),
        priority,
    });
    /** The stack's own pods as they are with this configuration, all on one node. */
    const running = (stack: StackConfig, on: string): Placed[] =>
        parts(stack).flatMap(({ name, pods, containers }) =>
            Array.from({ length: pods }, (_, ordinal) => ({
                node: on,
                space: spaceOf({ containers: containers.map((resources) => ({ resources })) }),
                priority: 0,
                own: { workload: name, name: `${name}-${ordinal}` },
            })),
        );
    const all = (stack: StackConfig): Space => {
        const spaces = running(stack, "").map((pod) => pod.space);
        const of = (kind: keyof Space) => spaces.reduce((sum, each) => sum + each[kind], 0);
        return { cpu: of("cpu"), memory: of("memory"), pods: of("pods") };
    };
    const web = (stack: StackConfig) => running(stack, "").at(-1)!.space.memory / MI;

    interface Case {
        changes?: Record<string, unknown>;
        nodes?: Ground["nodes"];
        claims?: Ground["claims"];
        spread?: "required";
        allocatable: Ground["occupancy"]["allocatable"];
        pods?: readonly Placed[];
        priorities?: Record<string, number>;
        grows?: boolean;
    }
    const said = ({ changes, nodes, claims, spread = undefined, allocatable, ...rest }: Case) => {
        const wish = spread ?? "preferred";
        return roomProblems(config(changes), {
            nodes: nodes ?? Object.keys(allocatable).map((name) => node(name)),
            claims: claims ?? [],
            spread: { redis: wish, mysql: wish },
            occupancy: { allocatable, pods: [], priorities: {}, grows: false, ...rest },
        });
    };

    const BIG = { requests: { cpu: "1", memory: "8Gi" }, limits: { cpu: "1", memory: "8Gi" } };
    const big = { "mysql-master": { resources: BIG } };
    const plain = config();
    const needed = all(plain);
    const exact = { a: { ...needed } };
    const roomy = { a: space(8, 64 * 1024), b: space(8, 64 * 1024) };
    const mib = (bytes: number) => bytes / MI;

    const cases: [string, Case, RegExp | undefined, RegExp | undefined][] = [
        ["is enough if all pods fit on one node", { allocatable: roomy }, undefined, undefined],
        ["is enough if it is just enough", { allocatable: exact }, undefined, undefined],
        [
            "is too little for a pod that is larger than each node",
            { changes: big, allocatable: { a: space(4, 4096), b: space(2, 6000) } },
            /^no node has room for a pod of mysql-master: it requests cpu: 1, memory: 8192Mi, and node b, which has the most room for it, has cpu: 2, memory: 6000Mi, pods: 110 left; lower resources of mysql-master, free room on a node, or add a node$/,
            undefined,
        ],
        [
            "is too little for a pod of which others have the place",
            {
                changes: big,
                allocatable: { a: space(4, 16_384) },
                pods: [other("a", 1, 12_000)],
            },
            /^no node has room for a pod of mysql-master: .* node a, .* has cpu: 3, memory: 4384Mi, pods: 109 left/,
            undefined,
        ],
        [
            "is too little if a node has no number left for a pod",
            { allocatable: { a: space(8, 64_000, 1) }, pods: [other("a", 0, 0)] },
            /^(no node has room for a pod of [a-z-]+: .* pods: 0 left; .*(\n|$)){5}/,
            undefined,
        ],
        [
            "is counted on nodes that accept the pod alone",
            {
                changes: { ...big, "mysql-slave": { replicas: 0 } },
                nodes: [node("a"), node("b", { taints: [{ key: "x", effect: "NoSchedule" }] })],
                allocatable: { a: space(4, 4096), b: space(64, 640_000) },
            },
            /node a, which has the most room for it, has cpu: 4/,
            undefined,
        ],
        [
            "is no question for a pod that no node accepts, which is said elsewhere",
            {
                changes: { "mysql-master": { resources: BIG, nodeSelector: { disk: "ssd" } } },
                allocatable: { a: space(4, 6000) },
            },
            undefined,
            undefined,
        ],
        [
            "is counted on a node that is cordoned, which passes, but no place is found there",
            { nodes: [node("a", { isReady: false })], allocatable: roomy },
            undefined,
            /^when the other pods of the stack have their places, no node that is ready takes a pod of redis-master, .*`up` would wait for redis-master\.awaitMinutes, then fail/m,
        ],
        [
            "is enough for pods that are on a cordoned node already",
            {
                nodes: [node("a", { isReady: false }), node("b")],
                allocatable: { ...exact, b: space(1, web(plain)) },
                pods: running(plain, "a"),
            },
            undefined,
            undefined,
        ],
        [
            "is what the stack itself has there now",
            { allocatable: exact, pods: running(plain, "a") },
            undefined,
            /^no node has room for one web pod more, which requests cpu: \S+, memory: \S+, and an update of the web pods needs one: `up` would wait for dabacluster\.awaitMinutes, then fail; lower resources of dabacluster/,
        ],
        [
            "is enough for a web pod more",
            {
                allocatable: { a: { cpu: needed.cpu + 1, memory: needed.memory + web(plain) * MI, pods: 6 } },
                pods: running(plain, "a"),
            },
            undefined,
            undefined,
        ],
        [
            "is at least what the stack has there, even on a node that became smaller",
            { allocatable: { a: space(0.1, 100, 3) }, pods: running(plain, "a") },
            undefined,
            /^no node has room for one web pod more/,
        ],
        [
            "is too little for all pods together, although there is room for each",
            { allocatable: { a: { ...needed, memory: needed.memory - MI } } },
            new RegExp(
                `^the 5 pods of the stack together request memory: ${mib(needed.memory)}Mi, but the node that accepts them has ` +
                    `memory: ${mib(needed.memory) - 1}Mi left; lower replicas or resources, free room on the nodes, or add a node$`,
            ),
            undefined,
        ],
        [
            "is too little for all pods together on several nodes",
            { allocatable: { a: space(0.07, 4096), b: space(0.07, 4096) } },
            /^the 5 pods of the stack together request cpu: \S+, but the 2 nodes that accept them have cpu: 0\.14 left/,
            undefined,
        ],
        [
            "is perhaps too little where it is in pieces",
            {
                changes: {
                    "mysql-master": { resources: { ...BIG, requests: { cpu: "1", memory: "4Gi" } } },
                    "mysql-slave": { resources: { ...BIG, requests: { cpu: "1", memory: "4Gi" } } },
                },
                allocatable: { a: space(8, 7000), b: space(8, 3000) },
            },
            undefined,
            /^when the other pods .* takes a pod of mysql-slave, which requests cpu: 1, memory: 4096Mi: unless the scheduler finds a better order, `up` would wait for mysql-slave\.awaitMinutes/,
        ],
        [
            "is too little on the one node that has the pod's volume",
            {
                changes: big,
                claims: [{ name: "data-mysql-master-0", node: "a" }],
                allocatable: { a: space(4, 4096), b: space(64, 640_000) },
            },
            /^node a has the volume of mysql-master-0, but no room for it: it requests cpu: 1, memory: 8192Mi, and the node has cpu: 4, memory: 4096Mi, pods: 110 left; lower resources of mysql-master, or free room on that node$/,
            undefined,
        ],
        [
            "may become enough where nodes are added by themselves",
            { changes: big, allocatable: { a: space(4, 4096) }, grows: true },
            undefined,
            /^no node has room for a pod of mysql-master: .* left; unless the cluster adds a node by itself, lower resources of mysql-master/,
        ],
        [
            "may become enough for all pods where nodes are added by themselves",
            { allocatable: { a: space(0.07, 64_000) }, grows: true },
            undefined,
            /^the 5 pods of the stack together request .*; unless the cluster adds a node by itself, lower replicas/,
        ],
        [
            "does not become enough by another node for a pod whose volume is on this one",
            {
                changes: big,
                claims: [{ name: "data-mysql-master-0", node: "a" }],
                allocatable: { a: space(4, 4096) },
                grows: true,
            },
            /^node a has the volume of mysql-master-0/,
            undefined,
        ],
        [
            "need not be there for a further web pod where nodes are added by themselves",
            { allocatable: exact, pods: running(plain, "a"), grows: true },
            undefined,
            undefined,
        ],
        [
            "is what pods of less priority leave, too",
            { allocatable: exact, pods: [other("a", 4, 4096, -10)] },
            undefined,
            undefined,
        ],
        [
            "is what pods of less priority leave, too, by the stack's own priority class",
            {
                changes: Object.fromEntries(
                    parts(plain).map(({ name }) => [name, { priorityClassName: "high" }]),
                ),
                allocatable: exact,
                pods: [other("a", 4, 4096, 10)],
                priorities: { high: 100 },
            },
            undefined,
            undefined,
        ],
        [
            "is not what pods of more priority have",
            {
                changes: { "redis-master": { priorityClassName: "high" } },
                allocatable: exact,
                pods: [other("a", 4, 4096, 1000)],
                priorities: { high: 100 },
            },
            /^no node has room for a pod of redis-master/,
            undefined,
        ],
        [
            "is not known to be too little if the stack's priority is not known",
            {
                changes: Object.fromEntries(
                    parts(plain).map(({ name }) => [name, { priorityClassName: "hidden" }]),
                ),
                allocatable: exact,
                pods: [other("a", 4, 4096, 1000)],
            },
            undefined,
            undefined,
        ],
        [
            "is too little on the node that has no pod of the system yet, where each must have its own",
            {
                allocatable: { a: space(8, 64_000), b: space(0.01, 64_000) },
                spread: "required",
            },
            undefined,
            /^when the other pods .* takes a pod of mysql-slave, .*\nwhen the other pods .* takes a pod of redis-slave, |^when the other pods .* takes a pod of redis-slave, .*\nwhen the other pods .* takes a pod of mysql-slave, /,
        ],
        [
            "is enough if each pod of a system has its own node",
            { allocatable: roomy, spread: "required" },
            undefined,
            undefined,
        ],
    ];
    for (const [what, given, refused, remark] of cases) {
        it(what, () => {
            const found = said(given);
            const texts = [found.refused.join("\n"), found.remarks.join("\n")] as const;
            assert.match(texts[0], refused ?? /^$/);
            assert.match(texts[1], remark ?? /^$/);
        });
    }

    it("is said of each workload once, however many pods it has", () => {
        const many = { "mysql-slave": { replicas: 5, resources: BIG } };
        assert.strictEqual(
            said({ changes: many, allocatable: { a: space(4, 4096) } }).refused.filter((each) =>
                each.includes("mysql-slave"),
            ).length,
            1,
        );
    });

    it("leaves the pods of a running stack where they are, however its nodes are divided", () => {
        const memory = (mebibytes: number) => ({
            resources: { ...BIG, requests: { cpu: "1m", memory: `${mebibytes}Mi` } },
        });
        const changes = {
            "mysql-master": { ...memory(500), storage: "8Gi" },
            "mysql-slave": { ...memory(400), storage: "8Gi", replicas: 2 },
            "redis-master": { ...memory(300), storage: "8Gi" },
            "redis-slave": { replicas: 0 },
            dabacluster: { ...memory(190), nginxResources: memory(10).resources, replicas: 2 },
        };
        // The largest pods first, each in the tightest place, would leave none for the last one.
        const nodeOf: Record<string, string> = {
            "mysql-slave-0": "b",
            "mysql-slave-1": "b",
            "dabacluster-1": "b",
        };
        const pods = running(config(changes), "a").map((pod) => ({
            ...pod,
            node: nodeOf[pod.own?.name ?? ""] ?? "a",
        }));
        const allocatable = { a: space(8, 1000), b: space(8, 1000), spare: space(8, 200) };
        assert.deepStrictEqual(said({ changes, allocatable, pods }), { refused: [], remarks: [] });
    });
});
