/** The few requests to GitHub's API that a comment needs. */

import { ask as request, reasonOf } from "../components/network";

/** How to reach GitHub. */
export interface Access {
    /** Base URL of the API, for example https://api.github.com. */
    readonly api: string;
    /** owner/name. */
    readonly repository: string;
    /** Needs `pull-requests: write`. */
    readonly token: string;
}

export interface Comment {
    readonly id: number;
    readonly body: string;
    /** Whether a program wrote it. */
    readonly bot: boolean;
}

interface Pull {
    readonly number: number;
    readonly head: { readonly sha: string; readonly repo: { readonly full_name: string } | null };
}

const PAGE = 100;
/** The maximum number of pages to read: an answer that always names a next page must not be followed forever. */
const MOST_PAGES = 100;
const PATIENCE_MS = 30_000;

/** Numbers of the open pull requests whose head is this commit of this branch; the repository may be a fork. */
export async function pullsOf(
    access: Access,
    head: { readonly repository: string; readonly branch: string; readonly commit: string },
): Promise<readonly number[]> {
    const owner = head.repository.split("/")[0] ?? "";
    const query = new URLSearchParams({ state: "open", head: `${owner}:${head.branch}` });
    const pulls = await all<Pull>(access, `/repos/${access.repository}/pulls?${query.toString()}`);
    return pulls
        .filter((pull) => pull.head.sha === head.commit && pull.head.repo?.full_name === head.repository)
        .map(({ number }) => number);
}

/** All comments on a pull request, oldest first. */
export async function commentsOf(access: Access, pull: number): Promise<readonly Comment[]> {
    const found = await all<{ id: number; body?: string | null; user?: { type?: string } | null }>(
        access,
        `/repos/${access.repository}/issues/${pull}/comments`,
    );
    return found.map(({ id, body, user }) => ({ id, body: body ?? "", bot: user?.type === "Bot" }));
}

export async function createComment(access: Access, pull: number, body: string): Promise<void> {
    await ask(access, "POST", `/repos/${access.repository}/issues/${pull}/comments`, { body });
}

export async function editComment(access: Access, comment: number, body: string): Promise<void> {
    await ask(access, "PATCH", `/repos/${access.repository}/issues/comments/${comment}`, { body });
}

/** All pages of a list. */
async function all<T>(access: Access, path: string): Promise<T[]> {
    const found: T[] = [];
    for (let page = 1; page <= MOST_PAGES; page += 1) {
        const separator = path.includes("?") ? "&" : "?";
        const answer = await ask(access, "GET", `${path}${separator}per_page=${PAGE}&page=${page}`);
        found.push(...((await answer.json()) as T[]));
        if (!/<[^>]*>;\s*rel="next"/.test(answer.headers.get("link") ?? "")) {
            return found;
        }
    }
    throw new Error(
        `GitHub has more than ${MOST_PAGES} pages of ${path}, which is more than a pull request has`,
    );
}

/** @throws Error with the request, the answer and what may be wrong. */
async function ask(access: Access, method: string, path: string, body?: unknown): Promise<Response> {
    const url = access.api + path;
    const answer = await request(url, {
        method,
        signal: AbortSignal.timeout(PATIENCE_MS),
        headers: {
            accept: "application/vnd.github+json",
            authorization: `Bearer ${access.token}`,
            "content-type": "application/json",
            "user-agent": "dabaweb-pulumi",
            "x-github-api-version": "2022-11-28",
        },
        body: body === undefined ? undefined : JSON.stringify(body),
    }).catch((error: unknown) => {
        throw new Error(`GitHub at ${access.api} does not answer: ${reasonOf(error)}`);
    });
    if (answer.ok) {
        return answer;
    }
    const { message = "" } = (await answer.json().catch(() => ({}))) as { message?: string };
    const remedies: Readonly<Record<number, string>> = {
        401: "the token is not valid; the job has to pass its GITHUB_TOKEN",
        403: "the token may not do this, or was used too often; the job needs the permission pull-requests: write",
        404: "it does not exist, or the token cannot see it; the job needs the permission pull-requests: write",
        429: "there were too many requests; run the job again later",
    };
    throw new Error(
        `GitHub refuses ${method} ${path} with HTTP ${answer.status} (${message}): ` +
            (remedies[answer.status] ?? "run the job again; it does not post anything twice"),
    );
}
