import { execFile } from "child_process";

import {
    AppsV1Api,
    CoreV1Api,
    NetworkingV1Api,
    SchedulingV1Api,
    StorageV1Api,
    V1LimitRange,
    V1Node,
    V1PersistentVolume,
    V1PersistentVolumeClaim,
    V1Pod,
    V1ResourceQuota,
    V1StatefulSet,
    VersionApi,
} from "@kubernetes/client-node";
import * as pulumi from "@pulumi/pulumi";

import { askedName, baseName, baseOf, basesOf, REGISTRY_ANSWER_MS, whyNotGiven } from "./components/bases";
import { ANSWER_MS, ClusterClient } from "./components/cluster-client";
import { type DockerContext, engineRemedy, providerHost } from "./components/docker-engine";
import { buildsImages, type ImageName } from "./components/images";
import { OWNER, thisStack } from "./components/namespace";
import { ask, isDistrust, reasonOf } from "./components/network";
import { partOf } from "./components/pod";
import { quantityValue } from "./components/quantity";
import { hasDockerLogin, registryUrl, repositoryProblem } from "./components/registry";
import { accepts, type Node, platformLabels, sharedNodes, type Spread, spreadOf } from "./components/spread";
import { BASE_ANNOTATION, stepProblem } from "./components/versions";
import { baseSources, PROJECT, StackConfig } from "./config";
import { type Dataset, datasets, imageNames, SYSTEMS, WORKLOADS } from "./config/contradictions";
import {
    type Amounts,
    type Limit,
    limitProblems,
    podAmounts,
    type Quota,
    quotaProblems,
    sum,
    volumeAmounts,
} from "./config/demand";
import {
    allocatableOf,
    AUTOSCALER_STATUS,
    isOfPool,
    nodesFor,
    type Occupancy,
    type Placed,
    roomProblems,
    spaceOf,
} from "./config/room";

/** What the preflight found. */
export interface Cluster {
    /**
     * What identifies the cluster, see {@link Facts}; undefined if no cluster answered. It is kept as a stack output, so that
     * the next run notices when the kubeconfig points to another cluster.
     */
    readonly fingerprint: string | undefined;
    /** How the pods of each system are spread. */
    readonly spread: Readonly<Record<System, Spread>>;
}

type System = (typeof SYSTEMS)[number];

/** What marks the class of claims that name none; the API server knows both. */
const DEFAULT_CLASS = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];

/** What the cluster contains, as far as the checks need it. A value that could not be read is undefined. */
export interface Facts {
    /** UID of the kube-system namespace, the usual fingerprint of a cluster. */
    readonly fingerprint: string | undefined;
    readonly storageClasses:
        ReadonlyArray<{ name: string; isDefault: boolean; expandable: boolean }> | undefined;
    /** The classes of the cluster's volumes. Read only if the configuration names a class of which there is no object. */
    readonly volumeClasses: readonly string[] | undefined;
    readonly nodes: readonly Node[] | undefined;
    /** The stack's namespace, if it was created beforehand. Its UID is the fingerprint for a user with rights nowhere else. */
    readonly namespace:
        { readonly uid: string; readonly labels: Readonly<Record<string, string>> } | "absent" | undefined;
    /** The stack that deployed to the namespace, if any. */
    readonly owner: string | undefined;
    /** Whether the namespace has the image pull secret that the configuration names. */
    readonly pullSecret: "present" | "absent" | undefined;
    readonly nodePortOwner: string | undefined;
    /** Read only if the configuration names one. */
    readonly ingressClasses: readonly string[] | undefined;
    /** `node` is the only node that the volume can be used on; undefined: any, or it is not known. */
    readonly volumes:
        | ReadonlyArray<{
              name: string;
              storageClass: string | undefined;
              size: string;
              node?: string | undefined;
          }>
        | undefined;
    /** The kinds of addresses that pods have; undefined if they could not be read. */
    readonly families: readonly ("IPv4" | "IPv6")[] | undefined;
    /** Version of the API server, for example v1.34.2. */
    readonly version: string | undefined;
    /** The quotas of the namespace, and what the stack uses of them; empty if they could not be read. */
    readonly quotas: readonly Quota[];
    readonly own: Amounts;
    /** The rules of its LimitRanges; empty if they could not be read. */
    readonly limits: readonly Limit[];
    /** How full the nodes are; undefined if it could not be read. */
    readonly occupancy: Occupancy | undefined;
    /** The StatefulSets of the stack; empty if they could not be read. */
    readonly running: Readonly<Record<string, Running>>;
}

/** A StatefulSet that exists. */
interface Running {
    readonly pods: number;
    readonly image: string | undefined;
    /** What its image is built on; undefined if that was not known when it was deployed. */
    readonly base: string | undefined;
    readonly spread: Spread;
}

/**
 * Checks the live cluster, registry and Docker Engine for everything that would otherwise fail halfway. It only reads, and
 * it finishes before the first resource is registered.
 *
 * If the cluster, the registry or Docker is absent, a preview prints a one-line warning and an update fails.
 *
 * @throws pulumi.RunError that names everything that does not fit.
 */
