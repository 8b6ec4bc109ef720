/** Settings that are each allowed and exclude one another. docs/config.md lists the rules. */
import { buildsImages, unpairedImage } from "../components/images";
import { quantityValue } from "../components/quantity";
import { isLoopback } from "../components/registry";
import type { StackConfig } from "./keys";

/** One setting that goes against another. */
export interface Conflict {
    /** The setting that is to be changed; it may be one that is missing. */
    readonly path: readonly string[];
    /** What it goes against, and what to do. */
    readonly message: string;
}

export interface Contradiction {
    /** What has to hold, in one sentence. */
    readonly rule: string;
    /** Where it does not hold. Every value has been checked on its own before. */
    readonly broken: (config: StackConfig) => readonly Conflict[];
}

/** By each of its names. What it lacks: https://github.com/docker/hub-feedback/issues/1404 */
const DOCKER_HUB = /^(?:[a-z0-9-]+\.)*docker\.(?:io|com)(?:[:/]|$)/i;

const SYSTEMS = ["redis", "mysql"] as const;
const WORKLOADS = ["redis-master", "redis-slave", "mysql-master", "mysql-slave", "dabacluster"] as const;
type Dataset = Exclude<(typeof WORKLOADS)[number], "dabacluster">;

/** The workloads that have volumes in this stack: there may be no slaves. */
export function datasets(config: StackConfig): Dataset[] {
    return SYSTEMS.flatMap((system): Dataset[] =>
        config[`${system}-slave`].replicas > 0
            ? [`${system}-master`, `${system}-slave`]
            : [`${system}-master`],
    );
}

