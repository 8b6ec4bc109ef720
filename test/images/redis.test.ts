import { match, notStrictEqual, ok, strictEqual } from "node:assert";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { docker, exec, logs, untilLogged, waitFor, whilePaused } from "../support/docker";
import {
    dump,
    identity,
    identityFile,
    Pod,
    ready,
    redis,
    RedisPods,
    sizes,
    stop,
    untilAlive,
    untilLinked,
    untilReady,
    untilValue,
    untilWaits,
} from "../support/redis-pods";

/** The exit code of a container that did not stop by itself within the grace period. */
const KILLED = 137;

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const pods = new RedisPods("redis-test");
const { scope, passwords } = pods;
const startMaster = (name: string, pod: Pod): Promise<string> => pods.startMaster(name, pod);
const startSlave = (name: string, masterHost: string, pod: Pod): Promise<string> =>
    pods.startSlave(name, masterHost, pod);

describe("images/redis-master and images/redis-slave with Docker alone", () => {
    before(() => pods.setUp());
    after(() => pods.tearDown());

    it("say whose a volume is that they cannot write to", async () => {
        const volume = await scope.disk("foreign");
        await scope.inVolume(volume, "chown 0:0 .; chmod 0755 .");
        const pod = await startMaster("foreign", { volume });
        await untilLogged(
            pod,
            /uid 10001 cannot write to the volume \/data, which belongs to uid 0, gid 0, mode 755: .* must belong to uid 10001;/,
        );
        await scope.remove(pod);
    });

    describe("a master and two slaves", () => {
        let master = "";
        let slaves: string[] = [];
        const volumes: string[] = [];

        before(async () => {
            for (const name of ["data-master", "data-slave-0", "data-slave-1"]) {
                volumes.push(await scope.disk(name));
            }
            master = await startMaster("redis-master", { volume: volumes[0] as string });
            slaves = [
                await startSlave("slave-0", "redis-master", {
                    volume: volumes[1] as string,
                    ip: "192.0.2.10",
                }),
                await startSlave("slave-1", "redis-master", {
                    volume: volumes[2] as string,
                    ip: "192.0.2.11",
                }),
            ];
        });

        after(() => scope.remove(master, ...slaves));

        afterEach(async function () {
            if (this.currentTest?.state === "failed") {
                await dump(master, ...slaves);
            }
        });

        beforeEach("wait until all pods are ready", async () => {
            await untilReady(master, ...slaves);
            await untilLinked(...slaves);
        });

        it("start from empty volumes, the slaves with the master's identity, all with one process 1", async () => {
            await untilReady(master, ...slaves);
            const born = await identity(master);
            match(born, uuid);
            for (const pod of [master, ...slaves]) {
                strictEqual(await identity(pod), born, `identity in the data of ${pod}`);
                strictEqual(await identityFile(pod), born, `identity next to the data of ${pod}`);
                match((await exec(pod, ["cat", "/proc/1/comm"])).stdout, /^redis-server/);
                await untilAlive(pod);
            }
            const replication = await redis(master, "INFO", "replication");
            match(replication, /connected_slaves:2/);
            match(replication, /ip=192\.0\.2\.10,port=6379,state=online/);
            match(replication, /ip=192\.0\.2\.11,port=6379,state=online/);
        });

        it("copy a write to every slave and refuse writes to slaves", async () => {
            strictEqual(await redis(master, "SET", "greeting", "hello"), "OK");
            for (const slave of slaves) {
                await untilValue(slave, "greeting", "hello");
                match(await redis(slave, "SET", "greeting", "bye"), /^READONLY/);
                match(await redis(slave, "DEL", "greeting"), /^READONLY/);
                // redis-server serves no one while it resolves a name.
                match(await redis(slave, "INFO", "replication"), /^master_host:[0-9.]+\r?$/m);
            }
            strictEqual(await redis(master, "GET", "greeting"), "hello");
        });

        it("run the engine as uid 10001 with the memory settings from the environment", async () => {
            for (const pod of [master, ...slaves]) {
                match((await exec(pod, ["id", "-u"])).stdout, /^10001$/m);
                strictEqual(await redis(pod, "CONFIG", "GET", "maxmemory"), `maxmemory\n${sizes.data}`);
                strictEqual(
                    await redis(pod, "CONFIG", "GET", "repl-backlog-size"),
                    `repl-backlog-size\n${sizes.backlog}`,
                );
                strictEqual(
                    await redis(pod, "CONFIG", "GET", "proto-max-bulk-len"),
                    `proto-max-bulk-len\n${sizes.value}`,
                );
                strictEqual(await redis(pod, "CONFIG", "GET", "appendonly"), "appendonly\nyes");
            }
        });

        it("let the operator in without a password, and a caller with a login as that user", async () => {
            strictEqual(await redis(master, "ACL", "WHOAMI"), "default");
            strictEqual(await redis(slaves[0] as string, "-h", "redis-master", "ACL", "WHOAMI"), "default");
            strictEqual(await redis(master, "-n", "3", "-p", "6379", "ACL", "WHOAMI"), "default");
            strictEqual(await redis(master, "SET", "flag", "-a", "EX", "60"), "OK");
            strictEqual(await redis(master, "ECHO", "--user"), "--user");
            const own = ["--no-auth-warning", "--user", "dabaweb", "-a", passwords.dabaweb];
            strictEqual(await redis(master, ...own, "PING"), "PONG");
            strictEqual(await redis(master, "--user", "dabaweb", "PING"), "NOAUTH Authentication required.");
            strictEqual(
                await redis(master, "-h", "127.0.0.1", "--user", "dabaweb", "PING"),
                "NOAUTH Authentication required.",
            );
            match(await redis(master, "-a", "wrong", "--no-auth-warning", "PING"), /WRONGPASS/);
            match(await redis(master, "-u", "redis://dabaweb:wrong@127.0.0.1", "PING"), /WRONGPASS/);
        });

        it("refuse a client without a password", async () => {
            const result = await exec(slaves[0] as string, [
                "bash",
                "-c",
                "exec 3<>/dev/tcp/redis-master/6379; printf 'GET greeting\\r\\n' >&3; read -r -t 60 line <&3; echo $line",
            ]);
            match(result.stdout, /^-NOAUTH/);
        });

        it("allow the application what django-redis needs and nothing that harms others", async () => {
            const allowed: [string, RegExp][] = [
                ["PING", /^PONG/],
                ["CLIENT SETNAME web", /^OK/],
                ["CLIENT SETINFO LIB-NAME redis-py", /^OK/],
                ["SELECT 1", /^OK/],
                ["SET k 1", /^OK/],
                ["SETEX k 60 1", /^OK/],
                ["SET lock owner NX PX 1000", /^OK/],
                ["MSET k2 2 k3 3", /^OK/],
                ["MGET k k2", /^1/],
                ["GET k", /^1/],
                ["INCRBY k 2", /^3/],
                ["EXPIRE k 60", /^1/],
                ["PEXPIRE k 60000", /^1/],
                ["TTL k", /^(60|5\d)\b/],
                ["PTTL k", /^\d+/],
                ["PERSIST k", /^1/],
                ["EXISTS k", /^1/],
                ["SCAN 0 MATCH k* COUNT 100", /^\d+/],
                ["EVAL \"return redis.call('GET', KEYS[1])\" 1 k", /^3/],
                ['SCRIPT LOAD "return 7"', /^[0-9a-f]{40}/],
                ["WAIT 0 10", /^\d+/],
                ["INFO server", /^# Server/],
                ["MULTI", /^OK/],
                ["DEL k k2", /^QUEUED/],
                ["UNLINK k3", /^QUEUED/],
                ["EXEC", /^2\n1/],
            ];
            const refused = [
                // The history of the data.
                "SET ~beats 1",
                "COPY k ~beats DB 15 REPLACE",
                "RENAME k ~beats",
                "EVAL \"redis.call('SELECT', 15) return redis.call('SET', '~beats', '1')\" 0",
                "CONFIG GET maxmemory",
                "CONFIG SET maxmemory 0",
                "FLUSHALL",
                "FLUSHDB",
                "SHUTDOWN NOSAVE",
                "FUNCTION FLUSH",
                "FUNCTION LIST",
                "FUNCTION DELETE identity",
                "ACL LIST",
                "ACL SETUSER dabaweb +@all",
                "KEYS *",
                "DEBUG SLEEP 0",
                "REPLICAOF NO ONE",
                "SLAVEOF NO ONE",
                "CLIENT KILL TYPE normal",
                "CLIENT LIST",
                "MONITOR",
                "SWAPDB 0 1",
                "MIGRATE h 1 k 0 1",
                "BGREWRITEAOF",
                "SAVE",
                "FAILOVER",
                "MODULE LIST",
                "SCRIPT FLUSH",
                "EVAL \"return redis.call('FLUSHALL')\" 0",
                "EVAL \"return redis.call('KEYS', '*')\" 0",
            ];
            const lines = [...allowed.map(([line]) => line), ...refused];
            const text = lines.map((line) => `ECHO "<${line.replaceAll('"', "'")}>"\n${line}\n`).join("");
            const login = ["-e", `REDISCLI_AUTH=${passwords.dabaweb}`];
            const answer = await docker(["exec", "-i", ...login, master, "redis-cli", "--user", "dabaweb"], {
                input: text,
            });
            // Inside MULTI, the ECHO is queued too: its line is missing there, and EXEC returns its answer.
            for (const [line, expected] of allowed.filter(([l]) => !/^(DEL|UNLINK|EXEC)/.test(l))) {
                const marker = `<${line.replaceAll('"', "'")}>\n`;
                ok(answer.includes(marker), `${line} in\n${answer}`);
                match(answer.slice(answer.indexOf(marker) + marker.length), expected, line);
            }
            match(answer, /QUEUED\nQUEUED\nQUEUED\nQUEUED\nQUEUED/);
            for (const line of refused) {
                const marker = `<${line.replaceAll('"', "'")}>\n`;
                ok(answer.includes(marker), line);
                const after = answer.slice(answer.indexOf(marker) + marker.length).split("\n")[0] as string;
                match(after, /^(NOPERM|ERR .*ACL failure|ERR DEBUG command not allowed)/, line);
            }
            strictEqual(await redis(master, "GET", "greeting"), "hello", "nothing was flushed");
        });

        it("limit the replication account to replication", async () => {
            const user =
                /^repl_[0-9a-f]{8}_[0-9a-f]{8}$/m.exec(await redis(master, "ACL", "USERS"))?.[0] ?? "";
            ok(user.startsWith(`repl_${(await identityFile(master)).slice(0, 8)}`));
            for (const words of [
                ["GET", "greeting"],
                ["SET", "x", "1"],
                ["INFO"],
                ["ACL", "WHOAMI"],
                ["CONFIG", "GET", "*"],
            ]) {
                match(
                    await redis(master, "ACL", "DRYRUN", user, ...words),
                    /has no permissions/,
                    words.join(" "),
                );
            }
            strictEqual(await redis(master, "ACL", "DRYRUN", user, "PING"), "OK");
        });

        it("keep passwords out of inspect, logs, process lists and the engine's environment", async () => {
            for (const pod of [master, ...slaves]) {
                const seen = [
                    await docker(["inspect", pod]),
                    await logs(pod),
                    await docker(["top", pod, "-eo", "pid,args"]),
                    (await exec(pod, ["bash", "-c", "tr '\\0' '\\n' </proc/1/environ"])).stdout,
                    (await exec(pod, ["bash", "-c", "tr '\\0' ' ' </proc/1/cmdline"])).stdout,
                    (await exec(pod, ["cat", "/run/redis/users.acl"])).stdout,
                ];
                for (const text of seen) {
                    ok(text.length > 0, "there is something to search");
                    for (const password of Object.values(passwords)) {
                        ok(!text.includes(password), text);
                    }
                }
                const modes = await exec(pod, [
                    "bash",
                    "-c",
                    "stat -c %a /run/redis/{admin,users.acl,redis.conf}",
                ]);
                strictEqual(modes.stdout, "600\n600\n600\n");
            }
        });

        it("keep passwords out of the environment of the clients of probes, starting pods and commands", async () => {
            // The wrapper is a script: only the engine's client has this name as its executable.
            const look = [
                "engine=$(type -ap redis-cli | tail -n 1)",
                // So that the client gets no answer before it has been inspected.
                "redis-cli CLIENT PAUSE 10000 ALL >/dev/null",
                // Without a process of its own: some clients end after two seconds.
                "seen() {",
                "    for exe in /proc/[0-9]*/exe; do",
                '        if [[ $exe -ef $engine ]] && mapfile -d "" environ <"${exe%exe}environ"; then return; fi',
                "    done",
                "    return 1",
                "} 2>/dev/null",
                // Clients of the companion, which ask the slaves.
                "while seen; do :; done",
                '"$@" >/dev/null 2>&1 &',
                "until seen; do kill -0 $!; done",
                'printf "%s\\n" "${environ[@]}"',
                "wait $! || true",
            ].join("\n");
            for (const client of [
                ["redis-cli", "-n", "1", "GET", "greeting"],
                ["ready"],
                ["bash", "-c", ". /opt/dabaweb/lib/lib.sh && ask 127.0.0.1 6379"],
            ]) {
                // On a busy machine, it can end before it is seen.
                const environ = await waitFor(`the environment of ${client.join(" ")}`, 60, async () => {
                    const { code, stdout, stderr } = await exec(master, [
                        "bash",
                        "-euc",
                        look,
                        "look",
                        ...client,
                    ]);
                    strictEqual(code, 0, stderr);
                    match(stdout, /^PATH=/m);
                    return stdout;
                });
                for (const password of Object.values(passwords)) {
                    ok(!environ.includes(password), `${client.join(" ")}: ${environ}`);
                }
                await untilReady(master);
            }
        });

        it("let operators use the client in every way without a password", async () => {
            const ask = (args: string[], input: string) =>
                docker(["exec", "-i", master, "redis-cli", ...args], { input });
            strictEqual(await ask(["-n", "1", "-x", "SET", "by-input"], "hello"), "OK");
            strictEqual(await ask(["-n", "1", "GET", "by-input"], "not read"), "hello");
            strictEqual(await ask(["-n", "1"], "GET by-input\nDEL by-input\n"), "hello\n1");
            const pipe = ["-n", "1", "--pipe-timeout", "60", "--pipe"];
            match(await ask(pipe, "SET piped 1\r\nDEL piped\r\n"), /errors: 0, replies: 2/);
            strictEqual(
                await ask(["--eval", "/dev/stdin", "k", ",", "a"], "return KEYS[1] .. ARGV[1]"),
                "ka",
            );
            strictEqual(await ask(["--show-pushes", "no", "ACL", "WHOAMI"], ""), "default");
            // A client with its own login keeps that login.
            const other = ["--show-pushes", "no", "--user", "dabaweb", "--pass", passwords.dabaweb];
            match(await ask([...other, "--no-auth-warning", "ACL", "WHOAMI"], ""), /^NOPERM User dabaweb /);
            strictEqual(await ask(["ACL", "WHOAMI"], ""), "default");
        });

        it("leave no zombie processes after many probes and operator commands", async () => {
            for (const pod of [master, ...slaves]) {
                for (let round = 0; round < 5; round++) {
                    await untilReady(pod);
                    await untilAlive(pod);
                }
                // `docker top` does not list zombies.
                const dead = "grep -lE '^[0-9]+ [(].*[)] Z' /proc/[0-9]*/stat || true";
                // A child of the companion is a zombie for a moment until it is reaped; one that no process reaps stays.
                await waitFor("no zombie processes to be left", 20, async () => {
                    const { code, stdout } = await exec(pod, ["bash", "-c", dead]);
                    return code === 0 && stdout === "";
                });
            }
        });

        it("keep data and identity across a restart of the master, and of everything", async () => {
            const born = await identity(master);
            strictEqual((await stop(master)).code, 0);
            await docker(["start", master]);
            await untilReady(master, ...slaves);
            strictEqual(await redis(master, "GET", "greeting"), "hello");
            for (const pod of [...slaves, master]) {
                strictEqual((await stop(pod)).code, 0, pod);
            }
            await docker(["start", ...slaves, master]);
            await untilReady(master, ...slaves);
            for (const pod of [master, ...slaves]) {
                strictEqual(await identity(pod), born);
                strictEqual(await identityFile(pod), born);
                strictEqual(await redis(pod, "GET", "greeting"), "hello");
            }
        });

        it("keep the identity across FLUSHALL, on slaves too", async () => {
            const born = await identityFile(master);
            await redis(master, "SET", "doomed", "1");
            for (const slave of slaves) {
                await untilValue(slave, "doomed", "1");
            }
            strictEqual(await redis(master, "FLUSHALL"), "OK");
            for (const slave of slaves) {
                await untilValue(slave, "doomed", "");
            }
            for (const pod of [master, ...slaves]) {
                strictEqual(await identity(pod), born);
            }
            strictEqual(await redis(master, "SET", "greeting", "hello"), "OK");
            for (const slave of slaves) {
                await untilValue(slave, "greeting", "hello");
            }
        });

        it("apply changed passwords to kept data at the next start", async () => {
            const old = passwords.dabaweb;
            passwords.dabaweb = randomBytes(16).toString("hex");
            passwords.admin = randomBytes(16).toString("hex");
            await scope.fillVolume(pods.secrets, passwords);
            // Until then, probes and the operator use the password that the server was started with.
            await untilReady(master);
            strictEqual(await redis(master, "GET", "greeting"), "hello");
            for (const pod of [master, ...slaves]) {
                await stop(pod);
            }
            await docker(["start", master, ...slaves]);
            await untilReady(master, ...slaves);
            strictEqual(await redis(master, "GET", "greeting"), "hello");
            const login = ["--no-auth-warning", "--user", "dabaweb", "-a"];
            strictEqual(await redis(master, ...login, passwords.dabaweb, "GET", "greeting"), "hello");
            match(await redis(master, ...login, old, "GET", "greeting"), /WRONGPASS/);
        });

        it("lose no acknowledged write when the master is killed with writes in flight", async () => {
            const writer = slaves[0] as string;
            // By address: when the master is gone, each write would wait for a name server that does not know it.
            const [address] = (await exec(writer, ["getent", "ahostsv4", "redis-master"])).stdout.split(" ");
            ok(address);
            const client = spawn("docker", ["exec", "-i", writer, "redis-cli", "-h", address]);
            let acknowledged = 0;
            let ended = false;
            client.on("close", () => (ended = true));
            client.stdin.on("error", () => undefined);
            // Few at a time: each write that is unsent when the master is gone waits seconds for a connection.
            const more = (): boolean => client.stdin.write("INCR counter\n".repeat(4));
            let killed = false;
            createInterface(client.stdout).on("line", (line) => {
                if (!/^\d+$/.test(line)) {
                    return;
                }
                acknowledged = Number(line);
                if (acknowledged % 4 === 2 && !killed) {
                    more();
                }
            });
            more();
            await waitFor("500 writes are acknowledged", 60, async () => acknowledged >= 500, {
                pauseMs: 5,
            });
            await docker(["kill", "-s", "KILL", master]);
            killed = true;
            client.stdin.end();
            await waitFor("the writer ends", 60, async () => ended);
            await docker(["start", master]);
            await untilReady(master, ...slaves);
            const kept = Number(await redis(master, "GET", "counter"));
            ok(kept >= acknowledged, `${acknowledged} acknowledged, ${kept} kept`);
            console.log(`      ${acknowledged} writes acknowledged before SIGKILL, ${kept} kept`);
            for (const slave of slaves) {
                await untilValue(slave, "counter", String(kept));
            }
        });

        it("stop within the grace period although a slave hangs, and lose nothing", async () => {
            const [hanging, other] = slaves as [string, string];
            await whilePaused(hanging, async () => {
                strictEqual(await redis(master, "SET", "last", "words"), "OK");
                const { seconds, code } = await stop(master);
                console.log(`      master stopped in ${seconds.toFixed(1)} s with one slave hanging`);
                strictEqual(code, 0);
                strictEqual(await redis(other, "GET", "last"), "words");
            });
            await docker(["start", master]);
            await untilReady(master, ...slaves);
            for (const slave of slaves) {
                await untilValue(slave, "last", "words");
            }
        });

        it("stop immediately although the first append-only file after a full copy is being written", async () => {
            const slave = slaves[0] as string;
            const many = "for i = 1, 1000 do redis.call('SET', 'many:' .. i, i) end";
            await redis(master, "EVAL", many, "0");
            await untilValue(slave, "many:1000", "1000");
            // 100 ms per key, 100 s in total, longer than the grace period; the engine is in the same state as after a full copy.
            await redis(slave, "CONFIG", "SET", "rdb-key-save-delay", "100000");
            await redis(slave, "CONFIG", "SET", "appendonly", "no");
            await redis(slave, "CONFIG", "SET", "appendonly", "yes");
            match(await redis(slave, "INFO", "persistence"), /aof_rewrite_in_progress:1/);
            strictEqual((await stop(slave)).code, 0);
            await docker(["start", slave]);
            await untilReady(slave);
            // It may serve the content of an older file until the master has sent what is missing.
            await untilValue(slave, "many:1000", "1000");
            strictEqual(await identityFile(slave), await identity(slave));
        });

        it("serve what slaves have while the master is away, even from a slave that starts meanwhile", async () => {
            const slave = slaves[1] as string;
            await stop(master);
            await stop(slave);
            await docker(["start", slave]);
            await waitFor(
                "the slave serves",
                20,
                async () => (await redis(slave, "GET", "greeting")) === "hello",
            );
            await untilAlive(slave);
            await untilReady(slave);
            await docker(["start", master]);
            await untilReady(master, ...slaves);
        });

        it("take nothing from a master with another history", async () => {
            const born = await identityFile(master);
            await stop(master);
            const other = await startMaster("other", {
                volume: await scope.disk("data-other"),
                alias: "redis-master",
            });
            await untilReady(other);
            const foreign = await identity(other);
            ok(foreign !== born);
            strictEqual(await redis(other, "SET", "greeting", "foreign"), "OK");
            const says = new RegExp(
                `redis-master:6379 belongs to another history: its identity is ${foreign}.* ${born}`,
            );
            for (const slave of slaves) {
                await waitFor(`${slave} says why`, 20, async () => {
                    const result = await ready(slave);
                    return result.code !== 0 && says.test(result.stdout);
                });
                strictEqual(await redis(slave, "GET", "greeting"), "hello");
                await untilAlive(slave);
            }
            const again = slaves[0] as string;
            await stop(again);
            await docker(["start", again]);
            await waitFor("the slave says why", 20, async () => says.test((await ready(again)).stdout));
            strictEqual(await redis(again, "GET", "greeting"), "hello");
            strictEqual(
                await redis(other, "INFO", "replication").then((t) => /connected_slaves:0/.test(t)),
                true,
            );
            await scope.remove(other);
            await docker(["start", master]);
            await untilReady(master, ...slaves);
            for (const slave of slaves) {
                strictEqual(await redis(slave, "GET", "greeting"), "hello");
            }
        });

        it("stay within their memory limit with full data, rewrites, full copies and evictions at once", async () => {
            const fill =
                "for i = 1, 1000 do redis.call('SET', ARGV[1] .. i, string.rep(ARGV[2], 4096), 'EX', 3600) end";
            const write = (round: number, letter: string): Promise<string> =>
                redis(master, "EVAL", fill, "0", `fill${round}:`, letter);
            for (let round = 0; round < 12; round++) {
                await write(round, "a");
            }
            match(await redis(master, "INFO", "stats"), /evicted_keys:[1-9]/);
            match(await redis(master, "BGREWRITEAOF"), /started|scheduled/);
            const restarts = slaves.map((slave) => docker(["restart", "-t", "30", slave]));
            for (let round = 0; round < 24; round++) {
                strictEqual(await write(round % 12, "b"), "");
            }
            await Promise.all(restarts);
            await untilReady(master, ...slaves);
            for (const slave of slaves) {
                await waitFor("the slaves have every key", 60, async () => {
                    return (await redis(slave, "DBSIZE")) === (await redis(master, "DBSIZE"));
                });
            }
            for (const pod of [master, ...slaves]) {
                const state = await docker(["inspect", "-f", "{{.State.OOMKilled}} {{.RestartCount}}", pod]);
                strictEqual(state, "false 0", pod);
                await printMemory(`full, ${pod}`, pod);
            }
        });
    });

    describe("one pod", () => {
        const running: string[] = [];

        async function tracked(started: Promise<string>): Promise<string> {
            const pod = await started;
            running.push(pod);
            return pod;
        }

        afterEach(async function () {
            if (this.currentTest?.state === "failed") {
                await dump(...running);
            }
            await scope.remove(...running.splice(0));
        });

        it("is small when it is empty", async () => {
            const pod = await tracked(startMaster("small", { volume: await scope.disk("small") }));
            await untilReady(pod);
            ok((await printMemory("empty", pod)) < 32);
        });

        it("of a master without data waits forever if the system was initialised before, and stops immediately", async () => {
            const volume = await scope.disk("lost");
            const marker = await scope.filledVolume("marker", { initialised: "yes" });
            const pod = await tracked(startMaster("lost", { volume, marker }));
            await untilWaits(pod, /no data in \/data\/redis, but this system was initialised before/);
            const count = async (): Promise<number> =>
                (await logs(pod)).split("initialised before").length - 1;
            await waitFor("it says so again after ten seconds", 20, async () => (await count()) >= 2);
            notStrictEqual((await stop(pod)).code, KILLED);
            strictEqual(await scope.inVolume(volume, "ls"), "lock\nlost+found", "nothing was created");
        });

        it("of a master continues by itself when what it waits for exists", async () => {
            const volume = await scope.disk("override");
            await scope.inVolume(volume, "echo unreadable >identity; chown 10001 . identity");
            const pod = await tracked(startMaster("override", { volume }));
            await untilWaits(pod, /initialised before/);
            await exec(pod, ["rm", "/data/identity"]);
            await untilReady(pod);
        });

        it("waits until another server on its volume has ended", async () => {
            const volume = await scope.disk("shared");
            const first = await tracked(startMaster("first", { volume }));
            await untilReady(first);
            await redis(first, "SET", "k", "v");
            const second = await tracked(startMaster("second", { volume }));
            await untilWaits(second, /another server still runs on this volume \(it holds \/data\/lock\)/);
            await docker(["kill", first]);
            await untilReady(second);
            strictEqual(await redis(second, "GET", "k"), "v");
        });

        it("of a slave without data waits for its master and says why", async () => {
            const pod = await tracked(startSlave("alone", "nowhere", { volume: await scope.disk("alone") }));
            await untilWaits(
                pod,
                /no data yet, and the master nowhere:6379 does not report its identity: .*/,
            );
            notStrictEqual((await stop(pod)).code, KILLED);
        });

        it("removes what an interrupted initialisation left", async () => {
            const volume = await scope.disk("half");
            await scope.inVolume(
                volume,
                "mkdir -p redis.new/appendonlydir; echo x >redis.new/appendonlydir/a; chown -R 10001 redis.new",
            );
            const pod = await tracked(startMaster("half", { volume }));
            await untilReady(pod);
            match(await logs(pod), /removing \/data\/redis\.new, which an interrupted start left incomplete/);
            strictEqual((await exec(pod, ["ls", "/data"])).stdout, "identity\nlock\nlost+found\nredis\n");
        });

        it("creates nothing in a data directory that has lost its content", async () => {
            const volume = await scope.disk("emptied");
            await scope.inVolume(volume, "mkdir redis; chown 10001 redis");
            const pod = await tracked(startMaster("emptied", { volume }));
            await untilWaits(pod, /\/data\/redis exists but has no append-only file/);
        });

        it("restores the identity in the data from the file next to it, and vice versa", async () => {
            const pod = await tracked(startMaster("restores", { volume: await scope.disk("restores") }));
            await untilReady(pod);
            const born = await identity(pod);
            await redis(pod, "SET", "k", "v");
            await exec(pod, ["rm", "/data/identity"]);
            await docker(["restart", "-t", "30", pod]);
            await untilReady(pod);
            strictEqual(await identityFile(pod), born);
            match(await logs(pod), /\/data\/identity was lost: restored from the data/);

            strictEqual(await redis(pod, "FUNCTION", "FLUSH"), "OK");
            await docker(["restart", "-t", "30", pod]);
            await untilReady(pod);
            strictEqual(await identity(pod), born);
            match(await logs(pod), /the data has lost its identity: restored from \/data\/identity/);
            strictEqual(await redis(pod, "GET", "k"), "v");
        });

        it("does not open data of one history on a volume of another, until the operator has decided", async () => {
            const pod = await tracked(startMaster("mixed", { volume: await scope.disk("mixed") }));
            await untilReady(pod);
            const born = await identity(pod);
            await redis(pod, "SET", "k", "v");
            const other = "22222222-2222-4222-8222-222222222222";
            await exec(pod, ["bash", "-c", `echo ${other} >/data/identity`]);
            await docker(["restart", "-t", "30", pod]);
            await untilWaits(pod, new RegExp(`has the identity ${born}, but /data/identity says ${other}`));
            match((await exec(pod, ["redis-cli", "PING"])).stderr, /Could not connect/);
            await exec(pod, ["rm", "/data/identity"]);
            await untilReady(pod);
            strictEqual(await redis(pod, "GET", "k"), "v");

            strictEqual(await redis(pod, "FUNCTION", "FLUSH"), "OK");
            await exec(pod, ["rm", "/data/identity"]);
            await docker(["restart", "-t", "30", pod]);
            await untilWaits(pod, /has no identity, neither inside nor in \/data\/identity/);
            await exec(pod, ["bash", "-c", `echo ${born} >/data/identity`]);
            await untilReady(pod);
            strictEqual(await identity(pod), born);
        });

        it("waits with the engine's log if its data cannot be loaded", async () => {
            const volume = await scope.disk("corrupt");
            const pod = await tracked(startMaster("corrupt", { volume }));
            await untilReady(pod);
            await stop(pod);
            await scope.inVolume(volume, "echo rubbish >redis/appendonlydir/appendonly.aof.manifest");
            await docker(["start", pod]);
            await untilWaits(
                pod,
                /\/data\/redis is damaged and not opened: .*manifest.*format.*no slave pod has an/,
            );
        });

        it("ends a script that was running before its companion connected", async () => {
            const pod = await tracked(startMaster("scripted", { volume: await scope.disk("scripted") }));
            await untilReady(pod);
            const companion = async (signal: string) =>
                exec(pod, [
                    "bash",
                    "-c",
                    `kill -${signal} $(grep -lz [/]heartbeat /proc/[0-9]*/cmdline | tr -dc '0-9\n')`,
                ]);
            // It would end the script before the next one takes its place.
            strictEqual((await companion("STOP")).code, 0);
            const script = exec(pod, ["redis-cli", "EVAL", "while true do end", "0"]);
            await waitFor("the script blocks redis-server", 30, async () =>
                (await redis(pod, "PING")).startsWith("BUSY"),
            );
            strictEqual((await companion("KILL")).code, 0);
            match((await script).stdout, /Script killed by user/);
            await untilReady(pod);
        });

        it("names what is wrong with its environment and exits", async () => {
            const volume = await scope.disk("wrong");
            const wrong: [string, Record<string, string>, RegExp][] = [
                [
                    "memory",
                    { REDIS_MAXMEMORY: "64mb" },
                    /REDIS_MAXMEMORY is '64mb'; it must be a number of bytes/,
                ],
                ["ip", { POD_IP: "" }, /POD_IP is ''; it must be the pod's address/],
                ["port", { MASTER_PORT: "" }, /MASTER_PORT is ''; it must be the master's port/],
                ["slaves", { SLAVES_HOST: "" }, /SLAVES_HOST is ''; it must be the name under which every/],
                [
                    "stale",
                    { MAX_STALE_SECONDS: "1m" },
                    /MAX_STALE_SECONDS is '1m'; it must be a number of sec/,
                ],
            ];
            for (const [name, env, message] of wrong) {
                const pod = await tracked(startSlave(`wrong-${name}`, "m", { volume, env }));
                strictEqual(await docker(["wait", pod]), "1");
                match(await logs(pod), message);
            }
            const empty = await scope.filledVolume("no-secrets");
            const real = pods.secrets;
            pods.secrets = empty;
            const pod = await tracked(startMaster("no-password", { volume })).finally(
                () => (pods.secrets = real),
            );
            strictEqual(await docker(["wait", pod]), "1");
            match(
                await logs(pod),
                /\/run\/secrets\/redis\/admin does not contain a password of letters and digits/,
            );
        });
    });
});

/** Prints a pod's memory use, and prints and returns its engine's peak in MiB. */
async function printMemory(title: string, pod: string): Promise<number> {
    const now = await docker(["stats", "--no-stream", "--format", "{{.MemUsage}}", pod]);
    const status = (await exec(pod, ["cat", "/proc/1/status"])).stdout;
    const peak = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
    console.log(`      memory, ${title}: ${now}, peak of process 1 ${peak.toFixed(0)} MiB`);
    return peak;
}
