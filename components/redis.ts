import * as pulumi from "@pulumi/pulumi";

import type { Resources } from "./pod";
import { quantityValue } from "./quantity";
import { type Env, Replicated, type ReplicatedArgs } from "./replicated";

/** Arguments of {@link Redis}. */
export type RedisArgs = ReplicatedArgs;

/** The smallest resources that Redis is tested with, and the default. */
export const REDIS_RESOURCES: Resources = {
    requests: { cpu: "20m", memory: "192Mi" },
    limits: { cpu: "1", memory: "192Mi" },
};

/**
 * Share of the memory limit that Redis may fill with data. The rest is for the replication backlog, client buffers and
 * the pages that are copied while the append-only file is rewritten. With 0.5 and a limit of 128 MiB, the kernel killed
 * the master under large writes and rewrites; with 0.375 it did not.
 */
const MAXMEMORY_SHARE = 0.3;

/** A Redis master with slaves: append-only files and a volume on every pod, asynchronous replication. */
export class Redis extends Replicated {
    constructor(name: string, args: RedisArgs, opts?: pulumi.ComponentResourceOptions) {
        const env = (common: Env, { limits }: Resources) => ({
            REDIS_MAXMEMORY: String(Math.floor(quantityValue(limits.memory) * MAXMEMORY_SHARE)),
            ...common,
        });
        const engine = {
            port: 6379,
            runDirectory: "redis",
            resources: REDIS_RESOURCES,
            accounts: ["admin", "replication"],
            master: { env },
            slave: { env },
        };
        super("dabaweb:index:Redis", name, args, engine, opts);
    }
}
