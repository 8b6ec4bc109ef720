import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { images, tagged } from "../../local/pins";
import { BackupPods, type Differently, KEYS, type Manifest, PASSWORD } from "../support/backup-pods";
import { docker, tryDocker, untilLogged, waitFor } from "../support/docker";
import { bin, type Pod } from "../support/mysql-pods";

describe("backups of mysql", () => {
    const pods = new BackupPods("mysql-backup");
    const { scope, image } = pods;
    let master: Pod;
    let slave: Pod;
    let bucket = "";
    /** The base that every test finds in the store. */
    let first: Manifest;

    before(async () => {
        await pods.setUp();
        ({ master, slave, bucket, first } = pods);
    });

    after(() => pods.tearDown());

    const files = async () => (await scope.inVolume(bucket, "find backups -type f | sort")).split("\n");

    it("are taken from a slave, can be restored as another history, and leave nothing that the store can read", async () => {
        const found = first;
        assert.equal(found.from, "mysql-slave-0");
        const has = `SELECT GTID_SUBSET('${found.gtid}', @@GLOBAL.gtid_executed)`;
        assert.equal(await pods.sql(master, has), "1");
        assert.deepEqual(
            (await files()).filter((file) => !file.includes("Z.") || file.includes(found.base!)),
            [
                `backups/team/test/mysql/${found.identity}/${found.base}.manifest`,
                `backups/team/test/mysql/${found.identity}/${found.base}.tar.zst`,
                "backups/team/test/owner",
            ],
        );
        assert.equal(await scope.inVolume(bucket, "grep -rlaE 'quick brown|identity|dabaweb' . || true"), "");
        await pods.write(2, "later than the base");

        const restored = await pods.newPod("restored-0", "master");
        const { code, log } = await pods.end(await pods.begin("restore", restored.volume, pods.named(found)));
        assert.equal(code, 0, log);
        await pods.kill(slave);
        await pods.kill(master);
        await pods.start(restored);
        await pods.ready(restored);
        assert.equal(await pods.sql(restored, "SELECT id, words FROM form.kept"), "1\tthe quick brown fox");
        const identity = await pods.sql(restored, "SELECT id FROM replication.identity");
        assert.notEqual(identity, found.identity);
        assert.equal(
            await pods.sql(restored, "SELECT user FROM mysql.user WHERE user LIKE 'repl\\_%'"),
            `repl_${identity.slice(0, 8)}`,
        );
        // A slave of the former history keeps what it has, and follows nobody.
        await pods.start(slave);
        await pods.unready(slave, /identity|Access denied/);
        assert.equal(await pods.sql(slave, "SELECT COUNT(*) FROM form.kept"), "2");
        await pods.kill(slave);
        await pods.kill(restored);
        await pods.start(master);
        await pods.ready(master);
        await pods.start(slave);
        await pods.ready(slave);
    });

    it("change nothing in a volume that has data, or in a system that was ready once", async () => {
        const full = await pods.newPod("full-0", "master");
        await scope.inVolume(full.volume, "mkdir mysql; touch mysql/ibdata1; chown -R 10001:10001 mysql");
        const kept = await pods.end(await pods.begin("restore", full.volume));
        assert.equal(kept.code, 0, kept.log);
        assert.match(kept.log, /nothing to restore: \/data\/mysql has data/);
        const lost = await pods.newPod("lost-0", "master");
        const left = await pods.end(await pods.begin("restore", lost.volume, { initialised: true }));
        assert.equal(left.code, 0, left.log);
        assert.match(left.log, /nothing is restored: this system has held data/);
        assert.equal(await scope.inVolume(lost.volume, "ls mysql 2>/dev/null || true"), "");
    });

    it("count only once they are complete, however often they are killed", async () => {
        const before = (await pods.list()).length;
        const volume = await pods.newVolume();
        for (const line of [/cloning /, /uploading it as base/]) {
            const container = await pods.begin("base", volume);
            await untilLogged(container, line);
            await docker(["kill", container]);
            await pods.end(container);
        }
        assert.equal((await pods.list()).length, before);
        const { code, log } = await pods.end(await pods.begin("base", volume));
        assert.equal(code, 0, log);
        assert.equal((await pods.list()).length, before + 1);
    });

    it("are restored after a restore that was killed, as if it had not begun", async () => {
        const pod = await pods.newPod("again-0", "master");
        for (const line of [/restoring base/, /ready for connections|starting as process/]) {
            const container = await pods.begin("restore", pod.volume);
            await untilLogged(container, line);
            await docker(["kill", container]);
            await pods.end(container);
            assert.equal(await scope.inVolume(pod.volume, "ls mysql 2>/dev/null || true"), "");
        }
        const { code, log } = await pods.end(await pods.begin("restore", pod.volume));
        assert.equal(code, 0, log);
        assert.match(await scope.inVolume(pod.volume, "ls mysql"), /ibdata1/);
    });

    it("are refused by name if they were cut or changed, and the volume stays empty", async () => {
        const { base: name, identity } = first;
        const archive = `backups/team/test/mysql/${identity}/${name}.tar.zst`;
        const pod = await pods.newPod("damaged-0", "master");
        await scope.inVolume(bucket, `cp -p ${archive} kept`);
        const size = Number(await scope.inVolume(bucket, `stat -c %s ${archive}`));
        for (const damage of [
            `truncate -s ${size - 100_000} ${archive}`,
            `printf x | dd of=${archive} bs=1 seek=${size >> 1} conv=notrunc status=none`,
        ]) {
            await scope.inVolume(bucket, `${damage}`);
            const { code, log } = await pods.end(await pods.begin("restore", pod.volume, pods.named(first)));
            assert.notEqual(code, 0, damage);
            assert.match(log, new RegExp(`base ${name} (cannot be read|is damaged)`), log);
            assert.equal(await scope.inVolume(pod.volume, "ls mysql 2>/dev/null || true"), "");
            await scope.inVolume(bucket, `cp -p kept ${archive}`);
        }
        const unknown = await pods.end(
            await pods.begin("restore", pod.volume, { env: { RESTORE_BASE: "20200102T030405Z" } }),
        );
        assert.notEqual(unknown.code, 0);
        assert.match(
            unknown.log,
            /no complete base 20200102T030405Z: the oldest is \d{8}T\d{6}Z, the newest/,
        );
    });

    const bad: [what: string, differently: Differently, said: RegExp][] = [
        ["the store's keys are wrong", { keys: { ...KEYS, accessKey: "another" } }, /refuses the keys: /],
        ["the password is another one", { password: "another" }, /encrypted with another password/],
        ["there is no such bucket", { env: { STORE_BUCKET: "absent" } }, /has no such bucket: create it/],
        ["the store is away", { env: { STORE_ENDPOINT: "http://store:9001" } }, /store does not answer: /],
        ["the place is another stack's", { env: { STORE_OWNER: "dabaweb/other" } }, /of dabaweb\/test, and/],
    ];
    for (const [what, differently, said] of bad) {
        it(`are not taken if ${what}, and the log says so`, async () => {
            const before = await files();
            const { code, log } = await pods.base(differently);
            assert.notEqual(code, 0, log);
            assert.match(log.trim().split("\n").at(-1)!, said);
            assert.deepEqual(await files(), before);
        });
    }

    it("are deleted when they are older than keepDays, and the newest complete one never", async () => {
        const { identity, base: newest } = first;
        const folder = `backups/team/test/mysql/${identity}`;
        // The same files under the name of a day that is long gone.
        await scope.inVolume(
            bucket,
            `for end in manifest tar.zst; do cp -p ${folder}/${newest}.$end ${folder}/20200102T030405Z.$end; done`,
        );
        const { code, log } = await pods.base();
        assert.equal(code, 0, log);
        assert.match(log, /deleted mysql\/\S+\/20200102T030405Z\.manifest[^]*20200102T030405Z\.tar\.zst/);
        assert.ok((await files()).some((file) => file.includes(newest!)));
        assert.ok(!(await files()).some((file) => file.includes("20200102T030405Z")));
    });

    describe("with the log after them", () => {
        let archive = "";
        let receiver = "";
        let shipper = "";
        /** GTID, time after it was acknowledged, by the master's clock. */
        const written: { id: number; gtid: string; at: string }[] = [];

        before(async () => {
            archive = await scope.disk("archive");
            await scope.inVolume(archive, "chown 10001:10001 .");
            shipper = await pods.begin("ship", archive);
            receiver = await pods.begin("receive", archive);
            await untilLogged(receiver, /receiving from mysql-master/);
        });

        after(async () => {
            await docker(["kill", shipper, receiver]);
        });

        /** Writes a row, and notes its transaction and a time between it and the next one. */
        async function note(id: number, more = ""): Promise<void> {
            const answer = await pods.sql(
                master,
                `BEGIN; INSERT INTO form.kept VALUES (${id}, 'logged'); ${more} COMMIT;
                SELECT CONCAT_WS('|', (SELECT REPLACE(@@GLOBAL.gtid_executed, '\n', '')), DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ'))`,
            );
            const [set = "", at = ""] = answer.split("|");
            written.push({ id, gtid: set.replace(/:\d+-/, ":"), at });
        }

        /** Waits until the store has everything that the master has executed by now. */
        async function archived(): Promise<void> {
            const set = await pods.sql(master, "SELECT REPLACE(@@GLOBAL.gtid_executed, '\n', '')");
            await waitFor(`the entries to hold ${set}`, 60, async () => {
                const received = await scope.inVolume(archive, "cat received");
                return (await pods.sql(master, `SELECT GTID_SUBSET('${set}', '${received.trim()}')`)) === "1";
            });
            const number = Number(await scope.inVolume(archive, "cat number"));
            await waitFor(`entry ${number} to be uploaded`, 60, async () => {
                const { code, stdout } = await tryDocker(["exec", shipper, "cat", "/data/pack/index"]);
                return code === 0 && Number(/(\d{12})\|[^\n]*\n*$/.exec(stdout)?.[1] ?? 0) >= number;
            });
        }

        /** The rows of a master that is restored to a point. */
        async function restoredTo(env: Readonly<Record<string, string>>): Promise<string> {
            const pod = await pods.newPod(`point-${pods.runs}`, "master");
            const { code, log } = await pods.end(
                await pods.begin("restore", pod.volume, { env: { RESTORE_BASE: "", ...env } }),
            );
            assert.equal(code, 0, log);
            const server = await scope.run({
                name: `look-${pods.runs}`,
                image,
                mounts: { [pod.volume]: "/data" },
                tmpfs: ["/run/mysqld", "/tmp"],
                options: ["--entrypoint", "mysqld"],
                args: [
                    ...[
                        "--no-defaults",
                        "--datadir=/data/mysql",
                        "--skip-networking",
                        "--mysqlx=OFF",
                        "--skip-log-bin",
                    ],
                    ...[
                        "--skip-grant-tables",
                        "--socket=/run/mysqld/look.sock",
                        "--pid-file=/run/mysqld/look.pid",
                    ],
                ],
            });
            const sql = ["mysql", "--no-defaults", "--socket=/run/mysqld/look.sock", "-BNe"];
            const rows = "SELECT GROUP_CONCAT(id ORDER BY id) FROM form.kept WHERE words = 'logged'";
            let found = "";
            await waitFor("the restored server to answer", 60, async () => {
                const { code: status, stdout } = await tryDocker(["exec", server, ...sql, rows]);
                found = stdout.trim();
                return status === 0;
            });
            await pods.remove(server);
            return found;
        }

        it("are restored to any time and any transaction since", async () => {
            await pods.taken();
            for (const id of [101, 102, 103]) {
                await note(id);
            }
            await archived();
            await note(104);
            await archived();
            assert.equal(await restoredTo({ RESTORE_AT: written[1]!.at }), "101,102");
            assert.equal(await restoredTo({ RESTORE_GTID: written[2]!.gtid }), "101,102,103");
            assert.equal(await restoredTo({ RESTORE_AT: "latest" }), "101,102,103,104");
        });

        it("are restarted if a program of the archive hangs", async () => {
            const probed = await scope.run({
                name: `alive-${pods.runs}`,
                image,
                tmpfs: ["/run/mysqld"],
                options: ["--entrypoint", "bash"],
                args: [
                    "-c",
                    "alive; touch -d '-20 minutes' /run/mysqld/turn && alive && touch -d '-40 minutes' /run/mysqld/turn; alive",
                ],
            });
            const { code, log } = await pods.end(probed);
            assert.equal(code, 1);
            assert.match(log, /it has not begun[^]*it hangs: its last turn was 240\d s ago/);
            for (const program of [receiver, shipper]) {
                await docker(["exec", program, `${bin}/alive`]);
            }
        });

        it("go on without gap or doubling after hard kills of either program, and of the master", async () => {
            for (let id = 110; id < 116; id += 1) {
                await note(id);
                if (id === 111) {
                    await docker(["kill", receiver]);
                    receiver = await pods.begin("receive", archive);
                } else if (id === 113) {
                    await docker(["kill", shipper]);
                    shipper = await pods.begin("ship", archive);
                } else if (id === 114) {
                    await pods.kill(master);
                    await pods.start(master);
                    await pods.ready(master);
                }
            }
            await archived();
            const found = await restoredTo({ RESTORE_AT: "latest" });
            assert.equal(found, written.map(({ id }) => id).join());
        });

        it("are restored to a transaction that a relay log ends within", async () => {
            await pods.sql(master, "CREATE TABLE form.large (words VARCHAR(8000))");
            const receiving = [
                "exec",
                receiver,
                "mysql",
                "--no-defaults",
                "-uroot",
                "--socket=/run/mysqld/temporary.sock",
            ];
            // A thousand events, each of which the receiver syncs.
            const large =
                "INSERT INTO form.large SELECT REPEAT('x', 7000) FROM information_schema.columns LIMIT 1000;";
            let split: string | undefined;
            for (let id = 50; split === undefined; id += 1) {
                assert.ok(id < 60, "no relay log ended within a transaction");
                const flush = (times: number) =>
                    docker([...receiving, "-e", "FLUSH RELAY LOGS; DO SLEEP(0.03);".repeat(times)]);
                let isCommitted = false;
                const committed = note(id, large).then(() => (isCommitted = true));
                do {
                    await flush(5);
                } while (!isCommitted);
                await committed;
                // Some of its events may not have come yet.
                await flush(20);
                await archived();
                const index = await docker(["exec", receiver, "cat", "/data/mysql/relay.index"]);
                const asked = index
                    .trim()
                    .split("\n")
                    .map((file) => `SHOW RELAYLOG EVENTS IN '${file}';`);
                let open: string | undefined;
                for (const line of (await docker([...receiving, "-BNe", asked.join("")])).split("\n")) {
                    const [, , what, , , text = ""] = line.split("\t");
                    if (what === "Gtid") {
                        open = /'(.*)'/.exec(text)![1];
                    } else if (what === "Xid") {
                        open = undefined;
                    } else if (what === "Rotate") {
                        split ??= written.find(({ gtid }) => gtid === open)?.gtid;
                    }
                }
            }
            const point = written.findIndex(({ gtid }) => gtid === split);
            const until = (index: number) =>
                written
                    .slice(0, index + 1)
                    .map(({ id }) => id)
                    .sort((a, b) => a - b)
                    .join();
            await note(60);
            await archived();
            assert.equal(await restoredTo({ RESTORE_GTID: split }), until(point));
            assert.equal(await restoredTo({ RESTORE_AT: written[point]!.at }), until(point));
            assert.equal(await restoredTo({ RESTORE_AT: "latest" }), until(written.length));
        });

        it("wait on their volume while the store is away, and say so", async () => {
            await docker(["pause", pods.store]);
            try {
                await note(120);
                await untilLogged(shipper, /waiting: .*the store does not answer/);
            } finally {
                await docker(["unpause", pods.store]);
            }
            await archived();
            assert.match(await restoredTo({ RESTORE_AT: written.at(-1)!.at }), /(^|,)120$/);
        });

        it("are refused a point that the log does not reach, with the range", async () => {
            const pod = await pods.newPod("range-0", "master");
            const before = await pods.end(
                await pods.begin("restore", pod.volume, {
                    env: { RESTORE_BASE: "", RESTORE_AT: "2020-01-02T03:04:05Z" },
                }),
            );
            assert.match(before.log, /the oldest base, \d{8}T\d{6}Z, is later than restore.at/);
            const later = await pods.end(
                await pods.begin("restore", pod.volume, {
                    env: { RESTORE_BASE: "", RESTORE_AT: "2099-01-02T03:04:05Z" },
                }),
            );
            assert.match(later.log, /ends at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z: set restore.at/);
            assert.notEqual(before.code + later.code, 0);
            assert.equal(await scope.inVolume(pod.volume, "ls mysql 2>/dev/null || true"), "");
        });

        it("are proven by the next one: restored with the log after them, each has the tables of the next", async () => {
            const next = await pods.taken();
            const [proven] = (await pods.list()).filter(({ proven: by }) => by === next.base);
            assert.ok(proven !== undefined && proven.base! < next.base!);
            const tables = await pods.sql(
                master,
                "SELECT COUNT(*) FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema NOT IN " +
                    "('information_schema', 'mysql', 'performance_schema', 'sys')",
            );
            assert.equal(proven.tables, tables);
        });

        it("are named if they do not become what the next one is, and then nothing is deleted", async () => {
            // A row that is in no log: what the slave has is not what the base and the log make.
            await pods.sql(
                slave,
                "SET sql_log_bin = 0; SET GLOBAL super_read_only = OFF; UPDATE form.kept SET words = 'unlogged' WHERE id = 1; " +
                    "SET GLOBAL super_read_only = ON",
            );
            const folder = `backups/team/test/mysql/${first.identity}`;
            const old = `${folder}/20200102T030405Z`;
            await scope.inVolume(
                bucket,
                `for end in manifest tar.zst; do cp -p ${folder}/${first.base}.$end ${old}.$end; done`,
            );
            const { code, log } = await pods.base();
            assert.equal(code, 3, log);
            assert.match(log, /base \S+ is complete/);
            assert.match(log.trim().split("\n").at(-1)!, /these tables differ: form\.kept$/);
            assert.ok((await files()).includes(`${old}.manifest`));
            await scope.inVolume(bucket, `rm ${old}.*`);
            await pods.sql(
                slave,
                "SET sql_log_bin = 0; SET GLOBAL super_read_only = OFF; UPDATE form.kept SET words = 'the quick brown fox' WHERE id = 1; " +
                    "SET GLOBAL super_read_only = ON",
            );
            // The last base has the row that is in no log, so it is not proven, either.
            assert.equal((await pods.base()).code, 3);
            assert.equal((await pods.base()).code, 0);
        });

        it("say where the log has a gap, and are not restored across it", async () => {
            await docker(["kill", receiver]);
            await note(130);
            await waitFor("the slave has the row", 30, async () => {
                return (await pods.sql(slave, "SELECT COUNT(*) FROM form.kept WHERE id = 130")) === "1";
            });
            for (const pod of [master, slave]) {
                await pods.sql(pod, "FLUSH BINARY LOGS");
                const logs = (await pods.sql(pod, "SHOW BINARY LOGS")).trim().split("\n");
                await pods.sql(pod, `PURGE BINARY LOGS TO '${logs.at(-1)!.split("\t")[0]}'`);
            }
            receiver = await pods.begin("receive", archive);
            await untilLogged(receiver, /the log has a gap: no server has what is between/);
            await note(131);
            await archived();
            const pod = await pods.newPod("gap-0", "master");
            const { code, log } = await pods.end(
                await pods.begin("restore", pod.volume, { env: { RESTORE_BASE: "", RESTORE_AT: "latest" } }),
            );
            assert.notEqual(code, 0);
            assert.match(log, /ends at \S+, because it has a gap there/);
            const due = await pods.base({ env: { ONLY_IF_DUE: "true" } });
            assert.match(due.log, /its log has a gap at \S+, and no base follows it[^]*base \S+ is complete/);
            const known = await files();
            const again = await pods.base({ env: { ONLY_IF_DUE: "true" } });
            assert.match(again.log, /its newest base is \S+, and the log after it has no gap$/m);
            assert.equal(again.code, 0);
            assert.deepEqual(
                (await files()).filter((file) => !file.includes("/log/")),
                known.filter((file) => !file.includes("/log/")),
            );
            await note(132);
            await archived();
            assert.match(await restoredTo({ RESTORE_AT: "latest" }), /(^|,)130,131,132$/);
            const listed = await pods.end(await pods.begin("list", await scope.disk("listing")));
            assert.match(
                listed.log,
                new RegExp(
                    `^log: ${first.identity}\nbegin: \\S+\nend: \\S+Z\nuntil: \\S+\ngaps: \\d{8}T\\d{6}Z$`,
                    "m",
                ),
            );
        });

        it("lose what only bases that are deleted needed, and nothing else", async () => {
            const folder = `backups/team/test/mysql/${first.identity}/log`;
            const before = (await files()).filter((file) => file.includes("/log/"));
            const one = before.find((file) => file.endsWith(".tar.zst"))!;
            // The same segment under the name of a day that is long gone.
            await scope.inVolume(
                bucket,
                `cp -p ${one} ${folder}/20200102T030405Z.tar.zst; echo >${folder}/20200102T030405Z.gap`,
            );
            const { code, log } = await pods.base();
            assert.equal(code, 0, log);
            assert.match(log, /deleted 2 files of the log in mysql\//);
            const after = (await files()).filter((file) => file.includes("/log/"));
            assert.deepEqual(
                after.filter((file) => before.includes(file)),
                before,
            );
            assert.ok(!after.some((file) => file.includes("20200102T030405Z")));
        });
    });

    it("can be restored by hand with the commands of docs/backup.md, in containers without this project", async () => {
        const hand = await byHand({}, ["store"], ["unpack", "start"]);
        assert.equal(await hand("SELECT words FROM form.kept WHERE id = 1"), "the quick brown fox");
        assert.equal(await hand("SELECT @@GLOBAL.gtid_executed"), first.gtid);
    });

    /** Runs blocks of the page, with the first base, and returns a client of the server that they start. */
    async function byHand(
        more: Readonly<Record<string, string>>,
        fetching: readonly string[],
        starting: readonly string[],
    ): Promise<(sql: string) => Promise<string>> {
        const given = {
            ENDPOINT: "http://store:9000",
            ACCESS_KEY: KEYS.accessKey,
            SECRET_KEY: KEYS.secretKey,
            BUCKET: "backups",
            PREFIX: "team/test",
            PASSWORD,
            IDENTITY: first.identity!,
            BASE: first.base!,
            ...more,
        };
        pods.runs += 1;
        const work = await scope.disk(`hand-${pods.runs}`);
        const page = fs.readFileSync(path.resolve(__dirname, "../../docs/backup.md"), "utf8");
        const inside = async (name: string, of: "rclone" | "mysql") =>
            scope.run({
                image: tagged(images.bases.find((each) => each.name === of)!.image),
                name: `${name}-${pods.runs}`,
                network: pods.network,
                mounts: { [work]: "/hand" },
                tmpfs: ["/tmp"],
                env: given,
                options: ["--workdir", "/hand", "--entrypoint", "sleep"],
                args: ["infinity"],
            });
        const execute = async (container: string, mark: string): Promise<void> => {
            const block = new RegExp(`<!-- executed: ${mark} -->\n+\`\`\`sh\n([^]*?)\n\`\`\``).exec(
                page,
            )?.[1];
            assert.ok(block, `docs/backup.md has no block ${mark}`);
            // Not `exec`, which keeps a bash open: BusyBox has none.
            const { code, stdout, stderr } = await tryDocker(["exec", container, "sh", "-euc", block]);
            assert.equal(code, 0, `${mark}: ${stdout}${stderr}`);
        };
        const fetcher = await inside("hand-rclone", "rclone");
        for (const mark of fetching) {
            await execute(fetcher, mark);
        }
        const server = await inside("hand-mysql", "mysql");
        for (const mark of starting) {
            await execute(server, mark);
        }
        return async (sql) => {
            const client = ["mysql", "--no-defaults", "--user=root", "--socket=/hand/socket", "-BNe", sql];
            return (await docker(["exec", server, ...client])).trim();
        };
    }
});
