/** What the source's author once checked by hand on one replica; here on every replica, in each situation. */
import assert from "assert";

import { mysqlReplicates, pageShowsSeedRows, redisReplicates } from "../support/checks";
import { System } from "../support/system";
import { TABLES } from "../support/tables";

/** Call this after a stack is deployed. */
export function behavesAsTheSourceDid(system: System): void {
    it("V1: every workload has its pods, all ready", () => system.ready());

    it("V2: every redis-slave returns what was set on redis-master", () => redisReplicates(system));

    it("V4: the MySQL master writes a binary log", async () => {
        const rows = (await system.sql("mysql-master-0", "SHOW BINARY LOG STATUS")).split("\n");
        assert.strictEqual(rows.length, 1);
        assert.match(rows[0] ?? "", /^\S+\.\d{6}\t\d+/);
    });

    it("V5: the database has the 13 tables, on every pod", async () => {
        for (const pod of ["mysql-master-0", ...system.pods("mysql-slave")]) {
            const tables = await system.sql(pod, "SHOW TABLES IN form");
            assert.deepStrictEqual(tables.split("\n").sort(), TABLES, pod);
        }
    });

    it("V6: both replication threads run on every mysql-slave, GTID sets match, no transaction is errant", () =>
        mysqlReplicates(system));

    it("V7: every mysql-slave has the database form", async () => {
        for (const pod of system.pods("mysql-slave")) {
            const databases = await system.sql(pod, "SHOW DATABASES");
            assert.ok(databases.split("\n").includes("form"), pod);
        }
    });

    it("V8: dabacluster is a NodePort Service, everything else is reachable only inside the cluster", async () => {
        const lines = await system.kubectl([
            "get",
            "services",
            "-o",
            "jsonpath={range .items[*]}{.metadata.name} {.spec.type} {.spec.ports[0].port}:{.spec.ports[0].nodePort}{'\\n'}{end}",
        ]);
        const services = lines.split("\n").map((line) => line.trim());
        assert.ok(services.includes(`dabacluster NodePort 80:${new URL(system.url).port}`), lines);
        const others = services.filter((line) => !line.startsWith("dabacluster "));
        assert.strictEqual(others.length, 8);
        others.forEach((line) => assert.match(line, / ClusterIP /));
    });

    it("V9: the page shows sam 10000 and james 20000", () => pageShowsSeedRows(system));

    it("refuses writes on every redis-slave", async () => {
        for (const pod of system.pods("redis-slave")) {
            assert.match(await system.redis(pod, "SET", "forbidden", "1"), /^READONLY/, pod);
        }
    });

    it("refuses writes on every mysql-slave, even from root", async () => {
        for (const pod of system.pods("mysql-slave")) {
            const result = await system.trySql(pod, "CREATE DATABASE forbidden");
            assert.notStrictEqual(result.code, 0, pod);
            assert.match(result.stderr, /super-read-only|read_only/, pod);
        }
    });
}
