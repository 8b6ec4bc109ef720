import assert from "assert";
import { appendFileSync, mkdtempSync, rmSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";

import { findPod, signal } from "../faults/pods";
import { mysqlReplicates, redisReplicates } from "../support/checks";
import { copyProgram } from "../support/copy";
import { waitFor } from "../support/docker";
import { times } from "../support/long";
import { RECOVERY_SECONDS, System } from "../support/system";
import { describeAddresses } from "./addresses";
import { describeChanges } from "./changed-images";
import { dropImages, pulledImages } from "./pulls";
import { describeRunbook } from "./runbook";
import { behavesAsTheSourceDid } from "./source";
import { configure, deploy, destroy, pulumi, remnants } from "./stack";

const system = new System("changes");

/** Changes to a deployed stack: by hand, by accident and by `up`. No test in this file needs the stack undisturbed. */
describe("a stack that is changed", () => {
    before("deploy", () => deploy("changes"));

    after("destroy, twice, and leave nothing behind", async () => {
        await destroy("changes");
        await destroy("changes");
        assert.deepStrictEqual(await remnants(system.namespace, `dabaweb/${system.stack}/`), []);
    });

    describe("after the pods of both masters were deleted", () => {
        let untouched: Record<string, number>;
        before(async () => {
            const others = ["redis-slave", "mysql-slave", "dabacluster"];
            untouched = await system.restarts(others);
            await system.replacePod("redis-master-0");
            await system.replacePod("mysql-master-0");
            assert.deepStrictEqual(await system.restarts(others), untouched, "other pods were restarted");
        });
        behavesAsTheSourceDid(system);
    });

    describe("repeated kills of both masters", () => {
        const key = (end: number) => `ended-${end}`;
        const masters = ["redis-master-0", "mysql-master-0"];
        const ends = Array.from({ length: times(2, 10) }, (_, end) => end);

        after("remove what was written", async () => {
            await system.sql("mysql-master-0", "DELETE FROM form.form_user_data WHERE name LIKE 'ended-%'");
            await system.redis("redis-master-0", "DEL", ...ends.map(key));
        });

        it("restart no other pod and lose nothing", async () => {
            const others = ["redis-slave", "mysql-slave", "dabacluster"];
            const untouched = await system.restarts(others);
            for (const end of ends) {
                const row = `INSERT INTO form.form_user_data (name, money) VALUES ('${key(end)}', ${end})`;
                await system.sql("mysql-master-0", row);
                // WAIT covers only the writes of its own connection.
                const input = `SET ${key(end)} ${end}\nWAIT 1 ${RECOVERY_SECONDS * 1000}\n`;
                const timeoutSeconds = RECOVERY_SECONDS + 10;
                const answer = await system.exec("redis-master-0", "redis", ["redis-cli"], {
                    input,
                    timeoutSeconds,
                });
                assert.match(answer, /^OK\n[12]$/);
                const pods = await Promise.all(masters.map((name) => findPod(system, name)));
                await Promise.all(pods.map((pod) => signal(pod, "KILL")));
                // As new pods: the kubelet backs off for minutes before it restarts a container that has died this often.
                await Promise.all(masters.map((name) => system.replacePod(name, "--grace-period=1")));
            }
            assert.deepStrictEqual(await system.restarts(others), untouched, "other pods were restarted");
            await redisReplicates(system);
            await mysqlReplicates(system);
            for (const pod of ["mysql-master-0", ...system.pods("mysql-slave")]) {
                const count = "SELECT COUNT(*) FROM form.form_user_data WHERE name LIKE 'ended-%'";
                assert.strictEqual(await system.sql(pod, count), String(ends.length), pod);
            }
            for (const pod of ["redis-master-0", ...system.pods("redis-slave")]) {
                const values = await system.redis(pod, "MGET", ...ends.map(key));
                assert.deepStrictEqual(values.split("\n"), ends.map(String), pod);
            }
        });
    });

    describe("images", () => {
        it("rolls exactly the pods whose image contains a changed file, from another folder and back", async () => {
            const folder = mkdtempSync(join(tmpdir(), "touched-"));
            const others = Object.keys(system.counts).filter((workload) => workload !== "redis-slave");
            const untouched = await system.restarts(others);
            const before = await system.restarts(["redis-slave"]);
            try {
                copyProgram(folder);
                appendFileSync(join(folder, "images/redis-slave/ready"), "# touched\n");
                const output = await pulumi("changes", ["up", "--yes", "--skip-preview"], {}, folder);
                assert.match(output, /RegistryImage redis-slave created replacement/);
                assert.match(output, /~ 1 updated\s+\+-1 replaced/);
                await system.ready();
                const rolled = Object.keys(await system.restarts(["redis-slave"]));
                assert.ok(
                    rolled.every((pod) => !(pod in before)),
                    "a slave kept its old pod",
                );
            } finally {
                await pulumi("changes", ["up", "--yes", "--skip-preview"]);
                rmSync(folder, { recursive: true });
            }
            await system.ready();
            assert.deepStrictEqual(await system.restarts(others), untouched, "other pods were touched");
        });

        it("are pulled again by a node that lost them", async () => {
            const field = (path: string) =>
                system.kubectl(["get", "pod", "redis-slave-0", "-o", `jsonpath={${path}}`]);
            const digest = (await field(".spec.containers[0].image")).split("@")[1]!;
            const node = await field(".spec.nodeName");
            // Repeatedly, because the kubelet's view of its images lags behind containerd's.
            await waitFor("a pod whose image was pulled", RECOVERY_SECONDS, async () => {
                await dropImages(node, [digest]);
                await system.replacePod("redis-slave-0");
                const said = await system.kubectl(pulledImages(await field(".metadata.uid")));
                return said.includes("Successfully pulled image");
            });
        });
    });

    describe("scaling", () => {
        it("seeds a new mysql-slave although the master's first binary logs are gone", async () => {
            const master = await system.restarts(["mysql-master", "redis-master"]);
            await configure("changes", { "mysql-slave.replicas": "1" });
            await pulumi("changes", ["up", "--yes", "--skip-preview"]);
            await system.sql("mysql-master-0", "FLUSH BINARY LOGS");
            const current = (await system.sql("mysql-master-0", "SHOW BINARY LOG STATUS")).split("\t")[0];
            await waitFor("purged binary logs", RECOVERY_SECONDS, async () => {
                await system.sql("mysql-master-0", `PURGE BINARY LOGS TO '${current}'`);
                const logs = (await system.sql("mysql-master-0", "SHOW BINARY LOGS")).split("\n");
                return logs.length === 1;
            });
            await configure("changes", { "mysql-slave.replicas": "2" });
            await pulumi("changes", ["up", "--yes", "--skip-preview"]);
            await system.ready();
            await mysqlReplicates(system);
            const count = "SELECT COUNT(*) FROM form.form_user_data";
            assert.strictEqual(
                await system.sql("mysql-slave-1", count),
                await system.sql("mysql-master-0", count),
            );
            assert.deepStrictEqual(
                await system.restarts(["mysql-master", "redis-master"]),
                master,
                "a master was restarted",
            );
        });
    });

    describe("a changed image", () => describeChanges(system));

    describe("the site", () => describeAddresses(system));

    describeRunbook(system);
});
