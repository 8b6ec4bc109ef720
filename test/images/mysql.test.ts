import assert from "node:assert/strict";
import { docker, exec, logs, waitFor } from "../support/docker";
import { bin, MysqlPods, newPasswords, Pod } from "../support/mysql-pods";

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe("mysql images", () => {
    const pods = new MysqlPods("mysql-test");
    const { everyPassword, everyLog } = pods;
    let master: Pod;
    let slave: Pod;
    let second: Pod;
    let identity: string;

    before("check Docker; create images, network and volumes", async () => {
        await pods.setUp();
        master = await pods.newPod("mysql-master-0", "master");
        slave = await pods.newPod("mysql-slave-0", "slave");
        second = await pods.newPod("mysql-slave-1", "slave");
    });

    after("remove everything", async () => {
        await pods.tearDown();
    });

    let rows = 0;
    /** Writes a row on the master and waits for it on the given slaves. */
    async function replicates(...slaves: Pod[]): Promise<void> {
        rows += 1;
        await pods.sql(master, `INSERT INTO form.t VALUES (${rows})`);
        for (const pod of slaves) {
            await pods.caughtUp(master, pod);
            assert.equal(await pods.sql(pod, "SELECT MAX(n) FROM form.t"), String(rows));
        }
    }

    async function memory(pod: Pod): Promise<number> {
        // What the kernel cannot reclaim; the file cache does not count.
        const text = await docker([
            "exec",
            pods.running(pod),
            "grep",
            "-E",
            "^(VmHWM|VmRSS):",
            "/proc/1/status",
        ]);
        const usage = await docker(["stats", "--no-stream", "--format", "{{.MemUsage}}", pods.running(pod)]);
        const [peak = 0, resident = 0] = [...text.matchAll(/(\d+) kB/g)].map(
            (match) => Number(match[1]) / 1024,
        );
        console.log(
            `      ${pod.name}: resident ${resident.toFixed(0)} MiB, peak ${peak.toFixed(0)} MiB; docker stats ${usage}`,
        );
        return peak;
    }

    describe("first start of a master", () => {
        it("initialises an empty volume, and the server becomes ready as process 1", async () => {
            await pods.start(master);
            await pods.ready(master);
            assert.equal((await exec(pods.running(master), ["cat", "/proc/1/comm"])).stdout.trim(), "mysqld");
            await waitFor(
                "the server to be alive",
                60,
                async () => (await pods.probe(master, "live")).code === 0,
            );
            assert.equal(await pods.sql(master, "SELECT @@server_id"), "100");
        });

        it("stores the identity in the data and in the file next to it", async () => {
            identity = await pods.sql(master, "SELECT id FROM replication.identity");
            assert.match(identity, uuid);
            assert.equal(
                (await exec(pods.running(master), ["cat", "/data/identity"])).stdout,
                `${identity}\n`,
            );
        });

        it("creates the database, and logs nothing of the initialisation in the binlog", async () => {
            const charset =
                "SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = 'form'";
            assert.equal(await pods.sql(master, charset), "utf8mb4");
            const events = await pods.sql(master, "SHOW BINLOG EVENTS");
            assert.match(events, /CREATE USER .*seed/);
            assert.doesNotMatch(events, /CREATE (DATABASE|TABLE)|INSERT INTO|root/i);
        });

        it("lets each account log in with its password over TLS only, and do only its own work", async () => {
            const repl = `repl_${identity.slice(0, 8)}`;
            const accounts = [
                [repl, pods.passwords.replication],
                ["seed", pods.passwords.seed],
                ["dabaweb", pods.passwords.dabaweb],
                ["migration", pods.passwords.migration],
            ] as const;
            for (const [user, password] of accounts) {
                const good = await pods.login(master, "mysql-master", user, password, "-e", "SELECT 1");
                assert.equal(good.stdout.trim(), "1", good.stderr);
                const plain = await pods.login(
                    master,
                    "mysql-master",
                    user,
                    password,
                    "--ssl-mode=DISABLED",
                    "-e",
                    "SELECT 1",
                );
                assert.match(plain.stderr, /ERROR 1045|ERROR 2061|ERROR 3159/);
                const wrong = await pods.login(
                    master,
                    "mysql-master",
                    user,
                    `${password.slice(1)}x`,
                    "-e",
                    "SELECT 1",
                );
                assert.match(wrong.stderr, /ERROR 1045/);
            }
            const create = "CREATE TABLE form.probe (n INT); DROP TABLE form.probe";
            const migration = ["migration", pods.passwords.migration] as const;
            const granted = await pods.login(master, "mysql-master", ...migration, "-e", create);
            assert.equal(granted.code, 0, granted.stderr);
            const elsewhere = await pods.login(
                master,
                "mysql-master",
                ...migration,
                "-e",
                "CREATE DATABASE x",
            );
            assert.match(elsewhere.stderr, /ERROR 1044/);
            const refused = [
                ["SET sql_log_bin = 0", /ERROR 1227/],
                ["SET GLOBAL max_connections = 1000", /ERROR 1227/],
                ["CREATE TABLE form.x (n INT) DATA DIRECTORY = '/tmp'", /ERROR 1045/],
                ["CREATE TABLE form.x (n INT) ENGINE = MyISAM", /ERROR 3161 .*MyISAM is disabled/],
                ["CREATE TABLE form.x (n INT) ENGINE = MEMORY", /ERROR 3161/],
                ["CREATE TABLE form.x (n INT); ALTER TABLE form.x ENGINE = ARCHIVE", /ERROR 3161/],
            ] as const;
            for (const [statement, error] of refused) {
                const { stderr } = await pods.login(master, "mysql-master", ...migration, "-e", statement);
                assert.match(stderr, error, statement);
            }
            // What was made without a primary key has one all the same.
            const key = "SELECT column_name FROM information_schema.key_column_usage WHERE table_name = 'x'";
            assert.equal(await pods.sql(master, key), "my_row_id");
            await pods.sql(master, "DROP TABLE form.x");
            const other = await pods.login(
                master,
                "mysql-master",
                "seed",
                pods.passwords.seed,
                "-e",
                "CREATE TABLE form.x (n INT)",
            );
            assert.match(other.stderr, /ERROR 1142/);
            const root = await pods.login(
                master,
                "mysql-master",
                "root",
                pods.passwords.root,
                "-e",
                "SELECT 1",
            );
            assert.match(root.stderr, /ERROR 1(045|130)/);
        });

        it("lets the application change tables only if the stack says so, whatever it said before", async () => {
            const create =
                "CREATE TABLE form.own (n INT); INSERT INTO form.own VALUES (1); DROP TABLE form.own";
            for (const [changes, expected] of [
                ["no", /ERROR 1142/],
                ["yes", /^$/],
                ["no", /ERROR 1142/],
            ] as const) {
                await pods.restart(master, {
                    initialised: true,
                    env: { APPLICATION_CHANGES_TABLES: changes },
                });
                await pods.ready(master);
                const account = ["dabaweb", pods.passwords.dabaweb] as const;
                const { stderr } = await pods.login(master, "mysql-master", ...account, "-e", create);
                assert.match(stderr, expected, changes);
            }
        });

        it("takes from the application what it needed as long as the migration used its account", async () => {
            const granted = async () =>
                (await pods.sql(master, "SHOW GRANTS FOR dabaweb@'%'")).includes("performance_schema");
            await pods.sql(master, "GRANT SELECT ON performance_schema.metadata_locks TO dabaweb@'%'");
            assert.ok(await granted());
            await pods.restart(master, { initialised: true });
            assert.ok(!(await granted()));
        });

        it("leaves every account room: together they may have as many connections as there are", async () => {
            const [max, others, ...limits] = (
                await pods.sql(
                    master,
                    "SELECT @@max_connections UNION ALL SELECT @@global.max_user_connections UNION ALL " +
                        "SELECT max_user_connections FROM mysql.user WHERE user NOT LIKE 'mysql.%'",
                )
            )
                .split("\n")
                .map(Number) as [number, number, ...number[]];
            // The application, its migration, replication, seed, root and companion.
            assert.equal(limits.length, 6);
            assert.ok(limits.every((limit) => limit > 0));
            assert.equal(
                limits.reduce((sum, limit) => sum + limit, others),
                max,
            );
        });
    });

    describe("later starts of a master", () => {
        it("stop cleanly at SIGTERM: exit code 0 within the grace period", async () => {
            await pods.sql(master, "CREATE TABLE form.t (n INT PRIMARY KEY)");
            await pods.sql(master, "INSERT INTO form.t VALUES (0)");
            const { code, log } = await pods.stop(master);
            assert.equal(code, 0);
            assert.match(log, /Shutdown complete/);
        });

        it("keep data, transactions and identity", async () => {
            await pods.start(master, { initialised: true });
            await pods.ready(master);
            const before = await pods.sql(master, "SELECT @@GLOBAL.gtid_executed");
            await pods.restart(master, { initialised: true });
            assert.equal(await pods.sql(master, "SELECT n FROM form.t"), "0");
            const kept = `SELECT GTID_SUBSET('${before}', @@GLOBAL.gtid_executed)`;
            assert.equal(await pods.sql(master, kept), "1");
            assert.equal(await pods.sql(master, "SELECT id FROM replication.identity"), identity);
        });

        it("rewrite a lost /data/identity from the table", async () => {
            await pods.stop(master);
            await pods.scope.inVolume(master.volume, "rm identity");
            await pods.start(master, { initialised: true });
            await pods.ready(master);
            assert.equal(
                (await exec(pods.running(master), ["cat", "/data/identity"])).stdout,
                `${identity}\n`,
            );
        });

        it("query the server if the table's file does not show its row", async () => {
            await pods.sql(
                master,
                "SET sql_log_bin = 0; ALTER TABLE replication.identity ROW_FORMAT = COMPRESSED",
            );
            await pods.restart(master, { initialised: true });
            assert.equal(await pods.sql(master, "SELECT id FROM replication.identity"), identity);
            await pods.sql(
                master,
                "SET sql_log_bin = 0; ALTER TABLE replication.identity ROW_FORMAT = DYNAMIC",
            );
        });

        it("say whose a volume is that they cannot write to", async () => {
            const foreign = await pods.newPod("mysql-master-5", "master");
            await pods.scope.inVolume(foreign.volume, "chown 0:0 .; chmod 0755 .");
            const container = await pods.start(foreign);
            await pods.logged(
                container,
                /uid 10001 cannot write to the volume \/data, which belongs to uid 0, gid 0, mode 755: .* must belong to uid 10001;/,
            );
            await pods.kill(foreign);
        });

        it("refuse data with another identity until it is corrected", async () => {
            await pods.stop(master);
            const other = "ffffffff-0000-4000-8000-000000000002";
            await pods.scope.inVolume(master.volume, `mv identity right; echo ${other} >identity`);
            await pods.start(master, { initialised: true });
            const refused = new RegExp(
                `data in /data/mysql has identity ${identity}, but /data/identity says ${other}`,
            );
            await pods.unready(master, refused);
            await pods.logged(pods.running(master), refused);
            await docker(["exec", pods.running(master), "bash", "-c", "rm -f /data/identity"]);
            await pods.ready(master);
            await docker(["exec", pods.running(master), "rm", "-f", "/data/right"]);
        });

        it("become unready when the identity row changes under a running server", async () => {
            await pods.sql(master, "SET sql_log_bin = 0; UPDATE replication.identity SET id = 'other'");
            await pods.unready(master, /replication.identity says "other", but \/data\/identity says/);
            await pods.sql(master, `SET sql_log_bin = 0; UPDATE replication.identity SET id = '${identity}'`);
            await pods.ready(master);
        });

        it("recover after a kill what was committed", async () => {
            await pods.sql(master, "INSERT INTO form.t VALUES (-1)");
            await docker(["kill", pods.running(master)]);
            await docker(["start", pods.running(master)]);
            await pods.ready(master);
            assert.equal(await pods.sql(master, "SELECT MIN(n) FROM form.t"), "-1");
        });
    });

    describe("a master that must not initialise", () => {
        it("waits alive for slaves if it has no data but the system was in use, says why, and stops at SIGTERM", async () => {
            const pod = await pods.newPod("mysql-master-8", "master");
            await pods.start(pod, { initialised: true, env: { POD_NAME: "mysql-master-0" } });
            await pods.unready(pod, /has no data, but this system was in use before/);
            await waitFor("a second line after 10 s", 60, async () => {
                const lines = (await logs(pods.running(pod))).match(/in use before/g) ?? [];
                return lines.length >= 2;
            });
            assert.equal((await exec(pods.running(pod), ["ls", "/data"])).stdout.trim(), "lost+found\ntmp");
            const { code } = await pods.stop(pod);
            assert.equal(code, 0);
        });

        it("waits for slaves if the volume has lost its data, and continues when /data/identity is deleted", async () => {
            const pod = await pods.newPod("mysql-master-9", "master");
            await pods.scope.inVolume(
                pod.volume,
                `echo ${identity} >identity; mkdir -m 0777 mysql; chown 10001 identity`,
            );
            await pods.start(pod);
            await pods.unready(
                pod,
                new RegExp(`was in use before \\(identity ${identity}\\): 0 of the 1 slaves`),
            );
            await docker(["exec", pods.running(pod), "rm", "-f", "/data/identity"]);
            await pods.ready(pod);
            assert.notEqual(await pods.sql(pod, "SELECT id FROM replication.identity"), identity);
            await pods.stop(pod);
        });

        it("removes an incomplete data directory, and reports it", async () => {
            const pod = await pods.newPod("mysql-master-7", "master");
            await pods.start(pod);
            await pods.logged(pods.running(pod), /initialising/);
            // Stopped from inside, as it would be ready by the time that a command from outside starts.
            const stop =
                "until [[ -e /data/mysql.new/ibdata1 ]]; do sleep 0.02; done; " +
                "for p in /proc/[0-9]*; do if [[ $(<$p/comm) == mysqld ]]; then kill -STOP ${p#/proc/}; fi; done";
            assert.equal((await exec(pods.running(pod), ["bash", "-c", stop])).code, 0);
            await docker(["kill", pods.running(pod)]);
            assert.equal(
                await pods.scope.inVolume(pod.volume, "ls -d mysql mysql.new 2>&1 || true"),
                ["ls: cannot access 'mysql': No such file or directory", "mysql.new"].join("\n"),
            );
            await docker(["start", pods.running(pod)]);
            await pods.ready(pod);
            assert.match((await pods.stop(pod)).log, /removing what an interrupted start left/);
        });
    });

    describe("slaves", () => {
        before("start a master with a table", async () => {
            if (master.container === undefined) {
                await pods.start(master);
            }
            await pods.ready(master);
            await pods.sql(master, "CREATE TABLE IF NOT EXISTS form.t (n INT PRIMARY KEY)");
            identity = await pods.sql(master, "SELECT id FROM replication.identity");
        });

        it("wait for the master in seed and say so; SIGTERM stops seed", async () => {
            const container = await pods.start(slave, {
                command: "seed",
                env: { MASTER_HOST: "nobody.invalid" },
            });
            await pods.logged(container, /waiting: the master nobody.invalid:3306 must report its identity/);
            await docker(["stop", "-t", "10", container]);
            assert.equal(await docker(["inspect", "-f", "{{.State.ExitCode}}", container]), "143");
            await pods.remove(container);
        });

        it("wait if they are started without seed, and say so", async () => {
            await pods.start(slave);
            await pods.unready(slave, /a slave creates none: its init container seeds it/);
            await pods.stop(slave);
        });

        it("keep nothing that looks like data after a killed clone, and start the next clone from scratch", async () => {
            const container = await pods.start(slave, { command: "seed" });
            await pods.killCloning(container, master);
            await pods.remove(container);
            assert.equal(await pods.scope.inVolume(slave.volume, "[[ -e mysql ]] || echo none"), "none");
        });

        it("run both threads and receive a new row if they are cloned after the master's binlogs were purged", async () => {
            await pods.sql(master, "FLUSH BINARY LOGS");
            const last = (await pods.sql(master, "SHOW BINARY LOG STATUS")).split("\t")[0];
            await pods.sql(master, `PURGE BINARY LOGS TO '${last}'`);
            assert.notEqual(await pods.sql(master, "SELECT @@GLOBAL.gtid_purged"), "");

            // What a kill half-way through leaves.
            const half = "mkdir -p mysql.new && : >mysql.new/half && chown -R 10001 mysql.new";
            await pods.scope.inVolume(slave.volume, half);
            const log = await pods.seed(slave);
            assert.match(log, /removing what an interrupted clone left/);
            assert.equal(
                await pods.scope.inVolume(slave.volume, "ls | tr '\\n' ' '"),
                "copies identity lost+found mysql tmp",
            );

            // From the moment that clients are let in, no client may write, not even root.
            await pods.start(slave);
            let isReady = false;
            const refusals = await waitFor(
                "the slave is ready",
                120,
                async () => {
                    const { code, stderr } = await pods.mysql(slave, "CREATE DATABASE errant");
                    assert.notEqual(code, 0, "a write as root on a starting slave");
                    if (isReady) {
                        return stderr;
                    }
                    isReady = (await pods.probe(slave, "ready")).code === 0;
                    return false;
                },
                { pauseMs: 20 },
            );
            assert.match(refusals, /ERROR 1290 .*super-read-only/);
            await replicates(slave);
        });

        it("report in their status how many copies they began and completed", async () => {
            const { stdout } = await exec(pods.running(slave), [`${bin}/status`]);
            assert.match(stdout, /^copies: 2 begun in \d+ min, 1 complete, the last 0 not$/m);
        });

        it("have the same identity, their own server id, and logs with fixed names", async () => {
            assert.equal(await pods.sql(slave, "SELECT id FROM replication.identity"), identity);
            assert.equal(
                (await exec(pods.running(slave), ["cat", "/data/identity"])).stdout,
                `${identity}\n`,
            );
            assert.equal(await pods.sql(slave, "SELECT @@server_id"), "200");
            assert.notEqual(
                await pods.sql(slave, "SELECT @@server_uuid"),
                await pods.sql(master, "SELECT @@server_uuid"),
            );
            assert.equal((await exec(pods.running(slave), ["cat", "/proc/1/comm"])).stdout.trim(), "mysqld");
            const files = (await exec(pods.running(slave), ["ls", "/data/mysql"])).stdout;
            assert.match(files, /^relay\.index$/m);
            assert.match(files, /^relay\.\d{6}$/m);
            assert.match(files, /^binlog\.index$/m);
        });

        it("replicate over TLS, by auto-position, as the account of this identity, and never stop retrying", async () => {
            const query =
                "SELECT user, ssl_allowed, auto_position, connection_retry_interval, connection_retry_count, heartbeat_interval " +
                "FROM performance_schema.replication_connection_configuration";
            const [user, tls, auto, interval, count, heartbeat] = (await pods.sql(slave, query)).split("\t");
            assert.deepEqual(
                [user, tls, auto, interval, count, Number(heartbeat)],
                [`repl_${identity.slice(0, 8)}`, "YES", "1", "2", "0", 2],
            );
        });

        it("report in the readiness probe that the applier is not running", async () => {
            await pods.sql(slave, "STOP REPLICA SQL_THREAD");
            await pods.unready(slave, /the replication applier is OFF/);
            await pods.sql(slave, "START REPLICA SQL_THREAD");
            await pods.ready(slave);
        });

        it("seed a second slave, which replicates, and leave the first one alone", async () => {
            await pods.seed(second);
            await pods.start(second);
            await pods.ready(second);
            assert.equal(await pods.sql(second, "SELECT @@server_id"), "201");
            await replicates(slave, second);
        });

        it("know the time zones by name, like the master", async () => {
            await everyoneConverts("Asia/Shanghai", "2026-01-01 08:00:00");
        });

        it("get the time zones from the master if the data was initialised without them", async () => {
            for (const table of ["", "_name", "_transition", "_transition_type"]) {
                await pods.sql(master, `TRUNCATE mysql.time_zone${table}`);
            }
            // A server remembers a zone that it was asked for: this is another one.
            await everyoneConverts("America/Bogota", "NULL");
            await pods.restart(master);
            await everyoneConverts("America/Bogota", "2025-12-31 19:00:00");
        });

        /** Compares what each server makes of midnight in UTC. */
        async function everyoneConverts(zone: string, expected: string): Promise<void> {
            for (const pod of [slave, second]) {
                await pods.caughtUp(master, pod);
            }
            for (const pod of [master, slave, second]) {
                const converted = await pods.sql(
                    pod,
                    `SELECT CONVERT_TZ('2026-01-01 00:00:00', 'UTC', '${zone}')`,
                );
                assert.equal(converted, expected, pod.name);
            }
        }

        it("leave existing data alone in seed", async () => {
            await pods.stop(second);
            assert.match(await pods.seed(second), /has data: nothing to seed/);
            await pods.start(second);
            await pods.ready(second);
            await replicates(second);
        });

        it("resume by themselves after a restart of the master", async () => {
            await pods.restart(master, { initialised: true });
            await pods.ready(slave);
            await pods.ready(second);
            await replicates(slave, second);
        });

        it("return with all transactions after a kill", async () => {
            await docker(["kill", pods.running(slave)]);
            await pods.sql(
                master,
                "INSERT INTO form.t VALUES (1000000); DELETE FROM form.t WHERE n = 1000000",
            );
            await docker(["start", pods.running(slave)]);
            await pods.ready(slave);
            await replicates(slave);
        });

        it("start with data but without the master: alive, unready once the data is too old, and resuming later", async () => {
            await pods.stop(master);
            await pods.stop(slave);
            await pods.start(slave, { env: { MAX_MASTER_AWAY_SECONDS: "1" } });
            await pods.unready(slave, /the replication receiver is CONNECTING/);
            assert.equal(await pods.sql(slave, "SELECT MAX(n) FROM form.t"), String(rows));
            await pods.start(master, { initialised: true });
            await pods.ready(master);
            await pods.ready(slave);
            await replicates(slave, second);
        });

        it("refuse a master with another history", async () => {
            const pod = await pods.newPod("mysql-master-6", "master");
            await pods.start(pod);
            await pods.ready(pod);
            await pods.stop(slave);
            const host = pod.name;
            await pods.start(slave, { env: { MASTER_HOST: host } });
            await pods.unready(slave, /replication receiver is CONNECTING: .*Access denied/);
            assert.equal(await pods.sql(slave, "SELECT MAX(n) FROM form.t"), String(rows));
            await pods.stop(pod);
            // The changed host takes effect at the next start.
            await pods.restart(slave);
            await replicates(slave);
        });
    });

    describe("changed passwords", () => {
        /** For each account and password, why the master refuses the login over the network; an empty text if it does not. */
        async function refusals(
            logins: readonly (readonly [user: string, password: string])[],
        ): Promise<string[]> {
            const all: string[] = [];
            for (const [user, password] of logins) {
                const rest = ["-e", "SELECT 1"];
                const { code, stderr } = await pods.login(master, "mysql-master", user, password, ...rest);
                all.push(code === 0 ? "" : `exit code ${code}: ${stderr}`);
            }
            return all;
        }

        it("are applied when the master starts; slaves with the former one continue", async () => {
            const former = pods.passwords;
            await pods.usePasswords(newPasswords());
            await pods.restart(master, { initialised: true });
            await pods.ready(slave);
            await pods.ready(second);
            await replicates(slave, second);
            const both = (["seed", "dabaweb"] as const).flatMap((user) => [
                [user, pods.passwords[user]] as const,
                [user, former[user]] as const,
            ]);
            assert.deepEqual(await refusals(both), ["", "", "", ""]);
        });

        it("are applied by each slave at its start, for replication and its own root", async () => {
            for (const pod of [slave, second]) {
                await pods.restart(pod);
                await replicates(pod);
            }
            const query = "SELECT user_password FROM mysql.slave_master_info";
            assert.equal(await pods.sql(slave, query), pods.passwords.replication);
            // The socket accepts only root's new password.
            const options = (password: string): string => `[client]\nuser=root\npassword=${password}\n`;
            for (const [password, code] of [
                [pods.passwords.root, 0],
                [everyPassword[0] ?? "", 1],
            ] as const) {
                const args = [
                    "mysql",
                    "--defaults-file=/dev/stdin",
                    "--socket=/run/mysqld/mysqld.sock",
                    "-e",
                    "SELECT 1",
                ];
                const result = await exec(pods.running(slave), args, { input: options(password) });
                assert.equal(result.code, code, result.stderr);
            }
        });

        it("keep the former ones valid however often the master starts, until the next change", async () => {
            const [, , seedPassword = "", application = ""] = everyPassword;
            const former = [
                ["seed", seedPassword],
                ["dabaweb", application],
            ] as const;
            await pods.restart(master, { initialised: true });
            await pods.restart(master, { initialised: true });
            assert.deepEqual(await refusals(former), ["", ""]);
            await pods.usePasswords(newPasswords());
            await pods.restart(master, { initialised: true });
            for (const why of await refusals(former)) {
                assert.match(why, /ERROR 1045/);
            }
            for (const pod of [slave, second]) {
                await pods.restart(pod);
            }
            await replicates(slave, second);
        });
    });

    describe("servers that somebody switched by hand", () => {
        it("tell so in their status, whether they refuse writes or accept them", async () => {
            const says = async (pod: Pod) =>
                /^replication: .*/m.exec((await pods.probe(pod, "status")).stdout)?.[0] ?? "";
            for (const [pod, variable, byHand, sentence] of [
                [master, "read_only", "ON", /; refuses writes: read_only is ON$/],
                [slave, "super_read_only", "OFF", /; accepts writes: super_read_only is OFF$/],
            ] as const) {
                assert.doesNotMatch(await says(pod), sentence);
                await pods.sql(pod, `SET GLOBAL ${variable} = ${byHand}`);
                await waitFor("the status to tell", 60, async () => sentence.test(await says(pod)));
                await pods.sql(pod, `SET GLOBAL ${variable} = ${byHand === "ON" ? "OFF" : "ON"}`);
            }
        });
    });

    describe("at the end", () => {
        it("no slave has a transaction that the master does not have", async () => {
            for (const pod of [slave, second]) {
                await pods.caughtUp(master, pod);
                await pods.ready(pod);
            }
        });

        it("each server's own memory stays below 450 MiB", async () => {
            for (const pod of [master, slave, second]) {
                const peak = await memory(pod);
                assert.ok(peak > 50 && peak < 450, `${pod.name}: ${peak} MiB`);
            }
        });

        it("a probe costs little", async () => {
            for (const [pod, which] of [
                [master, "ready"],
                [slave, "ready"],
                [slave, "live"],
            ] as const) {
                // How long it takes also depends on what else is running: its limit is that of the kubelet (PROBE_TIMEOUT). A pod
                // leaves its Service only after several failures.
                const script = `TIMEFORMAT='%U %S'; failed=0; time for i in {1..20}; do timeout 6 ${bin}/${which} >/dev/null 2>&1 || ((failed += 1)); done; echo $failed`;
                const { code, stdout, stderr } = await exec(pods.running(pod), ["bash", "-c", script]);
                assert.equal(code, 0, stderr);
                assert.ok(Number(stdout) <= 3, `${stdout.trim()} of 20 failed`);
                const [user = NaN, system = NaN] = stderr.trim().split(" ").map(Number);
                const cost = ((user + system) / 20) * 1000;
                console.log(`      ${which} on ${pod.name}: ${cost.toFixed(0)} ms of a processor`);
                assert.ok(cost < 500, `${cost} ms of a processor`);
            }
        });

        it("no password is in any log, argument or environment", async () => {
            for (const pod of [master, slave, second]) {
                await pods.stop(pod);
            }
            const text = everyLog.join("\n");
            assert.match(text, /POD_NAME=mysql-slave-1/);
            assert.match(text, /ready for connections/);
            assert.ok(everyPassword.length >= 4);
            for (const password of everyPassword) {
                assert.match(password, /^[A-Za-z0-9]{32}$/);
                assert.ok(!text.includes(password), "a password in docker inspect or docker logs");
            }
        });
    });
});
