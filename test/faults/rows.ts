/** The table of faults: what is done to which target, in which modes, and what is promised. */
import { engineStep } from "./engine-step";
import {
    badImage,
    cutDocker,
    cutRegistry,
    deleteMasterWhileSlavesRestart,
    deletePod,
    deletePodWithClaim,
    destroyMasterWithoutSlaves,
    destroyPodWithClaim,
    fillVolume,
    freeze,
    kill9,
    killClone,
    killMigration,
    killUp,
    loseNodeOf,
    masterAway,
    partition,
    pauseNodeOf,
    restartAllWithoutMastersClaims,
    rollout,
    stopAllNodes,
    stopNodeOf,
    withoutSemisync,
} from "./faults";
import { LedgerName } from "./load";
import { olderCopy } from "./older-copy";
import { Fault } from "./scene";
import { silenceNameServer, stepClock } from "./surroundings";
import { fillConnections, foreignEngines, largeTransactions, writePastTheLog } from "./writes";

/** What mysql-master does while no slave confirms a commit: `mysql-master.onNoReplica`. */
export const MODES = ["wait", "degrade"] as const;
export type Mode = (typeof MODES)[number];

/**
 * kept: every acknowledged write exists afterwards. measured: the losses are only reported. loss: writes must be lost, or
 * the matrix is blind.
 */
export type Promised = "kept" | "measured" | "loss";

export type Volumes = "shared" | "ofNode";

export interface Row {
    readonly name: string;
    readonly modes: readonly Mode[];
    readonly promised: Readonly<Record<LedgerName, Promised>>;
    /** Part of `make test`, on the one-node cluster. */
    readonly quick?: boolean;
    /**
     * Where the masters' volumes are: `shared`, the default, is what every node reaches. `ofNode` is local to a node, as in
     * production without network storage: a lost node takes it along.
     */
    readonly volumes: Volumes;
    /** Takes down nodes or the registry, which all stacks of the cluster share: no other row runs at the same time. */
    readonly alone?: boolean;
    /** Creates a new fault for every run: a fault remembers what it has to undo. */
    readonly fault: () => Fault;
    /** The engine whose interruption the row reports. */
    readonly of: "redis" | "mysql" | "both";
}

const ALL_KEPT = { redisSet: "kept", redisWait: "kept", mysql: "kept" } as const;

type Options = Partial<Omit<Row, "name" | "fault" | "promised">> & { promised?: Partial<Row["promised"]> };

function row(name: string, fault: () => Fault, { promised, ...rest }: Options = {}): Row {
    const of = name.includes("redis") ? "redis" : name.includes("mysql") ? "mysql" : "both";
    return {
        name,
        fault,
        modes: ["wait"],
        of,
        volumes: "shared",
        promised: { ...ALL_KEPT, ...promised },
        ...rest,
    };
}

const DATA_PODS = [
    "redis-master-0",
    "redis-slave-0",
    "redis-slave-1",
    "mysql-master-0",
    "mysql-slave-0",
    "mysql-slave-1",
] as const;
const EVERY_POD = [...DATA_PODS, "dabacluster"] as const;
const isMysql = (pod: string): boolean => pod.startsWith("mysql");
/** Faults of MySQL run in both of its modes, all others in one. */
const modesOf = (pod: string): readonly Mode[] => (isMysql(pod) ? MODES : ["wait"]);