export async function preflight(config: StackConfig, before: LastUpdate): Promise<Cluster> {
    const known = before.cluster;
    const builds = buildsImages(config.images, imageNames(config));
    const [cluster, toolProblems] = await Promise.all([
        askCluster(config).catch((error: Error) => error),
        builds ? toolsProblems(config, newBases(config, before.bases)) : [],
    ]);
    const name = repositoryProblem(config.registry, PROJECT, pulumi.getStack());
    const problems = builds && name !== undefined ? [name] : [];
    let spread: Cluster["spread"] = {
        redis: config.spread ?? "preferred",
        mysql: config.spread ?? "preferred",
    };
    const unreachable: string[] = [...toolProblems];
    let fingerprint = known;
    if (cluster instanceof Error) {
        unreachable.push(
            `the cluster of context ${config.kubeContext} (KUBECONFIG ${process.env.KUBECONFIG ?? "unset"}) does not ` +
                `answer: ${cluster.message}; check the context and the kubeconfig, or run \`make local-up\``,
        );
    } else {
        problems.push(...misfits(config, cluster, { name: thisStack(), ...before }));
        remarks(config, cluster, { name: thisStack(), ...before }).forEach(
            (remark) => void pulumi.log.warn(`${remark}.`),
        );
        spread = { redis: spreadIn(config, cluster, "redis"), mysql: spreadIn(config, cluster, "mysql") };
        if (known?.startsWith(BY_NAMESPACE) === false && cluster.fingerprint === undefined) {
            void pulumi.log.warn(
                "not checked: no permission to read namespace kube-system, which identifies this stack's cluster.",
            );
        }
        // The fingerprint stays the same, no matter who runs the next update.
        fingerprint ??= cluster.fingerprint ?? namespaceFingerprint(cluster);
    }
    if (unreachable.length > 0 && pulumi.runtime.isDryRun()) {
        unreachable.forEach((problem) => void pulumi.log.warn(`not checked: ${problem}.`));
    } else {
        problems.push(...unreachable);
    }
    if (problems.length > 0) {
        throw new pulumi.RunError(
            `The preflight found problems, nothing was changed:\n${problems.map((p) => `  - ${p}.`).join("\n")}`,
        );
    }
    return { fingerprint, spread };
}

/** What this stack's own outputs record about its last update. */
export interface LastUpdate {
    /** The cluster that the stack was deployed to; undefined before the first update. */
    readonly cluster: string | undefined;
    /** The namespace that the stack was deployed to; undefined before the first update. */
    readonly namespace?: string | undefined;
    /** The base of each image that was built. */
    readonly bases: Readonly<Partial<Record<ImageName, unknown>>>;
}

/** Reads the outputs of this stack's last update. */
export async function lastUpdate(): Promise<LastUpdate> {
    const self = new pulumi.StackReference(thisStack());
    const [cluster, namespace, versions] = await Promise.all([
        self.getOutputDetails("cluster"),
        self.getOutputDetails("namespace"),
        self.getOutputDetails("versions"),
    ]);
    return {
        cluster: typeof cluster.value === "string" ? cluster.value : undefined,
        namespace: typeof namespace.value === "string" ? namespace.value : undefined,
        bases: (versions.value as { bases?: LastUpdate["bases"] } | undefined)?.bases ?? {},
    };
}

/**
 * The bases of images that the last update built on another base, or that were never built, each with the key that overrides
 * it. Docker must fetch these. (A new engine must also fetch the bases of every other changed image. If that fails, Pulumi
 * reports what the engine says.)
 */
export function newBases(config: StackConfig, before: LastUpdate["bases"]): ReadonlyMap<string, string> {
    const sources = baseSources(config);
    return new Map(
        imageNames(config)
            .filter((image) => config.images[image] === undefined)
            .map((image) => ({ image, dockerfile: `images/${image}/Dockerfile` }))
            .filter(({ image, dockerfile }) => before[image] !== baseOf(dockerfile, sources))
            .flatMap(({ dockerfile }) => [...basesOf(dockerfile, sources)])
            .map(([arg, base]) => [base, `bases.${baseName(arg)}`]),
    );
}

/** A stack: its qualified name, and what is known of its last update. */
interface Known extends Partial<LastUpdate> {
    readonly name: string;
    readonly cluster: string | undefined;
}

/**
 * What in the configuration does not fit the cluster, one sentence each.
 *
 * @param stack its qualified name, and its last update.
 */
export function misfits(config: StackConfig, facts: Facts, stack: Known): string[] {
    const known = stack.cluster;
    const found = known?.startsWith(BY_NAMESPACE) ? namespaceFingerprint(facts) : facts.fingerprint;
    if (known !== undefined && found !== undefined && known !== found) {
        return [
            `context ${config.kubeContext} points to cluster ${found}, but this stack is deployed to cluster ` +
                `${known}; point KUBECONFIG and kubeContext back to it, or destroy the stack there first`,
        ];
    }
    return [
        ...namespaceMisfits(config, facts),
        ...apiMisfits(facts),
        ...familyMisfits(facts),
        ...ownerMisfits(config, facts, stack),
        ...pullSecretMisfits(config, facts),
        ...platformMisfits(config, facts),
        ...nodePortMisfits(config, facts),
        ...ingressMisfits(config, facts),
        ...storageMisfits(config, facts),
        ...spreadMisfits(config, facts),
        ...quotaProblems(config, facts.quotas, facts.own, facts.limits).refused,
        ...limitProblems(config, facts.limits),
        ...roomIn(config, facts).refused,
        ...versionMisfits(config, facts, stack.bases ?? {}),
    ];
}

/** Distinguishes the fingerprint of a namespace from that of a cluster. */
const BY_NAMESPACE = "with namespace ";

function namespaceFingerprint({ namespace }: Facts): string | undefined {
    return namespace === undefined || namespace === "absent" ? undefined : BY_NAMESPACE + namespace.uid;
}

function namespaceMisfits({ namespace }: StackConfig, facts: Facts): string[] {
    if (namespace.create || facts.namespace === undefined) {
        return [];
    }
    if (facts.namespace === "absent") {
        return [
            `namespace ${namespace.name} does not exist and namespace.create is false; create it with ` +
                `\`kubectl create namespace ${namespace.name}\` and label it pod-security.kubernetes.io/enforce=restricted`,
        ];
    }
    const enforced = facts.namespace.labels["pod-security.kubernetes.io/enforce"];
    return enforced === "restricted"
        ? []
        : [
              `namespace ${namespace.name} has pod-security.kubernetes.io/enforce=${enforced ?? "(unset)"}; it must be ` +
                  `restricted: \`kubectl label namespace ${namespace.name} pod-security.kubernetes.io/enforce=restricted --overwrite\``,
          ];
}

/** The first Kubernetes whose kubelet sleeps before it stops a web pod. */
const LEAST_MINOR = 30;

