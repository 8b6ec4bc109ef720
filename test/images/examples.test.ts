import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert";

import { docker, logs, Scope, tryDocker, waitFor, whilePaused } from "../support/docker";
import { addressOf, buildApp, call, endDuring, served, until } from "../support/example-apps";
import { MysqlPods, type Pod } from "../support/mysql-pods";
import { RedisPods, untilLinked, untilReady } from "../support/redis-pods";

const JSON_TYPE = "application/json";
const FORM_TYPE = "application/x-www-form-urlencoded";

/** One sentence, as a user sees it. */
const SENTENCE = /^[A-Z"][^\n]*[^.]\.$/;

describe("examples/key-value/app with Docker alone", () => {
    const pods = new RedisPods("key-value");
    const { scope } = pods;
    const image = `${scope.prefix}-app`;
    let master = "";
    let slave = "";
    let app = "";
    let url = "";

    function start(name: string, readers: string): Promise<string> {
        return scope.run({
            name,
            image,
            network: pods.network,
            memory: "128m",
            mounts: { [pods.secrets]: "/run/secrets/redis:ro" },
            env: {
                REDIS_WRITER: "redis-master:6379",
                REDIS_READERS: readers,
                REDIS_USER: "dabaweb",
                REDIS_PASSWORD_FILE: "/run/secrets/redis/dabaweb",
                POD_IP: "192.0.2.7",
            },
            options: ["-p", "127.0.0.1::8082"],
        });
    }

    const set = (body: unknown): Promise<Response> =>
        call(`${url}/set`, {
            method: "POST",
            headers: { "content-type": JSON_TYPE },
            body: JSON.stringify(body),
        });
    const get = (key: string): Promise<Response> => call(`${url}/get?key=${encodeURIComponent(key)}`);

    const stored = (key: string, value: string): Promise<Response> => served(() => set({ key, value }));

    /** The value that a slave has, once it has one. */
    async function read(key: string): Promise<string> {
        const response = await until(`${url}/get?key=${encodeURIComponent(key)}`, 200);
        return ((await response.json()) as { value: string }).value;
    }

    async function refused(response: Response, status: number, why: RegExp): Promise<void> {
        const answer = await response.text();
        strictEqual(response.status, status, answer);
        const { error, ...more } = JSON.parse(answer) as { error: string };
        match(error, why);
        match(error, SENTENCE);
        deepStrictEqual(more, {});
    }

    before(async () => {
        await pods.setUp();
        await buildApp("key-value", image);
        const disk = (name: string): Promise<string> => scope.disk(name);
        master = await pods.startMaster("redis-master-0", { volume: await disk("master") });
        slave = await pods.startSlave("redis-slave-0", "redis-master", { volume: await disk("slave") });
        app = await start("app", "redis-slave-0:6379");
        url = await addressOf(app);
        await untilReady(master, slave);
        await until(`${url}/readyz`, 200);
    });

    after(async () => {
        await pods.tearDown();
        await tryDocker(["rmi", "--no-prune", image]);
    });

    it("is labelled with its content", async () => {
        strictEqual(await docker(["inspect", "-f", "{{.Config.Labels.content}}", image]), image);
    });

    it("writes to the master, reads from a slave, and says how that server replicates", async () => {
        const written = (await (await stored("key_1", "value_1")).json()) as Record<string, string>;
        const { redis_replication: ofMaster, ...rest } = written;
        deepStrictEqual(rest, { key: "key_1", value: "value_1", action: "SET", pod_ip: "192.0.2.7" });
        match(ofMaster!, /role:master\r\n[^]*connected_slaves:1\r\n/);

        const found = (await (await until(`${url}/get?key=key_1`, 200)).json()) as Record<string, string>;
        const { redis_replication: ofSlave, ...more } = found;
        deepStrictEqual(more, { key: "key_1", value: "value_1", action: "GET", pod_ip: "192.0.2.7" });
        match(ofSlave!, /role:slave\r\n[^]*master_link_status:up\r\n[^]*slave_read_only:1\r\n/);
    });

    for (const [what, key, value] of [
        ["an empty value", "empty", ""],
        ["every script", "ключ 键 🔑", "значение 值 🎁 \u0000 \r\n \" ' & <b>"],
        ["a key of 1024 bytes", "k".repeat(1024), "long"],
        ["almost 64 KiB", "large", "é".repeat(32_000)],
        ["a name that JavaScript uses", "__proto__", "constructor"],
    ] as const) {
        it(`keeps ${what}`, async () => {
            strictEqual((await stored(key, value)).status, 200);
            strictEqual(await read(key), value);
        });
    }

    const post = (body?: string, type = JSON_TYPE): RequestInit => ({
        method: "POST",
        headers: { "content-type": type },
        body,
    });
    const bad: [string, string, RequestInit, number, RegExp][] = [
        ["no key", "/set", post('{"value": "v"}'), 400, /^"key" is missing; /],
        ["an empty key", "/set", post('{"key": "", "value": "v"}'), 400, /^"key" has 0 bytes; /],
        [
            "a long key",
            "/set",
            post(`{"key": "${"é".repeat(513)}", "value": "v"}`),
            400,
            /^"key" has 1026 bytes; /,
        ],
        [
            "half a character",
            "/set",
            post('{"key": "\\ud800", "value": "v"}'),
            400,
            /^"key" has half of a surrogate pair; /,
        ],
        ["a number as key", "/set", post('{"key": 1, "value": "v"}'), 400, /^"key" is not one string; /],
        ["no value", "/set", post('{"key": "k"}'), 400, /^"value" is missing; /],
        ["null as value", "/set", post('{"key": "k", "value": null}'), 400, /^"value" is not one string; /],
        [
            "a list as value",
            "/set",
            post('{"key": "k", "value": ["v"]}'),
            400,
            /^"value" is not one string; /,
        ],
        ["a list as body", "/set", post('["k", "v"]'), 400, /^"key" is missing; /],
        ["null as body", "/set", post("null"), 400, /^"key" is missing; /],
        ["half of a body", "/set", post('{"key": "k", "va'), 400, /^The body is not JSON; /],
        ["an empty body", "/set", post(""), 400, /^The body is empty; /],
        ["no body", "/set", { method: "POST" }, 400, /^"key" is missing; /],
        ["a form", "/set", post("key=k&value=v", FORM_TYPE), 415, /^The body is not declared as JSON; /],
        [
            "plain text",
            "/set",
            post('{"key": "k", "value": "v"}', "text/plain"),
            415,
            /not declared as JSON; /,
        ],
        [
            "2 MB",
            "/set",
            post(JSON.stringify({ key: "k", value: "v".repeat(2e6) })),
            413,
            /^The body is larger than 65536 bytes; /,
        ],
        ["an absent key", "/get?key=nobody", {}, 404, /^There is no key "nobody"; /],
        ["no key to read", "/get", {}, 400, /^"key" is missing; /],
        ["an empty key to read", "/get?key=", {}, 400, /^"key" has 0 bytes; /],
        ["two keys to read", "/get?key=a&key=b", {}, 400, /^"key" is not one string; /],
        ["another page", "/nowhere", {}, 404, /^There is no GET \/nowhere; /],
        ["GET instead of POST", "/set", {}, 404, /^There is no GET \/set; /],
        ["DELETE", "/get?key=k", { method: "DELETE" }, 404, /^There is no DELETE /],
        ["an address that cannot be decoded", "/%zz", {}, 400, /^The address \/%zz cannot be decoded; /],
    ];
    for (const [what, path, options, status, why] of bad) {
        it(`answers ${status} to ${what}`, async () => {
            await refused(await served(() => call(`${url}${path}`, options)), status, why);
        });
    }

    it("reads from the master if there are no slaves", async () => {
        const alone = await addressOf(await start("alone", ""));
        strictEqual((await stored("alone", "yes")).status, 200);
        await until(`${alone}/readyz`, 200);
        const answer = (await (await until(`${alone}/get?key=alone`, 200)).json()) as Record<string, string>;
        strictEqual(answer.value, "yes");
        match(answer.redis_replication!, /role:master/);
    });

    it("answers 503 while Redis is away, and serves again afterwards", async () => {
        await docker(["stop", slave]);
        await refused(await get("key_1"), 503, /^Redis at redis-slave-0:6379 does not answer; /);
        strictEqual((await stored("meanwhile", "kept")).status, 200);
        await until(`${url}/readyz`, 200);

        await docker(["stop", master]);
        await refused(
            await set({ key: "k", value: "v" }),
            503,
            /^Redis at redis-master:6379 does not answer; /,
        );
        await refused(await call(`${url}/readyz`), 503, /^Neither the master nor a slave of Redis answers; /);
        strictEqual((await call(`${url}/livez`)).status, 200);

        await docker(["start", master, slave]);
        await untilReady(master, slave);
        await untilLinked(slave);
        await until(`${url}/readyz`, 200);
        strictEqual(await read("meanwhile"), "kept");
        await waitFor("writes succeed again", 10, async () => (await set({ key: "k", value: "v" })).ok);
    });

    it("answers 503 while Redis accepts what it does not answer, and serves again afterwards", async () => {
        await whilePaused(master, async () => {
            await refused(await set({ key: "k", value: "v" }), 503, /does not answer; /);
        });
        await waitFor("writes succeed again", 10, async () => (await set({ key: "k", value: "v" })).ok);
    });

    it("answers the request that it has begun with when it is ended, and exits with 0", async () => {
        const body = JSON.stringify({ key: "last", value: "written" });
        const { status, answer, exit } = await endDuring(app, "/set", JSON_TYPE, body);
        strictEqual(status, 200, answer);
        match(answer, /"value":"written"/);
        strictEqual(exit, "0", await logs(app));
    });
});

describe("examples/myweb/app with Docker alone", () => {
    const pods = new MysqlPods("myweb", { APPLICATION_CHANGES_TABLES: "yes" });
    const { scope } = pods;
    const image = `${scope.prefix}-app`;
    const secrets = new Scope(`${scope.prefix}-secrets`);
    let [master, slave]: Pod[] = [];
    const urls: string[] = [];
    const apps: string[] = [];

    const write = (text: string, url = urls[0]!): Promise<Response> =>
        call(`${url}/`, { method: "POST", body: new URLSearchParams({ text }) });
    /** May write a text twice: a write that takes longer than three seconds is answered with a 503, and happens later. */
    const written = (text: string, url?: string): Promise<Response> => served(() => write(text, url));
    const page = async (url = urls[0]!): Promise<string> => (await until(`${url}/`, 200)).text();
    const shows = (part: string): Promise<string> =>
        waitFor(`the page shows ${part}`, 20, async () => {
            const text = await page();
            return text.includes(part) && text;
        });

    before(async () => {
        await pods.setUp();
        const password = await secrets.filledVolume("password", { password: pods.passwords.dabaweb });
        await buildApp("myweb", image);
        master = await pods.newPod("mysql-master-0", "master");
        slave = await pods.newPod("mysql-slave-0", "slave");
        await pods.start(master);
        // They are there before MySQL is, and all of them create the table.
        for (const name of ["a", "b", "c", "d", "e"]) {
            const app = await scope.run({
                name,
                image,
                network: pods.network,
                memory: "128m",
                mounts: { [password]: "/run/secrets/mysql:ro" },
                env: {
                    MYSQL_WRITER: "mysql-master:3306",
                    MYSQL_READERS: name === "e" ? "" : "mysql-slave-0:3306",
                    MYSQL_DATABASE: "form",
                    MYSQL_USER: "dabaweb",
                    MYSQL_PASSWORD_FILE: "/run/secrets/mysql/password",
                    POD_NAME: `myweb-${name}`,
                    POD_IP: "192.0.2.8",
                },
                options: ["-p", "127.0.0.1::8080"],
            });
            apps.push(app);
            urls.push(await addressOf(app));
        }
        await pods.ready(master);
        await pods.seed(slave);
        await pods.start(slave);
        await pods.ready(slave);
    });

    after(async () => {
        await pods.tearDown();
        await secrets.close();
        await tryDocker(["rmi", "--no-prune", image]);
    });

    it("creates its table once MySQL is there, although five pods do so", async () => {
        for (const url of urls) {
            await until(`${url}/readyz`, 200);
            match(await page(url), /Entries: <b>0<\/b>/);
        }
    });

    it("shows which pod answers, and who wrote what", async () => {
        const response = await written("первая 一 🎁", urls[1]);
        strictEqual(response.status, 303);
        strictEqual(response.headers.get("location"), "/");
        const text = await shows("<td>myweb-b</td><td>первая 一 🎁</td>");
        match(text, /<b>myweb-a<\/b> with the address <b>192\.0\.2\.8<\/b>/);
        match(text, /Entries: <b>[1-9]\d*<\/b>/);
        match(text, /<form method="post" action="\/">/);
    });

    it("reads from the slaves, or from the master if there are none", async () => {
        await pods.sql(slave!, "STOP REPLICA SQL_THREAD");
        try {
            strictEqual((await written("on the master alone")).status, 303);
            match(await page(urls[4]), /on the master alone/);
            doesNotMatch(await page(), /on the master alone/);
        } finally {
            await pods.sql(slave!, "START REPLICA");
        }
        await shows("on the master alone");
    });

    it("shows markup as text", async () => {
        strictEqual((await written(`<script>alert("1")</script> & '`)).status, 303);
        const text = await shows("&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62; &#38; &#39;");
        doesNotMatch(text, /<script/);
    });

    it("keeps 200 characters of any kind, and shows the newest 20 entries", async () => {
        for (let count = 1; count <= 20; count++) {
            strictEqual((await written(`entry ${count}`)).status, 303);
        }
        strictEqual((await written("🎁".repeat(200))).status, 303);
        await waitFor("the page shows the newest entries", 20, async () => {
            const text = await page();
            const kept = (await pods.sql(master!, "SELECT HEX(text) FROM form.entries ORDER BY id DESC"))
                .split("\n")
                .map((hex) => Buffer.from(hex, "hex").toString());
            ok(kept.length >= 24 && kept.includes("🎁".repeat(200)), kept.join("\n"));
            const shown = [...text.matchAll(/<td>([^<]*)<\/td><\/tr>/g)].map(([, each]) => each);
            deepStrictEqual(shown, kept.slice(0, 20), "the newest 20, newest first");
            ok(text.includes(`Entries: <b>${kept.length}</b>`), text);
            return true;
        });
    });

    const form = (body: string, type = FORM_TYPE): RequestInit => ({
        method: "POST",
        headers: { "content-type": type },
        body,
    });
    const bad: [string, string, RequestInit, number, RegExp][] = [
        ["no text", "/", form("other=x"), 400, /The text has 0 characters; write 1 to 200/],
        ["an empty text", "/", form("text="), 400, /The text has 0 characters; /],
        ["only spaces", "/", form("text=+++"), 400, /The text has 0 characters; /],
        ["201 characters", "/", form(`text=${"x".repeat(201)}`), 400, /The text has 201 characters; /],
        ["no body", "/", { method: "POST" }, 400, /The text has 0 characters; /],
        ["20 KB", "/", form(`text=${"x".repeat(20_000)}`), 413, /The form is too large; /],
        ["JSON", "/", form('{"text": "x"}', JSON_TYPE), 415, /The body is not a form; /],
        ["another page", "/nowhere<b>", {}, 404, /There is no GET \/nowhere[^<]*; the only page is \//],
        ["an address that cannot be decoded", "/%zz", {}, 400, /The address \/%zz cannot be decoded; /],
        ["another method", "/", { method: "DELETE" }, 404, /There is no DELETE \/; /],
    ];
    for (const [what, path, options, status, why] of bad) {
        it(`answers ${status} to ${what}`, async () => {
            const response = await served(() => call(`${urls[0]}${path}`, options));
            const answer = await response.text();
            strictEqual(response.status, status, answer);
            match(response.headers.get("content-type")!, /^text\/html/);
            const [, said] = /<p>(.*)<\/p>/.exec(answer)!;
            match(said!, why);
            match(said!, SENTENCE);
        });
    }

    it("creates its table again if it is dropped", async () => {
        await pods.sql(master!, "DROP TABLE form.entries");
        await waitFor("a write succeeds", 60, async () => (await write("after the drop")).status === 303);
        await shows("after the drop");
    });

    it("answers 503 while MySQL is away, and serves again afterwards", async () => {
        const away = /MySQL does not serve this now \(\w+\); try again in a few seconds\./;
        await pods.kill(slave!);
        const read = await call(`${urls[0]}/`);
        strictEqual(read.status, 503);
        match(await read.text(), away);
        strictEqual((await written("meanwhile")).status, 303);
        await until(`${urls[0]}/readyz`, 200);

        await pods.kill(master!);
        const lost = await write("lost");
        strictEqual(lost.status, 503);
        match(await lost.text(), away);
        strictEqual((await call(`${urls[0]}/readyz`)).status, 503);
        strictEqual((await call(`${urls[0]}/livez`)).status, 200);

        await pods.start(master!);
        await pods.start(slave!);
        await until(`${urls[0]}/readyz`, 200);
        await waitFor("writes succeed again", 60, async () => (await write("again")).status === 303);
        await shows("again");
    });

    it("answers 503 while MySQL accepts what it does not answer, and serves again afterwards", async () => {
        await whilePaused(pods.running(master!), async () => {
            strictEqual((await write("lost")).status, 503);
        });
        await waitFor("writes succeed again", 20, async () => (await write("again")).status === 303);
    });

    it("answers the request that it has begun with when it is ended, and exits with 0", async () => {
        const { status, answer, exit } = await endDuring(apps[0]!, "/", FORM_TYPE, "text=last");
        strictEqual(status, 303, answer);
        strictEqual(exit, "0", await logs(apps[0]!));
        match(await page(urls[4]), /<td>last<\/td>/);
    });
});
