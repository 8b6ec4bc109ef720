import assert from "assert";

import * as pulumi from "@pulumi/pulumi";

import { Redis, type RedisArgs } from "../../components/redis";

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