/** An older API server accepts the data pods and refuses the web tier, after everything else. */
function apiMisfits({ version }: Facts): string[] {
    const [, minor] = /^v?1\.(\d+)/.exec(version ?? "") ?? [];
    return minor !== undefined && Number(minor) < LEAST_MINOR
        ? [
              `the cluster runs Kubernetes ${version}, and 1.${LEAST_MINOR} or newer is required; upgrade it, or set kubeContext ` +
                  "to another cluster",
          ]
        : [];
}

/** https://github.com/kubernetes/kubernetes/issues/137409: these do not roll a StatefulSet over pods that are broken. */
function apiRemarks(config: StackConfig, { version }: Facts): string[] {
    return /^v?1\.35\.[0-3](?!\d)/.test(version ?? "")
        ? [
              `Kubernetes ${version} does not replace a data pod that is broken when you correct its image or its settings; update the ` +
                  `cluster to 1.35.4 or newer, or delete such a pod by hand: \`kubectl delete pod NAME --namespace ${config.namespace.name}\``,
          ]
        : [];
}

/** MySQL clones from names and IPv4 addresses alone, and the web tier listens on IPv4: no pod would become ready. */
function familyMisfits({ families }: Facts): string[] {
    return families === undefined || families.length === 0 || families.includes("IPv4")
        ? []
        : [
              `the pods of this cluster have addresses of ${families.join(", ")} alone, and IPv4 is required (both are fine); set ` +
                  "kubeContext to a cluster with IPv4",
          ];
}

function ownerMisfits(config: StackConfig, facts: Facts, stack: Known): string[] {
    const { owner } = facts;
    const { name } = config.namespace;
    return owner === undefined || owner === stack.name || isRenamed(config, facts, stack)
        ? []
        : [
              `namespace ${name} belongs to stack ${owner}, whose objects have the same names; set namespace.name to a ` +
                  `namespace for this stack alone, or rename that stack with \`pulumi stack rename\` instead of creating a ` +
                  `second one (if it was destroyed and only its mark is left, run \`kubectl delete configmap ${OWNER} ` +
                  `--namespace ${name}\`)`,
          ];
}

/**
 * Whether the namespace belongs to this very stack, which had another name, organization or backend when it was deployed: its
 * own outputs name this namespace of this cluster.
 */
function isRenamed(config: StackConfig, facts: Facts, stack: Known): boolean {
    const found = stack.cluster?.startsWith(BY_NAMESPACE) ? namespaceFingerprint(facts) : facts.fingerprint;
    return (
        facts.owner !== undefined &&
        facts.owner !== stack.name &&
        stack.namespace === config.namespace.name &&
        stack.cluster !== undefined &&
        stack.cluster === found
    );
}

function pullSecretMisfits({ registry, namespace }: StackConfig, { pullSecret }: Facts): string[] {
    return pullSecret === "absent"
        ? [
              `registry.pullSecret is ${registry.pullSecret}, but namespace ${namespace.name} has no such Secret; create it with ` +
                  `\`kubectl create secret docker-registry ${registry.pullSecret} --namespace ${namespace.name} ...\``,
          ]
        : [];
}

function platformMisfits({ platform }: StackConfig, { nodes }: Facts): string[] {
    const wish = { nodeSelector: platformLabels(platform), tolerations: [{ operator: "Exists" }] };
    if (nodes === undefined || nodes.some((node) => accepts(node, wish))) {
        return [];
    }
    const found = nodes.map(({ labels }) => `${labels["kubernetes.io/os"]}/${labels["kubernetes.io/arch"]}`);
    return [
        `platform is ${platform}, but the nodes are ${[...new Set(found)].join(", ") || "none"}; ` +
            `set platform to one that a node has`,
    ];
}

/** What the nodes have no room for. */
function roomIn(config: StackConfig, facts: Facts): ReturnType<typeof roomProblems> {
    const { nodes, occupancy, volumes } = facts;
    return nodes === undefined || occupancy === undefined
        ? { refused: [], remarks: [] }
        : roomProblems(config, {
              nodes,
              claims: volumes?.map(({ name, node }) => ({ name, node })),
              spread: { redis: spreadIn(config, facts, "redis"), mysql: spreadIn(config, facts, "mysql") },
              occupancy,
          });
}

/** What concerns the spread of one system. */
function spreadFacts(config: StackConfig, { nodes, volumes }: Facts, system: System) {
    const workloads = datasets(config).filter((name) => name.startsWith(system));
    const claims = workloads.flatMap((name) =>
        Array.from({ length: podsOf(config, name) }, (_, ordinal) => `data-${name}-${ordinal}`),
    );
    return {
        pods: claims.length,
        nodes: nodes?.filter((node) => workloads.some((name) => nodesFor(config, name, [node]).length > 0)),
        claims: volumes
            ?.filter(({ name }) => claims.includes(name))
            .map(({ name, node }) => ({ name, node })),
    };
}

function podsOf(config: StackConfig, name: Dataset): number {
    return name === "redis-slave" || name === "mysql-slave" ? config[name].replicas : 1;
}

/** How the pods of a system are spread in this update. */
export function spreadIn(config: StackConfig, facts: Facts, system: System): Spread {
    const { pods, nodes, claims } = spreadFacts(config, facts, system);
    const running = Object.entries(facts.running).filter(([name]) => name.startsWith(`${system}-`));
    return spreadOf({
        asked: config.spread,
        protect: config.protect,
        pods,
        nodes: nodes?.filter(({ isReady }) => isReady).length,
        claims,
        now:
            running.length === 0
                ? undefined
                : {
                      spread: running.every(([, { spread }]) => spread === "required")
                          ? "required"
                          : "preferred",
                      pods: running.reduce((sum, [, each]) => sum + each.pods, 0),
                  },
    });
}

/** The volumes of a system that tie pods to a common node, and how to bring a slave to another one. */
function tied(config: StackConfig, facts: Facts, system: System): string[] {
    return [...sharedNodes(spreadFacts(config, facts, system).claims ?? [])].map(([node, claims]) => {
        const slave = claims.find((claim) => claim.startsWith(`data-${system}-slave-`)) ?? claims[0]!;
        const pod = slave.replace(/^data-/, "");
        return (
            `volumes ${claims.join(", ")} tie their pods to node ${node}; give ${pod} a new volume, which it fills from the ` +
            `others: \`kubectl delete pvc/${slave} pod/${pod} --namespace ${config.namespace.name}\``
        );
    });
}

