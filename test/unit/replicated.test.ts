import assert from "assert";

import * as pulumi from "@pulumi/pulumi";

import { Cluster } from "../../components/cluster";
import { Redis, type RedisArgs } from "../../components/redis";
import type { Rollout } from "../../components/rollout";

/** Pulumi's runtime keeps its state in a store; this gives each run a new one. */
const { withLocalStorage } = require("@pulumi/pulumi/runtime/state") as {
    withLocalStorage<T>(callback: () => Promise<T>): Promise<T>;
};

/** What a master with slaves registers, by type and name. */
function registered(options: Pick<RedisArgs, "master" | "slave">): Promise<Map<string, unknown>> {
    return withLocalStorage(async () => {
        const inputs = new Map<string, unknown>();
        const newResource = (args: pulumi.runtime.MockResourceArgs) => {
            inputs.set(`${args.type} ${args.name}`, args.inputs);
            return { id: args.name, state: args.inputs };
        };
        await pulumi.runtime.setMocks({ newResource, call: () => ({}) }, "team", "test", false);
        const images = { master: "m:1", slave: "s:1" };
        const redis = new Redis("redis", { namespace: "team", images, ...options });
        await new Promise((resolve) => redis.readers.apply(resolve));
        await pulumi.runtime.disconnect();
        return inputs;
    });
}

describe("a master with slaves, in a program of its own", () => {
    it("has the default of every option that is undefined, as of one that is not there", async () => {
        const absent = await registered({});
        const given = await registered({
            master: { storage: undefined, resources: undefined, awaitMinutes: undefined },
            slave: { replicas: undefined, storage: undefined, maxStaleSeconds: undefined },
        });
        assert.ok(absent.has("kubernetes:core/v1:PersistentVolumeClaim data-redis-slave-0"));
        assert.deepStrictEqual(given, absent);
    });
});

/**
 * What happens to the StatefulSets of a master with two slaves in an update, in order, and what Pulumi prints of the errors that
 * nothing catches, each once: the stack, or the message if there is none.
 *
 * @param questions how often the slaves are asked for until they are rolled out.
 * @param afterMaster whether they are rolled out only after the master has changed, however long that takes.
 */
async function updated(
    options: Partial<RedisArgs>,
    live: Record<string, Rollout>,
    questions = 2,
    afterMaster = false,
): Promise<{ events: string[]; errors: string[] }> {
    const events: string[] = [];
    const errors = new Map<unknown, string>();
    const listeners = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection");
    const failed = new Promise<void>((resolve) => {
        process.on("unhandledRejection", (error: Error) => {
            errors.set(error, errors.get(error) ?? (error.stack || error.message));
            resolve();
        });
    });
    const former = { ...process.env };
    const { rollout } = Cluster.prototype;
    try {
        await withLocalStorage(async () => {
            const newResource = ({ type, name, inputs }: pulumi.runtime.MockResourceArgs) => {
                if (type === "kubernetes:apps/v1:StatefulSet") {
                    events.push(`${name} changes`);
                    // The controller has not seen the slaves' change yet; the master's is a repair.
                    live[name] = { ...live[name]!, generation: 2, ready: live[name]!.wanted };
                }
                return { id: name, state: inputs as object };
            };
            let asked = 0;
            Cluster.prototype.rollout = (_, name) => {
                const now = live[name];
                const mayEnd = !afterMaster || events.includes("redis-master changes");
                if (name === "redis-slave" && now?.generation === 2 && ++asked >= questions && mayEnd) {
                    live[name] = { ...now, observedGeneration: 2 };
                    events.push("redis-slave is rolled out");
                }
                return Promise.resolve(live[name]);
            };
            await pulumi.runtime.setMocks({ newResource, call: () => ({}) }, "team", "test", false);
            const provider = new Cluster("kubernetes", { context: "here" });
            const images = { master: "m:1", slave: "s:1" };
            const slave = { replicas: 2 };
            new Redis("redis", { namespace: "team", images, slave, ...options }, { provider });
            await Promise.race([pulumi.runtime.disconnect(), failed]);
            // Node tells of errors when no promise has anything left to do.
            await new Promise(setImmediate);
        });
    } finally {
        Cluster.prototype.rollout = rollout;
        Object.assign(process.env, former);
        process.removeAllListeners("unhandledRejection");
        listeners.forEach((listener) => process.on("unhandledRejection", listener));
    }
    return { events, errors: [...errors.values()] };
}

describe("an update of a master with slaves", () => {
    const well = {
        generation: 1,
        observedGeneration: 1,
        updated: 0,
        currentRevision: "a",
        updateRevision: "a",
    };
    const system = (readyMasters: number) => ({
        "redis-master": { ...well, observedGeneration: 2, wanted: 1, existing: 1, ready: readyMasters },
        "redis-slave": { ...well, wanted: 2, existing: 2, ready: 2 },
    });

    it("changes the master when every slave is rolled out, even if Pulumi does not wait for that", async () => {
        assert.deepStrictEqual(await updated({}, system(1)), {
            events: ["redis-slave changes", "redis-slave is rolled out", "redis-master changes"],
            errors: [],
        });
    });

    it("fails with the sentence of the wait alone if slaves are not rolled out in time", async () => {
        for (const rollout of ["slavesFirst", "together"] as const) {
            const slave = { replicas: 2, awaitMinutes: 0 };
            const { errors } = await updated({ rollout, slave }, system(1), Infinity);
            assert.strictEqual(errors.length, 1, errors.join("\n"));
            assert.match(
                errors[0] ?? "",
                /^after 0 min, 0 of 2 pods of redis-slave run the new revision, 2 of 2 are ready; /,
            );
        }
    });

    for (const [what, options, readyMasters] of [
        ["a master that is not ready, which it may repair", {}, 0],
        ["a master at once if the program says so", { rollout: "together" as const }, 1],
    ] as const) {
        it(`changes ${what}, without waiting for slaves`, async () => {
            const { events } = await updated(options, system(readyMasters), 2, true);
            assert.ok(
                events.indexOf("redis-master changes") < events.indexOf("redis-slave is rolled out"),
                events.join(),
            );
        });
    }
});
