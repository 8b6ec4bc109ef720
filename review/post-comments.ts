/**
 * Posts what previews found as comments on their pull request, one per stack, and edits those of an earlier run:
 *
 *     npx ts-node review/post-comments.ts FOLDER
 *
 * It runs on `workflow_run`, with this repository's own code and a token that may write. FOLDER contains what the run of the
 * previews left. It may come from a stranger's code, so it is read as data. The event says which pull request it belongs to.
 */
import * as fs from "fs";
import * as path from "path";

import { commentText, marker, type Origin } from "./comment";
import { type Access, all, octokitFor } from "./github";
import { type Outcome, parseOutcome } from "./outcome";

/** More files than this cannot come from previews of this project. */
const MOST_FILES = 10;

/** The part of the event `workflow_run` that is needed. */
interface WorkflowRun {
    readonly event: string;
    readonly head_sha: string;
    readonly head_branch: string | null;
    /** null: the fork no longer exists. */
    readonly head_repository: { readonly full_name: string } | null;
    readonly html_url: string;
}

/**
 * Posts or edits the comment of each stack.
 *
 * @returns one line for each thing that was done.
 */
export async function postComments(
    access: Access,
    run: WorkflowRun,
    outcomes: readonly Outcome[],
): Promise<readonly string[]> {
    if (run.event !== "pull_request" || run.head_repository === null || run.head_branch === null) {
        return [
            `The run's event is ${run.event}, or its branch no longer exists: there is no pull request to comment on.`,
        ];
    }
    const octokit = octokitFor(access);
    const [owner = "", repo = ""] = access.repository.split("/");
    const here = { owner, repo };
    const repository = run.head_repository.full_name;
    const head = `${repository.split("/")[0]}:${run.head_branch}`;
    const ofBranch = await all(
        octokit.paginate.iterator("GET /repos/{owner}/{repo}/pulls", {
            ...here,
            state: "open",
            head,
            per_page: 100,
        }),
    );
    const pulls = ofBranch.filter(
        // The repository is null if the fork was deleted.
        (pull) => pull.head.sha === run.head_sha && pull.head.repo?.full_name === repository,
    );
    if (pulls.length === 0) {
        return [
            `No open pull request has commit ${run.head_sha} as its head: a later run comments on a later commit.`,
        ];
    }
    const origin: Origin = {
        commit: run.head_sha,
        run: run.html_url,
        fork: repository !== access.repository,
    };
    const done: string[] = [];
    for (const { number } of pulls) {
        const pull = { ...here, issue_number: number };
        const comments = await all(
            octokit.paginate.iterator("GET /repos/{owner}/{repo}/issues/{issue_number}/comments", {
                ...pull,
                per_page: 100,
            }),
        );
        for (const outcome of outcomes) {
            const body = commentText(outcome, origin);
            // A person could write the marker too, so only comments by a program are edited.
            const mine = comments.find(
                (comment) =>
                    comment.user?.type === "Bot" && comment.body?.split(/\r?\n/)[0] === marker(outcome.stack),
            );
            let what = "already there";
            if (mine === undefined) {
                await octokit.request("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", {
                    ...pull,
                    body,
                });
                what = "posted";
            } else if (asKept(mine.body ?? "") !== asKept(body)) {
                await octokit.request("PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}", {
                    ...here,
                    comment_id: mine.id,
                    body,
                });
                what = "edited";
            }
            done.push(`Comment on stack ${outcome.stack} in pull request ${number}: ${what}.`);
        }
    }
    return done;
}

/** GitHub may use other line endings and drop empty lines at the end. */
function asKept(body: string): string {
    return body.replaceAll("\r\n", "\n").trimEnd();
}

/**
 * Reads all files that previews left, each named `<stack>.json`.
 *
 * @throws Error if one of them is not the output of a preview.
 */
export function readOutcomes(folder: string): readonly Outcome[] {
    const files = fs
        .readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => path.join(entry.parentPath, entry.name))
        .sort();
    if (files.length > MOST_FILES) {
        throw new Error(`${folder} has ${files.length} files; previews write at most ${MOST_FILES}`);
    }
    const outcomes = new Map<string, Outcome>();
    for (const file of files) {
        const outcome = parseOutcome(fs.readFileSync(file), file);
        if (path.basename(file) !== `${outcome.stack}.json` || outcomes.has(outcome.stack)) {
            throw new Error(
                `${file} is about stack ${outcome.stack}; there must be one file per stack, named after it`,
            );
        }
        outcomes.set(outcome.stack, outcome);
    }
    return [...outcomes.values()];
}

function needed(name: string): string {
    const value = process.env[name];
    if (value === undefined || value === "") {
        throw new Error(`${name} is not set; this runs in a GitHub Actions job on workflow_run`);
    }
    return value;
}

async function main(folder = ""): Promise<void> {
    const event = JSON.parse(fs.readFileSync(needed("GITHUB_EVENT_PATH"), "utf8")) as {
        workflow_run?: WorkflowRun;
    };
    if (event.workflow_run === undefined) {
        throw new Error("the event has no workflow_run; this runs in a GitHub Actions job on workflow_run");
    }
    const access: Access = {
        api: process.env.GITHUB_API_URL ?? "https://api.github.com",
        repository: needed("GITHUB_REPOSITORY"),
        token: needed("GITHUB_TOKEN"),
    };
    const outcomes = fs.existsSync(folder) ? readOutcomes(folder) : [];
    if (outcomes.length === 0) {
        process.stdout.write("The previews left no results: there is nothing to post.\n");
        return;
    }
    process.stdout.write(`${(await postComments(access, event.workflow_run, outcomes)).join("\n")}\n`);
}

if (require.main === module) {
    main(...process.argv.slice(2)).catch((error: Error) => {
        process.stderr.write(`${error.message}\n`);
        process.exitCode = 1;
    });
}
