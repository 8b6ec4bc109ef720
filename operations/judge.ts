/** What is wrong in a stack, from facts alone. */
import { Claim, Facts, oneLine, Pod, PodStatus, told } from "./facts";
import { lacks } from "./position";

/** A fuller volume leaves no time to react: it also holds a week of MySQL's binary logs. */
const FULL_PERCENT = 85;

/** A page of a visitor may take a connection at any moment. */
const FULL_CONNECTIONS_PERCENT = 90;

/** Above this, one large row may be what ends the container. */
const FULL_MEMORY_PERCENT = 90;

/** For how long a container that reached its memory limit is reported: it may do so again. */
const RECENT_MS = 60 * 60_000;

/** A commit waits for milliseconds; a slave that restarts is back after about 30 s. */
const LONG_COMMIT_SECONDS = 10;

/** The application waits for a table for 10 s at most. */
const LONG_LOCK_SECONDS = 5;

/** Definitions and row counts are compared every half minute; a slave that is just catching up is compared later. */
const LATE_COMPARISON_MINUTES = 10;

/** A migration of a small database takes some seconds. */
const LONG_MIGRATION_MS = 2 * 60_000;

/** Two copies that fail may be bad luck: a donor that restarts, or a lost connection. The last one may still be on its way. */
const MANY_TRIES = 3;

/** A copy replaces what was wrong with the data; a second one after it has the same cause. */
const MANY_COPIES = 2;

/** What MySQL says before it copies, and what the system says. */
const NO_SPACE = /ERROR 3873|No space left/;

/** If a pod still exists this long after its grace period, nothing terminates it. */
const OVERDUE_MS = 30_000;

const SYSTEMS = ["redis", "mysql"];

/** Where docs/runbook.md says what to do about the failure of a Job. */
const FAILED_RUNS: Readonly<Record<string, string>> = {
    "dabacluster-cleanup": `see "The cleanup failed"`,
    "mysql-base": `see "A base or the archive fails"`,
    "mysql-base-due": `see "A base or the archive fails"`,
    "dabacluster-migrate": `see "A migration fails, is slow or was killed"`,
};

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
        ...now.pods.flatMap((pod) => blockingScript(pod) ?? failingCopies(pod) ?? unready(pod, now.at) ?? []),
        ...refusedPods(now),
        ...silentPods(now),
        ...otherHistories(now),
        ...sameIdentity(now),
        ...behind(now, earlier),
        ...stale(now),
        ...divergence(now),
        ...uncompared(now),
        ...hangingWrites(now),
        ...refusedWrites(now),
        ...fullConnections(now),
        ...blockedTables(now),
        ...longMigrations(now),
        ...largeTransactions(now),
        ...fullMemory(now),
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

/** Redis serves no one then, possibly before Kubernetes calls the pod unready. */
function blockingScript(pod: Pod): string | undefined {
    const waiting = told(pod)?.waiting ?? "";
    return /^a script has been running since /.test(waiting)
        ? `${pod.name} serves no one: ${waiting}; see "A script blocks Redis" in docs/runbook.md`
        : undefined;
}

/** Copies that do not end, or do not help. A slave that is ready has what it needs, however many that took. */
function failingCopies(pod: Pod): string | undefined {
    const { copies = "", waiting = "" } = told(pod) ?? {};
    const [, minutes, complete, failed] =
        /^\d+ begun in (\d+) min, (\d+) complete, the last (\d+) not/.exec(copies) ?? [];
    const what =
        Number(failed) >= MANY_TRIES
            ? `has begun ${failed} copies of another server and completed none of them`
            : Number(complete) >= MANY_COPIES
              ? `has taken ${complete} copies of other servers, and none of them helped`
              : undefined;
    if (pod.ready || pod.deletedBy !== undefined || what === undefined) {
        return undefined;
    }
    const why = waiting || pod.why;
    const see = NO_SPACE.test(why)
        ? `its volume has no room for a copy, see "A volume is full" in docs/runbook.md`
        : `see "A slave takes copies again and again" in docs/runbook.md`;
    return `${pod.name} ${what}, in ${minutes} min: ${why}; ${see}`;
}

