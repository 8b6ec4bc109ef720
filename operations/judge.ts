/** What is wrong in a stack, from facts alone. */
import { Claim, Facts, Pod, PodStatus, told } from "./facts";
import { lacks } from "./position";

/** A fuller volume leaves no time to react: it also holds a week of MySQL's binary logs. */
const FULL_PERCENT = 85;

/** If a pod still exists this long after its grace period, nothing terminates it. */
const OVERDUE_MS = 30_000;

const SYSTEMS = ["redis", "mysql"];

/**
 * One sentence for each thing that is wrong; none if all is well.
 *
 * @param earlier the same facts from some seconds ago, if a second look was needed: masters write all the time and pods do
 * not answer at the same moment, so a position counts as behind only if it lacks what others had before.
 */
export function judge(now: Facts, earlier: Facts = now): string[] {
    if (now.pods.length === 0 && now.claims.length === 0) {
        return [
            `namespace ${now.stack.namespace} in context ${now.stack.context} has no pods and no volumes of this ` +
                `stack: it is not deployed; deploy it with \`make up STACK=${now.stack.stack}\` or \`pulumi up\``,
        ];
    }
    return [
        ...absentPods(now),
        ...now.pods.filter((pod) => !pod.ready).map((pod) => unready(pod, now.at)),
        ...silentPods(now),
        ...otherHistories(now),
        ...behind(now, earlier),
        ...stale(now),
        ...hangingWrites(now),
        ...fullVolumes(now),
        ...(now.unread.includes("persistentvolumeclaims") ? [] : unboundClaims(now)),
        ...(now.unread.includes("configmaps") ? [] : absentMarkers(now)),
        ...failedRuns(now),
    ];
}

/** Whether positions differ, which a second look may explain. */
export function positionsDiffer(facts: Facts): boolean {
    return behind(facts, facts).length > 0;
}

function absentPods({ stack, pods }: Facts): string[] {
    return Object.entries(stack.counts).flatMap(([workload, wanted]) => {
        const alive = pods.filter((pod) => pod.workload === workload && !pod.failed);
        if (workload === "dabacluster") {
            return alive.length >= wanted
                ? []
                : [
                      `dabacluster has ${alive.length} of ${wanted} pods; \`kubectl -n ${stack.namespace} describe ` +
                          `deployment dabacluster\` shows why`,
                  ];
        }
        return Array.from({ length: wanted }, (_, ordinal) => `${workload}-${ordinal}`)
            .filter((name) => !alive.some((pod) => pod.name === name))
            .map(
                (name) =>
                    `pod ${name} is missing; \`kubectl -n ${stack.namespace} describe statefulset ${workload}\` shows why`,
            );
    });
}

function unready(pod: Pod, at: Date): string {
    if (pod.deletedBy === undefined) {
        return `${pod.name} is not ready: ${pod.why}`;
    }
    return at.getTime() - Date.parse(pod.deletedBy) > OVERDUE_MS
        ? `${pod.name} should have terminated by ${pod.deletedBy}, but node ${pod.node} has not stopped it; see ` +
              `"A node is lost" in docs/runbook.md`
        : `${pod.name} is being deleted; check again in a minute`;
}

function silentPods({ pods }: Facts): string[] {
    return pods.flatMap(({ name, status }) =>
        status instanceof Error ? [`${name} does not report its status: ${status.message}`] : [],
    );
}

function otherHistories({ pods }: Facts): string[] {
    return SYSTEMS.flatMap((system) => {
        const known = identified(pods, system);
        const [reference] = known;
        return known
            .filter(({ status }) => status.identity !== reference?.status.identity)
            .map(
                ({ pod, status }) =>
                    `${pod.name} has identity ${status.identity}, but ${reference?.pod.name} has ` +
                    `${reference?.status.identity}: their data has different histories; see "A slave has a different ` +
                    `history" in docs/runbook.md`,
            );
    });
}

/** Pods of a system that report an identity, the master first. */
function identified(pods: readonly Pod[], system: string): { pod: Pod; status: PodStatus }[] {
    return pods.flatMap((pod) => {
        const status = told(pod);
        return pod.system === system && status !== undefined && status.identity !== ""
            ? [{ pod, status }]
            : [];
    });
}

