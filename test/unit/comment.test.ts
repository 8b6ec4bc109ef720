import assert from "assert";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "http";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";
import { text } from "stream/consumers";
import type { AddressInfo } from "net";

import type { Change } from "../../review/changes";
import { commentText, LONGEST_COMMENT, marker } from "../../review/comment";
import { readEvents } from "../../review/engine-events";
import type { Access } from "../../review/github";
import { type Outcome, outcomeJson, parseOutcome } from "../../review/outcome";
import { postComments, readOutcomes } from "../../review/post-comments";
import { ownPlace } from "../support/tool-forms";

const origin = { commit: "0123456789abcdef", run: "https://github.example/o/r/actions/runs/1", fork: false };

function change(name: string, more: Partial<Change> = {}): Change {
    const type = "kubernetes:core/v1:ConfigMap";
    const none = { properties: [], causes: [], danger: false, protected: false, retained: false };
    return { urn: `urn:pulumi:prod::p::${type}::${name}`, type, name, action: "update", ...none, ...more };
}

/** The outcome of a keyless preview with these changes. */
function outcome(changes: readonly Change[] = [], more: Partial<Outcome> = {}): Outcome {
    const counts = { create: 0, update: changes.length, replace: 0, delete: 0, same: 54 };
    return {
        stack: "prod",
        mode: "keyless",
        why: "a test",
        cluster: "not asked",
        comparedWith: "merge base 0123456789ab with main",
        comparison: { stack: "prod", counts, changes, withoutEffect: [] },
        resources: ["kubernetes:core/v1:Secret a", "kubernetes:core/v1:Secret b"],
        planned: 2,
        warnings: [],
        errors: [],
        ...more,
    };
}

/** The outcome of a preview against the state of prod, whose storage class changes: see engine-events.test.ts. */
function recordedOutcome(): Outcome {
    const file = path.join(__dirname, "recorded/preview-events-prod.jsonl");
    const { comparison, resources, warnings, errors } = readEvents("prod", fs.readFileSync(file, "utf8"));
    const found = { comparison, resources, warnings, errors, planned: resources.length };
    return outcome([], {
        mode: "against state",
        cluster: "unreachable",
        comparedWith: "the state",
        ...found,
    });
}