function unready(pod: Pod, at: Date): string | undefined {
    if (pod.ready) {
        return undefined;
    }
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

/** What two servers hold, which positions cannot tell. */
function divergence({ pods }: Facts): string[] {
    return pods.flatMap((pod) => {
        const differs = told(pod)?.differs ?? "";
        return differs === ""
            ? []
            : [
                  `${pod.name} does not hold what the master holds: ${differs}; see "A slave holds other data than the ` +
                      `master" in docs/runbook.md`,
              ];
    });
}

/** A comparison that is not done finds nothing. While the master is away, that is the news. */
function uncompared({ pods, at }: Facts): string[] {
    const masterIsReady = pods.some(
        ({ system, role, ready }) => system === "mysql" && role === "master" && ready,
    );
    return pods.flatMap((pod) => {
        const status = told(pod);
        // An older image has no such lines.
        if (
            !masterIsReady ||
            !pod.ready ||
            status === undefined ||
            !/\S/.test(status.compared + status.uncompared)
        ) {
            return [];
        }
        const [, count, unit] = /row counts (\d+) (s|min|h) ago/.exec(status.compared) ?? [];
        const since = Math.max(Date.parse(pod.startedAt), Date.parse(pod.termination?.at ?? "") || 0);
        const age =
            count === undefined
                ? (at.getTime() - since) / 60_000
                : Number(count) * { s: 1 / 60, min: 1, h: 60 }[unit as "s" | "min" | "h"];
        return age < LATE_COMPARISON_MINUTES
            ? []
            : [
                  `${pod.name} has not been compared with its master for ${Math.floor(age)} min: ` +
                      `${status.uncompared || "its comparison does not run"}; see "A slave holds other data than the ` +
                      `master" in docs/runbook.md`,
              ];
    });
}

/** Two servers that log in as the same one throw each other out, and each looks well in between. */
function sameIdentity({ pods }: Facts): string[] {
    return pods
        .filter((pod) => /same server_(uuid|id)/.test(told(pod)?.replication ?? ""))
        .map(
            (pod) =>
                `${pod.name} and another server present themselves to the master as the same slave, so they throw each ` +
                `other out; ${said(told(pod)!)}; see "Two servers have the same identity" in docs/runbook.md`,
        );
}

function hangingWrites({ pods }: Facts): string[] {
    return pods.flatMap(({ name, status }) => {
        const replication = status instanceof Error ? "" : (status?.replication ?? "");
        const see = `see "Writes hang" in docs/runbook.md`;
        if (/semi-sync off, wait/.test(replication)) {
            return [
                `${name} acknowledges writes that no slave has, although onNoReplica is wait: someone turned semi-sync off; ` +
                    `if every slave is attached, restart the master to turn it on; ${see}`,
            ];
        }
        if (/semi-sync on, wait, 0 slaves/.test(replication)) {
            return [
                `${name} has no slave attached, so with onNoReplica: wait every write hangs until one attaches; ${see}`,
            ];
        }
        const [, commits, seconds] = /(\d+) commits wait, the longest for (\d+) s/.exec(replication) ?? [];
        return Number(seconds) >= LONG_COMMIT_SECONDS
            ? [`${name} has ${commits} commits that wait for a slave, the longest for ${seconds} s; ${see}`]
            : [];
    });
}

/** A server that was switched by hand, or that is full: its pod is ready, and what it is there for fails. */
function refusedWrites({ stack, pods }: Facts): string[] {
    return pods.flatMap((pod) => {
        const [, what, why = ""] =
            /; ((?:refuses|accepts) writes): (.*)$/.exec(told(pod)?.replication ?? "") ?? [];
        if (what === undefined || !pod.ready) {
            return [];
        }
        const [, variable, state] = /(\w+) is (ON|OFF)$/.exec(why) ?? [];
        const remedy =
            variable === undefined
                ? `see "Redis refuses writes" in docs/runbook.md`
                : `this project leaves it ${state === "ON" ? "OFF" : "ON"}; switch it back: \`kubectl -n ${stack.namespace} exec ` +
                  `${pod.name} -- mysql -e 'SET GLOBAL ${variable} = ${state === "ON" ? "OFF" : "ON"}'\``;
        return [`${pod.name} ${what}, although it is ready: ${why}; ${remedy}`];
    });
}

/** As the master reports it: `connections 97 of 100, of dabaweb 45 of 50`. */
function fullConnections({ pods }: Facts): string[] {
    return pods.flatMap((pod) => {
        const status = pod.status instanceof Error ? pod.status.message : (pod.status?.replication ?? "");
        const see = `see "The connections are full" in docs/runbook.md`;
        if (/\b(1040|1203|1226)\b|Too many connections|max_user_connections/.test(`${status} ${pod.why}`)) {
            return [`${pod.name} has no connection left: ${oneLine(status || pod.why)}; ${see}`];
        }
        const counts = [...status.matchAll(/(connections|of (\w+)) (\d+) of (\d+)/g)];
        return counts
            .filter(
                ([, , , used, limit]) =>
                    Number(limit) > 0 && Number(used) * 100 >= Number(limit) * FULL_CONNECTIONS_PERCENT,
            )
            .map(
                ([, , account, used, limit]) =>
                    `${pod.name} has ${used} of ${limit} connections in use${account === undefined ? "" : ` by ${account}`}; ` +
                    `at the limit it refuses more with error ${account === undefined ? 1040 : 1226}; ${see}`,
            );
    });
}

function blockedTables({ stack, pods }: Facts): string[] {
    return pods.flatMap((pod) => {
        const blocked = told(pod)?.blocked ?? "";
        const longest = Math.max(
            0,
            ...[...blocked.matchAll(/longest for (\d+) s/g)].map(([, s]) => Number(s)),
        );
        const [, connection] = /behind connection (\d+)/.exec(blocked) ?? [];
        return longest < LONG_LOCK_SECONDS
            ? []
            : [
                  `in ${pod.name}, ${blocked}; to end that transaction: \`kubectl -n ${stack.namespace} exec ${pod.name} -- mysql -e 'KILL ` +
                      `${connection}'\`; see "A migration fails, is slow or was killed" in docs/runbook.md`,
              ];
    });
}

function longMigrations({ pods, at }: Facts): string[] {
    return pods
        .filter((pod) => runsLong(pod, at))
        .map(
            (pod) =>
                `the migration ${pod.name} has been running for ${minutesSince(pod.startedAt, at)} min; ` +
                `${pod.words === "" ? "its log is empty" : `it says: ${pod.words}`}; see "A migration fails, is slow or was ` +
                `killed" in docs/runbook.md`,
        );
}

/** Whether a migration takes so long that its log is of interest. */
export function runsLong(pod: Pod, at: Date): boolean {
    return (
        pod.role === "migrate" &&
        pod.ready &&
        pod.startedAt !== "" &&
        at.getTime() - Date.parse(pod.startedAt) > LONG_MIGRATION_MS
    );
}

function largeTransactions({ pods }: Facts): string[] {
    return pods.flatMap((pod) => {
        const large = told(pod)?.large ?? "";
        return large === ""
            ? []
            : [`in ${pod.name}, ${large}; see "A large transaction is under way" in docs/runbook.md`];
    });
}

function fullMemory({ pods, at }: Facts): string[] {
    return pods.flatMap((pod) => {
        const { termination: end } = pod;
        // The migration has the resources of the application.
        const workload = pod.workload.replace(/-migrate$/, "");
        const raise = (container: string) =>
            `raise \`${container === "nginx" ? "nginxResources" : "resources"}\` of ${workload} in the stack file and deploy it`;
        const ended =
            end?.reason === "OOMKilled" && at.getTime() - Date.parse(end.at) < RECENT_MS ? end : undefined;
        return [
            ...(ended === undefined
                ? []
                : [
                      `${pod.name} was ended ${minutesSince(ended.at, at)} min ago because its container ${ended.container} ` +
                          `reached its memory limit (${pod.restarts} restarts in all); ${raise(ended.container)}`,
                  ]),
            ...Object.entries(pod.memory)
                .filter(
                    ([container, percent]) => percent > FULL_MEMORY_PERCENT && container !== ended?.container,
                )
                .map(
                    ([container, percent]) =>
                        `${pod.name} uses ${percent}% of the memory limit of its container ${container}, above ` +
                        `${FULL_MEMORY_PERCENT}%; ${raise(container)}`,
                ),
        ];
    });
}

function refusedPods({ stack, refused }: Facts): string[] {
    return refused.map(
        ({ owner, why }) =>
            `${owner} cannot create its pods: ${why}; ` +
            (/exceeded quota/.test(why)
                ? `raise that quota, or ask for less in the stack file: \`kubectl -n ${stack.namespace} describe resourcequota\``
                : `\`kubectl -n ${stack.namespace} describe ${owner.toLowerCase()}\` shows more`),
    );
}

function minutesSince(time: string, at: Date): number {
    return Math.max(0, Math.round((at.getTime() - Date.parse(time)) / 60_000));
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
            `the last run of ${workload}, Job ${job}, failed: ${why}; ${FAILED_RUNS[workload]} in docs/runbook.md`,
    );
}
