/**
 * `make faults`: run.ts [--rows TEXT,...] [--modes MODE,...] [--runs 3] [--lanes 2] [--write] [--fill] [--keep] [--reuse]
 * [--list]
 *
 * Creates the cluster, deploys the stack, runs every row in every mode, writes the page, removes the cluster. --rows
 * selects rows by any part of their name; the page is then printed, or with --write, those rows of the page are replaced.
 * --fill keeps the runs that the page has, unless one of the row failed, and adds the missing ones up to --runs. --lanes
 * is the number of stacks that run rows in parallel; rows that affect what the stacks share run last, on one stack alone.
 * --keep keeps the cluster, and --reuse uses a kept one. FAULTS_CLUSTER=2 in the environment creates a second cluster in
 * parallel.
 */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { parseArgs } from "node:util";

import { partsUp } from "../../local/environment/up";
import { readJson, writeWhole } from "../../local/machine/files";
import { during, say } from "../../local/machine/progress";
import { dockerChoice, exported } from "../../local/places";
import { takeLock } from "../../local/state/lock";
import { Refusal, reportFailure } from "../../operations/refusal";
import { docker } from "../support/docker";
import { System } from "../support/system";
import { bareRestart } from "./bare";
import { removeLedgers } from "./check";
import { environment, files, LANES_AT_MOST, make, NAME, remove } from "./cluster";
import { openDoors } from "./doors";
import { LEDGERS } from "./load";
import { Bare, Run, runRow } from "./matrix";
import { Program } from "./program";
import { joined, Matrix, merged, page, RowResult, verdict } from "./report";
import { Mode, MODES, promisedIn, Row, ROWS, Volumes } from "./rows";

const DOCS = path.resolve(__dirname, "../../docs");

const JSON_FILE = path.join(DOCS, "failure-matrix.json");

const { values: options } = parseArgs({
    options: {
        rows: { type: "string", default: "" },
        modes: { type: "string", default: MODES.join(",") },
        runs: { type: "string", default: "3" },
        lanes: { type: "string", default: "2" },
        reuse: { type: "boolean", default: false },
        keep: { type: "boolean", default: false },
        write: { type: "boolean", default: false },
        fill: { type: "boolean", default: false },
        list: { type: "boolean", default: false },
    },
});

function chosen(): readonly Row[] {
    const wanted = options.rows.split(",").filter(Boolean);
    const rows = ROWS.filter(({ name }) => wanted.length === 0 || wanted.some((each) => name.includes(each)));
    if (rows.length === 0) {
        throw new Refusal(
            `--rows is "${options.rows}", and no row has that in its name; --list prints all rows.`,
        );
    }
    return rows;
}

function git(...args: string[]): string {
    return execFileSync("git", args, { encoding: "utf8", cwd: __dirname }).trim();
}

async function versions(system: System): Promise<Record<string, string>> {
    const [kubernetes, redis, mysql] = await Promise.all([
        system.kubectl(["version", "-o", "json"]),
        system.redis("redis-master-0", "INFO", "server"),
        system.sql("mysql-master-0", "SELECT VERSION()"),
    ]);
    return {
        Kubernetes: (JSON.parse(kubernetes) as { serverVersion: { gitVersion: string } }).serverVersion
            .gitVersion,
        Redis: /redis_version:(\S+)/.exec(redis)?.[1] ?? "",
        MySQL: mysql,
        Pulumi: execFileSync("pulumi", ["version"], { encoding: "utf8" }).trim(),
        "Docker Engine": await docker(["version", "--format", "{{.Server.Version}}"]),
    };
}

function tell({ row, mode, run, ledgers, inFlight, write, read, others, notes, broken }: Run): void {
    const figures =
        ledgers === undefined
            ? ""
            : LEDGERS.map(
                  (name) =>
                      `${name} ${Math.max(ledgers[name].lost, ledgers[name].lostOnSlaves)}/${ledgers[name].acknowledged} lost, ` +
                      `${inFlight![name]} in flight, ${write![name]} s`,
              ).join("; ") + `; reads ${Object.values(read!).join("/")} s; others ${others!.length}`;
    say(`${row} (${mode}) #${run}: ${broken.length === 0 ? "holds" : "DOES NOT HOLD"}: ${figures}`);
    [...(notes ?? []), ...broken].forEach((each) => say(`    ${each}`));
}

