import * as pulumi from "@pulumi/pulumi";

import type { DatasetOptions } from "./dataset";
import { quantityValue } from "./quantity";
import { type Env, Replicated, type ReplicatedArgs } from "./replicated";

/** Arguments of {@link Redis}. */
export type RedisArgs = ReplicatedArgs;

/**
 * Share of the memory limit that Redis may fill with data. The rest is for the replication backlog, client buffers and
 * the pages that are copied while the append-only file is rewritten. With 0.5 and a limit of 128 MiB, the kernel killed
 * the master under large writes and rewrites; with 0.375 it did not.
 */
const MAXMEMORY_SHARE = 0.3;

/** A Redis master with slaves: append-only files and a volume on every pod, asynchronous replication. */
export class Redis extends Replicated {
    constructor(name: string, args: RedisArgs, opts?: pulumi.ComponentResourceOptions) {
        const env = (options: DatasetOptions) => (common: Env) => ({
            REDIS_MAXMEMORY: maxmemory(options),
            ...common,
        });
        const engine = {
            port: 6379,
            runDirectory: "redis",
            accounts: ["admin", "replication"],
            master: { env: env(args.master) },
            slave: { env: env(args.slave) },
        };
        super("dabaweb:index:Redis", name, args, engine, opts);
    }
}

function maxmemory(options: DatasetOptions): string {
    return String(Math.floor(quantityValue(options.resources.limits.memory) * MAXMEMORY_SHARE));
}