describe("the comment on a stack", () => {
    it("starts with the marker that identifies it later, and names the mode and the counts", () => {
        const lines = commentText(outcome([change("it")]), origin).split("\n");
        assert.strictEqual(lines[0], "<!-- dabaweb preview of stack prod -->");
        assert.strictEqual(lines[1], "### Preview of stack prod: keyless");
        assert.ok(lines.includes("| 0 | 1 | 0 | 0 | 54 |"), lines.join("\n"));
    });

    it("has a red line for volumes that are replaced or deleted, and says what protects them", () => {
        const comment = commentText(recordedOutcome(), origin);
        const red = comment.split("\n\n").find((part) => part.includes("Replaced or deleted"));
        assert.match(red ?? "", /^> \[!CAUTION\]\n> \*\*Replaced or deleted StatefulSets.*: 7\.\*\*$/m);
        assert.match(
            red ?? "",
            /^> - replace `PersistentVolumeClaim data-mysql-master-0`; protected: `pulumi up` refuses; retained/m,
        );
    });

    it("has no red line if nothing of that kind is replaced or deleted", () => {
        assert.ok(!commentText(outcome([change("it")]), origin).includes("CAUTION"));
    });

    it("counts the dangers beyond twenty, and lists all of them in a folded section", () => {
        const many = Array.from({ length: 25 }, (_, index) => change(`volume-${index}`, { danger: true }));
        const comment = commentText(outcome(many), origin);
        assert.match(comment, /^> - and 5 more$/m);
        assert.match(comment, /^!! update +kubernetes:core\/v1:ConfigMap volume-24$/m);
    });

    it("has a yellow box if the cluster was unreachable or not asked, otherwise a line on what was tried", () => {
        const comment = (cluster: Outcome["cluster"]) => commentText(outcome([], { cluster }), origin);
        assert.match(
            comment("unreachable"),
            /^> \[!WARNING\]\n> \*\*Cluster unreachable, not validated\.\*\*$/m,
        );
        assert.match(comment("not asked"), /^> \[!WARNING\]\n> \*\*Cluster not asked, not validated\.\*\*$/m);
        assert.ok(!comment("answered").includes("WARNING"));
        assert.match(comment("answered"), /^The cluster answered: .* that the login may write,/m);
    });

    it("says that the preview failed, and why", () => {
        const comment = commentText(recordedOutcome(), origin);
        assert.match(comment, /^> \*\*The preview failed\.\*\*$/m);
        assert.match(comment, /^> - ``unable to replace resource .*data-mysql-master-0/m);
        assert.match(comment, /^> - and 3 more$/m);
        assert.match(comment, /^as it is currently marked for protection\./m);
    });

    it("says so if there was nothing to compare with", () => {
        const warnings = ["test/golden/prod.json is not in merge base 0123"];
        const comment = commentText(
            outcome([], { comparison: undefined, comparedWith: undefined, warnings }),
        );
        assert.match(comment, /^- `test\/golden\/prod\.json is not in merge base 0123`$/m);
        assert.match(comment, /^There is nothing to compare with\.$/m);
    });

    it("names its commit, and says whether a fork's code wrote it", () => {
        assert.match(
            commentText(outcome(), origin),
            /For commit 0123456789ab, made in \[this run\]\(https:[^)]*\)\./,
        );
        assert.match(commentText(outcome(), { ...origin, fork: true }), /by the code of a fork/);
    });

    it("is cut, with a note, before it exceeds GitHub's limit, and keeps the dangers and the mode", () => {
        const long = Array.from({ length: 3000 }, (_, index) =>
            change(`réplique-${index}`, { danger: index < 2 }),
        );
        const comment = commentText(outcome(long), origin);
        assert.ok(Buffer.byteLength(comment) <= LONGEST_COMMENT, String(Buffer.byteLength(comment)));
        assert.ok(Buffer.byteLength(comment) > LONGEST_COMMENT * 0.9, String(Buffer.byteLength(comment)));
        assert.match(comment, /\*\*Cut here: the comment would be too long\./);
        assert.match(comment, /Replaced or deleted.*: 2\./);
        assert.match(comment, /For commit 0123456789ab/);
        assert.strictEqual(comment.match(/<details>/g)?.length, comment.match(/<\/details>/g)?.length);
        assert.strictEqual((comment.match(/^```/gm) ?? []).length % 2, 0);
    });

    it("shows text that a stranger wrote only as code", () => {
        const evil =
            "`x` ``\n```\n</details> @someone <img src=x> [a](https://evil.example) <!-- \u202ereversed";
        const everywhere = outcome(
            [
                change(evil, {
                    danger: true,
                    type: `a:${evil}`,
                    properties: [{ path: evil, before: evil, after: 1 }],
                }),
            ],
            { warnings: [evil], errors: [evil], resources: [evil], comparedWith: evil, why: evil },
        );
        const outside = commentText(everywhere, origin)
            // Fenced blocks, then inline code: the rest is read as Markdown.
            .replace(/^(`{3,})text\n[^]*?\n\1$/gm, "")
            .replace(/(?<!`)(`+)(?!`)[^\n]*?(?<!`)\1(?!`)/g, "");
        assert.ok(!/someone|<img|evil\.example|reversed/.test(outside), outside);
        assert.strictEqual(outside.match(/<\/details>/g)?.length, outside.match(/<details>/g)?.length);
        assert.ok(!commentText(everywhere).includes("\u202e"));
    });
});

describe("what previews leave for the comment", () => {
    const refused: [string, Buffer, RegExp][] = [
        ["is not JSON", Buffer.from("{"), /^it is not JSON; it must be what `make preview` writes/],
        ["has another form", Buffer.from("{}"), /^it is not valid at stack/],
        [
            "has a stack name that ends the marker",
            Buffer.from(JSON.stringify(outcome([], { stack: "a --> b" }))),
            /^it is not valid at stack/,
        ],
        [
            "has an unknown mode",
            Buffer.from(JSON.stringify({ ...outcome(), mode: "approved" })),
            /^it is not valid at mode/,
        ],
        [
            "compares another stack",
            Buffer.from(JSON.stringify(outcome([], { stack: "dev" }))),
            /comparison belongs to another stack/,
        ],
        ["has an unknown key", Buffer.from(JSON.stringify({ ...outcome(), pull: 7 })), /^it is not valid/],
        ["is five megabytes long", Buffer.alloc(5 * 2 ** 20, " "), /^it has 5242880 bytes/],
    ];
    for (const [what, bytes, message] of refused) {
        it(`is refused if it ${what}`, () => assert.throws(() => parseOutcome(bytes, "it"), { message }));
    }

    it("is read as it was written", () => {
        const written = recordedOutcome();
        assert.deepStrictEqual(parseOutcome(Buffer.from(outcomeJson(written)), "it"), written);
    });

    it("is accepted even if the engine printed more than the reader takes", () => {
        const errors = ["x".repeat(30_000), "y".repeat(20_000)];
        const taken = parseOutcome(Buffer.from(outcomeJson(outcome([], { errors }))), "it");
        assert.deepStrictEqual(taken.errors, [`${"x".repeat(19_997)}...`, "y".repeat(20_000)]);
    });

    describe("in a folder", () => {
        let folder: string;
        beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "comment-test-"))));
        afterEach(() => fs.rmSync(folder, { recursive: true }));
        const leave = (file: string, stack: string) => {
            const full = path.join(folder, file);
            const comparison = { ...outcome().comparison!, stack };
            fs.mkdirSync(path.dirname(full), { recursive: true });
            fs.writeFileSync(full, JSON.stringify(outcome([], { stack, comparison })));
        };

        it("is one file per stack", () => {
            leave("preview-dev/dev.json", "dev");
            leave("preview-prod/prod.json", "prod");
            assert.deepStrictEqual(
                readOutcomes(folder).map(({ stack }) => stack),
                ["dev", "prod"],
            );
        });

        it("is refused under another stack's name, twice, or in large numbers", () => {
            leave("preview-dev/dev.json", "prod");
            assert.throws(
                () => readOutcomes(folder),
                /is about stack prod; there must be one file per stack/,
            );
            leave("preview-dev/dev.json", "dev");
            leave("again/dev.json", "dev");
            assert.throws(() => readOutcomes(folder), /one file per stack/);
            Array.from({ length: 10 }, (_, index) => leave(`s${index}.json`, `s${index}`));
            assert.throws(() => readOutcomes(folder), /has 12 files; previews write at most 10/);
        });
    });
});

