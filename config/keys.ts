/** Every key of a stack file, with its form, default and description. docs/config.md is generated from this file. */
import { z } from "zod";

import { BACKUP_DEFAULTS } from "../components/backup";
import { BASES, mapProductBases, type ProductBase } from "../components/bases";
import { CLEANUP_DEFAULTS, DEFAULT_THREADS } from "../components/dabaweb";
import { DATASET_DEFAULTS, SLAVE_DEFAULTS } from "../components/dataset";
import { type ImageName, mapImages } from "../components/images";
import { MYSQL_DEFAULTS } from "../components/mysql";
import type { Resources } from "../components/pod";
import { quantityValue } from "../components/quantity";
import { REDIS_RESOURCES } from "../components/redis";
import {
    accessKey,
    anyName,
    anyText,
    baseName,
    bucketName,
    bytes,
    cores,
    cronSchedule,
    hostName,
    imagePrefix,
    labelKey,
    labelValue,
    namespaceName,
    objectName,
    openUrl,
    origin,
    password,
    pinnedImage,
    pointInTime,
    regionName,
    siteHost,
    restoreWord,
    storageClassName,
    storePath,
    taggedImage,
    userName,
    word,
    transaction,
} from "./forms";

function resourcesOf(leastMemory: string, defaults: Resources) {
    const amounts = (least: string) =>
        z.strictObject({
            cpu: cores.describe("Cores."),
            memory: bytes(least, "4Ti", "1Gi").describe("Bytes."),
        });
    return z
        .strictObject({ requests: amounts("1Mi"), limits: amounts(leastMemory) })
        .superRefine(({ requests, limits }, context) => {
            for (const key of ["cpu", "memory"] as const) {
                if (quantityValue(requests[key]) > quantityValue(limits[key])) {
                    context.addIssue({
                        code: "custom",
                        path: ["requests", key],
                        message: `it must not exceed limits.${key}, which is ${limits[key]}; lower the request or raise the limit`,
                    });
                }
            }
        })
        .default(defaults)
        .describe("CPU and memory of each container. A limit must not be below its request.");
}

/** The memory limit equals the request, and the limit of CPU is one core. */
const withinOneCore = (cpu: string, memory: string): Resources => ({
    requests: { cpu, memory },
    limits: { cpu: "1", memory },
});

const toleration = z
    .strictObject({
        key: labelKey.optional(),
        operator: z.enum(["Exists", "Equal"]).optional(),
        value: labelValue.optional(),
        effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]).optional(),
        tolerationSeconds: z.int().min(0).max(86_400).optional(),
    })
    // The API server would refuse these halfway through an update.
    .superRefine(({ key, operator, value, effect, tolerationSeconds }, context) => {
        const refuse = (path: string, message: string) =>
            context.addIssue({ code: "custom", path: [path], message });
        if (key === undefined && operator !== "Exists") {
            refuse(
                "operator",
                "a toleration without a key tolerates every taint; set it to Exists, or set key",
            );
        }
        if (operator === "Exists" && value !== undefined && value !== "") {
            refuse("value", "the operator Exists compares no value; remove it or set the operator to Equal");
        }
        if (tolerationSeconds !== undefined && effect !== "NoExecute") {
            refuse(
                "tolerationSeconds",
                "it applies only to the effect NoExecute; remove it or set that effect",
            );
        }
    });

const placement = {
    nodeSelector: z
        .record(labelKey, labelValue)
        .default({})
        .describe("Labels that a node must have to run the pods."),
    podAnnotations: z
        .record(labelKey, anyText)
        .default({})
        .describe("Annotations of the pods, for example for a service mesh. A change replaces the pods."),
    tolerations: z.array(toleration).default([]).describe("Taints that the pods tolerate."),
    priorityClassName: objectName
        .optional()
        .describe("An existing PriorityClass. Unset: the cluster's default."),
    awaitMinutes: z
        .int()
        .min(1)
        .max(120)
        .default(DATASET_DEFAULTS.awaitMinutes)
        .describe("How many minutes `pulumi up` waits for the pods to become ready before it fails."),
};

