import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { generatedPassword } from "./credentials";
import { awaitTimeouts, type FirstContainer, slaveEnv } from "./dataset";
import {
    containerSecurity,
    execProbe,
    labels,
    memoryVolume,
    Placement,
    podDefaults,
    podMetadata,
    Resources,
    selector,
} from "./pod";
import { claimOf, volumeOf } from "./volume";

/** An S3 store for backups. */
export interface Store {
    /** Its address, for example https://s3.eu-central-1.amazonaws.com. Pods must reach it. */
    readonly endpoint: string;
    /** An existing bucket. */
    readonly bucket: string;
    /** Where in the bucket. No two stacks may share a place: it belongs to the first that writes there. */
    readonly prefix: string;
    /** Default: us-east-1, which stores without regions accept. */
    readonly region?: string;
    /** true: the bucket is part of the path. false: it is part of the host name. Default: true. */
    readonly pathStyle?: boolean;
    /** The keys, or the name of an existing Secret that has them as accessKey and secretKey. */
    readonly keys: { readonly accessKey: string; readonly secretKey: pulumi.Input<string> } | string;
}

/** The values of {@link Store} and {@link MySQLBasesArgs} that are not given. */
export const BACKUP_DEFAULTS = {
    region: "us-east-1",
    pathStyle: true,
    keepDays: 14,
    schedule: "37 1 * * *",
    resources: {
        requests: { cpu: "50m", memory: "512Mi" },
        limits: { cpu: "1", memory: "512Mi" },
    },
    archive: {
        storage: "1Gi",
        resources: {
            requests: { cpu: "20m", memory: "320Mi" },
            limits: { cpu: "500m", memory: "320Mi" },
        },
    },
} as const;

/** Arguments of {@link BackupStore}. */
export interface BackupStoreArgs {
    readonly namespace: pulumi.Input<string>;
    readonly store: Store;
    /** What backups are encrypted with, before they leave the pod. Default: a generated password. */
    readonly encryptionPassword?: pulumi.Input<string>;
    /** true: the generated password cannot be deleted until it is unprotected. Default: false. */
    readonly protect?: boolean;
    readonly images: {
        /** The image mysql-backup. */
        readonly mysql: pulumi.Input<string>;
        /** Platform of the images: the pods run on no other node. Default: any node. */
        readonly platform?: string;
    };
}

/** What a MySQL master begins with. Without `at` and `gtid`, that is a base alone. */
export interface Restore {
    /** Name of a base, or latest. Default: the newest that fits `at` or `gtid`. */
    readonly base?: string;
    /** What was committed until this time is restored: ISO 8601 in UTC, with up to six decimals, or latest. */
    readonly at?: string;
    /** What was committed up to this transaction is restored, as UUID:NUMBER. */
    readonly gtid?: string;
    /**
     * Up to 64 letters, digits, dots, _ and -. One that this stack has not used yet lets the restore replace data that is there, which is kept.
     * Default: only an empty volume is filled.
     */
    readonly word?: string;
    /** With a new word: bring back the data that the last restore replaced, instead of a backup. Default: false. */
    readonly undo?: boolean;
    /** Another stack's place in the bucket. Default: this store's. */
    readonly prefix?: string;
    /** What the base was encrypted with. Default: this store's password. */
    readonly encryptionPassword?: pulumi.Input<string>;
}

/** What a container mounts that uses the store. */
const MOUNTS = [
    { name: "data", mountPath: "/data" },
    { name: "run", mountPath: "/run/mysqld" },
    { name: "tmp", mountPath: "/tmp" },
    { name: "store", mountPath: "/run/secrets/store", readOnly: true },
    { name: "encryption", mountPath: "/run/secrets/encryption", readOnly: true },
] as const;

/** Programs of the image mysql-backup. */
type Program = "base" | "list" | "receive" | "restore" | "ship";

/**
 * A store of backups, and the password that they are encrypted with, in the Secret `backup-encryption`. Without that password
 * no backup can be read: keep it where it outlives the cluster.
 */
export class BackupStore extends pulumi.ComponentResource {
    /** What has the place in the store; others are refused. */
    private readonly owner = `${pulumi.getProject()}/${pulumi.getStack()}`;
    /** The Secret with the store's keys. */
    private readonly keys: pulumi.Output<string>;
    private readonly encryption: pulumi.Output<string>;

