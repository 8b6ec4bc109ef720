import assert from "assert";
import { spawnSync } from "child_process";
import { once } from "events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "fs";
import { createServer, RequestListener, Server } from "http";
import { AddressInfo } from "net";
import { tmpdir } from "os";
import * as path from "path";
import { parse } from "yaml";

import { mapImages } from "../../components/images";
import { promote } from "../../operations/promote";
import { valuesIn } from "../../operations/pulumi-stack";
import { Refusal } from "../../operations/refusal";
import { Repository } from "../../operations/registry-client";
import { dockerLogin, IDENTITY_TOKEN } from "../../operations/registry-login";
import { withPinnedImages } from "../../operations/stack-file";

const DIGEST = `sha256:${"a".repeat(64)}`;

const OTHER = `sha256:${"b".repeat(64)}`;

const images = (digest: string) =>
    mapImages((image) => `registry.example.com/dabaweb/prod/${image}@${digest}`);

/** The lines of `after` that `before` does not have; all lines of `before` must be in it, in the same order. */
function addedLines(before: string, after: string): string[] {
    const rest = before.split("\n");
    const added = after.split("\n").filter((line) => (line === rest[0] ? (rest.shift(), false) : true));
    assert.deepStrictEqual(rest, [], "lines were changed or lost");
    return added;
}

describe("promote: the stack file", () => {
    const files = readdirSync(".").filter((each) => /^Pulumi\..+\.yaml$/.test(each));
    const texts = files.map((file) => [file, readFileSync(file, "utf8")] as const);
    for (const [file, before] of texts.filter(([, text]) => !text.includes("dabaweb:images:"))) {
        it(`pins all images in ${file} with seven more lines`, () => {
            const after = withPinnedImages(before, images(DIGEST));
            assert.deepStrictEqual(addedLines(before, after), [
                "  dabaweb:images:",
                ...Object.entries(images(DIGEST)).map(([image, reference]) => `    ${image}: ${reference}`),
            ]);
            assert.strictEqual(withPinnedImages(after, images(DIGEST)), after, "a second time");
        });
    }

    it("changes six lines for other digests, and keeps comments, order, salt and secrets", () => {
        const before = [
            "# Ours.",
            "config:",
            "  dabaweb:images: # as tested",
            ...Object.entries(images(DIGEST)).map(([image, reference]) => `    ${image}: ${reference} # why`),
            '  "dabaweb:registry": { address: "registry.example.com", username: u, password: { secure: "v1:x=" } }',
            "",
            "  # The web tier.",
            "  dabaweb:dabacluster:",
            "    replicas: 3 # as many as nodes",
            "    resources: { requests: { cpu: 200m, memory: 512Mi }, limits: { cpu: '1', memory: 512Mi } }",
            "encryptionsalt: v1:Ci4=:v1:x",
            "",
        ].join("\n");
        const after = withPinnedImages(before, images(OTHER));
        assert.strictEqual(after, before.replaceAll(DIGEST, OTHER));
    });

    it("adds to images that are already pinned", () => {
        const before = "config:\n  dabaweb:images: { mysql-slave: x }\n  dabaweb:protect: true\n";
        const after = parse(withPinnedImages(before, images(DIGEST))) as { config: Record<string, unknown> };
        assert.deepStrictEqual(after.config, {
            "dabaweb:images": images(DIGEST),
            "dabaweb:protect": true,
        });
    });
});

describe("promote: the configuration of its target", () => {
    it("is the same after Pulumi has written the file, with a top-level true as text", () => {
        const [before, after] = [
            {
                "dabaweb:protect": true,
                "dabaweb:kubeContext": "2024",
                "dabaweb:namespace": { create: false },
            },
            {
                "dabaweb:protect": "true",
                "dabaweb:kubeContext": "2024",
                "dabaweb:namespace": { create: false },
            },
        ].map((config) => valuesIn({ ...config, "pulumi:disable-default-providers": ["docker"] }));
        assert.deepStrictEqual(after, before);
        assert.deepStrictEqual(after, { protect: true, kubeContext: "2024", namespace: { create: false } });
    });
});