/** Pods that could not start: the rule and the place of their volumes contradict. */
function spreadMisfits(config: StackConfig, facts: Facts): string[] {
    if (config.spread !== "required") {
        return [];
    }
    return SYSTEMS.flatMap((system) => {
        const { pods, nodes } = spreadFacts(config, facts, system);
        // Volumes of nodes would then tie two pods to one, and neither could start again once there is another node.
        const few =
            nodes !== undefined && nodes.length < pods
                ? [
                      `spread is required, but ${nodes.length} nodes accept the ${pods} pods of ${system}; add nodes, or ` +
                          `set spread to preferred`,
                  ]
                : [];
        return [
            ...few,
            ...tied(config, facts, system).map(
                (problem) => `spread is required, but ${problem}; or set spread to preferred`,
            ),
        ];
    });
}

/** What does not stop an update, but should be known, one sentence each. */
export function remarks(config: StackConfig, facts: Facts, stack: Known): string[] {
    const renamed = isRenamed(config, facts, stack)
        ? [
              `this stack was deployed as ${facts.owner} and is now ${stack.name}; if ${facts.owner} exists, too, both own the same ` +
                  "objects: then do not go on, and remove the copy with `pulumi stack rm --force`, which deletes no object",
          ]
        : [];
    return [
        ...renamed,
        ...quotaProblems(config, facts.quotas, facts.own, facts.limits).remarks,
        ...roomIn(config, facts).remarks,
        ...nodeRemarks(config, facts),
        ...apiRemarks(config, facts),
    ];
}

function nodeRemarks(config: StackConfig, facts: Facts): string[] {
    const { nodes } = facts;
    if (nodes === undefined) {
        return [...unknownNodes(config, facts), ...unknownVersions(config, facts)];
    }
    const homeless = WORKLOADS.filter((name) => nodesFor(config, name, nodes).length === 0).map(
        (name) =>
            `no node accepts the pods of ${name} now: none has its nodeSelector, the platform ${config.platform} and only ` +
            `taints that it tolerates; correct nodeSelector or tolerations, unless such a node is added by itself`,
    );
    const shared = SYSTEMS.filter((system) => {
        const { nodes: accepting = [], claims = [] } = spreadFacts(config, facts, system);
        const free = accepting.some(
            ({ name, isReady }) => isReady && !claims.some(({ node }) => node === name),
        );
        return config.protect && config.spread === undefined && free;
    }).flatMap((system) =>
        tied(config, facts, system).map(
            (problem) => `if one node is lost, so is more than one copy: ${problem}`,
        ),
    );
    return [...homeless, ...shared, ...unknownVersions(config, facts)];
}

/** Protected data whose pods might share a node, because nobody can tell how many nodes there are. */
function unknownNodes(config: StackConfig, facts: Facts): string[] {
    return SYSTEMS.filter(
        (system) =>
            config.protect && config.spread === undefined && spreadIn(config, facts, system) === "preferred",
    ).map(
        (system) =>
            `not checked: whether there are nodes for each of the ${spreadFacts(config, facts, system).pods} pods of ${system}, so two of ` +
            "them may share one; if there are, set spread to required",
    );
}

/** The StatefulSets whose image is pinned, and changes. */
function unknownVersions(config: StackConfig, { running }: Facts): string[] {
    return datasets(config)
        .filter((name) => running[name] !== undefined && config.images[name] !== undefined)
        .filter((name) => running[name]?.image !== config.images[name])
        .map(
            (name) =>
                `not checked: which version of its engine the image that \`images\` pins for ${name} has; if it is ` +
                "another one, see docs/upgrades.md first",
        );
}

/** Steps from one version of an engine to another that its data cannot take. */
function versionMisfits(config: StackConfig, { running }: Facts, last: LastUpdate["bases"]): string[] {
    return datasets(config).flatMap((name) => {
        const recorded = running[name]?.base ?? (running[name] === undefined ? undefined : last[name]);
        if (config.images[name] !== undefined || typeof recorded !== "string") {
            return [];
        }
        const engine = name.startsWith("redis") ? "redis" : "mysql";
        const problem = stepProblem(
            engine,
            recorded,
            baseOf(`images/${name}/Dockerfile`, baseSources(config)),
        );
        return problem === undefined ? [] : [`the base of ${name}: ${problem}`];
    });
}

function nodePortMisfits({ service, namespace }: StackConfig, { nodePortOwner }: Facts): string[] {
    if (service.type !== "NodePort" || nodePortOwner === undefined) {
        return [];
    }
    return nodePortOwner === `${namespace.name}/dabacluster`
        ? []
        : [
              `nodePort ${service.nodePort} is already used by Service ${nodePortOwner}; choose another one from 30000 to 32767`,
          ];
}

/** Nothing would report this later: Kubernetes accepts an Ingress of a missing class, and the site is unreachable. */
function ingressMisfits({ ingress }: StackConfig, { ingressClasses }: Facts): string[] {
    return ingress === undefined || ingressClasses === undefined || ingressClasses.includes(ingress.className)
        ? []
        : [
              `ingress.className is ${ingress.className}, but the cluster has ${listed(ingressClasses)}; set it to the class of an ` +
                  `ingress controller that runs there`,
          ];
}

