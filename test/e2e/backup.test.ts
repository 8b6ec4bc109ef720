import assert from "assert";
import { randomUUID } from "crypto";
import { rmSync } from "fs";
import { join } from "path";

import { places } from "../../local/places";
import { Stack } from "../../local/stacks/stack";
import { localStore } from "../../local/store/store";
import { command } from "../support/command";
import { waitFor } from "../support/docker";
import { mysqlReplicates } from "../support/checks";
import { RECOVERY_SECONDS, System } from "../support/system";
import { configure, destroy, pulumi, remnants } from "./stack";

const STACK = "backup";
const system = new System(STACK);
/** A place of this run alone: what an earlier run left there has another password. */
const PREFIX = `test-${randomUUID().slice(0, 8)}`;
const KEPT = `row-${randomUUID().slice(0, 8)}`;
const LATER = `row-${randomUUID().slice(0, 8)}`;

/** Runs `make backup` or `make backups`, and returns what it prints. */
async function tool(name: "take" | "list"): Promise<string> {
    const args = ["-r", "ts-node/register/transpile-only", "local/stacks/backup.ts", name, STACK];
    const { code, stdout, stderr } = await command(process.execPath, args, { timeoutSeconds: 900 });
    assert.strictEqual(code, 0, stdout + stderr);
    return stdout;
}

/** The rows that this test wrote and that the master has. */
function rows(): Promise<string> {
    const these = [KEPT, LATER].map((name) => `'${name}'`).join(", ");
    return system.sql("mysql-master-0", `SELECT name FROM form.form_user_data WHERE name IN (${these})`);
}

function write(name: string): Promise<string> {
    return system.sql(
        "mysql-master-0",
        `INSERT INTO form.form_user_data (name, money) VALUES ('${name}', 1)`,
    );
}

/** Waits until the store has what the master has executed by now. */
async function archived(): Promise<void> {
    const set = await system.sql("mysql-master-0", "SELECT REPLACE(@@GLOBAL.gtid_executed, '\\n', '')");
    const inArchive = (container: string, file: string) =>
        system.kubectl(["exec", "mysql-archive-0", "--container", container, "--", "cat", file]);
    await waitFor("the archive to have received it", RECOVERY_SECONDS, async () => {
        const received = (await inArchive("receive", "/data/received")).trim();
        return (await system.sql("mysql-master-0", `SELECT GTID_SUBSET('${set}', '${received}')`)) === "1";
    });
    const number = Number(await inArchive("receive", "/data/number"));
    await waitFor("the store to have it", RECOVERY_SECONDS, async () => {
        const index = await inArchive("ship", "/data/pack/index").catch(() => "");
        return Number(/(\d{12})\|.*\n*$/.exec(index)?.[1] ?? 0) >= number;
    });
}

describe("a stack with backups", () => {
    const stack = new Stack(STACK);
    let password = "";
    let base = "";
    /** A time between two acknowledged writes. */
    let moment = "";
    let identity = "";

    before("deploy it", async () => {
        await stack.select();
        await configure(STACK, { "backup.store.prefix": PREFIX });
        await pulumi(STACK, ["up", "--yes", "--skip-preview"]);
    });

    after("destroy it", async () => {
        await stack.select();
        await destroy(STACK);
        rmSync(join(places().storeData, localStore.bucket, PREFIX), { recursive: true });
        assert.deepStrictEqual(await remnants(system.namespace, `dabaweb/${STACK}/`), []);
    });

    it("takes bases by hand, while it serves, proves the first by the second, and lists them", async () => {
        await mysqlReplicates(system);
        const log = await tool("take");
        base = /base (\d{8}T\d{6}Z) is complete/.exec(log)?.[1] ?? assert.fail(log);
        await write(KEPT);
        moment = await system.sql(
            "mysql-master-0",
            "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')",
        );
        await write(LATER);
        await archived();
        identity = await system.sql("mysql-master-0", "SELECT id FROM replication.identity");
        assert.match(await tool("take"), new RegExp(`base ${base} is proven`));
        const listed = await tool("list");
        assert.match(listed, new RegExp(`^${base} .*mysql-slave-0 .*${identity} +in \\d+ s `, "m"));
        const text = await system.kubectl([
            ...["get", "secret", "backup-encryption", "-o", "jsonpath={.data.password}"],
        ]);
        password = Buffer.from(text, "base64").toString();
        assert.strictEqual(password.length, 32);
    });

    it("comes back from the store after everything else of it was destroyed", async () => {
        await destroy(STACK);
        assert.deepStrictEqual(await remnants(system.namespace, `dabaweb/${STACK}/`), []);
        await stack.select();
        await configure(STACK, {
            "restore.at": moment,
            "backup.encryptionPassword": password,
            "backup.store.prefix": PREFIX,
        });
        await pulumi(STACK, ["up", "--yes", "--skip-preview"]);
        await system.ready();
        assert.strictEqual(await rows(), KEPT);
        const restored = await system.sql("mysql-master-0", "SELECT id FROM replication.identity");
        assert.notStrictEqual(restored, identity);
        await mysqlReplicates(system);
    });

    it("goes on with its backups in the same place, and needs the key `restore` no more", async () => {
        await pulumi(STACK, ["config", "rm", "restore"]);
        await pulumi(STACK, ["up", "--yes", "--skip-preview"]);
        await system.ready();
        assert.strictEqual(await rows(), KEPT);
        await tool("take");
        const listed = await tool("list");
        assert.match(listed, new RegExp(`^${base} `, "m"));
        // A base that was due may be there, too.
        assert.ok(listed.match(/^\d{8}T\d{6}Z /gm)!.length >= 3, listed);
        assert.match(listed, new RegExp(`^${identity} +\\d{4}-\\d\\d-\\d\\dT\\S+Z +\\S+Z +none$`, "m"));
    });

    it("is restored in place with a new word, its slaves follow, and the next word undoes it", async () => {
        await write(LATER);
        await mysqlReplicates(system);
        await configure(STACK, { "restore.base": "latest", "restore.word": "one" });
        await pulumi(STACK, ["up", "--yes", "--skip-preview"]);
        await system.ready();
        assert.strictEqual(await rows(), KEPT);
        await mysqlReplicates(system);
        await pulumi(STACK, ["config", "rm", "restore"]);
        await configure(STACK, { "restore.undo": "true", "restore.word": "two" });
        await pulumi(STACK, ["up", "--yes", "--skip-preview"]);
        await system.ready();
        assert.deepStrictEqual((await rows()).split("\n").sort(), [KEPT, LATER].sort());
        await mysqlReplicates(system);
        await pulumi(STACK, ["config", "rm", "restore"]);
    });

    it("fills no volume that is lost while the slaves have the data, even with the key `restore`", async () => {
        await configure(STACK, { "restore.base": base });
        await pulumi(STACK, ["up", "--yes", "--skip-preview"]);
        await system.ready();
        await system.kubectl(["delete", "--wait=false", "pvc/data-mysql-master-0", "pod/mysql-master-0"]);
        await waitFor("the master to have its slave's data", RECOVERY_SECONDS, async () => {
            return (await rows()).split("\n").length === 2;
        });
    });
});
