import assert from "assert";
import { spawn } from "child_process";
import * as fs from "fs";
import { createServer as createPlainServer, type RequestListener } from "http";
import { createServer } from "https";
import { type AddressInfo, connect } from "net";
import * as path from "path";

import { type DockerContext, engineRemedy, providerHost } from "../../components/docker-engine";
import { ask, isDistrust, reasonOf } from "../../components/network";
import { hasDockerLogin, registryAuth, registryUrl } from "../../components/registry";
import { dockerLogin } from "../../operations/registry-login";
import { registrySilent } from "../../preflight";
import { certificate } from "../support/certificate";
import { onPath, ownPlace, rowsOf, withoutProxy } from "../support/tool-forms";

describe("what Docker accepts", () => {
    const former = { ...process.env };
    let folder: string;
    const place = ownPlace();
    beforeEach(() => (folder = place.make()));
    afterEach(() => place.leave());

    /** Asynchronous: the registry is in this process. */
    function run(
        program: string,
        args: readonly string[],
        env: NodeJS.ProcessEnv = process.env,
    ): Promise<string> {
        const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"], env });
        let output = "";
        child.stdout.on("data", (data: Buffer) => (output += data.toString()));
        return new Promise((resolve) => child.on("close", () => resolve(output)));
    }

    interface Case {
        /** Docker's configuration; $HOST is the registry. */
        readonly config: unknown;
        readonly env?: Readonly<Record<string, string>>;
        /** Who logs in; undefined: nobody. */
        readonly user: string | undefined;
        /** Who logs in with Docker, if that is somebody else, or anybody of these. */
        readonly docker?: readonly (string | undefined)[];
    }

    const stored = (user: string) => ({ auth: Buffer.from(`${user}:p`).toString("base64") });

    /** By the first cell of their row in docs/tools.md. */
    const LOGINS: Readonly<Record<string, Case>> = {
        "`auth`, by `docker login`": { config: { auths: { $HOST: stored("u") } }, user: "u" },
        "`username` and `password`, as GitLab writes them": {
            config: { auths: { $HOST: { username: "u", password: "p" } } },
            user: "u",
        },
        "`auth` beside another `username`": {
            config: { auths: { $HOST: { ...stored("u"), username: "other", password: "x" } } },
            user: "u",
        },
        "a URL as the key": { config: { auths: { "https://$HOST/v2/": stored("u") } }, user: "u" },
        "the host before its paths": {
            config: { auths: { "$HOST/a": stored("a"), $HOST: stored("u") } },
            user: "u",
        },
        "several paths of one host": {
            config: {
                auths: { "$HOST/b": stored("b"), "$HOST/a": stored("a"), "$HOST/a/longer": stored("c") },
            },
            user: "a",
            docker: ["a", "b", "c"],
        },
        "`credHelpers` for the host": {
            config: { auths: { $HOST: stored("file") }, credHelpers: { $HOST: "one" }, credsStore: "all" },
            user: "one",
        },
        "`credsStore`, with an entry that is empty": {
            config: { auths: { $HOST: {} }, credsStore: "all" },
            user: "all",
        },
        "`credsStore`, without an entry": { config: { credsStore: "all" }, user: "all" },
        "`auth` beside a `credsStore` that has no login": {
            config: { auths: { $HOST: stored("file") }, credsStore: "none" },
            user: "file",
            docker: [undefined],
        },
        "an entry for another port": { config: { auths: { "127.0.0.1:1": stored("u") } }, user: undefined },
        "no configuration": { config: undefined, user: undefined },
        "a configuration that is empty": { config: {}, user: undefined },
        "DOCKER_AUTH_CONFIG, before the file (Docker 28.3)": {
            config: { auths: { $HOST: stored("file") }, credsStore: "all" },
            env: { DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { $HOST: stored("env") } }) },
            user: "env",
        },
    };

    describe("Docker's logins, as docker reads them (docs/tools.md)", () => {
        let seen: (string | undefined)[] = [];
        let host = "";
        const registry = createPlainServer(({ headers }, response) => {
            const [, login = ""] = /^Basic (.*)$/.exec(headers.authorization ?? "") ?? [];
            if (login !== "") {
                seen.push(Buffer.from(login, "base64").toString().split(":")[0]);
            }
            response.writeHead(login === "" ? 401 : 404, {
                "www-authenticate": 'Basic realm="test"',
                "docker-distribution-api-version": "registry/2.0",
            });
            response.end();
        });
        before(async () => {
            await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
            host = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
        });
        after(() => void registry.close());

        function prepare({ config, env = {} }: Case): void {
            const filled = (text: string) => text.replaceAll("$HOST", host);
            seen = [];
            for (const name of ["one", "all", "none"]) {
                const answer =
                    name === "none"
                        ? "echo credentials not found in native keychain; exit 1"
                        : `echo '{"ServerURL":"x","Username":"${name}","Secret":"p"}'`;
                const file = path.join(folder, `docker-credential-${name}`);
                fs.writeFileSync(file, `#!/bin/sh\ncat >/dev/null\n${answer}\n`, { mode: 0o755 });
            }
            if (config !== undefined) {
                fs.writeFileSync(path.join(folder, "config.json"), filled(JSON.stringify(config)));
            }
            Object.assign(process.env, { DOCKER_CONFIG: folder, PATH: `${folder}:${former.PATH}` });
            Object.entries(env).forEach(([key, value]) => (process.env[key] = filled(value)));
        }

        it("have a row for each form, and no others", () => {
            assert.deepStrictEqual(
                rowsOf("Docker's logins").map(({ form }) => form),
                Object.keys(LOGINS),
            );
        });

        const docker = onPath("docker");
        for (const [form, known] of Object.entries(LOGINS)) {
            it(`are read from ${form}`, async () => {
                prepare(known);
                assert.strictEqual((await dockerLogin(`${host}/a/x`))?.username, known.user);
                assert.strictEqual(
                    hasDockerLogin(`${host}/a`),
                    known.user !== undefined && form !== "`credsStore`, without an entry",
                );
                const isOld = known.env !== undefined && !(await isNewDocker(docker));
                if (docker !== undefined && !isOld) {
                    await run(docker, ["manifest", "inspect", "--insecure", `${host}/a/x:1`]);
                    const [by] = seen;
                    assert.ok((known.docker ?? [known.user]).includes(by), `docker: ${by}`);
                }
            });
        }

        it("are looked up by the provider even if no file has them", () => {
            prepare(LOGINS["DOCKER_AUTH_CONFIG, before the file (Docker 28.3)"]!);
            fs.rmSync(path.join(folder, "config.json"));
            assert.deepStrictEqual(registryAuth({ address: host }), [
                { address: `http://${host}`, configFileContent: "{}" },
            ]);
        });
    });

    /** DOCKER_AUTH_CONFIG is newer than what Debian has. */
    async function isNewDocker(docker: string | undefined): Promise<boolean> {
        const version = docker === undefined ? "" : await run(docker, ["--version"]);
        const [, major = "0", minor = "0"] = /(\d+)\.(\d+)/.exec(version) ?? [];
        return Number(major) > 28 || (major === "28" && Number(minor) >= 3);
    }

    interface EngineCase {
        readonly env: Readonly<Record<string, string>>;
        /** The context that `docker context use` chose. */
        readonly current?: string;
        /** Where docker's configuration is, if not in the home. */
        readonly elsewhere?: boolean;
        /** The engine of the CLI. */
        readonly cli: string;
        /** The engine of the provider; undefined: it fails. */
        readonly provider: string | undefined;
        readonly remedy?: string;
    }

    const SOCKET = "unix:///var/run/docker.sock";
    const ODD = "unix:///run/odd.sock";
    const OTHER = "tcp://192.0.2.1:2375";

    const ENGINES: Readonly<Record<string, EngineCase>> = {
        "neither variable nor context": { env: {}, cli: SOCKET, provider: SOCKET },
        DOCKER_HOST: { env: { DOCKER_HOST: OTHER }, cli: OTHER, provider: OTHER },
        "a context, by `docker context use`": {
            env: {},
            current: "odd",
            cli: ODD,
            provider: SOCKET,
            remedy: `export DOCKER_HOST=${ODD}`,
        },
        "DOCKER_HOST beside such a context": {
            env: { DOCKER_HOST: OTHER },
            current: "odd",
            cli: OTHER,
            provider: OTHER,
        },
        DOCKER_CONTEXT: { env: { DOCKER_CONTEXT: "odd" }, cli: ODD, provider: ODD },
        "DOCKER_CONTEXT beside DOCKER_HOST": {
            env: { DOCKER_CONTEXT: "odd", DOCKER_HOST: OTHER },
            cli: OTHER,
            provider: ODD,
            remedy: `unset DOCKER_CONTEXT; export DOCKER_HOST=${OTHER}`,
        },
        "DOCKER_CONTEXT=default": {
            env: { DOCKER_CONTEXT: "default" },
            cli: SOCKET,
            provider: undefined,
            remedy: `unset DOCKER_CONTEXT; export DOCKER_HOST=${SOCKET}`,
        },
        "DOCKER_CONTEXT in a DOCKER_CONFIG": {
            env: { DOCKER_CONTEXT: "odd" },
            elsewhere: true,
            cli: ODD,
            provider: undefined,
            remedy: `unset DOCKER_CONTEXT; export DOCKER_HOST=${ODD}`,
        },
    };

    describe("Docker's engine, as docker and the provider find it (docs/tools.md)", () => {
        it("has a row for each form, and no others", () => {
            assert.deepStrictEqual(
                rowsOf("Docker's engine").map(({ form }) => form),
                Object.keys(ENGINES),
            );
            for (const { form, ours } of rowsOf("Docker's engine")) {
                assert.strictEqual(ours === "works", ENGINES[form]!.remedy === undefined, form);
            }
        });

        const docker = onPath("docker");
        for (const [form, known] of Object.entries(ENGINES)) {
            it(`is found by ${form}`, async () => {
                const config = path.join(folder, known.elsewhere ? "elsewhere" : ".docker");
                fs.mkdirSync(path.join(config, "contexts", "meta"), { recursive: true });
                const rest = { ...former };
                for (const name of ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"]) {
                    delete rest[name];
                }
                const env = { ...rest, HOME: folder, ...(known.elsewhere ? { DOCKER_CONFIG: config } : {}) };
                if (docker !== undefined) {
                    await run(docker, ["context", "create", "odd", "--docker", `host=${ODD}`], env);
                } else {
                    const meta = path.join(config, "contexts", "meta", "x");
                    fs.mkdirSync(meta);
                    const content = { Name: "odd", Endpoints: { docker: { Host: ODD } } };
                    fs.writeFileSync(path.join(meta, "meta.json"), JSON.stringify(content));
                }
                if (known.current !== undefined) {
                    const content = { currentContext: known.current };
                    fs.writeFileSync(path.join(config, "config.json"), JSON.stringify(content));
                }
                const all = { ...env, ...known.env };
                if (docker !== undefined) {
                    const [said] = JSON.parse(
                        await run(docker, ["context", "inspect"], all),
                    ) as DockerContext[];
                    assert.strictEqual(said?.Endpoints?.docker?.Host, known.cli);
                }
                const provider = providerHost(all, folder);
                assert.strictEqual(provider, known.provider);
                const remedy = engineRemedy(
                    { Name: "odd", Endpoints: { docker: { Host: known.cli } } },
                    provider,
                    all,
                );
                if (known.remedy === undefined) {
                    assert.strictEqual(remedy, undefined);
                } else {
                    assert.ok(remedy?.endsWith(`; run \`${known.remedy}\``), remedy);
                }
            });
        }

        it("is the same under two names of one socket", () => {
            fs.writeFileSync(path.join(folder, "real.sock"), "");
            fs.symlinkSync(path.join(folder, "real.sock"), path.join(folder, "link.sock"));
            const context = { Name: "x", Endpoints: { docker: { Host: `unix://${folder}/real.sock` } } };
            assert.strictEqual(engineRemedy(context, `unix://${folder}/link.sock`, {}), undefined);
        });

        it("needs the certificates of its context", () => {
            const context = {
                Name: "x",
                Endpoints: { docker: { Host: OTHER } },
                TLSMaterial: { docker: ["ca.pem"] },
                Storage: { TLSPath: "/c/tls/x" },
            };
            const remedy = engineRemedy(context, OTHER, {}) ?? "";
            assert.ok(
                remedy.endsWith(`\`export DOCKER_HOST=${OTHER}; export DOCKER_CERT_PATH=/c/tls/x/docker\``),
                remedy,
            );
            assert.strictEqual(
                engineRemedy(context, OTHER, { DOCKER_CERT_PATH: "/c/tls/x/docker" }),
                undefined,
            );
        });
    });

    describe("a registry, as Docker reaches it (docs/tools.md)", () => {
        let isProxied = false;
        const answer: RequestListener = (_request, response) =>
            response.writeHead(200).end(isProxied ? "by proxy" : "direct");
        const servers = {
            tls: createServer(certificate, answer),
            plain: createPlainServer(answer),
            proxy: createPlainServer((request, response) => {
                isProxied = true;
                answer(request, response);
            }),
        };
        const portOf = (name: keyof typeof servers) => (servers[name].address() as AddressInfo).port;
        servers.proxy.on("connect", (_request, socket) => {
            isProxied = true;
            const there = connect(portOf("tls"), "127.0.0.1", () => socket.write("HTTP/1.1 200 OK\r\n\r\n"));
            there.pipe(socket).pipe(there);
            [socket, there].forEach((each) => each.on("error", () => undefined));
        });
        before(() =>
            Promise.all(
                Object.values(servers).map(
                    (each) => new Promise<void>((done) => each.listen(0, "127.0.0.1", done)),
                ),
            ),
        );
        after(() => Object.values(servers).forEach((each) => (each.closeAllConnections(), each.close())));
        beforeEach(() => {
            isProxied = false;
            withoutProxy();
        });

        const textOf = async (url: string, trust?: "docker") => (await ask(url, {}, trust)).text();

        it("is asked over plain http if the stack says so, and on this machine", () => {
            assert.strictEqual(registryUrl("registry.test:5001/team"), "https://registry.test:5001");
            assert.strictEqual(registryUrl("registry.test:5001/team", true), "http://registry.test:5001");
            assert.strictEqual(registryUrl("localhost:5001"), "http://localhost:5001");
            assert.strictEqual(registryUrl("[::1]:5001"), "http://[::1]:5001");
            const plain = registryAuth({
                address: "registry.test/team",
                plainHttp: true,
                username: "u",
                password: "p",
            });
            assert.strictEqual(plain[0]?.address, "http://registry.test");
        });

        it("is trusted by the system's certificates, and by Docker's if Docker would do", async () => {
            const [one, other, third] = ["localhost", "127.0.0.1", "far.test"].map(
                (name) => `https://${name}:${portOf("tls")}`,
            );
            await assert.rejects(textOf(one!), (error: unknown) => isDistrust(reasonOf(error)));
            const named = path.join(folder, "certs.d", `127.0.0.1:${portOf("tls")}`);
            fs.mkdirSync(named, { recursive: true });
            fs.writeFileSync(path.join(named, "ca.crt"), certificate.cert);
            process.env.DOCKER_CONFIG = folder;
            await assert.rejects(textOf(other!), (error: unknown) => isDistrust(reasonOf(error)));
            assert.strictEqual(await textOf(other!, "docker"), "direct");
            const file = path.join(folder, "ca.pem");
            fs.writeFileSync(file, certificate.cert);
            Object.assign(process.env, {
                SSL_CERT_FILE: file,
                HTTPS_PROXY: `http://127.0.0.1:${portOf("proxy")}`,
            });
            assert.strictEqual(await textOf(third!), "by proxy");
        });

        it("is reached through the proxy of the environment, over plain http without a tunnel", async () => {
            process.env.HTTP_PROXY = `http://127.0.0.1:${portOf("proxy")}`;
            assert.strictEqual(await textOf("http://registry.test:5001/v2/"), "by proxy");
            isProxied = false;
            assert.strictEqual(await textOf(`http://127.0.0.1:${portOf("plain")}/v2/`), "direct");
        });

        const silent: Record<string, [Parameters<typeof registrySilent>[1], "problem" | "remark", RegExp]> = {
            "plain http, without `registry.plainHttp`": [
                { reason: "ERR_SSL_WRONG_VERSION_NUMBER", isPlain: true, dockerReachesIt: true },
                "problem",
                /^registry r\.test:5001\/a answers over plain http, not https \(ERR_SSL_WRONG_VERSION_NUMBER\); set registry\.plainHttp to true, and r\.test:5001 in the Docker Engine's insecure-registries$/,
            ],
            "a CA that Docker alone knows, in `certs.d`": [
                { reason: "DEPTH_ZERO_SELF_SIGNED_CERT", isPlain: false, dockerReachesIt: true },
                "remark",
                /^Docker trusts the certificate of registry r\.test:5001\/a, but this machine does not \(DEPTH_ZERO_SELF_SIGNED_CERT\), .*; add its CA to this machine's certificates, or name its file in SSL_CERT_FILE$/,
            ],
            "a CA that nobody knows": [
                { reason: "UNABLE_TO_VERIFY_LEAF_SIGNATURE", isPlain: false, dockerReachesIt: false },
                "problem",
                /^registry r\.test:5001\/a has a certificate that nobody here trusts/,
            ],
            "a proxy that Docker alone knows": [
                { reason: "ENOTFOUND", isPlain: false, dockerReachesIt: true },
                "remark",
                /^Docker reaches registry r\.test:5001\/a, but this program does not \(ENOTFOUND\); .*HTTPS_PROXY/,
            ],
            "no answer for anybody": [
                { reason: "ECONNREFUSED", isPlain: false, dockerReachesIt: false },
                "problem",
                /^registry r\.test:5001\/a does not answer \(ECONNREFUSED\); start it, run `make local-up`, or correct registry\.address$/,
            ],
        };
        for (const [what, [found, kind, message]] of Object.entries(silent)) {
            it(`is ${kind === "problem" ? "refused" : "warned about"} for ${what}`, () => {
                const said = registrySilent("r.test:5001/a", found);
                assert.deepStrictEqual(Object.keys(said), [kind]);
                assert.match(said[kind] ?? "", message);
            });
        }

        it("has a row for each form that is not simply reached", () => {
            const rows = new Map(rowsOf("Registries").map(({ form, ours }) => [form, ours]));
            for (const [what, [, kind]] of Object.entries(silent)) {
                assert.match(
                    rows.get(what) ?? "no such row",
                    kind === "problem" ? /^refused/ : /^warns/,
                    what,
                );
            }
        });
    });
});
