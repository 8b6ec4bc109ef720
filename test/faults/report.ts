/** Writes the page docs/failure-matrix.md and its JSON file from the runs; later tests compare with the JSON file. */
import { LEDGERS, LedgerName } from "./load";
import type { Engine } from "./bare";
import type { Bare, Run } from "./matrix";
import type { Mode, Promised } from "./rows";

/** The result of a row on the page. */
export interface RowResult {
    readonly row: string;
    readonly mode: Mode;
    readonly promised: Readonly<Record<LedgerName, Promised>>;
    readonly runs: readonly Run[];
    readonly of: Engine | "both";
    /** The commits that the runs were made at, the earliest first. */
    readonly commits: readonly string[];
}

export interface Matrix {
    readonly versions: Readonly<Record<string, string>>;
    /** Used for runs without their own. Later invocations keep it, so that the rows that they do not run keep their figures. */
    readonly bare: Bare;
    readonly rows: readonly RowResult[];
}

/**
 * Replaces rows of an earlier matrix with those of a later one, in the order of the table.
 *
 * @param order rows and modes in order; others are dropped
 */
export function merged(
    earlier: Matrix | undefined,
    later: Matrix,
    order: readonly Pick<RowResult, "row" | "mode">[],
): Matrix {
    const find = (matrix: Matrix | undefined, { row, mode }: Pick<RowResult, "row" | "mode">) =>
        matrix?.rows.find((each) => each.row === row && each.mode === mode);
    return {
        versions: later.versions,
        bare: earlier?.bare ?? later.bare,
        rows: order.flatMap((key) => find(later, key) ?? find(earlier, key) ?? []),
    };
}

/** The runs of an earlier result, followed by those of a later one. */
export function joined(earlier: RowResult | undefined, later: RowResult): RowResult {
    return earlier === undefined
        ? later
        : {
              ...later,
              commits: [...new Set([...earlier.commits, ...later.commits])],
              runs: [...earlier.runs, ...later.runs],
          };
}

/** What a later run of a row must match. */
export interface Verdict {
    readonly survived: boolean;
    /** Ledgers that lost acknowledged writes. */
    readonly lost: readonly LedgerName[];
}

export function verdict({ runs }: Pick<RowResult, "runs">): Verdict {
    const lostOf = (name: LedgerName): number => Math.max(...runs.map((run) => lostIn(run, name)), 0);
    return {
        survived: runs.length > 0 && runs.every(({ broken }) => broken.length === 0),
        lost: LEDGERS.filter((name) => lostOf(name) > 0),
    };
}

function lostIn({ ledgers }: Run, name: LedgerName): number {
    return ledgers === undefined ? 0 : Math.max(ledgers[name].lost, ledgers[name].lostOnSlaves);
}

const range = (values: readonly number[]): string => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return values.length === 0 ? "" : low === high ? String(low) : `${low} to ${high}`;
};

/** The worst of all runs; `never` if one did not come back. */
function worst(values: readonly (number | null | undefined)[]): string {
    const known = values.filter((value): value is number => typeof value === "number");
    return values.some((value) => value === null)
        ? "never"
        : known.length === 0
          ? ""
          : Math.max(...known).toFixed(1);
}

/** The ledgers that determine an engine's first write. */
const WRITTEN = { redis: ["redisSet", "redisWait"], mysql: ["mysql"] } as const;
const ENGINES = ["redis", "mysql"] as const;

function line(result: RowResult, bare: Bare): string {
    const { runs, of } = result;
    const checked = runs.filter(({ ledgers }) => ledgers !== undefined);
    const ledger = (name: LedgerName): string => {
        if (checked.length === 0) {
            return "";
        }
        const acknowledged = range(checked.map(({ ledgers }) => ledgers![name].acknowledged));
        const lost = range(checked.map((run) => lostIn(run, name)));
        return `${lost} of ${acknowledged}${result.promised[name] === "measured" ? " (measured)" : ""}`;
    };
    const writes = (engine: Engine, unit: (run: Run) => number): string =>
        worst(
            checked.flatMap((run) =>
                WRITTEN[engine]
                    .map((name) => run.write![name])
                    .map((seconds) => (seconds === null ? null : seconds / unit(run))),
            ),
        );
    const ratio = ENGINES.filter((engine) => of === engine || of === "both")
        .map((engine) => writes(engine, (run) => (run.bare ?? bare)[engine]))
        .map((value) => (Number(value) > 0 ? value : "-"))
        .join(" / ");
    const reads = (["redis", "mysql", "page"] as const).map((name) =>
        worst(checked.map(({ read }) => read![name])),
    );
    const others = new Set(checked.flatMap((run) => run.others!));
    const { survived } = verdict(result);
    return `| ${[
        result.row,
        result.mode,
        String(runs.length),
        ...LEDGERS.map(ledger),
        ENGINES.map((engine) => writes(engine, () => 1)).join(" / "),
        reads.join(" / "),
        ratio,
        String(others.size),
        checked.length === runs.length && checked.every(({ difference }) => difference === undefined)
            ? "yes"
            : "no",
        survived ? "yes" : "**no**",
        result.commits.join(", "),
    ].join(" | ")} |`;
}