interface Posted {
    id: number;
    body: string;
    user: { type: string };
}

describe("posting comments", () => {
    const SHA = "a".repeat(40);
    const run = {
        event: "pull_request",
        head_sha: SHA,
        head_branch: "change",
        head_repository: { full_name: "stranger/project" },
        html_url: origin.run,
    };
    let server: Server;
    let access: Access;
    let pulls: { number: number; head: { sha: string; repo: { full_name: string } | null } }[];
    let comments: Posted[];
    let asked: string[];
    let refusal: { method: string; status: number; message: string } | undefined;
    let isEndless: boolean;
    /** Answers instead of the server if the request is about comments. */
    let instead: ((response: ServerResponse) => void) | undefined;

    /** The few endpoints of GitHub's API, below a path as GitHub Enterprise has it, with two comments per page. */
    beforeEach(async () => {
        pulls = [{ number: 7, head: { sha: SHA, repo: { full_name: "stranger/project" } } }];
        [comments, asked, refusal, isEndless, instead] = [[], [], undefined, false, undefined];
        const answer = async (
            request: IncomingMessage,
        ): Promise<{ status: number; json: unknown; link?: string }> => {
            const { method = "", url = "" } = request;
            const { pathname: full, searchParams } = new URL(url, access.api);
            const pathname = full.slice("/api/v3".length);
            asked.push(`${method} ${pathname}`);
            const sent = JSON.parse((await text(request)) || "{}") as { body: string };
            if (request.headers.authorization !== "token token") {
                return { status: 401, json: { message: "Bad credentials" } };
            }
            if (refusal?.method === method) {
                return { status: refusal.status, json: { message: refusal.message } };
            }
            if (method === "GET" && pathname === "/repos/team/project/pulls") {
                assert.strictEqual(searchParams.get("head"), "stranger:change");
                assert.strictEqual(searchParams.get("state"), "open");
                assert.strictEqual(request.headers["x-github-api-version"], "2022-11-28");
                return { status: 200, json: pulls };
            }
            if (method === "GET" && pathname === "/repos/team/project/issues/7/comments") {
                const page = Number(searchParams.get("page") ?? 1);
                const next = `<${access.api}${pathname}?page=${page + 1}>; rel="next"`;
                const link = isEndless || page * 2 < comments.length ? next : undefined;
                return { status: 200, json: comments.slice(page * 2 - 2, page * 2), link };
            }
            if (method === "POST" && pathname === "/repos/team/project/issues/7/comments") {
                comments.push({ id: comments.length + 100, body: sent.body, user: { type: "Bot" } });
                return { status: 201, json: {} };
            }
            const edited = comments.find(
                ({ id }) => pathname === `/repos/team/project/issues/comments/${id}`,
            );
            if (method === "PATCH" && edited !== undefined) {
                edited.body = sent.body;
                return { status: 200, json: {} };
            }
            return { status: 404, json: { message: "Not Found" } };
        };
        server = createServer((request, response) => {
            answer(request).then(
                ({ status, json, link }) => {
                    if (instead !== undefined && request.url?.includes("/comments")) {
                        return instead(response);
                    }
                    const type = { "content-type": "application/json; charset=utf-8" };
                    response.writeHead(status, link === undefined ? type : { ...type, link });
                    response.end(JSON.stringify(json));
                },
                (error: Error) => response.writeHead(500).end(JSON.stringify({ message: error.message })),
            );
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        const { port } = server.address() as AddressInfo;
        access = { api: `http://127.0.0.1:${port}/api/v3`, repository: "team/project", token: "token" };
    });
    afterEach(() => new Promise((resolve) => server.close(resolve)));

    const changed = () => asked.filter((each) => !each.startsWith("GET"));

    it("posts one comment per stack, and says so", async () => {
        const comparison = { ...outcome().comparison!, stack: "dev" };
        const said = await postComments(access, run, [outcome([], { stack: "dev", comparison }), outcome()]);
        assert.deepStrictEqual(
            comments.map(({ body }) => body.split("\n")[0]),
            [marker("dev"), marker("prod")],
        );
        assert.strictEqual(said[0], "Comment on stack dev in pull request 7: posted.");
        assert.match(comments[0]?.body ?? "", /by the code of a fork/);
    });

    it("edits its own earlier comment, on any page, and no other", async () => {
        const others = [1, 2, 3].map((id) => ({ id, body: `comment ${id}`, user: { type: "User" } }));
        const quoted = { id: 4, body: `> ${marker("prod")}`, user: { type: "Bot" } };
        const forged = { id: 5, body: `${marker("prod")}\nby hand`, user: { type: "User" } };
        const mine = { id: 6, body: `${marker("prod")}\r\nof an earlier run`, user: { type: "Bot" } };
        comments = [...others, quoted, forged, mine];
        const before = structuredClone(comments.slice(0, 5));
        await postComments(access, run, [outcome()]);
        assert.deepStrictEqual(changed(), ["PATCH /repos/team/project/issues/comments/6"]);
        assert.deepStrictEqual(comments.slice(0, 5), before);
        assert.match(mine.body, /### Preview of stack prod/);
    });

    it("does nothing the second time", async () => {
        await postComments(access, run, [outcome()]);
        const said = await postComments(access, run, [outcome()]);
        assert.deepStrictEqual(said, ["Comment on stack prod in pull request 7: already there."]);
        assert.strictEqual(changed().length, 1);
    });

    for (const [what, head] of [
        ["another commit", { sha: "b".repeat(40), repo: { full_name: "stranger/project" } }],
        ["in another repository", { sha: SHA, repo: { full_name: "other/project" } }],
        ["in a repository that is gone", { sha: SHA, repo: null }],
    ] as const) {
        it(`leaves alone a pull request whose head is ${what}`, async () => {
            pulls = [{ number: 7, head }];
            const said = await postComments(access, run, [outcome()]);
            assert.match(said.join(), /No open pull request has commit a+ as its head/);
            assert.deepStrictEqual(changed(), []);
        });
    }

    it("posts nothing for a run that is not for a pull request, or whose fork is gone", async () => {
        for (const other of [{ event: "push" }, { head_repository: null }, { head_branch: null }]) {
            assert.match(
                (await postComments(access, { ...run, ...other }, [outcome()])).join(),
                /no pull request to comment on/,
            );
        }
        assert.deepStrictEqual(asked, []);
    });

    it("names what GitHub refuses, and what the job needs", async () => {
        refusal = { method: "POST", status: 403, message: "Resource not accessible by integration" };
        await assert.rejects(
            postComments(access, run, [outcome()]),
            /refuses POST \/repos\/team\/project\/issues\/7\/comments with HTTP 403 \(Resource not accessible by integration\): .*pull-requests: write/,
        );
        await assert.rejects(
            postComments({ ...access, token: "old" }, run, [outcome()]),
            /refuses GET \/repos\/team\/project\/pulls\?.* with HTTP 401 \(Bad credentials\): .*has to pass its GITHUB_TOKEN$/,
        );
    });

    const unreadable: Record<string, [(response: ServerResponse) => void, RegExp]> = {
        // Octokit by itself takes this for an empty list.
        "is refused with 409": [
            (response) => response.writeHead(409, { "content-type": "application/json" }).end("{}"),
            /refuses GET \/repos\/team\/project\/issues\/7\/comments\?per_page=100 with HTTP 409 \(\): run the job again/,
        ],
        "is refused by a load balancer's page, which is not printed": [
            (response) => response.writeHead(502, { "content-type": "text/html" }).end("<html>"),
            /with HTTP 502 \(\): run the job again; it does not post anything twice$/,
        ],
        "is a proxy's page": [
            (response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>"),
            /answer to GET \/repos\/team\/project\/issues\/7\/comments\?per_page=100 is not JSON, or ends too early/,
        ],
        "ends too early": [
            (response) => {
                response.writeHead(200, { "content-type": "application/json", "content-length": 100 });
                response.write("[", () => response.destroy());
            },
            /is not JSON, or ends too early/,
        ],
    };
    for (const [what, [answer, message]] of Object.entries(unreadable)) {
        it(`posts nothing if the list of comments ${what}`, async () => {
            instead = answer;
            await assert.rejects(postComments(access, run, [outcome()]), { message });
            assert.deepStrictEqual(changed(), []);
        });
    }

    it("stops at a list whose pages do not end", async () => {
        isEndless = true;
        await assert.rejects(
            postComments(access, run, [outcome()]),
            /more than 100 pages of .*\/repos\/team\/project\/issues\/7\/comments/,
        );
        assert.ok(asked.length < 110, String(asked.length));
        assert.deepStrictEqual(changed(), []);
    });

    it("waits half a minute for an answer", async () => {
        const { timeout } = AbortSignal;
        const limits: number[] = [];
        AbortSignal.timeout = (limit) => timeout.call(AbortSignal, limits.push(limit) === 1 ? limit : 100);
        instead = () => undefined;
        try {
            await assert.rejects(
                postComments(access, run, [outcome()]),
                /does not answer: no answer in time$/,
            );
        } finally {
            AbortSignal.timeout = timeout;
        }
        assert.deepStrictEqual(limits, [30_000, 30_000]);
    });

    it("asks through the proxy of the environment", async () => {
        const place = ownPlace();
        place.make();
        Object.assign(process.env, { HTTP_PROXY: new URL(access.api).origin, NO_PROXY: "", no_proxy: "" });
        try {
            await postComments({ ...access, api: "http://github.test/api/v3" }, run, [outcome()]);
        } finally {
            place.leave();
        }
        assert.deepStrictEqual(changed(), ["POST /repos/team/project/issues/7/comments"]);
    });

    it("names the address if nothing answers there", async () => {
        await assert.rejects(
            postComments({ ...access, api: "http://127.0.0.1:1" }, run, [outcome()]),
            /^Error: GitHub at http:\/\/127\.0\.0\.1:1 does not answer: /,
        );
    });
});