    constructor(
        name: string,
        readonly args: BackupStoreArgs,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        super("dabaweb:index:BackupStore", name, {}, opts);
        const { store } = args;
        this.keys =
            typeof store.keys === "string"
                ? pulumi.output(store.keys)
                : this.secret(`${name}-store`, {
                      accessKey: store.keys.accessKey,
                      secretKey: pulumi.secret(store.keys.secretKey),
                  });
        const password =
            args.encryptionPassword === undefined
                ? generatedPassword(`${name}-encryption`, { parent: this, protect: args.protect })
                : pulumi.secret(args.encryptionPassword);
        this.encryption = this.secret(`${name}-encryption`, { password });
        this.registerOutputs({});
    }

    /** The environment of a container that uses the store. */
    env(prefix = this.args.store.prefix): Record<string, string> {
        const { endpoint, bucket, region, pathStyle } = this.args.store;
        return {
            STORE_ENDPOINT: endpoint,
            STORE_BUCKET: bucket,
            STORE_PREFIX: prefix,
            STORE_REGION: region ?? BACKUP_DEFAULTS.region,
            STORE_PATH_STYLE: String(pathStyle ?? BACKUP_DEFAULTS.pathStyle),
            STORE_OWNER: this.owner,
        };
    }

    /** The volumes of a pod that uses the store. */
    volumes(encryption = this.encryption): k8s.types.input.core.v1.Volume[] {
        return [
            { name: "store", secret: { secretName: this.keys, defaultMode: 0o440 } },
            { name: "encryption", secret: { secretName: encryption, defaultMode: 0o440 } },
        ];
    }

    /**
     * What fills an empty volume of a MySQL master from a base.
     *
     * @param resources of the container: the master's own, which a server on its data fits in.
     */
    restore(
        { base = "", at = "", gtid = "", word = "", undo = false, ...from }: Restore,
        resources: Resources,
    ): FirstContainer {
        const encryption =
            from.encryptionPassword === undefined
                ? this.encryption
                : this.secret("restore-encryption", { password: pulumi.secret(from.encryptionPassword) });
        return {
            container: this.container(
                "restore",
                {
                    ...this.env(from.prefix),
                    RESTORE_BASE: base,
                    RESTORE_AT: at,
                    RESTORE_GTID: gtid,
                    RESTORE_WORD: word,
                    RESTORE_UNDO: String(undo),
                },
                resources,
            ),
            volumes: this.volumes(encryption),
        };
    }

    private secret(
        name: string,
        stringData: Readonly<Record<string, pulumi.Input<string>>>,
    ): pulumi.Output<string> {
        const { namespace } = this.args;
        return new k8s.core.v1.Secret(
            name,
            { metadata: { name, namespace, labels: labels("backup", "backup") }, stringData },
            { parent: this },
        ).metadata.name;
    }

    /** A container with a program of the image that uses the store; the pod has the volumes `data`, `run`, `tmp` and {@link volumes}. */
    container(
        program: Program,
        env: Readonly<Record<string, string>>,
        resources: Resources,
        volumeMounts: FirstContainer["container"]["volumeMounts"] = [...MOUNTS],
    ): FirstContainer["container"] {
        return {
            name: program,
            image: this.args.images.mysql,
            imagePullPolicy: "IfNotPresent",
            command: [`/opt/dabaweb/bin/${program}`],
            env: [
                { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
                ...Object.entries(env).map(([key, value]) => ({ name: key, value })),
            ],
            resources,
            securityContext: containerSecurity,
            terminationMessagePolicy: "FallbackToLogsOnError",
            volumeMounts,
        };
    }
}

/** Arguments of {@link MySQLBases}. */
export interface MySQLBasesArgs extends Placement {
    readonly namespace: pulumi.Input<string>;
    readonly store: BackupStore;
    /** The Secret with the password of the account `seed`. */
    readonly credentials: pulumi.Input<string>;
    /** How old a slave's data may be, in seconds, to be copied. */
    readonly maxStaleSeconds: number;
    /** When a base is taken: a cron expression, in UTC. Default: every day at 01:37. */
    readonly schedule?: string;
    /** Age in days at which bases are deleted; the newest always stays. Default: 14. */
    readonly keepDays?: number;
    /** Size of the volume that a base is prepared on: at least that of the data. */
    readonly storage: string;
    /** StorageClass of that volume. Default: the cluster's. */
    readonly storageClass?: string;
    /** CPU and memory. The limit of CPU is what bounds the load on the node. Default: 512Mi, one core. */
    readonly resources?: Resources;
    /** Image pull secret. Default: none. */
    readonly pullSecret?: pulumi.Input<string>;
}

/** A base that takes longer than this has failed; the next begins at the next time of the schedule. Six hours. */
const BASE_SECONDS = 6 * 3600;

/** A base that could not begin within this time waits for the next time of the schedule. */
const BASE_LATE_SECONDS = 3600;

/** A finished pod keeps its volume until it is deleted. `make status` names a nightly base that failed until the next one has ended: 26 hours. */
const FINISHED_SECONDS = 26 * 3600;

/** The same for what runs every hour. */
const DUE_FINISHED_SECONDS = 2 * 3600;

/** The exit code of `base` if its base is complete, and the one before it is not proven. */
const UNPROVEN = 3;

/** When it is looked whether a base is due: every hour, at a minute that few other things begin at. */
const DUE_SCHEDULE = "7 * * * *";

/**
 * The CronJob `mysql-base`: a copy of a slave's data, by the code that seeds slaves, encrypted and uploaded. Beside it `mysql-base-due` does the same
 * within an hour if nothing can be restored otherwise: after the first deployment, after a restore, after a gap in the log.
 */
export class MySQLBases extends pulumi.ComponentResource {
    constructor(name: string, args: MySQLBasesArgs, opts?: pulumi.ComponentResourceOptions) {
        super("dabaweb:index:MySQLBases", name, {}, opts);
        this.cronJob(name, args, args.schedule ?? BACKUP_DEFAULTS.schedule, false);
        this.cronJob(`${name}-due`, args, DUE_SCHEDULE, true);
        this.registerOutputs({});
    }