function storageMisfits(config: StackConfig, { storageClasses, volumeClasses, volumes }: Facts): string[] {
    return datasets(config).flatMap((name) => {
        const { storage, storageClass = config.storageClass } = config[name];
        const wanted = storageClass ?? storageClasses?.find((c) => c.isDefault)?.name;
        if (storageClasses !== undefined && wanted === undefined) {
            return [
                `${name} sets no storageClass and the cluster has no default class; set storageClass to one of ` +
                    listed(storageClasses.map((c) => c.name)),
            ];
        }
        const existing = (volumes ?? []).filter((volume) =>
            new RegExp(`^data-${name}-\\d+$`).test(volume.name),
        );
        // A claim of a class without an object binds to a volume that has the class's name, and one that is bound stays so.
        const isServed =
            volumeClasses === undefined ||
            volumeClasses.includes(wanted ?? "") ||
            (existing.length >= podsOf(config, name) &&
                existing.every((volume) => volume.storageClass === wanted));
        if (
            storageClasses !== undefined &&
            wanted !== "" &&
            !storageClasses.some((c) => c.name === wanted) &&
            !isServed
        ) {
            return [
                `storageClass ${wanted} of ${name} does not exist, and no volume has it; the cluster has ` +
                    listed(storageClasses.map((c) => c.name)),
            ];
        }
        return existing.flatMap((volume) => {
            if (storageClass !== undefined && volume.storageClass !== storageClass) {
                return [
                    `volume ${volume.name} has storageClass ${volume.storageClass ?? "(none)"} and cannot become ` +
                        `${storageClass || '""'}, because that would replace the volume and its data; set it back`,
                ];
            }
            const [have, want] = [quantityValue(volume.size), quantityValue(storage)];
            if (want < have) {
                return [
                    `volume ${volume.name} has ${volume.size} and cannot shrink to ${storage}; set it back`,
                ];
            }
            const expandable = storageClasses?.find((c) => c.name === volume.storageClass)?.expandable;
            return want > have && expandable === false
                ? [
                      `volume ${volume.name} cannot grow from ${volume.size} to ${storage}, because storageClass ` +
                          `${volume.storageClass} does not allow expansion; set it back or use a class that does`,
                  ]
                : [];
        });
    });
}

function listed(names: readonly string[]): string {
    return names.length > 0 ? names.join(", ") : "none";
}

async function askCluster(config: StackConfig): Promise<Facts> {
    const client = await ClusterClient.connect(config.kubeContext);
    const core = client.api(CoreV1Api);
    const storage = client.api(StorageV1Api);
    const namespace = config.namespace.name;
    const { pullSecret } = config.registry;
    // A user who may not read it identifies the cluster by the stack's namespace, so there is nothing to report yet.
    const system = await client
        .ask(() => core.readNamespace({ name: "kube-system" }))
        .catch((error: unknown) => void unless(403, error));
    const readable = <T>(question: () => Promise<T>, what: string) =>
        unlessForbidden(client.ask(question), what);
    // A namespace that the stack creates has no quota yet, and a role of older days has no right to read one.
    const ofNamespace = <T>(question: () => Promise<T>, what: string) =>
        config.namespace.create ? undefined : readable(question, `${what} in ${namespace}`);
    const nodesAnswered = unlessForbidden(
        listAll(
            client,
            (page) => core.listNode(page),
            (node) => [node],
        ),
        "nodes",
    );
    const claimsAnswered = readable(
        () => core.listNamespacedPersistentVolumeClaim({ namespace }),
        `volumes in ${namespace}`,
    );
    const [
        classes,
        nodes,
        own,
        owner,
        secret,
        services,
        ingressClasses,
        claims,
        sets,
        disks,
        version,
        quotas,
        ranges,
        pods,
        occupancy,
    ] = await Promise.all([
        readable(() => storage.listStorageClass(), "storage classes"),
        nodesAnswered,
        config.namespace.create
            ? undefined
            : readable(() => orAbsent(core.readNamespace({ name: namespace })), `namespace ${namespace}`),
        readable(
            () => orAbsent(core.readNamespacedConfigMap({ name: OWNER, namespace })),
            `ConfigMap ${OWNER} in ${namespace}`,
        ),
        // A namespace that the stack creates has no Secret yet.
        config.namespace.create || pullSecret === undefined
            ? undefined
            : readable(
                  () => orAbsent(core.readNamespacedSecret({ name: pullSecret, namespace })),
                  `Secret ${pullSecret} in ${namespace}`,
              ),
        config.service.type === "NodePort"
            ? readable(() => core.listServiceForAllNamespaces(), "the Services of all namespaces (nodePort)")
            : undefined,
        config.ingress === undefined
            ? undefined
            : readable(() => client.api(NetworkingV1Api).listIngressClass(), "ingress classes"),
        claimsAnswered,
        readable(
            () => client.api(AppsV1Api).listNamespacedStatefulSet({ namespace }),
            `StatefulSets in ${namespace}`,
        ),
        // What is protected, or must be spread, depends on where volumes are, and so does the room for their pods.
        Promise.all([nodesAnswered, claimsAnswered]).then(([found, claimed]) =>
            config.protect ||
            config.spread === "required" ||
            (found !== undefined && claimed !== undefined && claimed.items.length > 0)
                ? readable(() => core.listPersistentVolume(), "on which nodes the volumes are")
                : undefined,
        ),
        readable(() => client.api(VersionApi).getCode(), "the version of Kubernetes"),
        ofNamespace(() => core.listNamespacedResourceQuota({ namespace }), "quotas"),
        ofNamespace(() => core.listNamespacedLimitRange({ namespace }), "limit ranges"),
        ofNamespace(() => core.listNamespacedPod({ namespace }), "pods"),
        nodesAnswered.then((found) => found && askOccupancy(client, config, found)),
    ]);
    const hasClass = (name: string) =>
        name === "" || (classes?.items ?? []).some(({ metadata }) => metadata?.name === name);
    const absent = datasets(config)
        .map((name) => config[name].storageClass ?? config.storageClass ?? "")
        .filter((name) => classes !== undefined && !hasClass(name));
    const made =
        absent.length === 0 || disks !== undefined
            ? disks
            : await readable(() => core.listPersistentVolume(), `volumes of the class ${absent[0]}`);
    const nodePort = config.service.type === "NodePort" ? config.service.nodePort : undefined;
    const portOwner = services?.items.find((s) => s.spec?.ports?.some((port) => port.nodePort === nodePort));
    return {
        fingerprint: system?.metadata?.uid,
        storageClasses: classes?.items.map((c) => ({
            name: c.metadata?.name ?? "",
            isDefault: DEFAULT_CLASS.some((key) => c.metadata?.annotations?.[key] === "true"),
            expandable: c.allowVolumeExpansion === true,
        })),
        volumeClasses: absent.length === 0 ? [] : made?.items.map(({ spec }) => spec?.storageClassName ?? ""),
        nodes: nodes?.map(nodeFact),
        namespace:
            own === undefined || own === "absent"
                ? own
                : { uid: own.metadata?.uid ?? "", labels: own.metadata?.labels ?? {} },
        owner: owner === "absent" ? undefined : owner?.data?.stack,
        pullSecret: secret === undefined || secret === "absent" ? secret : "present",
        nodePortOwner: portOwner && `${portOwner.metadata?.namespace}/${portOwner.metadata?.name}`,
        ingressClasses: ingressClasses?.items.map((c) => c.metadata?.name ?? ""),
        volumes: claims?.items.map((claim) => volumeFact(claim, disks?.items ?? [])),
        families: nodes && familiesOf(nodes),
        occupancy,
        version: version?.gitVersion,
        quotas: (quotas?.items ?? []).map(quotaFact),
        limits: (ranges?.items ?? []).flatMap(limitFacts),
        own: ownAmounts(pods?.items ?? [], claims?.items ?? []),
        running: Object.fromEntries(
            (sets?.items ?? []).map((set) => [set.metadata?.name ?? "", runningFact(set)]),
        ),
    };
}

