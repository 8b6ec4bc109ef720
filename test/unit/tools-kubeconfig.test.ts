import assert from "assert";
import { spawn } from "child_process";
import * as fs from "fs";
import { createServer as createPlainServer, type RequestListener } from "http";
import { createServer } from "https";
import { type AddressInfo, connect } from "net";
import * as path from "path";

import { CoreV1Api } from "@kubernetes/client-node";

import { ClusterClient } from "../../components/cluster-client";
import { logIn } from "../../components/cluster-login";
import { proxyFor } from "../../components/proxy";
import { certificate } from "../support/certificate";
import { onPath, ownPlace, rowsOf, withoutProxy } from "../support/tool-forms";

/** A login program that needs a while, says something, and returns a token. */
const PROGRAM = [
    "#!/bin/sh",
    'echo "open https://login.example and enter ABCD" >&2',
    '[ -z "$LOGIN_SECONDS" ] || sleep "$LOGIN_SECONDS"',
    '[ -z "$LOGIN_FAILS" ] || { echo "not today" >&2; exit 3; }',
    'echo "$KUBERNETES_EXEC_INFO" >>"$(dirname "$0")/told"',
    `printf '%s' '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"by-program"}}'`,
].join("\n");

interface Case {
    /** The files, by name; $SERVER is the server's address. */
    readonly files: Readonly<Record<string, unknown>>;
    /** The value of KUBECONFIG, in which names stand for files. */
    readonly list: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    /** Who the server takes kubectl and us for; undefined: neither reaches it. */
    readonly who: string | undefined;
    /** Milliseconds that one answer may take; default: what a busy machine needs at most. */
    readonly limit?: number;
}

const cluster = (server = "$SERVER", changes: object = {}) => [
    { name: "default", cluster: { server, "certificate-authority": "ca.crt", ...changes } },
];
const context = [{ name: "here", context: { cluster: "default", user: "default" } }];
const file = (user: object, changes: object = {}) => ({
    clusters: cluster(),
    users: [{ name: "default", user }],
    contexts: context,
    ...changes,
});
const program = (changes: object = {}) => ({
    exec: {
        apiVersion: "client.authentication.k8s.io/v1",
        command: "./bin/login",
        interactiveMode: "IfAvailable",
        ...changes,
    },
});
const dead = {
    clusters: cluster("http://127.0.0.1:1"),
    users: [{ name: "default", user: { token: "dead" } }],
};

/** By the first cell of their row in docs/tools.md. */
const CASES: Readonly<Record<string, Case>> = {
    "several files that share names": {
        files: { one: file({ token: "first" }), two: { ...dead, contexts: context } },
        list: ["one", "two"],
        who: "Bearer first",
    },
    "cluster, user and context in three files": {
        files: {
            one: { clusters: cluster() },
            two: { users: [{ name: "default", user: { token: "second" } }] },
            three: { contexts: context },
        },
        list: ["one", "two", "three"],
        who: "Bearer second",
    },
    "a file that is missing": {
        files: { one: file({ token: "one" }) },
        list: ["missing", "one"],
        who: "Bearer one",
    },
    "a file that is empty, an entry without a path": {
        files: { one: file({ token: "one" }), empty: "", comment: "# nothing\n" },
        list: ["empty", "", "comment", "one"],
        who: "Bearer one",
    },
    "an incomplete entry that is not used": {
        files: { one: file({ token: "one" }, { clusters: [...cluster(), { name: "half", cluster: {} }] }) },
        list: ["one"],
        who: "Bearer one",
    },
    "`tokenFile`, relative to the file": {
        files: { one: file({ tokenFile: "token" }), token: "from-a-file" },
        list: ["one"],
        who: "Bearer from-a-file",
    },
    "a user name and a password": {
        files: { one: file({ username: "u", password: "p" }) },
        list: ["one"],
        who: "Basic dTpw",
    },
    "a CA in the kubeconfig": {
        files: {
            one: file(
                { token: "t" },
                {
                    clusters: cluster("$SERVER", {
                        "certificate-authority": undefined,
                        "certificate-authority-data": Buffer.from(certificate.cert).toString("base64"),
                    }),
                },
            ),
        },
        list: ["one"],
        who: "Bearer t",
    },
    "another name of the server, by `tls-server-name`": {
        files: {
            one: file({ token: "t" }, { clusters: cluster("$SERVER", { "tls-server-name": "far.test" }) }),
        },
        list: ["one"],
        who: "Bearer t",
    },
    "a server over plain http, which gets no login": {
        files: {
            one: file(
                { token: "t" },
                { clusters: cluster("$PLAIN", { "certificate-authority": undefined }) },
            ),
        },
        list: ["one"],
        who: "nobody",
    },
    "a proxy, by `proxy-url`": {
        files: {
            one: file({ token: "t" }, { clusters: cluster("https://far.test", { "proxy-url": "$PROXY" }) }),
        },
        list: ["one"],
        who: "Bearer t by proxy",
    },
    "a proxy, by HTTPS_PROXY": {
        files: { one: file({ token: "t" }, { clusters: cluster("https://far.test") }) },
        list: ["one"],
        env: { HTTPS_PROXY: "$PROXY", NO_PROXY: "near.test" },
        who: "Bearer t by proxy",
    },
    "a proxy that is not for this server, by NO_PROXY": {
        files: { one: file({ token: "t" }) },
        list: ["one"],
        env: { HTTPS_PROXY: "http://127.0.0.1:1", NO_PROXY: "127.0.0.0/8" },
        who: "Bearer t",
    },
    "a login program, relative to the file": {
        files: { one: file(program()) },
        list: ["one"],
        who: "Bearer by-program",
    },
    "a login program that takes longer than any answer": {
        files: { one: file(program({ env: [{ name: "LOGIN_SECONDS", value: "6" }] })) },
        list: ["one"],
        limit: 5_000,
        who: "Bearer by-program",
    },
    "a login program that is not installed": {
        files: { one: file(program({ command: "no-such-login" })) },
        list: ["one"],
        who: undefined,
    },
    "a login program that fails": {
        files: { one: file(program({ env: [{ name: "LOGIN_FAILS", value: "1" }] })) },
        list: ["one"],
        who: undefined,
    },
    "a login program with `interactiveMode: Always`, without a terminal": {
        files: { one: file(program({ interactiveMode: "Always" })) },
        list: ["one"],
        who: undefined,
    },
    "a file that is not YAML": { files: { one: "clusters: [" }, list: ["one"], who: undefined },
    "no file with that context": { files: { one: { ...dead } }, list: ["one"], who: undefined },
};

