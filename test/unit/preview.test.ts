import assert from "assert";
import { execFileSync } from "child_process";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { parse } from "yaml";

import { parseConfig } from "../../config";
import { baseGraph } from "../../review/base";
import { Graph, graphText } from "../../review/graph";
import { keylessPreview, withPinnedImages } from "../../review/keyless";
import { chooseMode, namedBackend, type Surroundings } from "../../review/mode";
import { parseOutcome } from "../../review/outcome";
import { redactor } from "../../review/redact";
import { withoutSecrets } from "../../review/stack-config";
import { statePreview } from "../../review/state";
import { terminalText } from "../../review/summary";
import { OWN_SETTINGS } from "../support/copy";
import { graphOf } from "../support/program";

const ROOT = path.resolve(__dirname, "../..");

let folder: string;
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "preview-test-"))));
afterEach(() => fs.rmSync(folder, { recursive: true }));

describe("the mode of a preview", () => {
    const mine = { name: "s3://state", hasStack: true };
    const cases: [string, Surroundings, string, RegExp][] = [
        ["nothing is known about the stack", { local: false }, "keyless", /neither PULUMI_BACKEND_URL nor/],
        [
            "a named backend has it",
            { named: mine, local: true },
            "against state named",
            /^s3:\/\/state has it$/,
        ],
        [
            "only the local environment has it",
            { local: true },
            "against state local",
            /local environment has it/,
        ],
        [
            "the named backend does not have it, the local one does",
            { named: { ...mine, hasStack: false }, local: true },
            "against state local",
            /local environment has it/,
        ],
        [
            "the named backend does not have it",
            { named: { ...mine, hasStack: false }, local: false },
            "keyless",
            /neither s3:\/\/state nor the local environment has it/,
        ],
        ["keyless is requested", { asked: "keyless", named: mine, local: true }, "keyless", /as requested/],
        [
            "state is requested, but nothing has it",
            { asked: "against state", local: false },
            "against state local",
            /yet/,
        ],
        [
            "state is requested from a named backend without it",
            { asked: "against state", named: { ...mine, hasStack: false }, local: false },
            "against state named",
            /s3:\/\/state does not have it yet/,
        ],
    ];
    for (const [when, surroundings, wanted, why] of cases) {
        it(`is ${wanted} when ${when}`, () => {
            const { mode, backend, why: reason } = chooseMode(surroundings);
            assert.strictEqual([mode, backend].join(" ").trim(), wanted);
            assert.match(reason, why);
        });
    }

    it("treats an empty variable, as a fork gets it, as unset", () => {
        assert.strictEqual(namedBackend({ PULUMI_BACKEND_URL: "", PULUMI_ACCESS_TOKEN: "" }), undefined);
        assert.strictEqual(namedBackend({ PULUMI_ACCESS_TOKEN: "pul-1" }), "Pulumi Cloud");
    });

    it("names a backend without its credentials", () => {
        const shown = (url: string) => namedBackend({ PULUMI_BACKEND_URL: url });
        assert.strictEqual(shown("postgres://me:secret@db:5432/state?x=y"), "postgres://db:5432/state");
        assert.strictEqual(shown("s3://bucket?region=eu&profile=me"), "s3://bucket");
    });
});