/** How many objects a page of a list has, as kubectl asks for it. */
const PAGE = 500;

/**
 * Asks for a list in pages, since that of a large cluster does not fit in one answer.
 *
 * @param convert what to keep of an object; the rest of its page is forgotten.
 * @throws Error if the whole list takes longer than one answer may take.
 */
async function listAll<T, U>(
    client: ClusterClient,
    ask: (page: { limit: number; _continue?: string }) => Promise<{
        items: T[];
        metadata?: { _continue?: string };
    }>,
    convert: (item: T) => readonly U[],
): Promise<U[]> {
    const deadline = Date.now() + ANSWER_MS;
    const found: U[] = [];
    let next: string | undefined;
    do {
        const page = { limit: PAGE, ...(next ? { _continue: next } : {}) };
        const { items, metadata } = await client.ask(() => ask(page));
        found.push(...items.flatMap(convert));
        next = metadata?._continue;
        if (next && Date.now() > deadline) {
            throw new Error(`no answer within ${ANSWER_MS / 1000} s`);
        }
    } while (next);
    return found;
}

/** How full the nodes are. An update can do without it: if the list of pods is too long for this user, a warning says so. */
async function askOccupancy(
    client: ClusterClient,
    config: StackConfig,
    nodes: readonly V1Node[],
): Promise<Occupancy | undefined> {
    const core = client.api(CoreV1Api);
    const what = "the pods of all namespaces (room on the nodes)";
    // As `kubectl describe node` counts them.
    const fieldSelector = "status.phase!=Succeeded,status.phase!=Failed";
    const isNamed = WORKLOADS.some((name) => config[name].priorityClassName !== undefined);
    const [pods, classes, status] = await Promise.all([
        unlessForbidden(
            listAll(
                client,
                (page) => core.listPodForAllNamespaces({ ...page, fieldSelector }),
                (pod) => placedFacts(pod, config.namespace.name),
            ),
            what,
        ).catch(({ code, message }: Error & { code?: number }) => {
            const why = code === undefined ? `there is ${message}` : `the answer is HTTP ${code}`;
            void pulumi.log.warn(`not checked: ${what}, because ${why}.`);
            return undefined;
        }),
        isNamed
            ? unlessForbidden(
                  client.ask(() => client.api(SchedulingV1Api).listPriorityClass()),
                  "priority classes",
              )
            : undefined,
        client
            .ask(() =>
                orAbsent(core.readNamespacedConfigMap({ name: AUTOSCALER_STATUS, namespace: "kube-system" })),
            )
            .catch((error: unknown) => void unless(403, error)),
    ]);
    return (
        pods && {
            allocatable: Object.fromEntries(
                nodes.map(({ metadata, status: { allocatable } = {} }) => [
                    metadata?.name ?? "",
                    allocatableOf(allocatable),
                ]),
            ),
            pods,
            priorities: Object.fromEntries(
                (classes?.items ?? []).map(({ metadata, value }) => [metadata?.name ?? "", value ?? 0]),
            ),
            // Whoever may not read the autoscaler's ConfigMap cannot tell that there is none.
            grows:
                status !== "absent" ||
                nodes.some(({ metadata }) => isOfPool(metadata?.labels, metadata?.annotations)),
        }
    );
}

/** A pod that takes room on a node; nothing if it takes none, or not for long. */
function placedFacts({ metadata, spec }: V1Pod, namespace: string): Placed[] {
    const [label = ""] = Object.keys(partOf(""));
    const isOwn = metadata?.namespace === namespace && OWN_PARTS.includes(metadata.labels?.[label] ?? "");
    if (spec?.nodeName === undefined || (!isOwn && metadata?.deletionTimestamp !== undefined)) {
        return [];
    }
    const own = {
        workload: metadata?.labels?.["app.kubernetes.io/name"] ?? "",
        name: metadata?.name ?? "",
    };
    return [
        {
            node: spec.nodeName,
            space: spaceOf(spec),
            priority: spec.priority ?? 0,
            ...(isOwn ? { own } : {}),
        },
    ];
}

function nodeFact({ metadata, spec, status }: V1Node): Node {
    return {
        name: metadata?.name ?? "",
        labels: metadata?.labels ?? {},
        taints: spec?.taints ?? [],
        isReady:
            spec?.unschedulable !== true &&
            (status?.conditions ?? []).some(({ type, status: is }) => type === "Ready" && is === "True"),
    };
}

/** By the ranges of the nodes' pods, or by the nodes' own addresses where the network has ranges of its own. */
export function familiesOf(nodes: readonly V1Node[]): ("IPv4" | "IPv6")[] {
    const ranges = nodes.flatMap(({ spec }) => spec?.podCIDRs ?? spec?.podCIDR ?? []);
    const addresses = nodes.flatMap(({ status }) =>
        (status?.addresses ?? []).filter(({ type }) => type === "InternalIP").map(({ address }) => address),
    );
    const found = ranges.length > 0 ? ranges : addresses;
    return [...new Set(found.map((each) => (each.includes(":") ? "IPv6" : "IPv4")))];
}

