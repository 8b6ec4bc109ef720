/** The stack's pods as Kubernetes and the nodes' container runtime see them. */
import { docker, waitFor } from "../support/docker";
import { System } from "../support/system";

/** Pause between two queries to the cluster: the recovering pods need the machine more than the observer does. */
export const POLL_MS = 1000;

/** Seconds for pods to end or to be created: longer than their grace period. */
const SCALE_SECONDS = 120;

/** One container of a pod. */
export interface Container {
    readonly name: string;
    /** containerd's id of the container; unset while it has none. */
    readonly id?: string;
    readonly running: boolean;
    readonly restarts: number;
}

/** One pod, on any node. */
export interface Pod {
    readonly name: string;
    readonly uid: string;
    readonly workload: string;
    readonly node?: string;
    readonly ready: boolean;
    readonly leaving: boolean;
    /** Whether this is a pod of a Job that has succeeded or failed. */
    readonly ended: boolean;
    readonly containers: readonly Container[];
}

interface ContainerStatus {
    name: string;
    containerID?: string;
    restartCount: number;
    state?: { running?: object };
}

interface PodObject {
    metadata: { name: string; uid: string; deletionTimestamp?: string; labels?: Record<string, string> };
    spec: { nodeName?: string };
    status: {
        phase?: string;
        conditions?: { type: string; status: string }[];
        containerStatuses?: ContainerStatus[];
        initContainerStatuses?: ContainerStatus[];
    };
}

/** Every pod of the stack's namespace. */
export async function allPods(system: System): Promise<Pod[]> {
    const { items } = JSON.parse(await system.kubectl(["get", "pods", "-o", "json"])) as {
        items: PodObject[];
    };
    return items.map(({ metadata, spec, status }) => ({
        name: metadata.name,
        uid: metadata.uid,
        workload: metadata.labels?.["app.kubernetes.io/name"] ?? "",
        node: spec.nodeName,
        ready: status.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false,
        leaving: metadata.deletionTimestamp !== undefined,
        ended: status.phase === "Succeeded" || status.phase === "Failed",
        containers: [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].map(
            ({ name, containerID, restartCount, state }) => ({
                name,
                id: containerID?.replace(/^.*:\/\//, ""),
                running: state?.running !== undefined,
                restarts: restartCount,
            }),
        ),
    }));
}

/**
 * Brings the stack into the state in which every run starts, whatever the previous run left: no container has a restart
 * back-off (a back-off lasts as long as its pod lives), and every slave receives from its master, which readiness does not
 * require while the slave's data is fresh.
 */
export async function settle(system: System): Promise<void> {
    await system.ready();
    const restarted = (await allPods(system)).filter(
        ({ ended, containers }) => !ended && containers.some(({ restarts }) => restarts > 0),
    );
    if (restarted.length > 0) {
        await system.kubectl(["delete", "pod", ...restarted.map(({ name }) => name)]);
        await system.ready();
    }
    const receiver =
        "SELECT service_state FROM performance_schema.replication_connection_status WHERE channel_name = ''";
    for (const pod of system.pods("mysql-slave")) {
        await receives(pod, async () => (await system.sql(pod, receiver)) === "ON");
    }
    for (const pod of system.pods("redis-slave")) {
        const up = /^master_link_status:up\s*$/m;
        await receives(pod, async () => up.test(await system.redis(pod, "INFO", "replication")));
    }
}

function receives(pod: string, answer: () => Promise<boolean>): Promise<unknown> {
    return waitFor(`${pod} to receive from its master`, 60, answer, { pauseMs: POLL_MS });
}

/** The pod with this name, or the first pod of the workload with this name. */
export async function findPod(system: System, name: string): Promise<Pod> {
    const pods = (await allPods(system)).filter((pod) => !pod.leaving);
    const pod = pods.find((each) => each.name === name) ?? pods.find((each) => each.workload === name);
    if (pod === undefined) {
        throw new Error(`there is no pod ${name}; there are ${pods.map((each) => each.name).join(", ")}`);
    }
    return pod;
}

/** The node that a pod runs on. */
export async function nodeOf(system: System, name: string): Promise<string> {
    const { node } = await findPod(system, name);
    if (node === undefined) {
        throw new Error(`pod ${name} is not scheduled on a node`);
    }
    return node;
}

/** Runs a shell script on a node. */
export function onNode(node: string, script: string, timeoutSeconds = 60): Promise<string> {
    return docker(["exec", node, "bash", "-euc", script], { timeoutSeconds });
}

/** Ids, on the node, of all processes in a container. */
export async function processesOf(pod: Pod, container?: string): Promise<number[]> {
    const found = pod.containers.find(({ name, running }) => running && (container ?? name) === name);
    if (found?.id === undefined || pod.node === undefined) {
        throw new Error(`pod ${pod.name} has no running container ${container ?? ""}`);
    }
    // PID and INFO, below a header line.
    const lines = (await onNode(pod.node, `ctr --namespace k8s.io tasks ps ${found.id}`))
        .split("\n")
        .slice(1);
    return lines.map((line) => Number(line.trim().split(/\s+/)[0])).filter((pid) => pid > 0);
}

/** Sends a signal to all processes of all containers of a pod, bypassing Kubernetes. */
export async function signal(pod: Pod, name: "KILL" | "STOP" | "CONT"): Promise<void> {
    const running = pod.containers.filter((container) => container.running);
    const pids = (await Promise.all(running.map((each) => processesOf(pod, each.name)))).flat();
    // A process that has ended meanwhile is not a failure.
    await onNode(pod.node!, `kill -${name} ${pids.join(" ")} 2>/dev/null || true`);
}

/** The folder of a pod's volume on its node. */
export async function volumeOf(system: System, pod: string): Promise<string> {
    const claim = ["get", "pvc", `data-${pod}`, "-o", "jsonpath={.spec.volumeName}"];
    const path = "jsonpath={.spec.hostPath.path}{.spec.local.path}";
    return system.kubectl(["get", "pv", await system.kubectl(claim), "-o", path]);
}

/** Waits until a pod is replaced or gone. */
export async function untilReplaced(system: System, { name, uid }: Pod, seconds: number): Promise<void> {
    await waitFor(
        `pod ${name} to be replaced`,
        seconds,
        async () => (await allPods(system)).every((pod) => pod.uid !== uid),
        { pauseMs: POLL_MS },
    );
}

/** Sets the number of a StatefulSet's pods, and waits until exactly as many exist; they need not be ready. */
export async function scale(system: System, workload: string, count: number): Promise<void> {
    await system.kubectl(["scale", "statefulset", workload, `--replicas=${count}`]);
    const own = async (): Promise<Pod[]> =>
        (await allPods(system)).filter((pod) => pod.workload === workload);
    await waitFor(
        `${workload} to have ${count} pods`,
        SCALE_SECONDS,
        async () => (await own()).length === count,
        {
            pauseMs: POLL_MS,
        },
    );
}

/** Restarts of pods that were not targets: by restart count, or by a new pod with the same name. */
export function restartsOfOthers(
    before: readonly Pod[],
    after: readonly Pod[],
    targets: ReadonlySet<string>,
): string[] {
    return before
        .filter(({ name, leaving, ended }) => !targets.has(name) && !leaving && !ended)
        .flatMap((pod) => {
            const now = after.find((each) => each.name === pod.name);
            if (now?.uid !== pod.uid) {
                return [`${pod.name} replaced`];
            }
            const count = (each: Pod): number => each.containers.reduce((sum, c) => sum + c.restarts, 0);
            const more = count(now) - count(pod);
            return more > 0 ? [`${pod.name} restarted ${more} times`] : [];
        });
}