describe("the stack file of a keyless preview", () => {
    it("has its encrypted values replaced, and no salt", () => {
        const config = withoutSecrets(
            [
                "encryptionsalt: v1:abc",
                "config:",
                "  dabaweb:registry: { address: r.example, username: me, password: { secure: v1:xyz } }",
                "  dabaweb:list: [{ secure: v1:xyz }, plain]",
                "  dabaweb:top: { secure: v1:xyz }",
            ].join("\n"),
        );
        assert.deepStrictEqual(config, {
            "dabaweb:registry": { address: "r.example", username: "me", password: "[secret]" },
            "dabaweb:list": ["[secret]", "plain"],
            "dabaweb:top": "[secret]",
        });
    });

    it("pins every image by its content tag, and the configuration accepts that", () => {
        const { config } = parse(fs.readFileSync("Pulumi.prod.yaml", "utf8")) as {
            config: Record<string, unknown>;
        };
        const pinned = withPinnedImages(config, graphOf("prod"));
        const values = Object.entries(pinned).filter(([key]) => key.startsWith("dabaweb:"));
        const { images } = parseConfig(
            Object.fromEntries(values.map(([key, value]) => [key.slice("dabaweb:".length), value])),
            "prod",
        );
        assert.strictEqual(Object.keys(images ?? {}).length, 7);
        for (const [image, reference] of Object.entries(images ?? {})) {
            const pushed = Object.values(graphOf("prod").resources).find(
                ({ type, name }) => type.startsWith("docker:") && name === image,
            );
            const [, repository, tag] = /^(.+)@sha256:([0-9a-f]{20})0{44}$/.exec(reference) ?? [];
            assert.strictEqual(`${repository}:${tag}`, pushed?.inputs.name);
        }
    });

    it("keeps an image that the stack pins itself", () => {
        const own = { "dabaweb:images": { nginx: `r.example/nginx@sha256:${"a".repeat(64)}` } };
        const none: Graph = { stack: "s", resources: {} };
        assert.deepStrictEqual(withPinnedImages(own, none), own);
    });
});

describe("what a keyless preview compares with", () => {
    const empty: Graph = { stack: "s", resources: {} };
    const git = (...args: string[]) => {
        return execFileSync("git", [...OWN_SETTINGS, ...args], { cwd: folder, encoding: "utf8" }).trim();
    };
    const commit = (name: string, stack?: string) => {
        if (stack !== undefined) {
            fs.mkdirSync(path.join(folder, "test/golden"), { recursive: true });
            fs.writeFileSync(path.join(folder, "test/golden/s.json"), graphText({ ...empty, stack }));
        }
        git("add", ".");
        git("commit", "--quiet", "--allow-empty", "--message", name);
        return git("rev-parse", "HEAD");
    };
    beforeEach(() => git("init", "--quiet"));

    it("is the golden graph at the merge base, not at the branch's newest commit", async () => {
        const base = commit("base", "at the base");
        git("switch", "--quiet", "--create", "change");
        commit("change", "changed");
        git("switch", "--quiet", "main");
        commit("newer", "newer");
        git("switch", "--quiet", "change");
        for (const ref of [undefined, "main"]) {
            const found = await baseGraph(folder, "s", ref);
            assert.strictEqual(found.graph?.stack, "at the base");
            assert.ok(found.graph !== undefined && found.name.includes(base.slice(0, 12)));
        }
    });

    it("is found if the project is a folder of a larger repository", async () => {
        fs.mkdirSync(path.join(folder, "inner/test/golden"), { recursive: true });
        fs.writeFileSync(path.join(folder, "inner/test/golden/s.json"), graphText(empty));
        commit("base");
        assert.deepStrictEqual((await baseGraph(path.join(folder, "inner"), "s")).graph, empty);
    });

    it("is nothing, with the reason, if there is no such graph, ref, commit or form", async () => {
        const missing = async (ref?: string) => {
            const found = await baseGraph(folder, "s", ref);
            return found.graph === undefined ? found.missing : "";
        };
        assert.match(await missing(), /is not a git checkout with a commit/);
        commit("nothing");
        assert.match(await missing(), /test\/golden\/s\.json is not in merge base [0-9a-f]{12} with main/);
        assert.match(await missing("nowhere"), /^nowhere is not a commit here.*PREVIEW="--base <ref>"$/);
        assert.match(await missing("--output=x"), /^--output=x is not a commit here/);
        fs.mkdirSync(path.join(folder, "test/golden"), { recursive: true });
        fs.writeFileSync(path.join(folder, "test/golden/s.json"), "{}");
        commit("older form");
        assert.match(await missing(), /is not valid/);
    });
});

