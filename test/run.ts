/**
 * Runs the test suites one after the other and closes with what failed and `N passed, N failed`: `run.ts [suite...]`,
 * default all. A suite that cannot run says why and counts as failed.
 */
import { spawnSync } from "child_process";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { writeTestedWith } from "../docs/tested-with-page";
import { dockerChoice, exported } from "../local/environment";

interface Suite {
    readonly name: string;
    /** What it needs, for the one who reads the output. */
    readonly needs: string;
    readonly command: readonly [string, ...string[]];
}

const MOCHA = ["npx", "--no-install", "mocha", "--reporter", "test/support/reporter.js"] as const;

const TYPESCRIPT = ["-r", "ts-node/register/transpile-only"] as const;

const SUITES: readonly Suite[] = [
    { name: "lint", needs: "Node alone", command: ["npm", "run", "--silent", "lint"] },
    { name: "types", needs: "Node alone", command: ["npm", "run", "--silent", "types"] },
    { name: "unit", needs: "Node alone", command: [...MOCHA, "--spec", "test/unit/**/*.test.ts"] },
    {
        name: "graphs",
        needs: "Node alone",
        command: [process.execPath, ...TYPESCRIPT, "test/graphs.ts", process.env.GRAPHS ?? "300"],
    },
    {
        name: "environment",
        needs: "what local-up needs",
        command: [process.execPath, ...TYPESCRIPT, "local/main.ts", "up"],
    },
    {
        name: "images",
        needs: "Docker alone",
        // The files share nothing, and most of their time is waiting.
        command: [...MOCHA, "--parallel", "--jobs", "2", "--spec", "test/images/**/*.test.ts"],
    },
    { name: "e2e", needs: "the local cluster", command: [...MOCHA, "--spec", "test/e2e/**/*.test.ts"] },
];

interface Counts {
    readonly passed: number;
    readonly failed: number;
    readonly skipped: number;
    /** Title and message of what failed; repeated at the end, where the reader of a long output looks. */
    readonly failures: readonly string[];
}

/** What test/support/reporter.js writes. */
interface MochaCounts {
    readonly passes: number;
    readonly failures: number;
    readonly pending: number;
    readonly failed: readonly string[];
}

function run(suite: Suite): Counts {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "test-"));
    try {
        return runInto(suite, path.join(folder, "counts.json"));
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
}

/** @param counts file that mocha leaves its counts in. */
function runInto(suite: Suite, counts: string): Counts {
    const [file, ...args] = suite.command;
    const { status, error } = spawnSync(file, args, {
        cwd: path.resolve(__dirname, ".."),
        stdio: ["ignore", "inherit", "inherit"],
        // Read anew for each suite: local-up is one of them.
        env: { ...process.env, ...exported(dockerChoice()?.host), MOCHA_COUNTS: counts },
    });
    if (error !== undefined) {
        return failedAsAWhole(suite, `cannot run: ${error.message}`);
    }
    if (!fs.existsSync(counts)) {
        // lint, types, graphs and environment are one check each; a mocha that wrote nothing did not come to its tests.
        const ok = status === 0 && !suite.command.includes("mocha");
        return ok
            ? { passed: 1, failed: 0, skipped: 0, failures: [] }
            : failedAsAWhole(suite, `failed with exit code ${status}`);
    }
    const counted = JSON.parse(fs.readFileSync(counts, "utf8")) as MochaCounts;
    if (status !== 0 && counted.failures === 0) {
        const crashed = failedAsAWhole(suite, `failed with exit code ${status} though no test did`);
        return { ...crashed, passed: counted.passes, skipped: counted.pending };
    }
    return {
        passed: counted.passes,
        failed: counted.failures,
        skipped: counted.pending,
        failures: counted.failed,
    };
}

function failedAsAWhole({ name, needs }: Suite, why: string): Counts {
    const failure = `suite ${name} (needs ${needs}) ${why}`;
    process.stdout.write(`${failure}\n`);
    return { passed: 0, failed: 1, skipped: 0, failures: [failure] };
}

/** All suites by default; whoever asks for images or e2e gets the environment that they need. */
function isWanted({ name }: Suite, wanted: readonly string[]): boolean {
    const needsEnvironment = wanted.includes("images") || wanted.includes("e2e");
    return wanted.length === 0 || wanted.includes(name) || (name === "environment" && needsEnvironment);
}

function main(wanted: readonly string[]): void {
    const unknown = wanted.filter((name) => !SUITES.some((suite) => suite.name === name));
    if (unknown.length > 0) {
        throw new Error(
            `unknown suite ${unknown.join(", ")}; known are ${SUITES.map((s) => s.name).join(", ")}`,
        );
    }
    const total = { passed: 0, failed: 0, skipped: 0 };
    const failures: string[] = [];
    const lines: string[] = [];
    for (const suite of SUITES.filter((s) => isWanted(s, wanted))) {
        process.stdout.write(`\n== ${suite.name}: needs ${suite.needs}\n`);
        const start = Date.now();
        const counts = run(suite);
        const seconds = Math.round((Date.now() - start) / 1000);
        lines.push(`${suite.name}: ${counts.passed} passed, ${counts.failed} failed in ${seconds} s`);
        total.passed += counts.passed;
        total.failed += counts.failed;
        total.skipped += counts.skipped;
        failures.push(...counts.failures);
    }
    const failed = failures.map((failure) => `failed: ${failure}\n`).join("");
    const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
    process.stdout.write(
        `\n${lines.join("\n")}\n\n${failed}${total.passed} passed, ${total.failed} failed${skipped}\n`,
    );
    if (wanted.length === 0 && total.failed === 0) {
        Object.assign(process.env, exported(dockerChoice()?.host));
        writeTestedWith();
    }
    process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
}

main(process.argv.slice(2));
