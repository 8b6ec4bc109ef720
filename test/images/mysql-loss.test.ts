import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { Result } from "../support/command";
import { docker, exec, logs, waitFor, whilePaused } from "../support/docker";
import { isLong } from "../support/long";
import { bin, Marker, MysqlPods, Pod } from "../support/mysql-pods";
import { parsePage } from "../support/page";

/** The transactions that a slave has executed or received. */
const HELD =
    "SELECT GTID_SUBTRACT(CONCAT(@@GLOBAL.gtid_executed, ',', received_transaction_set), '') " +
    "FROM performance_schema.replication_connection_status";

describe("loss of a mysql master", function () {
    // The timeouts allow for a machine that does other work at the same time.
    this.timeout(300_000);

    const pods = new MysqlPods("mysql-loss", { ON_NO_REPLICA: "wait" });
    let made = 0;
    let master: Pod;
    let slaves: Pod[] = [];
    let identity: string;

    before("check Docker; create images and network", async function () {
        this.timeout(600_000);
        await pods.setUp();
    });

    afterEach("remove the pods of the test", async function () {
        if (this.currentTest?.state === "failed") {
            for (const pod of [master, ...slaves]) {
                if (pod.container !== undefined) {
                    console.log(
                        `${pod.name}:\n${(await logs(pod.container)).split("\n").slice(-40).join("\n")}`,
                    );
                }
            }
        }
        for (const pod of [master, ...slaves]) {
            if (pod.container !== undefined) {
                await pods.kill(pod);
            }
            await pods.scope.removeVolumes(pod.volume);
        }
        slaves = [];
    });

    after("remove everything", async () => {
        await pods.tearDown();
    });

    /** A stopped system with one table and otherwise unused: a master, and slaves that replicate. */
    const fresh: Pod[] = [];

    before("create a system that every test gets a copy of", async function () {
        this.timeout(600_000);
        master = await pods.newPod("mysql-master", "master");
        await pods.start(master, { env: { POD_NAME: "mysql-master-0", ON_NO_REPLICA: "degrade" } });
        await pods.ready(master);
        await pods.sql(master, "CREATE TABLE form.t (n INT PRIMARY KEY)");
        identity = await pods.sql(master, "SELECT id FROM replication.identity");
        slaves = await Promise.all([0, 1].map(addSlave));
        await startMaster({}, "restart");
        await attached(2);
        for (const pod of [master, ...slaves]) {
            await pods.stop(pod);
            fresh.push(pod);
        }
    });

    /** A test's own system: a copy of that one, with this many attached slaves. */
    async function system(count: number): Promise<void> {
        made += 1;
        const copy = (pod: Pod, name: string) => pods.copyOf(pod, name);
        const [first, ...others] = fresh as [Pod, ...Pod[]];
        [master, ...slaves] = (await Promise.all([
            copy(first, `mysql-master-${made}`),
            ...others.slice(0, count).map((pod, n) => copy(pod, `mysql-slave-${made}-${n}`)),
        ])) as [Pod, ...Pod[]];
        await Promise.all(slaves.map((pod) => pods.start(pod)));
        if (count > 0) {
            await startMaster();
            await pods.ready(master);
            await attached(count);
        } else {
            await pods.start(master, { env: { POD_NAME: "mysql-master-0", ON_NO_REPLICA: "degrade" } });
            await pods.ready(master);
        }
    }

    async function addSlave(n: number): Promise<Pod> {
        const pod = await pods.newPod(`mysql-slave-${made}-${n}`, "slave");
        await pods.seed(pod);
        await pods.start(pod);
        return pod;
    }

    async function startMaster(
        { env, ...marker }: Marker & { env?: Record<string, string> } = {},
        how: "start" | "restart" = "start",
    ): Promise<void> {
        if (how === "restart") {
            await pods.stop(master);
        }
        const markers = { initialised: true, slaves: slaves.length, ...marker };
        await pods.start(master, { ...markers, env: { POD_NAME: "mysql-master-0", ...env } });
        if (how === "restart") {
            await pods.ready(master);
        }
    }

    /** Waits until this many slaves acknowledge, and commits wait for them before they complete. */
    async function attached(count: number): Promise<void> {
        await waitFor(`${count} slaves acknowledge`, 60, async () => {
            const query =
                "SELECT CONCAT(variable_value, @@GLOBAL.rpl_semi_sync_source_wait_point) " +
                "FROM performance_schema.global_status WHERE variable_name = 'Rpl_semi_sync_source_clients'";
            const answer = await pods.sql(master, query);
            if (answer === `${count}AFTER_SYNC`) {
                return true;
            }
            throw new Error(answer);
        });
    }

    function insert(n: number, timeoutSeconds = 60): Promise<Result> {
        return pods.mysql(master, `INSERT INTO form.t VALUES (${n})`, timeoutSeconds);
    }

    /** Writes rows, one by one, until it is told to stop or the master is gone. Returns the acknowledged rows. */
    function writing(from: number): () => Promise<number[]> {
        const acknowledged: number[] = [];
        let go = true;
        const loop = (async () => {
            for (let n = from; go && master.container !== undefined; n += 1) {
                if ((await insert(n)).code === 0) {
                    acknowledged.push(n);
                }
            }
        })();
        return async () => {
            go = false;
            await loop;
            return acknowledged;
        };
    }

    async function rows(pod: Pod): Promise<number[]> {
        const text = await pods.sql(pod, "SELECT n FROM form.t ORDER BY n");
        return text === "" ? [] : text.split("\n").map(Number);
    }

    function missing(all: number[], held: number[]): number[] {
        return all.filter((n) => !held.includes(n));
    }

    /** Leaves the master stopped, with row 1 on its volume, while the slaves have rows 1 and 2. */
    async function bringOlderCopyBack(): Promise<void> {
        await insert(1);
        await everySlaveFollows();
        await pods.stop(master);
        await pods.scope.inVolume(master.volume, "cp -a mysql lost+found/copy");
        await startMaster();
        await pods.ready(master);
        await insert(2);
        await everySlaveFollows();
        await pods.stop(master);
        await pods.scope.inVolume(master.volume, "rm -rf mysql; cp -a lost+found/copy mysql");
    }

    /** Removes a pod, running or not, and its volume, and gives the pod an empty one. */
    async function loseMaster(): Promise<void> {
        await pods.kill(master);
        await pods.emptyVolume(master);
    }

    /** A new system whose only slave is lost with its volume, after row 1. */
    async function lostOnlySlave(): Promise<Pod> {
        await system(1);
        const [lost] = slaves as [Pod];
        await insert(1);
        await everySlaveFollows();
        await pods.kill(lost);
        await pods.emptyVolume(lost);
        return lost;
    }

    /** Every slave has the master's data. A slave that exits to take a new copy is restarted, as the kubelet does. */
    async function everySlaveFollows(): Promise<void> {
        for (const pod of slaves) {
            await waitFor(`${pod.name} follows`, 120, async () => {
                if ((await docker(["inspect", "-f", "{{.State.Status}}", pods.running(pod)])) === "exited") {
                    await docker(["start", pods.running(pod)]);
                }
                await pods.caughtUp(master, pod);
                return true;
            });
            assert.deepEqual(missing(await rows(master), await rows(pod)), [], pod.name);
        }
    }

    /** The master opens with its former identity and every acknowledged row. */
    async function isBack(acknowledged: number[]): Promise<void> {
        await pods.ready(master);
        assert.equal(await pods.sql(master, "SELECT id FROM replication.identity"), identity);
        assert.equal((await exec(pods.running(master), ["cat", "/data/identity"])).stdout, `${identity}\n`);
        assert.deepEqual(missing(acknowledged, await rows(master)), []);
    }

    /** An application's write that no slave acknowledges yet. */
    async function hangs(n: number): Promise<() => Promise<Result>> {
        const statement = `INSERT INTO form.t VALUES (${n})`;
        // It may hang while a slave is created, or while its data is taken.
        const account = ["mysql-master", "dabaweb", pods.passwords.dabaweb] as const;
        const result = pods.loginFor(240, master, ...account, "-e", statement);
        await waitFor("the write hangs", 60, async () => {
            const query =
                "SELECT COUNT(*) FROM performance_schema.threads WHERE processlist_state LIKE 'Waiting for semi-sync ACK%'";
            return (await pods.sql(master, query)) !== "0";
        });
        return () => result;
    }

    /** Kills the master's companion and, with it, its query in the server; the companion is restarted. */
    async function killCompanion(): Promise<void> {
        const find = `for p in /proc/[0-9]*; do [[ $(tr '\\0' ' ' <$p/cmdline) == "bash ${bin}/open"* ]] && kill -9 \${p#/proc/}; done; true`;
        assert.equal((await exec(pods.running(master), ["bash", "-c", find])).code, 0);
        await pods.logged(pods.running(master), /the server's companion has exited; restarting it/);
    }

    async function status(pod: Pod): Promise<Record<string, string>> {
        const { code, stdout } = await pods.probe(pod, "status");
        assert.equal(code, 0);
        return Object.fromEntries(
            stdout
                .trimEnd()
                .split("\n")
                .map((line) => {
                    const [, key = "", value = ""] = /^(\w+): (.*)$/.exec(line) ?? [];
                    return [key, value] as const;
                }),
        );
    }

    describe("a master that loses its pod and volume", () => {
        it("gets back all acknowledged writes, even those that a slave has only received, and the slaves follow", async () => {
            await system(2);
            const [first, second] = slaves as [Pod, Pod];
            await insert(0);
            await everySlaveFollows();
            // One slave has the newest writes only in its relay log, the other does not receive them.
            await pods.sql(first, "STOP REPLICA SQL_THREAD");
            const end = await whilePaused(pods.running(second), async () => {
                const stopWriting = writing(1);
                await waitFor("twenty rows", 60, async () => (await rows(master)).length > 20);
                await pods.kill(master);
                return stopWriting;
            });
            const acknowledged = await end();
            assert.ok(acknowledged.length > 10, String(acknowledged.length));
            await pods.emptyVolume(master);
            await startMaster();
            await isBack(acknowledged);
            const configuration =
                "SELECT COUNT(*) FROM performance_schema.replication_connection_configuration";
            assert.equal(await pods.sql(master, configuration), "0");
            // The companion releases the donor after the master has opened.
            await waitFor("the donor to be released", 60, async () => {
                const left = (await exec(pods.running(master), ["ls", "/data"])).stdout.trim().split("\n");
                assert.deepEqual(left, ["identity", "lost+found", "mysql", "pod", "tmp"]);
                return true;
            });
            assert.equal((await insert(-1)).code, 0);
            await everySlaveFollows();
        });

        it("waits for its slaves if they restart at the same time", async () => {
            await system(2);
            const end = writing(0);
            await waitFor("twenty rows", 60, async () => (await rows(master)).length > 20);
            await Promise.all([master, ...slaves].map((pod) => docker(["kill", pods.running(pod)])));
            await loseMaster();
            const acknowledged = await end();
            await startMaster();
            await pods.unready(master, /0 of the 2 slaves that could provide it answer/);
            await docker(["start", ...slaves.map((pod) => pods.running(pod))]);
            await isBack(acknowledged);
            await everySlaveFollows();
        });

        it("starts from scratch after a kill while it takes the data, and every slave gets its receiver back", async () => {
            await system(1);
            await insert(1);
            await everySlaveFollows();
            for (const step of [
                /taking the data from the slave/,
                /cloning .*, identity/,
                /took the data from the slave/,
            ]) {
                await loseMaster();
                await startMaster();
                await pods.logged(pods.running(master), step);
                await docker(["kill", pods.running(master)]);
                await docker(["start", pods.running(master)]);
                await isBack([1]);
                assert.equal(
                    (await insert(Number(await pods.sql(master, "SELECT MAX(n) + 1 FROM form.t")))).code,
                    0,
                );
                await everySlaveFollows();
            }
        });

        it("waits if there are fewer slaves than before and names them, until a new word overrides the missing one", async () => {
            await system(1);
            await insert(1);
            await everySlaveFollows();
            await loseMaster();
            await startMaster({ slaves: 2, bootstrap: "one", env: { BOOTSTRAP: "one" } });
            await pods.unready(master, new RegExp(`1 of the 2 slaves .* has identity ${identity}`));
            const { waiting, role } = await status(master);
            assert.match(waiting ?? "", /1 of the 2 slaves/);
            assert.equal(role, "master");
            await pods.stop(master);
            await startMaster({ slaves: 2, bootstrap: "one", env: { BOOTSTRAP: "two" } });
            await isBack([1]);
            await everySlaveFollows();
        });

        it("waits if there is no slave at all, until a new word lets it start from scratch", async () => {
            await system(0);
            await insert(1);
            await loseMaster();
            await startMaster({ slaves: 1 });
            await pods.unready(master, /was in use before: 0 of the 1 slaves/);
            await pods.stop(master);
            await startMaster({ slaves: 1, env: { BOOTSTRAP: "anew", ON_NO_REPLICA: "degrade" } });
            await pods.ready(master);
            assert.notEqual(await pods.sql(master, "SELECT id FROM replication.identity"), identity);
        });
    });

    describe("a master whose volume holds something else", () => {
        it("never opens with an older copy, from which no slave takes anything, and heals without the volume", async () => {
            await system(2);
            await bringOlderCopyBack();
            const held = await pods.sql(slaves[0] as Pod, "SELECT @@GLOBAL.gtid_executed");
            await startMaster();
            await pods.unready(master, /an older copy of the volume was restored/);
            const closed = await pods.login(
                master,
                "mysql-master",
                "dabaweb",
                pods.passwords.dabaweb,
                "-e",
                "DO 0",
            );
            assert.match(closed.stderr, /ERROR 3032/);
            for (const pod of slaves) {
                assert.deepEqual(await rows(pod), [1, 2]);
                assert.equal(await pods.sql(pod, "SELECT @@GLOBAL.gtid_executed"), held);
            }
            const { code } = await pods.stop(master);
            assert.equal(code, 0);
            await pods.emptyVolume(master);
            await startMaster();
            await isBack([1, 2]);
            await everySlaveFollows();
        });

        it("opens an older copy that the operator declares correct as a new history, which no slave mixes with its own", async () => {
            await system(1);
            await bringOlderCopyBack();
            await startMaster({ env: { BOOTSTRAP: "older", ON_NO_REPLICA: "degrade" } });
            await pods.ready(master);
            const declared = await pods.sql(master, "SELECT id FROM replication.identity");
            assert.notEqual(declared, identity);
            assert.deepEqual(await rows(master), [1]);
            await insert(3);
            const [slave] = slaves as [Pod];
            await refused(slave);
            assert.deepEqual(await rows(slave), [1, 2]);
            await pods.restart(master, {
                initialised: true,
                slaves: 1,
                env: { POD_NAME: "mysql-master-0", ON_NO_REPLICA: "degrade" },
            });
            assert.equal(await pods.sql(master, "SELECT id FROM replication.identity"), declared);
            // The word does not count again, whether or not the update that brought it has succeeded.
            const words = await exec(pods.running(master), ["cat", "/data/bootstrap"]);
            assert.equal(words.stdout, "older\n");
        });

        it("closes again if the slave that has more answers late; meanwhile, nothing is acknowledged or mixed", async () => {
            await system(1);
            const [slave] = slaves as [Pod];
            const uuid = await pods.sql(master, "SELECT @@server_uuid");
            await bringOlderCopyBack();
            await pods.stop(slave);
            // A word that was used before does not open it, even if no update has recorded it.
            await pods.scope.inVolume(master.volume, "echo spent >bootstrap; chown 10001 bootstrap");
            await startMaster({ env: { BOOTSTRAP: "spent" } });
            await pods.ready(master);
            // Its transactions cannot be taken for those that the slave has.
            assert.notEqual(await pods.sql(master, "SELECT @@server_uuid"), uuid);
            const write = await hangs(3);
            await pods.start(slave);
            await pods.unready(master, /an older copy of the volume was restored/);
            assert.match((await write()).stderr, /ERROR 2013/);
            assert.match(await insertAsApplication(4), /ERROR 3032/);
            assert.deepEqual(await rows(slave), [1, 2]);
            await pods.stop(master);
            await pods.emptyVolume(master);
            await startMaster();
            await isBack([1, 2]);
            await everySlaveFollows();
        });

        it("is refused by the slaves if it is a new system, and they keep everything they have", async () => {
            await system(2);
            await insert(1);
            await everySlaveFollows();
            await loseMaster();
            await pods.start(master, { env: { POD_NAME: "mysql-master-0", ON_NO_REPLICA: "degrade" } });
            await pods.ready(master);
            assert.notEqual(await pods.sql(master, "SELECT id FROM replication.identity"), identity);
            await pods.sql(
                master,
                "CREATE TABLE IF NOT EXISTS form.t (n INT PRIMARY KEY); INSERT INTO form.t VALUES (2)",
            );
            for (const pod of slaves) {
                await refused(pod);
                assert.deepEqual(await rows(pod), [1]);
                assert.equal(await pods.sql(pod, "SELECT id FROM replication.identity"), identity);
            }
        });
    });

    /** Writes a row as the application. Returns the error, or nothing. */
    async function insertAsApplication(n: number): Promise<string> {
        const account = ["mysql-master", "dabaweb", pods.passwords.dabaweb] as const;
        return (await pods.login(master, ...account, "-e", `INSERT INTO form.t VALUES (${n})`)).stderr;
    }

    /** The master does not let a slave in. */
    async function refused(pod: Pod): Promise<void> {
        await waitFor(`${pod.name} is refused`, 60, async () => {
            const query = "SELECT last_error_message FROM performance_schema.replication_connection_status";
            const message = await pods.sql(pod, query);
            if (message.includes("Access denied")) {
                return true;
            }
            throw new Error(message);
        });
    }

    describe("commits without a slave", () => {
        it("wait: a write hangs until a slave with data returns", async () => {
            await system(1);
            const [slave] = slaves as [Pod];
            await insert(1);
            await everySlaveFollows();
            await docker(["kill", pods.running(slave)]);
            const write = await hangs(2);
            await docker(["start", pods.running(slave)]);
            assert.equal((await write()).code, 0);
            await everySlaveFollows();
        });

        if (isLong) {
            it("wait: writes that hang from the start do not block the clone of the first slave, and return when it is attached", async () => {
                await system(0);
                await startMaster({ slaves: 0 }, "restart");
                const write = await hangs(1);
                slaves = [await addSlave(0)];
                assert.equal((await write()).code, 0);
                await attached(1);
                await everySlaveFollows();
            });
        }

        it("wait: a write that hangs because the only slave is lost is disconnected for the clone of a new one, never acknowledged", async () => {
            const lost = await lostOnlySlave();
            const write = await hangs(2);
            await pods.seed(lost);
            assert.match((await write()).stderr, /ERROR 2013/);
            await pods.start(lost);
            await attached(1);
            assert.equal((await insert(3)).code, 0);
            await everySlaveFollows();
            assert.deepEqual(await rows(lost), [1, 2, 3]);
        });

        it("wait: a restarted companion does not wait for a slave itself, and unblocks its clone", async () => {
            const lost = await lostOnlySlave();
            await killCompanion();
            const write = await hangs(2);
            await pods.seed(lost);
            assert.match((await write()).stderr, /ERROR 2013/);
            await pods.start(lost);
            await attached(1);
            await pods.ready(master);
            await everySlaveFollows();
        });

        it("wait: closed before it stops, the server stops in time and acknowledges nothing that no slave has", async () => {
            await system(0);
            await startMaster({ slaves: 0 }, "restart");
            const write = await hangs(1);
            assert.equal((await exec(pods.running(master), [`${bin}/close`])).code, 0);
            const { code, log } = await pods.stop(master);
            assert.equal(code, 0);
            assert.match(log, /closing: not waiting for the slaves.*Lock wait timeout/);
            assert.match((await write()).stderr, /ERROR 2013/);
        });

        it("wait: clients that try again leave room for the slave that ends their wait, and for the operator", async () => {
            await system(1);
            const [slave] = slaves as [Pod];
            await docker(["kill", pods.running(slave)]);
            // Three for the application, which the next opening applies.
            await pods.sql(master, "SET GLOBAL max_connections = 53");
            await exec(pods.running(master), ["bash", "-c", "echo test >/run/mysqld/older"]);
            await pods.logged(pods.running(master), /closing again: test/);
            await pods.ready(master);
            const writes = [await hangs(1), await hangs(2), await hangs(3)];
            const hanging =
                "SELECT COUNT(*) FROM performance_schema.threads WHERE processlist_user = 'dabaweb'";
            await waitFor("three clients", 60, async () => (await pods.sql(master, hanging)) === "3");
            assert.match(await insertAsApplication(4), /ERROR 1226/);
            // The operator's writes hang, too, and cannot lock out the probes.
            const operator = Array.from({ length: 10 }, (_, n) =>
                docker([
                    "exec",
                    "-d",
                    pods.running(master),
                    "mysql",
                    "-e",
                    `INSERT INTO form.t VALUES (${10 + n})`,
                ]),
            );
            await Promise.all(operator);
            await waitFor("the operator's limit", 60, async () =>
                /ERROR 1226/.test((await pods.mysql(master, "DO 0")).stderr),
            );
            await pods.ready(master);
            assert.match(
                (await status(master)).replication ?? "",
                /, 1\d commits wait, the longest for \d+ s; connections \d+ of 53, of dabaweb 3 of 3/,
            );
            await docker(["start", pods.running(slave)]);
            for (const write of writes) {
                assert.equal((await write()).code, 0);
            }
            await everySlaveFollows();
        });

        it("wait: the runbook's command ends the waiting commits", async () => {
            await system(0);
            await startMaster({ slaves: 0 }, "restart");
            const write = await hangs(1);
            const [line] = parsePage(readFileSync("docs/runbook.md", "utf8"))
                .filter(({ heading, mark }) => heading === "Writes hang" && mark === "shown")
                .flatMap(({ commands }) => commands)
                .map((command) => command.line);
            const [, statement = ""] = /mysql -e '(.*)'$/.exec(line ?? "") ?? [];
            assert.match(statement, /^SET GLOBAL /);
            await pods.sql(master, statement);
            assert.equal((await write()).code, 0);
        });

        if (isLong) {
            it("wait: neither a long query nor a long transaction makes others wait when a first slave attaches", async () => {
                await system(1);
                const [slave] = slaves as [Pod];
                await insert(1);
                await everySlaveFollows();
                await pods.stop(slave);
                await startMaster({}, "restart");
                const busy = ["SELECT n, SLEEP(300) FROM form.t", "UPDATE form.u SET n = n + SLEEP(300)"];
                await pods.sql(
                    master,
                    "SET sql_log_bin = 0; CREATE TABLE form.u (n INT PRIMARY KEY); INSERT INTO form.u VALUES (1)",
                );
                for (const statement of busy) {
                    await docker(["exec", "-d", pods.running(master), "mysql", "-e", statement]);
                }
                const running =
                    "SELECT GROUP_CONCAT(processlist_id) FROM performance_schema.threads " +
                    "WHERE processlist_info LIKE '%SLEEP(300)%' AND processlist_id <> CONNECTION_ID()";
                await waitFor("both run", 60, async () => (await pods.sql(master, running)).includes(","));
                await pods.start(slave);
                // Each beat is a turn in which the master could have taken the lock.
                const beats =
                    "SELECT COUNT(*) FROM replication.heartbeat WHERE at > NOW(6) - INTERVAL 2 SECOND";
                for (let n = 2; n < 12; n += 1) {
                    assert.equal(await insertAsApplication(n), "");
                    assert.equal((await pods.mysql(master, "SELECT COUNT(*) FROM form.t", 3)).code, 0);
                    await waitFor("a beat", 60, async () => (await pods.sql(master, beats)) === "1");
                    await pods.sql(master, "DO SLEEP(1)");
                }
                const ids = await pods.sql(master, running);
                assert.match(ids, /^\d+,\d+$/);
                await pods.sql(
                    master,
                    ids
                        .split(",")
                        .map((id) => `KILL ${id};`)
                        .join(" "),
                );
                await attached(1);
            });
        }

        it("degrade: a write returns", async () => {
            await system(1);
            const [slave] = slaves as [Pod];
            await startMaster({ env: { ON_NO_REPLICA: "degrade" } }, "restart");
            await attached(1);
            await docker(["kill", pods.running(slave)]);
            assert.equal((await insert(1)).code, 0);
            assert.match(
                (await status(master)).replication ?? "",
                /^semi-sync off, degrade, 0 slaves acknowledge/,
            );
            await docker(["start", pods.running(slave)]);
            await attached(1);
            await everySlaveFollows();
            await waitFor("semi-sync to be on", 60, async () =>
                /^semi-sync on, degrade, 1 slaves acknowledge/.test((await status(master)).replication ?? ""),
            );
        });
    });

    describe("a master with slaves", () => {
        it("has a heartbeat on every slave, and stops within its grace period", async () => {
            await system(2);
            for (const pod of slaves) {
                const age = "SELECT TIMESTAMPDIFF(SECOND, at, NOW()) < 5 FROM replication.heartbeat";
                await waitFor(
                    `a fresh heartbeat on ${pod.name}`,
                    60,
                    async () => (await pods.sql(pod, age)) === "1",
                );
            }
            const { code } = await pods.stop(master);
            assert.equal(code, 0);
        });

        it("leaves every attached slave with the same transactions if it is closed before it stops", async () => {
            await system(2);
            const late = pods.running(slaves[1] as Pod);
            await pods.sql(master, "CREATE TABLE form.large (text LONGTEXT)");
            await everySlaveFollows();
            const closing = await whilePaused(late, async () => {
                // More than the kernel buffers of a connection whose other end does not read.
                const large = "INSERT INTO form.large VALUES (REPEAT('x', 2 << 20));";
                assert.equal((await pods.mysql(master, large.repeat(16), 60)).code, 0);
                // Long enough for a busy machine: how long a slave takes is not what this tests.
                const result = exec(pods.running(master), ["env", "PATIENCE=60", `${bin}/close`], {
                    timeoutSeconds: 90,
                });
                await waitFor("writes to be refused", 60, async () =>
                    /read.only/.test((await insert(1)).stderr),
                );
                // Wrapped, as the result is due only when the slave reads again.
                return { result };
            });
            assert.equal((await closing.result).code, 0);
            assert.match(
                await pods.kill(master),
                /closing: 2 slaves have everything that was committed, 0 are behind/,
            );
            const held = await Promise.all(slaves.map((slave) => pods.sql(slave, HELD)));
            assert.equal(held[0], held[1]);
        });

        it("writes no transactions of its own while it has no slaves", async () => {
            await system(0);
            const before = await pods.sql(master, "SELECT @@GLOBAL.gtid_executed");
            await pods.sql(master, "DO SLEEP(3)");
            assert.equal(await pods.sql(master, "SELECT @@GLOBAL.gtid_executed"), before);
        });

        it("is not affected by the death of its companion", async () => {
            await system(1);
            await killCompanion();
            assert.equal((await insert(1)).code, 0);
            await pods.ready(master);
            await everySlaveFollows();
            assert.equal((await pods.stop(master)).code, 0);
        });
    });
});
