/** The answers of kubectl and the pods as plain facts. Nothing here makes a request. */
import { DeployedStack } from "./stack-file";

/** What `/opt/dabaweb/bin/status` prints in a pod; every text may be empty. */
export interface PodStatus {
    readonly role: string;
    readonly identity: string;
    /** Executed GTID set, or replication offset. */
    readonly position: string;
    /** Age of a slave's data in seconds. */
    readonly stale: number | undefined;
    /** Used percent of the volume. */
    readonly volume: number | undefined;
    readonly replication: string;
    readonly waiting: string;
    /** What a MySQL slave holds other than its master; empty if nothing, or if its image does not compare. */
    readonly differs: string;
    /** What could not be compared. */
    readonly uncompared: string;
    /** How old the comparison is, and how long a round of it takes. */
    readonly compared: string;
    /** Who waits for a table, and for whom. */
    readonly blocked: string;
    /** Large or long transactions. */
    readonly large: string;
    /** The copies of other servers that a MySQL slave has begun since its replication last ran for long. */
    readonly copies: string;
}

/** How a container last terminated. */
export interface Termination {
    readonly container: string;
    readonly reason: string;
    readonly exitCode: number;
    readonly at: string;
    /** The last line of its log. */
    readonly words: string;
}

export interface Pod {
    readonly name: string;
    /** For example mysql-slave. */
    readonly workload: string;
    /** redis, mysql or dabacluster. */
    readonly system: string;
    readonly role: string;
    readonly ready: boolean;
    /** Why it is not ready; empty if it is. */
    readonly why: string;
    /** When its grace period ends or ended; undefined unless it is being deleted. */
    readonly deletedBy: string | undefined;
    readonly failed: boolean;
    readonly restarts: number;
    readonly startedAt: string;
    readonly termination: Termination | undefined;
    readonly image: string;
    readonly node: string;
    /** Maximum age in seconds of the data that it serves, from its environment. */
    readonly maxStale: number | undefined;
    /** Its containers that run now. */
    readonly running: readonly string[];
    /** The one of them that has the status command. */
    readonly answering: string | undefined;
    /** The output of that command, or why there is none. */
    readonly status: PodStatus | Error | undefined;
    /** Used percent of the memory limit of each container that has one and was asked. */
    readonly memory: Readonly<Record<string, number>>;
    /** The last line of its log; empty unless that was read. */
    readonly words: string;
}

export interface Claim {
    readonly name: string;
    readonly phase: string;
    /** The message of its last event. */
    readonly said: string;
}

/** An object whose pods Kubernetes did not create when it last tried, for example because of a quota. */
export interface RefusedPods {
    /** For example StatefulSet mysql-slave. */
    readonly owner: string;
    readonly why: string;
}

/** A Job's last run that has ended, if it failed and nothing else shows that. */
export interface FailedRun {
    readonly workload: string;
    readonly job: string;
    readonly why: string;
}

export interface Facts {
    readonly stack: DeployedStack;
    /** When they were read. */
    readonly at: Date;
    readonly pods: readonly Pod[];
    readonly claims: readonly Claim[];
    readonly configMaps: readonly string[];
    readonly failedRuns: readonly FailedRun[];
    readonly refused: readonly RefusedPods[];
    /** Kinds that could not be read, as Kubernetes calls them. */
    readonly unread: readonly string[];
}

interface Terminated {
    reason?: string;
    exitCode: number;
    message?: string;
    finishedAt?: string;
}

interface ContainerStatus {
    name: string;
    image?: string;
    restartCount: number;
    state?: {
        waiting?: { reason?: string; message?: string };
        running?: object;
        terminated?: Terminated;
    };
    lastState?: { terminated?: Terminated };
}

interface KubeObject {
    kind: string;
    metadata: {
        name: string;
        uid?: string;
        labels?: Record<string, string>;
        deletionTimestamp?: string;
    };
}

interface PodObject extends KubeObject {
    spec: {
        nodeName?: string;
        containers: { name: string; image: string; env?: { name: string; value?: string }[] }[];
    };
    status: {
        phase?: string;
        startTime?: string;
        reason?: string;
        message?: string;
        conditions?: { type: string; status: string; reason?: string; message?: string }[];
        initContainerStatuses?: ContainerStatus[];
        containerStatuses?: ContainerStatus[];
    };
}

interface JobObject extends KubeObject {
    status?: {
        conditions?: { type: string; status: string; message?: string; lastTransitionTime?: string }[];
    };
}

interface ClaimObject extends KubeObject {
    status?: { phase?: string };
}

