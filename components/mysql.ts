import * as pulumi from "@pulumi/pulumi";

import { DATASET_DEFAULTS, type FirstContainer, type MasterOptions, type SlaveOptions } from "./dataset";
import {
    intakeOf,
    type MySQLIntake,
    type MySQLSlaveTuning,
    type MySQLTuning,
    parallelWorkers,
    redoLogBytes,
    sessionCeilings,
    sizesOf,
} from "./mysql-sizes";
import type { Resources } from "./pod";
import { type Env, Replicated, type ReplicatedArgs } from "./replicated";

/** Arguments of {@link MySQL}. */
export interface MySQLArgs extends ReplicatedArgs {
    readonly master?: MasterOptions &
        MySQLTuning &
        MySQLIntake & {
            /**
             * What a commit does while no slave confirms it. wait: the commit waits for one, so that no acknowledged write is
             * lost with the master's volume. degrade: after one second, the master commits without confirmation. Without slaves,
             * only degrade works. Default: degrade.
             */
            readonly onNoReplica?: "wait" | "degrade";
            /**
             * true: the account `dabaweb` may do everything with the database, including its tables (CREATE, ALTER, DROP and the
             * like). false: it reads and writes rows and calls procedures; tables are for the account `migration`. Default: false.
             */
            readonly applicationChangesTables?: boolean;
        };
    readonly slave?: SlaveOptions &
        MySQLSlaveTuning & {
            /**
             * true: a slave whose data has a gap, transactions of its own or damage replaces it with a new copy by itself, as
             * soon as it finds a donor that has everything the slave has; for damaged data, the master must vouch for the
             * donor. false: the slave waits for the operator. Default: true.
             */
            readonly autoReseed?: boolean;
        };
    /**
     * What fills the master's empty volume with the data of a backup, see BackupStore.restore. It does nothing in a system that
     * was ready once. Default: the master starts empty.
     */
    readonly restore?: FirstContainer;
    /** Name of the database that the accounts `dabaweb` and `migration` use. */
    readonly database: string;
}

/** The values of {@link MySQLArgs} that are not given. Less memory than this is not tested. */
export const MYSQL_DEFAULTS = {
    resources: {
        requests: { cpu: "50m", memory: "640Mi" },
        limits: { cpu: "2", memory: "640Mi" },
    },
    onNoReplica: "degrade",
    applicationChangesTables: false,
    autoReseed: true,
    binlogDays: 7,
} as const;

/** server_id = base + ordinal; 100 apart, because there are at most 20 slaves. */
const SERVER_ID_BASE = { master: 100, slave: 200 };

/** A MySQL master with slaves: GTID replication over TLS, slaves seeded by CLONE and read-only even for root. */
export class MySQL extends Replicated {
    /** Password of the account `migration`, which changes tables. */
    readonly migrationPassword: pulumi.Output<string>;

    constructor(name: string, args: MySQLArgs, opts?: pulumi.ComponentResourceOptions) {
        const { master = {}, slave = {} } = args;
        const engine = {
            port: 3306,
            runDirectory: "mysqld",
            resources: MYSQL_DEFAULTS.resources,
            accounts: ["root", "replication", "seed", "migration"],
            master: {
                env: (common: Env, resources: Resources) => ({
                    ...engineEnv(resources, SERVER_ID_BASE.master, master, masterIntake(master, slave)),
                    ...common,
                    MYSQL_DATABASE: args.database,
                    ON_NO_REPLICA: master.onNoReplica ?? MYSQL_DEFAULTS.onNoReplica,
                    APPLICATION_CHANGES_TABLES:
                        (master.applicationChangesTables ?? MYSQL_DEFAULTS.applicationChangesTables)
                            ? "yes"
                            : "no",
                }),
                closeCommand: "close",
                first: args.restore,
            },
            slave: {
                env: (common: Env, resources: Resources) => ({
                    ...engineEnv(resources, SERVER_ID_BASE.slave, slave, {
                        replica_parallel_workers: parallelWorkers(resources, slave),
                    }),
                    ...common,
                    AUTO_RESEED: (slave.autoReseed ?? MYSQL_DEFAULTS.autoReseed) ? "yes" : "no",
                }),
                seedCommand: "seed",
            },
        };
        super("dabaweb:index:MySQL", name, args, engine, opts);
        this.migrationPassword = this.passwordOf("migration");
    }
}

/** The environment of a server of either role, and the options of mysqld that become_server in images/mysql/lib.sh adds. */
export function engineEnv(
    { limits }: Resources,
    serverIdBase: number,
    options: MySQLTuning & { readonly storage?: string },
    ofRole: Readonly<Record<string, number>>,
): Env {
    const sizes = sizesOf(limits.memory, options);
    const settings = {
        max_connections: sizes.maxConnections,
        innodb_redo_log_capacity: redoLogBytes(options.storage ?? DATASET_DEFAULTS.storage, sizes, options),
        binlog_expire_logs_seconds: (options.binlogDays ?? MYSQL_DEFAULTS.binlogDays) * 86_400,
        ...sessionCeilings(sizes),
        ...ofRole,
    };
    return {
        MYSQL_BUFFER_POOL_SIZE: String(sizes.bufferPool),
        MYSQL_SERVER_ID_BASE: String(serverIdBase),
        MYSQL_SETTINGS: Object.entries(settings)
            .map(([name, value]) => `${name}=${value}`)
            .join(" "),
    };
}

/**
 * What the master accepts, as options of mysqld. The slaves' memory counts even if there are none yet: nothing that depends on
 * their number may be part of a master's pod.
 */
export function masterIntake(
    master: NonNullable<MySQLArgs["master"]>,
    slave: NonNullable<MySQLArgs["slave"]>,
): Record<string, number> {
    const servers = [master, slave].map((options) => ({
        ...sizesOf((options.resources ?? MYSQL_DEFAULTS.resources).limits.memory, options),
        storage: options.storage ?? DATASET_DEFAULTS.storage,
    }));
    const { maxPacket, maxTransaction } = intakeOf(servers, master);
    return { max_allowed_packet: maxPacket, max_binlog_cache_size: maxTransaction };
}