const storageFrom = (least: string) => ({
    storage: bytes(least, "64Ti", "20Gi")
        .default(DATASET_DEFAULTS.storage)
        .describe(
            "Size of each pod's volume. It can grow if the storage class allows expansion, but never shrink.",
        ),
    storageClass: storageClassName
        .optional()
        .describe(
            'Overrides the top-level `storageClass`. Unset in both places: the cluster\'s default class. "": no dynamic provisioning.',
        ),
    accessMode: z
        .enum(["ReadWriteOnce", "ReadWriteOncePod"])
        .default(DATASET_DEFAULTS.accessMode)
        .describe(
            "How a new volume can be mounted: by pods of one node, or by one pod alone, which needs a CSI driver that can do it. Existing volumes keep what they have.",
        ),
});
const REDIS_STORAGE = storageFrom("256Mi");
// The files of an empty server take some 200 MiB, and a week of binary logs takes as much for the heartbeats alone. Add the
// log that is being written and, on slaves, the relay log: each grows to 128 MiB before the next one begins.
const MYSQL_STORAGE = storageFrom("1Gi");

/** A system may have no slaves. It always has exactly one master, so masters have no such key. */
const slaves = z.int().min(0).max(20).default(SLAVE_DEFAULTS.replicas).describe("Number of slaves.");

const master = {
    bootstrap: word
        .optional()
        .describe(
            "Override for a master that waits because its volume is lost or is older than those of its slaves. A new word lets the master continue with the data of the most advanced slave that answers, or start empty if none answers. Each word works once.",
        ),
};

const slave = {
    replicas: slaves,
    maxStaleSeconds: z
        .int()
        .min(5)
        .max(86_400)
        .default(SLAVE_DEFAULTS.maxStaleSeconds)
        .describe("How old a slave's data may be, in seconds, while its link to the master is up."),
    maxMasterAwaySeconds: z
        .int()
        .min(1)
        .max(86_400)
        .default(SLAVE_DEFAULTS.maxMasterAwaySeconds)
        .describe("How many seconds a slave continues to serve reads while the master is away."),
};

// The engines are not tested with less memory than the first argument.
const redisResources = resourcesOf("128Mi", REDIS_RESOURCES);
const mysqlResources = resourcesOf("512Mi", MYSQL_DEFAULTS.resources);

const mysqlTuning = {
    maxConnections: z
        .int()
        .min(80)
        .max(10_000)
        .optional()
        .describe(
            "`max_connections`: 53 for the stack itself, the rest for applications. Each takes 512Ki of the memory limit. Unset: see docs/memory.md.",
        ),
    bufferPool: bytes("64Mi", "4Ti", "2Gi")
        .optional()
        .describe("`innodb_buffer_pool_size`, in bytes. Unset: see docs/memory.md."),
    redoLog: bytes("96Mi", "512Gi", "2Gi")
        .optional()
        .describe(
            "`innodb_redo_log_capacity`, in bytes, on the volume. Unset: a tenth of `storage`, at least 96Mi, at most the buffer pool and 4Gi.",
        ),
    binlogDays: z
        .int()
        .min(1)
        .max(365)
        .default(MYSQL_DEFAULTS.binlogDays)
        .describe(
            "Days that binary logs are kept on the volume. A slave that was away for longer is seeded again.",
        ),
};

function ownBase(name: ProductBase) {
    return taggedImage
        .optional()
        .describe(
            `Unset: the official image that images/*/Dockerfile pins in ${BASES[name]}. Include the digest: with a tag alone, an image that is pushed again under that tag goes unnoticed.`,
        );
}

function takenAsItIs(image: ImageName) {
    return pinnedImage.optional().describe(`Unset: the stack builds ${image}.`);
}

