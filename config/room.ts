/** Whether the nodes of a cluster have room for the pods of a stack, counted as the scheduler counts it. */
import { accepts, type Claim, type Node, platformLabels, type Spread } from "../components/spread";
import { SYSTEMS, type WORKLOADS } from "./contradictions";
import { exceeds, type Part, parts, shown, valueOf } from "./demand";
import type { StackConfig } from "./keys";

const KINDS = ["cpu", "memory", "pods"] as const;

/** Cores, bytes and a number of pods: what a pod takes of a node, or what a node has. */
export type Space = Readonly<Record<(typeof KINDS)[number], number>>;

type Quantities = Readonly<Record<string, string>>;

/** A container, as far as it matters to the scheduler. */
interface Container {
    readonly restartPolicy?: string | undefined;
    readonly resources?: { readonly requests?: Quantities | undefined } | undefined;
}

/** The spec of a pod, as far as it matters to the scheduler. */
export interface PodSpec {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[] | undefined;
    readonly overhead?: Quantities | undefined;
    readonly resources?: { readonly requests?: Quantities | undefined } | undefined;
}

/** A pod that is on a node. */
export interface Placed {
    readonly node: string;
    readonly space: Space;
    readonly priority: number;
    /** Undefined if it does not belong to the stack. */
    readonly own?: { readonly workload: string; readonly name: string } | undefined;
}

/** How full the nodes are. */
export interface Occupancy {
    /** What each node has for pods, by its name. */
    readonly allocatable: Readonly<Record<string, Space>>;
    /** The pods that are there, without those of others that are about to end. */
    readonly pods: readonly Placed[];
    /** The values of the cluster's priority classes. */
    readonly priorities: Readonly<Record<string, number>>;
    /** Whether nodes may be added by themselves. */
    readonly grows: boolean;
}

/** What a stack meets on its nodes. */
export interface Ground {
    readonly nodes: readonly Node[];
    /** Its volumes; undefined if they could not be read. */
    readonly claims: readonly Claim[] | undefined;
    readonly spread: Readonly<Record<(typeof SYSTEMS)[number], Spread>>;
    readonly occupancy: Occupancy;
}

/**
 * What the scheduler reserves for a pod: https://kubernetes.io/docs/concepts/resource-management/effective-pod-requests-limits/
 *
 * A quantity that this project does not read counts as nothing, so that no pod is refused because of it.
 */
export function spaceOf({ containers, initContainers = [], overhead, resources }: PodSpec): Space {
    const of = (kind: "cpu" | "memory") => {
        const amount = (quantities: Quantities | undefined) => valueOf(quantities?.[kind] ?? "0") ?? 0;
        // An init container runs beside the sidecars that are listed before it; the others have ended.
        let [sidecars, most] = [0, 0];
        for (const { restartPolicy, resources: each } of initContainers) {
            if (restartPolicy === "Always") {
                sidecars += amount(each?.requests);
            }
            most = Math.max(most, restartPolicy === "Always" ? sidecars : sidecars + amount(each?.requests));
        }
        const running = containers.reduce((sum, each) => sum + amount(each.resources?.requests), sidecars);
        const isOfPod = resources?.requests?.[kind] !== undefined;
        return (isOfPod ? amount(resources?.requests) : Math.max(most, running)) + amount(overhead);
    };
    return { cpu: of("cpu"), memory: of("memory"), pods: 1 };
}

/** What a node has for pods. A quantity that this project does not read is no bound. */
export function allocatableOf(quantities: Quantities = {}): Space {
    const of = (kind: string) => valueOf(quantities[kind] ?? "") ?? Infinity;
    return { cpu: of("cpu"), memory: of("memory"), pods: of("pods") };
}

/** The ConfigMap in kube-system that the cluster autoscaler writes (its FAQ, "How can I check what is going on in CA?"). */
export const AUTOSCALER_STATUS = "cluster-autoscaler-status";

