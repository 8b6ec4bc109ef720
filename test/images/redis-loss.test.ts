import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { PATIENCE } from "../support/command";
import { docker, exec, logs, networkAddress, untilLogged, waitFor } from "../support/docker";
import { isLong, times } from "../support/long";
import {
    dump,
    heartbeat,
    identity,
    identityFile,
    redis,
    RedisPods,
    stop,
    untilReady,
    untilUnready,
    untilValue,
    untilWaits,
} from "../support/redis-pods";

const pods = new RedisPods("redis-loss");
const { scope } = pods;

/** Further values of the marker, and the environment of the master. */
interface Options {
    readonly slaves?: number;
    readonly usedUp?: string;
    readonly env?: Readonly<Record<string, string>>;
}

/** A master and its slaves as StatefulSets create them: a recreated pod has its name and, unless lost, its volume. */
class System {
    private static count = 0;
    /** A container that has the name of the master's Service while no master runs. */
    private static holder = "";
    private readonly containers = new Set<string>();
    private readonly volumes = new Map<string, string>();
    private readonly id = `s${System.count++}`;
    private generation = 0;
    readonly slaves: string[] = [];
    master = "";
    private isHeld = false;
    private slaveEnv: Readonly<Record<string, string>> = {};

    /** Starts everything and waits until the master's heartbeat has reached the slaves. */
    async up(slaves: number, slaveEnv: Readonly<Record<string, string>>): Promise<void> {
        this.slaveEnv = slaveEnv;
        const numbers = Array.from({ length: slaves }, (_, n) => n);
        const [, ...started] = await Promise.all([
            this.startMaster(),
            ...numbers.map((n) => this.startSlave(n)),
        ]);
        this.slaves.push(...started);
        await this.untilBeats();
    }

    /** Waits until the master's heartbeat has reached the slaves. */
    async untilBeats(): Promise<void> {
        await untilReady(this.master, ...this.slaves);
        for (const slave of this.slaves) {
            await waitFor("a heartbeat arrives", 20, async () => (await heartbeat(slave)) > 0);
        }
    }

    /** Nobody has any of the keys that tests write. */
    async clear(): Promise<void> {
        for (const database of ["0", "7"]) {
            await redis(this.master, "-n", database, "FLUSHDB");
        }
        await this.untilWhole();
        await this.untilSame("k", "");
        await this.untilBeats();
    }

    /**
     * A Service name resolves even if no pod is behind it. Docker forgets the names of stopped containers and queries
     * external DNS servers, for seconds during which redis-server does nothing else.
     */
    private async holdName(): Promise<void> {
        if (!this.isHeld) {
            if (System.holder === "") {
                System.holder = await scope.run({
                    name: "holder",
                    image: pods.slaveImage,
                    network: pods.network,
                    options: ["--network-alias", "redis-master", "--entrypoint", "sleep"],
                    args: ["infinity"],
                });
            } else {
                await docker(["network", "connect", "--alias", "redis-master", pods.network, System.holder]);
            }
            this.isHeld = true;
        }
    }

    private async releaseName(): Promise<void> {
        if (this.isHeld) {
            await docker(["network", "disconnect", pods.network, System.holder]);
            this.isHeld = false;
        }
    }

    async stopMaster(): Promise<{ seconds: number; code: number }> {
        const stopped = await stop(this.master);
        await this.holdName();
        return stopped;
    }

    async killMaster(): Promise<void> {
        await docker(["kill", this.master]);
        await this.holdName();
    }

    /** Restarts the container of the master. */
    async continueMaster(): Promise<void> {
        await this.releaseName();
        await docker(["start", this.master]);
    }

    async startMaster({ slaves, usedUp, env = {} }: Options = {}): Promise<string> {
        const marked = {
            ...(slaves === undefined ? {} : { initialised: "yes", slaves: String(slaves) }),
            ...(usedUp === undefined ? {} : { bootstrap: usedUp }),
        };
        const marker = await scope.filledVolume(`${this.id}-marker-${this.generation++}`, marked);
        await this.releaseName();
        this.master = await pods.startMaster(`${this.id}-redis-master-0`, {
            volume: await this.volume("master"),
            marker,
            // The Service's name is the pod's name without its ordinal.
            env: { POD_NAME: "redis-master-0", ...env },
        });
        this.containers.add(this.master);
        return this.master;
    }

    async startSlave(n: number): Promise<string> {
        const slave = await pods.startSlave(`${this.id}-slave-${n}`, "redis-master", {
            volume: await this.volume(`slave-${n}`),
            ip: `192.0.2.${10 + n}`,
            env: this.slaveEnv,
        });
        this.containers.add(slave);
        return slave;
    }

    /** Removes a pod and its claim: the next pod with its name is empty. */
    async lose(container: string, name: string): Promise<void> {
        await this.remove(container);
        this.volumes.delete(name);
    }

    async remove(container: string): Promise<void> {
        await scope.remove(container);
        this.containers.delete(container);
    }

