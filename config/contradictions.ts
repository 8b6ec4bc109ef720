/** Settings that are each valid but exclude one another. docs/config.md lists the rules. */
import { buildsImages, type ImageName, namesFor, unpairedImage } from "../components/images";
import { connectionsOf, workersFor } from "../components/dabaweb";
import { intakeOf, RESERVED_CONNECTIONS, type Sizes, sizesOf } from "../components/mysql-sizes";
import { quantityValue } from "../components/quantity";
import { isLoopback } from "../components/registry";
import { platformLabels } from "../components/spread";
import type { StackConfig } from "./keys";

/** One setting that contradicts another. */
export interface Conflict {
    /** The setting to change. It may be a missing one. */
    readonly path: readonly string[];
    /** What the setting contradicts, and what to do. */
    readonly message: string;
}

export interface Contradiction {
    /** The rule, in one sentence. */
    readonly rule: string;
    /** Where the rule is broken. Every value has already been checked on its own. */
    readonly broken: (config: StackConfig) => readonly Conflict[];
}

/** Docker Hub under each of its names. What it lacks: https://github.com/docker/hub-feedback/issues/1404 */
const DOCKER_HUB = /^(?:[a-z0-9-]+\.)*docker\.(?:io|com)(?:[:/]|$)/i;

export const SYSTEMS = ["redis", "mysql"] as const;
export const WORKLOADS = [
    "redis-master",
    "redis-slave",
    "mysql-master",
    "mysql-slave",
    "dabacluster",
] as const;
export type Dataset = Exclude<(typeof WORKLOADS)[number], "dabacluster">;

/** Less than this does not hold one statement of ordinary size next to the changes of one row. */
const LEAST_WORKSPACE = 96 * 2 ** 20;

const mebibytes = (value: number): string => `${Math.floor(value / 2 ** 20)}Mi`;

/** The MySQL servers of this stack, and how the memory of each is divided. */
function mysqlServers(config: StackConfig): ["mysql-master" | "mysql-slave", Sizes][] {
    return (["mysql-master", "mysql-slave"] as const)
        .filter((name) => datasets(config).includes(name))
        .map((name) => [name, sizesOf(config[name].resources.limits.memory, config[name])]);
}

/** The workloads that have volumes in this stack. There may be no slaves. */
export function datasets(config: StackConfig): Dataset[] {
    return SYSTEMS.flatMap((system): Dataset[] =>
        config[`${system}-slave`].replicas > 0
            ? [`${system}-master`, `${system}-slave`]
            : [`${system}-master`],
    );
}

/** The images that a stack uses, or builds for others. */
export function imageNames({ images, backup }: StackConfig): readonly ImageName[] {
    return namesFor(images, backup !== undefined);
}