describe("the kubeconfig, as kubectl reads it (docs/tools.md)", () => {
    let seen: string[] = [];
    let isProxied = false;
    let servers: ReturnType<typeof newServers>;
    /** Each case has its own, so that it sees nobody's requests but its own. */
    function newServers() {
        const answer: RequestListener = ({ headers }, response) => {
            seen.push((headers.authorization ?? "nobody") + (isProxied ? " by proxy" : ""));
            response.writeHead(200, { "content-type": "application/json", connection: "close" });
            response.end(JSON.stringify({ kind: "Namespace", apiVersion: "v1", metadata: { uid: "1111" } }));
        };
        const proxy = createPlainServer();
        proxy.on("connect", (_request, socket) => {
            isProxied = true;
            const there = connect(portOf("SERVER"), "127.0.0.1", () =>
                socket.write("HTTP/1.1 200 OK\r\n\r\n"),
            );
            there.pipe(socket).pipe(there);
            [socket, there].forEach((each) => each.on("error", () => undefined));
        });
        return {
            SERVER: createServer(certificate, answer),
            PLAIN: createPlainServer(answer),
            PROXY: proxy,
        };
    }
    const portOf = (name: keyof typeof servers) => (servers[name].address() as AddressInfo).port;
    const filled = (text: string) =>
        text
            .replaceAll("$SERVER", `https://127.0.0.1:${portOf("SERVER")}`)
            .replaceAll("$PLAIN", `http://127.0.0.1:${portOf("PLAIN")}`)
            .replaceAll("$PROXY", `http://127.0.0.1:${portOf("PROXY")}`);
    const place = ownPlace();
    let folder: string;

    beforeEach(async () => {
        folder = place.make();
        fs.mkdirSync(path.join(folder, "bin"));
        fs.writeFileSync(path.join(folder, "bin", "login"), PROGRAM, { mode: 0o755 });
        fs.writeFileSync(path.join(folder, "ca.crt"), certificate.cert);
        [seen, isProxied] = [[], false];
        servers = newServers();
        await Promise.all(
            Object.values(servers).map(
                (each) => new Promise<void>((resolve) => each.listen(0, "127.0.0.1", resolve)),
            ),
        );
    });
    afterEach(() => {
        place.leave();
        for (const each of Object.values(servers)) {
            each.closeAllConnections();
            each.close();
        }
    });

    function prepare({ files, list, env = {} }: Case): void {
        for (const [name, content] of Object.entries(files)) {
            const text = typeof content === "string" ? content : JSON.stringify(content);
            fs.writeFileSync(path.join(folder, name), filled(text));
        }
        withoutProxy();
        for (const [key, value] of Object.entries(env)) {
            process.env[key] = filled(value);
        }
        process.env.KUBECONFIG = list
            .map((name) => (name === "" ? "" : path.join(folder, name)))
            .join(path.delimiter);
    }

    /** Asynchronous: the server is in this process. */
    async function kubectl(program: string): Promise<void> {
        const args = [
            "--context",
            "here",
            "get",
            "--raw",
            "/api/v1/namespaces/kube-system",
            "--request-timeout=10s",
        ];
        const child = spawn(program, args, { stdio: ["ignore", "ignore", "ignore"] });
        await new Promise((resolve) => child.on("close", resolve));
    }

    async function ask(limit = 30_000): Promise<string | undefined> {
        const client = await ClusterClient.connect("here", limit);
        const found = await client.ask(() => client.api(CoreV1Api).readNamespace({ name: "kube-system" }));
        return found.metadata?.uid;
    }

    it("has a row for each form, and no others", () => {
        assert.deepStrictEqual(
            rowsOf("kubeconfig").map(({ form }) => form),
            Object.keys(CASES),
        );
        for (const { form, tool, ours } of rowsOf("kubeconfig")) {
            assert.strictEqual(tool === "works", CASES[form]!.who !== undefined, form);
            assert.strictEqual(ours === "works", CASES[form]!.who !== undefined, form);
        }
    });

    const tool = onPath("kubectl");
    for (const [form, known] of Object.entries(CASES)) {
        it(`reads ${form}`, async () => {
            prepare(known);
            // Without kubectl, so that it cannot be asked instead.
            const all = process.env.PATH;
            process.env.PATH = "/usr/bin:/bin";
            if (known.who === undefined) {
                await assert.rejects(ask());
                assert.deepStrictEqual(seen, []);
            } else {
                assert.strictEqual(await ask(known.limit), "1111");
                assert.deepStrictEqual([...new Set(seen)], [known.who]);
            }
            process.env.PATH = all;
            if (tool !== undefined) {
                [seen, isProxied] = [[], false];
                await kubectl(tool);
                assert.deepStrictEqual(
                    [...new Set(seen)],
                    known.who === undefined ? [] : [known.who],
                    "kubectl",
                );
            }
        });
    }

    /** A kubectl that answers by itself. */
    function ownKubectl(script: string): void {
        fs.writeFileSync(path.join(folder, "bin", "kubectl"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
        process.env.PATH = `${path.join(folder, "bin")}:/usr/bin:/bin`;
    }

    const unknown = { one: file({ token: "t" }, { clusters: cluster("https://127.0.0.1:1") }) };

    it("is left to kubectl where this client finds no way and kubectl does", async () => {
        prepare({ files: unknown, list: ["one"], who: undefined });
        ownKubectl(
            `[ "$*" = "--context here get --raw /api/v1/namespaces/kube-system --request-timeout=10s" ] || exit 9
             echo '{"metadata":{"uid":"2222"}}'`,
        );
        assert.strictEqual(await ask(), "2222");
    });

    it("is left to kubectl, whose answers keep their meaning", async () => {
        for (const [said, code] of [
            ["Error from server (Forbidden): namespaces is forbidden", 403],
            ["Error from server (NotFound): namespaces not found", 404],
        ] as const) {
            prepare({ files: unknown, list: ["one"], who: undefined });
            ownKubectl(`echo '${said}' >&2; exit 1`);
            await assert.rejects(ask(), { code });
        }
    });

    it("fails with what kubectl says, or with this client's words if there is no kubectl", async () => {
        prepare({ files: unknown, list: ["one"], who: undefined });
        ownKubectl("echo 'Unable to connect to the server: no such host' >&2; exit 1");
        await assert.rejects(ask(), {
            message: "kubectl says: Unable to connect to the server: no such host",
        });
        fs.rmSync(path.join(folder, "bin", "kubectl"));
        process.env.PATH = path.join(folder, "bin");
        await assert.rejects(ask(), /fetch failed|ENOTFOUND|EAI_AGAIN|no answer within/);
    });
});

describe("a program that logs in to a cluster", () => {
    const shell = (script: string, changes: object = {}) => ({
        login: { command: "sh", args: ["-c", script], ...changes },
        cluster: {
            server: "https://here.test",
            extensions: [{ name: "client.authentication.k8s.io/exec", extension: { tenant: 7 } }],
        },
    });
    const token = `printf '{"status":{"token":"t"}}'`;
    const silent = () => undefined;

    it("has what it says passed on while it runs, and its credentials returned", async () => {
        const said: string[] = [];
        assert.deepStrictEqual(
            await logIn(shell(`echo "enter ABCD" >&2; echo >&2; printf "and wait\n" >&2; ${token}`), (line) =>
                said.push(line),
            ),
            { token: "t" },
        );
        assert.deepStrictEqual(said, ["sh: enter ABCD", "sh: and wait"]);
    });

    it("is told about the cluster if it asks for that", async () => {
        const repeat = `printf '{"status":{"token":%s}}' "$(printf %s "$KUBERNETES_EXEC_INFO")"`;
        const told = (changes: object) =>
            logIn(shell(repeat, changes), silent).then(({ token: info }) => info as unknown);
        const answer = (spec: object) => ({
            kind: "ExecCredential",
            apiVersion: "client.authentication.k8s.io/v1",
            spec,
        });
        assert.deepStrictEqual(await told({}), answer({ interactive: false }));
        assert.deepStrictEqual(
            await told({ provideClusterInfo: true }),
            answer({ interactive: false, cluster: { server: "https://here.test", config: { tenant: 7 } } }),
        );
    });

    const refused: [string, string, object, RegExp][] = [
        [
            "is not there",
            "",
            { command: "no-such-login", installHint: "get it from\n  example.org" },
            /^no-such-login, which logs in to the cluster, is not on this machine; install it: get it from example\.org$/,
        ],
        [
            "fails",
            "echo expired >&2; exit 3",
            {},
            /^sh, which logs in to the cluster, failed \(3: expired\); log in, or correct the kubeconfig$/,
        ],
        ["returns nothing", "echo hello", {}, /returned no credentials; log in, or correct the kubeconfig$/],
        [
            "needs a terminal",
            token,
            { interactiveMode: "Always" },
            /has interactiveMode Always in the kubeconfig, .*; set it to IfAvailable$/,
        ],
        [
            "does not end",
            "sleep 60",
            {},
            /did not end within 0\.005 minutes; run it by hand, or correct the kubeconfig$/,
        ],
    ];
    for (const [what, script, changes, message] of refused) {
        it(`is named if it ${what}`, async () => {
            const minutes = what === "does not end" ? 0.005 : undefined;
            await assert.rejects(logIn(shell(script, changes), silent, minutes), { message });
        });
    }
});

describe("the proxy of the environment", () => {
    const through = "http://proxy.test:3128";
    const cases: [string, NodeJS.ProcessEnv, string | undefined][] = [
        ["https://far.test", { HTTPS_PROXY: through }, through],
        ["https://far.test", { https_proxy: "proxy.test:3128" }, through],
        ["http://far.test", { HTTPS_PROXY: through }, undefined],
        ["http://far.test", { HTTP_PROXY: through }, through],
        ["https://far.test", {}, undefined],
        ["https://localhost:6443", { HTTPS_PROXY: through }, undefined],
        ["https://127.0.0.9", { HTTPS_PROXY: through }, undefined],
        ["https://[::1]:6443", { HTTPS_PROXY: through }, undefined],
        ["https://far.test", { HTTPS_PROXY: through, NO_PROXY: "*" }, undefined],
        ["https://a.far.test", { HTTPS_PROXY: through, NO_PROXY: "near.test, far.test" }, undefined],
        ["https://a.far.test", { HTTPS_PROXY: through, NO_PROXY: ".far.test" }, undefined],
        ["https://a.far.test", { HTTPS_PROXY: through, NO_PROXY: "*.far.test" }, undefined],
        ["https://far.test", { HTTPS_PROXY: through, NO_PROXY: ".far.test" }, through],
        ["https://notfar.test", { HTTPS_PROXY: through, NO_PROXY: "far.test" }, through],
        ["https://far.test:6443", { HTTPS_PROXY: through, NO_PROXY: "far.test:6443" }, undefined],
        ["https://far.test:6443", { HTTPS_PROXY: through, NO_PROXY: "far.test:443" }, through],
        ["https://10.1.2.3:6443", { HTTPS_PROXY: through, NO_PROXY: "10.0.0.0/8" }, undefined],
        [
            "https://11.1.2.3:6443",
            { HTTPS_PROXY: through, NO_PROXY: "10.0.0.0/8,300.0.0.0/8,10.0.0.0/99" },
            through,
        ],
        ["https://[fd00::7]:6443", { HTTPS_PROXY: through, NO_PROXY: "fd00::/8" }, undefined],
        ["https://[fd00::7]:6443", { HTTPS_PROXY: through, NO_PROXY: "[fd00::7]:6443" }, undefined],
    ];
    for (const [address, env, proxy] of cases) {
        it(`is ${proxy === undefined ? "not " : ""}used for ${address} with ${JSON.stringify(env)}`, () => {
            assert.strictEqual(proxyFor(address, env), proxy);
        });
    }
});
