/** The few questions that a comment needs of GitHub's API. */

/** How GitHub is asked. */
export interface Access {
    /** Base address of the API, for example https://api.github.com. */
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
/** So many pages are read at most: an answer that always names a next one must not be followed for ever. */
const MOST_PAGES = 100;
const PATIENCE_MS = 30_000;

/** Numbers of the open pull requests whose head is a commit of a branch of a repository, which may be a fork. */
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

/** All comments of a pull request, in the order in which they were made. */
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

/** @throws Error with what was asked, what was answered and what may be wrong. */
async function ask(access: Access, method: string, path: string, body?: unknown): Promise<Response> {
    const url = access.api + path;
    const answer = await fetch(url, {
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
    }).catch((error: Error & { cause?: { code?: string } }) => {
        throw new Error(`GitHub at ${access.api} does not answer: ${error.cause?.code ?? error.message}`);
    });
    if (answer.ok) {
        return answer;
    }
    const { message = "" } = (await answer.json().catch(() => ({}))) as { message?: string };
    const remedies: Readonly<Record<number, string>> = {
        401: "the token is not valid; the job has to hand over its GITHUB_TOKEN",
        403: "the token may not do this, or asked too often; the job needs the permission pull-requests: write",
        404: "there is no such thing, or the token does not see it; the job needs pull-requests: write",
        429: "it was asked too often; run the job again later",
    };
    throw new Error(
        `GitHub refuses ${method} ${path} with HTTP ${answer.status} (${message}): ` +
            (remedies[answer.status] ?? "run the job again; what it has posted so far is not posted twice"),
    );
}