export const contradictions: readonly Contradiction[] = [
    {
        rule: 'With `protect: true`, every volume has a `storageClass`, its own or the stack\'s: a name, or `""` for volumes that you create yourself.',
        broken: (config) => {
            const without = datasets(config).filter((name) => config[name].storageClass === undefined);
            return config.protect && config.storageClass === undefined && without.length > 0
                ? [
                      {
                          path: ["storageClass"],
                          message:
                              `with protect true, ${without.join(", ")} must not depend on the cluster's default class; ` +
                              `set it to the name of a class, or to "" for volumes that you create yourself`,
                      },
                  ]
                : [];
        },
    },
    {
        rule: "With `protect: true`, the stack does not create the namespace, because it would then also delete the namespace with every volume in it.",
        broken: ({ protect, namespace }) =>
            protect && namespace.create
                ? [
                      {
                          path: ["namespace", "create"],
                          message:
                              `with protect true, the namespace must outlive the stack, as its volumes do; set it to false ` +
                              `and create the namespace beforehand`,
                      },
                  ]
                : [],
    },
    {
        rule: "With `protect: true`, browsers use https, because users sign in. Only this machine (localhost) may use http.",
        broken: ({ protect, publicUrl }) => {
            const { protocol, host, hostname } = new URL(publicUrl);
            return protect && protocol === "http:" && !isLoopback(host) && hostname !== "[::1]"
                ? [
                      {
                          path: ["publicUrl"],
                          message:
                              "with protect true, users must not sign in over plain http; end TLS in front of the web tier and " +
                              "set the https address",
                      },
                  ]
                : [];
        },
    },
    {
        rule: "A nodePort serves plain http on its own port. If the port of `publicUrl` is in the nodePort range, it is `service.nodePort`, with http.",
        broken: ({ service, publicUrl }) => {
            const { protocol, port } = new URL(publicUrl);
            if (service.type !== "NodePort" || Number(port) < 30_000 || Number(port) > 32_767) {
                return [];
            }
            if (Number(port) !== service.nodePort) {
                const message = `its port is in the nodePort range, but service.nodePort is ${service.nodePort}; make them the same`;
                return [{ path: ["publicUrl"], message }];
            }
            const message =
                "the nodePort itself serves plain http; set the address where TLS ends in front of it";
            return protocol === "https:" ? [{ path: ["publicUrl"], message }] : [];
        },
    },
    {
        rule: "Behind an `ingress`, the `service` is of type ClusterIP. A nodePort would bypass the ingress.",
        broken: ({ ingress, service }) =>
            ingress !== undefined && service.type !== "ClusterIP"
                ? [
                      {
                          path: ["ingress"],
                          message:
                              "a nodePort would bypass it; set service to { type: ClusterIP }, or remove ingress",
                      },
                  ]
                : [],
    },
    {
        rule: "`ingress.host` is the host of `publicUrl`. With `ingress.tlsSecret`, `publicUrl` begins with https.",
        broken: ({ ingress, publicUrl }) => {
            const { hostname, protocol } = new URL(publicUrl);
            if (ingress !== undefined && ingress.host !== hostname) {
                const message = `it must be the host of publicUrl, which is ${hostname}; make them the same`;
                return [{ path: ["ingress", "host"], message }];
            }
            const message = `with ingress.tlsSecret, the site uses https; begin the address with https://`;
            return ingress?.tlsSecret !== undefined && protocol === "http:"
                ? [{ path: ["publicUrl"], message }]
                : [];
        },
    },
    {
        rule: "The namespace `default` exists in every cluster, so a stack does not create it.",
        broken: ({ namespace }) =>
            namespace.create && namespace.name === "default"
                ? [
                      {
                          path: ["namespace", "create"],
                          message:
                              "the namespace default always exists and cannot be deleted; set it to false or choose another name",
                      },
                  ]
                : [],
    },
    {
        rule: "`registry.address` is not Docker Hub if the stack builds images: a repository there cannot be deeper than team/name.",
        broken: (config) =>
            buildsImages(config.images, imageNames(config)) && DOCKER_HUB.test(config.registry.address)
                ? [
                      {
                          path: ["registry", "address"],
                          message:
                              "Docker Hub has no repositories deeper than team/name, but images are pushed to <address>/dabaweb/<stack>/<image>; choose another registry",
                      },
                  ]
                : [],
    },
    {
        rule: "`registry.username` and `registry.password` are set together or not at all.",
        broken: ({ registry }) => {
            if ((registry.username === undefined) === (registry.password === undefined)) {
                return [];
            }
            const [missing, given] =
                registry.username === undefined ? ["username", "password"] : ["password", "username"];
            const message = `registry.${given} is set, and one is of no use without the other; set both or neither`;
            return [{ path: ["registry", missing!], message }];
        },
    },
    {
        rule: "`images` pins both dabaweb and nginx or neither, because nginx contains the static files of one dabaweb image.",
        broken: ({ images }) => {
            const unpaired = unpairedImage(images);
            const message = "nginx contains the static files of one dabaweb image; pin both or neither";
            return unpaired === undefined ? [] : [{ path: ["images", unpaired], message }];
        },
    },
    {
        rule: "`mysql-master.onNoReplica: wait` requires at least one slave to confirm commits.",
        broken: (config) =>
            config["mysql-master"].onNoReplica === "wait" && config["mysql-slave"].replicas === 0
                ? [
                      {
                          path: ["mysql-master", "onNoReplica"],
                          message:
                              "with mysql-slave.replicas 0, every commit would wait forever; set it to degrade, or run 1 slave or more",
                      },
                  ]
                : [],
    },
    {
        rule: "A slave's volume is not smaller than its master's, because it holds a complete copy.",
        broken: (config) =>
            SYSTEMS.filter((system) => config[`${system}-slave`].replicas > 0).flatMap((system) => {
                const [slave, master] = [
                    config[`${system}-slave`].storage,
                    config[`${system}-master`].storage,
                ];
                const message = `${slave} is less than the ${master} of ${system}-master, whose data a slave copies in full; set it to ${master} or more`;
                return quantityValue(slave) < quantityValue(master)
                    ? [{ path: [`${system}-slave`, "storage"], message }]
                    : [];
            }),
    },
    {
        rule: "A Redis slave's memory limit is not below its master's. A slave takes all of the master's data, whatever its own limit is.",
        broken: (config) => {
            const [slave, master] = [config["redis-slave"], config["redis-master"]].map(
                ({ resources }) => resources.limits.memory,
            ) as [string, string];
            const message = `${slave} is less than the ${master} of redis-master, whose data a slave takes in full; set it to ${master} or more`;
            return config["redis-slave"].replicas > 0 && quantityValue(slave) < quantityValue(master)
                ? [{ path: ["redis-slave", "resources", "limits", "memory"], message }]
                : [];
        },
    },
    {
        rule: "The `storage` of Redis is not below its memory limit. The append-only file grows to twice the data before Redis rewrites it, and the new file is written next to the old one.",
        broken: (config) =>
            datasets(config)
                .filter((name) => name.startsWith("redis-"))
                .flatMap((name) => {
                    const { storage, resources } = config[name];
                    const message = `${storage} is less than the memory limit of ${resources.limits.memory}, and the append-only file may need that much; set it to ${resources.limits.memory} or more`;
                    return quantityValue(storage) < quantityValue(resources.limits.memory)
                        ? [{ path: [name, "storage"], message }]
                        : [];
                }),
    },
    {
        rule: `Every MySQL server has connections for the site: (web pods + 1 while they are replaced) x workers x (threads + 1) + 3 for the cleanup are not more than \`maxConnections\` - ${RESERVED_CONNECTIONS}, which are for slaves, the operator and the stack itself.`,
        broken: (config) => {
            const { replicas, workers, threads, resources } = config.dabacluster;
            const needed = connectionsOf(config.dabacluster);
            return mysqlServers(config).flatMap(([name, { maxConnections }]) => {
                const left = maxConnections - RESERVED_CONNECTIONS;
                const message =
                    `(${replicas} web pods + 1 while they are replaced) x ${workers ?? workersFor(resources)} workers x (${threads} threads + 1) + 3 ` +
                    `are ${needed} connections, but ${name} has ${maxConnections} and leaves ${left} of them to the site; lower replicas, ` +
                    `workers or threads, or set ${name}.maxConnections to ${needed + RESERVED_CONNECTIONS} or more, or give ${name} more memory`;
                return needed > left ? [{ path: ["dabacluster", "replicas"], message }] : [];
            });
        },
    },
    {
        rule: "What `bufferPool` and `maxConnections` of a MySQL server leave of its memory limit is enough to work with: at least 96Mi, see docs/memory.md.",
        broken: (config) =>
            mysqlServers(config).flatMap(([name, { workspace, bufferPool, maxConnections, connections }]) => {
                const given = config[name].bufferPool === undefined ? "maxConnections" : "bufferPool";
                const message =
                    `of the memory limit of ${config[name].resources.limits.memory}, a buffer pool of ${mebibytes(bufferPool)}, ${maxConnections} connections ` +
                    `(${mebibytes(connections)}) and the server itself leave ${workspace < 0 ? "less than nothing" : mebibytes(workspace)} of the ` +
                    `${mebibytes(LEAST_WORKSPACE)} that statements need; lower bufferPool or maxConnections, or raise the limit`;
                return workspace < LEAST_WORKSPACE ? [{ path: [name, given], message }] : [];
            }),
    },
    {
        rule: "`mysql-master.maxPacket` fits in `maxTransaction`, and twice in the largest row that every MySQL server has the memory for, because an UPDATE sends the old and the new value to the slaves.",
        broken: (config) => {
            const given = config["mysql-master"].maxPacket;
            const { largestRow, maxPacket, maxTransaction } = intakeOf(
                mysqlServers(config).map(([name, sizes]) => ({ ...sizes, storage: config[name].storage })),
                config["mysql-master"],
            );
            const most = Math.min(Math.floor(largestRow / 2), maxTransaction);
            const message = `${given} is more than the ${mebibytes(most)} that this stack can replicate; lower it, or raise the memory limits of mysql-master and mysql-slave or maxTransaction`;
            return given !== undefined && maxPacket > most
                ? [{ path: ["mysql-master", "maxPacket"], message }]
                : [];
        },
    },
    {
        rule: "The `redoLog` of a MySQL server takes at most a quarter of its volume.",
        broken: (config) =>
            mysqlServers(config).flatMap(([name]) => {
                const { redoLog, storage } = config[name];
                const message = `${redoLog} is more than a quarter of the volume of ${storage}; lower it or raise storage`;
                return redoLog !== undefined && quantityValue(redoLog) > quantityValue(storage) / 4
                    ? [{ path: [name, "redoLog"], message }]
                    : [];
            }),
    },
    {
        rule: "A `nodeSelector` does not select an operating system or architecture other than the one that `platform` names.",
        broken: ({ platform, ...config }) => {
            return WORKLOADS.flatMap((name) =>
                Object.entries(platformLabels(platform)).flatMap(([label, wanted]) => {
                    const given = config[name].nodeSelector[label];
                    const message = `images for platform ${platform} do not start on such a node; remove it or change platform`;
                    return given !== undefined && given !== wanted
                        ? [{ path: [name, "nodeSelector", label], message }]
                        : [];
                }),
            );
        },
    },
    {
        rule: "`backup.store` has either `accessKey` and `secretKey` or `credentialsSecret`.",
        broken: ({ backup }) => {
            if (backup === undefined) {
                return [];
            }
            const { accessKey, secretKey, credentialsSecret } = backup.store;
            const given = [accessKey, secretKey].filter((key) => key !== undefined).length;
            const message =
                credentialsSecret !== undefined
                    ? "the store's keys are set here, too, and only one of them can count; remove accessKey and secretKey, or this"
                    : given === 0
                      ? "the store needs keys; set it and secretKey, or credentialsSecret"
                      : "one of accessKey and secretKey is of no use without the other; set both";
            const missing = accessKey === undefined ? "accessKey" : "secretKey";
            return (credentialsSecret === undefined) === (given === 2)
                ? []
                : [
                      {
                          path: [
                              "backup",
                              "store",
                              credentialsSecret === undefined ? missing : "credentialsSecret",
                          ],
                          message,
                      },
                  ];
        },
    },
    {
        rule: "`restore` needs the store that `backup` names.",
        broken: ({ backup, restore }) =>
            restore !== undefined && backup === undefined
                ? [
                      {
                          path: ["backup"],
                          message:
                              "restore needs the store that it names; set backup.store, or remove restore",
                      },
                  ]
                : [],
    },
    {
        rule: "`restore` has one of `base`, `at` and `gtid`; `base` may be beside either of the others. With `undo` it has none of them, and a `word`.",
        broken: ({ restore }) => (restore === undefined ? [] : unclear(restore)),
    },
];

/** What is unclear about what is to be restored. */
function unclear({ base, at, gtid, undo, word }: NonNullable<StackConfig["restore"]>): Conflict[] {
    const conflict = (key: string, message: string): Conflict[] => [{ path: ["restore", key], message }];
    const given = Object.entries({ base, at, gtid }).flatMap(([key, value]) =>
        value === undefined ? [] : [key],
    );
    if (undo === true && given.length > 0) {
        return conflict(
            given[0]!,
            "undo brings back what the last restore replaced; remove it or restore.undo",
        );
    }
    if (undo === true) {
        return word === undefined
            ? conflict("word", "undo takes the place of data that is there; set a word that was not used yet")
            : [];
    }
    if (at !== undefined && gtid !== undefined) {
        return conflict("gtid", "only one point can be restored to; remove it or restore.at");
    }
    return given.length === 0
        ? conflict("base", "nothing says what to restore; set it, restore.at or restore.gtid")
        : [];
}
