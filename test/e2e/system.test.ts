import assert from "assert";
import { randomInt, randomUUID } from "crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";

import { hasRow } from "../support/checks";
import { command } from "../support/command";
import { copyProgram } from "../support/copy";
import { waitFor } from "../support/docker";
import { isLong, times } from "../support/long";
import { spending } from "../support/spent";
import { RECOVERY_SECONDS, System } from "../support/system";
import { describeBrowser } from "./browser";
import { describeFaultRows } from "./fault-rows";
import { writeAndRead } from "./pairs";
import { describePage } from "./runbook";
import { Client, siteOf } from "./site";
import { behavesAsTheSourceDid } from "./source";
import { configure, deploy, destroy, pulumi, remnants } from "./stack";

const system = new System("e2e");
const SLAVES = { redis: system.pods("redis-slave"), mysql: system.pods("mysql-slave") };

describe("the whole system on a real cluster", () => {
    /** The output of a detailed preview when there was nothing to do. */
    let preview = "";

    before("deploy", () => deploy("e2e"));

    after("destroy, twice, and leave nothing behind", async () => {
        await destroy("e2e");
        await destroy("e2e");
        assert.deepStrictEqual(await remnants(system.namespace, `dabaweb/${system.stack}/`), []);
    });

    describe("after up", () => behavesAsTheSourceDid(system));

    describe("after a second up", () => {
        before(async () => {
            const before = await system.restarts();
            const output = await pulumi("e2e", ["up", "--yes", "--expect-no-changes"]);
            assert.match(output, /\d+ unchanged/);
            assert.deepStrictEqual(await system.restarts(), before, "pods were touched");
        });
        behavesAsTheSourceDid(system);

        it("has nothing to do in a preview", async () => {
            preview = await pulumi("e2e", ["preview", "--diff", "--expect-no-changes"]);
        });

        it("lets `make preview` compare with the state, and says that the cluster answered", async () => {
            const folder = mkdtempSync(join(tmpdir(), "state-preview-"));
            try {
                const file = join(folder, "outcome.json");
                const args = ["-r", "ts-node/register/transpile-only", "local/stacks/preview.ts", "e2e"];
                const all = [...args, "--state", "--json", file];
                const { code, stdout, stderr } = await command(process.execPath, all, {
                    timeoutSeconds: 300,
                });
                assert.strictEqual(code, 0, stdout + stderr);
                assert.match(stdout, /^Preview of stack e2e, against state: /);
                assert.match(
                    stdout,
                    /^e2e: 0 to create, 0 to update, 0 to replace, 0 to delete, \d+ unchanged$/m,
                );
                const { mode, cluster } = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
                assert.deepStrictEqual({ mode, cluster }, { mode: "against state", cluster: "answered" });
            } finally {
                rmSync(folder, { recursive: true });
            }
        });

        it("shows in a preview what the API server would refuse, and changes nothing", async () => {
            const folder = mkdtempSync(join(tmpdir(), "refused-"));
            try {
                copyProgram(folder);
                // The API's schema allows this name, the API server does not.
                const file = join(folder, "components/dabaweb.ts");
                const text = readFileSync(file, "utf8");
                assert.ok(text.includes('name: "gunicorn", containerPort'));
                const long = text.replace(
                    'name: "gunicorn", containerPort',
                    'name: "longer-than-fifteen", containerPort',
                );
                writeFileSync(file, long);
                await assert.rejects(
                    pulumi("e2e", ["preview"], {}, folder),
                    /must be no more than 15 characters/,
                );
            } finally {
                rmSync(folder, { recursive: true });
            }
            await pulumi("e2e", ["preview", "--expect-no-changes"]);
        });

        it("gives another program its addresses through a StackReference, as docs/outputs.md describes", async () => {
            const folder = mkdtempSync(join(tmpdir(), "consumer-"));
            const consumer = join(folder, "examples/consumer");
            const inConsumer = async (...args: string[]) => {
                const all = [...args, "--stack", "e2e-consumer", "--non-interactive", "--cwd", consumer];
                // The variable may name a stack file of the user who runs this test.
                const clean = ["--unset=PULUMI_OPTION_CONFIG_FILE", "pulumi", ...all];
                const { code, stdout, stderr } = await command("env", clean, { timeoutSeconds: 300 });
                assert.strictEqual(code, 0, `pulumi ${args.join(" ")}\n${stdout}\n${stderr}`);
                return stdout;
            };
            try {
                copyProgram(folder);
                cpSync("examples/consumer", consumer, { recursive: true });
                await inConsumer("stack", "init");
                await inConsumer("config", "set", "dabaweb", "organization/dabaweb/e2e");
                await inConsumer(
                    "config",
                    "set",
                    "kubeContext",
                    await system.kubectl(["config", "current-context"]),
                );
                await inConsumer("config", "set", "namespace", system.namespace);
                const { steps } = JSON.parse(await inConsumer("preview", "--json")) as {
                    steps: { newState?: { type: string; inputs: { data?: object } } }[];
                };
                const map = steps.find(({ newState }) => newState?.type === "kubernetes:core/v1:ConfigMap");
                const host = (name: string, port: number) => `${name}.${system.namespace}.svc:${port}`;
                assert.deepStrictEqual(map?.newState?.inputs.data, {
                    REDIS_WRITER: host("redis-master", 6379),
                    REDIS_READERS: host("redis-slave", 6379),
                    MYSQL_WRITER: host("mysql-master", 3306),
                    MYSQL_READERS: host("mysql-slave", 3306),
                });
            } finally {
                await inConsumer("stack", "rm", "--yes", "--force");
                rmSync(folder, { recursive: true });
            }
        });
    });

    describe("drift, after changes by hand", () => {
        const drift = async () => {
            const args = ["-r", "ts-node/register/transpile-only", "local/stacks/drift.ts", "e2e"];
            const { code, stdout, stderr } = await command(process.execPath, args, { timeoutSeconds: 300 });
            return { code, text: stdout + stderr };
        };

        it("is empty after an up", async () => {
            const { code, text } = await drift();
            assert.strictEqual(code, 0, text);
            assert.match(text, /^no drift: /m);
        });

        it("is reported, and an up with a refresh repairs it", async () => {
            await system.kubectl(["scale", "deployment", "dabacluster", "--replicas=2"]);
            await system.kubectl(["delete", "poddisruptionbudget", "redis-slave"]);
            const found = await drift();
            assert.strictEqual(found.code, 1, found.text);
            assert.match(
                found.text,
                /^drift: Deployment dabacluster: spec\.replicas is 2, but was 3 after the last update$/m,
            );
            assert.match(found.text, /^drift: PodDisruptionBudget redis-slave is gone$/m);
            // Without it, kubectl stays the owner of the fields that it has set.
            const force = { PULUMI_K8S_ENABLE_PATCH_FORCE: "true" };
            await pulumi("e2e", ["up", "--refresh", "--yes", "--skip-preview"], force);
            await system.ready();
            const { code, text } = await drift();
            assert.strictEqual(code, 0, text);
        });
    });

    describe("the page and its data", () => {
        const name = `row-${randomUUID().slice(0, 8)}`;
        const money = String(randomInt(30_000, 90_000));
        const insert = (row: string, amount: string) =>
            system.sql(
                "mysql-master-0",
                `INSERT INTO form.form_user_data (name, money) VALUES ('${row}', ${amount})`,
            );
        const manage = (...args: string[]) =>
            system.kubectl([
                "exec",
                "deployment/dabacluster",
                "-c",
                "dabaweb",
                "--",
                "django-admin",
                ...args,
            ]);

        // It fails if redis-master does not answer within half a second, and tells the user to try again.
        const clearPageCache = () =>
            waitFor("the page's cache to be cleared", RECOVERY_SECONDS, async () => {
                await manage("clear_page_cache");
                return true;
            });

        after(() => system.sql("mysql-master-0", `DELETE FROM form.form_user_data WHERE name LIKE 'row-%'`));

        it("shows a row that was written with SQL on the master", async () => {
            await insert(name, money);
            await clearPageCache();
            await waitFor(`${name} on the page`, RECOVERY_SECONDS, async () =>
                hasRow(await system.table("/User_data"), name, money),
            );
        });

        it("reads from the slaves, and from the master while a row is missing on them", async () => {
            const origin = async () => (await system.page("/User_data")).headers.get("x-page-from");
            // Repeatedly, because a slave is one heartbeat behind for a moment in every second.
            await waitFor("the page from a slave", RECOVERY_SECONDS, async () => {
                await clearPageCache();
                return (await origin()) === "replica";
            });
            try {
                // Again if need be: a slave starts a stopped applier after a minute, and one of Redis may not know yet that the page is old.
                await waitFor("the page from the master", RECOVERY_SECONDS, async () => {
                    const late = `row-${randomUUID().slice(0, 8)}`;
                    await Promise.all(SLAVES.mysql.map((pod) => system.sql(pod, "STOP REPLICA SQL_THREAD")));
                    await insert(late, "1");
                    await clearPageCache();
                    assert.strictEqual(await origin(), "default");
                    assert.ok(hasRow(await system.table("/User_data"), late));
                    return true;
                });
            } finally {
                await Promise.all(SLAVES.mysql.map((pod) => system.sql(pod, "START REPLICA SQL_THREAD")));
            }
            await system.ready();
        });

        it("answers a second request without a SELECT on the page's tables", async () => {
            const servers = ["mysql-master-0", ...SLAVES.mysql];
            const log = "/tmp/general.log";
            const selects = async () => {
                const counts = servers.map((pod) =>
                    // Django's statements. Those with which a slave compares itself to the master name the database, too.
                    system.exec(pod, "mysql", [
                        "sh",
                        "-c",
                        `grep -c 'SELECT .form_user_data.[.]' ${log}; true`,
                    ]),
                );
                return (await Promise.all(counts)).map(Number).reduce((sum, count) => sum + count, 0);
            };
            const everywhere = (statement: string) =>
                Promise.all(servers.map((pod) => system.sql(pod, statement)));
            await everywhere(`SET GLOBAL general_log_file = '${log}'; SET GLOBAL general_log = ON`);
            try {
                const before = await selects();
                await clearPageCache();
                await waitFor("the page from the cache", RECOVERY_SECONDS, async () => {
                    const { headers } = await system.page("/User_data");
                    return headers.get("x-page-from") === "cache";
                });
                const filled = await selects();
                assert.ok(filled > before, "the first request read nothing");
                // On a busy machine, Redis may take longer than the half second that it is given.
                let others = 0;
                for (let request = 0; request < 10; request++) {
                    const { status, headers } = await system.page("/User_data");
                    assert.strictEqual(status, 200);
                    others += headers.get("x-page-from") === "cache" ? 0 : 1;
                }
                assert.ok(others < 10, "the cache never answered in time");
                assert.strictEqual(await selects(), filled + others);
            } finally {
                await everywhere("SET GLOBAL general_log = OFF");
                await Promise.all(servers.map((pod) => system.exec(pod, "mysql", ["rm", "-f", log])));
            }
        });

        it("reads its cache from every redis-slave", async () => {
            // Only a page reads its rows with MGET; key hits would also count probes.
            const reads = async (pod: string) => {
                const stats = await system.redis(pod, "INFO", "commandstats");
                return Number(/^cmdstat_mget:calls=(\d+)/m.exec(stats)?.[1] ?? 0);
            };
            const before = await Promise.all(SLAVES.redis.map(reads));
            // Many in parallel, each with its own connection: a worker stays with one slave for half a minute.
            const client = new Client(system.url, { Connection: "close" });
            await waitFor("pages read from every redis-slave", RECOVERY_SECONDS, async () => {
                await Promise.all(Array.from({ length: 16 }, () => client.ask("/User_data")));
                const now = await Promise.all(SLAVES.redis.map(reads));
                return now.every((count, index) => count > (before[index] ?? 0));
            });
        });
    });

    describe("the cleanup that runs on a schedule", () => {
        const id = randomUUID().slice(0, 8);
        const onMaster = (statement: string) => system.sql("mysql-master-0", `USE form; ${statement}`);
        const logged = (age: string) =>
            "INSERT INTO django_admin_log (action_time, object_repr, action_flag, change_message, user_id) " +
            `SELECT UTC_TIMESTAMP(6) - INTERVAL ${age}, '${id} ${age}', 2, '', MIN(id) FROM auth_user; `;
        const session = (key: string, age: string) =>
            "INSERT INTO django_session (session_key, session_data, expire_date) " +
            `VALUES ('${id} ${key}', '', UTC_TIMESTAMP(6) - INTERVAL ${age}); `;

        before("add rows that are old, and rows that are not", () =>
            onMaster(
                logged("366 DAY") +
                    logged("364 DAY") +
                    session("expired", "1 MINUTE") +
                    session("alive", "-1 HOUR"),
            ),
        );
        after("remove them", () =>
            onMaster(
                `DELETE FROM django_admin_log WHERE object_repr LIKE '${id}%'; ` +
                    `DELETE FROM django_session WHERE session_key LIKE '${id}%'`,
            ),
        );

        describePage("docs/howto/cron-job.md", system);

        // A suite's own tests run before those of the suites in it, such as the page's.
        describe("after that page", () => {
            it("deletes an expired session and an old log entry, and nothing else", async () => {
                const kept = await onMaster(
                    `SELECT object_repr FROM django_admin_log WHERE object_repr LIKE '${id}%' ` +
                        `UNION SELECT session_key FROM django_session WHERE session_key LIKE '${id}%' ORDER BY 1`,
                );
                assert.deepStrictEqual(kept.split("\n"), [`${id} 364 DAY`, `${id} alive`]);
            });
        });
    });

    describe("repeated pairs of a write and a read, while eight others read the same page", () => {
        const noneIsStale = async () => {
            const pairs = () => writeAndRead(siteOf(system), times(60, 1000));
            const { staleForWriter, staleForOthers, origins, reads } = await spending("load", pairs);
            assert.strictEqual(staleForWriter, 0);
            assert.strictEqual(staleForOthers, 0, `of ${reads}`);
            return origins;
        };

        it("show the write to the writer at once, and to the others within the bound", async () => {
            const origins = await noneIsStale();
            assert.ok((origins.replica ?? 0) > 0 && (origins.cache ?? 0) > 0, JSON.stringify(origins));
        });

        it("do so even while no slave applies anything", async () => {
            const everySlave = (statement: string) =>
                Promise.all(SLAVES.mysql.map((pod) => system.sql(pod, statement)));
            await everySlave("STOP REPLICA SQL_THREAD");
            try {
                const origins = await noneIsStale();
                assert.ok((origins.default ?? 0) > 0, JSON.stringify(origins));
            } finally {
                await everySlave("START REPLICA SQL_THREAD");
            }
            await system.ready();
        });
    });

    describeBrowser(siteOf(system));

    describe("bad input", () => {
        const refused: [string, string, string, string, RegExp][] = [
            [
                "a slave count of -1",
                "redis-slave.replicas",
                "-1",
                "2",
                /redis-slave\.replicas is -1; allowed is a whole number from 0 to 20/,
            ],
            [
                "a nodePort of 80",
                "service.nodePort",
                "80",
                "32001",
                /service\.nodePort is 80; allowed is a whole number from 30000 to 32767/,
            ],
            [
                "a storage class that does not exist in the cluster",
                "storageClass",
                "fast",
                "standard",
                /storageClass fast of redis-master does not exist, and no volume has it; the cluster has retained, standard/,
            ],
            [
                "a registry that does not answer",
                "registry.address",
                "localhost:5999",
                "localhost:5001",
                /registry localhost:5999 does not answer/,
            ],
        ];
        for (const [what, key, bad, good, message] of isLong ? refused : refused.slice(1)) {
            it(`refuses ${what} in one sentence, before it changes anything`, async () => {
                // Not the whole state: its secrets are encrypted again on every write.
                const resources = async () => {
                    const { deployment } = JSON.parse(await pulumi("e2e", ["stack", "export"])) as {
                        deployment: { resources: { urn: string; id?: string; modified?: string }[] };
                    };
                    return deployment.resources.map(({ urn, id, modified }) => ({ urn, id, modified }));
                };
                const before = await resources();
                await configure("e2e", { [key]: bad });
                try {
                    await assert.rejects(pulumi("e2e", ["up", "--yes", "--skip-preview"]), message);
                } finally {
                    await configure("e2e", { [key]: good });
                }
                assert.deepStrictEqual(await resources(), before);
            });
        }
    });

    describe("secrets", () => {
        let passwords: string[];
        before(async () => {
            const { items } = JSON.parse(await system.kubectl(["get", "secrets", "-o", "json"])) as {
                items: { data?: Record<string, string> }[];
            };
            passwords = items
                .flatMap((secret) => Object.values(secret.data ?? {}))
                .map((value) => Buffer.from(value, "base64").toString());
            assert.strictEqual(passwords.length, 13);
        });
        const holdsNone = (where: string, text: string) =>
            passwords.forEach((password) => assert.ok(!text.includes(password), `a password is in ${where}`));

        it("are not in the state", async () => {
            const state = await pulumi("e2e", ["stack", "export"]);
            assert.match(state, /"ciphertext"/);
            holdsNone("the state", state);
        });

        it("cannot be decrypted with an empty passphrase", async () => {
            await assert.rejects(
                pulumi("e2e", ["stack", "export", "--show-secrets"], {
                    PULUMI_CONFIG_PASSPHRASE: "",
                    PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
                }),
                /passphrase/,
            );
        });

        it("are not in a preview", () => {
            assert.match(preview, /\d+ unchanged/);
            holdsNone("the preview", preview);
        });

        it("are not in the pods' objects and logs", async () => {
            holdsNone("a pod", await system.kubectl(["get", "pods", "-o", "yaml"]));
            for (const pod of (await system.kubectl(["get", "pods", "-o", "name"])).split("\n")) {
                holdsNone(`the log of ${pod}`, await system.kubectl(["logs", pod, "--all-containers"]));
            }
        });

        it("are not in the processes' arguments and environment", async () => {
            for (const pod of [...SLAVES.redis, ...SLAVES.mysql, "redis-master-0", "mysql-master-0"]) {
                const all =
                    "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; true";
                const container = pod.startsWith("redis") ? "redis" : "mysql";
                holdsNone(pod, await system.exec(pod, container, ["sh", "-c", all]));
            }
        });
    });

    describeFaultRows(system);
});