/** A program called pulumi that records its calls and, in a preview, leaves an event log and exits with a code. */
function fakePulumi(log: string, code = 0): { PATH: string; PULUMI_HOME: string; calls: () => string } {
    const bin = path.join(folder, "bin");
    fs.mkdirSync(bin);
    fs.writeFileSync(path.join(folder, "log"), log);
    const script = [
        "#!/usr/bin/env bash",
        `{ printf '%s\\n' "$*"; env; } >>"${folder}/calls"`,
        'while [ $# -gt 0 ]; do case $1 in --event-log) log=$2 ;; --config-file) cp "$2" "' +
            folder +
            '/stack-file" ;; esac; shift; done',
        `if [ -n "\${log:-}" ]; then cp "${folder}/log" "$log"; echo "last words" >&2; exit ${code}; fi`,
    ];
    fs.writeFileSync(path.join(bin, "pulumi"), `${script.join("\n")}\n`, { mode: 0o755 });
    return {
        PATH: `${bin}:${process.env.PATH}`,
        PULUMI_HOME: "/tools",
        calls: () => fs.readFileSync(path.join(folder, "calls"), "utf8"),
    };
}

/** A line of an event log: the engine plans a new resource. */
function created(type: string, name: string): string {
    const metadata = { op: "create", urn: `urn:pulumi:prod::p::${type}::${name}`, type };
    return JSON.stringify({ resourcePreEvent: { metadata } });
}

describe("a keyless preview", () => {
    it("names every resource, passes on nothing of the user's and leaves nothing behind", async () => {
        const { calls, ...tools } = fakePulumi(created("kubernetes:core/v1:Secret", "it"));
        // A folder of its own for temporary files: other previews may run on this machine.
        const temporary = fs.mkdtempSync(path.join(folder, "temporary-"));
        const users = "the-users-own";
        const own = {
            ...{ PULUMI_ACCESS_TOKEN: users, KUBECONFIG: `/${users}`, AWS_PROFILE: users },
            TMPDIR: temporary,
        };
        const former = { ...process.env };
        Object.assign(process.env, own);
        try {
            const run = {
                checkout: ROOT,
                stack: "prod",
                committed: "Pulumi.prod.yaml",
                base: "HEAD",
                policyPack: "policy",
                why: "a test",
                tools,
            };
            const outcome = await keylessPreview(run);
            const resources = Object.values(graphOf("prod").resources);
            assert.strictEqual(outcome.resources.length, resources.length);
            const text = terminalText(outcome);
            resources.forEach(({ name }) => assert.ok(text.includes(name), name));
            assert.match(text, /planned 1 of them against a temporary state; the \d+ image resources/);
            assert.deepStrictEqual(outcome.errors, []);
            const written = JSON.stringify(outcome);
            assert.deepStrictEqual(parseOutcome(Buffer.from(written), "it"), JSON.parse(written));
        } finally {
            Object.keys(own).forEach((key) => delete process.env[key]);
            Object.assign(process.env, former);
        }
        assert.ok(!calls().includes(users), calls());
        assert.match(calls(), /^PULUMI_BACKEND_URL=file:.*preview-keyless-/m);
        assert.match(
            fs.readFileSync(path.join(folder, "stack-file"), "utf8"),
            /nginx@sha256:[0-9a-f]{20}0{44}/,
        );
        assert.deepStrictEqual(fs.readdirSync(temporary), []);
    });

    it("refuses a configuration that is not valid, in the program's own words", async () => {
        const { calls, ...tools } = fakePulumi("");
        const project = path.join(folder, "project");
        fs.mkdirSync(project);
        for (const name of fs
            .readdirSync(ROOT)
            .filter((each) => !/^(\.git|test|Pulumi\.\w+\.yaml)$/.test(each))) {
            fs.symlinkSync(path.join(ROOT, name), path.join(project, name));
        }
        const text = fs.readFileSync("Pulumi.prod.yaml", "utf8");
        const committed = path.join(project, "Pulumi.prod.yaml");
        fs.writeFileSync(committed, `environment: [team]\n${text.replace("replicas: 3", "replicas: many")}`);
        await assert.rejects(
            keylessPreview({
                checkout: project,
                stack: "prod",
                committed,
                why: "a test",
                policyPack: "policy",
                tools,
            }),
            /Pulumi\.prod\.yaml is not valid[^]*dabaweb:dabacluster\.replicas is "many"[^]*has an environment \(team\), whose values/,
        );
        assert.throws(calls, "Pulumi was run");
    });
});

