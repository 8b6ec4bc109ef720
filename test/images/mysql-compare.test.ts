import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

import { exec, waitFor } from "../support/docker";
import { MysqlPods, Pod } from "../support/mysql-pods";

const chunks = readFileSync(resolve(__dirname, "../../images/mysql-slave/chunks.sql"), "utf8");

/** A table with every type of column, and names that need care. */
const ODD = "form.`a.b ``c`` é`";

describe("mysql images: a slave that compares what it holds with its master", () => {
    // Not every 30 s.
    const pods = new MysqlPods("mysql-compare", { COMPARE_SECONDS: "3" });
    let master: Pod;
    let slave: Pod;

    before("start a master and a slave", async () => {
        await pods.setUp();
        [master, slave] = await pods.startPair();
    });

    after("remove everything", () => pods.tearDown());

    /** Runs statements on the master, in UTF-8. */
    async function run(...statements: string[]): Promise<string> {
        const args = ["mysql", "--batch", "--skip-column-names", "--default-character-set=utf8mb4"];
        const input = statements.join(";\n");
        const { code, stdout, stderr } = await exec(pods.running(master), args, { input });
        assert.equal(code, 0, stderr);
        return stdout.trim();
    }

    /** Runs statements on the master without logging them. */
    const runUnlogged = (...statements: string[]): Promise<string> =>
        run("SET sql_log_bin = 0", ...statements);

    /** Waits until the slave's status matches. */
    const reports = (what: string, ...patterns: RegExp[]): Promise<string> =>
        waitFor(what, 180, async () => {
            const { stdout } = await pods.probe(slave, "status");
            patterns.forEach((pattern) => assert.match(stdout, pattern));
            return stdout;
        });

    /** Waits for the end of a round of contents that began after this call. */
    async function nextRound(): Promise<void> {
        for (const which of ["the present round", "a round"]) {
            const ended = async () =>
                /^round (\d+)/m.exec(
                    (await exec(pods.running(slave), ["cat", "/data/compared"])).stdout,
                )?.[1];
            const before = await ended();
            await waitFor(`${which} ends`, 180, async () => (await ended()) !== before);
        }
    }

    const same = [
        /^differs: $/m,
        /^uncompared: $/m,
        /^compared: tables, .* the last round of contents ended /m,
    ];

    it("finds nothing in data of every type, whatever is written meanwhile", async () => {
        await run(
            `CREATE TABLE ${ODD} (\`k\`\`1\` VARCHAR(20) COLLATE utf8mb4_bin, \`k 2\` DATETIME(6), b BLOB, l LONGTEXT, j JSON, f FLOAT,
                d DOUBLE, n DECIMAL(10,3), bits BIT(64), g GEOMETRY NOT NULL SRID 4326, e ENUM('x','y'), s SET('p','q'),
                v INT AS (1 + 1) VIRTUAL, w INT AS (LENGTH(b)) STORED, z VECTOR(3), ts TIMESTAMP(3) NULL, y YEAR,
                c CHAR(5) CHARACTER SET latin1 COLLATE latin1_general_ci,
                PRIMARY KEY (\`k\`\`1\`, \`k 2\`), KEY ((LENGTH(b))), CHECK (f < 100))`,
            `INSERT INTO ${ODD} (\`k\`\`1\`, \`k 2\`, b, l, j, f, d, n, bits, g, e, s, z, ts, y, c) VALUES
                ('é', '2020-01-01 01:02:03.5', x'00ff', REPEAT('long', 9999), '{"a": 1.5}', 1.1, 0.1, 1.5, 1,
                    ST_GeomFromText('POINT(1 2)', 4326), 'y', 'p,q', TO_VECTOR('[1,2,3]'), NOW(3), 2020, 'a'),
                ('é', '2020-01-01', NULL, NULL, NULL, 2, NULL, NULL, NULL, ST_GeomFromText('POINT(1 3)', 4326), NULL, NULL, NULL, NULL,
                    NULL, NULL)`,
            "CREATE TABLE form.t (n INT PRIMARY KEY, v VARCHAR(9))",
            "INSERT INTO form.t VALUES (1, 'a'), (2, NULL), (3, '')",
            "CREATE TABLE form.keyless (n INT)",
            "INSERT INTO form.keyless VALUES (1), (1), (2)",
            "CREATE TABLE form.parted (n INT PRIMARY KEY) PARTITION BY HASH (n) PARTITIONS 3",
            "INSERT INTO form.parted VALUES (1), (2)",
            "CREATE TABLE form.hot (n INT PRIMARY KEY, at TIMESTAMP(6))",
            "INSERT INTO form.hot VALUES (1, NOW(6))",
            "CREATE VIEW form.seen AS SELECT n FROM form.t",
            "CREATE PROCEDURE form.p(IN x INT) SELECT x",
            "CREATE TRIGGER form.g BEFORE INSERT ON form.t FOR EACH ROW SET NEW.v = NEW.v",
            "CREATE EVENT form.daily ON SCHEDULE EVERY 1 DAY DO DO 0",
        );
        let writing = true;
        const writer = (async () => {
            while (writing) {
                await run(
                    "UPDATE form.hot SET at = NOW(6)",
                    "INSERT INTO form.parted SELECT MAX(n) + 1 FROM form.parted",
                );
            }
        })();
        await nextRound();
        writing = false;
        await writer;
        await reports("nothing differs", ...same);
    });

    it("sees a change of each type of column, to the bit", async () => {
        const sum = () =>
            run(
                "SET SESSION sql_mode = '', group_concat_max_len = 1000000",
                "SET @s = CONVERT('form' USING utf8mb3) COLLATE utf8mb3_bin",
                "SET @t = CONVERT('a.b `c` é' USING utf8mb3) COLLATE utf8mb3_bin",
                `${chunks} PREPARE step FROM @sum`,
                "EXECUTE step",
            );
        const changes = [
            ...[
                "b = x'00fe'",
                "l = CONCAT(l, ' ')",
                `j = '{"a": 1.6}'`,
                "f = 1.1000001",
                "d = 0.1 + 1.4e-17",
                "bits = 3",
                "n = 1.501",
            ],
            ...[
                "g = ST_GeomFromText('POINT(1 4)', 4326)",
                "e = 'x'",
                "s = 'p'",
                "z = TO_VECTOR('[1,2,4]')",
                "c = 'A'",
                "y = 2021",
            ],
            ...["ts = ts + INTERVAL 1000 MICROSECOND", "b = ''", "b = NULL"],
        ];
        let before = await sum();
        assert.match(before, /^2 \d+$/);
        for (const change of changes) {
            await runUnlogged(`UPDATE ${ODD} SET ${change} WHERE e IS NOT NULL`);
            const now = await sum();
            assert.notEqual(now, before, change);
            before = now;
        }
        await reports(
            "the contents differ",
            /^differs: the contents of table form\.a\.b `c` é differ from the master's among 2 rows \(2 here\)$/m,
        );
    });

    it("names what was written past the binary log: tables, definitions, row counts, accounts", async () => {
        await runUnlogged(
            "CREATE TABLE form.restored (id INT PRIMARY KEY)",
            "INSERT INTO form.t VALUES (9, 'here')",
            "DELETE FROM form.keyless WHERE n = 2",
            "ALTER TABLE form.hot ADD INDEX by_hand (at)",
            "DROP PROCEDURE form.p",
            "DROP EVENT form.daily",
            "CREATE OR REPLACE VIEW form.seen AS SELECT n + 1 AS n FROM form.t",
            "CREATE USER hand@'%' IDENTIFIED BY 'abcdefgh'",
        );
        // A comparison can see the first of these statements without the last: each sentence counts when it is seen twice.
        const sentences = [
            "table form.restored is only on the master",
            "table form.t has 4 rows on the master, but 3 here",
            "table form.keyless has 2 rows on the master, but 3 here",
            "the indexes of form.hot differ",
            "procedure form.p is only here",
            "event form.daily is only here",
            "view form.seen is defined in another way",
            "account 'hand'@'%' is only on the master",
        ];
        await waitFor("status names each difference", 180, async () => {
            const { stdout } = await pods.probe(slave, "status");
            for (const sentence of sentences) {
                assert.ok(stdout.includes(sentence), `${sentence}: ${stdout}`);
            }
            return true;
        });
        // Where another pod that looks for a server to clone finds it.
        const marked =
            "SELECT CAST(variable_value AS CHAR) FROM performance_schema.user_variables_by_thread WHERE variable_name = 'dabaweb_differs'";
        await waitFor("the slave is marked", 60, async () => /^[1-9]/.test(await pods.sql(slave, marked)));
        const threads =
            "SELECT receiver.service_state, applier.service_state FROM performance_schema.replication_connection_status receiver";
        const both = `${threads}, performance_schema.replication_applier_status applier`;
        assert.equal(await pods.sql(slave, both), "ON\tON", "comparing stops nothing");
    });

    it("remembers it over a restart, and finds nothing after the slave has taken a new copy of the master", async () => {
        await pods.restart(slave);
        await reports("it still differs", /^differs: .*the contents of table/m);
        await pods.stop(slave);
        await pods.emptyVolume(slave);
        await pods.seed(slave);
        await pods.start(slave);
        await pods.ready(slave);
        await nextRound();
        await reports("nothing differs", ...same);
    });

    it("says so if the master does not let it, as one with an older image, and goes on when it does", async () => {
        await runUnlogged("REVOKE SELECT ON *.* FROM seed@'%'");
        await pods.restart(slave);
        await reports(
            "it cannot compare",
            /^uncompared: all of it: the account seed may not read the master's tables/m,
        );
        await runUnlogged("GRANT SELECT ON *.* TO seed@'%'");
        await reports("it compares", ...same);
    });
});