type Facts = Pick<Matrix, "versions" | "bare">;

/** One run to make. */
interface Task {
    readonly row: Row;
    readonly mode: Mode;
    /** The number of runs of the row before this one. */
    readonly before: number;
}

/** A stack that runs one row after another. */
class Lane {
    private mode: Mode | undefined;
    private volumes: Volumes = "shared";

    constructor(readonly program: Program) {}

    /** Runs the remaining tasks until none are left; tasks that need no change of mode come first. */
    async work(tasks: Task[], done: (task: Task, run: Run) => void): Promise<void> {
        while (tasks.length > 0) {
            const fitting = tasks.findIndex(
                ({ mode, row }) => mode === this.mode && row.volumes === this.volumes,
            );
            const [task] = tasks.splice(Math.max(0, fitting), 1);
            done(task!, await this.run(task!));
        }
    }

    async run({ row, mode }: Task): Promise<Run> {
        const { program } = this;
        const stage = { system: program.system, program };
        await this.take(mode, row.volumes);
        const doors = await openDoors(program.system, program.doors);
        const run = await runRow(row, mode, stage, doors, files.ledgers);
        tell(run);
        if (run.failure !== undefined) {
            say(`${program.stack}: the stack did not heal; destroying and recreating it`);
            await program.anew();
        }
        return run;
    }

    private async take(mode: Mode, volumes: Volumes): Promise<void> {
        if (this.mode === mode && this.volumes === volumes) {
            return;
        }
        const { program } = this;
        say(`${program.stack}: deploying with mysql-master.onNoReplica ${mode}, masters' volumes ${volumes}`);
        await program.initialise();
        await program.configure("mysql-master.onNoReplica", mode);
        const storageClass = volumes === "shared" ? "shared" : "standard";
        if ((await program.setting("mysql-master.storageClass")) !== storageClass) {
            // The class of a volume cannot change.
            await program.down();
            await program.configure("redis-master.storageClass", storageClass);
            await program.configure("mysql-master.storageClass", storageClass);
            // As in production, where it is the default.
            await program.configure("spread", volumes === "shared" ? "preferred" : "required");
        }
        await program.up();
        await program.system.ready();
        [this.mode, this.volumes] = [mode, volumes];
    }
}

/** @returns whether every row keeps its promise */
async function matrix(): Promise<boolean> {
    const rows = chosen();
    const modes = MODES.filter((mode) => options.modes.split(",").includes(mode));
    const complete = options.rows === "" && modes.length === MODES.length;
    const changes = git("status", "--porcelain", "--", ":/", ":!/docs/failure-matrix.*");
    const commit = `${git("rev-parse", "--short", "HEAD")}${changes === "" ? "" : " with changes"}`;
    // Every row runs once before any row runs a second time, in case the whole run is interrupted.
    const tasks = modes
        .flatMap((mode) =>
            rows.filter((row) => row.modes.includes(mode)).flatMap((row) => missing(row, mode)),
        )
        .sort((a, b) => a.before - b.before);
    const shared = tasks.filter(({ row }) => !row.alone);
    const alone = tasks.filter(({ row }) => row.alone);
    const [first, ...others] = Array.from({ length: lanes() }, (_, i) => new Lane(new Program(i + 1)));
    if (!options.reuse || !fs.existsSync(files.kubeconfig)) {
        const workers = rows.some(({ volumes }) => volumes === "ofNode") ? 3 : 2;
        await during("cluster", () => make(workers));
    }
    const results = new Map<string, RowResult>();
    const done = (facts: Facts, { row, mode }: Task, run: Run): void => {
        const { name, of } = row;
        const key = `${name} ${mode}`;
        const result = {
            row: name,
            mode,
            promised: promisedIn(row, mode),
            of,
            commits: [commit],
            // Stored with the run: the page's figure changes as soon as `make faults` runs again.
            runs: [{ ...run, bare: facts.bare }],
        };
        results.set(key, joined(results.get(key) ?? onPage(row, mode), result));
        // After every run, so that an interrupted invocation keeps its results.
        if (complete || options.write || options.fill) {
            write({ ...facts, rows: [...results.values()] });
        }
    };
    const task = shared.shift() ?? alone.shift();
    if (task === undefined) {
        say("the page already has all requested runs");
        return true;
    }
    const run = await first!.run(task);
    const facts = await factsOf(first!.program.system);
    const note = (each: Task, made: Run): void => done(facts, each, made);
    note(task, run);
    const working = [first!, ...others].map((lane) => lane.work(shared, note));
    // If a lane fails, the others run its rows.
    const ended = await Promise.allSettled(working);
    ended.forEach((each) => each.status === "rejected" && say(`a lane failed: ${String(each.reason)}`));
    if (alone.length > 0) {
        await Promise.all(others.map(({ program }) => program.down()));
    }
    await first!.work(alone, note);
    await removeLedgers(first!.program.system);
    if (!complete && !options.write && !options.fill) {
        console.log(page({ ...facts, rows: [...results.values()] }));
    }
    const broken = [...results.values()].some(({ runs }) => runs.some((each) => each.broken.length > 0));
    return !broken && ended.every(({ status }) => status === "fulfilled");
}