function volumeFact(
    claim: V1PersistentVolumeClaim,
    disks: readonly V1PersistentVolume[],
): NonNullable<Facts["volumes"]>[number] {
    const disk = disks.find(({ metadata }) => metadata?.name === claim.spec?.volumeName);
    return {
        name: claim.metadata?.name ?? "",
        storageClass: claim.spec?.storageClassName,
        size: claim.spec?.resources?.requests?.storage ?? "0",
        node: disk && onlyNode(disk),
    };
}

function quotaFact({ metadata, spec, status }: V1ResourceQuota): Quota {
    return {
        name: metadata?.name ?? "",
        hard: spec?.hard ?? {},
        used: status?.used ?? {},
        isScoped: (spec?.scopes ?? []).length > 0 || spec?.scopeSelector !== undefined,
    };
}

function limitFacts({ metadata, spec }: V1LimitRange): Limit[] {
    return (spec?.limits ?? []).map(({ type, max, min, maxLimitRequestRatio, _default, defaultRequest }) => ({
        name: metadata?.name ?? "",
        type,
        defaults: [...Object.keys(_default ?? {}), ...Object.keys(defaultRequest ?? {})],
        ...(maxLimitRequestRatio === undefined ? {} : { ratio: maxLimitRequestRatio }),
        ...(max === undefined ? {} : { max }),
        ...(min === undefined ? {} : { min }),
    }));
}

/** What the label of {@link partOf} says on the pods of a stack. */
const OWN_PARTS: readonly string[] = [...SYSTEMS, "dabacluster"];

/** What the stack's pods and volumes count towards a quota. A pod that has ended counts no more. */
function ownAmounts(pods: readonly V1Pod[], claims: readonly V1PersistentVolumeClaim[]): Amounts {
    const [label = ""] = Object.keys(partOf(""));
    const ours = pods.filter(
        ({ metadata, status }) =>
            OWN_PARTS.includes(metadata?.labels?.[label] ?? "") &&
            !["Succeeded", "Failed"].includes(status?.phase ?? ""),
    );
    return sum([
        ...ours.map(({ spec }) =>
            podAmounts((spec?.containers ?? []).map(({ resources = {} }) => resources)),
        ),
        ...claims
            .filter(({ metadata }) =>
                /^data-(?:redis|mysql)-(?:master|slave)-\d+$/.test(metadata?.name ?? ""),
            )
            .map((claim) => volumeFact(claim, []))
            .map(({ size, storageClass }) => volumeAmounts({ size, storageClass })),
    ]);
}

/** The host name of the only node that a volume can be used on; undefined if there are others. */
function onlyNode({ spec }: V1PersistentVolume): string | undefined {
    const terms = spec?.nodeAffinity?.required?.nodeSelectorTerms ?? [];
    const hosts = terms.map(
        ({ matchExpressions = [] }) =>
            matchExpressions.find(
                ({ key, operator }) => key === "kubernetes.io/hostname" && operator === "In",
            )?.values,
    );
    return hosts.length === 1 && hosts[0]?.length === 1 ? hosts[0][0] : undefined;
}

function runningFact({ metadata, spec }: V1StatefulSet): Running {
    const pod = spec?.template.spec;
    return {
        pods: spec?.replicas ?? 1,
        image: pod?.containers[0]?.image,
        base: metadata?.annotations?.[BASE_ANNOTATION],
        spread: (pod?.topologySpreadConstraints ?? []).some(
            ({ whenUnsatisfiable, labelSelector }) =>
                whenUnsatisfiable === "DoNotSchedule" &&
                Object.keys(partOf("")).every((label) => labelSelector?.matchLabels?.[label] !== undefined),
        )
            ? "required"
            : "preferred",
    };
}

/** Without the permission to read (a ServiceAccount of one namespace), the check is skipped with a warning. */
async function unlessForbidden<T>(question: Promise<T>, what: string): Promise<T | undefined> {
    try {
        return await question;
    } catch (error) {
        unless(403, error);
        void pulumi.log.warn(`not checked: no permission to read ${what}.`);
        return undefined;
    }
}

function orAbsent<T>(question: Promise<T>): Promise<T | "absent"> {
    return question.catch((error: unknown) => {
        unless(404, error);
        return "absent";
    });
}

/** Throws every error except the API server's answer with this status. */
function unless(status: number, error: unknown): void {
    if ((error as { code?: number }).code !== status) {
        throw error;
    }
}

/** What is wrong with Docker and the registry, which are needed only to build images. */
async function toolsProblems(
    { registry }: StackConfig,
    bases: ReadonlyMap<string, string>,
): Promise<string[]> {
    const version = await docker(["version", "--format", "{{.Server.Version}}"], ANSWER_MS);
    const engine = version.isAbsent
        ? // Pulumi needs the Engine alone.
          void pulumi.log.warn("not checked: Docker and the base images, because docker is not on PATH.")
        : version.ok
          ? [
                ...(await engineProblems()),
                ...(await Promise.all([...bases].map((each) => baseProblems(...each)))).flat(),
            ]
          : [
                `Docker Engine at ${process.env.DOCKER_HOST ?? "the active docker context"} does not answer; start it, ` +
                    `run \`make local-up\`, or pin every image by digest in \`images\``,
            ];
    return [...(engine ?? []), ...(await registryAnswers(registry, version.ok))];
}

/** Runs docker, and returns what it wrote. */
function docker(
    args: readonly string[],
    timeout: number,
    env: NodeJS.ProcessEnv = process.env,
): Promise<{ ok: boolean; isAbsent: boolean; stdout: string; stderr: string }> {
    return new Promise((resolve) => {
        const child = execFile("docker", args, { timeout, env }, (error, stdout, stderr) =>
            resolve({ ok: error === null, isAbsent: error?.code === "ENOENT", stdout, stderr }),
        );
        child.stdin?.end();
    });
}