export const keys = z.strictObject({
    kubeContext: anyName.describe(
        "A context of the kubeconfig that the environment variable KUBECONFIG points to. There is no default.",
    ),
    namespace: z
        .strictObject({
            name: namespaceName.describe("Namespace for everything in the stack."),
            create: z
                .boolean()
                .describe(
                    "true: the stack creates the namespace and deletes it, with every volume in it. false: the namespace must already exist, and it outlives the stack.",
                ),
        })
        .describe("The namespace that the stack is deployed to."),
    registry: z
        .strictObject({
            address: imagePrefix.describe(
                "Where images are pushed to and pulled from. A loopback host is reached over http.",
            ),
            username: userName
                .optional()
                .describe("Unset: the Docker CLI's login for this registry is used, if there is one."),
            password: password
                .optional()
                .describe("Requires `username`. Set it as a secret, never in plain text."),
            pullSecret: objectName
                .optional()
                .describe(
                    "An existing image pull secret. Unset: if `username` is set, the stack creates a secret from it; otherwise the nodes use their own login, or the registry needs none.",
                ),
            plainHttp: z
                .boolean()
                .default(false)
                .describe(
                    "true: the registry is reached over plain http. The Docker Engine (`insecure-registries`) and the nodes must be set up for that, too.",
                ),
            keepImages: z
                .boolean()
                .default(true)
                .describe("false: replaced and destroyed images are deleted from the registry, by digest."),
        })
        .describe("The registry for the stack's images."),
    mirror: z
        .strictObject({
            images: imagePrefix
                .optional()
                .describe(
                    "Prefix that replaces Docker Hub for the official base images, for example <prefix>/redis. It does not apply to images in `bases`.",
                ),
            pip: openUrl.optional().describe("Index URL that replaces PyPI when dabaweb is built."),
            proxy: openUrl
                .optional()
                .describe(
                    "HTTP proxy for access to PyPI, or to the index in `pip`, when dabaweb is built. The build containers must reach it, so it must not be a loopback address. A different proxy makes a different image.",
                ),
        })
        .default({})
        .describe("Where builds download from."),
    bases: z
        .strictObject(mapProductBases(ownBase))
        .default({})
        .describe(
            "Your own base images, for example hardened ones. They must have on PATH what the official images have: the server, its client, bash and coreutils. `python-build` also needs a C compiler, MariaDB's connector, and the same Python at the same path as `python`.",
        ),
    platform: z
        .enum(["linux/amd64", "linux/arm64"])
        .default("linux/amd64")
        .describe("Platform of the images. The nodes must match it."),
    images: z
        .strictObject(mapImages(takenAsItIs))
        .default({})
        .describe(
            "Images pinned by digest, as `make promote` writes them. The stack does not build these. If all are pinned, Docker is not needed.",
        ),
    publicUrl: origin.describe(
        "The address that browsers use. It determines the allowed hosts, CSRF origins and cookie flags.",
    ),
    service: z
        .discriminatedUnion("type", [
            z.strictObject({
                type: z.literal("NodePort"),
                nodePort: z
                    .int()
                    .min(30000)
                    .max(32767)
                    .describe("Port on every node. Each stack in a cluster needs its own."),
                externalTrafficPolicy: z
                    .enum(["Cluster", "Local"])
                    .default("Cluster")
                    .describe(
                        "Cluster: every node answers, but logs and the sign-in limit see a node's address instead of the client's. Local: they see the client's address, but only nodes with a web pod answer.",
                    ),
            }),
            z.strictObject({ type: z.literal("ClusterIP") }),
        ])
        .describe("How the web tier is exposed."),
    ingress: z
        .strictObject({
            className: objectName.describe("An existing IngressClass."),
            host: hostName.describe("The site's host name, the same as in `publicUrl`."),
            tlsSecret: objectName
                .optional()
                .describe(
                    "An existing Secret with the certificate and key. Unset: TLS ends elsewhere, or the controller uses its own certificate.",
                ),
            annotations: z
                .record(labelKey, anyText)
                .default({})
                .describe(
                    "Annotations for the controller. Imports need request bodies of 4 MB and a timeout of 2 minutes.",
                ),
        })
        .optional()
        .describe("An Ingress in front of the web tier. It requires a `service` of type ClusterIP."),
    protect: z
        .boolean()
        .default(false)
        .describe(
            "true: volumes and passwords cannot be deleted until you unprotect them. Even then, volumes outlive the stack, and the next `up` uses them again.",
        ),
    spread: z
        .enum(["required", "preferred"])
        .optional()
        .describe(
            "How the pods of Redis, and those of MySQL, are spread over the nodes, master and slaves together. required: two pods never share a node while another one is free. preferred: they only try to. Unset: required with `protect` if there are enough nodes and no volumes tie two of the pods to one node, otherwise preferred.",
        ),
    rollout: z
        .enum(["slavesFirst", "together"])
        .default("slavesFirst")
        .describe(
            "slavesFirst: in an update, a master's pod is not replaced before each of its slaves runs the new revision and is ready. If the master is not ready when the update begins, it does not wait. together: it never waits, for example because slaves need its update to become ready.",
        ),
    storageClass: storageClassName
        .optional()
        .describe(
            'StorageClass of every volume. Unset: the cluster\'s default class. "": no dynamic provisioning. Pulumi reads a key without a value as "", with a warning.',
        ),
    "redis-master": z
        .strictObject({ ...master, ...REDIS_STORAGE, resources: redisResources, ...placement })
        .prefault({})
        .describe("The Redis master, always one pod."),
    "redis-slave": z
        .strictObject({ ...slave, ...REDIS_STORAGE, resources: redisResources, ...placement })
        .prefault({})
        .describe("The Redis slaves."),
    "mysql-master": z
        .strictObject({
            onNoReplica: z
                .enum(["wait", "degrade"])
                .default(MYSQL_DEFAULTS.onNoReplica)
                .describe(
                    "What a commit does while no slave confirms it. wait: the commit waits, so that no acknowledged write is lost with the master's volume. degrade: after one second, the master commits without confirmation.",
                ),
            applicationChangesTables: z
                .boolean()
                .default(MYSQL_DEFAULTS.applicationChangesTables)
                .describe(
                    "true: the account `dabaweb` may also change tables (CREATE, ALTER, DROP and the like), for another application that uses it. false: it reads and writes rows and calls procedures, and only the migration changes tables, with an account of its own.",
                ),
            maxPacket: bytes("1Mi", "1Gi", "64Mi")
                .optional()
                .describe(
                    "`max_allowed_packet`, in bytes: the largest statement and the largest value. A larger one gets error 1153 or 2006. Unset: see docs/memory.md.",
                ),
            maxTransaction: bytes("4Mi", "4Gi", "256Mi")
                .optional()
                .describe(
                    "`max_binlog_cache_size`, in bytes: the most row changes in one transaction. A larger one gets error 1197. Unset: a quarter of the smaller volume, 64Mi to 4Gi, because all of it lies in a temporary file and in the logs of every server, see docs/memory.md.",
                ),
            ...mysqlTuning,
            ...master,
            ...MYSQL_STORAGE,
            resources: mysqlResources,
            ...placement,
        })
        .prefault({})
        .describe("The MySQL master, always one pod."),
    "mysql-slave": z
        .strictObject({
            ...slave,
            autoReseed: z
                .boolean()
                .default(MYSQL_DEFAULTS.autoReseed)
                .describe(
                    "true: a slave whose data has a gap, transactions of its own or damage replaces it with a new copy by itself, as soon as it finds a donor that has everything the slave has; for damaged data, the master must vouch for the donor. false: the slave waits for the operator.",
                ),
            parallelWorkers: z
                .int()
                .min(1)
                .max(64)
                .optional()
                .describe(
                    "`replica_parallel_workers`: how many transactions a slave applies side by side. Unset: two per core of the limit, 2 to 16.",
                ),
            ...mysqlTuning,
            ...MYSQL_STORAGE,
            resources: mysqlResources,
            ...placement,
        })
        .prefault({})
        .describe("The MySQL slaves."),
    dabacluster: z
        .strictObject({
            replicas: z.int().min(1).max(100).default(1).describe("Number of web pods."),
            resources: resourcesOf("192Mi", withinOneCore("50m", "384Mi")),
            nginxResources: resourcesOf("64Mi", withinOneCore("10m", "64Mi")),
            workers: z
                .int()
                .min(1)
                .max(32)
                .optional()
                .describe(
                    "gunicorn worker processes in each pod. Unset: one per 192Mi of the memory limit, at most two per core.",
                ),
            threads: z
                .int()
                .min(1)
                .max(32)
                .default(DEFAULT_THREADS)
                .describe(
                    "Threads of each worker. A pod has up to workers x (threads + 1) connections to each MySQL server.",
                ),
            secretKeyVersion: z
                .int()
                .min(1)
                .max(1000)
                .default(1)
                .describe(
                    "Number of the generated key that signs sessions, cookies and previews of imports. What the key with the number before it has signed stays valid: raise it by 1 to change the key; while old and new web pods serve side by side, some people may have to sign in again. By 2 or more, everybody signs in again: do so if the key has leaked.",
                ),
            extraHosts: z
                .array(siteHost)
                .default([])
                .describe(
                    "Host names and addresses that the site answers to in addition to the one in `publicUrl`, with the same scheme, for example those of nodes.",
                ),
            publicPages: z
                .boolean()
                .default(false)
                .describe(
                    "true: anyone can read /User_data and /Code_data, including salaries, as on the original site. false: users must sign in, and their roles decide what they see.",
                ),
            cleanup: z
                .strictObject({
                    schedule: cronSchedule
                        .default(CLEANUP_DEFAULTS.schedule)
                        .describe("When it runs, in UTC. Unset: every day at 03:17."),
                    suspend: z
                        .boolean()
                        .default(CLEANUP_DEFAULTS.suspend)
                        .describe(
                            "true: it does not run by itself. You can still run it by hand, and later runs delete what has become old meanwhile.",
                        ),
                    keepLogDays: z
                        .int()
                        .min(1)
                        .max(3650)
                        .default(CLEANUP_DEFAULTS.keepLogDays)
                        .describe(
                            'Age in days at which log entries are deleted. They are what "History" shows: who changed what.',
                        ),
                })
                .prefault({})
                .describe("The CronJob that deletes expired sessions and old log entries."),
            ...placement,
        })
        .prefault({})
        .describe("The web tier: dabaweb and nginx in one pod."),
    backup: z
        .strictObject({
            store: z
                .strictObject({
                    endpoint: openUrl.describe("Address of an S3 store. Pods must reach it."),
                    bucket: bucketName.describe("An existing bucket."),
                    prefix: storePath
                        .optional()
                        .describe(
                            "Where in the bucket. The place belongs to the first stack that writes there; others are refused. Unset: dabaweb/<stack>.",
                        ),
                    region: regionName
                        .default(BACKUP_DEFAULTS.region)
                        .describe("Region of the bucket. Stores without regions accept any."),
                    pathStyle: z
                        .boolean()
                        .default(BACKUP_DEFAULTS.pathStyle)
                        .describe(
                            "true: the bucket is part of the path. false: it is part of the host name.",
                        ),
                    accessKey: accessKey.optional().describe("Requires `secretKey`."),
                    secretKey: password
                        .optional()
                        .describe("Requires `accessKey`. Set it as a secret, never in plain text."),
                    credentialsSecret: objectName
                        .optional()
                        .describe(
                            "An existing Secret with the keys, as `accessKey` and `secretKey`. It takes the place of both.",
                        ),
                })
                .describe("Where backups are kept."),
            encryptionPassword: password
                .optional()
                .describe(
                    "What backups are encrypted with before they leave the cluster. Unset: a generated password, in the Secret backup-encryption. Keep a copy elsewhere: without it, no backup can be read.",
                ),
            keepDays: z
                .int()
                .min(1)
                .max(3650)
                .default(BACKUP_DEFAULTS.keepDays)
                .describe(
                    "Age in days at which backups are deleted. The newest always stays, and nothing is deleted while a run fails.",
                ),
            mysql: z
                .strictObject({
                    schedule: cronSchedule
                        .default(BACKUP_DEFAULTS.schedule)
                        .describe("When a base is taken, in UTC. Unset: every day at 01:37."),
                    resources: resourcesOf("384Mi", BACKUP_DEFAULTS.resources),
                    ...placement,
                })
                .omit({ awaitMinutes: true })
                .prefault({})
                .describe("Bases of MySQL: copies of a slave."),
            archive: z
                .strictObject({
                    storage: MYSQL_STORAGE.storage
                        .default(BACKUP_DEFAULTS.archive.storage)
                        .describe(
                            "Size of the volume on which the log waits for the store. It holds what is written while the store is away.",
                        ),
                    storageClass: MYSQL_STORAGE.storageClass,
                    resources: resourcesOf("256Mi", BACKUP_DEFAULTS.archive.resources),
                    ...placement,
                })
                .omit({ awaitMinutes: true })
                .prefault({})
                .describe("The log of MySQL: all that is written, in the store within seconds."),
        })
        .optional()
        .describe("Backups, see docs/backup.md. Unset: there are none."),
    restore: z
        .strictObject({
            base: baseName
                .optional()
                .describe(
                    "The base that fills the master's empty volume, latest or a name. Unset: the newest that fits `at` or `gtid`. It does nothing in a system that was ready once.",
                ),
            at: pointInTime
                .optional()
                .describe(
                    "Also restores what was committed since the base, until this time: latest, or a time in UTC with up to six decimals, for example 2026-01-02T03:04:05Z.",
                ),
            gtid: transaction
                .optional()
                .describe(
                    "Also restores what was committed since the base, up to this transaction: a UUID and a number, for example 3e11fa47-71ca-11e1-9e33-c80aa9429562:23.",
                ),
            word: restoreWord
                .optional()
                .describe(
                    "A word that this stack has not used yet lets the restore take the place of data that is there. That is kept, and the slaves copy the master.",
                ),
            undo: z
                .boolean()
                .optional()
                .describe(
                    "true, with a new `word`: brings back the data that the last restore replaced, and keeps what was written since.",
                ),
            prefix: storePath
                .optional()
                .describe(
                    "Where another stack keeps its backups in the bucket. Unset: this stack's own place.",
                ),
            encryptionPassword: password
                .optional()
                .describe("What the base was encrypted with. Unset: this stack's own password."),
        })
        .optional()
        .describe("Lets MySQL begin with the data of a backup. It requires `backup`."),
});

/** A validated stack configuration with every default filled in. */
export type StackConfig = z.infer<typeof keys>;
