import * as pulumi from "@pulumi/pulumi";

import type { MasterOptions, SlaveOptions } from "./dataset";
import type { Resources } from "./pod";
import { quantityValue } from "./quantity";
import { type Env, Replicated, type ReplicatedArgs } from "./replicated";

/** Arguments of {@link MySQL}. */
export interface MySQLArgs extends ReplicatedArgs {
    readonly master?: MasterOptions & {
        /**
         * What a commit does while no slave confirms it. wait: the commit waits for one, so that no acknowledged write is
         * lost with the master's volume. degrade: after one second, the master commits without confirmation. Without slaves,
         * only degrade works. Default: degrade.
         */
        readonly onNoReplica?: "wait" | "degrade";
    };
    readonly slave?: SlaveOptions & {
        /**
         * true: a slave whose data has a gap, transactions of its own or damage replaces it with a new copy by itself, as soon
         * as it finds a donor that has everything the slave has; for damaged data, the master must vouch for the donor. false:
         * the slave waits for the operator. Default: true.
         */
        readonly autoReseed?: boolean;
    };
    /** Name of the database that the account `dabaweb` owns. */
    readonly database: string;
}

/** The values of {@link MySQLArgs} that are not given. Less memory than this is not tested. */
export const MYSQL_DEFAULTS = {
    resources: {
        requests: { cpu: "50m", memory: "640Mi" },
        limits: { cpu: "2", memory: "640Mi" },
    },
    onNoReplica: "degrade",
    autoReseed: true,
} as const;

/** server_id = base + ordinal; 100 apart, because there are at most 20 slaves. */
const SERVER_ID_BASE = { master: 100, slave: 200 };

const MIB = 2 ** 20;
/** What mysqld needs in addition to its buffer pool: code, dictionary, 100 connections, replication threads. Measured. */
const BESIDE_BUFFER_POOL = 384 * MIB;
const MINIMUM_BUFFER_POOL = 64 * MIB;

/** A MySQL master with slaves: GTID replication over TLS, slaves seeded by CLONE and read-only even for root. */
export class MySQL extends Replicated {
    constructor(name: string, args: MySQLArgs, opts?: pulumi.ComponentResourceOptions) {
        const engine = {
            port: 3306,
            runDirectory: "mysqld",
            resources: MYSQL_DEFAULTS.resources,
            accounts: ["root", "replication", "seed"],
            master: {
                env: (common: Env, resources: Resources) => ({
                    ...engineEnv(resources, SERVER_ID_BASE.master),
                    ...common,
                    MYSQL_DATABASE: args.database,
                    ON_NO_REPLICA: args.master?.onNoReplica ?? MYSQL_DEFAULTS.onNoReplica,
                }),
                closeCommand: "close",
            },
            slave: {
                env: (common: Env, resources: Resources) => ({
                    ...engineEnv(resources, SERVER_ID_BASE.slave),
                    ...common,
                    AUTO_RESEED: (args.slave?.autoReseed ?? MYSQL_DEFAULTS.autoReseed) ? "yes" : "no",
                }),
                seedCommand: "seed",
            },
        };
        super("dabaweb:index:MySQL", name, args, engine, opts);
    }
}

/**
 * Bytes of InnoDB's buffer pool for a memory limit: half of what mysqld does not need for itself, at least 64 MiB.
 * The other half stays free for connections, temporary tables and the page cache.
 */
export function bufferPoolBytes(memoryLimit: string): number {
    const half = Math.floor((quantityValue(memoryLimit) - BESIDE_BUFFER_POOL) / 2);
    return Math.max(half - (half % MIB), MINIMUM_BUFFER_POOL);
}

function engineEnv({ limits }: Resources, serverIdBase: number): Env {
    return {
        MYSQL_BUFFER_POOL_SIZE: String(bufferPoolBytes(limits.memory)),
        MYSQL_SERVER_ID_BASE: String(serverIdBase),
    };
}
