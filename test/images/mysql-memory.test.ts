import assert from "node:assert/strict";

import { engineEnv, masterIntake, MYSQL_DEFAULTS } from "../../components/mysql";
import { sizesOf } from "../../components/mysql-sizes";
import { COMMAND_SECONDS } from "../support/command";
import { docker, exec } from "../support/docker";
import { isLong } from "../support/long";
import { MysqlPods, Pod } from "../support/mysql-pods";

/** The largest rows, transactions and statements that a pod with the default resources accepts, and more than that. */
describe("mysql images at their memory limit", () => {
    const pods = new MysqlPods("mysql-memory");
    const { resources } = MYSQL_DEFAULTS;
    const { max_allowed_packet: packet = 0, max_binlog_cache_size: transaction = 0 } = masterIntake({}, {});
    const { largestRow } = sizesOf(resources.limits.memory);
    const columns = Array.from({ length: Math.floor(largestRow / packet) }, (_, index) => `c${index}`);
    let master: Pod;
    let slave: Pod;

    before("start a master and a slave with the default resources", async function () {
        if (!isLong) {
            console.log("      not tried: TEST_LONG is not yes");
            this.skip();
        }
        await pods.setUp();
        master = await pods.newPod("mysql-master-0", "master");
        slave = await pods.newPod("mysql-slave-0", "slave");
        await pods.start(master, {
            memory: "640m",
            env: engineEnv(resources, 100, {}, masterIntake({}, {})),
        });
        await pods.ready(master);
        await pods.seed(slave);
        await pods.start(slave, { memory: "640m", env: engineEnv(resources, 200, {}, {}) });
        await pods.ready(slave);
        await pods.sql(
            master,
            `CREATE TABLE form.large (id INT PRIMARY KEY AUTO_INCREMENT, ${columns.map((each) => `${each} LONGBLOB`).join()})`,
        );
    });

    after("remove everything", async () => {
        await pods.tearDown();
    });

    /** Runs statements as the application does. Returns everything that its client prints. */
    async function write(...statements: string[]): Promise<string> {
        const { stdout, stderr } = await pods.loginFor(
            COMMAND_SECONDS,
            master,
            "mysql-master",
            "dabaweb",
            pods.passwords.dabaweb,
            "--force",
            "--max-allowed-packet=1G",
            "form",
            "-e",
            statements.join("; "),
        );
        return stdout + stderr;
    }

    const value = `REPEAT('x', ${packet})`;
    /** Inserts a row with so many values of the largest size. */
    const insert = (values: number): string =>
        `INSERT INTO large (${columns.slice(0, values).join()}) VALUES (${Array.from({ length: values }, () => value).join()})`;

    /** Inserts so many rows of 1,000 bytes in one transaction. */
    const rows = (count: number): string =>
        `INSERT INTO large (c0) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT REPEAT('r', 1000) FROM n`;

    /** Both servers are those that were started, have the same rows, and their memory never exceeded the limit. */
    async function survived(): Promise<void> {
        await pods.caughtUp(master, slave);
        for (const pod of [master, slave]) {
            const state = await docker([
                "inspect",
                "-f",
                "{{.State.OOMKilled}} {{.RestartCount}}",
                pods.running(pod),
            ]);
            assert.equal(state, "false 0");
            const { stdout } = await exec(pods.running(pod), ["grep", "VmHWM", "/proc/1/status"]);
            console.log(
                `      ${pod.name}: peak ${Math.round(Number(/\d+/.exec(stdout)![0]) / 1024)} MiB of 640`,
            );
        }
        const rows = "SELECT COUNT(*), IFNULL(SUM(LENGTH(c0)), 0) FROM form.large";
        assert.equal(await pods.sql(slave, rows), await pods.sql(master, rows));
        await pods.sql(master, "TRUNCATE form.large");
    }

    it("apply the largest value, its update, and the largest row", async () => {
        assert.equal(
            await write(
                insert(1),
                `UPDATE large SET c0 = REPEAT('y', ${packet})`,
                insert(Math.floor(largestRow / packet)),
            ),
            "",
        );
        await survived();
    });

    it("refuse a larger value by name", async () => {
        assert.match(
            await write(`INSERT INTO large (c0) VALUES ('${"x".repeat(100)}'), (REPEAT('x', ${packet + 1}))`),
            /max_allowed_packet/,
        );
        await survived();
    });

    it("apply a transaction of many small rows, up to the largest", async () => {
        const half = Math.floor((transaction * 0.9) / 1100);
        assert.equal(await write(`SET cte_max_recursion_depth = 10000000`, rows(half)), "");
        await survived();
    });

    it("refuse a larger transaction by name, and undo it", async () => {
        const answer = await write(
            "SET cte_max_recursion_depth = 10000000",
            rows(Math.floor((transaction * 1.2) / 1000)),
        );
        assert.match(answer, /ERROR 1197 .*max_binlog_cache_size/);
        assert.equal(await pods.sql(master, "SELECT COUNT(*) FROM form.large"), "0");
        await survived();
    });

    it("apply values of the largest size from 5 connections at once", async () => {
        const load = (): Promise<string> => write(...Array.from({ length: 3 }, () => insert(1)));
        assert.deepEqual(await Promise.all(Array.from({ length: 5 }, load)), ["", "", "", "", ""]);
        await survived();
    });
});