export const ROWS: readonly Row[] = [
    ...EVERY_POD.map((pod) => row(`${pod}: kill -9`, () => kill9(pod), { modes: modesOf(pod) })),
    row("both masters: kill -9", () => kill9("redis-master-0", "mysql-master-0"), {
        modes: MODES,
    }),
    ...EVERY_POD.map((pod) =>
        row(`${pod}: SIGSTOP for 30 s`, () => freeze(pod, 30), { modes: modesOf(pod) }),
    ),
    ...EVERY_POD.map((pod) => row(`${pod}: deleted`, () => deletePod(pod), { modes: modesOf(pod) })),
    ...DATA_PODS.map((pod) =>
        row(`${pod}: deleted with its PVC`, () => deletePodWithClaim(pod), {
            modes: modesOf(pod),
            quick: pod.endsWith("-master-0"),
            promised: pod === "redis-master-0" ? { redisSet: "measured" } : {},
        }),
    ),
    row(
        "redis-master-0: deleted with its PVC while its slaves die",
        () => deleteMasterWhileSlavesRestart("redis"),
        {
            promised: { redisSet: "measured" },
        },
    ),
    row(
        "mysql-master-0: deleted with its PVC while its slaves die",
        () => deleteMasterWhileSlavesRestart("mysql"),
        {
            modes: MODES,
        },
    ),
    row("all pods: deleted at once, the masters with their PVCs", () => restartAllWithoutMastersClaims(), {
        modes: MODES,
        promised: { redisSet: "measured" },
    }),
    row("redis-master-0: killed hard with its PVC", () => destroyPodWithClaim("redis-master-0"), {
        promised: { redisSet: "measured", redisWait: "measured" },
    }),
    row("mysql-master-0: killed hard with its PVC", () => destroyPodWithClaim("mysql-master-0"), {
        modes: MODES,
    }),
    ...["redis-master-0", "mysql-master-0", "redis-slave-0", "mysql-slave-0", "dabacluster"].map((pod) =>
        row(`node of ${pod}: stopped for 20 s and started`, () => stopNodeOf(pod, 20), {
            modes: modesOf(pod),
            alone: true,
        }),
    ),
    ...["redis-master-0", "mysql-master-0"].map((pod) =>
        row(`node of ${pod}: lost for good`, () => loseNodeOf(pod), { modes: modesOf(pod), alone: true }),
    ),
    ...["redis-master-0", "mysql-master-0"].map((pod) =>
        row(`node of ${pod}: lost for good with the volumes on it`, () => loseNodeOf(pod, true), {
            alone: true,
            volumes: "ofNode",
            // What redis-master acknowledged by itself was on that node alone.
            promised: { redisSet: "measured" },
        }),
    ),
    row("all nodes: stopped at once and started", () => stopAllNodes(), { modes: MODES, alone: true }),
    ...["redis-master-0", "mysql-master-0"].map((pod) =>
        row(`node of ${pod}: paused for 2 minutes`, () => pauseNodeOf(pod, 120), {
            modes: modesOf(pod),
            alone: true,
        }),
    ),
    row("mysql-master-0: away for 5 minutes", () => masterAway("mysql", 300, 120)),
    ...["redis-slave-0", "mysql-slave-0"].map((pod) =>
        row(`${pod}: partitioned for 60 s`, () => partition([pod], 60), { modes: modesOf(pod) }),
    ),
    row("all mysql slaves: partitioned for 60 s", () => partition(["mysql-slave-0", "mysql-slave-1"], 60), {
        modes: MODES,
    }),
    row("mysql slaves partitioned, then the master destroyed", () => destroyMasterWithoutSlaves("mysql"), {
        modes: MODES,
    }),
    row("redis slaves partitioned, then the master destroyed", () => destroyMasterWithoutSlaves("redis"), {
        promised: { redisSet: "measured", redisWait: "kept" },
    }),
    ...["redis-master-0", "mysql-master-0", "redis-slave-1", "mysql-slave-1"].map((pod) =>
        // A master's volume is on every node: cordoning the other nodes keeps the pod on one of them.
        row(`${pod}: volume full for 60 s`, () => fillVolume(pod, 60), { alone: pod.includes("master") }),
    ),
    row("mysql-slave-1: clone killed half-way", () => killClone("mysql-slave-1")),
    row("migration Job killed half-way", () => killMigration()),
    row("registry cut in the middle of `up`", () => cutRegistry(), { alone: true }),
    row("Docker cut in the middle of `up`", () => cutDocker()),
    row("`up` killed, then cancel, refresh, up", () => killUp()),
    ...["redis-master", "redis-slave", "mysql-master", "mysql-slave", "dabacluster"].map((workload) =>
        row(`${workload}: bad image, then the former one`, () => badImage(workload)),
    ),
    ...["redis-master", "redis-slave", "mysql-master", "mysql-slave", "dabacluster"].map((workload) =>
        row(`${workload}: planned rollout`, () => rollout([workload]), { modes: modesOf(workload) }),
    ),
    row("redis: updated to a newer version", () => engineStep()),
    row("mysql-master-0: connections full while its slaves are away", () => fillConnections()),
    row("mysql-master-0: transactions up to the largest that it accepts", () => largeTransactions()),
    row("mysql-master-0: tables of other engines than InnoDB", () => foreignEngines()),
    row("mysql-master-0: rows written past the binary log", () => writePastTheLog()),
    row("redis-master-0: an older copy of its volume, late slaves", () => olderCopy("redis"), {
        promised: { redisSet: "measured" },
    }),
    row("mysql-master-0: an older copy of its volume, late slaves", () => olderCopy("mysql")),
    row("name server: silent for 60 s", () => silenceNameServer(60), { alone: true }),
    row(
        "name server: silent for 60 s while both masters restart",
        () => silenceNameServer(60, kill9("redis-master-0", "mysql-master-0")),
        { alone: true },
    ),
    ...["redis-master-0", "redis-slave-0", "mysql-master-0", "mysql-slave-0"].map((pod) =>
        row(`${pod}: clock stepped by an hour, forward and back`, () => stepClock(pod)),
    ),
    row(
        "control: semi-sync off, mysql slaves partitioned, then the master destroyed",
        () => destroyMasterWithoutSlaves("mysql", withoutSemisync),
        { promised: { mysql: "loss" } },
    ),
];

/** What a row promises in a mode: if no slave has confirmed a write, the write is lost with the master's disk. */
export function promisedIn({ name, promised }: Row, mode: Mode): Row["promised"] {
    const diskGoes = /master.*(PVC|destroyed)/.test(name);
    return mode === "degrade" && diskGoes && promised.mysql === "kept"
        ? { ...promised, mysql: "measured" }
        : promised;
}