describe("promote: Docker's own login", () => {
    let folder: string;
    const { DOCKER_CONFIG, PATH } = process.env;
    beforeEach(() => {
        folder = mkdtempSync(path.join(tmpdir(), "docker-login-"));
        process.env.DOCKER_CONFIG = folder;
    });
    afterEach(() => {
        Object.assign(process.env, { PATH });
        if (DOCKER_CONFIG === undefined) {
            delete process.env.DOCKER_CONFIG;
        } else {
            process.env.DOCKER_CONFIG = DOCKER_CONFIG;
        }
        rmSync(folder, { recursive: true });
    });

    function configure(config: unknown): void {
        const text = typeof config === "string" ? config : JSON.stringify(config);
        writeFileSync(path.join(folder, "config.json"), text);
    }

    function helper(name: string, script: string): void {
        const file = path.join(folder, `docker-credential-${name}`);
        writeFileSync(file, `#!/usr/bin/env bash\n${script}\n`);
        chmodSync(file, 0o755);
        process.env.PATH = `${folder}:${PATH}`;
    }

    const stored = (text: string) => ({ auth: Buffer.from(text).toString("base64") });

    it("is undefined if there is no file, no entry or an empty one", async () => {
        assert.strictEqual(await dockerLogin("registry.example.com"), undefined);
        configure({ auths: { "example.com": stored("u:p"), "registry.example.com": {} } });
        assert.strictEqual(await dockerLogin("registry.example.com"), undefined);
    });

    it("is read from the file, however the registry is written there", async () => {
        for (const key of ["localhost:5001", "https://localhost:5001", "https://localhost:5001/v2/"]) {
            configure({ auths: { "localhost:500": stored("no:no"), [key]: stored("u:p:q") } });
            const login = await dockerLogin("localhost:5001");
            assert.deepStrictEqual([login?.username, login?.password], ["u", "p:q"], key);
        }
    });

    it("may be an identity token", async () => {
        configure({ auths: { "localhost:5001": { ...stored("0000:"), identitytoken: "t" } } });
        const login = await dockerLogin("localhost:5001");
        assert.deepStrictEqual([login?.username, login?.password], [IDENTITY_TOKEN, "t"]);
    });

    it("comes from the registry's helper before the general one, and from that before the file", async () => {
        const answers = (name: string) => `read -r host; echo '{"Username":"${name}","Secret":"'"$host"'"}'`;
        helper("one", answers("one"));
        helper("all", answers("all"));
        configure({
            auths: { "a.example.com": stored("file:p") },
            credHelpers: { "b.example.com": "one" },
            credsStore: "all",
        });
        for (const [host, name] of [
            ["a.example.com", "all"],
            ["b.example.com", "one"],
        ] as const) {
            const login = await dockerLogin(host);
            assert.deepStrictEqual([login?.username, login?.password], [name, host]);
        }
    });

    it("is the file's if the helper has none", async () => {
        helper("all", "cat >/dev/null; echo 'credentials not found in native keychain'; exit 1");
        configure({ auths: { "a.example.com": stored("file:p") }, credsStore: "all" });
        assert.strictEqual((await dockerLogin("a.example.com"))?.username, "file");
        assert.strictEqual(await dockerLogin("b.example.com"), undefined);
    });

    it("is refused with the helper's name, without showing what it or the file says", async () => {
        const refusals: [string, unknown, RegExp][] = [
            [
                "echo hush; echo hush >&2; exit 3",
                { credsStore: "all" },
                /^docker-credential-all, .* failed \(3\); try/,
            ],
            [
                "echo hush",
                { credsStore: "all" },
                /^docker-credential-all returned no credentials for a\.example\.com/,
            ],
            ["", { credsStore: "absent" }, /^docker-credential-absent, .* is not on PATH; try `docker login/],
            ["", "hush {", /^Docker's configuration .*config\.json is not JSON/],
        ];
        for (const [script, config, message] of refusals) {
            helper("all", script);
            configure(config);
            await assert.rejects(dockerLogin("a.example.com"), (error: Error) => {
                assert.ok(error instanceof Refusal);
                assert.match(error.message, message);
                assert.doesNotMatch(error.message, /hush/);
                return true;
            });
        }
    });
});

describe("promote: the registry's client", () => {
    const servers: Server[] = [];
    afterEach(() => servers.splice(0).forEach((server) => server.close()));

    async function serve(listener: RequestListener): Promise<string> {
        const server = createServer(listener);
        servers.push(server);
        await once(server.listen(0, "127.0.0.1"), "listening");
        return `127.0.0.1:${(server.address() as AddressInfo).port}`;
    }

    const login = { username: "u", password: "hush", origin: "of this test" };

    it("sends the login only to the registry, wherever that redirects uploads", async () => {
        const seen: Record<string, string | undefined> = {};
        const storage = await serve((request, response) => {
            seen[`storage ${request.method}`] = request.headers.authorization;
            request.resume().on("end", () => response.writeHead(201).end());
        });
        const host = await serve((request, response) => {
            seen[`registry ${request.method}`] = request.headers.authorization;
            if (request.headers.authorization === undefined) {
                response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
            } else if (request.method === "POST") {
                response.writeHead(202, { location: `http://${storage}/put?state=1` }).end();
            } else {
                response.writeHead(request.method === "HEAD" ? 404 : 200).end("blob");
            }
        });
        const repository = new Repository(`${host}/team/x`, login, "push");
        const sent = await repository.putBlob({ digest: DIGEST, size: 4 }, repository);
        assert.strictEqual(sent, 4);
        const basic = `Basic ${Buffer.from("u:hush").toString("base64")}`;
        assert.deepStrictEqual(seen, {
            "registry HEAD": basic,
            "registry POST": basic,
            "registry GET": basic,
            "storage PUT": undefined,
        });
    });

    it("does not accept a blob of another size", async () => {
        const host = await serve((_, response) => response.writeHead(200, { "content-length": 3 }).end());
        const repository = new Repository(`${host}/team/x`, undefined);
        assert.strictEqual(await repository.has({ digest: DIGEST, size: 4 }), false);
        assert.strictEqual(await repository.has({ digest: DIGEST, size: 3 }), true);
    });

    it("says which registry does not answer, and why", async () => {
        const host = await serve(() => undefined);
        servers.pop()?.close();
        await assert.rejects(new Repository(`${host}/team/x`, login).manifest(DIGEST), {
            message: `Registry ${host} does not answer (ECONNREFUSED); start it, or correct registry.address.`,
        });
    });

    it("does not accept a web page as a manifest", async () => {
        const host = await serve((_, response) => response.writeHead(200).end("<html>Welcome</html>"));
        await assert.rejects(new Repository(`${host}/team/x`, login).manifest("tag"), {
            message:
                `Registry ${host} returns other text instead of a manifest for tag in team/x; correct ` +
                "registry.address.",
        });
    });

    it("passes on what the registry says, but not the password in it", async () => {
        const encoded = Buffer.from("u:hush").toString("base64");
        const host = await serve((_, response) => {
            const message = `hush and ${encoded} are not welcome`;
            response.writeHead(500).end(JSON.stringify({ errors: [{ code: "UNKNOWN", message }] }));
        });
        await assert.rejects(new Repository(`${host}/team/x`, login).manifest("tag"), {
            message:
                `Registry ${host} refuses GET of /v2/team/x/manifests/tag (HTTP 500, ` +
                "UNKNOWN: [secret] and [secret] are not welcome); see its log.",
        });
    });
});

