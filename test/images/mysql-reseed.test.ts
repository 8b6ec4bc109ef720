import assert from "node:assert/strict";
import { docker, exec, logs, networkAddress, waitFor, whilePaused } from "../support/docker";
import { isLong, times } from "../support/long";
import { MysqlPods, Pod, Start } from "../support/mysql-pods";

describe("mysql slaves that diverge or fall behind", () => {
    const pods = new MysqlPods("mysql-reseed");
    const used = { initialised: true, slaves: 2 };
    let master: Pod;
    let slave: Pod;
    let second: Pod;
    let rows = 0;

    before("start a master with two slaves", async () => {
        await pods.setUp();
        master = await pods.newPod("mysql-master-0", "master");
        slave = await pods.newPod("mysql-slave-0", "slave");
        await pods.start(master);
        await pods.ready(master);
        await pods.sql(master, "CREATE TABLE form.t (n INT PRIMARY KEY)");
        await pods.seed(slave);
        // One seed is enough: the other slave gets a copy of what it made, without the server_uuid.
        second = await pods.copyOf(slave, "mysql-slave-1");
        await pods.scope.inVolume(second.volume, "rm mysql/auto.cnf");
        await Promise.all([slave, second].map((pod) => pods.start(pod)));
        await pods.ready(slave);
        await pods.ready(second);
    });

    after("remove everything", () => pods.tearDown());

    /** Writes a row on the master. */
    async function write(): Promise<void> {
        rows += 1;
        await pods.sql(master, `INSERT INTO form.t VALUES (${rows})`);
    }

    /** Waits until slaves have every row, and nothing that the master does not have. */
    async function haveAll(...slaves: Pod[]): Promise<void> {
        for (const pod of slaves) {
            await pods.ready(pod);
            await pods.caughtUp(master, pod);
            assert.equal(await pods.sql(pod, "SELECT COUNT(*) FROM form.t"), String(rows));
        }
    }

    /** Waits until a container has exited by itself and restarts it, as the kubelet does. */
    async function startedAgain(pod: Pod): Promise<void> {
        const container = pods.running(pod);
        await waitFor(`${pod.name} ends by itself`, 120, async () => {
            const state = await docker(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", container]);
            if (state === "exited 0") {
                return true;
            }
            throw new Error(`${state}: ${(await logs(container)).slice(-3000)}`);
        });
        await docker(["start", container]);
    }

    /** Address of a running pod. */
    function address(pod: Pod): Promise<string> {
        return networkAddress(pods.running(pod));
    }

    /** Waits until a slave has shut down for this reason and has cloned its data again. Returns the log. */
    async function heals(pod: Pod, why: RegExp): Promise<string> {
        await startedAgain(pod);
        await haveAll(pod);
        const log = await logs(pods.running(pod));
        assert.match(log, why);
        assert.deepEqual(await files(pod), ["identity", "lost+found", "mysql", "tmp"]);
        return log;
    }

    /** What is on a pod's volume, except what it remembers. */
    async function files(pod: Pod): Promise<string[]> {
        const { stdout } = await exec(pods.running(pod), ["ls", "/data"]);
        return stdout
            .trim()
            .split("\n")
            .filter((name) => !["compared", "compared.new", "copies", "former", "pod"].includes(name));
    }

    async function restart(pod: Pod, options: Start = {}): Promise<void> {
        await pods.stop(pod);
        await pods.start(pod, options);
    }

    beforeEach("wait until every slave has everything", async () => {
        // A test may end when it has only just started.
        await pods.ready(master);
        await write();
        await haveAll(slave, second);
        // As if they had replicated for long: copies of the last ten minutes change where the next one comes from, and when.
        for (const pod of [slave, second]) {
            await exec(pods.running(pod), ["rm", "-f", "/data/copies"]);
        }
    });

    it("acknowledge semi-synchronously from the first start of the receiver", async () => {
        const status = "SHOW STATUS LIKE 'Rpl_semi_sync_replica_status'";
        assert.match(await pods.sql(slave, status), /ON$/);
        assert.match(await pods.sql(second, status), /ON$/);
    });

    it("take the password of seed from the mounted file, whatever the master sent", async () => {
        await pods.byHand(
            slave,
            "SET sql_log_bin = 0; ALTER USER seed IDENTIFIED BY 'forgotten'; ALTER USER seed DISCARD OLD PASSWORD",
        );
        const asSeed = async (): Promise<number> =>
            (await pods.login(master, "mysql-slave-0", "seed", pods.passwords.seed, "-e", "SELECT 1")).code;
        assert.equal(await asSeed(), 1);
        await restart(slave);
        await pods.ready(slave);
        assert.equal(await asSeed(), 0);
    });

    describe("with limits of a few seconds", () => {
        before("start a slave with them", async () => {
            await restart(slave, { env: { MAX_MASTER_AWAY_SECONDS: "4", MAX_STALE_SECONDS: "4" } });
            await pods.ready(slave);
        });

        after("start it with the usual ones", () => restart(slave));

        it("serve while the master is away, become unready when their data is too old, and recover by themselves", async () => {
            await pods.stop(master);
            await pods.unready(
                slave,
                /replication receiver is CONNECTING: MAX_MASTER_AWAY_SECONDS allows 4;/,
            );
            // Away for just as long, but within the limit.
            await pods.ready(second);
            assert.equal(await pods.sql(slave, "SELECT COUNT(*) FROM form.t"), String(rows));
            await pods.start(master, used);
            await pods.ready(master);
            await write();
            await haveAll(slave, second);
        });

        it("become unready when their data gets too old while the link is up, and recover by themselves", async () => {
            await pods.outdate(slave, 4);
            await pods.ready(slave);
        });
    });

    it("restart an applier that stops at an error; if that does not help, they replace the data", async () => {
        await pods.byHand(slave, `SET sql_log_bin = 0; DELETE FROM form.t WHERE n = ${rows}`);
        await pods.sql(master, `DELETE FROM form.t WHERE n = ${rows}`);
        rows -= 1;
        await pods.unready(slave, /the replication applier is OFF: 1032 /);
        await heals(slave, /replaced by a clone of .* the applier stopped again after 3 starts: 1032 /);
        rows += 1;
        await pods.sql(master, `INSERT INTO form.t VALUES (${rows})`);
    });

    it("keep across starts what they received but cannot apply, with and without the master", async () => {
        await restart(slave, { env: { AUTO_RESEED: "no" } });
        await pods.ready(slave);
        await pods.byHand(slave, `SET sql_log_bin = 0; INSERT INTO form.t VALUES (${rows + 1})`);
        await write();
        const all = await pods.sql(master, "SELECT @@GLOBAL.gtid_executed");
        await pods.unready(slave, /the replication applier is OFF: 1062 /);
        const missing = `SELECT GTID_SUBTRACT('${all}', CONCAT(@@GLOBAL.gtid_executed, ',', received_transaction_set))
            FROM performance_schema.replication_connection_status WHERE channel_name = ''`;
        // The other slave alone may have acknowledged the last heartbeat.
        await waitFor(
            "the slave has received it all",
            60,
            async () => (await pods.sql(slave, missing)) === "",
        );
        await pods.stop(master);
        for (let start = 1; start <= times(2, 5); start += 1) {
            await restart(slave, { env: { AUTO_RESEED: "no" } });
            await pods.unready(slave, /the replication applier is OFF: 1062 /);
            assert.equal(await pods.sql(slave, missing), "", `after start ${start}`);
        }
        await pods.start(master, used);
        await restart(slave, { env: { AUTO_RESEED: "no" } });
        await pods.unready(slave, /the replication applier is OFF: 1062 /);
        await pods.byHand(slave, `SET sql_log_bin = 0; DELETE FROM form.t WHERE n = ${rows}`);
        await pods.sql(slave, "START REPLICA SQL_THREAD");
        await pods.ready(master);
        await haveAll(slave);
        await restart(slave);
    });

    describe("a gap", () => {
        /** Makes the master forget what a slave has not received. */
        async function gap(): Promise<void> {
            await write();
            await pods.sql(master, "FLUSH BINARY LOGS");
            const last = (await pods.sql(master, "SHOW BINARY LOG STATUS")).split("\t")[0];
            // A log that a slave still reads is left out, with a warning.
            await waitFor("the older binlogs to be purged", 60, async () => {
                await pods.sql(master, `PURGE BINARY LOGS TO '${last}'`);
                return (await pods.sql(master, "SHOW BINARY LOGS")).startsWith(last!);
            });
        }

        it("stays if AUTO_RESEED is no, and the slave reports it and what to do; otherwise, the data comes from the other slave, which has everything", async () => {
            await pods.stop(slave);
            await gap();
            await haveAll(second);
            await pods.start(slave, { env: { AUTO_RESEED: "no" } });
            await pods.unready(
                slave,
                /no longer has the binlogs .*; AUTO_RESEED is no, so the data stays: delete this pod and its claim/,
            );
            assert.equal(await pods.sql(slave, "SELECT COUNT(*) FROM form.t"), String(rows - 1));
            // On a busy machine, the other slave can be behind for a moment, and would not be taken.
            await restart(slave, { env: { MAX_STALE_SECONDS: "600" } });
            await heals(
                slave,
                new RegExp(`replaced by a clone of ${(await address(second)).replace(/\./g, "[.]")}:`),
            );
        });

        it("that comes from foreign transactions marked as purged heals with one clone, of the master, as no other slave is fit", async () => {
            // The other slave keeps its connection and looks healthy, but lacks the same.
            const foreign = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77";
            await pods.sql(master, `SET GLOBAL gtid_purged = '+${foreign}'`);
            await restart(slave);
            const log = await heals(slave, /replaced by a clone of mysql-master:/);
            assert.equal(log.match(/ cloned .* in \d+ s/g)?.length, 1, log);
            assert.equal(
                await pods.sql(slave, `SELECT GTID_SUBSET('${foreign}', @@GLOBAL.gtid_executed)`),
                "1",
            );
            // The other slave is spared its clone.
            await pods.byHand(second, `SET GLOBAL gtid_purged = '+${foreign}'`);
        });
    });

    describe("transactions written by hand", () => {
        const errant = "CREATE TABLE form.errant (n INT)";

        it("stay while no other server has what this slave has, and then heal, even if the clone is killed half-way", async () => {
            await restart(slave);
            await pods.ready(slave);
            await pods.stop(second);
            await whilePaused(pods.running(master), async () => {
                await pods.byHand(slave, errant);
                await pods.unready(
                    slave,
                    /written on this slave by hand .*; no server is fit to be cloned: .*mysql-master does not answer/,
                );
                assert.equal(await pods.sql(slave, "SELECT COUNT(*) FROM form.t"), String(rows));
            });
            await startedAgain(slave);
            await pods.killCloning(pods.running(slave), master);
            await docker(["start", pods.running(slave)]);
            await pods.start(second);
            await haveAll(slave);
            const log = await logs(pods.running(slave));
            assert.match(log, /replaced by a clone of .*written on this slave by hand/);
            assert.match(log, /removing what an interrupted clone left/);
            assert.equal(await pods.sql(slave, "SHOW TABLES FROM form LIKE 'errant'"), "");
        });
    });

    /** Starts a container again whenever it has ended, as the kubelet does, until the pod is ready. Returns its log. */
    async function restartedUntilReady(pod: Pod): Promise<string> {
        const container = pods.running(pod);
        await waitFor(`${pod.name} is ready after restarts`, 240, async () => {
            const state = await docker(["inspect", "-f", "{{.State.Status}}", container]);
            if (state === "exited") {
                await docker(["start", container]);
                return false;
            }
            const { code, stdout, stderr } = await pods.probe(pod, "ready");
            if (code === 0) {
                return true;
            }
            throw new Error(stdout + stderr + (await logs(container)).slice(-2000));
        });
        return logs(container);
    }

    describe("damaged data", () => {
        const zero = (file: string): string =>
            `for f in ${file}; do head -c $(stat -c %s "$f") /dev/zero >"$f"; done`;
        const damages: [what: string, script: string][] = [
            ["the system tablespace", zero("mysql/ibdata1")],
            ...(isLong
                ? ([
                      ["the redo log", zero("mysql/#innodb_redo/*")],
                      ["a lost redo log", "rm -r mysql/#innodb_redo"],
                      ["the dictionary", zero("mysql/mysql.ibd")],
                      ["the binlog index", "echo nonsense >mysql/binlog.index"],
                      ["auto.cnf", "echo nonsense >mysql/auto.cnf"],
                      ["the index of the relay logs", "echo nonsense >mysql/relay.index"],
                      ["a relay log", zero("mysql/relay.0*")],
                  ] as [string, string][])
                : []),
        ];
        for (const [what, script] of damages) {
            it(`of a slave is replaced by a copy: ${what}`, async () => {
                await pods.stop(slave);
                await pods.scope.inVolume(slave.volume, script);
                await pods.start(slave);
                const log = await restartedUntilReady(slave);
                assert.match(log, /cloned .* in \d+ s/);
                await haveAll(slave);
                assert.deepEqual(await files(slave), ["identity", "lost+found", "mysql", "tmp"]);
            });
        }

        it("of a slave stays while no master can vouch for a donor, and what is not damage is only reported", async () => {
            await pods.stop(slave);
            await pods.stop(master);
            // As after two starts without an answer.
            await pods.scope.inVolume(
                slave.volume,
                "printf '1\\n2\\n' >starts; echo unknown=1 >>mysql/mysqld-auto.cnf; chown 10001 mysql/mysqld-auto.cnf",
            );
            await pods.start(slave);
            await pods.unready(slave, /is damaged.*it stays until the master mysql-master:3306 vouches/);
            assert.equal((await exec(pods.running(slave), ["test", "-e", "/data/mysql/ibdata1"])).code, 0);
            await pods.start(master, used);
            await pods.ready(master);
            await restartedUntilReady(slave);
            await pods.stop(slave);
            // As on a volume whose permissions were changed.
            await pods.scope.inVolume(slave.volume, "printf '1\\n2\\n' >starts; chmod 000 mysql/ibdata1");
            await pods.start(slave);
            await pods.unready(
                slave,
                /MySQL does not start, and the data in .* is not known to be the cause/,
            );
            await pods.scope.inVolume(slave.volume, "chmod 640 mysql/ibdata1");
            await haveAll(slave);
        });

        it("of a master is reported with what the slaves hold and the one command, and stays", async () => {
            await pods.stop(master);
            const broken = await pods.copyOf(master, "mysql-master-2");
            await pods.scope.inVolume(broken.volume, `${zero("mysql/ibdata1")}; printf '1\\n2\\n' >starts`);
            await pods.start(broken, used);
            await pods.unready(
                broken,
                /is damaged, so MySQL cannot start from it: .*ibdata1.*mysql-slave-0 has identity .* up to 2\d{3}-.* UTC; .*kubectl delete --wait=false pvc\/data-mysql-master-2 pod\/mysql-master-2/,
            );
            await pods.stop(broken);
            await pods.start(master, used);
            await pods.ready(master);
        });
    });

    it("get a server_uuid of their own on the volume of another pod", async () => {
        await pods.stop(slave);
        const copy = await pods.copyOf(slave, "mysql-slave-7");
        const old = await pods.copyOf(slave, "mysql-slave-8");
        await pods.scope.inVolume(old.volume, "rm pod");
        await pods.start(slave);
        await pods.start(copy);
        await haveAll(slave, copy);
        const uuids = await Promise.all([slave, copy].map((pod) => pods.sql(pod, "SELECT @@server_uuid")));
        assert.notEqual(uuids[0], uuids[1]);
        // What was written by hand under the former one still counts as written by hand.
        assert.equal((await exec(pods.running(copy), ["cat", "/data/former"])).stdout.trim(), uuids[0]);
        await pods.stop(copy);
        // A volume that was copied before it had the name of its pod: both throw each other off the master, once.
        await pods.start(old);
        await waitFor("one of them takes a new server_uuid", 60, async () => {
            const both = await Promise.all([slave, old].map((pod) => logs(pods.running(pod))));
            return /restarting with a new server_uuid: another slave has the same identity/.test(both.join());
        });
        await restartedUntilReady(old);
        await restartedUntilReady(slave);
        await haveAll(slave, old);
        await pods.stop(old);
    });

    it("are not copied from a server with tables that a copy would leave empty, until these are InnoDB", async () => {
        // New tables of this kind are refused, old data has them.
        const server =
            "mysqld --defaults-file=/opt/dabaweb/etc/my.cnf --server-id=1 --disabled-storage-engines= --skip-grant-tables";
        const client = "mysql --no-defaults --user=root --socket=/run/mysqld/old.sock";
        const old = `${server} --skip-networking --super-read-only=OFF --read-only=OFF --socket=/run/mysqld/old.sock &
            until ${client} -e 'DO 0' 2>/dev/null; do sleep 0.2; done
            ${client} -e "SET sql_log_bin = 0; CREATE TABLE form.legacy (n INT) ENGINE = MyISAM; INSERT INTO form.legacy VALUES (1), (2), (3)"
            kill %1; wait`;
        const addTable = async (pod: Pod): Promise<void> => {
            await pods.stop(pod);
            await docker(
                ["run", "--rm", "-v", `${pod.volume}:/data`, "--tmpfs", "/run/mysqld:mode=1777"].concat([
                    "--entrypoint",
                    "bash",
                    pods.images[pod.role],
                    "-ec",
                    old,
                ]),
            );
        };
        await Promise.all([slave, second, master].map(addTable));
        // It need not wait for the other slave, which is not there.
        await pods.start(master, { ...used, slaves: 1 });
        await pods.start(second);
        await pods.ready(master);
        await haveAll(second);
        await pods.emptyVolume(slave);
        const seed = await pods.start(slave, { command: "seed" });
        await pods.logged(
            seed,
            /mysql-master has tables that a copy would leave empty, .*form\.legacy MyISAM.*ALTER TABLE/,
        );
        await pods.sql(master, "ALTER TABLE form.legacy ENGINE = InnoDB");
        await pods.ended(seed);
        await pods.start(slave);
        await haveAll(slave);
        assert.equal(await pods.sql(slave, "SELECT COUNT(*) FROM form.legacy"), "3");
    });

    describe("an interrupted reseed", () => {
        const reason = `printf 'why: a test\nidentity: %s\nexecuted: %s\n'`;

        /** Puts the volume into a state that a kill could leave, starts the slave and returns the log. */
        async function after(script: string): Promise<string> {
            await pods.stop(second);
            await pods.scope.inVolume(second.volume, `${script}; chown -h 10001:10001 * mysql*/`);
            await pods.start(second);
            await haveAll(second);
            assert.deepEqual(await files(second), ["identity", "lost+found", "mysql", "tmp"]);
            return logs(pods.running(second));
        }

        it("continues with a complete clone if the old data is put aside, and deletes that", async () => {
            await after("cp -a mysql mysql.new; mv mysql mysql.old; touch reseed mysql.old/old");
            assert.equal((await exec(pods.running(second), ["test", "-e", "/data/mysql/old"])).code, 1);
        });

        it("continues with the old data if there is nothing else", async () => {
            await after("mv mysql mysql.old; touch mysql.old/old");
            assert.equal((await exec(pods.running(second), ["rm", "/data/mysql/old"])).code, 0);
        });

        it("keeps the old data in service after a few tries if no server has what this slave has", async () => {
            const lost = "00000000-0000-4000-8000-000000000001:1";
            const log = await after(`${reason} "$(<identity)" ${lost} >reseed; touch mysql/old`);
            assert.match(log, new RegExp(`lacks ${lost}`));
            assert.match(log, /5 tries found no server to clone; the old data stays in service/);
            assert.equal((await exec(pods.running(second), ["rm", "/data/mysql/old"])).code, 0);
        });
    });

    it("drop nothing for an older copy of the master's volume, and resume replication with the correct one", async () => {
        await pods.stop(master);
        const older = await pods.copyOf(master, "mysql-master-1");
        await pods.start(master, used);
        await pods.ready(master);
        await write();
        await haveAll(slave, second);
        await Promise.all([slave, second].map((pod) => pods.stop(pod)));
        await pods.stop(master);
        // No slave can tell it that its copy is older, so it opens.
        await pods.start(older, { initialised: true, slaves: 0 });
        await pods.ready(older);
        await Promise.all([slave, second].map((pod) => pods.start(pod)));
        for (const pod of [slave, second]) {
            await pods.unready(
                pod,
                /the master has an older copy .*nothing is dropped; restore the master's correct volume/,
            );
            assert.equal(await pods.sql(pod, "SELECT COUNT(*) FROM form.t"), String(rows));
        }
        await pods.stop(older);
        await pods.start(master, used);
        await pods.ready(master);
        await write();
        await haveAll(slave, second);
    });

    it("clone another slave while the master is away, even after a killed clone", async () => {
        const third = await pods.newPod("mysql-slave-2", "slave");
        await pods.stop(master);
        const container = await pods.start(third, { command: "seed" });
        await pods.killCloning(container, slave, second);
        await pods.remove(container);
        assert.equal(await pods.scope.inVolume(third.volume, "[[ -e mysql ]] || echo none"), "none");
        const log = await pods.seed(third);
        assert.match(log, /removing what an interrupted clone left/);
        assert.match(log, /cloned [0-9.]+ in/);
        await pods.start(third);
        await pods.ready(third);
        assert.equal(await pods.sql(third, "SELECT COUNT(*) FROM form.t"), String(rows));
        await pods.start(master, used);
        await pods.ready(master);
        await write();
        await haveAll(slave, second, third);
        await pods.stop(third);
    });

    it("survive repeated kills of the master", async () => {
        const began = (): Promise<string[]> =>
            Promise.all(
                [slave, second].map((pod) =>
                    docker(["inspect", "-f", "{{.State.StartedAt}} {{.State.Status}}", pods.running(pod)]),
                ),
            );
        const before = await began();
        for (let end = 0; end < times(3, 10); end += 1) {
            await docker(["kill", pods.running(master)]);
            await docker(["start", pods.running(master)]);
            await pods.ready(master);
            await write();
        }
        await haveAll(slave, second);
        assert.deepEqual(await began(), before);
    });

    it("show no password in any log, argument or environment", async () => {
        const texts = [...pods.everyLog];
        for (const pod of [master, slave, second]) {
            texts.push(await logs(pods.running(pod)), await docker(["inspect", pods.running(pod)]));
        }
        assert.match(texts.join("\n"), /ready for connections/);
        for (const password of pods.everyPassword) {
            assert.ok(
                !texts.some((text) => text.includes(password)),
                "a password in docker inspect or docker logs",
            );
        }
    });
});
