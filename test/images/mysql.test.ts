import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { build, docker, exec, logs, Result, Scope, tryDocker, waitFor } from "../support/docker";

const context = resolve(__dirname, "../../images");
const bin = "/opt/dabaweb/bin";
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
type Passwords = Record<"root" | "replication" | "seed" | "dabaweb", string>;

/** What Pulumi's random password gives: 32 letters and digits. */
function newPasswords(): Passwords {
    const one = (): string =>
        randomBytes(64)
            .toString("base64")
            .replace(/[^A-Za-z0-9]/g, "")
            .slice(0, 32);
    return { root: one(), replication: one(), seed: one(), dabaweb: one() };
}

/** A pod: its volume and, while it runs, its container. */
interface Pod {
    readonly name: string;
    readonly role: "master" | "slave";
    readonly volume: string;
    container?: string;
}

describe("mysql images", function () {
    // Bounds are for a machine that does other work at the same time.
    this.timeout(300_000);

    const scope = new Scope("mysql-test");
    const images = { master: `${scope.prefix}:master`, slave: `${scope.prefix}:slave` };
    const everyPassword: string[] = [];
    const everyLog: string[] = [];
    let network: string;
    let secrets: string;
    let marker: string;
    let noMarker: string;
    let passwords: Passwords;
    let master: Pod;
    let slave: Pod;
    let second: Pod;
    let identity: string;

    before("Docker answers; images, network and volumes are made", async function () {
        this.timeout(600_000);
        await docker(["version"]);
        for (const role of ["master", "slave"] as const) {
            await build({
                context,
                dockerfile: `${context}/mysql-${role}/Dockerfile`,
                tag: images[role],
                buildArgs: { CONTENT: scope.prefix },
            });
        }
        network = await scope.network("net");
        secrets = await scope.volume("secrets");
        await usePasswords(newPasswords());
        marker = await scope.filledVolume("marker", images.master, { initialised: "yes" });
        noMarker = await scope.filledVolume("no-marker", images.master);
        master = await newPod("mysql-master-0", "master");
        slave = await newPod("mysql-slave-0", "slave");
        second = await newPod("mysql-slave-1", "slave");
    });

    after("everything is removed", async () => {
        await scope.close();
        for (const tag of Object.values(images)) {
            await tryDocker(["image", "rm", tag]);
        }
    });

    async function usePasswords(fresh: Passwords): Promise<void> {
        passwords = fresh;
        everyPassword.push(...Object.values(fresh));
        await scope.fillVolume(secrets, images.master, fresh);
    }

    async function newPod(name: string, role: Pod["role"]): Promise<Pod> {
        const volume = await scope.filledVolume(`data-${name}`, images.master);
        // As at the root of a real disk.
        await inVolume(volume, "mkdir /data/lost+found");
        return { name, role, volume };
    }

    /** Runs a shell command as root over a volume that no container uses. */
    async function inVolume(volume: string, script: string): Promise<string> {
        const mount = ["-v", `${volume}:/data`, "--entrypoint", "bash"];
        return docker(["run", "--rm", "--user", "0:0", ...mount, images.master, "-c", script]);
    }

    interface Start {
        readonly initialised?: boolean;
        readonly command?: "seed";
        readonly env?: Record<string, string>;
    }

    /** Starts a pod's container with the mounts, environment and limits of its pod spec. */
    async function start(pod: Pod, { initialised = false, command, env = {} }: Start = {}): Promise<string> {
        const container = await scope.run({
            name: command === undefined ? pod.name : `${pod.name}-${command}`,
            image: images[pod.role],
            network,
            memory: "512m",
            mounts: {
                [pod.volume]: "/data",
                [secrets]: "/run/secrets/mysql:ro",
                [initialised ? marker : noMarker]: "/run/initialised:ro",
            },
            tmpfs: ["/run/mysqld", "/tmp"],
            env: {
                POD_NAME: pod.name,
                MYSQL_BUFFER_POOL_SIZE: String(64 * 1024 * 1024),
                MYSQL_SERVER_ID_BASE: pod.role === "master" ? "100" : "200",
                ...(pod.role === "master"
                    ? { MYSQL_DATABASE: "form" }
                    : { MASTER_HOST: "mysql-master", MASTER_PORT: "3306" }),
                ...env,
            },
            options: [
                ...(pod.role === "master" ? ["--network-alias", "mysql-master"] : []),
                ...(command === undefined ? [] : ["--entrypoint", `${bin}/${command}`]),
            ],
        });
        if (command === undefined) {
            pod.container = container;
        }
        return container;
    }

    /** Keeps the log for the search for passwords, removes the container. */
    async function remove(container: string): Promise<string> {
        const log = await logs(container);
        everyLog.push(log, await docker(["inspect", container]));
        await scope.remove(container);
        return log;
    }

    /** Ends a pod as Kubernetes does, within 25 s. Returns exit code and log. */
    async function stop(pod: Pod): Promise<{ code: number; log: string; seconds: number }> {
        const container = running(pod);
        const begin = Date.now();
        await docker(["stop", "-t", "25", container]);
        const seconds = (Date.now() - begin) / 1000;
        const code = Number(await docker(["inspect", "-f", "{{.State.ExitCode}}", container]));
        delete pod.container;
        return { code, log: await remove(container), seconds };
    }

    async function restart(pod: Pod, options: Start = {}): Promise<void> {
        await stop(pod);
        await start(pod, options);
        await ready(pod);
    }

    function running(pod: Pod): string {
        assert.ok(pod.container, `${pod.name} runs`);
        return pod.container;
    }

    function probe(pod: Pod, which: "ready" | "live"): Promise<Result> {
        return exec(running(pod), [`${bin}/${which}`]);
    }

    async function ready(pod: Pod): Promise<void> {
        await waitFor(`${pod.name} is ready`, 120, async () => {
            const { code, stdout, stderr } = await probe(pod, "ready");
            if (code === 0) {
                return true;
            }
            const state = await docker(["inspect", "-f", "{{.State.Status}}", running(pod)]);
            throw new Error(
                `${state}, ${stdout}${stderr}${state === "exited" ? await logs(running(pod)) : ""}`,
            );
        });
    }

    /** Waits until a pod says it is not ready, for a reason that matches; it must be alive all the while. */
    async function unready(pod: Pod, why: RegExp): Promise<void> {
        await waitFor(`${pod.name} is unready because of ${why.source}`, 60, async () => {
            const { code, stdout, stderr } = await probe(pod, "ready");
            const live = await probe(pod, "live");
            assert.equal(live.code, 0, live.stdout + live.stderr);
            assert.equal((stdout + stderr).trim().split("\n").length, 1, stdout + stderr);
            if (code !== 0 && why.test(stdout)) {
                return true;
            }
            throw new Error(`exit code ${code}, ${stdout}${stderr}`);
        });
    }

    /** Waits for a line in the log of a container. */
    async function logged(container: string, line: RegExp): Promise<void> {
        await waitFor(`${line.source} in the log`, 60, async () => {
            const log = await logs(container);
            if (line.test(log)) {
                return true;
            }
            throw new Error(log.slice(-2000));
        });
    }

    /** One statement as the operator types it: no user, no password. */
    function mysql(pod: Pod, statement: string): Promise<Result> {
        return exec(running(pod), ["mysql", "--batch", "--skip-column-names", "-e", statement]);
    }

    async function sql(pod: Pod, statement: string): Promise<string> {
        const { code, stdout, stderr } = await mysql(pod, statement);
        assert.equal(code, 0, `${pod.name}: ${statement}: ${stderr}`);
        return stdout.trim();
    }

    /** A statement over the network as an account, from within `from`; the password goes by standard input. */
    function login(
        from: Pod,
        host: string,
        user: string,
        password: string,
        ...rest: string[]
    ): Promise<Result> {
        const options = `[client]\nprotocol=tcp\nhost=${host}\nuser=${user}\npassword=${password}\n`;
        return exec(
            running(from),
            ["mysql", "--defaults-file=/dev/stdin", "--batch", "--skip-column-names", ...rest],
            {
                input: options,
            },
        );
    }

    /** Waits until a slave has all that the master has executed; its set must then be equal: no errant transaction. */
    async function caughtUp(pod: Pod): Promise<void> {
        const all = await sql(master, "SELECT @@GLOBAL.gtid_executed");
        const waited = await sql(pod, `SELECT WAIT_FOR_EXECUTED_GTID_SET('${all}', 60)`);
        assert.equal(waited, "0", `${pod.name} has the master's transactions`);
        assert.equal(await sql(pod, "SELECT @@GLOBAL.gtid_executed"), all);
    }

    let rows = 0;
    /** Writes a row on the master and waits for it on the given slaves. */
    async function replicates(...slaves: Pod[]): Promise<void> {
        rows += 1;
        await sql(master, `INSERT INTO form.t VALUES (${rows})`);
        for (const pod of slaves) {
            await caughtUp(pod);
            assert.equal(await sql(pod, "SELECT MAX(n) FROM form.t"), String(rows));
        }
    }

    async function seed(pod: Pod): Promise<string> {
        const container = await start(pod, { command: "seed" });
        const code = await waitFor("seed ends", 120, async () => {
            const [status, exitCode] = (
                await docker(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", container])
            ).split(" ");
            if (status === "exited") {
                return exitCode;
            }
            throw new Error((await logs(container)).slice(-2000));
        });
        const log = await remove(container);
        assert.equal(code, "0", log);
        return log;
    }

    async function memory(pod: Pod): Promise<number> {
        // What the kernel cannot take back; file cache is not counted.
        const text = await docker(["exec", running(pod), "grep", "-E", "^(VmHWM|VmRSS):", "/proc/1/status"]);
        const usage = await docker(["stats", "--no-stream", "--format", "{{.MemUsage}}", running(pod)]);
        const [peak = 0, resident = 0] = [...text.matchAll(/(\d+) kB/g)].map(
            (match) => Number(match[1]) / 1024,
        );
        console.log(
            `      ${pod.name}: resident ${resident.toFixed(0)} MiB, peak ${peak.toFixed(0)} MiB; docker stats ${usage}`,
        );
        return peak;
    }

    describe("first start of a master", () => {
        it("an empty volume is initialised, the server becomes ready as process 1", async () => {
            await start(master);
            await ready(master);
            assert.equal((await exec(running(master), ["cat", "/proc/1/comm"])).stdout.trim(), "mysqld");
            assert.equal((await probe(master, "live")).code, 0);
            assert.equal(await sql(master, "SELECT @@server_id"), "100");
        });

        it("the identity is in the data and beside it", async () => {
            identity = await sql(master, "SELECT id FROM replication.identity");
            assert.match(identity, uuid);
            assert.equal((await exec(running(master), ["cat", "/data/identity"])).stdout, `${identity}\n`);
        });

        it("the database is there, and nothing of the initialisation is in the binlog", async () => {
            const charset =
                "SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = 'form'";
            assert.equal(await sql(master, charset), "utf8mb4");
            const events = await sql(master, "SHOW BINLOG EVENTS");
            assert.match(events, /CREATE USER .*seed/);
            assert.doesNotMatch(events, /CREATE (DATABASE|TABLE)|INSERT|root/i);
        });

        it("each account logs in with its password over TLS only, and may do its own work only", async () => {
            const repl = `repl_${identity.slice(0, 8)}`;
            const accounts = [
                [repl, passwords.replication],
                ["seed", passwords.seed],
                ["dabaweb", passwords.dabaweb],
            ] as const;
            for (const [user, password] of accounts) {
                const good = await login(master, "mysql-master", user, password, "-e", "SELECT 1");
                assert.equal(good.stdout.trim(), "1", good.stderr);
                const plain = await login(
                    master,
                    "mysql-master",
                    user,
                    password,
                    "--ssl-mode=DISABLED",
                    "-e",
                    "SELECT 1",
                );
                assert.match(plain.stderr, /ERROR 1045|ERROR 2061|ERROR 3159/);
                const wrong = await login(
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
            const granted = await login(master, "mysql-master", "dabaweb", passwords.dabaweb, "-e", create);
            assert.equal(granted.code, 0, granted.stderr);
            const denied = await login(
                master,
                "mysql-master",
                "dabaweb",
                passwords.dabaweb,
                "-e",
                "CREATE DATABASE x",
            );
            assert.match(denied.stderr, /ERROR 1044/);
            const other = await login(
                master,
                "mysql-master",
                "seed",
                passwords.seed,
                "-e",
                "CREATE TABLE form.x (n INT)",
            );
            assert.match(other.stderr, /ERROR 1142/);
            const root = await login(master, "mysql-master", "root", passwords.root, "-e", "SELECT 1");
            assert.match(root.stderr, /ERROR 1(045|130)/);
        });
    });

    describe("later starts of a master", () => {
        it("SIGTERM ends the server cleanly: exit code 0 within the grace period", async () => {
            await sql(master, "CREATE TABLE form.t (n INT PRIMARY KEY)");
            await sql(master, "INSERT INTO form.t VALUES (0)");
            const { code, log, seconds } = await stop(master);
            assert.equal(code, 0);
            assert.match(log, /Shutdown complete/);
            assert.ok(seconds < 20, `${seconds} s`);
        });

        it("data, transactions and identity stay", async () => {
            await start(master, { initialised: true });
            await ready(master);
            const before = await sql(master, "SELECT @@GLOBAL.gtid_executed");
            await restart(master, { initialised: true });
            assert.equal(await sql(master, "SELECT n FROM form.t"), "0");
            const kept = `SELECT GTID_SUBSET('${before}', @@GLOBAL.gtid_executed)`;
            assert.equal(await sql(master, kept), "1");
            assert.equal(await sql(master, "SELECT id FROM replication.identity"), identity);
        });

        it("a lost /data/identity is written again from the table", async () => {
            await stop(master);
            await inVolume(master.volume, "rm /data/identity");
            await start(master, { initialised: true });
            await ready(master);
            assert.equal((await exec(running(master), ["cat", "/data/identity"])).stdout, `${identity}\n`);
        });

        it("the server is asked when the table's file does not show its row", async () => {
            await sql(
                master,
                "SET sql_log_bin = 0; ALTER TABLE replication.identity ROW_FORMAT = COMPRESSED",
            );
            await restart(master, { initialised: true });
            assert.equal(await sql(master, "SELECT id FROM replication.identity"), identity);
            await sql(master, "SET sql_log_bin = 0; ALTER TABLE replication.identity ROW_FORMAT = DYNAMIC");
        });

        it("data of another identity is refused until it is put right", async () => {
            await stop(master);
            const other = "ffffffff-0000-4000-8000-000000000002";
            await inVolume(master.volume, `mv /data/identity /data/right; echo ${other} >/data/identity`);
            await start(master, { initialised: true });
            const refused = new RegExp(
                `data in /data/mysql has identity ${identity}, but /data/identity says ${other}`,
            );
            await unready(master, refused);
            await logged(running(master), refused);
            await docker(["exec", running(master), "bash", "-c", "rm -f /data/identity"]);
            await ready(master);
            await docker(["exec", running(master), "rm", "-f", "/data/right"]);
        });

        it("a row that was changed under a running server makes it unready", async () => {
            await sql(master, "SET sql_log_bin = 0; UPDATE replication.identity SET id = 'other'");
            await unready(master, /replication.identity says "other", but \/data\/identity says/);
            await sql(master, `SET sql_log_bin = 0; UPDATE replication.identity SET id = '${identity}'`);
            await ready(master);
        });

        it("killed hard, it recovers what was committed", async () => {
            await sql(master, "INSERT INTO form.t VALUES (-1)");
            await docker(["kill", running(master)]);
            await docker(["start", running(master)]);
            await ready(master);
            assert.equal(await sql(master, "SELECT MIN(n) FROM form.t"), "-1");
        });
    });

    describe("a master that must not initialise", () => {
        it("no data, but the system was in use: waits alive, says why, ends at SIGTERM", async () => {
            const pod = await newPod("mysql-master-8", "master");
            await start(pod, { initialised: true, env: { POD_NAME: "mysql-master-0" } });
            await unready(pod, /holds no data, but this system was in use before/);
            await waitFor("a second line after 10 s", 60, async () => {
                const lines = (await logs(running(pod))).match(/in use before/g) ?? [];
                return lines.length >= 2;
            });
            assert.equal((await exec(running(pod), ["ls", "/data"])).stdout.trim(), "lost+found\ntmp");
            const { code, seconds } = await stop(pod);
            assert.equal(code, 0);
            assert.ok(seconds < 5, `${seconds} s`);
        });

        it("no data, but the volume had it: waits, and goes on when /data/identity is deleted", async () => {
            const pod = await newPod("mysql-master-9", "master");
            await inVolume(
                pod.volume,
                `echo ${identity} >/data/identity; mkdir -m 0777 /data/mysql; chown 10001 /data/identity`,
            );
            await start(pod);
            await unready(pod, new RegExp(`this volume had it \\(identity ${identity}\\)`));
            await docker(["exec", running(pod), "rm", "-f", "/data/identity"]);
            await ready(pod);
            assert.notEqual(await sql(pod, "SELECT id FROM replication.identity"), identity);
            await stop(pod);
        });

        it("a half-made data directory is removed and said", async () => {
            const pod = await newPod("mysql-master-7", "master");
            await start(pod);
            await logged(running(pod), /initialising/);
            await waitFor(
                "the data directory is being made",
                60,
                async () => {
                    return (await exec(running(pod), ["test", "-e", "/data/mysql.new/ibdata1"])).code === 0;
                },
                20,
            );
            await docker(["kill", running(pod)]);
            assert.equal(
                await inVolume(pod.volume, "ls -d /data/mysql /data/mysql.new 2>&1 || true"),
                ["ls: cannot access '/data/mysql': No such file or directory", "/data/mysql.new"].join("\n"),
            );
            await docker(["start", running(pod)]);
            await ready(pod);
            assert.match((await stop(pod)).log, /removing \/data\/mysql\.new/);
        });
    });

    describe("slaves", () => {
        before("a master with a table runs", async () => {
            if (master.container === undefined) {
                await start(master);
            }
            await ready(master);
            await sql(master, "CREATE TABLE IF NOT EXISTS form.t (n INT PRIMARY KEY)");
            identity = await sql(master, "SELECT id FROM replication.identity");
        });

        it("seed waits for the master and says so; SIGTERM ends it", async () => {
            const container = await start(slave, { command: "seed", env: { MASTER_HOST: "nobody.invalid" } });
            await logged(container, /waiting: the master nobody.invalid:3306 must tell its identity/);
            await docker(["stop", "-t", "10", container]);
            assert.equal(await docker(["inspect", "-f", "{{.State.ExitCode}}", container]), "143");
            await remove(container);
        });

        it("started without seed, a slave waits and says so", async () => {
            await start(slave);
            await unready(slave, /a slave makes none: its init container seeds it/);
            await stop(slave);
        });

        it("a killed clone leaves nothing that looks like data, and the next one begins afresh", async () => {
            const container = await start(slave, { command: "seed" });
            await logged(container, /cloning mysql-master:3306, identity/);
            await docker(["kill", container]);
            await remove(container);
            assert.equal(await inVolume(slave.volume, "[[ -e /data/mysql ]] || echo none"), "none");
        });

        it("cloned after the master's binlogs were purged, both threads run and a new row arrives", async () => {
            await sql(master, "FLUSH BINARY LOGS");
            const last = (await sql(master, "SHOW BINARY LOG STATUS")).split("\t")[0];
            await sql(master, `PURGE BINARY LOGS TO '${last}'`);
            assert.notEqual(await sql(master, "SELECT @@GLOBAL.gtid_purged"), "");

            // Whatever a kill leaves, this is what it looks like in the middle.
            const half =
                "mkdir -p /data/mysql.new && : >/data/mysql.new/half && chown -R 10001 /data/mysql.new";
            await inVolume(slave.volume, half);
            const log = await seed(slave);
            assert.match(log, /removing what an earlier clone left that was ended half-way/);
            assert.equal(
                await inVolume(slave.volume, "ls /data | tr '\\n' ' '"),
                "identity lost+found mysql tmp",
            );

            // From the first moment a client is let in, root included, it is refused to write.
            await start(slave);
            let isReady = false;
            const refusals = await waitFor(
                "the slave is ready",
                120,
                async () => {
                    const { code, stderr } = await mysql(slave, "CREATE DATABASE errant");
                    assert.notEqual(code, 0, "a write as root on a starting slave");
                    if (isReady) {
                        return stderr;
                    }
                    isReady = (await probe(slave, "ready")).code === 0;
                    return undefined;
                },
                20,
            );
            assert.match(refusals, /ERROR 1290 .*super-read-only/);
            await replicates(slave);
        });

        it("has the same identity, a server id of its own, and logs with fixed names", async () => {
            assert.equal(await sql(slave, "SELECT id FROM replication.identity"), identity);
            assert.equal((await exec(running(slave), ["cat", "/data/identity"])).stdout, `${identity}\n`);
            assert.equal(await sql(slave, "SELECT @@server_id"), "200");
            assert.notEqual(
                await sql(slave, "SELECT @@server_uuid"),
                await sql(master, "SELECT @@server_uuid"),
            );
            assert.equal((await exec(running(slave), ["cat", "/proc/1/comm"])).stdout.trim(), "mysqld");
            const files = (await exec(running(slave), ["ls", "/data/mysql"])).stdout;
            assert.match(files, /^relay\.index$/m);
            assert.match(files, /^relay\.\d{6}$/m);
            assert.match(files, /^binlog\.index$/m);
        });

        it("replicates over TLS, by auto-position, as the account of this identity, and never gives up", async () => {
            const query =
                "SELECT user, ssl_allowed, auto_position, connection_retry_interval, connection_retry_count, heartbeat_interval " +
                "FROM performance_schema.replication_connection_configuration";
            const [user, tls, auto, interval, count, heartbeat] = (await sql(slave, query)).split("\t");
            assert.deepEqual(
                [user, tls, auto, interval, count, Number(heartbeat)],
                [`repl_${identity.slice(0, 8)}`, "YES", "1", "2", "0", 2],
            );
        });

        it("readiness says which thread does not run and why", async () => {
            await sql(slave, "STOP REPLICA SQL_THREAD");
            await unready(slave, /the applier of replication is OFF/);
            await sql(slave, "START REPLICA SQL_THREAD");
            await ready(slave);
            await sql(slave, "STOP REPLICA IO_THREAD");
            await unready(slave, /the receiver of replication is OFF/);
            await sql(slave, "START REPLICA IO_THREAD");
            await ready(slave);
        });

        it("a second slave is seeded and replicates; the first one is left alone", async () => {
            await seed(second);
            await start(second);
            await ready(second);
            assert.equal(await sql(second, "SELECT @@server_id"), "201");
            await replicates(slave, second);
        });

        it("seed leaves data alone", async () => {
            await stop(second);
            assert.match(await seed(second), /holds data: nothing to seed/);
            await start(second);
            await ready(second);
            await replicates(second);
        });

        it("after a restart of the master they resume by themselves", async () => {
            await restart(master, { initialised: true });
            await ready(slave);
            await ready(second);
            await replicates(slave, second);
        });

        it("killed hard, a slave comes back with all transactions", async () => {
            await docker(["kill", running(slave)]);
            await sql(master, "INSERT INTO form.t VALUES (1000000); DELETE FROM form.t WHERE n = 1000000");
            await docker(["start", running(slave)]);
            await ready(slave);
            await replicates(slave);
        });

        it("with data, a slave starts without the master: it serves, is alive, unready, and resumes", async () => {
            await stop(master);
            await stop(slave);
            await start(slave);
            await unready(slave, /the receiver of replication is CONNECTING/);
            assert.equal(await sql(slave, "SELECT MAX(n) FROM form.t"), String(rows));
            await start(master, { initialised: true });
            await ready(master);
            await ready(slave);
            await replicates(slave, second);
        });

        it("a master of another history is refused", async () => {
            const pod = await newPod("mysql-master-6", "master");
            await start(pod);
            await ready(pod);
            await stop(slave);
            const host = pod.name;
            await start(slave, { env: { MASTER_HOST: host } });
            await unready(slave, /receiver of replication is CONNECTING: .*Access denied/);
            assert.equal(await sql(slave, "SELECT MAX(n) FROM form.t"), String(rows));
            await stop(pod);
            // The changed host is taken at the next start.
            await restart(slave);
            await replicates(slave);
        });
    });

    describe("changed passwords", () => {
        it("are applied when the master starts; slaves with the former one go on", async () => {
            const former = passwords;
            await usePasswords(newPasswords());
            await restart(master, { initialised: true });
            await ready(slave);
            await ready(second);
            await replicates(slave, second);
            for (const user of ["seed", "dabaweb"] as const) {
                for (const password of [passwords[user], former[user]]) {
                    const { code, stderr } = await login(
                        master,
                        "mysql-master",
                        user,
                        password,
                        "-e",
                        "SELECT 1",
                    );
                    assert.equal(code, 0, stderr);
                }
            }
        });

        it("are taken by each slave at its start, for replication and its own root", async () => {
            for (const pod of [slave, second]) {
                await restart(pod);
                await replicates(pod);
            }
            const query = "SELECT user_password FROM mysql.slave_master_info";
            assert.equal(await sql(slave, query), passwords.replication);
            // The socket takes root's new password only.
            const options = (password: string): string => `[client]\nuser=root\npassword=${password}\n`;
            for (const [password, code] of [
                [passwords.root, 0],
                [everyPassword[0] ?? "", 1],
            ] as const) {
                const args = [
                    "mysql",
                    "--defaults-file=/dev/stdin",
                    "--socket=/run/mysqld/mysqld.sock",
                    "-e",
                    "SELECT 1",
                ];
                const result = await exec(running(slave), args, { input: options(password) });
                assert.equal(result.code, code, result.stderr);
            }
        });

        it("the former ones end with the master's next start", async () => {
            await restart(master, { initialised: true });
            await ready(slave);
            await ready(second);
            await replicates(slave, second);
            const [, , seedPassword = "", application = ""] = everyPassword;
            for (const [user, password] of [
                ["seed", seedPassword],
                ["dabaweb", application],
            ] as const) {
                const { stderr } = await login(master, "mysql-master", user, password, "-e", "SELECT 1");
                assert.match(stderr, /ERROR 1045/);
            }
        });
    });

    describe("at the end", () => {
        it("no slave has a transaction that the master has not", async () => {
            for (const pod of [slave, second]) {
                await caughtUp(pod);
                assert.equal((await probe(pod, "ready")).code, 0);
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
                const script = `TIMEFORMAT=%R; time for i in {1..20}; do ${bin}/${which} >/dev/null || exit 1; done`;
                const { code, stderr } = await exec(running(pod), ["bash", "-c", script]);
                assert.equal(code, 0, stderr);
                const each = (Number(stderr.trim()) / 20) * 1000;
                console.log(`      ${which} on ${pod.name}: ${each.toFixed(0)} ms`);
                assert.ok(each < 500, `${each} ms`);
            }
        });

        it("no password is in any log, argument or environment", async () => {
            for (const pod of [master, slave, second]) {
                await stop(pod);
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
