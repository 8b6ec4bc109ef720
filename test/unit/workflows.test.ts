import assert from "assert";
import { execFileSync } from "child_process";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { parse } from "yaml";

import { directories, places } from "../../local/places";
import { valuesIn } from "../../operations/pulumi-stack";
import { stackFile } from "../../operations/stack-file";
import { allStacks, usersStacks } from "../support/program";

const FOLDER = ".github/workflows";

interface Step {
    readonly if?: string;
    readonly uses?: string;
    readonly "continue-on-error"?: boolean;
    readonly run?: string;
    readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
    readonly if?: string;
    readonly permissions?: Readonly<Record<string, string>>;
    readonly "timeout-minutes"?: number;
    readonly strategy?: { readonly matrix?: { readonly stack?: unknown } };
    readonly environment?: string;
    readonly steps: readonly Step[];
}

interface Workflow {
    readonly name: string;
    readonly on: Readonly<
        Record<
            string,
            {
                readonly workflows?: readonly string[];
                readonly inputs?: unknown;
                readonly branches?: unknown;
            } | null
        >
    >;
    readonly permissions?: unknown;
    readonly jobs: Readonly<Record<string, Job>>;
}

function textOf(name: string): string {
    return fs.readFileSync(path.join(FOLDER, `${name}.yml`), "utf8");
}

function workflow(name: string): Workflow {
    return parse(textOf(name)) as Workflow;
}

function stepsOf(name: string): readonly Step[] {
    return Object.values(workflow(name).jobs).flatMap(({ steps }) => steps);
}

const names = fs.readdirSync(FOLDER).map((file) => path.basename(file, ".yml"));