function behind(now: Facts, earlier: Facts): string[] {
    const position = (facts: Facts, name: string) =>
        told(facts.pods.find((pod) => pod.name === name))?.position ?? "";
    return SYSTEMS.flatMap((system) => {
        const known = identified(now.pods, system);
        const master = known.find(({ pod }) => pod.role === "master");
        if (master === undefined) {
            return [];
        }
        const slaves = known.filter(
            ({ pod, status }) => pod.role === "slave" && status.identity === master.status.identity,
        );
        return slaves.flatMap(({ pod, status }) => {
            const missing = lacks(status.position, position(earlier, master.pod.name));
            // An offset advances between two reads; only transactions can exist on the slave alone.
            const own = system === "mysql" ? lacks(master.status.position, position(earlier, pod.name)) : "";
            return [
                ...(missing === ""
                    ? []
                    : [`${pod.name} lacks ${missing} that ${master.pod.name} has; ${said(status)}`]),
                ...(own === ""
                    ? []
                    : [
                          `${pod.name} has ${own} that ${master.pod.name} lacks: either the master's volume is an older ` +
                              `copy, or someone wrote to the slave; see "A slave has a different history" in ` +
                              `docs/runbook.md`,
                      ]),
            ];
        });
    });
}

function stale({ pods }: Facts): string[] {
    return pods.flatMap((pod) => {
        const status = told(pod);
        return status?.stale !== undefined && pod.maxStale !== undefined && status.stale > pod.maxStale
            ? [
                  `${pod.name} has data that is ${status.stale} s old, more than its limit of ${pod.maxStale} s; ` +
                      said(status),
              ]
            : [];
    });
}

function said({ replication }: PodStatus): string {
    return `its replication status: ${replication || "not reported"}`;
}

function hangingWrites({ pods }: Facts): string[] {
    return pods
        .filter((pod) => /semi-sync on, wait, 0 slaves/.test(told(pod)?.replication ?? ""))
        .map(
            ({ name }) =>
                `${name} has no slave attached, so with onNoReplica: wait every write hangs until one attaches; see ` +
                `"Writes hang" in docs/runbook.md`,
        );
}

function fullVolumes({ pods }: Facts): string[] {
    return pods.flatMap((pod) => {
        const volume = told(pod)?.volume ?? 0;
        return volume > FULL_PERCENT
            ? [
                  `the volume of ${pod.name} is ${volume}% full, above ${FULL_PERCENT}%; see "A volume is full" in ` +
                      `docs/runbook.md`,
              ]
            : [];
    });
}

function unboundClaims({ stack, claims }: Facts): string[] {
    const wanted = Object.entries(stack.counts)
        .filter(([workload]) => workload !== "dabacluster")
        .flatMap(([workload, count]) =>
            Array.from({ length: count }, (_, ordinal) => `data-${workload}-${ordinal}`),
        );
    const absent = wanted
        .filter((name) => !claims.some((claim) => claim.name === name))
        .map(
            (name) =>
                `volume claim ${name} is missing; restore it if its volume was kept, otherwise \`pulumi up --refresh\` creates an empty one`,
        );
    const unbound = claims
        .filter(({ phase }) => phase !== "Bound")
        .map(
            ({ name, phase, said }: Claim) =>
                `volume claim ${name} is ${phase}, not Bound: ${said || "it has no events"}`,
        );
    return [...absent, ...unbound];
}

function absentMarkers({ configMaps }: Facts): string[] {
    return SYSTEMS.map((system) => `${system}-initialised`)
        .filter((name) => !configMaps.includes(name))
        .map(
            (name) =>
                `ConfigMap ${name} is missing: without it, a master that loses its volume starts over, empty; ` +
                `\`pulumi up\` creates it when the master is ready (with --refresh if someone deleted it)`,
        );
}

function failedRuns({ failedRuns }: Facts): string[] {
    return failedRuns.map(
        ({ workload, job, why }) =>
            `the last run of ${workload}, Job ${job}, failed: ${why}; see "The cleanup failed" in docs/runbook.md`,
    );
}