/** @throws Refusal if the cluster has no room for this many lanes */
function lanes(): number {
    const count = Number(options.lanes);
    if (!Number.isInteger(count) || count < 1 || count > LANES_AT_MOST) {
        throw new Refusal(`--lanes is "${options.lanes}"; set it to a number from 1 to ${LANES_AT_MOST}.`);
    }
    return count;
}

/** The page's result of a row, if it is to be kept. */
function onPage(row: Row, mode: Mode): RowResult | undefined {
    const found = readJson<Matrix>(JSON_FILE)?.rows.find(
        (each) => each.row === row.name && each.mode === mode,
    );
    return options.fill && found !== undefined && verdict(found).survived ? found : undefined;
}

/** The runs of a row that are still to be made. */
function missing(row: Row, mode: Mode): Task[] {
    const found = onPage(row, mode)?.runs.length ?? 0;
    const length = Math.max(0, Number(options.runs) - found);
    return Array.from({ length }, (_, i) => ({ row, mode, before: found + i }));
}

async function factsOf(system: System): Promise<Facts> {
    // What a fault undid at its end may still be rolling out.
    await system.ready();
    return { versions: await versions(system), bare: await bareRestarts(system) };
}

async function bareRestarts(system: System): Promise<Bare> {
    const bare = { redis: await bareRestart(system, "redis"), mysql: await bareRestart(system, "mysql") };
    say(`bare restart on the same data: Redis ${bare.redis} s, MySQL ${bare.mysql} s`);
    return bare;
}

/** Writes the page and the JSON file; rows that this run has not reached are kept from before. */
function write(matrix: Matrix): void {
    const order = MODES.flatMap((mode) => ROWS.map(({ name }) => ({ row: name, mode })));
    const whole = merged(readJson<Matrix>(JSON_FILE), matrix, order);
    writeWhole(JSON_FILE, `${JSON.stringify(whole, undefined, 1)}\n`);
    writeWhole(path.join(DOCS, "failure-matrix.md"), page(whole));
}

async function main(): Promise<void> {
    if (options.list) {
        ROWS.forEach(({ name, modes }: { name: string; modes: readonly Mode[] }) =>
            console.log(`${name} (${modes.join(", ")})`),
        );
        return;
    }
    Object.assign(process.env, exported(dockerChoice()?.host));
    await partsUp();
    Object.assign(process.env, environment());
    const release = takeLock(`stack-${NAME}`, "make faults");
    let cleared: Promise<void> | undefined;
    const clear = (): Promise<void> => {
        cleared ??= (options.keep ? Promise.resolve() : remove("of this run")).finally(release);
        return cleared;
    };
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
        process.once(signal, () => {
            say(`${signal}: cleaning up`);
            void clear().finally(() => process.exit(130));
        });
    }
    try {
        process.exitCode = (await matrix()) ? 0 : 1;
    } finally {
        await clear();
    }
}

reportFailure(main());