/** Says how the ratio is inexact for runs that were recorded without their own bare restart. */
function borrowed(runs: readonly Run[], bare: Bare): string[] {
    const without = runs.filter((run) => run.bare === undefined).length;
    return without === 0
        ? []
        : [
              `  ${without} of ${runs.length} runs were recorded without one: their ratio uses the bare restart of the last of their invocations (Redis ${bare.redis.toFixed(2)} s, MySQL`,
              // From `git log -p -- docs/failure-matrix.json`: runs of later versions have their own.
              `  ${bare.mysql.toFixed(2)} s), although not all are from that one. The versions of this page up to d6ee308 have 0.05 to 0.41 s for`,
              "  Redis and 0.87 to 1.94 s for MySQL.",
          ];
}

/** The page. */
export function page({ versions, bare, rows }: Matrix): string {
    const commits = [...new Set(rows.flatMap(({ commits }) => commits))];
    const failures = rows.flatMap(({ row, mode, runs }) =>
        runs.flatMap(({ broken }, i) => broken.map((each) => `- ${row} (${mode}), run ${i + 1}: ${each}.`)),
    );
    const notes = rows.flatMap(({ row, mode, runs }) =>
        runs.flatMap((run, i) =>
            (run.notes ?? []).map((each) => `- ${row} (${mode}), run ${i + 1}: ${each}.`),
        ),
    );
    const inFlight = rows
        .flatMap(({ runs }) => runs.flatMap((run) => run.inFlight ?? []))
        .map((each) => LEDGERS.reduce((sum, name) => sum + each[name], 0));
    const count = rows.filter((each) => verdict(each).survived).length;
    return [
        "# Failure matrix",
        "",
        `Written by \`make faults\` at commit ${commits.join(", ")}, on a cluster of its own: ` +
            Object.entries(versions)
                .map(([name, version]) => `${name} ${version}`)
                .join(", ") +
            ".",
        "",
        `${count} of ${rows.length} rows hold what they promise. Each run has at least 500 acknowledged writes per ledger. They are`,
        "sent from outside the cluster throughout the fault, and a ledger outside the cluster records which were acknowledged.",
        "Several stacks may share the machine and run rows in parallel (`--lanes`), which makes seconds longer, never shorter.",
        `In ${inFlight.filter((sum) => sum > 0).length} of ${inFlight.length} runs, writes were in flight when the fault hit (${range(inFlight)}).`,
        "",
        "- **mode**: `mysql-master.onNoReplica`. A row that is only in `wait` was not run in `degrade`. Faults of Redis and dabacluster",
        "  are run in one mode, because only mysql-master reads the setting. A fault of one of their nodes may also hit MySQL",
        "  pods. In `control`, semi-sync is off, so that no commit waits for a slave in either mode. The other rows have no such",
        "  reason: `degrade` may give a different result there.",
        "- **lost**: acknowledged writes that are missing on the master or on a slave after everything has recovered: from the",
        "  run with the fewest to the run with the most. *(measured)*: nothing is promised there. In `control` rows, a guard is off:",
        "  writes must be lost there, or this page could not show a loss.",
        "- **first write**, **first read**: the longest time between two answers, in seconds, in the worst run; 0.0: never a second",
        "  without an answer. The order is Redis / MySQL, and for reads also / page.",
        "- **ratio**: in the worst run, the first write divided by the engine's bare restart on the same data in the run's own",
        "  invocation.",
        ...borrowed(
            rows.flatMap(({ runs }) => runs),
            bare,
        ),
        "- **others**: pods that restarted but were not targets. **equal**: whether every key and the checksum of every table are",
        "  the same on all pods.",
        "- **at**: the commits at which the row was run; *with changes*: with changes that were not committed.",
        "",
        "| fault | mode | runs | Redis SET lost | Redis SET + WAIT 1 lost | MySQL lost | first write | first read | ratio | others | equal | holds | at |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        ...rows.map((each) => line(each, bare)),
        "",
        ...(notes.length === 0 ? [] : ["## What the faults measured", "", ...notes, ""]),
        ...(failures.length === 0 ? [] : ["## What does not hold", "", ...failures, ""]),
    ].join("\n");
}