/**
 * Labels of nodes that a provider or Karpenter makes, and may make more of: those that
 * https://github.com/grafana/kubectl-nodepools/blob/main/main.go knows, and that of EKS' Fargate, which makes a node for each pod
 * (https://github.com/aws/eks-charts/pull/260).
 */
const POOLS = [
    "karpenter.sh/nodepool",
    "karpenter.sh/provisioner-name",
    "eks.amazonaws.com/nodegroup",
    "eks.amazonaws.com/compute-type",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
    "doks.digitalocean.com/node-pool-id",
];

/** What the cluster autoscaler and its users write on nodes (its FAQ), and what Cluster API writes on each of its own. */
const ANNOTATIONS = ["cluster-autoscaler.kubernetes.io/", "cluster.x-k8s.io/machine"];

/** Whether a node belongs to a group that may get further nodes by itself. */
export function isOfPool(
    labels: Readonly<Record<string, string>> = {},
    annotations: Readonly<Record<string, string>> = {},
): boolean {
    return (
        POOLS.some((label) => labels[label] !== undefined) ||
        Object.keys(annotations).some((key) => ANNOTATIONS.some((prefix) => key.startsWith(prefix)))
    );
}

/** The nodes that accept the pods of a workload, ready or not. */
export function nodesFor(
    config: StackConfig,
    name: (typeof WORKLOADS)[number],
    nodes: readonly Node[],
): readonly Node[] {
    const { nodeSelector, tolerations } = config[name];
    const wish = { nodeSelector: { ...platformLabels(config.platform), ...nodeSelector }, tolerations };
    return nodes.filter((node) => accepts(node, wish));
}

/** A pod that the stack wants to run. */
interface Wanted {
    readonly workload: Part["name"];
    /** How a sentence calls it. */
    readonly title: string;
    readonly space: Space;
    readonly priority: number;
    /** The nodes that accept its workload. */
    readonly accepting: readonly Node[];
    /** Those of them that its volume can be used on. */
    readonly places: readonly Node[];
    readonly isTied: boolean;
    /** Where it is now. */
    readonly node: string | undefined;
}

/**
 * What the nodes have no room for, one sentence each.
 *
 * @returns `refused`: what no order of the pods can change. `remarks`: what may still end well, because nodes are added or
 * because the scheduler finds another order, and that there is no room for the web pod more that a rollout needs.
 */
export function roomProblems(
    config: StackConfig,
    ground: Ground,
): { readonly refused: readonly string[]; readonly remarks: readonly string[] } {
    const pods = wantedPods(config, ground);
    const { grows } = ground.occupancy;
    const free = freeSpace(ground.occupancy);
    const refused: string[] = [];
    const remarks: string[] = [];
    const add = (problem: string, remedy: string, isHelped: boolean) =>
        isHelped && grows
            ? remarks.push(`${problem}; unless the cluster adds a node by itself, ${remedy}`)
            : refused.push(`${problem}; ${remedy}`);
    const homeless = pods.filter(
        ({ space, priority, places }) => !places.some(({ name }) => fits(space, free(name, priority))),
    );
    for (const pod of unique(homeless)) {
        // A node that is added does not have the volume.
        add(noRoom(pod, free), remedyFor(pod), !pod.isTied);
    }
    if (homeless.length === 0) {
        const problem = tooMuchTogether(pods, free);
        if (problem !== undefined) {
            add(problem, "lower replicas or resources, free room on the nodes, or add a node", true);
        } else if (!grows) {
            // Where nodes are added by themselves, those that are there are meant to be full.
            remarks.push(...placementRemarks(ground, pods, free));
        }
    }
    return { refused, remarks };
}