describe("promote: the command", () => {
    const { PATH } = process.env;
    let folder: string;
    beforeEach(() => {
        folder = mkdtempSync(path.join(tmpdir(), "promote-"));
    });
    afterEach(() => {
        Object.assign(process.env, { PATH });
        rmSync(folder, { recursive: true });
    });

    /** From now on, pulumi is this script. */
    function pulumi(script: string): void {
        const file = path.join(folder, "pulumi");
        writeFileSync(file, `#!/usr/bin/env bash\n${script}\n`);
        chmodSync(file, 0o755);
        process.env.PATH = `${folder}:${PATH}`;
    }

    const outputs = (value: unknown) =>
        `if [[ "$1 $2" == "stack output" ]]; then echo '${JSON.stringify(value)}'; else echo '{"deployment":{}}'; fi`;

    const refusals: [string, string, [string, string], RegExp][] = [
        ["no stacks", "", ["", ""], /^FROM is "", and there is no Pulumi\.\.yaml; the stacks are dev, .*\.$/],
        [
            "an unknown FROM",
            "",
            ["nowhere", "prod"],
            /^FROM is "nowhere", and there is no Pulumi\.nowhere\.yaml/,
        ],
        ["an unknown TO", "", ["dev", "nowhere"], /^TO is "nowhere", and there is no Pulumi\.nowhere\.yaml/],
        ["one stack twice", "", ["dev", "dev"], /^FROM and TO are both "dev"; name two stacks\.$/],
        [
            "a stack that was never deployed",
            "echo \"error: no stack named 'dev' found\" >&2; exit 6",
            ["dev", "prod"],
            /^FROM is dev, which is not deployed: it has no images to promote; deploy it, .*\.$/,
        ],
        ["a destroyed stack", outputs({}), ["dev", "prod"], /^FROM is dev, which is not deployed/],
        [
            "an image without a digest",
            outputs({ images: { ...images(DIGEST), nginx: "nginx:1" } }),
            ["dev", "prod"],
            /^FROM is dev, whose output images\.nginx is "nginx:1", not a reference with a digest; deploy it .*\.$/,
        ],
        [
            "an older program without one of the images",
            outputs({ images: { ...images(DIGEST), nginx: undefined } }),
            ["dev", "prod"],
            /^FROM is dev, whose output images\.nginx is missing/,
        ],
        [
            "a backend that does not answer",
            "echo first >&2; echo 'error: incorrect passphrase' >&2; exit 1",
            ["dev", "prod"],
            /^`pulumi stack \w+ .*` failed: error: incorrect passphrase; log in to the backend .*\.$/,
        ],
    ];
    for (const [what, script, [from, to], sentence] of refusals) {
        it(`refuses ${what} in one sentence`, async () => {
            pulumi(script);
            await assert.rejects(promote(from, to), (error: Error) => {
                assert.ok(error instanceof Refusal, error.stack);
                assert.match(error.message, sentence);
                return true;
            });
        });
    }

    it("says that pulumi is missing", async () => {
        process.env.PATH = folder;
        await assert.rejects(promote("dev", "prod"), {
            message: "pulumi is not on PATH; install it, or run `make local-up` to get the local one.",
        });
    });

    it("exits with 1 and prints only that sentence", () => {
        const args = ["-r", "ts-node/register/transpile-only", "operations/promote.ts", "dev", "dev"];
        const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
        assert.strictEqual(status, 1);
        assert.strictEqual(stdout, "");
        assert.strictEqual(stderr, 'FROM and TO are both "dev"; name two stacks.\n');
    });
});