interface EventObject extends KubeObject {
    involvedObject: { kind?: string; name?: string; uid?: string };
    reason?: string;
    message?: string;
    lastTimestamp?: string | null;
    eventTime?: string | null;
    series?: { lastObservedTime?: string };
}

const NAME = "app.kubernetes.io/name";
const PART_OF = "app.kubernetes.io/part-of";
const ENGINES = ["redis", "mysql"];

const CREATORS = ["StatefulSet", "ReplicaSet", "Job", "CronJob"];

/** A controller tries again within 17 minutes at most. */
const REFUSAL_MS = 20 * 60_000;

/** Workloads that run on a schedule: their pods come and go, and their Jobs say whether they did what they should. */
const SCHEDULED = ["dabacluster-cleanup", "mysql-base", "mysql-base-due"];

/** Workloads whose Job outlives its pods: Kubernetes deletes the pod of a Job that passes its deadline. */
const ONCE = ["dabacluster-migrate"];

/** The facts in the answer to `kubectl get pods,persistentvolumeclaims,configmaps,events,jobs -o json`. */
export function parseObjects(
    stack: DeployedStack,
    answer: { items: readonly KubeObject[] },
    at: Date,
    unread: readonly string[] = [],
): Facts {
    const of = <T extends KubeObject>(kind: string) =>
        answer.items.filter((item) => item.kind === kind) as unknown as T[];
    const events = of<EventObject>("Event").sort((a, b) => timeOf(a).localeCompare(timeOf(b)));
    const all = of<PodObject>("Pod").filter((pod) => pod.metadata.labels?.[PART_OF] !== undefined);
    const pods = all.filter((pod) => !SCHEDULED.includes(workloadOf(pod)));
    const done = new Set(pods.filter((pod) => pod.status.phase === "Succeeded").map(jobOf));
    return {
        stack,
        at,
        unread,
        pods: pods
            // A Job leaves its pods behind: once one has succeeded, the failures of the others no longer matter.
            .filter((pod) => !done.has(jobOf(pod) ?? pod.metadata.name))
            .map((pod) => podFacts(pod, events))
            .sort((a, b) => order(a) - order(b) || a.name.localeCompare(b.name)),
        claims: of<ClaimObject>("PersistentVolumeClaim").map((claim) => ({
            name: claim.metadata.name,
            phase: claim.status?.phase ?? "unknown",
            said: oneLine(events.filter(concerns(claim)).at(-1)?.message ?? ""),
        })),
        configMaps: of("ConfigMap").map((each) => each.metadata.name),
        failedRuns: failedRuns(of<JobObject>("Job"), all, events),
        refused: refusedPods(events, at),
    };
}

/** The lines `key: value` of the status command; an older image has fewer. */
export function parseStatus(text: string): PodStatus {
    const values = new Map(
        text
            .split("\n")
            .map((line) => /^([a-z]+): ?(.*)$/.exec(line))
            .filter((match) => match !== null)
            .map(([, key, value]) => [key ?? "", (value ?? "").trim()]),
    );
    const number = (key: string) => {
        const match = /^\d+(\.\d+)?/.exec(values.get(key) ?? "");
        return match === null ? undefined : Number(match[0]);
    };
    return {
        role: values.get("role") ?? "",
        identity: values.get("identity") ?? "",
        position: values.get("position") ?? "",
        stale: number("stale"),
        volume: number("volume"),
        replication: values.get("replication") ?? "",
        waiting: values.get("waiting") ?? "",
        differs: values.get("differs") ?? "",
        uncompared: values.get("uncompared") ?? "",
        compared: values.get("compared") ?? "",
        blocked: values.get("blocked") ?? "",
        large: values.get("large") ?? "",
        copies: values.get("copies") ?? "",
    };
}

/** Where a container finds its own control group. */
const CGROUP = "/sys/fs/cgroup";

/** The files there with its limit and its use, and the line with what the kernel can take back: version 2, then version 1. */
const MEMORY_FILES = [
    ["memory.max", "memory.current", "memory.stat:inactive_file"],
    [
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat:total_inactive_file",
    ],
] as const;

/** Version 1 says "no limit" with a larger number of bytes, version 2 with a word. */
const NO_LIMIT = 2 ** 56;

/** A shell command that prints what matters in these files, each line behind the file's name. Half of the files never exist. */
export const PRINT_MEMORY =
    "{ grep -sE '^([0-9]+|max|(total_)?inactive_file .*)$' " +
    `${MEMORY_FILES.flat()
        .map((file) => `${CGROUP}/${file.replace(/:.*/, "")}`)
        .join(" ")} || true; }`;