describe("a preview against state", () => {
    const run = (log: string, code: number) => {
        const { PATH } = fakePulumi(log, code);
        const stackFile = path.join(ROOT, "Pulumi.yaml");
        return statePreview(
            { checkout: ROOT, stack: "s", stackFile, env: { PATH }, policyPack: "policy", quiet: true },
            "",
        );
    };
    const said = (severity: string, message: string) =>
        JSON.stringify({ diagnosticEvent: { severity, message } });
    const object = created("kubernetes:core/v1:Secret", "it");

    it("says that the cluster was unreachable if the preflight or the provider does", async () => {
        for (const message of [
            "not checked: the cluster of context x (KUBECONFIG unset) does not answer: no; check.\n",
            "configured Kubernetes cluster is unreachable: no",
        ]) {
            assert.strictEqual((await run(said("warning", message), 0)).cluster, "unreachable");
            fs.rmSync(path.join(folder, "bin"), { recursive: true });
        }
        const log = [said("warning", "not checked: no permission to read nodes."), object].join("\n");
        assert.strictEqual((await run(log, 0)).cluster, "answered");
    });

    it("says that no cluster was asked if it ended before the first Kubernetes object", async () => {
        const log = [created("random:index/randomPassword:RandomPassword", "it"), said("error", "refused")];
        const { cluster, errors } = await run(log.join("\n"), 1);
        assert.deepStrictEqual({ cluster, errors }, { cluster: "not asked", errors: ["refused"] });
    });

    it("claims no dry run of what the login may not write", async () => {
        assert.match(
            terminalText(await run(object, 0)),
            /dry run .* every planned object that the login may write,/,
        );
    });

    it("has the engine's errors if it failed, or otherwise its last words", async () => {
        assert.deepStrictEqual((await run(said("error", "no such class"), 1)).errors, ["no such class"]);
        fs.rmSync(path.join(folder, "bin"), { recursive: true });
        assert.deepStrictEqual((await run("", 255)).errors, ["`pulumi preview` ended with 255: last words"]);
    });

    it("relies on what the preflight says about a cluster that does not answer", () => {
        // These words are from preflight.ts. If you change them there, change review/state.ts as well.
        assert.match(fs.readFileSync("preflight.ts", "utf8"), /`the cluster of context \$\{/);
        assert.match(fs.readFileSync("preflight.ts", "utf8"), /`not checked: \$\{problem\}\.`/);
    });
});

describe("what a preview shows", () => {
    it("hides the values of secret variables and what looks like credentials", () => {
        const file = path.join(folder, "passphrase");
        fs.writeFileSync(file, "from the file\n");
        const redact = redactor({
            PULUMI_ACCESS_TOKEN: "pul-abcdef",
            AWS_SECRET_ACCESS_KEY: "pul-abcdef-longer",
            PULUMI_CONFIG_PASSPHRASE_FILE: file,
            DB_PASSWORD: "abc",
            PULUMI_BACKEND_URL: "postgres://me:hidden1@db/state",
            HOME: "/home/me",
        });
        assert.strictEqual(redact("a pul-abcdef-longer b pul-abcdef"), "a [secret] b [secret]");
        assert.strictEqual(redact("is from the file, abc /home/me"), "is [secret], abc /home/me");
        assert.strictEqual(redact("as me:hidden1 at db"), "as [secret] at db");
        assert.strictEqual(redact("https://me:pw@r.example/v2"), "https://[secret]@r.example/v2");
        assert.strictEqual(redact("Authorization: Basic bWU6cHc="), "Authorization: Basic [secret]");
        assert.strictEqual(redact('{"auth": "bWU6cHc="}'), '{"auth": "[secret]"}');
    });
});