/** The pods of a stack, without those that no node accepts: that is another problem, with its own sentence. */
function wantedPods(config: StackConfig, { nodes, claims = [], occupancy }: Ground): Wanted[] {
    const wanted = parts(config).flatMap((part) => {
        const accepting = nodesFor(config, part.name, nodes);
        const { priorityClassName } = config[part.name];
        // Pods of less priority make room. If that of the stack is not known, all may.
        const priority =
            priorityClassName === undefined ? 0 : (occupancy.priorities[priorityClassName] ?? Infinity);
        const own = occupancy.pods.filter((pod) => pod.own?.workload === part.name);
        return Array.from({ length: part.pods }, (_, ordinal): Wanted => {
            const name = `${part.name}-${ordinal}`;
            const host = part.volume && claims.find((claim) => claim.name === `data-${name}`)?.node;
            const now = part.volume ? own.find((pod) => pod.own?.name === name) : own[ordinal];
            return {
                workload: part.name,
                title: host === undefined ? `a pod of ${part.name}` : name,
                space: spaceOf({ containers: part.containers.map((resources) => ({ resources })) }),
                priority,
                accepting,
                places: accepting.filter((node) => host === undefined || hostName(node) === host),
                isTied: host !== undefined,
                node: now?.node,
            };
        });
    });
    return wanted.filter(({ places }) => places.length > 0);
}

function hostName({ name, labels }: Node): string {
    return labels["kubernetes.io/hostname"] ?? name;
}

type Free = (node: string, priority: number) => Space;

/**
 * What a stack finds on each node: what other pods of at least its priority leave, and at least what its own pods have there now,
 * which they can take again.
 */
function freeSpace({ allocatable, pods }: Occupancy): Free {
    const byNode = new Map<string, Placed[]>();
    for (const pod of pods) {
        byNode.set(pod.node, [...(byNode.get(pod.node) ?? []), pod]);
    }
    return (node, priority) => {
        const there = byNode.get(node) ?? [];
        const own = total(there.filter((pod) => pod.own !== undefined).map(({ space }) => space));
        const others = total(
            there
                .filter((pod) => pod.own === undefined && pod.priority >= priority)
                .map(({ space }) => space),
        );
        const all = allocatable[node] ?? allocatableOf();
        return byKind((kind) => Math.max(all[kind] - others[kind], own[kind]));
    };
}

function byKind(of: (kind: (typeof KINDS)[number]) => number): Space {
    return { cpu: of("cpu"), memory: of("memory"), pods: of("pods") };
}

function total(spaces: readonly Space[]): Space {
    return byKind((kind) => spaces.reduce((sum, space) => sum + space[kind], 0));
}

function fits(space: Space, free: Space): boolean {
    return KINDS.every((kind) => !exceeds(space[kind], free[kind]));
}

/** How much of what it lacks most a pod would get: 1 or more if it fits. */
function share(space: Space, free: Space): number {
    return Math.min(...KINDS.map((kind) => (space[kind] === 0 ? Infinity : free[kind] / space[kind])));
}

function figures(space: Space, kinds: readonly (typeof KINDS)[number][] = KINDS): string {
    return kinds.map((kind) => `${kind}: ${shown(space[kind], kind)}`).join(", ");
}

/** One of the pods for each sentence that they would have. */
function unique(pods: readonly Wanted[]): Wanted[] {
    return [...new Map(pods.map((pod) => [pod.title, pod])).values()];
}

function remedyFor({ workload, isTied }: Wanted): string {
    return `lower resources of ${workload}, ${isTied ? "or free room on that node" : "free room on a node, or add a node"}`;
}

function noRoom({ title, space, priority, places, isTied }: Wanted, free: Free): string {
    const [most] = places
        .map(({ name }) => ({ name, left: free(name, priority) }))
        .sort((a, b) => share(space, b.left) - share(space, a.left));
    const asks = `it requests ${figures(space, ["cpu", "memory"])}`;
    const left = `has ${figures(most!.left)} left`;
    return isTied
        ? `node ${most!.name} has the volume of ${title}, but no room for it: ${asks}, and the node ${left}`
        : `no node has room for ${title}: ${asks}, and node ${most!.name}, which has the most room for it, ${left}`;
}

