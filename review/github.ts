/** GitHub's API through Octokit: with this machine's proxy and certificates, with bounds, and with sentences that help. */

import { Octokit } from "@octokit/core";
import { paginateRest } from "@octokit/plugin-paginate-rest";

import { ask, reasonOf } from "../components/network";

/** How to reach GitHub. */
export interface Access {
    /** Base URL of the API, for example https://api.github.com. */
    readonly api: string;
    /** owner/name. */
    readonly repository: string;
    /** Needs `pull-requests: write`. */
    readonly token: string;
}

/** The maximum number of pages to read: an answer that always names a next page must not be followed forever. */
const MOST_PAGES = 100;
const PATIENCE_MS = 30_000;
const REMEDIES: Readonly<Record<number, string>> = {
    401: "the token is not valid; the job has to pass its GITHUB_TOKEN",
    403: "the token may not do this, or was used too often; the job needs the permission pull-requests: write",
    404: "it does not exist, or the token cannot see it; the job needs the permission pull-requests: write",
    429: "there were too many requests; run the job again later",
};

/** A client whose errors name the request, the answer and what may be wrong. */
export function octokitFor({ api, token }: Access) {
    const octokit = new (Octokit.plugin(paginateRest))({
        baseUrl: api,
        auth: token,
        userAgent: "dabaweb-pulumi",
        request: {
            fetch: (url: string, question: RequestInit) =>
                ask(url, { ...question, signal: AbortSignal.timeout(PATIENCE_MS) }),
        },
    });
    // Octokit names no version, and GitHub's default changes.
    octokit.hook.before("request", ({ headers }) => {
        headers["x-github-api-version"] = "2022-11-28";
    });
    octokit.hook.error("request", (error) => {
        if (!("response" in error) || error.response === undefined) {
            throw new Error(`GitHub at ${api} does not answer: ${reasonOf(error.cause ?? error)}`);
        }
        const { method, url } = error.request;
        const { status, data } = error.response;
        // Not Octokit's own message: that would be the whole page if a proxy or a load balancer answers.
        const message = (data as { message?: string } | null)?.message ?? "";
        throw new Error(
            `GitHub refuses ${method} ${url.replace(api, "")} with HTTP ${status} (${message}): ` +
                (REMEDIES[status] ?? "run the job again; it does not post anything twice"),
        );
    });
    // Octokit passes what is not JSON on as text. A list that ends too early would count as an empty one.
    octokit.hook.after("request", ({ data, url }, { method }) => {
        if (typeof data === "string") {
            throw new Error(
                `GitHub's answer to ${method} ${url.replace(api, "")} is not JSON, or ends too early: ` +
                    "run the job again; it does not post anything twice",
            );
        }
    });
    return octokit;
}

/** The items of all pages of a list. */
export async function all<T>(pages: AsyncIterable<{ url: string; data: T[] }>): Promise<T[]> {
    const found: T[][] = [];
    for await (const { url, data } of pages) {
        if (found.push(data) > MOST_PAGES) {
            throw new Error(
                `GitHub has more than ${MOST_PAGES} pages of ${new URL(url).pathname}, which is more than a pull request has`,
            );
        }
    }
    return found.flat();
}