export const contradictions: readonly Contradiction[] = [
    {
        rule: 'With `protect: true` every volume has a `storageClass`, its own or the stack\'s: a name, or `""` for volumes that somebody made.',
        broken: (config) => {
            const without = datasets(config).filter((name) => config[name].storageClass === undefined);
            return config.protect && config.storageClass === undefined && without.length > 0
                ? [
                      {
                          path: ["storageClass"],
                          message:
                              `with protect true the class of ${without.join(", ")} may not be whatever the cluster's default ` +
                              `is; set it to a class's name, or to "" for volumes that somebody made`,
                      },
                  ]
                : [];
        },
    },
    {
        rule: "With `protect: true` the namespace is not made by the stack: it would be deleted with every volume in it.",
        broken: ({ protect, namespace }) =>
            protect && namespace.create
                ? [
                      {
                          path: ["namespace", "create"],
                          message:
                              `with protect true the namespace must outlive the stack, as its volumes do; set it to false ` +
                              `and make the namespace beforehand`,
                      },
                  ]
                : [],
    },
    {
        rule: "With `protect: true` browsers come by https, as they sign in; http is for this machine alone (localhost).",
        broken: ({ protect, publicUrl }) => {
            const { protocol, host, hostname } = new URL(publicUrl);
            return protect && protocol === "http:" && !isLoopback(host) && hostname !== "[::1]"
                ? [
                      {
                          path: ["publicUrl"],
                          message:
                              "with protect true nobody may sign in over plain http; end TLS in front of the web tier and " +
                              "give its https address",
                      },
                  ]
                : [];
        },
    },
    {
        rule: "A nodePort speaks http under its own number: `publicUrl` has either that port with http, or none of a nodePort.",
        broken: ({ service, publicUrl }) => {
            const { protocol, port } = new URL(publicUrl);
            if (service.type !== "NodePort" || Number(port) < 30_000 || Number(port) > 32_767) {
                return [];
            }
            if (Number(port) !== service.nodePort) {
                const message = `its port is that of another nodePort than service.nodePort, which is ${service.nodePort}; make them the same`;
                return [{ path: ["publicUrl"], message }];
            }
            const message =
                "the nodePort itself speaks plain http; give the address of what ends TLS in front of it";
            return protocol === "https:" ? [{ path: ["publicUrl"], message }] : [];
        },
    },
    {
        rule: "Behind an `ingress` the `service` is of type ClusterIP: a nodePort would lead past it.",
        broken: ({ ingress, service }) =>
            ingress !== undefined && service.type !== "ClusterIP"
                ? [
                      {
                          path: ["ingress"],
                          message:
                              "a nodePort beside it would lead past it; set service to { type: ClusterIP }, or remove ingress",
                      },
                  ]
                : [],
    },
    {
        rule: "`ingress.host` is the host of `publicUrl`, and with `ingress.tlsSecret` that begins with https.",
        broken: ({ ingress, publicUrl }) => {
            const { hostname, protocol } = new URL(publicUrl);
            if (ingress !== undefined && ingress.host !== hostname) {
                const message = `it must be the host of publicUrl, which is ${hostname}; make them the same`;
                return [{ path: ["ingress", "host"], message }];
            }
            const message = `with ingress.tlsSecret the site has https; begin it with https://`;
            return ingress?.tlsSecret !== undefined && protocol === "http:"
                ? [{ path: ["publicUrl"], message }]
                : [];
        },
    },
    {
        rule: "The namespace `default` is in every cluster, and is not made by a stack.",
        broken: ({ namespace }) =>
            namespace.create && namespace.name === "default"
                ? [
                      {
                          path: ["namespace", "create"],
                          message:
                              "the namespace default is there and cannot be deleted; set it to false or choose another name",
                      },
                  ]
                : [],
    },
    {
        rule: "Images are not pushed to Docker Hub (`registry.address`), where no repository lies deeper than team/name.",
        broken: ({ images, registry }) =>
            buildsImages(images) && DOCKER_HUB.test(registry.address)
                ? [
                      {
                          path: ["registry", "address"],
                          message:
                              "Docker Hub has no repositories deeper than team/name, and images lie at <address>/dabaweb/<stack>/<image>; choose another registry",
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
            const message = `registry.${given} is set and they go together; set both or neither`;
            return [{ path: ["registry", missing!], message }];
        },
    },
    {
        rule: "`images` pins dabaweb and nginx together or neither: nginx carries the static files of one dabaweb.",
        broken: ({ images }) => {
            const unpaired = unpairedImage(images);
            const message =
                "nginx carries the static files of one dabaweb, so the two are pinned together or not at all";
            return unpaired === undefined ? [] : [{ path: ["images", unpaired], message }];
        },
    },
    {
        rule: "`mysql-master.onNoReplica: wait` needs a slave that can confirm.",
        broken: (config) =>
            config["mysql-master"].onNoReplica === "wait" && config["mysql-slave"].replicas === 0
                ? [
                      {
                          path: ["mysql-master", "onNoReplica"],
                          message:
                              "with mysql-slave.replicas 0 every commit would wait for ever; allowed is degrade, or 1 slave or more",
                      },
                  ]
                : [],
    },
    {
        rule: "A slave's volume is not smaller than its master's: it holds a whole copy.",
        broken: (config) =>
            SYSTEMS.filter((system) => config[`${system}-slave`].replicas > 0).flatMap((system) => {
                const [slave, master] = [
                    config[`${system}-slave`].storage,
                    config[`${system}-master`].storage,
                ];
                const message = `${slave} is less than the ${master} of ${system}-master, all of which a slave holds; give it as much or more`;
                return quantityValue(slave) < quantityValue(master)
                    ? [{ path: [`${system}-slave`, "storage"], message }]
                    : [];
            }),
    },
    {
        rule: "A Redis slave's memory limit is not below its master's: it takes all of the master's data, whatever its own limit says.",
        broken: (config) => {
            const [slave, master] = [config["redis-slave"], config["redis-master"]].map(
                ({ resources }) => resources.limits.memory,
            ) as [string, string];
            const message = `${slave} is less than the ${master} of redis-master, all of whose data a slave takes; give it as much or more`;
            return config["redis-slave"].replicas > 0 && quantityValue(slave) < quantityValue(master)
                ? [{ path: ["redis-slave", "resources", "limits", "memory"], message }]
                : [];
        },
    },
    {
        rule: "Redis' `storage` is not below its memory limit: the append-only file grows to twice the data before it is written anew, beside the old one.",
        broken: (config) =>
            datasets(config)
                .filter((name) => name.startsWith("redis-"))
                .flatMap((name) => {
                    const { storage, resources } = config[name];
                    const message = `${storage} is less than the memory limit of ${resources.limits.memory}, as much as the append-only file may need; give it as much or more`;
                    return quantityValue(storage) < quantityValue(resources.limits.memory)
                        ? [{ path: [name, "storage"], message }]
                        : [];
                }),
    },
    {
        rule: "A `nodeSelector` asks for no other system or processor than `platform` names.",
        broken: ({ platform, ...config }) => {
            const [os, arch] = platform.split("/");
            return WORKLOADS.flatMap((name) =>
                Object.entries({ "kubernetes.io/os": os, "kubernetes.io/arch": arch }).flatMap(
                    ([label, wanted]) => {
                        const given = config[name].nodeSelector[label];
                        const message = `the images are for platform ${platform} and would not start there; leave it out or change platform`;
                        return given !== undefined && given !== wanted
                            ? [{ path: [name, "nodeSelector", label], message }]
                            : [];
                    },
                ),
            );
        },
    },
];
