import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert";
import { ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { IncomingHttpHeaders, request } from "node:http";
import { connect, Socket } from "node:net";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { redisMemoryEnv } from "../../components/redis";
import { build, docker, exec, logs, Scope, tryDocker, untilLogged, waitFor } from "../support/docker";
import { PATIENCE } from "../support/command";
import { times } from "../support/long";
import { TABLES } from "../support/tables";

const context = join(__dirname, "../../images");
const hex = (): string => randomBytes(16).toString("hex");
const passwords = { mysql: hex(), migration: hex(), redis: hex(), key: hex(), admin: hex() };

/** Signs the first admin in, and prints the cookie. */
const SESSION = `
from django.conf import settings
from django.contrib.auth import SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.cached_db import SessionStore
user, session = User.objects.get(username="admin"), SessionStore()
session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.create()
print(f"{settings.SESSION_COOKIE_NAME}={session.session_key}")
`;

interface Answer {
    readonly status: number;
    readonly headers: IncomingHttpHeaders;
    readonly body: Buffer;
}

describe("dabaweb and nginx images", () => {
    const scope = new Scope("web-test");
    const image = (name: string): string => `${scope.prefix}:${name}`;
    const names = ["redis-master", "mysql-master", "dabaweb", "nginx"];
    let network = "";
    let volumes: Record<"mysqlSecrets" | "redisSecrets" | "secrets" | "mysqlData" | "redisData", string>;
    let mysql = "";
    let redis = "";
    let app = "";
    let nginx = "";
    let port = 0;
    let probesPort = 0;

    before("check Docker, build images, begin the first start", async () => {
        await docker(["version"]);
        const mirror = ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST"].flatMap((key) => {
            const value = process.env[key];
            return value === undefined ? [] : [[key, value] as const];
        });
        for (const name of names) {
            await build({
                context,
                dockerfile: join(context, name, "Dockerfile"),
                tag: image(name),
                buildArgs: {
                    CONTENT: scope.prefix,
                    ...(name === "nginx" ? { DABAWEB_IMAGE: image("dabaweb") } : {}),
                    ...(name === "dabaweb" ? Object.fromEntries(mirror) : {}),
                },
            });
        }
        network = await scope.network("net");
        const volume = (name: string, files = {}): Promise<string> => scope.filledVolume(name, files);
        volumes = {
            mysqlSecrets: await volume("mysql-secrets", {
                root: hex(),
                replication: hex(),
                seed: hex(),
                dabaweb: passwords.mysql,
                migration: passwords.migration,
            }),
            redisSecrets: await volume("redis-secrets", {
                admin: hex(),
                replication: hex(),
                dabaweb: passwords.redis,
            }),
            secrets: await volume("secrets", {
                "mysql-password": passwords.mysql,
                "migration-password": passwords.migration,
                "redis-password": passwords.redis,
                "secret-key": passwords.key,
                admin: passwords.admin,
            }),
            // An empty volume would get the owner of the image's directory at that path.
            mysqlData: await volume("mysql-data", { "lost+found": "" }),
            redisData: await volume("redis-data", { "lost+found": "" }),
        };
        redis = await scope.run({
            name: "redis-master",
            image: image("redis-master"),
            network,
            memory: "192m",
            mounts: { [volumes.redisData]: "/data", [volumes.redisSecrets]: "/run/secrets/redis:ro" },
            tmpfs: ["/run/redis", "/tmp"],
            env: {
                POD_NAME: "redis-master-0",
                POD_IP: "192.0.2.1",
                ...redisMemoryEnv(192 * 2 ** 20),
                SLAVES_HOST: "redis-slave-pods",
                SLAVES_PORT: "6379",
            },
        });
    });

    after("remove everything", async () => {
        await scope.close();
        for (const name of names) {
            await tryDocker(["image", "rm", "--no-prune", image(name)]);
        }
    });

    /** A container of the dabaweb image with the environment, mounts and limits of its pod spec. */
    function dabaweb(name: string, args: string[], options: string[] = []): Promise<string> {
        const migrates = args[0] === "migrate";
        return scope.run({
            name,
            image: image("dabaweb"),
            network,
            memory: "384m",
            mounts: { [volumes.secrets]: "/run/secrets/dabaweb:ro" },
            tmpfs: ["/run/dabaweb", "/tmp"],
            env: {
                MYSQL_WRITER: "mysql-master:3306",
                // The reader is the same server here: the application's own tests cover a slave's lag.
                MYSQL_READERS: "mysql-master:3306",
                MYSQL_DATABASE: "form",
                MYSQL_USER: migrates ? "migration" : "dabaweb",
                MYSQL_PASSWORD_FILE: `/run/secrets/dabaweb/${migrates ? "migration" : "mysql"}-password`,
                REDIS_WRITER: "redis-master:6379",
                REDIS_READERS: "redis-master:6379",
                REDIS_USER: "dabaweb",
                REDIS_PASSWORD_FILE: "/run/secrets/dabaweb/redis-password",
                SECRET_KEY_FILE: "/run/secrets/dabaweb/secret-key",
                ADMIN_PASSWORD_FILE: "/run/secrets/dabaweb/admin",
                PUBLIC_URL: "http://localhost:32000",
                PUBLIC_PAGES: "true",
                WEB_WORKERS: "2",
            },
            options,
            args,
        });
    }

    /** Runs SQL as root; rows are separated by newlines, columns by tabs. */
    async function sql(statement: string): Promise<string> {
        const result = await exec(mysql, ["mysql", "--batch", "--skip-column-names", "-e", statement]);
        strictEqual(result.code, 0, result.stderr);
        return result.stdout.trim();
    }

    /** It fails if Redis does not answer within half a second, and tells the user to try again. */
    async function clearPageCache(): Promise<void> {
        await waitFor("the page cache to be cleared", 60, async () => {
            const { code, stdout, stderr } = await exec(app, ["django-admin", "clear_page_cache"]);
            strictEqual(code, 0, stdout + stderr);
            return true;
        });
    }

    /** The port on this machine. */
    async function published(container: string, inside: number): Promise<number> {
        return Number((await docker(["port", container, String(inside)])).split(":").pop());
    }

    /** The status that the kubelet gets, in the time that it waits. */
    async function probe(path: string, at = probesPort): Promise<number> {
        return (await http(path, {}, undefined, 5, at)).status;
    }

    /** One request to nginx, with a timeout in seconds; redirects are not followed. */
    function http(
        path: string,
        headers: Record<string, string> = {},
        form?: string,
        seconds = PATIENCE * 20,
        at = port,
    ): Promise<Answer> {
        return new Promise((resolve, reject) => {
            const method = form === undefined ? "GET" : "POST";
            const defaults = { Host: "localhost:32000" };
            const type = form === undefined ? {} : { "Content-Type": "application/x-www-form-urlencoded" };
            const sent = request(
                { host: "127.0.0.1", port: at, path, method, headers: { ...defaults, ...type, ...headers } },
                (received) => {
                    const parts: Buffer[] = [];
                    received.on("data", (part: Buffer) => parts.push(part));
                    received.on("error", reject);
                    received.on("end", () =>
                        resolve({
                            status: received.statusCode ?? 0,
                            headers: received.headers,
                            body: Buffer.concat(parts),
                        }),
                    );
                },
            );
            const late = (): unknown => sent.destroy(new Error(`${path}: no answer within ${seconds} s`));
            sent.setTimeout(seconds * 1000, late);
            sent.on("error", reject);
            sent.end(form);
        });
    }

    /** An answer other than 503, with which a database that is slow once is answered for (docs/web.md). */
    function served(what: string, ask: () => Promise<Answer>): Promise<Answer> {
        return waitFor(`an answer to ${what}`, 60, async () => {
            const answer = await ask();
            notStrictEqual(answer.status, 503, answer.body.toString());
            return answer;
        });
    }

    /** A page's text; throws unless the status is 200, or 503 at first. */
    async function page(path: string): Promise<string> {
        const answer = await served(path, () => http(path));
        strictEqual(answer.status, 200, `${path}: ${answer.body.toString()}`);
        return answer.body.toString();
    }

    /** Waits for a status of a path: /readyz gives each database one second. */
    async function answers(path: string, status: number): Promise<void> {
        await waitFor(`${path} answers ${status}`, 60, async () => {
            strictEqual((await http(path)).status, status);
            return true;
        });
    }

    /** A page, as soon as Redis has it. On a busy machine, Redis may take longer than the half second that it is given. */
    const cached = (path: string): Promise<string> =>
        waitFor(`${path} from Redis`, 30, async () => {
            const { headers, body } = await http(path);
            return headers["x-page-from"] === "cache" && body.toString();
        });

    const row = (...cells: (string | number)[]): RegExp =>
        new RegExp(`<tr>${cells.map((cell) => `<td[^>]*>(?:<bdi>)?${cell}(?:</bdi>)?</td>`).join("")}`);

    it("says what the migration waits for", async () => {
        let job = await dabaweb("migrate-killed", ["migrate"]);
        await waitFor("the migration says what it waits for", 30, async () =>
            (await logs(job)).includes("waiting for MySQL at mysql-master:3306"),
        );
        mysql = await scope.run({
            name: "mysql-master",
            image: image("mysql-master"),
            network,
            memory: "512m",
            mounts: { [volumes.mysqlData]: "/data", [volumes.mysqlSecrets]: "/run/secrets/mysql:ro" },
            tmpfs: ["/run/mysqld", "/tmp"],
            env: {
                POD_NAME: "mysql-master-0",
                MYSQL_BUFFER_POOL_SIZE: String(64 << 20),
                MYSQL_SERVER_ID_BASE: "100",
                MYSQL_DATABASE: "form",
                SLAVES_HOST: "mysql-slave-pods",
                SLAVES_PORT: "3306",
                ON_NO_REPLICA: "degrade",
                APPLICATION_CHANGES_TABLES: "no",
            },
        });
        await waitFor("a kill before the first rows", 110, async () => {
            // Reads the log as it is written: a second later, a fast machine has finished everything.
            await untilLogged(job, /Applying auth\.0001_initial/, 110);
            await tryDocker(["kill", job]);
            if (!/Applying form\.0004_first_rows/.test(await logs(job))) {
                return true;
            }
            await scope.remove(job);
            await sql("DROP DATABASE form; CREATE DATABASE form CHARACTER SET utf8mb4");
            job = await dabaweb("migrate-killed", ["migrate"]);
            throw new Error("the kill came too late");
        });
    });

    it("starts over after that kill, and migrates once even with parallel runs", async () => {
        const jobs = [await dabaweb("migrate-a", ["migrate"]), await dabaweb("migrate-b", ["migrate"])];
        const output: string[] = [];
        for (const job of jobs) {
            strictEqual(await docker(["wait", job]), "0", await logs(job));
            output.push(await logs(job));
        }
        const made = output.filter((text) => /Applying form.0004_first_rows\.\.\.\s+OK/.test(text));
        strictEqual(made.length, 1, output.join("\n--\n"));
        match(made.join(), /installation was interrupted: starting over/);
        deepStrictEqual((await sql("SHOW TABLES FROM form")).split("\n"), TABLES);
    });

    it("changes nothing when it runs again", async () => {
        const before = await sql("SELECT @@GLOBAL.gtid_executed");
        const job = await dabaweb("migrate-again", ["migrate"]);
        strictEqual(await docker(["wait", job]), "0", await logs(job));
        strictEqual(await sql("SELECT @@GLOBAL.gtid_executed"), before);
    });

    it("refuses a command and a setting that it does not know", async () => {
        const wrong = await dabaweb("wrong", ["sevre"]);
        strictEqual(await docker(["wait", wrong]), "64");
        match(await logs(wrong), /"sevre" is not a command of this image/);
        const url = await dabaweb("wrong-url", ["serve"], ["-e", "PUBLIC_URL=localhost:32000"]);
        notStrictEqual(await docker(["wait", url]), "0");
        match(await logs(url), /"PUBLIC_URL" invalid.*localhost:32000: http\(s\):\/\/host/);
    });

    it("serves within its memory limit", async () => {
        app = await dabaweb("app", ["serve"], ["-p", "127.0.0.1::8080", "-p", "127.0.0.1::8001"]);
        nginx = await scope.run({
            name: "nginx",
            image: image("nginx"),
            memory: "64m",
            tmpfs: ["/run/nginx", "/tmp"],
            options: ["--network", `container:${app}`],
        });
        port = await published(app, 8080);
        probesPort = await published(app, 8001);
        await answers("/readyz", 200);
        strictEqual((await http("/livez", { Host: "10.1.2.3:8000" })).status, 200);
        await waitFor("the probes' answers", 30, async () => {
            deepStrictEqual(
                [await probe("/livez"), await probe("/readyz"), await probe("/")],
                [200, 200, 404],
            );
            return true;
        });
        strictEqual((await http("/nginx-health", { Host: "10.1.2.3:8080" })).status, 200);
    });

    it("passes the application's own tests", async function () {
        const generated = times(60, 10_000);
        const timeoutSeconds = 600 + generated;
        this.timeout(timeoutSeconds * 1000);
        // Some of them are about the migration, whose account may create tables.
        await sql("GRANT ALL ON `test\\_form`.* TO migration@'%'");
        await sql("ALTER USER migration@'%' WITH MAX_USER_CONNECTIONS 50");
        const account = [
            "MYSQL_USER=migration",
            "MYSQL_PASSWORD_FILE=/run/secrets/dabaweb/migration-password",
        ];
        const page = readFileSync(join(__dirname, "../../docs/web.md"), "base64");
        const env = [`GENERATED=${generated}`, `FORMS=${page}`];
        const tests = ["django-admin", "test", "--no-input"];
        const result = await exec(app, ["env", ...account, ...env, ...tests], { timeoutSeconds });
        match(result.stdout + result.stderr, /Ran \d\d+ tests in .*\n\nOK\n/s);
    });

    it("shows the rows of the source", async () => {
        for (const path of ["/", "/home"]) {
            match(await page(path), /Employee directory/);
        }
        const users = await page("/User_data");
        match(users, row("sam", 10000, 1, "manage"));
        match(users, row("james", 20000, 2, "tech"));
        const codes = await page("/Code_data");
        match(codes, row(1, "manage"));
        match(codes, row(2, "tech"));
    });

    it("answers a second request without a SELECT", async () => {
        // Not the server's own counter: its companion runs queries every second.
        const log = "/tmp/general.log";
        const selects = async (): Promise<number> =>
            Number((await exec(mysql, ["grep", "-c", "SELECT.*form_user_data", log])).stdout);
        await sql(`SET GLOBAL general_log_file = '${log}'; SET GLOBAL general_log = ON`);
        // Again if need be: a slave that is slow once is passed over.
        await waitFor("the page from a slave, with one SELECT", 60, async () => {
            const former = await selects();
            await clearPageCache();
            strictEqual((await http("/User_data")).headers["x-page-from"], "replica");
            strictEqual(await selects(), former + 1);
            return true;
        });
        await cached("/User_data");
        const before = await selects();
        let others = 0;
        for (let i = 0; i < 10; i++) {
            others += (await http("/User_data")).headers["x-page-from"] === "cache" ? 0 : 1;
        }
        ok(others < 10, "the cache never answered in time");
        strictEqual(await selects(), before + others);
        await sql("SET GLOBAL general_log = OFF");
    });

    it("stores nothing in Redis without an expiry, and nothing under another prefix", async () => {
        const keys = (await exec(redis, ["redis-cli", "--scan"])).stdout.trim().split("\n");
        ok(keys.length >= 3, keys.join());
        for (const key of keys) {
            match(key, /^dabaweb:1:(pages:|django\.contrib\.sessions\.)/);
            ok(Number((await exec(redis, ["redis-cli", "TTL", key])).stdout) > 0, key);
        }
    });

    it("shows a row written by SQL once the page cache is cleared, not before", async () => {
        const name = `row-${randomBytes(4).toString("hex")}`;
        await cached("/User_data");
        await sql(`INSERT INTO form.form_user_data (name, money) VALUES ('${name}', 4711)`);
        ok(!(await cached("/User_data")).includes(name));
        await clearPageCache();
        match(await page("/User_data"), row(name, 4711, "–", "–"));
    });

    it("lets browsers cache static files for a year if the name has a hash", async () => {
        const login = await page("/admin/login/");
        const css = /href="(\/static\/admin\/css\/base\.[0-9a-f]{12}\.css)"/.exec(login)?.[1] ?? "";
        const hashed = await http(css, { "Accept-Encoding": "gzip" });
        strictEqual(hashed.status, 200, css);
        match(hashed.headers["cache-control"] ?? "", /max-age=31536000, immutable/);
        match(hashed.headers["content-type"] ?? "", /^text\/css/);
        strictEqual(hashed.headers["content-encoding"], "gzip");
        match(gunzipSync(hashed.body).toString(), /django/i);
        const plain = await http("/static/admin/css/base.css");
        strictEqual(plain.headers["cache-control"], "public, max-age=300");
        strictEqual((await http("/static/admin/css/none.css")).status, 404);
        for (const answer of [hashed, await http("/home")]) {
            strictEqual(answer.headers["x-content-type-options"], "nosniff");
            match(String(answer.headers["content-security-policy"]), /^default-src 'self'/);
        }
    });

    it("serves the current file to a page of another version, for five minutes", async () => {
        const today = await http("/static/admin/css/base.css");
        const other = await http("/static/admin/css/base.0123456789ab.css");
        strictEqual(other.status, 200);
        strictEqual(other.body.toString(), today.body.toString());
        strictEqual(other.headers["cache-control"], "public, max-age=300");
        strictEqual(other.headers["x-content-type-options"], "nosniff");
        for (const path of ["/static/admin/css/none.0123456789ab.css", "/static/../etc/nginx.conf"]) {
            notStrictEqual((await http(path)).status, 200, path);
        }
    });

    it("refuses bodies that are too large, with a page in both languages", async () => {
        for (const [path, bytes] of [
            ["/admin/form/userdata/import/", 2_200_000],
            ["/admin/form/userdata/process_import/", 4_300_000],
            ["/admin/form/userdata/add/", 600_000],
        ] as const) {
            const answer = await http(path, {}, "x".repeat(bytes));
            strictEqual(answer.status, 413, path);
            match(answer.body.toString(), /The file is too large[^]*文件太大/);
            match(String(answer.headers["content-security-policy"]), /^default-src 'self'/);
            notStrictEqual((await http(path, {}, "x".repeat(500_000))).status, 413, path);
        }
        for (const hidden of ["/errors/413.html", "/errors/503.html", "/signed-in"]) {
            strictEqual((await http(hidden)).status, 404, hidden);
        }
    });

    it("knows its hosts", async () => {
        strictEqual((await http("/home", { Host: "evil.example" })).status, 400);
        strictEqual((await http("/home", { Host: "127.0.0.1:1" })).status, 200);
    });

    it("believes a stranger who claims https only if its own address is https", async () => {
        const code = `from django.test import RequestFactory
print(RequestFactory().get("/", HTTP_X_FORWARDED_PROTO="https").is_secure())`;
        for (const [url, secure] of [
            ["http://localhost:32000", "False"],
            ["https://example.org", "True"],
        ] as const) {
            const { stdout, stderr } = await exec(app, ["env", `PUBLIC_URL=${url}`, "python", "-c", code]);
            strictEqual(stdout.trim(), secure, stderr);
        }
    });

    it("accepts what a former key signed, and signs with the present one", async () => {
        const sign = `from django.core import signing; print(signing.dumps("x"))`;
        const read = `import sys; from django.core import signing; print(signing.loads(sys.argv[1]))`;
        const keyed = async (env: string[], ...code: string[]) =>
            exec(app, ["env", "-u", "SECRET_KEY_FILE", ...env, "python", "-c", ...code]);
        const both = ["SECRET_KEY=second", "FORMER_SECRET_KEY=first"];
        const before = (await keyed(["SECRET_KEY=first"], sign)).stdout.trim();
        const after = (await keyed(both, sign)).stdout.trim();
        for (const [env, token, valid] of [
            [both, before, true],
            [both, after, true],
            [["SECRET_KEY=first"], after, false],
            [["SECRET_KEY=third", "FORMER_SECRET_KEY=second"], before, false],
        ] as const) {
            const { stdout, stderr } = await keyed([...env], read, token);
            strictEqual(stdout.trim(), valid ? "x" : "", stderr);
            strictEqual(/BadSignature/.test(stderr), !valid, stderr);
        }
    });

    it("works with another address, more hosts and no slaves", async () => {
        const names =
            "ALLOWED_HOSTS CSRF_TRUSTED_ORIGINS SESSION_COOKIE_SECURE CSRF_COOKIE_SECURE DATABASES CACHES";
        const code = `import json; from django.conf import settings as s
print(json.dumps([getattr(s, n) for n in "${names}".split()], default=str))`;
        const env = ["PUBLIC_URL=https://example.org:8443", "EXTRA_HOSTS=10.0.0.1, .example.net"];
        const result = await exec(app, [
            "env",
            ...env,
            "MYSQL_READERS=",
            "REDIS_READERS=",
            "python",
            "-c",
            code,
        ]);
        const [hosts, origins, session, csrf, databases, caches] = JSON.parse(result.stdout) as [
            string[],
            string[],
            boolean,
            boolean,
            Record<string, unknown>,
            { default: { LOCATION: string[] } },
        ];
        deepStrictEqual(hosts, ["example.org", "10.0.0.1", ".example.net"]);
        deepStrictEqual(origins, ["https://example.org:8443"]);
        ok(session && csrf);
        deepStrictEqual(Object.keys(databases), ["default"]);
        deepStrictEqual(caches.default.LOCATION, ["redis://redis-master:6379/0"]);
    });

    it("gives the accounts dabaweb and migration the rights that docs/outputs.md lists", async () => {
        const text = readFileSync(join(__dirname, "../../docs/outputs.md"), "utf8");
        for (const system of ["MySQL", "Redis"]) {
            const [, table = ""] = text.split(`<!-- executed: ${system} -->`);
            const [rows = ""] = /(?:\n\|.*)+/.exec(table) ?? [];
            const listed = [
                ...rows.matchAll(/^\| `(.*?)` +\| (done|NOPERM|error \d+)[^|]*(?:\| (done|error \d+))?/gm),
            ];
            ok(listed.length > 8, `${listed.length} rows`);
            for (const [, statement = "", answer = "", ofMigration] of listed) {
                const said = system === "MySQL" ? await asDabaweb(statement) : await inRedis(statement);
                strictEqual(said.answer, answer, statement);
                notStrictEqual(said.rows.trim(), "NULL", statement);
                if (system === "MySQL") {
                    strictEqual((await asMigration(statement)).answer, ofMigration, statement);
                }
            }
        }
        // What the operator creates there takes effect for the account.
        await sql("CREATE TRIGGER form.app_at BEFORE INSERT ON form.app FOR EACH ROW SET NEW.at = NOW()");
        await sql("TRUNCATE form.app");
        strictEqual((await asDabaweb("INSERT INTO app (id) VALUES (9)")).answer, "done");
        strictEqual(await sql("SELECT COUNT(at) FROM form.app"), "1");
        strictEqual(await sql("SELECT @@GLOBAL.event_scheduler"), "OFF");
        await sql("DROP TABLE form.app; DROP VIEW form.app_view; DROP PROCEDURE form.app_procedure");
        await sql("DROP EVENT form.app_event");
    });

    const asDabaweb = (statement: string) => asAccount("dabaweb", passwords.mysql, statement);
    const asMigration = (statement: string) => asAccount("migration", passwords.migration, statement);

    /** What MySQL answers to a statement of an account. */
    async function asAccount(
        user: string,
        password: string,
        statement: string,
    ): Promise<{ answer: string; rows: string }> {
        const account = ["-h127.0.0.1", `-u${user}`, `-p${password}`, "--ssl-mode=REQUIRED"];
        const client = ["mysql", ...account, "--batch", "--skip-column-names", "form", "-e", statement];
        const { code, stdout, stderr } = await exec(mysql, client);
        const [, number = stderr] = /ERROR (\d+)/.exec(stderr) ?? [];
        return { answer: code === 0 ? "done" : `error ${number}`, rows: stdout };
    }

    /** The same for Redis. */
    async function inRedis(command: string): Promise<{ answer: string; rows: string }> {
        const login = ["env", `REDISCLI_AUTH=${passwords.redis}`, "redis-cli", "--user", "dabaweb"];
        const { stdout } = await exec(redis, [...login, ...command.split(" ")]);
        return {
            answer: /NOPERM/.test(stdout) ? "NOPERM" : /^ERR/.test(stdout) ? stdout : "done",
            rows: stdout,
        };
    }

    it("logs the same id for a request everywhere", async () => {
        const answer = await http("/no-such-page");
        strictEqual(answer.status, 404);
        const id = String(answer.headers["x-request-id"]);
        match(id, /^[0-9a-f]{32}$/);
        for (const container of [nginx, app]) {
            const line = await waitFor(`a line of ${container} with ${id}`, 10, async () => {
                return (await logs(container)).split("\n").find((text) => text.includes(id)) ?? false;
            });
            strictEqual((JSON.parse(line) as { request_id: string }).request_id, id);
        }
    });

    /** Signs in as a browser does and returns the cookies. */
    async function signIn(): Promise<{ Cookie: string }> {
        const login = await served("/admin/login/", () => http("/admin/login/"));
        const csrf = cookie(login, "csrftoken");
        const form = new URLSearchParams({
            username: "admin",
            password: passwords.admin,
            csrfmiddlewaretoken: token(login),
            next: "/admin/",
        });
        const headers = { Cookie: csrf, Origin: "http://localhost:32000" };
        const answer = await served("signing in", () => http("/admin/login/", headers, form.toString()));
        strictEqual(answer.status, 302, answer.body.toString());
        return { Cookie: `${cookie(answer, "csrftoken")}; ${cookie(answer, "sessionid")}` };
    }

    const cookie = (answer: Answer, name: string): string =>
        (answer.headers["set-cookie"] ?? []).find((text) => text.startsWith(`${name}_`))?.split(";")[0] ?? "";

    const token = (answer: Answer): string =>
        /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(answer.body.toString())?.[1] ?? "";

    it("keeps who is signed in to two stacks on one host signed in to both", async () => {
        // The ports of one host share the browser's cookies. This stack has another address and another key.
        const options = ["-e", "PUBLIC_URL=http://localhost:32002"];
        options.push("-e", "SECRET_KEY_FILE=/run/secrets/dabaweb/redis-password", "-p", "127.0.0.1::8080");
        const second = await dabaweb("second", ["serve"], [...options, "-e", "EXTRA_HOSTS=localhost"]);
        await scope.run({
            name: "second-nginx",
            image: image("nginx"),
            memory: "64m",
            tmpfs: ["/run/nginx", "/tmp"],
            options: ["--network", `container:${second}`],
        });
        const other = await published(second, 8080);
        await waitFor("/readyz", 30, async () => (await probe("/readyz", other)) === 200);
        const jar = new Map<string, string>();
        const keep = ({ Cookie }: { Cookie: string }): void => {
            for (const pair of Cookie.split("; ")) {
                jar.set(...(pair.split(/=(.*)/s) as [string, string]));
            }
        };
        const cookies = (): string => [...jar].map((pair) => pair.join("=")).join("; ");
        keep(await signIn());
        // Not through the form: its origin would be the first stack's.
        const made = await waitFor("a session", 60, async () => {
            const { code, stdout, stderr } = await exec(second, [
                "django-admin",
                "shell",
                "-v0",
                "-c",
                SESSION,
            ]);
            strictEqual(code, 0, stderr);
            return stdout;
        });
        keep({ Cookie: made.trim() });
        for (const at of [port, other]) {
            const answer = await served("the list", () =>
                http("/admin/form/userdata/", { Cookie: cookies() }, undefined, undefined, at),
            );
            strictEqual(answer.status, 200, `${at}: ${cookies()}`);
        }
        await docker(["stop", second]);
    });

    /** Adds an employee in the admin. */
    async function add(session: Record<string, string>, name: string): Promise<void> {
        const path = "/admin/form/userdata/add/";
        const form = new URLSearchParams({
            csrfmiddlewaretoken: token(await served(path, () => http(path, session))),
            name,
            money: "1",
            "user_set-TOTAL_FORMS": "0",
            "user_set-INITIAL_FORMS": "0",
        });
        const headers = { ...session, Origin: "http://localhost:32000" };
        strictEqual((await http(path, headers, form.toString())).status, 302);
    }

    /** Runs the command of the CronJob, and returns its exit code and its log. */
    async function cleanup(name: string, options: string[] = []): Promise<{ code: string; text: string }> {
        const job = await dabaweb(name, ["cleanup", "--keep-log-days", "30"], options);
        return { code: await docker(["wait", job]), text: (await logs(job)).trim() };
    }

    it("cleans up expired sessions and old log entries, keeps the others, and finds nothing the second time", async () => {
        const { Cookie: session } = await signIn();
        await sql(
            "INSERT INTO form.django_session VALUES ('expired', '', UTC_TIMESTAMP(6) - INTERVAL 1 MINUTE); " +
                "INSERT INTO form.django_admin_log (action_time, object_repr, action_flag, change_message, user_id) " +
                "SELECT UTC_TIMESTAMP(6) - INTERVAL d.days DAY, CONCAT('day ', d.days), 2, '', u.id " +
                "FROM (SELECT 31 AS days UNION SELECT 29) d, (SELECT MIN(id) AS id FROM form.auth_user) u ORDER BY d.days DESC",
        );
        deepStrictEqual(await cleanup("cleanup"), {
            code: "0",
            text: "Deleted: 1 expired sessions, 1 log entries older than 30 days.",
        });
        deepStrictEqual(await cleanup("cleanup-again"), {
            code: "0",
            text: "Deleted: 0 expired sessions, 0 log entries older than 30 days.",
        });
        strictEqual(await sql("SELECT object_repr FROM form.django_admin_log"), "day 29");
        const { status } = await served("/admin/", () => http("/admin/", { Cookie: session ?? "" }));
        strictEqual(status, 200);
    });

    it("says in one sentence why it could not clean up", async () => {
        // No MySQL listens there.
        const { code, text } = await cleanup("cleanup-away", ["-e", "MYSQL_WRITER=redis-master:3306"]);
        strictEqual(code, "1");
        match(
            text,
            /^CommandError: MySQL at redis-master:3306 did not delete the old rows: 200\d .*; when it accepts writes again, the next run deletes them\.$/,
        );
    });

    it("immediately shows what was written in the admin", async () => {
        await page("/User_data");
        await add(await signIn(), "in-the-admin");
        // If Redis takes longer than half a second, the page is replaced a moment later.
        await waitFor("the new row on the page", 30, async () =>
            row("in-the-admin", 1, "–", "–").test(await page("/User_data")),
        );
    });

    it("stays within the limits of docs/web.md with 100,000 employees, each in a group", async () => {
        // Four exports of up to a minute each.
        const session = await signIn();
        await sql(
            "SET SESSION cte_max_recursion_depth = 100000; INSERT INTO form.form_user_data (name, money) " +
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) " +
                "SELECT CONCAT('many-', i), i FROM n; " +
                "INSERT INTO form.form_user (uid, name_link_id, code_link_id) " +
                "SELECT d.id + 1000, d.id, c.id FROM form.form_user_data d, form.form_code_data c " +
                "WHERE d.name LIKE 'many-%' AND c.code = 1",
        );
        try {
            await clearPageCache();
            // A query that takes nine seconds is answered for with a 503.
            const open = async (path: string, headers = {}) =>
                (await served(path, () => http(path, headers, undefined, PATIENCE * 5))).status;
            strictEqual(await open("/User_data"), 200);
            for (const [name, searched] of [
                ["userdata", "?q=99999"],
                ["user", "?q=many-99999"],
            ] as const) {
                const list = `/admin/form/${name}/`;
                for (const path of ["", "?p=1990", "?o=-2", searched, "?q=nobody"].map(
                    (rest) => list + rest,
                )) {
                    strictEqual(await open(path, session), 200, path);
                }
                const csrf = token(await served(`${list}export/`, () => http(`${list}export/`, session)));
                const headers = { ...session, Origin: "http://localhost:32000" };
                for (const format of ["0", "1"]) {
                    const form = new URLSearchParams({ csrfmiddlewaretoken: csrf, format, resource: "0" });
                    const file = await served(`${list}export/`, () =>
                        http(`${list}export/`, headers, form.toString(), PATIENCE * 60),
                    );
                    strictEqual(file.status, 200, `${name} ${format}`);
                    ok(format === "0" || file.body.toString().split("\n").length > 100_000);
                }
            }
            strictEqual(await docker(["inspect", "-f", "{{.State.OOMKilled}}", app]), "false");
        } finally {
            await sql("DELETE FROM form.form_user WHERE uid >= 1000");
            await sql("DELETE FROM form.form_user_data WHERE name LIKE 'many-%'");
        }
    });

    it("serves without Redis, and then catches up on what was written meanwhile", async () => {
        await page("/User_data");
        const session = await signIn();
        await docker(["stop", "-t", "20", redis]);
        for (const path of ["/User_data", "/Code_data"]) {
            const { status, body } = await http(path);
            strictEqual(status, 200, `${path}: ${body.toString()}`);
        }
        await answers("/readyz", 200);
        await add(session, "without-redis");
        match(await page("/User_data"), row("without-redis", 1));
        await docker(["start", redis]);
        await waitFor("the page comes from Redis again", 30, async () => {
            const answer = await http("/User_data");
            match(answer.body.toString(), row("without-redis", 1));
            return answer.headers["x-page-from"] === "cache";
        });
    });

    it("is not ready without MySQL, but serves what Redis has, and recovers when MySQL returns", async () => {
        await cached("/User_data");
        await docker(["kill", mysql]);
        strictEqual((await http("/readyz")).status, 503);
        strictEqual((await http("/livez")).status, 200);
        match(await cached("/User_data"), row("sam", 10000));
        await exec(redis, ["redis-cli", "FLUSHALL"]);
        const away = await http("/User_data");
        strictEqual(away.status, 503);
        strictEqual(away.headers["retry-after"], "5");
        await docker(["start", mysql]);
        await answers("/readyz", 200);
        match(await page("/User_data"), row("sam", 10000));
    });

    /** A client of MySQL that stays connected after its first statement. */
    async function holding(statement: string, ...options: string[]): Promise<ChildProcessWithoutNullStreams> {
        const args = ["mysql", "--batch", "--skip-column-names", "--unbuffered", ...options];
        const client = spawn("docker", ["exec", "-i", mysql, ...args]);
        client.stdin.write(`${statement}; SELECT 'done';\n`);
        const signal = AbortSignal.timeout(PATIENCE * 30_000);
        const ended = once(client, "close", { signal }).then(() => ["it has ended"]);
        const [said] = (await Promise.race([once(client.stdout, "data", { signal }), ended])) as unknown[];
        strictEqual(String(said), "done\n");
        return client;
    }

    /** How many connections wait for a table. */
    async function waiting(): Promise<number> {
        const asked =
            "SELECT COUNT(*) FROM performance_schema.processlist WHERE state LIKE 'Waiting for table%'";
        return Number(await sql(asked));
    }

    it("answers its probes while a visitor waits in every thread", async () => {
        await clearPageCache();
        const session = await signIn();
        const lock = await holding("LOCK TABLES form.form_user_data WRITE");
        try {
            // Each of 8 threads waits in MySQL, and more requests for a thread. A worker may accept most of them, so more are sent until
            // the other has enough, too.
            const visit = () => http("/admin/form/userdata/", session, undefined, 60);
            const pages = Array.from({ length: 20 }, visit);
            await waitFor("all threads to wait", 30, async () => {
                const all = (await waiting()) === 8;
                if (!all) {
                    pages.push(visit());
                }
                return all;
            });
            for (let i = 0; i < 5; i++) {
                strictEqual(await probe("/livez"), 200);
                // It gives each database one second.
                await waitFor("/readyz", 30, async () => (await probe("/readyz")) === 200);
            }
            // On a busy machine, that took longer than the nine seconds after which a query ends with a 503, and others have their turn.
            await waitFor("all threads to wait again", 30, async () => (await waiting()) === 8);
            lock.stdin.end("UNLOCK TABLES;\n");
            for (const { status } of await Promise.all(pages)) {
                ok([200, 503].includes(status), String(status));
            }
        } finally {
            lock.kill();
        }
    });

    it("stays ready while no connection is free, and tells visitors when to ask again", async () => {
        const session = await signIn();
        const login = await served("/admin/login/", () => http("/admin/login/"));
        await exec(redis, ["redis-cli", "FLUSHALL"]);
        const limit = await sql("SELECT max_user_connections FROM mysql.user WHERE user = 'dabaweb'");
        await sql("ALTER USER dabaweb@'%' WITH MAX_USER_CONNECTIONS 1");
        const own = "FROM performance_schema.processlist WHERE user = 'dabaweb'";
        const kills = await sql(`SELECT CONCAT('KILL ', id, ';') ${own}`);
        await tryDocker(["exec", mysql, "mysql", "--force", "-e", kills]);
        const account = ["-h127.0.0.1", "-udabaweb", `-p${passwords.mysql}`, "--ssl-mode=REQUIRED"];
        const holder = await waitFor("the one connection", 30, () => holding("DO 0", ...account));
        try {
            const form = {
                username: "admin",
                password: passwords.admin,
                csrfmiddlewaretoken: token(login),
            };
            const headers = { Cookie: cookie(login, "csrftoken"), Origin: "http://localhost:32000" };
            for (const answer of [
                await http("/User_data"),
                await http("/admin/form/userdata/", session),
                await http("/admin/login/", headers, new URLSearchParams(form).toString()),
            ]) {
                strictEqual(answer.status, 503);
                strictEqual(answer.headers["retry-after"], "5");
                strictEqual(answer.headers["cache-control"], "no-store");
            }
            // An answer about the databases may still be one from before: it serves for a second.
            await waitFor("both probes to succeed, and one to ask the databases", 30, async () => {
                deepStrictEqual([await probe("/livez"), await probe("/readyz")], [200, 200]);
                match(await logs(app), /still ready: replica: error 1226; default: error 1226/);
                return true;
            });
        } finally {
            // Not 0: then the global limit of 5 holds, which is less than the threads of the application.
            await sql(`ALTER USER dabaweb@'%' WITH MAX_USER_CONNECTIONS ${limit}`);
            holder.kill();
        }
        match(await page("/User_data"), row("sam", 10000));
    });

    /** Begins to send a file and never ends. */
    async function slowSender(path: string, headers: Record<string, string> = {}): Promise<Socket> {
        const socket = connect(port, "127.0.0.1");
        await once(socket, "connect");
        const lines = { Host: "localhost:32000", "Content-Length": "500000", ...headers };
        const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
        socket.write(`POST ${path} HTTP/1.1\r\n${head.join("")}\r\n${"a".repeat(20_000)}`);
        return socket;
    }

    /** The status of an export, which counts as an import does. */
    async function exported(session: Record<string, string>, seconds = PATIENCE * 30): Promise<number> {
        const path = "/admin/form/userdata/export/";
        const csrfmiddlewaretoken = token(await served(path, () => http(path, session)));
        const form = new URLSearchParams({ csrfmiddlewaretoken, format: "1", resource: "0" });
        const headers = { ...session, Origin: "http://localhost:32000" };
        return (await http(path, headers, form.toString(), seconds)).status;
    }

    it("receives no file from a stranger, and lets no slow sender take the place of others", async () => {
        const session = await signIn();
        const path = "/admin/form/userdata/import/";
        const senders: Socket[] = [];
        try {
            const madeUp = { Cookie: session.Cookie.replace(/[^=]+$/, "made-up") };
            for (const headers of [undefined, madeUp]) {
                for (let i = 0; i < 4; i++) {
                    const socket = await slowSender(path, headers);
                    senders.push(socket);
                    const [answer] = (await once(socket, "data", {
                        signal: AbortSignal.timeout(PATIENCE * 20_000),
                    })) as unknown[];
                    match(
                        String(answer),
                        /^HTTP\/1.1 302 [^]*\r\nLocation: \/admin\/login\/\?next=\/admin\/form\/userdata\/import\/\r\n/,
                    );
                }
            }
            const files = await exec(nginx, ["find", "/run/nginx/body", "-type", "f"]);
            strictEqual(files.stdout, "", files.stderr);
            for (let i = 0; i < 3; i++) {
                senders.push(await slowSender(path, session));
            }
            await waitFor("an export", 30, async () => {
                strictEqual(await exported(session), 200);
                return true;
            });
            for (const open of ["/", "/User_data", "/language", "/admin/login/"]) {
                strictEqual((await http(open, {}, "x".repeat(20_000))).status, 413, open);
            }
        } finally {
            senders.forEach((socket) => socket.destroy());
        }
    });

    it("works on two files at a time", async () => {
        const session = await signIn();
        // Again if need be: on a busy machine, it can take longer than the nine seconds after which a query ends with a 503.
        await waitFor("a third file to be refused", 120, async () => {
            const lock = await holding("LOCK TABLES form.form_user_data WRITE");
            const two = Promise.allSettled([exported(session), exported(session)]);
            let answered = false;
            void two.then(() => (answered = true));
            try {
                await waitFor("two exports to wait", 30, async () => answered || (await waiting()) === 2);
                strictEqual(await exported(session), 429);
                lock.stdin.end("UNLOCK TABLES;\n");
                const both = (status: number) => ({ status: "fulfilled", value: status });
                deepStrictEqual(await two, [200, 200].map(both));
                return true;
            } finally {
                lock.kill();
                // Before the next attempt: they count.
                await two;
            }
        });
    });

    it("limits password attempts, but not reads", async () => {
        const tries = await Promise.all(Array.from({ length: 40 }, () => http("/admin/login/", {}, "x=1")));
        const refused = tries.filter(({ status }) => status === 429);
        ok(refused.length >= 10, `${refused.length} of 40`);
        match(refused[0]?.body.toString() ?? "", /Too many requests[^]*请求过多/);
        ok(tries.length > refused.length);
        const reads = await Promise.all(Array.from({ length: 40 }, () => http("/admin/login/")));
        ok(reads.every(({ status }) => status === 200));
    });

    it("trusts a proxy's client address only if a proxy is in front", async () => {
        const proxies = await scope.volume("proxies");
        const rule =
            "printf '%s\\n' 'set_real_ip_from 0.0.0.0/0;' 'real_ip_header X-Forwarded-For;' >/proxies/ingress.conf";
        const shell = ["--user", "0:0", "--entrypoint", "bash", image("nginx"), "-c", rule];
        await docker(["run", "--rm", "-v", `${proxies}:/proxies`, ...shell]);
        const behind = await scope.run({
            name: "nginx-behind",
            image: image("nginx"),
            memory: "64m",
            tmpfs: ["/run/nginx"],
            mounts: { [proxies]: "/opt/dabaweb/proxies:ro" },
            network,
        });
        const ask =
            'import sys, urllib.request as r; r.urlopen(r.Request(sys.argv[1], headers={"X-Forwarded-For": "9.9.9.9, 203.0.113.7"}))';
        const client = async (container: string, url: string): Promise<string> => {
            // Retries: the container is running before its nginx listens.
            const line = await waitFor(`a line of ${container}`, 30, async () => {
                await exec(app, ["python", "-c", ask, `${url}?seen`]);
                return (await logs(container)).split("\n").find((text) => text.includes("?seen")) ?? false;
            });
            return (JSON.parse(line) as { client: string }).client;
        };
        strictEqual(await client(behind, "http://nginx-behind:8080/nginx-errors"), "203.0.113.7");
        strictEqual(await client(nginx, "http://localhost:8080/home"), "127.0.0.1");
    });

    it("finishes requests in progress when it is told to stop", async () => {
        await clearPageCache();
        const lock = await holding("LOCK TABLES form.form_user_data WRITE");
        try {
            const answer = http("/User_data", {}, undefined, 60);
            await waitFor("the page to wait for its rows", 30, async () => (await waiting()) > 0, {
                explain: async () => `It was answered:\n${(await answer).body.toString()}`,
            });
            const stops = [nginx, app].map((container) =>
                docker(["stop", "-t", "60", container], { timeoutSeconds: 70 }),
            );
            await waitFor("new requests to be refused", 30, () =>
                http("/home").then(
                    () => false,
                    () => true,
                ),
            );
            lock.stdin.end("UNLOCK TABLES;\n");
            const { status, body } = await answer;
            strictEqual(status, 200, body.toString());
            match(body.toString(), /sam/);
            await Promise.all(stops);
            for (const container of [nginx, app]) {
                strictEqual(await docker(["inspect", "-f", "{{.State.ExitCode}}", container]), "0");
            }
        } finally {
            lock.kill();
        }
    });

    it("reveals no password, and stops when it is told to", async () => {
        const words = Object.values(passwords);
        for (const container of [nginx, app]) {
            await docker(["stop", "-t", "25", container]);
            const state = await docker([
                "inspect",
                "-f",
                "{{.State.ExitCode}} {{.State.OOMKilled}}",
                container,
            ]);
            strictEqual(state, "0 false", await logs(container));
            const text = (await logs(container)) + (await docker(["inspect", container]));
            ok(!words.some((word) => text.includes(word)));
            ok(!/Read-only file system|Permission denied/i.test(text), text);
        }
    });
});