    /** The volume of a pod, new and empty if it has none. */
    async volume(name: string): Promise<string> {
        let volume = this.volumes.get(name);
        if (volume === undefined) {
            volume = await scope.disk(`${this.id}-${name}-${this.generation++}`);
            this.volumes.set(name, volume);
        }
        return volume;
    }

    /** Starts a slave whose container is removed with the same volume: its log begins anew. */
    async replaceSlave(n: number): Promise<string> {
        return (this.slaves[n] = await this.startSlave(n));
    }

    /** Gives a stopped pod another volume. */
    exchange(name: string, volume: string): void {
        this.volumes.set(name, volume);
    }

    async untilSame(key: string, value: string): Promise<void> {
        for (const pod of [this.master, ...this.slaves]) {
            await untilValue(pod, key, value);
        }
    }

    /** Waits until every slave follows the master and serves. */
    async untilWhole(): Promise<void> {
        await untilReady(this.master, ...this.slaves);
        await waitFor("all slaves follow", 60, async () => {
            const info = await redis(this.master, "INFO", "replication");
            return info.includes(`connected_slaves:${this.slaves.length}`);
        });
        await untilReady(...this.slaves);
    }

    async dump(): Promise<void> {
        await dump(...this.containers);
    }

    async close(): Promise<void> {
        await this.releaseName();
        await scope.remove(...this.containers);
    }
}

const beats = async (pod: string): Promise<number> => Number(await redis(pod, "-n", "15", "GET", "~beats"));
const role = async (pod: string): Promise<string> => (await redis(pod, "ROLE")).split("\n")[0] as string;

