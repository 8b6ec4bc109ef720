import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { generatedPassword } from "./credentials";
import { Dataset, DatasetOptions, masterEnv, MasterOptions, slaveEnv, SlaveOptions } from "./dataset";
import { initialisedMarker } from "./marker";
import { labels } from "./pod";
import { quantityValue } from "./quantity";

/** Arguments of {@link Redis}. */
export interface RedisArgs {
    readonly namespace: pulumi.Input<string>;
    /** Image references of the pair. */
    readonly images: { readonly master: pulumi.Input<string>; readonly slave: pulumi.Input<string> };
    readonly master: MasterOptions;
    readonly slave: SlaveOptions;
    /** Image pull secret. Default: none. */
    readonly pullSecret?: pulumi.Input<string>;
    /**
     * true: volumes and passwords cannot be deleted until they are unprotected. Even then the volumes outlive the stack, and
     * the next deployment uses them again. Default: false.
     */
    readonly protect?: boolean;
}

const PORT = 6379;

/**
 * Share of the memory limit that Redis may fill with data. The rest is for the replication backlog, client buffers and
 * the pages that are copied while the append-only file is rewritten. With 0.5 and a limit of 128 MiB, the kernel killed
 * the master under large writes and rewrites; with 0.375 it did not.
 */
const MAXMEMORY_SHARE = 0.3;

/** A Redis master with slaves: append-only files and a volume on every pod, asynchronous replication. */
export class Redis extends pulumi.ComponentResource {
    /** host:port for writes: the master. */
    readonly writer: pulumi.Output<string>;
    /** host:port for reads: the ready slaves; an empty string if the stack has none. */
    readonly readers: pulumi.Output<string>;
    /** Password of the account `dabaweb`, which applications use. */
    readonly password: pulumi.Output<string>;

    constructor(name: string, args: RedisArgs, opts?: pulumi.ComponentResourceOptions) {
        super("dabaweb:index:Redis", name, {}, opts);
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
                    admin: generatedPassword(`${name}-admin`, secretOptions),
                    replication: generatedPassword(`${name}-replication`, secretOptions),
                    dabaweb: this.password,
                },
            },
            { parent: this },
        );
        const shared = {
            system: name,
            namespace: args.namespace,
            port: PORT,
            runDirectory: "redis",
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
                    REDIS_MAXMEMORY: maxmemory(args.master),
                    ...masterEnv(args.master, slaves, PORT),
                },
                initialisedMarker: marker,
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
                    REDIS_MAXMEMORY: maxmemory(args.slave),
                    ...slaveEnv(args.slave, `${name}-master`, slaves, PORT),
                },
            },
            { parent: this },
        );
        this.writer = master.address;
        this.readers = args.slave.replicas > 0 ? slave.address : pulumi.output("");
        this.registerOutputs({ writer: this.writer, readers: this.readers });
    }
}

function maxmemory(options: DatasetOptions): string {
    return String(Math.floor(quantityValue(options.resources.limits.memory) * MAXMEMORY_SHARE));
}
