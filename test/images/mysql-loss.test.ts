import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { COMMAND_SECONDS, PATIENCE, Result } from "../support/command";
import { docker, exec, logs, networkAddress, waitFor, whilePaused } from "../support/docker";
import { isLong } from "../support/long";
import { bin, Marker, MysqlPods, Pod } from "../support/mysql-pods";
import { parsePage } from "../support/page";

/** The transactions that a slave has executed or received. */
const HELD =
    "SELECT GTID_SUBTRACT(CONCAT(@@GLOBAL.gtid_executed, ',', received_transaction_set), '') " +
    "FROM performance_schema.replication_connection_status";

/** How many commits wait for a slave. */
const HANGING =
    "SELECT COUNT(*) FROM performance_schema.threads WHERE processlist_state LIKE 'Waiting for semi-sync ACK%'";

describe("loss of a mysql master", () => {
    const pods = new MysqlPods("mysql-loss", { ON_NO_REPLICA: "wait" });
    let made = 0;
    let master: Pod;
    let slaves: Pod[] = [];
    let identity: string;

    before("check Docker; create images and network", async () => {
        await pods.setUp();
    });

    /** Whether there is a system, and whether the next test takes it over. */
    let isThere = false;
    let isShared = false;

    afterEach(
        "after a failure, print the logs; remove what the next test does not take over",
        async function () {
            const failed = this.currentTest?.state === "failed";
            for (const { name, container } of failed ? [master, ...slaves] : []) {
                if (container !== undefined) {
                    console.log(`${name}:\n${(await logs(container)).split("\n").slice(-40).join("\n")}`);
                }
            }
            if (failed || !isShared) {
                await removeSystem();
            }
        },
    );

    after("remove everything", async () => {
        await pods.tearDown();
    });

    /** A stopped system with one table and otherwise unused: a master, and slaves that replicate. */
    const fresh: Pod[] = [];

    before("create a system that others are copies of", async () => {
        master = await pods.newPod("mysql-master", "master");
        await pods.start(master, { env: { POD_NAME: "mysql-master-0", ON_NO_REPLICA: "degrade" } });
        await pods.ready(master);
        await pods.sql(master, "CREATE TABLE form.t (n INT PRIMARY KEY)");
        identity = await pods.sql(master, "SELECT id FROM replication.identity");
        const first = await pods.newPod("mysql-slave-0-0", "slave");
        await pods.seed(first);
        // One seed is enough: the other slave gets a copy of what it made, without the server_uuid.
        const second = await pods.copyOf(first, "mysql-slave-0-1");
        await pods.scope.inVolume(second.volume, "rm mysql/auto.cnf");
        slaves = [first, second];
        await Promise.all(slaves.map((pod) => pods.start(pod)));
        await attached(2);
        await stopMaster();
        await Promise.all(slaves.map((pod) => pods.stop(pod)));
        fresh.push(master, ...slaves);
    });

    /** Makes master and slaves a copy of that system, with this many attached slaves. */
    async function system(count: number): Promise<void> {
        made += 1;
        const copy = (pod: Pod, name: string) => pods.copyOf(pod, name);
        const [first, ...others] = fresh as [Pod, ...Pod[]];
        [master, ...slaves] = (await Promise.all([
            copy(first, `mysql-master-${made}`),
            ...others.slice(0, count).map((pod, n) => copy(pod, `mysql-slave-${made}-${n}`)),
        ])) as [Pod, ...Pod[]];
        isThere = true;
        await Promise.all(slaves.map((pod) => pods.start(pod)));
        await startMaster();
        await pods.ready(master);
        if (count > 0) {
            await attached(count);
        }
    }

    async function removeSystem(): Promise<void> {
        const remove = async (pod: Pod): Promise<void> => {
            if (pod.container !== undefined) {
                await pods.kill(pod);
            }
            await pods.scope.removeVolumes(pod.volume);
        };
        if (isThere) {
            isThere = false;
            await Promise.all([master, ...slaves].map(remove));
            slaves = [];
        }
    }

    /** The tests of this group have one system, which each leaves whole, and the last one as it likes. */
    function share(count: number, prepare?: () => Promise<void>): void {
        before(() => (isShared = true));
        beforeEach("create a system if there is none", async () => {
            if (!isThere) {
                await system(count);
                await prepare?.();
            }
        });
        after("remove the system", removeSystem);
    }

    /** Each test of this group has its own system. */
    function doNotShare(count: number): void {
        before(() => (isShared = false));
        beforeEach("create a system", () => system(count));
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
            await stopMaster();
        }
        const markers = { initialised: true, slaves: slaves.length, ...marker };
        await pods.start(master, { ...markers, env: { POD_NAME: "mysql-master-0", ...env } });
        if (how === "restart") {
            await pods.ready(master);
        }
    }

    /** Stops the master, which ends by itself within its grace period. */
    async function stopMaster(): Promise<string> {
        const { code, log } = await pods.stop(master);
        assert.equal(code, 0, log.slice(-2000));
        return log;
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

    function insert(n: number, timeoutSeconds = COMMAND_SECONDS): Promise<Result> {
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

    /** The table is empty everywhere. */
    async function clear(): Promise<void> {
        await pods.sql(master, "DELETE FROM form.t");
        await everySlaveFollows();
    }

    /** Leaves the master stopped, with row 1 on its volume, while the slaves have rows 1 and 2. */
    async function bringOlderCopyBack(): Promise<void> {
        await insert(1);
        await everySlaveFollows();
        await stopMaster();
        await pods.scope.inVolume(master.volume, "cp -a mysql lost+found/copy");
        await startMaster();
        await pods.ready(master);
        await insert(2);
        await everySlaveFollows();
        await stopMaster();
        await pods.scope.inVolume(master.volume, "rm -rf mysql; cp -a lost+found/copy mysql");
    }

    /** Removes a pod, running or not, and its volume, and gives the pod an empty one. */
    async function loseMaster(): Promise<void> {
        await pods.kill(master);
        await pods.emptyVolume(master);
    }

    /** Loses the only slave with its volume, after row 1. */
    async function loseOnlySlave(): Promise<Pod> {
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
        const result = pods.loginFor(COMMAND_SECONDS, master, ...account, "-e", statement);
        await waitFor("the write hangs", 60, async () => {
            return (await pods.sql(master, HANGING)) !== "0";
        });
        return () => result;
    }

    /** Kills the master's companion and, with it, its query in the server; the companion is restarted. */
    async function killCompanion(): Promise<void> {
        const find = `for p in /proc/[0-9]*; do [[ $(tr '\\0' ' ' <$p/cmdline) == "bash ${bin}/open"* ]] && kill -9 \${p#/proc/}; done; true`;
        const restarts = async () =>
            (await logs(pods.running(master))).split("the server's companion has exited; restarting it")
                .length;
        const before = await restarts();
        assert.equal((await exec(pods.running(master), ["bash", "-c", find])).code, 0);
        await waitFor("the companion to be restarted", 60, async () => (await restarts()) > before);
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

    describe("a master with two slaves", () => {
        share(2);
        beforeEach("start from an empty table", clear);

        it("gets back all acknowledged writes, even those that a slave has only received, and the slaves follow", async () => {
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

        it("never opens with an older copy, from which no slave takes anything, and heals without the volume", async () => {
            await bringOlderCopyBack();
            // The last heartbeat may be with one of them only.
            const held = await Promise.all(slaves.map((pod) => pods.sql(pod, HELD)));
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
            for (const [n, pod] of slaves.entries()) {
                assert.deepEqual(await rows(pod), [1, 2]);
                assert.equal(await pods.sql(pod, HELD), held[n]);
            }
            await stopMaster();
            await pods.emptyVolume(master);
            await startMaster();
            await isBack([1, 2]);
            await everySlaveFollows();
        });

        it("has a heartbeat on every slave, and leaves every attached one with the same transactions if it is closed before it stops", async () => {
            for (const pod of slaves) {
                const age = "SELECT TIMESTAMPDIFF(SECOND, at, NOW()) < 5 FROM replication.heartbeat";
                await waitFor(
                    `a fresh heartbeat on ${pod.name}`,
                    60,
                    async () => (await pods.sql(pod, age)) === "1",
                );
            }
            const late = pods.running(slaves[1] as Pod);
            await pods.sql(master, "CREATE TABLE form.large (text LONGTEXT)");
            await everySlaveFollows();
            const closing = await whilePaused(late, async () => {
                // More than the kernel buffers of a connection whose other end does not read.
                const large = "INSERT INTO form.large VALUES (REPEAT('x', 2 << 20));";
                assert.equal((await pods.mysql(master, large.repeat(16))).code, 0);
                // Else a commit could wait for its disk, and the server would close without its lock.
                await pods.caughtUp(master, slaves[0] as Pod);
                // Long enough for a busy machine: how long a slave takes is not what this tests.
                const result = exec(pods.running(master), ["env", "PATIENCE=60", `${bin}/close`]);
                await waitFor("writes to be refused", 60, async () =>
                    /read.only/.test((await insert(1)).stderr),
                );
                // Wrapped, as the result is due only when the slave reads again.
                return { result };
            });
            assert.equal((await closing.result).code, 0);
            await pods.logged(
                pods.running(master),
                /closing: 2 slaves have everything that was committed, 0 are behind/,
            );
            await pods.kill(master);
            const held = await Promise.all(slaves.map((slave) => pods.sql(slave, HELD)));
            assert.equal(held[0], held[1]);
            await startMaster();
            await isBack([]);
        });

        it("takes no data from a slave that holds other data than it held, unless the operator says so", async () => {
            assert.equal((await insert(1)).code, 0);
            assert.equal((await insert(2)).code, 0);
            await everySlaveFollows();
            // The one that comes first among equals.
            const found = await Promise.all(
                slaves.map(async (pod) => ({
                    pod,
                    address: await networkAddress(pods.running(pod)),
                })),
            );
            const [bad, good] = found.sort((a, b) => (a.address < b.address ? -1 : 1)) as [
                (typeof found)[0],
                (typeof found)[0],
            ];
            await pods.byHand(bad.pod, "SET sql_log_bin = 0; DELETE FROM form.t WHERE n = 1");
            await waitFor("it is found", 180, async () =>
                /table form\.t has/.test((await status(bad.pod)).differs ?? ""),
            );
            await loseMaster();
            await startMaster();
            await isBack([1, 2]);
            assert.match(
                await logs(pods.running(master)),
                new RegExp(`taking the data from the slave ${good.address.replaceAll(".", "[.]")},`),
            );
            // Without the other one, it waits, even if the slave starts anew and cannot compare itself any more.
            await Promise.all([good, bad].map(({ pod }) => pods.caughtUp(master, pod)));
            await pods.kill(good.pod);
            await loseMaster();
            await pods.restart(bad.pod);
            await startMaster({ slaves: 1 });
            await pods.unready(
                master,
                /every slave that has all transactions \(.*\) did not hold what the master held/,
            );
            await pods.stop(master);
            await startMaster({ slaves: 1, bootstrap: "", env: { BOOTSTRAP: "as-it-is" } });
            await pods.ready(master);
            assert.deepEqual(await rows(master), [2]);
        });
    });

    describe("a master with one slave that loses its pod and volume", () => {
        share(1, async () => {
            await insert(1);
            await everySlaveFollows();
        });

        it("starts from scratch after a kill while it takes the data, and the slave gets its receiver back", async () => {
            await loseMaster();
            await startMaster();
            for (const step of [
                /taking the data from the slave/,
                /cloning .*, identity/,
                /took the data from the slave/,
            ]) {
                await pods.logged(pods.running(master), step);
                await docker(["kill", pods.running(master)]);
                await docker(["start", pods.running(master)]);
            }
            await isBack([1]);
            assert.match(await logs(pods.running(master)), /removing what an interrupted start left/);
            assert.equal((await insert(2)).code, 0);
            await everySlaveFollows();
        });

        it("waits if there are fewer slaves than before and names them, until a new word overrides the missing one", async () => {
            await loseMaster();
            await startMaster({ slaves: 2, bootstrap: "one", env: { BOOTSTRAP: "one" } });
            await pods.unready(master, new RegExp(`1 of the 2 slaves .* has identity ${identity}`));
            await waitFor("the status to say so", 60, async () => {
                const { waiting, role } = await status(master);
                assert.match(waiting ?? "", /1 of the 2 slaves/);
                assert.equal(role, "master");
                return true;
            });
            await pods.stop(master);
            await startMaster({ slaves: 2, bootstrap: "one", env: { BOOTSTRAP: "two" } });
            // From here on, the word makes no difference.
            await pods.logged(pods.running(master), /taking the data from the slave/);
        });

        it("waits if there is no slave at all, until a new word lets it start from scratch; old slaves refuse it and keep all they have", async () => {
            const [slave] = slaves as [Pod];
            const held = await rows(slave);
            assert.equal(held[0], 1);
            await pods.stop(slave);
            await loseMaster();
            await startMaster({ slaves: 1 });
            await pods.unready(master, /was in use before: 0 of the 1 slaves/);
            await pods.stop(master);
            await startMaster({ slaves: 1, env: { BOOTSTRAP: "anew", ON_NO_REPLICA: "degrade" } });
            await pods.ready(master);
            assert.notEqual(await pods.sql(master, "SELECT id FROM replication.identity"), identity);
            await pods.sql(master, "CREATE TABLE form.t (n INT PRIMARY KEY); INSERT INTO form.t VALUES (-1)");
            await pods.start(slave);
            await refused(slave);
            assert.deepEqual(await rows(slave), held);
            assert.equal(await pods.sql(slave, "SELECT id FROM replication.identity"), identity);
        });
    });

    describe("a master with an older copy of its volume", () => {
        doNotShare(1);

        it("opens an older copy that the operator declares correct as a new history, which no slave mixes with its own", async () => {
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
        });
    });

    describe("commits with one slave", () => {
        share(1);
        beforeEach("start from an empty table", clear);

        it("wait: a write hangs until a slave with data returns", async () => {
            const [slave] = slaves as [Pod];
            await insert(1);
            await everySlaveFollows();
            await docker(["kill", pods.running(slave)]);
            const write = await hangs(2);
            await docker(["start", pods.running(slave)]);
            assert.equal((await write()).code, 0);
            await everySlaveFollows();
        });

        it("wait: a write that hangs because the only slave is lost is disconnected for the clone of a new one, never acknowledged", async () => {
            const lost = await loseOnlySlave();
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
            const lost = await loseOnlySlave();
            await killCompanion();
            const write = await hangs(2);
            await pods.seed(lost);
            assert.match((await write()).stderr, /ERROR 2013/);
            await pods.start(lost);
            await attached(1);
            await pods.ready(master);
            await everySlaveFollows();
        });

        it("wait: clients that try again leave room for the slave that ends their wait, and for the operator", async () => {
            const [slave] = slaves as [Pod];
            await docker(["kill", pods.running(slave)]);
            // Three for the application, which the next opening applies.
            await pods.sql(master, "SET GLOBAL max_connections = 56");
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
            await waitFor("status counts them", 60, async () =>
                /, 1\d commits wait, the longest for \d+ s; connections \d+ of 56, of dabaweb 3 of 3/.test(
                    (await status(master)).replication ?? "",
                ),
            );
            await docker(["start", pods.running(slave)]);
            for (const write of writes) {
                assert.equal((await write()).code, 0);
            }
            await everySlaveFollows();
        });

        it("is not affected by the death of its companion", async () => {
            await killCompanion();
            assert.equal((await insert(1)).code, 0);
            await pods.ready(master);
            await everySlaveFollows();
        });

        it("degrade: a write returns", async () => {
            const [slave] = slaves as [Pod];
            await startMaster({ env: { ON_NO_REPLICA: "degrade" } }, "restart");
            await attached(1);
            await docker(["kill", pods.running(slave)]);
            assert.equal((await insert(1)).code, 0);
            await waitFor("the slave to be gone", 60, async () =>
                /^semi-sync off, degrade, 0 slaves acknowledge/.test(
                    (await status(master)).replication ?? "",
                ),
            );
            await docker(["start", pods.running(slave)]);
            await attached(1);
            await everySlaveFollows();
            await waitFor("semi-sync to be on", 60, async () =>
                /^semi-sync on, degrade, 1 slaves acknowledge/.test((await status(master)).replication ?? ""),
            );
        });

        if (isLong) {
            it("wait: neither a long query nor a long transaction makes others wait when a first slave attaches", async () => {
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
                    assert.equal(
                        (await pods.mysql(master, "SELECT COUNT(*) FROM form.t", 3 * PATIENCE)).code,
                        0,
                    );
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
    });

    describe("commits without a slave", () => {
        share(0);

        it("writes no transactions of its own while it has no slaves", async () => {
            const before = await pods.sql(master, "SELECT @@GLOBAL.gtid_executed");
            await pods.sql(master, "DO SLEEP(3)");
            assert.equal(await pods.sql(master, "SELECT @@GLOBAL.gtid_executed"), before);
            // The first one would wait for a slave, and be the last one.
            assert.equal(await pods.sql(master, HANGING), "0");
        });

        it("wait: the runbook's command ends the waiting commits", async () => {
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

        it("wait: closed before it stops, the server stops in time and acknowledges nothing that no slave has", async () => {
            await startMaster({ slaves: 0 }, "restart");
            const write = await hangs(2);
            assert.equal((await exec(pods.running(master), [`${bin}/close`])).code, 0);
            assert.match(await stopMaster(), /closing: not waiting for the slaves.*Lock wait timeout/);
            assert.match((await write()).stderr, /ERROR 2013/);
        });

        if (isLong) {
            it("wait: writes that hang from the start do not block the clone of the first slave, and return when it is attached", async () => {
                // The test before has stopped it.
                await startMaster({ slaves: 0 });
                await pods.ready(master);
                const write = await hangs(3);
                slaves = [await addSlave(0)];
                assert.equal((await write()).code, 0);
                await attached(1);
                await everySlaveFollows();
            });
        }
    });
});