describe("images/redis-master and images/redis-slave when data is lost", () => {
    let system: System;
    let isThere = false;

    before(() => pods.setUp());
    after(() => pods.tearDown());

    /** The tests of this group have one system, which each leaves whole, and the last one as it likes. */
    function share(slaves: number, slaveEnv: Readonly<Record<string, string>> = {}): void {
        beforeEach("a whole system without keys", async () => {
            if (!isThere) {
                system = new System();
                isThere = true;
                await system.up(slaves, slaveEnv);
            }
            await system.clear();
        });
        after("remove the system", removeSystem);
    }

    async function removeSystem(): Promise<void> {
        if (isThere) {
            isThere = false;
            await system.close();
        }
    }

    afterEach("after a failure, print the logs and remove the system", async function () {
        if (this.currentTest?.state === "failed") {
            await system.dump();
            await removeSystem();
        }
    });

    /** Two slaves that have what the master had when its volume was lost; returns the system's identity. */
    async function loseMaster(): Promise<string> {
        await redis(system.master, "SET", "k", "v");
        await system.untilSame("k", "v");
        const born = await identity(system.master);
        await system.stopMaster();
        await system.lose(system.master, "master");
        return born;
    }

    /** A master whose volume is lost takes everything from its slaves, however many there are. */
    async function takeEverything(): Promise<void> {
        const born = await identity(system.master);
        await redis(system.master, "SET", "greeting", "hello");
        await redis(system.master, "-n", "7", "SET", "seven", "up", "EX", "3600");
        await system.untilSame("greeting", "hello");
        await system.stopMaster();
        await system.lose(system.master, "master");
        await system.startMaster({ slaves: system.slaves.length });
        await system.untilWhole();
        for (const pod of [system.master, ...system.slaves]) {
            strictEqual(await identity(pod), born, pod);
            strictEqual(await identityFile(pod), born, pod);
            strictEqual(await redis(pod, "GET", "greeting"), "hello", pod);
            strictEqual(await redis(pod, "-n", "7", "GET", "seven"), "up", pod);
        }
        strictEqual(
            (await exec(system.master, ["ls", "/data"])).stdout,
            "identity\nlock\nlost+found\nredis\n",
        );
        await redis(system.master, "SET", "after", "wards");
        await system.untilSame("after", "wards");
        // What it copied is on its own disk.
        await docker(["restart", "-t", "30", system.master]);
        await system.untilWhole();
        await system.untilSame("greeting", "hello");
    }

    describe("a master with two slaves", () => {
        share(2);

        it("takes everything from its slaves, which then follow it", takeEverything);

        it("takes the newest data, whichever slave has it", async () => {
            await redis(system.master, "SET", "k", "old");
            await system.untilSame("k", "old");
            const [behind, ahead] = system.slaves as [string, string];
            await stop(behind);
            const before = await heartbeat(ahead);
            await waitFor("time passes", 20, async () => (await heartbeat(ahead)) > before + 2000);
            await redis(system.master, "SET", "k", "new");
            await untilValue(ahead, "k", "new");
            await system.stopMaster();
            await system.lose(system.master, "master");
            await docker(["start", behind]);
            await system.startMaster({ slaves: 2 });
            await system.untilWhole();
            await system.untilSame("k", "new");
        });

        const orders: [early: number, late: number][] = [
            [0, 1],
            [1, 0],
        ];
        for (const [early, late] of isLong ? orders : orders.slice(0, 1)) {
            it(`takes the last write, which only slave ${late} has, if all died within one heartbeat`, async () => {
                const [first, last] = [system.slaves[early]!, system.slaves[late]!];
                // A heartbeat that each slave gets as a command: the bytes after it count, and a full copy has none after it.
                const beat = Math.max(...(await Promise.all(system.slaves.map(heartbeat))));
                for (const slave of system.slaves) {
                    await waitFor("a newer heartbeat", 20, async () => (await heartbeat(slave)) > beat);
                }
                await exec(system.master, ["bash", "-c", stopCompanion]);
                await redis(system.master, "SET", "k", "old");
                await system.untilSame("k", "old");
                await docker(["kill", first]);
                // A slave's disk may be one second behind its memory.
                const written = await exec(system.master, ["redis-cli"], {
                    input: `SET k new\nWAITAOF 0 1 ${PATIENCE * 20_000}\n`,
                });
                match(written.stdout, /^OK\n\d\n1\n$/);
                await docker(["kill", last]);
                await system.killMaster();
                await system.lose(system.master, "master");
                await docker(["start", ...system.slaves]);
                await system.startMaster({ slaves: 2 });
                await system.untilWhole();
                await system.untilSame("k", "new");
            });
        }

        it("waits for slaves that start at the same time", async () => {
            await redis(system.master, "SET", "k", "v");
            await system.untilSame("k", "v");
            for (const pod of [system.master, ...system.slaves]) {
                await docker(["kill", pod]);
            }
            await system.lose(system.master, "master");
            await system.startMaster({ slaves: 2 });
            await untilWaits(system.master, /initialised before.* 0 of 2 slaves report what they have/);
            await docker(["start", ...system.slaves]);
            await system.untilWhole();
            await system.untilSame("k", "v");
        });

        it("waits for a missing slave and names what the others have, until a new word overrides", async () => {
            const born = await loseMaster();
            await stop(system.slaves[1] as string);
            const env = { BOOTSTRAP: "word-1" };
            await system.startMaster({ slaves: 2, env, usedUp: "word-1" });
            await untilWaits(
                system.master,
                new RegExp(
                    `1 of 2 slaves report .*: [0-9.]+ has identity ${born} and data from 20.* UTC.*\`bootstrap\``,
                ),
            );
            strictEqual(await role(system.slaves[0] as string), "slave", "nothing was touched");
            await system.remove(system.master);
            await system.startMaster({ slaves: 2, env, usedUp: "word-0" });
            await untilReady(system.master, system.slaves[0] as string);
            await docker(["start", system.slaves[1] as string]);
            await system.untilWhole();
            await system.untilSame("k", "v");
            strictEqual(await identity(system.master), born);
        });

        it("takes the data even if a slave lost its volume at the same time", async () => {
            const born = await loseMaster();
            await system.lose(system.slaves[0] as string, "slave-0");
            system.slaves[0] = await system.startSlave(0);
            await untilUnready(system.slaves[0], /its data has no heartbeat from a master/);
            match(await logs(system.slaves[0]), /the identity of the other slaves, as the master does not/);
            await system.startMaster({ slaves: 2 });
            await system.untilWhole();
            await system.untilSame("k", "v");
            strictEqual(await identity(system.master), born);
        });

        const moments: [when: string, line: RegExp][] = [
            ["when it has promoted a slave", /taking the data with the identity/],
            ["while it copies", /yet: copying it from the slave/],
            ["when the copy is complete", /was taken from the slave/],
            ["when it opens", /start: opening/],
        ];
        for (const some of isLong ? moments.map((each) => [each]) : [[moments[1]!, moments[3]!]]) {
            it(`starts from scratch after a kill ${some.map(([when]) => when).join(" and one ")}`, async () => {
                const born = await loseMaster();
                await system.startMaster({ slaves: 2 });
                for (const [when, line] of some) {
                    await untilLogged(system.master, line);
                    await system.killMaster();
                    const roles = await Promise.all(system.slaves.map(role));
                    console.log(
                        `      after the kill ${when}, the slaves have the roles ${roles.join(", ")}`,
                    );
                    await system.continueMaster();
                }
                await system.untilWhole();
                await system.untilSame("k", "v");
                strictEqual(await identity(system.master), born);
            });
        }

        it("has every write that WAIT 1 acknowledged, after it was deleted with its volume under load", async () => {
            const writers = await Promise.all(
                [0, 1, 2].map((n) => Writer.start(system.master, system.slaves[n % 2] as string, n)),
            );
            await waitFor("writes are acknowledged", 60, async () =>
                writers.every((writer) => writer.acknowledged.length > 100),
            );
            const { code, seconds } = await system.stopMaster();
            strictEqual(code, 0);
            await system.lose(system.master, "master");
            await Promise.all(writers.map((writer) => writer.end()));
            const keys = writers.flatMap((writer) => writer.acknowledged);
            console.log(
                `      ${keys.length} writes acknowledged by WAIT 1, stopped in ${seconds.toFixed(1)} s`,
            );
            await system.startMaster({ slaves: 2 });
            await system.untilWhole();
            for (const pod of [system.master, ...system.slaves]) {
                const lost = await exec(pod, ["redis-cli"], {
                    input: keys.map((k) => `EXISTS ${k}\n`).join(""),
                });
                const missing = lost.stdout.split("\n").filter((line) => line === "0").length;
                deepStrictEqual(
                    { missing, asked: lost.stdout.trim().split("\n").length },
                    { missing: 0, asked: keys.length },
                );
            }
        });

        it("opens immediately if its slaves answer, and without them after ten seconds", async () => {
            await system.stopMaster();
            await system.remove(system.master);
            await system.startMaster({ slaves: 2 });
            await system.untilWhole();
            // One that took long may have been asked twice.
            ok(!/is opened although/.test(await logs(system.master)), "it did not open without them");
            for (const slave of system.slaves) {
                await stop(slave);
            }
            await docker(["restart", "-t", "30", system.master]);
            await untilWaits(system.master, /0 of 2 slaves report .*it opens without the others in \d+ s/);
            await untilReady(system.master);
            match(await logs(system.master), /is opened although only 0 of 2 slaves report what they have/);
            await docker(["start", ...system.slaves]);
        });

        it("opens every time after a kill under writes, and no slave exits because of it", async () => {
            await system.remove(system.master);
            await system.startMaster({ slaves: 2 });
            await system.untilWhole();
            const began = () => docker(["inspect", "-f", "{{.State.StartedAt}}", ...system.slaves]);
            const before = await began();
            for (let round = 0; round < times(4, 10); round++) {
                const writers = await Promise.all(
                    [0, 1].map((n) =>
                        Writer.start(system.master, system.slaves[n] as string, n + 2 * round, true),
                    ),
                );
                await waitFor("writes arrive", 30, async () =>
                    writers.every((writer) => writer.acknowledged.length > 50),
                );
                await system.killMaster();
                await Promise.all(writers.map((writer) => writer.end()));
                await system.continueMaster();
                await untilReady(system.master, ...system.slaves);
            }
            ok(!/is not opened: this data/.test(await logs(system.master)));
            strictEqual(await began(), before);
        });

        it("does not open an older copy while slaves have more; without its volume, it takes their data", async () => {
            await redis(system.master, "SET", "k", "old");
            await system.untilSame("k", "old");
            await system.stopMaster();
            const current = await system.volume("master");
            const copy = await scope.copiedVolume("copy", current);
            await system.continueMaster();
            await system.untilWhole();
            await redis(system.master, "SET", "k", "new");
            await system.untilSame("k", "new");
            // The comparison uses the beat before a slave's last one. After a restart, that can be the last beat before it,
            // which the copy has too.
            const before = await heartbeat(system.master);
            for (const each of system.slaves) {
                await waitFor("a beat that is certainly on disk", 20, async () => {
                    const synced = await redis(each, "-n", "15", "GET", "heartbeat:synced");
                    return Number(synced) > before;
                });
            }
            await system.stopMaster();
            await system.remove(system.master);

            system.exchange("master", copy);
            await system.startMaster({ slaves: 2 });
            await untilWaits(
                system.master,
                /is not opened: this data is from 20.* UTC, beat \d+, but the slave [0-9.]+ has data from 20.* UTC, beat \d+ that/,
            );
            match((await exec(system.master, ["redis-cli", "PING"])).stderr, /Could not connect/);
            for (const each of system.slaves) {
                strictEqual(await redis(each, "GET", "k"), "new");
                await untilReady(each);
            }

            await system.lose(system.master, "master");
            await system.startMaster({ slaves: 2 });
            await system.untilWhole();
            await system.untilSame("k", "new");

            await system.stopMaster();
            await system.remove(system.master);
            system.exchange("master", copy);
            const another = await scope.copiedVolume("another", copy);
            await system.startMaster({ slaves: 2, env: { BOOTSTRAP: "this-one" } });
            await system.untilWhole();
            await system.untilSame("k", "old");
            match(
                await logs(system.master),
                /is opened although the slave .* the new word in `bootstrap` says so/,
            );
            strictEqual((await exec(system.master, ["cat", "/data/bootstrap"])).stdout, "this-one\n");

            // The word is used up, though no deployment has recorded it, and this volume never saw it.
            await system.stopMaster();
            await system.remove(system.master);
            system.exchange("master", another);
            await system.startMaster({ slaves: 2, env: { BOOTSTRAP: "this-one" } });
            await untilWaits(system.master, /is not opened: this data is from/);
        });
    });

    describe("a master with one slave", () => {
        share(1, { MAX_STALE_SECONDS: "5" });

        if (isLong) {
            it("takes everything from its slave, which then follows it", takeEverything);
        }

        it("leaves a promoted slave unready and closed to writes, and a later master turns it back", async () => {
            const slave = system.slaves[0] as string;
            await redis(system.master, "SET", "k", "v");
            await system.untilSame("k", "v");
            await system.stopMaster();
            strictEqual(await redis(slave, "REPLICAOF", "NO", "ONE"), "OK");
            await untilUnready(slave, /following no master: role is master/);
            match(await redis(slave, "SET", "k", "other"), /^NOREPLICAS/);
            await system.continueMaster();
            await system.untilWhole();
            await untilLogged(
                system.master,
                /was promoted; told it to follow redis-master again, and it answers: OK/,
            );
            await system.untilSame("k", "v");
        });

        it("closes again if it was opened behind a slave that has more, and that slave takes nothing from it", async () => {
            const slave = system.slaves[0] as string;
            await redis(system.master, "SET", "k", "old");
            await system.untilSame("k", "old");
            await system.stopMaster();
            const copy = await scope.copiedVolume("older", await system.volume("master"));
            await system.continueMaster();
            await system.untilWhole();
            const written = await exec(system.master, ["redis-cli"], {
                input: `SET k new\nWAIT 1 ${PATIENCE * 20_000}\n`,
            });
            strictEqual(written.stdout, "OK\n1\n");
            const before = await beats(slave);
            await waitFor(
                "beats that are certainly on disk",
                20,
                async () => (await beats(slave)) > before + 1,
            );
            await stop(slave);
            await system.stopMaster();
            await system.remove(system.master);
            system.exchange("master", copy);

            await system.startMaster({ slaves: 1 });
            await untilReady(system.master);
            strictEqual(await redis(system.master, "GET", "k"), "old");
            // So long that its count is ahead of the slave's.
            const late = await beats(system.master);
            await waitFor("it counts on", 30, async () => (await beats(system.master)) > late + 5);
            await docker(["start", slave]);
            // The slave refuses to follow, if it looks at the master before that closes.
            await waitFor(
                "the master closes",
                30,
                async () =>
                    (await docker(["inspect", "-f", "{{.State.Running}}", system.master])) === "false",
            );
            match(await logs(system.master), /is closed again: this data is from .* that this data lacks/);
            strictEqual(await redis(slave, "GET", "k"), "new");
            await stop(slave);
            await docker(["start", system.master]);
            await untilWaits(
                system.master,
                /0 of 1 slaves report .* and one of them had data that this data lacks/,
            );
            await docker(["start", slave]);
            await untilWaits(system.master, /is not opened: this data is from .* that this data lacks/);
            strictEqual(await redis(slave, "GET", "k"), "new");

            await system.lose(system.master, "master");
            await system.startMaster({ slaves: 1 });
            await system.untilWhole();
            await system.untilSame("k", "new");
        });

        it("takes nothing for lost: it says where its files are damaged, and continues when they are mended", async () => {
            const slave = system.slaves[0] as string;
            await redis(system.master, "SET", "k", "v");
            await system.untilSame("k", "v");
            const volume = await system.volume("master");
            await system.stopMaster();
            const name = await scope.inVolume(volume, "basename redis/appendonlydir/*.incr.aof");
            const incr = `redis/appendonlydir/${name}`;
            const size = Number(await scope.inVolume(volume, `stat -c %s ${incr}`));
            await scope.inVolume(volume, `head -c 65536 /dev/zero >>${incr}`);
            await system.continueMaster();
            await untilWaits(
                system.master,
                new RegExp(
                    `is damaged and not opened: ${name} is not valid after byte ${size} of ${size + 65536}` +
                        `.*The slaves: .*data from 20.*beat.*truncate -s ${size} /data/${incr}`,
                ),
            );
            await untilReady(slave);
            const advice = await waitFor("the advice in the status", 20, async () => {
                const said = (await status(system.master))["waiting"] ?? "";
                return /`(truncate [^`]+)`/.exec(said)?.[1] ?? false;
            });
            await exec(system.master, ["bash", "-c", advice]);
            await system.untilWhole();
            await system.untilSame("k", "v");

            // Half a write at the end is what a power cut leaves.
            await system.stopMaster();
            await scope.inVolume(volume, `printf '*3\\r\\n$3\\r\\nSET\\r\\n$1\\r\\nh' >>${incr}`);
            await system.continueMaster();
            await system.untilWhole();
            match(await logs(system.master), /ends in an incomplete write, which was never acknowledged/);
            await system.untilSame("k", "v");

            // A length in the middle: the engine alone would drop everything after it.
            await system.stopMaster();
            await scope.inVolume(volume, `LC_ALL=C sed -i '0,/^\\$13\\r$/s//$99\\r/' ${incr}`);
            await system.continueMaster();
            await untilWaits(
                system.master,
                new RegExp(`is damaged and not opened: ${name} is not valid after byte`),
            );
            await system.lose(system.master, "master");
            await system.startMaster({ slaves: 1 });
            await system.untilWhole();
            await system.untilSame("k", "v");
        });

        const incr = "$(ls redis/appendonlydir/*.incr.aof | tail -n 1)";
        const damages: [what: string, how: string][] = [
            ["zeros at the end", `head -c 65536 /dev/zero >>${incr}`],
            ["rubbish in the middle", `printf rubbish | dd of=${incr} bs=1 conv=notrunc`],
            ["a torn base", "truncate -s 50 redis/appendonlydir/*.base.rdb"],
            ["a missing file", `rm ${incr}`],
            ["no manifest", "rm redis/appendonlydir/appendonly.aof.manifest"],
        ];
        for (const [what, how] of isLong ? damages : damages.slice(0, 1)) {
            it(`takes a full copy if its own files are damaged: ${what}`, async () => {
                const [former] = system.slaves as [string];
                await redis(system.master, "SET", "k", "v");
                await system.untilSame("k", "v");
                await stop(former);
                await system.remove(former);
                const volume = await system.volume("slave-0");
                await scope.inVolume(volume, how);
                const slave = await system.replaceSlave(0);
                await system.untilWhole();
                await untilValue(slave, "k", "v");
                await untilLogged(slave, /a full copy has replaced the damaged files/);
                ok(!(await exec(slave, ["ls", "/data"])).stdout.includes("damaged"));
            });
        }

        it("counts a beat as no later than itself after the clock stepped back", async () => {
            const later = String(Date.now() + 3_600_000);
            const firstBeat = `redis-cli -n 15 SET heartbeat ${later} >/dev/null
                until mapfile -t times < <(redis-cli -n 15 MGET heartbeat heartbeat:synced) && [[ \${times[0]} != ${later} ]]; do :; done
                echo "\${times[@]}"`;
            const { stdout } = await exec(system.master, ["timeout", "20", "bash", "-c", firstBeat]);
            const [time, synced] = stdout.trim().split(" ").map(Number);
            ok(time! < Number(later), stdout);
            strictEqual(synced, time);
        });

        it("becomes unready when its data gets old although the link is up", async () => {
            const slave = system.slaves[0] as string;
            // Without heartbeats, the data's age grows, whatever else is written, and whatever a clock says.
            await redis(system.master, "-n", "15", "SET", "heartbeat", String(Date.now() + 3_600_000));
            await exec(system.master, ["bash", "-c", stopCompanion]);
            await untilUnready(slave, /^its data is [0-9.]+ s old although the link .* allows 5 s/);
            await exec(system.master, ["bash", "-c", continueCompanion]);
            await untilReady(slave);
        });

        it("prints the same keys for master and slave, up or waiting", async () => {
            const slave = system.slaves[0] as string;
            const born = await identity(system.master);
            // It says less while redis-server takes more than three seconds to answer.
            const master = await waitFor("the master's status", 20, async () => {
                const now = await status(system.master);
                match(now["position"] ?? "", /^\d+$/);
                match(now["volume"] ?? "", /^\d+%$/);
                deepStrictEqual(
                    { ...now, position: "", volume: "" },
                    {
                        role: "master",
                        identity: born,
                        position: "",
                        stale: "",
                        volume: "",
                        replication: now["replication"],
                        waiting: "",
                    },
                );
                match(
                    now["replication"] ?? "",
                    /^asynchronous, slaves: 1 \(192\.0\.2\.10 online \d+ s ago\)$/,
                );
                return now;
            });
            await waitFor("the slave's status", 20, async () => {
                const of = await status(slave);
                deepStrictEqual(Object.keys(of), Object.keys(master));
                match(of["replication"] ?? "", /^link to redis-master:6379 up, last heard \d+ s ago$/);
                return true;
            });
            await waitFor("the slave's data to be less than two seconds old", 20, async () =>
                /^[01]\.\d$/.test((await status(slave))["stale"] ?? ""),
            );
            await system.stopMaster();
            await waitFor("the slave says that the link is down", 20, async () =>
                /^link to redis-master:6379 down for \d+ s$/.test((await status(slave))["replication"] ?? ""),
            );
            await system.lose(system.master, "master");
            await stop(slave);
            await system.startMaster({ slaves: 1 });
            await untilWaits(system.master, /0 of 1 slaves/);
            await waitFor("the status of a master that waits", 20, async () => {
                const waiting = await status(system.master);
                deepStrictEqual(Object.keys(waiting), Object.keys(master));
                match(waiting["waiting"] ?? "", /0 of 1 slaves/);
                strictEqual(waiting["replication"], "redis-server reports no status");
                return true;
            });
            await docker(["start", slave]);
            await system.untilWhole();
        });

        const dabaweb = (pod: string, script: string) =>
            exec(pod, [
                "bash",
                "-c",
                `REDISCLI_AUTH=${pods.passwords.dabaweb} redis-cli --user dabaweb EVAL "${script}" 0`,
            ]);

        it("ends a script that does not end if it has written nothing, on the master and on a slave", async () => {
            for (const pod of [system.master, system.slaves[0] as string]) {
                match((await dabaweb(pod, "while true do end")).stdout, /Script killed by user/);
                await untilLogged(pod, /ended the script: it had written nothing/);
            }
            await system.untilWhole();
        });

        it("ends such a script with redis-server if it has written something, and nothing acknowledged is lost", async () => {
            await redis(system.master, "SET", "k", "v");
            const ended = dabaweb(system.master, "redis.call('SET', 'torn', '1') while true do end");
            // At the same time: redis-server ends soon.
            await Promise.all([
                untilUnready(
                    system.master,
                    /^a script has been running since 20.* UTC and blocks .*stopped with it after 20 s/,
                ),
                waitFor("the status says so", 20, async () =>
                    /^a script has been running since/.test((await status(system.master))["waiting"] ?? ""),
                ),
            ]);
            await waitFor(
                "redis-server ends",
                40,
                async () =>
                    (await docker(["inspect", "-f", "{{.State.Running}}", system.master])) === "false",
            );
            await ended;
            await docker(["start", system.master]);
            await system.untilWhole();
            strictEqual(await redis(system.master, "GET", "k"), "v");
            strictEqual(await redis(system.master, "GET", "torn"), "");
        });

        it("has a companion that writes the time every second over one connection, even if memory is full", async () => {
            const fill =
                "for i = 1, 1000 do redis.call('SET', ARGV[1] .. ':' .. i, string.rep('x', 4096)) end";
            await waitFor("memory is full", 60, async () =>
                /OOM/.test(await redis(system.master, "EVAL", fill, "0", String(Math.random()))),
            );
            match(await redis(system.master, "SET", "k", "v"), /^OOM/);
            await waitFor("the status says so", 20, async () =>
                /; refuses writes: OOM /.test((await status(system.master))["replication"] ?? ""),
            );
            const full = await heartbeat(system.master);
            await waitFor(
                "the time to advance",
                20,
                async () => (await heartbeat(system.slaves[0] as string)) > full + 2000,
            );
            const connection = async (): Promise<string | undefined> =>
                /^id=(\d+) .* db=15 .*cmd=eval/m.exec(await redis(system.master, "CLIENT", "LIST"))?.[1];
            // Again if need be: after an answer that took seven seconds, it connects anew.
            await waitFor("five beats over one connection", 60, async () => {
                const one = await connection();
                ok(one !== undefined);
                const now = await heartbeat(system.master);
                await waitFor(
                    "five beats",
                    20,
                    async () => (await heartbeat(system.slaves[0] as string)) > now + 5000,
                );
                strictEqual(await connection(), one);
                return true;
            });
        });

        it("has a companion that beats on, whatever an application puts in the place of the time, even over a restart", async () => {
            const slave = system.slaves[0] as string;
            const replace =
                "redis.call('SELECT', 15) redis.call('DEL', 'heartbeat') return redis.call('LPUSH', 'heartbeat', 'x')";
            const put = async () => match((await dabaweb(system.master, replace)).stdout, /^1$/m);
            const advances = async () => {
                // Not a number while it is another type.
                const before = (await heartbeat(slave)) || 0;
                await waitFor("the time to advance", 20, async () => (await heartbeat(slave)) > before);
            };
            await put();
            await advances();
            await exec(system.master, ["bash", "-c", stopCompanion]);
            await put();
            await waitFor("the slave has it", 20, async () =>
                /^list$/m.test(await redis(slave, "-n", "15", "TYPE", "heartbeat")),
            );
            await docker(["restart", "-t", "30", system.master]);
            await system.untilWhole();
            await advances();
        });

        it("has a companion that reconnects and leaves no zombie processes", async () => {
            const slave = system.slaves[0] as string;
            for (let round = 0; round < 5; round++) {
                const before = await heartbeat(system.master);
                await redis(system.master, "CLIENT", "KILL", "TYPE", "normal");
                await waitFor("the time to advance", 20, async () => (await heartbeat(slave)) > before);
            }
            const dead = "grep -lE '^[0-9]+ [(].*[)] Z' /proc/[0-9]*/stat || true";
            // Those of redis-server itself are reaped after a moment.
            await waitFor(
                "no zombie processes to be left",
                20,
                async () => (await exec(system.master, ["bash", "-c", dead])).stdout === "",
            );
        });

        it("has a companion that is restarted when it exits", async () => {
            const before = await heartbeat(system.master);
            await exec(system.master, ["bash", "-c", `kill -9 $(${companion})`]);
            await waitFor(
                "the time to advance",
                20,
                async () => (await heartbeat(system.slaves[0] as string)) > before + 2000,
            );
        });

        it("waits if there is no slave at all, until a new word lets it start empty; old slaves keep what they have", async () => {
            const slave = system.slaves[0] as string;
            const born = await identity(system.master);
            await redis(system.master, "SET", "k", "v");
            await system.untilSame("k", "v");
            await stop(slave);
            await system.stopMaster();
            await system.lose(system.master, "master");
            await system.startMaster({ slaves: 0 });
            await untilWaits(
                system.master,
                /0 of 1 slaves report what they have: no slave pod has an address/,
            );
            await system.remove(system.master);
            await system.startMaster({ slaves: 0, env: { BOOTSTRAP: "again" } });
            await untilReady(system.master);
            match(await logs(system.master), /the new word in `bootstrap` says to start empty/);
            match(await identity(system.master), /^[0-9a-f-]{36}$/);
            notStrictEqual(await identity(system.master), born);
            await docker(["start", slave]);
            await untilUnready(slave, /belongs to another history: its identity is/);
            strictEqual(await redis(slave, "GET", "k"), "v");
            strictEqual(await identity(slave), born);
        });
    });

    describe("slaves without their master", () => {
        share(2, { MAX_MASTER_AWAY_SECONDS: "30" });

        it("serve while the master is away, until their data is too old, even after a restart", async () => {
            const [staying, restarted] = system.slaves as [string, string];
            // At the moment at which the link is lost: on a busy machine, the data can be too old by the time that a command starts.
            const asked = [
                "until redis-cli INFO replication | grep -q ^master_link_status:down; do sleep 0.1; done",
                // Again if one answer takes longer than the probe waits.
                "until said=$(ready); do",
                '    [[ $said != *MAX_MASTER_AWAY_SECONDS* ]] || { echo "$said" && exit 1; }',
                "done",
            ].join("\n");
            const away = exec(staying, ["bash", "-c", asked]);
            await system.stopMaster();
            const { code, stdout } = await away;
            strictEqual(code, 0, stdout);
            for (const slave of [staying, restarted]) {
                await untilUnready(
                    slave,
                    /^its data is [0-9.]+ s old; without the master, MAX_MASTER_AWAY_SECONDS allows 30 s: no link/,
                );
            }
            await docker(["restart", "-t", "30", restarted]);
            await untilUnready(restarted, /^its data is [0-9.]+ s old/);
            match((await exec(restarted, ["status"])).stdout, /^stale: \d+\.\d$/m);
            await system.continueMaster();
            await system.untilWhole();
        });
    });
});

const companion = "grep -lz [/]heartbeat /proc/[0-9]*/cmdline | sed 's/[^0-9]//g'";
const stopCompanion = `kill -STOP $(${companion})`;
const continueCompanion = `kill -CONT $(${companion})`;

async function status(pod: string): Promise<Record<string, string>> {
    const { code, stdout, stderr } = await exec(pod, ["/opt/dabaweb/bin/status"]);
    deepStrictEqual({ code, stderr }, { code: 0, stderr: "" });
    const pairs = stdout
        .split("\n")
        .slice(0, -1)
        .map((line) => /^([a-z]+): (.*)$/.exec(line) ?? [line]);
    return Object.fromEntries(pairs.map(([, key, value]) => [key, value])) as Record<string, string>;
}

/** Writes new keys endlessly; `acknowledged` are those that a slave had or, with `plain`, those that were answered. */
class Writer {
    readonly acknowledged: string[] = [];
    private readonly ended: Promise<void>;
    private readonly client;
    private next = 0;

    /** By address: the client would end with the first answer of a name server that is late. */
    static async start(master: string, from: string, id: number, plain = false): Promise<Writer> {
        return new Writer(await networkAddress(master), from, id, plain);
    }

    private constructor(address: string, from: string, id: number, plain: boolean) {
        this.client = spawn("docker", ["exec", "-i", from, "redis-cli", "-h", address]);
        this.client.stdin.on("error", () => undefined);
        this.ended = new Promise((resolve) => this.client.on("close", () => resolve()));
        const more = (): void => {
            const key = `w${id}:${this.next++}`;
            this.client.stdin.write(`SET ${key} ${"x".repeat(100)}\n${plain ? "PING" : "WAIT 1 2000"}\n`);
        };
        let stored = false;
        createInterface(this.client.stdout).on("line", (line) => {
            if (line === "OK") {
                stored = true;
            } else if (stored && (plain ? line === "PONG" : Number(line) >= 1)) {
                stored = false;
                this.acknowledged.push(`w${id}:${this.next - 1}`);
                more();
            } else if (stored && line === "0") {
                // No slave had it in time. This is not an error: the write does not count, and the next one may.
                stored = false;
                more();
            } else {
                this.client.stdin.end();
            }
        });
        more();
    }

    async end(): Promise<void> {
        this.client.stdin.end();
        await waitFor("the writer ends", 60, async () =>
            Promise.race([
                this.ended.then(() => true),
                new Promise<false>((resolve) => setTimeout(resolve, 100, false)),
            ]),
        );
    }
}
