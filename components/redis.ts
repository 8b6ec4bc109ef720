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
 * Share of the memory limit that Redis may fill with data, the backlog and the buffers of clients. The rest is for what
 * slaves have not received yet and for the pages that are copied while the append-only file is rewritten. With 0.5 and a
 * limit of 128 MiB, the kernel killed the master under large writes and rewrites; with 0.375 it did not.
 */
const MAXMEMORY_SHARE = 0.3;

/** How Redis uses a memory limit, in bytes. */
export interface RedisMemory {
    /** Data with everything that Redis counts as such: its `maxmemory`. */
    readonly data: number;
    /** Writes that a slave can fetch after its connection was lost, instead of a full copy: `repl-backlog-size`. */
    readonly backlog: number;
    /** The largest value: `proto-max-bulk-len`. */
    readonly value: number;
    /** What slaves may lag behind before they need a full copy: `client-output-buffer-limit replica`. */
    readonly slaveBuffer: number;
    /** Requests and answers of all clients together: `maxmemory-clients`, and the limit of one answer. */
    readonly clientBuffer: number;
}

/** How Redis uses a memory limit. docs/data.md has a table of it; images/redis/lib.sh only passes the values on. */
export function redisMemory(limit: number): RedisMemory {
    const data = Math.floor(limit * MAXMEMORY_SHARE);
    // It counts as data: if it were larger than the data that it repeats, it would evict that data.
    const backlog = Math.min(Math.max(Math.floor(data / 8), 2 * 2 ** 20), 64 * 2 ** 20);
    // The connection may be lost after the largest write, and the slave must still find that in the backlog.
    const value = Math.floor(backlog * 0.8);
    // Not counted as data, once for all slaves.
    const slaveBuffer = Math.floor(data / 2);
    const clientBuffer = Math.floor(data / 2);
    return { data, backlog, value, slaveBuffer, clientBuffer };
}

/** The environment of a Redis container with a memory limit. */
export function redisMemoryEnv(limit: number): Env {
    const memory = redisMemory(limit);
    return {
        REDIS_MAXMEMORY: String(memory.data),
        REDIS_BACKLOG: String(memory.backlog),
        REDIS_MAX_VALUE: String(memory.value),
        REDIS_SLAVE_BUFFER: String(memory.slaveBuffer),
        REDIS_CLIENT_BUFFER: String(memory.clientBuffer),
    };
}

/** A Redis master with slaves: append-only files and a volume on every pod, asynchronous replication. */
export class Redis extends Replicated {
    constructor(name: string, args: RedisArgs, opts?: pulumi.ComponentResourceOptions) {
        const env = (common: Env, { limits }: Resources) => ({
            ...redisMemoryEnv(quantityValue(limits.memory)),
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
