import assert from "node:assert/strict";

import { BackupPods } from "../support/backup-pods";
import { docker, untilLogged } from "../support/docker";
import type { Pod } from "../support/mysql-pods";

describe("backups in the place of data that is there", () => {
    const pods = new BackupPods("mysql-restore");
    const { scope } = pods;
    let master: Pod;
    let slave: Pod;

    before(async () => {
        await pods.setUp();
        ({ master, slave } = pods);
    });

    after(() => pods.tearDown());

    const rows = "SELECT GROUP_CONCAT(id ORDER BY id) FROM form.kept WHERE id >= 200";

    /** Restores while the master is away, and returns the log. */
    async function inPlace(env: Readonly<Record<string, string>>): Promise<string> {
        const { code, log } = await pods.end(
            await pods.begin("restore", master.volume, { initialised: true, env }),
        );
        assert.equal(code, 0, log);
        return log;
    }

    const identityOf = (pod: Pod) => pods.sql(pod, "SELECT id FROM replication.identity");

    /** Starts the master, and the slave again, whose server ends to have its data replaced. */
    async function takenUp(): Promise<void> {
        const running = pods.running(slave);
        await pods.start(master);
        await pods.ready(master);
        await untilLogged(running, /the master was restored from a backup, as another history/);
        await pods.ended(running);
        await pods.start(slave);
        await pods.ready(slave);
        assert.equal(await identityOf(slave), await identityOf(master));
    }

    it("are restored once for each word, and the slaves copy the master", async () => {
        await pods.write(200, "in the base");
        await pods.caughtUp(master, slave);
        await pods.taken();
        await pods.write(201, "after the base");
        await pods.caughtUp(master, slave);
        const former = await identityOf(master);
        await pods.stop(master);
        assert.match(await inPlace({ RESTORE_WORD: "" }), /has data; restore\.word would replace it/);
        const log = await inPlace({ RESTORE_WORD: "one" });
        assert.match(log, /is kept in \/data\/replaced-\d{8}T\d{6}Z, until/);
        assert.match(await inPlace({ RESTORE_WORD: "one" }), /the word one was used/);
        await takenUp();
        assert.notEqual(await identityOf(master), former);
        assert.equal(await pods.sql(master, rows), "200");
        assert.equal(await pods.sql(slave, rows), "200");
    });

    it("can be undone, and what was written since is kept", async () => {
        await pods.write(202, "after the restore");
        await pods.caughtUp(master, slave);
        await pods.stop(master);
        await inPlace({ RESTORE_BASE: "", RESTORE_UNDO: "true", RESTORE_WORD: "two" });
        await takenUp();
        assert.equal(await pods.sql(master, rows), "200,201");
        assert.equal(await pods.sql(slave, rows), "200,201");
        await pods.stop(master);
        await inPlace({ RESTORE_BASE: "", RESTORE_UNDO: "true", RESTORE_WORD: "three" });
        await takenUp();
        assert.equal(await pods.sql(slave, rows), "200,202");
    });

    it("are restored after a restore that was killed, and the data is always there", async () => {
        await pods.stop(master);
        const env = { RESTORE_WORD: "four" };
        for (const line of [/restoring base/, /starting as process/, /ready for connections/]) {
            const container = await pods.begin("restore", master.volume, { initialised: true, env });
            await untilLogged(container, line);
            await docker(["kill", container]);
            await pods.end(container);
            assert.match(await scope.inVolume(master.volume, "ls mysql"), /ibdata1/);
        }
        // Each of its last steps, as if it had been killed before it.
        const kept = "replaced-20260102T030405Z";
        const former = await identityOf(slave);
        await inPlace(env);
        const fresh = (await scope.inVolume(master.volume, "cat identity")).trim();
        const states = [
            `mv mysql mysql.new; mv $(ls -d replaced-* | tail -n 1) mysql; echo ${former} >identity`,
            "mv mysql mysql.new; mkdir mysql",
            "rm identity",
        ];
        for (const state of states) {
            await scope.inVolume(
                master.volume,
                `sed -i /four/d restored; ${state}; echo four ${fresh} /data/mysql.new /data/${kept} ${former}:1-7 >restoring; ` +
                    "chown -R 10001:10001 .",
            );
            const log = await inPlace(env);
            assert.match(log, /going on with a restore[^]*the word four was used/);
            assert.ok(log.includes(`the data holds ${former}:1-7, as identity ${fresh}`), log);
            assert.equal((await scope.inVolume(master.volume, "cat identity")).trim(), fresh);
            assert.match(await scope.inVolume(master.volume, "ls mysql"), /ibdata1/);
        }
        await takenUp();
        assert.equal(await pods.sql(slave, rows), "200");
    });

    it("leave the data that is there when they fail, and say what is wrong", async () => {
        await pods.stop(master);
        for (const [env, said] of [
            [{ RESTORE_BASE: "20200102T030405Z" }, /no complete base 20200102T030405Z/],
            [{ RESTORE_BASE: "", RESTORE_AT: "2020-01-02T03:04:05Z" }, /is later than restore\.at/],
            [{ RESTORE_WORD: "no word" }, /RESTORE_WORD is "no word": it must be up to 64/],
        ] as const) {
            const { code, log } = await pods.end(
                await pods.begin("restore", master.volume, {
                    initialised: true,
                    env: { RESTORE_WORD: "five", ...env },
                }),
            );
            assert.notEqual(code, 0);
            assert.match(log, said);
        }
        await pods.start(master);
        await pods.ready(master);
        await pods.ready(slave);
        assert.equal(await pods.sql(master, rows), "200");
    });
});
