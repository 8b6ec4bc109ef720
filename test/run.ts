/**
 * Runs the tests, several files at a time, and ends with what each spent its time on, what failed, and `N passed, N failed`:
 * `run.ts [suite...] [--only PART_OR_PATH]`, default all. A job that cannot run says why and counts as failed.
 *
 * A file mostly waits for a pod or a container to do something; meanwhile, others use the processors. TEST_JOBS sets how
 * many run at a time (default: as many as there are cores).
 */
import { spawn } from "child_process";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";
import { parseArgs } from "util";

import { writeTestedWith } from "../docs/tested-with-page";
import { writeWhole } from "../local/machine/files";
import { processorSeconds } from "../local/machine/processors";
import { dockerChoice, exported, places } from "../local/places";
import { table } from "../operations/table";
import { chosen, ENVIRONMENT, type Job } from "./jobs";
import { isLong } from "./support/long";
import { KINDS, type Spent } from "./support/spent";

const CORES = os.cpus().length;

/** How many files run at a time. With twice as many as there are cores, 20 processes wait for each core, and all take longer. */
const AT_A_TIME = jobsAtATime();

/** The memory that a test's largest stack requests from the cluster's node, and the memory for everything else. */
const [STACK_GIB, REST_GIB] = [5, 6];
const STACKS_AT_A_TIME = Math.max(
    1,
    Math.min(CORES, Math.floor((os.totalmem() / 2 ** 30 - REST_GIB) / STACK_GIB)),
);

/** How much of a failure is repeated at the very end: its title and the beginning of its message. */
const NAME_LENGTH = 400;

/** The interval of the progress line while no job ends. */
const SIGN_SECONDS = 60;

function jobsAtATime(text = process.env.TEST_JOBS): number {
    const count = Number(text || CORES);
    if (!Number.isInteger(count) || count < 1) {
        throw new Error(`TEST_JOBS is "${text}"; it must be a whole number from 1.`);
    }
    return count;
}

interface Counts {
    readonly passed: number;
    readonly failed: number;
    readonly skipped: number;
    /** Title and message of each failed test; repeated at the end, where the reader of a long output looks. */
    readonly failures: readonly string[];
    /** Seconds by kind; a check that is not a test file has none. */
    readonly spent?: Spent;
}

/** What test/support/reporter.js writes. */
interface MochaCounts {
    readonly passes: number;
    readonly failures: number;
    readonly pending: number;
    readonly failed: readonly string[];
    readonly spent: Spent;
}

interface Done {
    readonly job: Job;
    readonly seconds: number;
    readonly counts: Counts;
}

/** How a whole run went; docs/benchmarks.md is written from it. */
export interface TestTimes {
    readonly seconds: number;
    readonly cpuMinutes: number;
    /** The idle share of the cores' time. */
    readonly idlePercent: number;
    readonly head: readonly string[];
    readonly rows: readonly (readonly (string | number)[])[];
}

/** Runs a job to its end. Keeps its output until then, because other jobs print meanwhile. */
async function run(job: Job): Promise<Counts> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "test-"));
    const counts = path.join(folder, "counts.json");
    try {
        const { code, said } = await execute(job, counts);
        process.stdout.write(`\n== ${job.name}: needs ${job.needs}\n${said}`);
        return typeof code === "number" ? read(job, code, counts) : failedAsAWhole(job, code);
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
}

/** @returns the exit code, or why there is none. */
function execute(job: Job, counts: string): Promise<{ code: number | string; said: string }> {
    const [file, ...args] = job.command;
    return new Promise((resolve) => {
        const child = spawn(file, args, {
            cwd: path.resolve(__dirname, ".."),
            stdio: ["ignore", "pipe", "pipe"],
            // Read again for each job: local-up is one of them.
            env: { ...process.env, ...exported(dockerChoice()?.host), MOCHA_COUNTS: counts },
        });
        let said = "";
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding("utf8").on("data", (text: string) => (said += text));
        }
        child.on("error", (error) => resolve({ code: `cannot run: ${error.message}`, said }));
        child.on("close", (code, signal) => resolve({ code: code ?? `was ended by ${signal}`, said }));
    });
}

function read(job: Job, status: number, file: string): Counts {
    if (!fs.existsSync(file)) {
        // lint, types, graphs and environment are one check each; a mocha that wrote nothing did not reach its tests.
        const ok = status === 0 && !job.command.includes("mocha");
        return ok
            ? { passed: 1, failed: 0, skipped: 0, failures: [] }
            : failedAsAWhole(job, `failed with exit code ${status}`);
    }
    const counted = JSON.parse(fs.readFileSync(file, "utf8")) as MochaCounts;
    const { passes: passed, pending: skipped, spent } = counted;
    if (status !== 0 && counted.failures === 0) {
        const crashed = failedAsAWhole(job, `failed with exit code ${status}, although no test failed`);
        return { ...crashed, passed, skipped, spent };
    }
    return { passed, failed: counted.failures, skipped, failures: counted.failed, spent };
}

function failedAsAWhole({ name, needs }: Job, why: string): Counts {
    const failure = `${name} (needs ${needs}) ${why}`;
    process.stdout.write(`${failure}\n`);
    return { passed: 0, failed: 1, skipped: 0, failures: [failure] };
}