/**
 * How much of its memory limit a container uses, in percent, without what the kernel can take back; undefined if it has no limit.
 *
 * @param text the output of {@link PRINT_MEMORY}, possibly among other lines.
 */
export function parseMemory(text: string): number | undefined {
    const files = MEMORY_FILES.find(([limit]) => text.includes(`${CGROUP}/${limit}:`)) ?? MEMORY_FILES[0];
    const [limit = NaN, used = NaN, cached = NaN] = files.map((file) =>
        Number(new RegExp(`^${CGROUP}/${file}[: ](\\d+)$`, "m").exec(text)?.[1]),
    );
    const percent = Math.floor(((used - cached) / limit) * 100);
    return Number.isFinite(percent) && limit < NO_LIMIT ? percent : undefined;
}

/** A pod with the answer of its status command, which says more recently than an event what the pod waits for. */
export function withStatus(pod: Pod, status: PodStatus | Error): Pod {
    const waiting = status instanceof Error ? "" : status.waiting;
    return { ...pod, status, why: pod.ready || waiting === "" ? pod.why : `waiting: ${waiting}` };
}

/** The status of a pod, if it reported one. */
export function told(pod: Pod | undefined): PodStatus | undefined {
    return pod?.status instanceof Error ? undefined : pod?.status;
}

function podFacts(pod: PodObject, events: readonly EventObject[]): Pod {
    const { metadata, spec, status } = pod;
    const workload = workloadOf(pod);
    const containers = containersOf(pod);
    const running = containers.filter(({ state }) => state?.running !== undefined).map((each) => each.name);
    const system = metadata.labels?.[PART_OF] ?? "";
    const ready = (status.conditions ?? []).some((c) => c.type === "Ready" && c.status === "True");
    const main = spec.containers[0];
    const maxStale = Number(main?.env?.find((each) => each.name === "MAX_STALE_SECONDS")?.value);
    return {
        name: metadata.name,
        workload,
        system,
        role: /-(master|slave|migrate)$/.exec(workload)?.[1] ?? "web",
        ready,
        why: ready ? "" : whyNotReady(pod, events.filter(concerns(pod))),
        deletedBy: metadata.deletionTimestamp,
        failed: status.phase === "Failed",
        restarts: containers.reduce((sum, { restartCount }) => sum + restartCount, 0),
        startedAt: status.startTime ?? "",
        termination: lastTermination(pod),
        image: main?.image ?? "",
        node: spec.nodeName ?? "",
        maxStale: Number.isFinite(maxStale) ? maxStale : undefined,
        running,
        answering: ENGINES.includes(system) ? running.at(-1) : undefined,
        status: undefined,
        memory: {},
        words: "",
    };
}

/** Pods that a controller could not create never exist, so only its events tell. */
function refusedPods(events: readonly EventObject[], at: Date): RefusedPods[] {
    const last = new Map<string, EventObject>();
    for (const event of events) {
        const { kind = "", name = "" } = event.involvedObject;
        const { reason = "" } = event;
        if (CREATORS.includes(kind) && ["FailedCreate", "SuccessfulCreate"].includes(reason)) {
            last.set(`${kind} ${name}`, event);
        }
    }
    return [...last]
        .filter(
            ([, event]) =>
                event.reason === "FailedCreate" && at.getTime() - Date.parse(timeOf(event)) < REFUSAL_MS,
        )
        .map(([owner, { message = "" }]) => ({ owner, why: oneLine(message) }));
}

function failedRuns(
    jobs: readonly JobObject[],
    pods: readonly PodObject[],
    events: readonly EventObject[],
): FailedRun[] {
    return [...SCHEDULED, ...ONCE].flatMap((workload) => {
        const runs = jobs
            .filter((job) => workloadOf(job) === workload)
            .map((job) => ({ job: job.metadata.name, ...endOf(job) }))
            .sort((a, b) => a.at.localeCompare(b.at));
        const last = runs.at(-1);
        // A migration's failed pods speak for themselves, and one that runs again may succeed.
        const shown =
            ONCE.includes(workload) &&
            (runs.some(({ at }) => at === "") || pods.some((pod) => jobOf(pod) === last?.job));
        if (last === undefined || !last.failed || shown) {
            return [];
        }
        const end = pods
            .filter((pod) => jobOf(pod) === last.job)
            .flatMap((pod) => lastTermination(pod) ?? [])
            .sort((a, b) => a.at.localeCompare(b.at))
            .at(-1);
        // A pod that takes too long is deleted; its events remain for an hour.
        const event = events
            .filter(
                ({ involvedObject: { kind, name = "" }, reason = "", message = "" }) =>
                    kind === "Pod" &&
                    name.startsWith(`${last.job}-`) &&
                    reason.startsWith("Failed") &&
                    // The event before it says more.
                    !/^Error: (ErrImagePull|ImagePullBackOff)$/.test(message),
            )
            .at(-1);
        const why = oneLine(end?.words || end?.reason || event?.message || last.message);
        return [{ workload, job: last.job, why: why.replace(/\.$/, "") }];
    });
}