    private cronJob(name: string, args: MySQLBasesArgs, schedule: string, onlyIfDue: boolean): void {
        const { store, namespace } = args;
        const metadata = { name, namespace, labels: labels("backup", name) };
        const env = {
            ...slaveEnv(
                { maxStaleSeconds: args.maxStaleSeconds, maxMasterAwaySeconds: 1 },
                "mysql-master",
                "mysql-slave",
                3306,
            ),
            ...store.env(),
            KEEP_DAYS: String(args.keepDays ?? BACKUP_DEFAULTS.keepDays),
            ONLY_IF_DUE: String(onlyIfDue),
        };
        const container = store.container("base", env, args.resources ?? BACKUP_DEFAULTS.resources);
        new k8s.batch.v1.CronJob(
            name,
            {
                metadata,
                spec: {
                    schedule,
                    timeZone: "Etc/UTC",
                    concurrencyPolicy: "Forbid",
                    startingDeadlineSeconds: BASE_LATE_SECONDS,
                    // A finished pod keeps its volume. One that had nothing to do is not worth it.
                    successfulJobsHistoryLimit: onlyIfDue ? 0 : 1,
                    failedJobsHistoryLimit: 1,
                    jobTemplate: {
                        metadata: { labels: metadata.labels },
                        spec: {
                            backoffLimit: 3,
                            // The base is complete, but the one before it is not proven: another base would not change that.
                            podFailurePolicy: {
                                rules: [
                                    {
                                        action: "FailJob",
                                        onExitCodes: {
                                            containerName: container.name,
                                            operator: "In",
                                            values: [UNPROVEN],
                                        },
                                    },
                                ],
                            },
                            activeDeadlineSeconds: BASE_SECONDS,
                            ttlSecondsAfterFinished: onlyIfDue ? DUE_FINISHED_SECONDS : FINISHED_SECONDS,
                            template: {
                                metadata: podMetadata("backup", name, args),
                                spec: {
                                    ...podOf(args),
                                    restartPolicy: "Never",
                                    containers: [
                                        {
                                            ...container,
                                            volumeMounts: [
                                                ...container.volumeMounts,
                                                {
                                                    name: "credentials",
                                                    mountPath: "/run/secrets/mysql",
                                                    readOnly: true,
                                                },
                                            ],
                                        },
                                    ],
                                    volumes: [
                                        workVolume(args),
                                        memoryVolume("run", "8Mi"),
                                        memoryVolume("tmp", "32Mi"),
                                        // Of all accounts, only the one that may clone.
                                        passwordsOf(["seed"], args.credentials),
                                        ...store.volumes(),
                                    ],
                                },
                            },
                        },
                    },
                },
            },
            { parent: this },
        );
    }
}

/** What the pods of both components have in common. */
function podOf(args: MySQLBasesArgs | MySQLArchiveArgs): ReturnType<typeof podDefaults> {
    return podDefaults({ ...args, platform: args.store.args.images.platform }, undefined, args.pullSecret);
}

/** The volume `credentials`, with the passwords of these accounts of MySQL alone. */
function passwordsOf(
    accounts: readonly string[],
    secretName: pulumi.Input<string>,
): k8s.types.input.core.v1.Volume {
    const items = accounts.map((key) => ({ key, path: key }));
    return { name: "credentials", secret: { secretName, defaultMode: 0o440, items } };
}

/** A volume that lives as long as its pod. */
function workVolume(args: MySQLBasesArgs): k8s.types.input.core.v1.Volume {
    return { name: "data", ephemeral: { volumeClaimTemplate: { spec: claimOf(args) } } };
}

/** Arguments of {@link MySQLArchive}. */
export interface MySQLArchiveArgs extends Placement {
    readonly namespace: pulumi.Input<string>;
    readonly store: BackupStore;
    /** The Secret with the passwords of the accounts `seed` and `replication`. */
    readonly credentials: pulumi.Input<string>;
    /**
     * Size of the volume on which the log waits for the store. While the store is away, it holds what is written meanwhile; the servers keep
     * their logs for days beyond that. Default: 1Gi.
     */
    readonly storage?: string;
    /** StorageClass of that volume. Default: the cluster's. */
    readonly storageClass?: string;
    /** true: that volume cannot be deleted until it is unprotected, and even then outlives the stack. Default: false. */
    readonly protect?: boolean;
    /** CPU and memory of each of the two containers. Default: 320Mi, half a core. */
    readonly resources?: Resources;
    /** Image pull secret. Default: none. */
    readonly pullSecret?: pulumi.Input<string>;
}

/** Restarts a program that hangs: both go on where they were. Ten minutes are for a slow volume. */
const whileAlive = {
    startupProbe: execProbe("alive", { periodSeconds: 2, failureThreshold: 300 }),
    livenessProbe: execProbe("alive", { periodSeconds: 60, failureThreshold: 2 }),
};

/**
 * The StatefulSet `mysql-archive`: receives the binary log of MySQL as slaves do, applies nothing, and uploads it every few seconds. Its pod is ready
 * while the store has everything that was committed until a minute ago.
 */
export class MySQLArchive extends pulumi.ComponentResource {
    constructor(name: string, args: MySQLArchiveArgs, opts?: pulumi.ComponentResourceOptions) {
        super("dabaweb:index:MySQLArchive", name, {}, opts);
        const { store, namespace } = args;
        const metadata = { name, namespace, labels: labels("backup", name) };
        const resources = args.resources ?? BACKUP_DEFAULTS.archive.resources;
        const claim = { ...args, system: "backup", storage: args.storage ?? BACKUP_DEFAULTS.archive.storage };
        const volume = volumeOf(name, 0, claim, this);
        const shipping = store.container("ship", store.env(), resources);
        const receiving = store.container(
            "receive",
            slaveEnv({ maxStaleSeconds: 1, maxMasterAwaySeconds: 1 }, "mysql-master", "mysql-slave", 3306),
            resources,
            // It has no keys of the store, and `ship` no password of MySQL.
            [
                { name: "data", mountPath: "/data" },
                { name: "run-receive", mountPath: "/run/mysqld" },
                { name: "tmp", mountPath: "/tmp" },
                { name: "credentials", mountPath: "/run/secrets/mysql", readOnly: true },
            ],
        );
        new k8s.apps.v1.StatefulSet(
            name,
            {
                metadata,
                spec: {
                    replicas: 1,
                    serviceName: name,
                    revisionHistoryLimit: 10,
                    selector: { matchLabels: selector(name) },
                    template: {
                        metadata: podMetadata("backup", name, args),
                        spec: {
                            ...podOf(args),
                            containers: [
                                {
                                    ...receiving,
                                    ...whileAlive,
                                    readinessProbe: execProbe("alive", {
                                        periodSeconds: 10,
                                        failureThreshold: 1,
                                    }),
                                },
                                {
                                    ...shipping,
                                    ...whileAlive,
                                    readinessProbe: execProbe("archived", {
                                        periodSeconds: 5,
                                        failureThreshold: 1,
                                    }),
                                },
                            ],
                            volumes: [
                                memoryVolume("run", "8Mi"),
                                memoryVolume("run-receive", "8Mi"),
                                memoryVolume("tmp", "32Mi"),
                                passwordsOf(["seed", "replication"], args.credentials),
                                ...store.volumes(),
                            ],
                        },
                    },
                    volumeClaimTemplates: [{ metadata: { name: "data" }, spec: claimOf(claim) }],
                },
            },
            {
                parent: this,
                dependsOn: [volume],
                ignoreChanges: ["spec.volumeClaimTemplates"],
                customTimeouts: awaitTimeouts(),
            },
        );
        this.registerOutputs({});
    }
}
