/** One run of one row: load, fault, recovery, check. */
import { waitFor } from "../support/docker";
import type { Engine } from "./bare";
import { Checked, checkLedgers, difference, prepareLedgers } from "./check";
import { Doors, LedgerName, LEDGERS, Load, ReaderName } from "./load";
import { allPods, POLL_MS, restartsOfOthers, settle } from "./pods";
import { Mode, Promised, promisedIn, Row } from "./rows";
import { Fault, Scene, Stage } from "./scene";

/** Minimum acknowledged writes per ledger before the fault, and at the end. */
const BEFORE = 100;
const ENOUGH = 500;
/** Seconds that the system may take to recover fully after the fault is over. */
const HEAL_SECONDS = 300;

/** Seconds that each engine's bare restart takes on the same data. */
export type Bare = Readonly<Record<Engine, number>>;

export interface Run {
    readonly row: string;
    readonly mode: Mode;
    readonly run: number;
    readonly ledgers?: Readonly<Record<LedgerName, Checked>>;
    /** Writes that were sent but unanswered when the fault hit. */
    readonly inFlight?: Readonly<Record<LedgerName, number>>;
    /** Seconds to the first write and read after the longest silence; 0: no silence of a second. Null: they never came back. */
    readonly write?: Readonly<Record<LedgerName, number | null>>;
    readonly read?: Readonly<Record<ReaderName, number | null>>;
    /** Restarts of pods that were no targets. */
    readonly others?: readonly string[];
    /** What the fault measured, and what it saw that must not be. Unset: nothing. */
    readonly notes?: readonly string[];
    readonly wrong?: readonly string[];
    /** Why the pods are not equal at the end. */
    readonly difference?: string;
    /** Why the system did not heal by itself. */
    readonly failure?: string;
    /** Which promises are broken, one sentence each. */
    readonly broken: readonly string[];
    /** From the invocation that made the run; unset for runs that are older than this field. */
    readonly bare?: Bare;
}

let runs = 0;

/** Runs a row once on a healthy stack. */
export async function runRow(
    row: Row,
    mode: Mode,
    stage: Stage,
    doors: Doors,
    folder?: string,
): Promise<Run> {
    const base = { row: row.name, mode, run: ++runs };
    const fault = row.fault();
    let result: Omit<Run, "broken">;
    try {
        await fault.prepare?.(stage);
        result = { ...base, ...(await play(fault, base.run, stage, doors, folder)) };
    } catch (error) {
        result = { ...base, failure: reason(error) };
    }
    try {
        await fault.undo?.(stage);
    } catch (error) {
        result = {
            ...result,
            failure: result.failure ?? `the fault's preparation could not be undone: ${reason(error)}`,
        };
    }
    return { ...result, broken: broken(result, promisedIn(row, mode)) };
}

const reason = (error: unknown): string => (error as Error).message.split("\n").slice(0, 3).join(" ");

async function play(
    fault: Fault,
    run: number,
    stage: Stage,
    doors: Doors,
    folder?: string,
): Promise<Partial<Run>> {
    const { system } = stage;
    const load = new Load(doors, run, folder);
    const scene = new Scene(stage, load);
    try {
        await settle(system);
        await prepareLedgers(system);
        const before = await allPods(system);
        load.start();
        await waitFor(`${BEFORE} acknowledged writes of every ledger`, 60, () =>
            Promise.resolve(load.fewest >= BEFORE),
        );
        await fault.strike(scene);
        const ended = Date.now();
        await heal(scene, ended);
        await load.stop();
        const moment = scene.moment ?? ended;
        const seconds = load.seconds(moment);
        const ledgers = await checkLedgers(system, load);
        return {
            ledgers,
            inFlight: byLedger((name) => load.ledgers[name].inFlight(moment)),
            write: nulls(seconds.write),
            read: nulls(seconds.read),
            others: restartsOfOthers(before, await allPods(system), scene.targets),
            difference: await difference(system),
            ...told(scene),
        };
    } catch (error) {
        return { failure: reason(error), ...told(scene) };
    } finally {
        await load.stop();
    }
}

/** What the fault told, without what is empty. */
function told({ notes, wrong }: Scene): Pick<Run, "notes" | "wrong"> {
    return { ...(notes.length > 0 ? { notes } : {}), ...(wrong.length > 0 ? { wrong } : {}) };
}

async function heal({ system, load }: Scene, ended: number): Promise<void> {
    const whole = async (): Promise<true> => {
        const silent = load.silentSince(ended);
        if (silent.length > 0) {
            throw new Error(`no ${silent.join(" and no ")} since the fault ended`);
        }
        const pods = (await allPods(system)).filter(({ leaving }) => !leaving);
        for (const [workload, count] of Object.entries(system.counts)) {
            const own = pods.filter((pod) => pod.workload === workload);
            const ready = own.filter((pod) => pod.ready).length;
            if (own.length !== count || ready !== count) {
                throw new Error(`${workload} has ${ready} of ${count} pods ready`);
            }
        }
        return true;
    };
    await waitFor("every pod to be ready and every client to get answers again", HEAL_SECONDS, whole, {
        pauseMs: POLL_MS,
    });
    await waitFor(`${ENOUGH} acknowledged writes of every ledger`, 120, () =>
        Promise.resolve(load.fewest >= ENOUGH),
    );
}

/** Which promises a run has broken. */
export function broken(run: Omit<Run, "broken">, promised: Readonly<Record<LedgerName, Promised>>): string[] {
    if (run.ledgers === undefined) {
        return [`it did not heal: ${run.failure ?? "the run broke off"}`, ...(run.wrong ?? [])];
    }
    const { ledgers } = run;
    return [
        ...LEDGERS.flatMap((name) => {
            const { acknowledged, lost, lostOnSlaves, foreign } = ledgers[name];
            const all = Math.max(lost, lostOnSlaves);
            return [
                ...(promised[name] === "kept" && all > 0
                    ? [`${all} of ${acknowledged} writes of ${name} are lost`]
                    : []),
                ...(promised[name] === "loss" && all === 0
                    ? [`nothing of ${name} is lost, and it should be`]
                    : []),
                ...(foreign > 0 ? [`${foreign} writes of ${name} are there that were never sent`] : []),
                ...(acknowledged < ENOUGH
                    ? [`only ${acknowledged} writes of ${name} were acknowledged`]
                    : []),
            ];
        }),
        ...(run.failure === undefined ? [] : [run.failure]),
        ...(run.wrong ?? []),
        ...(run.difference === undefined ? [] : [`the pods are not equal: ${run.difference}`]),
        ...(run.others ?? []).map((other) => `${other}, though it was no target`),
    ];
}

function byLedger<T>(value: (name: LedgerName) => T): Record<LedgerName, T> {
    return Object.fromEntries(LEDGERS.map((name) => [name, value(name)])) as Record<LedgerName, T>;
}

/** JSON has no undefined. */
function nulls<K extends string>(values: Record<K, number | undefined>): Record<K, number | null> {
    return Object.fromEntries(
        Object.entries(values).map(([key, value]) => [key, (value as number | undefined) ?? null]),
    ) as Record<K, number | null>;
}
