/** Everything that `make test` runs, in the order in which it starts: the longest jobs first. */
import * as fs from "fs";
import * as path from "path";

import { isLong } from "./support/long";

const ROOT = path.resolve(__dirname, "..");

/** Parts of the project, with the paths that belong to each. The jobs of a part test a change in its paths. */
export const PARTS = {
    redis: ["images/redis", "components/redis", "components/replicated", "components/dataset"],
    mysql: ["images/mysql", "components/mysql", "components/replicated", "components/dataset"],
    backup: ["images/mysql-backup", "components/backup", "operations/backup", "docs/backup", "local/store"],
    web: ["images/dabaweb", "images/nginx", "components/dabaweb"],
    program: ["index", "config", "outputs", "preflight", "components", "Pulumi", "test/stacks"],
    preview: ["review", "policy", "local/stacks/preview", "test/golden"],
    promote: ["operations/promote", "operations/image", "operations/registry"],
    operations: ["operations", "docs/runbook"],
    howto: ["docs/howto"],
    local: ["local"],
    examples: ["examples"],
} as const satisfies Record<string, readonly string[]>;

export type Part = keyof typeof PARTS;

/** What a job needs before it can start. */
type Needs = "only Node" | "what local-up needs" | "only Docker" | "Pulumi and Docker" | "the local cluster";

/** One thing to run: a check, or a test file in its own process. */
export interface Job {
    readonly name: string;
    readonly suite: string;
    readonly needs: Needs;
    readonly command: readonly [string, ...string[]];
    /** What no other job may use meanwhile. */
    readonly holds?: string;
    /** The parts whose changes can break it; undefined if it covers all of them. */
    readonly parts?: readonly Part[];
}

const MOCHA = [
    ...["npx", "--no-install", "mocha"],
    ...["--reporter", "test/support/reporter.js", "--spec"],
] as unknown as [string, ...string[]];

const script = (...args: string[]): [string, ...string[]] => [
    process.execPath,
    ...["-r", "ts-node/register/transpile-only", ...args],
];

/** The files of the two suites that need more than Node, with their parts. Those that wait for one another start early. */
const LONG_FILES: Readonly<Record<string, readonly Part[]>> = {
    "e2e/system": ["redis", "mysql", "web", "program", "operations"],
    "e2e/changes": ["redis", "mysql", "web", "program", "operations"],
    "e2e/your-cluster": ["program", "operations"],
    "e2e/side-by-side": ["promote", "program"],
    "e2e/kept": ["redis", "mysql", "program"],
    "e2e/backup": ["backup", "mysql", "program", "operations"],
    "e2e/howto": ["howto", "examples", "redis"],
    "e2e/examples": ["examples", "program", "redis", "mysql"],
    "images/mysql-loss": ["mysql"],
    "images/redis-loss": ["redis"],
    "images/mysql-reseed": ["mysql"],
    "images/mysql-compare": ["mysql", "operations"],
    "images/mysql-backup": ["backup", "mysql"],
    "images/mysql-restore": ["backup", "mysql"],
    "images/mysql": ["mysql"],
    "images/redis": ["redis"],
};

/** Files that take a minute or two: they fill the end, so that no long one runs there alone. */
const SHORT_FILES: Readonly<Record<string, readonly Part[]>> = {
    "images/web": ["web"],
    "images/mysql-clock": ["mysql"],
    "e2e/promote": ["promote"],
    "images/promotion": ["promote"],
    "e2e/preview": ["preview"],
    "e2e/policy": ["preview", "program"],
    "images/examples": ["examples"],
    "images/base-images": ["redis", "mysql", "web", "local", "examples"],
    "images/leftovers": ["local"],
    "e2e/plugins": ["local"],
};

/** What only `make test-long` runs: a separate machine with its own cluster, and a cluster with several nodes. */
const FILES_OF_TEST_LONG: Readonly<Record<string, readonly Part[]>> = {
    "release/first-up": ["local"],
    "e2e/howto-nodes": ["howto"],
    "images/mysql-memory": ["mysql"],
};

const WITHOUT_A_STACK = [
    ...["e2e/promote", "e2e/preview", "e2e/policy", "e2e/plugins"],
    // They have their own cluster.
    ...Object.keys(FILES_OF_TEST_LONG),
];

/** Files that run on a cluster that test/faults/lend.ts creates for them. */
const LENT = ["e2e/howto-nodes"];