/** Runs jobs in their order, several at a time; a job that needs more than Node starts when the environment is ready. */
async function runAll(jobs: readonly Job[]): Promise<Done[]> {
    const begun = Date.now();
    const seconds = () => Math.round((Date.now() - begun) / 1000);
    const waiting = [...jobs];
    const running = new Map<string, Promise<void>>();
    const done: Done[] = [];
    const environment = () => done.find(({ job }) => job.name === ENVIRONMENT);
    const needsMore = ({ needs }: Job) => needs !== "only Node" && needs !== "what local-up needs";
    const mayBegin = (job: Job) => {
        const { needs, holds } = job;
        const others = [...running.keys()].map((name) => jobs.find((each) => each.name === name)!);
        return (
            (environment() !== undefined || !needsMore(job)) &&
            (holds === undefined || others.every((other) => other.holds !== holds)) &&
            (needs !== "the local cluster" ||
                others.filter((other) => other.needs === needs).length < STACKS_AT_A_TIME)
        );
    };
    const sign = setInterval(
        () => process.stdout.write(`${seconds()} s: running ${[...running.keys()].join(", ")}\n`),
        SIGN_SECONDS * 1000,
    );
    try {
        while (waiting.length + running.size > 0) {
            const lost = (environment()?.counts.failed ?? 0) > 0 ? waiting.filter(needsMore) : [];
            if (lost.length > 0) {
                for (const job of lost) {
                    waiting.splice(waiting.indexOf(job), 1);
                    done.push({
                        job,
                        seconds: 0,
                        counts: failedAsAWhole(job, "did not run: the environment is not ready"),
                    });
                }
                continue;
            }
            const next = running.size < AT_A_TIME ? waiting.find(mayBegin) : undefined;
            if (next === undefined) {
                await Promise.race(running.values());
                continue;
            }
            waiting.splice(waiting.indexOf(next), 1);
            const at = Date.now();
            const outcome = run(next).catch((error: Error) =>
                failedAsAWhole(next, `broke off: ${error.message}`),
            );
            const work = outcome.then((counts) => {
                done.push({ job: next, seconds: Math.round((Date.now() - at) / 1000), counts });
                running.delete(next.name);
                const { passed, failed } = counts;
                process.stdout.write(
                    `${seconds()} s: ${next.name}: ${passed} passed, ${failed} failed in ${done.at(-1)!.seconds} s\n`,
                );
            });
            running.set(next.name, work);
        }
    } finally {
        clearInterval(sign);
    }
    return done;
}

/** The times of a run, file by file. Time that is not of one of the kinds is the tests' own. */
function times(
    done: readonly Done[],
    seconds: number,
    before: ReturnType<typeof processorSeconds>,
): TestTimes {
    const after = processorSeconds();
    const [busy, idle] = [after.busy - before.busy, after.idle - before.idle];
    const rows = [...done]
        .sort((one, other) => other.seconds - one.seconds)
        .map(({ job, seconds: all, counts: { passed, failed, spent } }) => {
            const parts = KINDS.map((kind) => spent?.[kind] ?? 0);
            return [
                job.name,
                passed + failed,
                all,
                ...parts,
                all - parts.reduce((sum, each) => sum + each, 0),
            ];
        });
    return {
        seconds,
        cpuMinutes: Math.round(busy / 6) / 10,
        idlePercent: Math.round((100 * idle) / (busy + idle)),
        head: ["file", "tests", "seconds", ...KINDS, "rest"],
        rows,
    };
}

async function main(args: readonly string[]): Promise<void> {
    const { values, positionals } = parseArgs({
        args: [...args],
        options: { only: { type: "string" } },
        allowPositionals: true,
    });
    const jobs = chosen({ suites: positionals, only: values.only });
    const [begun, before] = [Date.now(), processorSeconds()];
    const done = await runAll(jobs);
    const seconds = Math.round((Date.now() - begun) / 1000);
    const told = times(done, seconds, before);

    const sum = (count: (counts: Counts) => number) =>
        done.reduce((total, { counts }) => total + count(counts), 0);
    const [passed, failed, skipped] = [
        sum((counts) => counts.passed),
        sum((counts) => counts.failed),
        sum((counts) => counts.skipped),
    ];
    const failures = done.flatMap(({ counts }) => counts.failures);
    process.stdout.write(
        [
            "",
            table(told.head, told.rows),
            `${seconds} s, ${told.cpuMinutes} CPU minutes, ${told.idlePercent} % of ${CORES} cores idle, ${AT_A_TIME} files at a time`,
            "",
            ...failures.map((failure) => `failed: ${failure}`),
            // Once more without their logs: whoever sees only the end of the output finds out what failed.
            ...failures
                .filter((failure) => failure.includes("\n") || failure.length > NAME_LENGTH)
                .map((failure) => `failed: ${failure.split("\n")[0]!.slice(0, NAME_LENGTH)}`),
            `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`,
            "",
        ].join("\n"),
    );
    if (jobs.length === chosen({ suites: [] }).length && failed === 0) {
        Object.assign(process.env, exported(dockerChoice()?.host));
        writeTestedWith();
        // A run that takes longer on purpose is not a measure.
        if (!isLong && !process.env.TEST_JOBS && !process.env.GRAPHS) {
            writeWhole(places().testTimes, `${JSON.stringify(told)}\n`);
        }
    }
    process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

if (require.main === module) {
    main(process.argv.slice(2)).catch((error: Error) => {
        process.stderr.write(`${error.message}\n`);
        process.exitCode = 1;
    });
}
