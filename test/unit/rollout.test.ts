import assert from "assert";

import { isRolledOut, type Rollout, rolloutProgress, slavesGoFirst } from "../../components/rollout";

/** Two pods of the first revision, all well. */
const SETTLED: Rollout = {
    generation: 1,
    observedGeneration: 1,
    wanted: 2,
    existing: 2,
    updated: 2,
    ready: 2,
    currentRevision: "a",
    updateRevision: "a",
};
/** The same after a change of its spec that the controller has seen. */
const CHANGED: Rollout = { ...SETTLED, generation: 2, observedGeneration: 2 };

describe("the rollout of a StatefulSet", () => {
    const cases: [string, Partial<Rollout>, boolean][] = [
        ["is over when every pod runs the newest revision and is ready", {}, true],
        ["has not begun while the controller has not seen the change", { observedGeneration: 1 }, false],
        ["is not over while a pod has the former revision", { updated: 1, updateRevision: "b" }, false],
        ["is not over while the last new pod is not ready", { ready: 1, updateRevision: "b" }, false],
        ["is not over while an added pod is not ready", { wanted: 3, existing: 3, ready: 2 }, false],
        ["is not over while a surplus pod is there", { wanted: 1 }, false],
        ["is over without any pod", { wanted: 0, existing: 0, updated: 0, ready: 0 }, true],
    ];
    for (const [what, change, isOver] of cases) {
        it(what, () => {
            assert.strictEqual(isRolledOut(SETTLED, { ...CHANGED, ...change }), isOver);
        });
    }

    it("is no reason to wait for pods that the update did not change and that are not ready", () => {
        assert.ok(isRolledOut(SETTLED, { ...SETTLED, ready: 0 }));
    });

    it("is a reason to wait if a former update was left in the middle of it", () => {
        const halfway = { ...SETTLED, updated: 1, updateRevision: "b" };
        assert.ok(!isRolledOut(halfway, halfway));
    });

    it("is told in numbers", () => {
        assert.strictEqual(
            rolloutProgress("redis-slave", { ...SETTLED, updated: 1 }),
            "1 of 2 pods of redis-slave run the new revision, 2 of 2 are ready",
        );
        assert.strictEqual(
            rolloutProgress("redis-slave", { ...SETTLED, wanted: 1 }),
            "redis-slave still has 2 of its 2 pods and should have 1",
        );
    });
});

describe("slaves are updated before their master", () => {
    const cases: [string, Parameters<typeof slavesGoFirst>, boolean][] = [
        ["in an update of a system that is up", ["slavesFirst", SETTLED, SETTLED, 2], true],
        ["also if a slave is not ready", ["slavesFirst", SETTLED, { ...SETTLED, ready: 0 }, 2], true],
        ["also if the update adds more of them", ["slavesFirst", SETTLED, SETTLED, 3], true],
        ["but not at the first start", ["slavesFirst", undefined, undefined, 2], false],
        [
            "but not after a first start that failed",
            ["slavesFirst", { ...SETTLED, ready: 0 }, SETTLED, 2],
            false,
        ],
        ["but not if the master needs repair", ["slavesFirst", { ...SETTLED, ready: 0 }, SETTLED, 2], false],
        ["but not if there are none", ["slavesFirst", SETTLED, { ...SETTLED, wanted: 0 }, 0], false],
        ["but not if they are the first ones", ["slavesFirst", SETTLED, { ...SETTLED, wanted: 0 }, 2], false],
        ["but not if none will be left", ["slavesFirst", SETTLED, SETTLED, 0], false],
        ["but not if the stack says otherwise", ["together", SETTLED, SETTLED, 2], false],
    ];
    for (const [what, given, isFirst] of cases) {
        it(what, () => assert.strictEqual(slavesGoFirst(...given), isFirst));
    }
});