const onCluster = (name: string, command: Job["command"]): Job["command"] =>
    LENT.includes(name) ? script("test/faults/lend.ts", ...command) : command;

/** The local cluster opens ten nodePorts, fewer than all stacks together would use. */
const HOLDS: Readonly<Record<string, string>> = {
    "e2e/your-cluster": "nodePort 32003",
    "e2e/kept": "nodePort 32003",
    "e2e/examples": "nodePort 32003",
    "e2e/side-by-side": "nodePort 32003",
};

const jobsOf = (files: Readonly<Record<string, readonly Part[]>>): readonly Job[] =>
    Object.entries(files).map(([name, parts]) => ({
        name,
        suite: path.dirname(name),
        needs: name.startsWith("images/")
            ? "only Docker"
            : WITHOUT_A_STACK.includes(name)
              ? "Pulumi and Docker"
              : "the local cluster",
        command: onCluster(name, [...MOCHA, `test/${name}.test.ts`]),
        holds: HOLDS[name],
        parts,
    }));

export const ENVIRONMENT = "environment";

export const JOBS: readonly Job[] = [
    {
        name: ENVIRONMENT,
        suite: ENVIRONMENT,
        needs: "what local-up needs",
        command: script("local/environment/main.ts", "up-with-examples"),
    },
    ...["lint", "types"].map((name): Job => ({
        name,
        suite: name,
        needs: "only Node",
        command: ["npm", "run", "--silent", name],
    })),
    ...(isLong ? jobsOf(FILES_OF_TEST_LONG) : []),
    ...jobsOf(LONG_FILES),
    { name: "unit", suite: "unit", needs: "only Node", command: [...MOCHA, "test/unit/**/*.test.ts"] },
    {
        name: "graphs",
        suite: "graphs",
        needs: "only Node",
        command: script("test/graphs.ts", process.env.GRAPHS ?? "300"),
        parts: ["program"],
    },
    ...jobsOf(SHORT_FILES),
];

/** Which jobs to run: all of them by default. */
export interface Wanted {
    readonly suites: readonly string[];
    /** A part, or a path inside the project. */
    readonly only?: string;
}

/** Chooses jobs; throws if a name is unknown. If a job needs the environment, that runs, too. */
export function chosen({ suites, only }: Wanted): readonly Job[] {
    const names = [...new Set(JOBS.map(({ suite }) => suite))];
    const unknown = suites.filter((suite) => !names.includes(suite));
    if (unknown.length > 0) {
        throw new Error(`There is no suite ${unknown.join(", ")}; there are ${names.join(", ")}.`);
    }
    const parts = only === undefined ? undefined : partsOf(only);
    const wanted = JOBS.filter(
        (job) =>
            (suites.length === 0 || suites.includes(job.suite)) &&
            (parts === undefined ||
                job.parts === undefined ||
                job.parts.some((part) => parts.includes(part))),
    ).filter(({ name }) => name !== ENVIRONMENT);
    const needsMore = wanted.some(({ needs }) => needs !== "only Node");
    return JOBS.filter((job) => wanted.includes(job) || (needsMore && job.name === ENVIRONMENT));
}

/** The parts that a word or a path refers to. */
export function partsOf(only: string): readonly Part[] {
    const all = Object.keys(PARTS) as Part[];
    if (all.includes(only as Part)) {
        return [only as Part];
    }
    const asked = path.relative(ROOT, path.resolve(ROOT, only));
    const found = all.filter((part) =>
        PARTS[part].some((each) => asked.startsWith(each) || each.startsWith(`${asked}/`)),
    );
    if (found.length === 0) {
        throw new Error(
            `ONLY is ${only}; allowed is a part (${all.join(", ")}) or a path that belongs to one, such as images/mysql.`,
        );
    }
    return found;
}

/** Test files that no job runs, and jobs without their file. */
export function mismatches(): string[] {
    const there = ["images", "e2e", "release"].flatMap((suite) =>
        fs
            .readdirSync(path.join(__dirname, suite))
            .filter((file) => file.endsWith(".test.ts"))
            .map((file) => `${suite}/${path.basename(file, ".test.ts")}`),
    );
    const known = Object.keys({ ...FILES_OF_TEST_LONG, ...LONG_FILES, ...SHORT_FILES });
    return [
        ...there.filter((name) => !known.includes(name)),
        ...known.filter((name) => !there.includes(name)),
    ];
}
