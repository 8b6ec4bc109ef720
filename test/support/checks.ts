import assert from "assert";
import { randomUUID } from "crypto";

import { waitFor } from "./docker";
import { RECOVERY_SECONDS, System } from "./system";

/** Seconds within which a master's write must be visible on its slaves; both replications are asynchronous. */
const REPLICATION_SECONDS = 30;

/** V2: every redis-slave returns what was SET on redis-master. */
export async function redisReplicates(system: System): Promise<void> {
    const key = `test-${randomUUID()}`;
    assert.strictEqual(await system.redis("redis-master-0", "SET", key, "1"), "OK");
    try {
        for (const pod of system.pods("redis-slave")) {
            await waitFor(
                `${key} on ${pod}`,
                REPLICATION_SECONDS,
                async () => (await system.redis(pod, "GET", key)) === "1",
            );
        }
    } finally {
        await system.redis("redis-master-0", "DEL", key);
    }
}

/** V6: both threads of every mysql-slave run without errors, and all of the master's transactions arrive. */
export async function mysqlReplicates(system: System): Promise<void> {
    for (const pod of system.pods("mysql-slave")) {
        // A slave stays ready for a while without its master, and reconnects every other second.
        const status = await waitFor(`replication of ${pod}`, REPLICATION_SECONDS, async () => {
            const now = await replicaStatus(system, pod);
            assert.strictEqual(now.Replica_IO_Running, "Yes", now.Last_IO_Error);
            assert.strictEqual(now.Replica_SQL_Running, "Yes", now.Last_SQL_Error);
            return now;
        });
        assert.strictEqual(status.Source_Host, "mysql-master");
        assert.match(status.Source_User ?? "", /^repl_[0-9a-f]{8}$/);
        assert.strictEqual(status.Auto_Position, "1");
        assert.strictEqual(status.Source_SSL_Allowed, "Yes");
        assert.strictEqual(status.Last_IO_Errno, "0");
        assert.strictEqual(status.Last_SQL_Errno, "0");
        const executed = await system.sql("mysql-master-0", "SELECT @@GLOBAL.gtid_executed");
        await waitFor(`every transaction of mysql-master on ${pod}`, REPLICATION_SECONDS, async () => {
            return (
                (await system.sql(
                    pod,
                    `SELECT GTID_SUBSET('${sqlText(executed)}', @@GLOBAL.gtid_executed)`,
                )) === "1"
            );
        });
        const own = await system.sql(pod, "SELECT @@GLOBAL.gtid_executed");
        // Semi-sync lets a slave have a transaction a moment before the master itself counts it as executed.
        await waitFor(`no errant transaction on ${pod}`, REPLICATION_SECONDS, async () => {
            const errant = await system.sql(
                "mysql-master-0",
                `SELECT GTID_SUBTRACT('${sqlText(own)}', @@GLOBAL.gtid_executed)`,
            );
            assert.strictEqual(errant, "");
            return true;
        });
    }
}

/** V9: the page shows the rows of the source, through NodePort, nginx and gunicorn. */
export async function pageShowsSeedRows(system: System): Promise<void> {
    const rows = await waitFor(`${system.url}/User_data`, RECOVERY_SECONDS, () => system.table("/User_data"));
    assert.ok(hasRow(rows, "sam", "10000"), JSON.stringify(rows));
    assert.ok(hasRow(rows, "james", "20000"), JSON.stringify(rows));
}

/** The site answers: with the employees, or with the sign-in page if they are not public. */
export async function siteAnswers(system: System): Promise<void> {
    await waitFor(`${system.url}/User_data`, RECOVERY_SECONDS, async () => {
        const { status, body } = await system.page("/User_data");
        return status === 200 && /<table|id="login-form"/.test(body);
    });
}

/** Whether one row of a table has all these cells. */
export function hasRow(rows: readonly string[][], ...cells: string[]): boolean {
    return rows.some((row) => cells.every((cell) => row.includes(cell)));
}

/** SHOW REPLICA STATUS by column name. */
async function replicaStatus(system: System, pod: string): Promise<Record<string, string>> {
    const text = await system.sqlByColumn(pod, "SHOW REPLICA STATUS\\G");
    return Object.fromEntries(
        text
            .split("\n")
            .map((line) => /^\s*(\w+): ?(.*)$/.exec(line))
            .filter((match) => match !== null)
            .map(([, key, value]) => [key ?? "", value ?? ""]),
    );
}

/** mysql --batch prints the line breaks of a GTID set as \n. */
function sqlText(gtids: string): string {
    return gtids.replace(/\\n|\n/g, "");
}