/** When and how a Job ended; the time of one that has not is before all others. */
function endOf({ status }: JobObject): { failed: boolean; message: string; at: string } {
    const end = status?.conditions?.find(
        (each) => ["Complete", "Failed"].includes(each.type) && each.status === "True",
    );
    return { failed: end?.type === "Failed", message: end?.message ?? "", at: end?.lastTransitionTime ?? "" };
}

/** From the most telling to the least. */
function whyNotReady(pod: PodObject, events: readonly EventObject[]): string {
    const { metadata, status } = pod;
    if (metadata.deletionTimestamp !== undefined) {
        return "it is being deleted";
    }
    if (status.phase === "Failed") {
        return oneLine(
            `${status.reason ?? "failed"}: ${status.message ?? lastTermination(pod)?.words ?? ""}`,
        );
    }
    const condition = (type: string) =>
        status.conditions?.find((each) => each.type === type && each.status !== "True");
    const unscheduled = condition("PodScheduled");
    if (unscheduled !== undefined) {
        return oneLine(`${unscheduled.reason}: ${unscheduled.message}`);
    }
    // A container that has not started yet waits for the others, which is not a reason.
    const waiting = containersOf(pod).find(
        ({ state }) => !["", "PodInitializing", "ContainerCreating"].includes(state?.waiting?.reason ?? ""),
    );
    if (waiting !== undefined) {
        const { reason, message } = waiting.state?.waiting ?? {};
        const end = lastTermination(pod);
        const words = end?.container === waiting.name ? end.words : "";
        return oneLine(`${waiting.name}: ${reason}: ${words || message || ""}`);
    }
    const telling = events
        .filter(({ reason = "", message = "" }) =>
            reason === "Unhealthy" ? message.startsWith("Readiness probe") : reason.startsWith("Failed"),
        )
        .at(-1);
    const words = telling?.message?.replace(/^Readiness probe (failed|errored)[^:]*: /, "");
    const unready = condition("Ready");
    // A restarted container has not logged anything yet; what it logged last time is the cause.
    const end = lastTermination(pod);
    const said = end === undefined || end.words === "" ? undefined : `${end.container}: ended: ${end.words}`;
    return oneLine(words ?? said ?? unready?.message ?? unready?.reason ?? status.phase ?? "unknown");
}

function lastTermination({ status }: PodObject): Termination | undefined {
    const ends = ({ name, state, lastState }: ContainerStatus) =>
        [state?.terminated, lastState?.terminated]
            .filter((each) => each !== undefined)
            .map((each) => ({
                container: name,
                reason: each.reason ?? "",
                exitCode: each.exitCode,
                at: each.finishedAt ?? "",
                words: (each.message ?? "").trim().split("\n").at(-1)?.trim() ?? "",
            }));
    // An init container that ends successfully has done its work.
    const initial = (status.initContainerStatuses ?? [])
        .flatMap(ends)
        .filter(({ exitCode }) => exitCode !== 0);
    return [...initial, ...(status.containerStatuses ?? []).flatMap(ends)]
        .sort((a, b) => a.at.localeCompare(b.at))
        .at(-1);
}

function containersOf({ status }: PodObject): readonly ContainerStatus[] {
    return [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
}

function concerns(object: KubeObject) {
    return ({ involvedObject }: EventObject) =>
        involvedObject.uid !== undefined && involvedObject.uid === object.metadata.uid;
}

function timeOf({ series, lastTimestamp, eventTime }: EventObject): string {
    return series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? "";
}

function workloadOf({ metadata }: KubeObject): string {
    return metadata.labels?.[NAME] ?? metadata.name;
}

function jobOf({ metadata }: PodObject): string | undefined {
    return metadata.labels?.["batch.kubernetes.io/job-name"];
}

/** The order of the layers, from the data to the page. */
function order({ system, role }: Pod): number {
    const systems = ["redis", "mysql", "dabacluster", "backup"];
    return systems.indexOf(system) * 10 + ["master", "slave", "migrate", "web"].indexOf(role);
}

export function oneLine(text: string): string {
    return text.replace(/\s+/g, " ").trim();
}