/** What all pods request, if that is more than all nodes have that any of them may use. */
function tooMuchTogether(pods: readonly Wanted[], free: Free): string | undefined {
    const nodes = [...new Set(pods.flatMap(({ places }) => places.map(({ name }) => name)))];
    const priority = Math.max(...pods.map((pod) => pod.priority));
    const asked = total(pods.map(({ space }) => space));
    const left = total(nodes.map((name) => free(name, priority)));
    const lacking = KINDS.filter((kind) => exceeds(asked[kind], left[kind]));
    const many =
        nodes.length === 1
            ? "the node that accepts them has"
            : `the ${nodes.length} nodes that accept them have`;
    return lacking.length === 0
        ? undefined
        : `the ${pods.length} pods of the stack together request ${figures(asked, lacking)}, but ${many} ${figures(left, lacking)} left`;
}

/** What is left over when the pods are placed one after the other. */
function placementRemarks(
    { nodes, spread, occupancy }: Ground,
    pods: readonly Wanted[],
    free: Free,
): string[] {
    const placed: { pod: Wanted; node: string }[] = [];
    const ready = new Set(nodes.filter(({ isReady }) => isReady).map(({ name }) => name));
    const place = (pod: Wanted): boolean => {
        const left = (node: string) => {
            const [has, taken] = [
                free(node, pod.priority),
                total(placed.filter((each) => each.node === node).map((each) => each.pod.space)),
            ];
            return byKind((kind) => has[kind] - taken[kind]);
        };
        const [chosen] = pod.places
            .map(({ name }) => ({ name, share: share(pod.space, left(name)) }))
            .filter(({ name }) => fits(pod.space, left(name)))
            .filter(
                ({ name }) =>
                    name === pod.node || (ready.has(name) && isApart(pod, name, placed, spread, ready)),
            )
            // It stays where it is; otherwise it takes the place that is least good for others.
            .sort((a, b) => Number(b.name === pod.node) - Number(a.name === pod.node) || a.share - b.share);
        if (chosen !== undefined) {
            placed.push({ pod, node: chosen.name });
        }
        return chosen !== undefined;
    };
    const order = [...pods].sort(
        (a, b) =>
            Number(b.node !== undefined) - Number(a.node !== undefined) ||
            a.places.length - b.places.length ||
            b.space.memory - a.space.memory ||
            b.space.cpu - a.space.cpu,
    );
    const over = order.filter((pod) => !place(pod));
    const waits = (workload: string) => `\`up\` would wait for ${workload}.awaitMinutes, then fail`;
    if (over.length > 0) {
        return unique(over).map(
            (pod) =>
                `when the other pods of the stack have their places, no node that is ready takes ${pod.title}, which requests ` +
                `${figures(pod.space, ["cpu", "memory"])}: unless the scheduler finds a better order, ${waits(pod.workload)}; ` +
                remedyFor(pod),
        );
    }
    const web = pods.find(({ workload }) => workload === "dabacluster");
    const isUp = occupancy.pods.some(({ own }) => own?.workload === "dabacluster");
    return web === undefined || !isUp || place({ ...web, node: undefined })
        ? []
        : [
              `no node has room for one web pod more, which requests ${figures(web.space, ["cpu", "memory"])}, and an update of the ` +
                  `web pods needs one: ${waits("dabacluster")}; ${remedyFor(web)}`,
          ];
}

/** Whether a pod may be on a node together with the other pods of its system, as `topologySpreadConstraints` of the pods have it. */
function isApart(
    { workload, accepting }: Wanted,
    node: string,
    placed: readonly { readonly pod: Wanted; readonly node: string }[],
    spread: Ground["spread"],
    ready: ReadonlySet<string>,
): boolean {
    const system = SYSTEMS.find((name) => workload.startsWith(`${name}-`));
    if (system === undefined || spread[system] === "preferred") {
        return true;
    }
    const count = (name: string) =>
        placed.filter((each) => each.node === name && each.pod.workload.startsWith(`${system}-`)).length;
    const least = Math.min(...accepting.filter(({ name }) => ready.has(name)).map(({ name }) => count(name)));
    return count(node) + 1 - least <= 1;
}