describe("the workflows", () => {
    it("are those that the documentation names", () => {
        assert.deepStrictEqual([...names].sort(), [
            "comment",
            "deploy",
            "drift",
            "pins",
            "preview",
            "status",
            "test",
        ]);
        const page = fs.readFileSync("docs/pull-requests.md", "utf8");
        names.forEach((name) => assert.ok(page.includes(`${name}.yml`), name));
    });

    it("have the permissions that the documentation lists, and no others", () => {
        const page = fs.readFileSync("docs/pull-requests.md", "utf8");
        for (const name of names) {
            const row = page.split("\n").find((line) => line.startsWith(`| [${name}.yml](`)) ?? "";
            const said = [...row.matchAll(/`([a-z-]+: (?:read|write))`/g)].map(([, right]) => right);
            const given = Object.values(workflow(name).jobs).flatMap(({ permissions = {} }) =>
                Object.entries(permissions).map((right) => right.join(": ")),
            );
            assert.deepStrictEqual(said.sort(), [...new Set(given)].sort(), name);
        }
    });

    for (const name of names) {
        it(`${name}: every action is pinned to a commit, with its version next to it`, () => {
            const uses = textOf(name).match(/^\s*(- )?uses:.*$/gm) ?? [];
            assert.ok(uses.length > 0);
            uses.forEach((line) => assert.match(line, /uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/));
        });

        it(`${name}: every job names its permissions and its time limit`, () => {
            assert.deepStrictEqual(workflow(name).permissions, {});
            for (const [job, { permissions, "timeout-minutes": minutes }] of Object.entries(
                workflow(name).jobs,
            )) {
                assert.ok(permissions !== undefined && (minutes ?? 0) > 0, job);
            }
            assert.match(textOf(name), /^ *concurrency:$/m);
        });

        it(`${name}: no shell script contains text that others write`, () => {
            const runs = stepsOf(name).map(({ run }) => run ?? "");
            assert.deepStrictEqual(
                runs.filter((run) => run.includes("${{")),
                [],
            );
        });

        it(`${name}: no checkout leaves its token behind`, () => {
            const checkouts = stepsOf(name).filter(({ uses }) => uses?.startsWith("actions/checkout@"));
            assert.ok(checkouts.length > 0);
            checkouts.forEach((step) => assert.strictEqual(step.with?.["persist-credentials"], false));
        });
    }

    it("that run a pull request's code can only read", () => {
        for (const name of names.filter((each) => "pull_request" in workflow(each).on)) {
            Object.values(workflow(name).jobs).forEach(({ permissions }) => {
                assert.deepStrictEqual(permissions, { contents: "read" }, name);
            });
        }
        assert.ok(!names.some((name) => "pull_request_target" in workflow(name).on));
    });

    it("that may write run the default branch's code, and read what a pull request left outside the checkout", () => {
        const { on, jobs } = workflow("comment");
        assert.deepStrictEqual(Object.keys(on), ["workflow_run"]);
        assert.deepStrictEqual(on.workflow_run?.workflows, [workflow("preview").name]);
        const steps = Object.values(jobs).flatMap((job) => job.steps);
        const [checkout] = steps.filter(({ uses }) => uses?.startsWith("actions/checkout@"));
        assert.deepStrictEqual(Object.keys(checkout?.with ?? {}), ["persist-credentials"]);
        const [download] = steps.filter(({ uses }) => uses?.startsWith("actions/download-artifact@"));
        assert.match(String(download?.with?.path), /^\$\{\{ runner\.temp \}\}\//);
        assert.ok(!textOf("comment").includes("secrets."));
    });

    it("run in a merge queue if a pull request can require them, and comment on pull requests alone", () => {
        for (const name of names.filter((each) => "pull_request" in workflow(each).on)) {
            assert.ok("merge_group" in workflow(name).on, name);
            // A field of the pull request is empty in a queue.
            for (const [line] of textOf(name).matchAll(/^.*\$\{\{.*github\.event\.pull_request\..*$/gm)) {
                assert.match(
                    line,
                    /github\.event\.pull_request\.[\w.]+ \|\| github\.(ref|event\.merge_group\.\w+) \}\}/,
                );
            }
        }
        assert.match(textOf("comment"), /if: github\.event\.workflow_run\.event == 'pull_request'/);
        const [upload] = stepsOf("preview").filter(({ uses }) =>
            uses?.startsWith("actions/upload-artifact@"),
        );
        assert.match(upload?.if ?? "", /github\.event_name == 'pull_request'/);
    });

    it("start for the default branch, whatever its name is", () => {
        const isDefault = /github\.ref_name == github\.event\.repository\.default_branch/;
        for (const name of names.filter((each) => "push" in workflow(each).on)) {
            assert.deepStrictEqual(workflow(name).on.push?.branches, ["**"], name);
            for (const [job, { if: condition }] of Object.entries(workflow(name).jobs)) {
                assert.match(condition ?? "", isDefault, `${name}: ${job}`);
            }
        }
        // Otherwise a run that deploys nothing would replace one that waits.
        assert.match(textOf("deploy"), /group: .*default_branch && \(.*\) \|\| github\.run_id/);
        names.forEach((name) =>
            assert.doesNotMatch(textOf(name), /branches: \[main\]|refs\/heads\/main/, name),
        );
    });

    it("find the tools where this runner keeps its caches", () => {
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "workflow-"));
        try {
            for (const XDG_CACHE_HOME of [undefined, "", "relative", "/big/cache"]) {
                const [GITHUB_OUTPUT, GITHUB_PATH] = ["output", "path"].map((each) =>
                    path.join(folder, each),
                );
                const env = {
                    PATH: process.env.PATH,
                    HOME: "/home/me",
                    XDG_CACHE_HOME,
                    GITHUB_OUTPUT,
                    GITHUB_PATH,
                };
                execFileSync("bash", [path.join(".github", "tools-folder")], { env });
                const { cache, bin } = places(directories(env));
                assert.strictEqual(fs.readFileSync(GITHUB_OUTPUT!, "utf8"), `path=${cache}\n`);
                assert.strictEqual(fs.readFileSync(GITHUB_PATH!, "utf8"), `${bin}\n`);
                fs.readdirSync(folder).forEach((each) => fs.rmSync(path.join(folder, each)));
            }
        } finally {
            fs.rmSync(folder, { recursive: true });
        }
        names.forEach((name) => assert.doesNotMatch(textOf(name), /(~|HOME)\/\.cache/, name));
        const runs = stepsOf("deploy").map(({ run }) => run ?? "");
        assert.ok(runs.includes("make tools && .github/tools-folder"));
    });

    it("show a preview's summary before they upload it, and keep its result if that fails", () => {
        const { steps } = workflow("preview").jobs.preview!;
        const upload = steps.findIndex(({ uses }) => uses?.startsWith("actions/upload-artifact@"));
        assert.ok(steps.slice(0, upload).some(({ run }) => run?.includes("GITHUB_STEP_SUMMARY")));
        assert.strictEqual(steps[upload]?.["continue-on-error"], true);
    });

    it("preview every stack that someone uses", () => {
        const { stack } = workflow("preview").jobs.preview?.strategy?.matrix ?? {};
        assert.deepStrictEqual(stack, usersStacks());
    });

    it("test on the other platform with every stack set to it: the end-to-end tests deploy them all", () => {
        const step = workflow("test").jobs.full?.steps.find((each) => each.if === "matrix.platform != ''");
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "workflow-"));
        try {
            for (const stack of allStacks()) {
                const file = path.relative(".", stackFile(stack));
                fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
                fs.copyFileSync(file, path.join(folder, file));
            }
            fs.writeFileSync(path.join(folder, "make"), '#!/bin/sh\necho "$*"\n', { mode: 0o755 });
            const env = { PATH: `${folder}:${process.env.PATH}`, PLATFORM: "linux/arm64" };
            const said = execFileSync("bash", ["--norc", "-c", step?.run ?? ""], {
                cwd: folder,
                env,
                encoding: "utf8",
            });
            // Their images have other tags there.
            assert.strictEqual(said, "golden\n");
            for (const stack of allStacks()) {
                const { config } = parse(
                    fs.readFileSync(path.join(folder, path.relative(".", stackFile(stack))), "utf8"),
                ) as { config: Record<string, unknown> };
                assert.strictEqual(valuesIn(config).platform, "linux/arm64", stack);
            }
        } finally {
            fs.rmSync(folder, { recursive: true });
        }
    });

    it("test with the newest provider, which package.json then pins, and say that nothing is built for it", () => {
        const step = workflow("test").jobs.full?.steps.find((each) => each.if === "matrix.provider != ''");
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "workflow-"));
        try {
            for (const program of ["npm", "make", "git"]) {
                fs.writeFileSync(path.join(folder, program), `#!/bin/sh\necho "${program} $*"\n`, {
                    mode: 0o755,
                });
            }
            const variables = path.join(folder, "variables");
            const env = { PATH: `${folder}:${process.env.PATH}`, PROVIDER: "latest", GITHUB_ENV: variables };
            const said = execFileSync("bash", ["--norc", "-e", "-c", step?.run ?? ""], {
                cwd: folder,
                env,
                encoding: "utf8",
            });
            assert.deepStrictEqual(said.trimEnd().split("\n"), [
                "npm install --no-audit --no-fund --save-exact @pulumi/kubernetes@latest",
                "make golden",
                "git --no-pager diff -- package.json test/golden",
            ]);
            // The one that test/unit/go-tools.test.ts reads.
            assert.strictEqual(fs.readFileSync(variables, "utf8"), "RELEASE_ONLY=kubernetes\n");
        } finally {
            fs.rmSync(folder, { recursive: true });
        }
    });

    it("deploy any of these stacks, each with its own environment", () => {
        const { on, jobs } = workflow("deploy");
        const { inputs } = on.workflow_dispatch as { inputs: { stack: { options: readonly string[] } } };
        assert.deepStrictEqual(inputs.stack.options, usersStacks());
        assert.match(jobs.deploy?.environment ?? "", /inputs\.stack/);
    });
});
