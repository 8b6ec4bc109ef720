/** Which writes were acknowledged to the writer, recorded outside the cluster, and which of them the cluster has afterwards. */
import { createWriteStream, WriteStream } from "node:fs";

/** One write that was sent. Times in milliseconds of this machine's clock. */
interface Write {
    readonly sent: number;
    /** Unset: no answer, or an error. Such a write may exist or not. */
    acknowledged?: number;
}

/** How the writes of a ledger compare with what a pod has. */
export interface Tally {
    readonly acknowledged: number;
    /** Acknowledged, but missing. */
    readonly lost: number;
    /** Without an answer, but present. */
    readonly arrived: number;
    /** Without an answer. */
    readonly inDoubt: number;
    /** Present, but never sent. */
    readonly foreign: number;
}

export class Ledger {
    private readonly writes = new Map<number, Write>();
    private readonly file: WriteStream | undefined;
    private next = 1;

    /** @param file gets one line per event, so that you can look up a single write; if unset, events are kept only in memory */
    constructor(file?: string) {
        this.file = file === undefined ? undefined : createWriteStream(file);
    }

    /** Records that a write is about to be sent, and returns its number. */
    send(): number {
        const number = this.next++;
        this.writes.set(number, { sent: Date.now() });
        this.file?.write(`${number} sent ${Date.now()}\n`);
        return number;
    }

    acknowledge(number: number): void {
        this.writes.get(number)!.acknowledged = Date.now();
        this.file?.write(`${number} acknowledged ${Date.now()}\n`);
    }

    get acknowledged(): number[] {
        return [...this.writes].filter(([, write]) => write.acknowledged !== undefined).map(([n]) => n);
    }

    /** When acknowledgements arrived. */
    get times(): number[] {
        return [...this.writes.values()].flatMap(({ acknowledged }) => acknowledged ?? []);
    }

    /** The number of writes that were sent before this moment and had no answer yet. */
    inFlight(at: number): number {
        return [...this.writes.values()].filter(
            ({ sent, acknowledged }) => sent <= at && (acknowledged === undefined || acknowledged > at),
        ).length;
    }

    /** Compares the ledger with the numbers that a pod has. */
    tally(present: ReadonlySet<number>): Tally {
        const all = [...this.writes];
        const answered = all.filter(([, write]) => write.acknowledged !== undefined);
        const doubtful = all.filter(([, write]) => write.acknowledged === undefined);
        return {
            acknowledged: answered.length,
            lost: answered.filter(([number]) => !present.has(number)).length,
            arrived: doubtful.filter(([number]) => present.has(number)).length,
            inDoubt: doubtful.length,
            foreign: [...present].filter((number) => !this.writes.has(number)).length,
        };
    }

    close(): void {
        this.file?.end();
    }
}

/** Shorter silences are the rhythm of the load, not an interruption. */
const INTERRUPTION_MS = 1000;

/**
 * Seconds from the last answer to the next one in the longest silence that a fault caused. 0 if there was no silence of a
 * second or more; undefined if the answers never came back.
 *
 * @param times when answers arrived, in any order
 * @param fault when the fault hit
 * @param end when the load was stopped
 */
export function secondsWithout(times: readonly number[], fault: number, end: number): number | undefined {
    const before = times.filter((time) => time < fault);
    const start = before.length > 0 ? before.reduce((a, b) => Math.max(a, b)) : fault;
    const moments = [start, ...times.filter((time) => time >= fault).sort((a, b) => a - b)];
    const longest = moments.slice(1).reduce((most, time, i) => Math.max(most, time - moments[i]!), 0);
    if (end - moments.at(-1)! > Math.max(longest, INTERRUPTION_MS)) {
        return undefined;
    }
    return longest < INTERRUPTION_MS ? 0 : Math.round(longest / 100) / 10;
}
