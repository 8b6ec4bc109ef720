/**
 * `make faults`: run.ts [--rows TEXT,...] [--modes MODE,...] [--runs 3] [--write] [--fill] [--keep] [--reuse] [--list]
 *
 * Makes the cluster, brings the stack up, runs every row in every mode, writes the page, removes the cluster. Rows are
 * chosen by any part of their name; then the page is printed, or with --write those rows of it are replaced. --fill
 * keeps the runs that the page has, if none of the row failed, and runs what is missing up to --runs. --keep leaves the
 * cluster, and --reuse takes a kept one.
 */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { parseArgs } from "node:util";

import { dockerChoice, exported, readJson, writeWhole } from "../../local/environment";
import { takeLock } from "../../local/lock";
import { during, say } from "../../local/progress";
import { Refusal } from "../../local/shell";
import { partsUp } from "../../local/up";
import { docker } from "../support/docker";
import { System } from "../support/system";
import { bareRestart } from "./bare";
import { removeLedgers } from "./check";
import { environment, files, make, NODE_PORTS, remove } from "./cluster";
import { openDoors } from "./doors";
import { LEDGERS } from "./load";
import { Run, runRow } from "./matrix";
import { configure, initialise, pulumi, up } from "./program";
import { joined, Matrix, merged, page, RowResult, verdict } from "./report";
import { Mode, MODES, promisedIn, Row, ROWS } from "./rows";

const DOCS = path.resolve(__dirname, "../../docs");
const JSON_FILE = path.join(DOCS, "failure-matrix.json");

const { values: options } = parseArgs({
    options: {
        rows: { type: "string", default: "" },
        modes: { type: "string", default: MODES.join(",") },
        runs: { type: "string", default: "3" },
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
        throw new Refusal(`--rows is "${options.rows}", and no row is called so; --list names them.`);
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

function tell({ row, mode, run, ledgers, inFlight, write, read, others, broken }: Run): void {
    const figures =
        ledgers === undefined
            ? ""
            : LEDGERS.map(
                  (name) =>
                      `${name} ${Math.max(ledgers[name].lost, ledgers[name].lostOnSlaves)}/${ledgers[name].acknowledged} lost, ` +
                      `${inFlight![name]} in flight, ${write![name]} s`,
              ).join("; ") + `; reads ${Object.values(read!).join("/")} s; others ${others!.length}`;
    say(`${row} (${mode}) #${run}: ${broken.length === 0 ? "holds" : "DOES NOT HOLD"}: ${figures}`);
    broken.forEach((each) => say(`    ${each}`));
}

/** A stack that a fault has broken for good is no ground for the next one. */
async function anew(system: System): Promise<void> {
    say("the stack did not heal: it is destroyed and made again");
    await pulumi(["refresh", "--yes", "--skip-preview"]).catch(() => "");
    await system.kubectl(
        ["delete", "namespace", system.namespace, "--wait=true", "--timeout=300s", "--ignore-not-found"],
        {
            timeoutSeconds: 310,
        },
    );
    await pulumi(["refresh", "--yes", "--skip-preview"]);
    await up();
}

/** @returns whether every row holds what it promises. */
async function matrix(): Promise<boolean> {
    const rows = chosen();
    const modes = MODES.filter((mode) => options.modes.split(",").includes(mode));
    const complete = options.rows === "" && modes.length === MODES.length;
    const changes = git("status", "--porcelain", "--", ":/", ":!/docs/failure-matrix.*");
    const commit = `${git("rev-parse", "--short", "HEAD")}${changes === "" ? "" : " with changes"}`;
    if (!options.reuse || !fs.existsSync(files.kubeconfig)) {
        await during("cluster", make);
        await initialise();
    }
    const system = new System("faults");
    const results: RowResult[] = [];
    let facts: Pick<Matrix, "versions" | "bare"> | undefined;
    for (const mode of modes) {
        const wanted = rows.filter((row) => row.modes.includes(mode) && missing(row, mode) > 0);
        if (wanted.length === 0) {
            continue;
        }
        say(`stack: up with mysql-master.onNoReplica ${mode}`);
        await configure("mysql-master.onNoReplica", mode);
        await during("up", () => up());
        await system.ready();
        for (const row of wanted) {
            const runs = await runsOf(row, mode, system);
            const { name, of } = row;
            const result = { row: name, mode, promised: promisedIn(row, mode), of, commits: [commit], runs };
            results.push(options.fill ? joined(onPage(row, mode), result) : result);
            if (facts === undefined) {
                // What a fault took back at its end may still be rolling.
                await system.ready();
                facts = { versions: await versions(system), bare: await bareRestarts(system) };
            }
            // After every row: a long run that breaks off has not been for nothing.
            if (complete || options.write || options.fill) {
                write({ ...facts, rows: results });
            }
        }
        await removeLedgers(system);
    }
    if (!complete && !options.write && !options.fill && facts !== undefined) {
        console.log(page({ ...facts, rows: results }));
    }
    return results.every(({ runs }) => runs.every((run) => run.broken.length === 0));
}

/** What the page has of a row, where it is to be kept. */
function onPage(row: Row, mode: Mode): RowResult | undefined {
    const found = readJson<Matrix>(JSON_FILE)?.rows.find(
        (each) => each.row === row.name && each.mode === mode,
    );
    return options.fill && found !== undefined && verdict(found).survived ? found : undefined;
}

/** How many runs of a row are to be made. */
function missing(row: Row, mode: Mode): number {
    return Number(options.runs) - (onPage(row, mode)?.runs.length ?? 0);
}

async function runsOf(row: Row, mode: Mode, system: System): Promise<Run[]> {
    const runs: Run[] = [];
    for (let left = missing(row, mode); left > 0; left--) {
        const doors = await openDoors(system, NODE_PORTS.slice(1));
        const run = await during(row.name, () => runRow(row, mode, system, doors, files.ledgers));
        runs.push(run);
        tell(run);
        if (run.failure !== undefined) {
            await during("the stack anew", () => anew(system));
        }
    }
    return runs;
}

async function bareRestarts(system: System): Promise<Matrix["bare"]> {
    const bare = { redis: await bareRestart(system, "redis"), mysql: await bareRestart(system, "mysql") };
    say(`bare restart on the same data: Redis ${bare.redis} s, MySQL ${bare.mysql} s`);
    return bare;
}

/** Rows that this run has not got to are kept from the one before. */
function write(matrix: Matrix): void {
    const order = MODES.flatMap((mode) => ROWS.map(({ name }) => ({ row: name, mode })));
    const rows = merged(readJson<Matrix>(JSON_FILE)?.rows ?? [], matrix.rows, order);
    writeWhole(JSON_FILE, `${JSON.stringify({ ...matrix, rows }, undefined, 1)}\n`);
    writeWhole(path.join(DOCS, "failure-matrix.md"), page({ ...matrix, rows }));
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
    const release = takeLock("stack-faults", "make faults");
    let cleared: Promise<void> | undefined;
    const clear = (): Promise<void> => {
        cleared ??= (options.keep ? Promise.resolve() : remove("of this run")).finally(release);
        return cleared;
    };
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
        process.once(signal, () => {
            say(`${signal}: clearing away`);
            void clear().finally(() => process.exit(130));
        });
    }
    try {
        process.exitCode = (await matrix()) ? 0 : 1;
    } finally {
        await clear();
    }
}

main().catch((error: unknown) => {
    console.error(error instanceof Refusal ? error.message : error);
    process.exitCode = 1;
});
