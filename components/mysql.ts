import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { generatedPassword } from "./credentials";
import { Dataset, DatasetOptions, masterEnv, MasterOptions, slaveEnv, SlaveOptions } from "./dataset";
import { initialisedMarker } from "./marker";
import { labels } from "./pod";
import { quantityValue } from "./quantity";

/** Arguments of {@link MySQL}. */
export interface MySQLArgs {
    readonly namespace: pulumi.Input<string>;
    /** Image references of the pair. */
    readonly images: { readonly master: pulumi.Input<string>; readonly slave: pulumi.Input<string> };
    readonly master: MasterOptions & {
        /**
         * What a commit does while no slave confirms it. wait: the commit waits for one, so that no acknowledged write is
         * lost with the master's volume. degrade: after one second, the master commits without confirmation. Without slaves,
         * only degrade works.
         */
        readonly onNoReplica: "wait" | "degrade";
    };
    readonly slave: SlaveOptions & {
        /**
         * true: a slave whose data has a gap or transactions of its own replaces it with a new copy by itself, as soon as it
         * finds a donor that has everything the slave has. false: the slave waits for the operator. Default: true.
         */
        readonly autoReseed?: boolean;
    };
    /** Name of the database that the account `dabaweb` owns. */
    readonly database: string;
    /** Image pull secret. Default: none. */
    readonly pullSecret?: pulumi.Input<string>;
    /**
     * true: volumes and passwords cannot be deleted until they are unprotected. Even then the volumes outlive the stack, and
     * the next deployment uses them again. Default: false.
     */
    readonly protect?: boolean;
}

const PORT = 3306;

/** server_id = base + ordinal; 100 apart, because there are at most 20 slaves. */
const SERVER_ID_BASE = { master: 100, slave: 200 };

const MIB = 2 ** 20;
/** What mysqld needs in addition to its buffer pool: code, dictionary, 100 connections, replication threads. Measured. */
const BESIDE_BUFFER_POOL = 384 * MIB;
const MINIMUM_BUFFER_POOL = 64 * MIB;

/** A MySQL master with slaves: GTID replication over TLS, slaves seeded by CLONE and read-only even for root. */
export class MySQL extends pulumi.ComponentResource {
    /** host:port for writes: the master. */
    readonly writer: pulumi.Output<string>;
    /** host:port for reads: the ready slaves; an empty string if the stack has none. */
    readonly readers: pulumi.Output<string>;
    /** Password of the account `dabaweb`, which owns the database. */
    readonly password: pulumi.Output<string>;

    constructor(name: string, args: MySQLArgs, opts?: pulumi.ComponentResourceOptions) {
        super("dabaweb:index:MySQL", name, {}, opts);
        const secretOptions = { parent: this, protect: args.protect };
        this.password = generatedPassword(`${name}-dabaweb`, secretOptions);
        const credentials = new k8s.core.v1.Secret(
            `${name}-credentials`,
            {
                metadata: {
                    name: `${name}-credentials`,
                    namespace: args.namespace,
                    labels: labels(name, name),
                },
                stringData: {
                    root: generatedPassword(`${name}-root`, secretOptions),
                    replication: generatedPassword(`${name}-replication`, secretOptions),
                    seed: generatedPassword(`${name}-seed`, secretOptions),
                    dabaweb: this.password,
                },
            },
            { parent: this },
        );
        const shared = {
            system: name,
            namespace: args.namespace,
            port: PORT,
            runDirectory: "mysqld",
            credentials: credentials.metadata.name,
            pullSecret: args.pullSecret,
            protect: args.protect,
        };
        const slaves = `${name}-slave`;
        const marker = `${name}-initialised`;
        const master = new Dataset(
            `${name}-master`,
            {
                ...shared,
                ...args.master,
                image: args.images.master,
                replicas: 1,
                env: {
                    ...engineEnv(args.master, SERVER_ID_BASE.master),
                    ...masterEnv(args.master, slaves, PORT),
                    MYSQL_DATABASE: args.database,
                    ON_NO_REPLICA: args.master.onNoReplica,
                },
                initialisedMarker: marker,
                closeCommand: "close",
            },
            { parent: this },
        );
        initialisedMarker(
            marker,
            name,
            args.namespace,
            { slaves: args.slave.replicas, bootstrap: args.master.bootstrap ?? "" },
            master.statefulSet,
            { parent: this, protect: args.protect },
        );
        const slave = new Dataset(
            slaves,
            {
                ...shared,
                ...args.slave,
                image: args.images.slave,
                env: {
                    ...engineEnv(args.slave, SERVER_ID_BASE.slave),
                    ...slaveEnv(args.slave, `${name}-master`, slaves, PORT),
                    AUTO_RESEED: (args.slave.autoReseed ?? true) ? "yes" : "no",
                },
                seedCommand: "seed",
            },
            { parent: this },
        );
        this.writer = master.address;
        this.readers = args.slave.replicas > 0 ? slave.address : pulumi.output("");
        this.registerOutputs({ writer: this.writer, readers: this.readers });
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

function engineEnv(options: DatasetOptions, serverIdBase: number): Record<string, string> {
    return {
        MYSQL_BUFFER_POOL_SIZE: String(bufferPoolBytes(options.resources.limits.memory)),
        MYSQL_SERVER_ID_BASE: String(serverIdBase),
    };
}
