import assert from "assert";

import { accepts, type Node, sharedNodes, spreadOf, type SpreadFacts } from "../../components/spread";

const NODE: Node = { name: "a", labels: { disk: "ssd" }, taints: [], isReady: true };
const ANYWHERE = { nodeSelector: {}, tolerations: [] };

describe("a node accepts a pod", () => {
    const taint = { key: "db", value: "yes", effect: "NoSchedule" };
    const cases: [string, Partial<Node>, Partial<typeof ANYWHERE>, boolean][] = [
        ["of which nothing is said", {}, {}, true],
        ["whose selector it has", {}, { nodeSelector: { disk: "ssd" } }, true],
        ["but not one whose selector it lacks", {}, { nodeSelector: { disk: "hdd" } }, false],
        ["but not one that does not tolerate its taint", { taints: [taint] }, {}, false],
        ["that tolerates its taint", { taints: [taint] }, { tolerations: [taint as never] }, true],
        ["that tolerates all", { taints: [taint] }, { tolerations: [{ operator: "Exists" } as never] }, true],
        [
            "but not one that tolerates another value",
            { taints: [taint] },
            { tolerations: [{ key: "db", value: "no" } as never] },
            false,
        ],
        [
            "while it is cordoned, for this passes",
            { taints: [{ key: "node.kubernetes.io/unschedulable" }] },
            {},
            true,
        ],
        ["if it only prefers others", { taints: [{ key: "x", effect: "PreferNoSchedule" }] }, {}, true],
    ];
    for (const [what, node, wish, isAccepted] of cases) {
        it(what, () =>
            assert.strictEqual(accepts({ ...NODE, ...node }, { ...ANYWHERE, ...wish }), isAccepted),
        );
    }
});

describe("the pods of a system", () => {
    const three: SpreadFacts = {
        asked: undefined,
        protect: true,
        pods: 3,
        nodes: 3,
        claims: [],
        now: undefined,
    };
    const apart = [
        { name: "data-redis-master-0", node: "a" },
        { name: "data-redis-slave-0", node: "b" },
        { name: "data-redis-slave-1", node: undefined },
    ];
    const together = apart.map((claim) => ({ ...claim, node: "a" }));
    const required = { spread: "required", pods: 3 } as const;
    const cases: [string, Partial<SpreadFacts>, string][] = [
        ["must be on different nodes if the data is protected and there are enough", {}, "required"],
        ["must stay there when a node is away", { nodes: 2, claims: apart, now: required }, "required"],
        ["only try to if the data is not protected", { protect: false }, "preferred"],
        ["only try to if there are too few nodes", { nodes: 1 }, "preferred"],
        ["only try to if nobody may read the nodes", { nodes: undefined }, "preferred"],
        ["only try to if nobody may read the volumes", { claims: undefined }, "preferred"],
        [
            "keep what they are told if nobody may read the volumes",
            { claims: undefined, now: required },
            "required",
        ],
        ["only try to once there are more of them than nodes", { pods: 4, now: required }, "preferred"],
        ["must once a node is added", { now: { spread: "preferred", pods: 3 } }, "required"],
        ["only try to if volumes tie two to one node", { claims: together, now: required }, "preferred"],
        ["do what the stack file says", { asked: "required", protect: false, nodes: 1 }, "required"],
        ["do what the stack file says, with enough nodes, too", { asked: "preferred" }, "preferred"],
    ];
    for (const [what, facts, spread] of cases) {
        it(what, () => assert.strictEqual(spreadOf({ ...three, ...facts }), spread));
    }

    it("are tied to one node by volumes of it", () => {
        assert.deepStrictEqual([...sharedNodes(apart)], []);
        assert.deepStrictEqual(
            [...sharedNodes([...apart, { name: "data-redis-slave-2", node: "b" }])],
            [["b", ["data-redis-slave-0", "data-redis-slave-2"]]],
        );
    });
});