/** What is wrong if Pulumi's provider uses another engine than the CLI, which was asked. */
async function engineProblems(): Promise<string[]> {
    const { ok, stdout } = await docker(["context", "inspect"], ANSWER_MS);
    const [context] = ok ? (JSON.parse(stdout) as DockerContext[]) : [];
    const provider = providerHost();
    const remedy = context && engineRemedy(context, provider);
    if (remedy === undefined) {
        return [];
    }
    const env = { ...process.env, DOCKER_CONTEXT: undefined, DOCKER_HOST: provider };
    if (provider !== undefined && (await docker(["version"], ANSWER_MS, env)).ok) {
        void pulumi.log.warn(`images are built by another engine than docker's: ${remedy}.`);
        return [];
    }
    return [remedy];
}

/** What is wrong with the registry: what it answers, or why it does not. */
async function registryAnswers(registry: StackConfig["registry"], hasDocker: boolean): Promise<string[]> {
    const { address, plainHttp } = registry;
    const url = registryUrl(address, plainHttp);
    const question = (base: string) => ask(`${base}/v2/`, { signal: AbortSignal.timeout(ANSWER_MS) });
    const dockerReachesIt = async () => {
        const said = await docker(["pull", "--quiet", `${address}/dabaweb:preflight`], REGISTRY_ANSWER_MS);
        return said.ok || whyNotGiven(said.stderr) !== undefined;
    };
    try {
        const { status } = await question(url);
        const problems = registryProblems(registry, status, hasDockerLogin(address));
        // Docker takes a login's challenge from that answer and ignores any other.
        if (problems.length > 0 && status !== 401 && hasDocker && (await dockerReachesIt())) {
            void pulumi.log.warn(
                `not checked: registry ${address} answers /v2/ with HTTP ${status}, but Docker gets an answer from it.`,
            );
            return [];
        }
        return problems;
    } catch (error) {
        const [isPlain, reached] = await Promise.all([
            url.startsWith("https:")
                ? question(url.replace(/^https/, "http")).then(
                      () => true,
                      () => false,
                  )
                : false,
            hasDocker && dockerReachesIt(),
        ]);
        const { problem, remark } = registrySilent(address, {
            reason: reasonOf(error),
            isPlain,
            dockerReachesIt: reached,
        });
        if (remark !== undefined) {
            void pulumi.log.warn(`not checked: ${remark}.`);
        }
        return problem === undefined ? [] : [problem];
    }
}

/**
 * What it means that a registry does not answer.
 *
 * @param found why not, whether it answers over plain http instead of https, and whether Docker gets an answer from it.
 */
export function registrySilent(
    address: string,
    found: { readonly reason: string; readonly isPlain: boolean; readonly dockerReachesIt: boolean },
): { readonly problem?: string; readonly remark?: string } {
    const { reason, isPlain, dockerReachesIt } = found;
    const [host] = address.split("/");
    if (isPlain) {
        return {
            problem:
                `registry ${address} answers over plain http, not https (${reason}); set registry.plainHttp to true, and ` +
                `${host} in the Docker Engine's insecure-registries`,
        };
    }
    if (isDistrust(reason)) {
        const remedy = "add its CA to this machine's certificates, or name its file in SSL_CERT_FILE";
        return dockerReachesIt
            ? {
                  remark:
                      `Docker trusts the certificate of registry ${address}, but this machine does not (${reason}), and ` +
                      `Pulumi asks the registry, too, once an image is pushed; ${remedy}`,
              }
            : {
                  problem: `registry ${address} has a certificate that nobody here trusts (${reason}); ${remedy}`,
              };
    }
    return dockerReachesIt
        ? {
              remark:
                  `Docker reaches registry ${address}, but this program does not (${reason}); if Docker has a proxy of its ` +
                  "own, name it in HTTPS_PROXY, because Pulumi asks the registry, too, once an image is pushed",
          }
        : {
              problem: `registry ${address} does not answer (${reason}); start it, run \`make local-up\`, or correct registry.address`,
          };
}

/** What is wrong with a base: nothing if Docker has it or its registry serves it. */
async function baseProblems(image: string, key: string): Promise<string[]> {
    if ((await docker(["image", "inspect", image], ANSWER_MS)).ok) {
        return [];
    }
    const { ok, stderr } = await docker(["manifest", "inspect", askedName(image)], REGISTRY_ANSWER_MS);
    return ok ? [] : baseRefused(image, key, stderr);
}

/**
 * What a registry's answer about a base means for a build on it.
 *
 * @param key the configuration key that names another image.
 * @param complaints what Docker's client wrote.
 */
export function baseRefused(image: string, key: string, complaints: string): string[] {
    const why = whyNotGiven(complaints);
    const remedy = `set ${key} to an image that Docker can pull, or mirror.images to a mirror of Docker Hub`;
    if (why === undefined) {
        // The engine may have its own mirror, which the client does not know.
        void pulumi.log.warn(
            `not checked: the base image ${image} is not in Docker, and its registry cannot be reached from here; ` +
                `if Docker cannot pull it either, ${remedy}.`,
        );
        return [];
    }
    const said = {
        absent: "has no such image",
        limited: "gives this machine no more images for now (run `docker login`, or wait an hour)",
        login: "requires a login (`docker login`)",
    }[why];
    return [`the registry of the base image ${image} ${said}; ${remedy}`];
}

/**
 * What a registry's answer to an anonymous request means for a push to it.
 *
 * @param status HTTP status of /v2/.
 * @param dockerLogin whether Docker has a login for the registry.
 */
export function registryProblems(
    { address, username }: StackConfig["registry"],
    status: number,
    dockerLogin: boolean,
): string[] {
    if (status === 401 && username === undefined && !dockerLogin) {
        return [
            `registry ${address} requires a login and there is none; run \`docker login ${address.split("/")[0]}\`, or set ` +
                `registry.username and registry.password`,
        ];
    }
    // 401 means that the registry requires the login, which the push has.
    return status === 200 || status === 401
        ? []
        : [`registry ${address} answers with HTTP ${status}; /v2/ must answer with 200 or 401`];
}
