import assert from "assert";
import { mkdtempSync, rmSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { setTimeout as pause } from "timers/promises";

import { look } from "../../operations/status";
import { copyProgram } from "../support/copy";
import { waitFor } from "../support/docker";
import { RECOVERY_SECONDS, System } from "../support/system";
import { configure, pulumi } from "./stack";

/** Calls `during` with a copy of the program in which some lines were added to files; the copy goes afterwards. */
async function withChanged(
    files: Readonly<Record<string, string>>,
    during: (folder: string) => Promise<void>,
): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), "changed-"));
    try {
        copyProgram(folder, files);
        await during(folder);
    } finally {
        rmSync(folder, { recursive: true });
    }
}

/** Asks for a page again and again while `work` runs; returns how many answers there were and those that were wrong. */
async function watchPage(
    system: System,
    work: () => Promise<void>,
): Promise<{ asked: number; wrong: string[] }> {
    const wrong: string[] = [];
    let asked = 0;
    let over = false;
    const watching = (async () => {
        while (!over) {
            const answer = await system.page("/User_data").then(
                ({ status }) => (status === 200 ? "" : `HTTP ${status}`),
                (error: Error) => error.message,
            );
            asked++;
            if (answer !== "") {
                wrong.push(answer);
            }
            await pause(100);
        }
    })();
    try {
        await work();
    } finally {
        over = true;
        await watching;
    }
    return { asked, wrong };
}

/** Describes what a change of an image does to a deployed stack; to be called where one is deployed. */
export function describeChanges(system: System): void {
    const { stack } = system;
    const up = (folder?: string) => pulumi(stack, ["up", "--yes", "--skip-preview"], {}, folder);

    async function uids(workload: string): Promise<string[]> {
        return (await system.get(workload)).map(({ uid }) => uid).sort();
    }

    async function withDeadline(workload: string, work: () => Promise<void>): Promise<void> {
        await configure(stack, `${workload}.awaitMinutes`, "1");
        try {
            await work();
        } finally {
            await configure(stack, `${workload}.awaitMinutes`, "10");
        }
    }

    it("an image of dabaweb that never starts: up fails with the cause, the old pods serve, reverting heals", async () => {
        const old = await uids("dabacluster");
        await withDeadline("dabacluster", () =>
            withChanged(
                { "images/dabaweb/app/gunicorn.conf.py": 'raise SystemExit("broken on purpose")' },
                async (folder) => {
                    const { asked, wrong } = await watchPage(system, () =>
                        assert.rejects(
                            up(folder),
                            /dabacluster.*(Minimum number of live Pods|timed out|unready)/s,
                        ),
                    );
                    assert.ok(asked > 10, `${asked} requests`);
                    assert.deepStrictEqual(wrong, [], `of ${asked} requests`);
                    // While the container is tried once more it has not said anything yet.
                    const told = await waitFor(
                        "the cause in the container's words",
                        RECOVERY_SECONDS,
                        async () => {
                            const { problems } = await look(stack);
                            const causes = problems.filter((problem) =>
                                problem.includes("broken on purpose"),
                            );
                            return causes.length > 0 ? causes : undefined;
                        },
                    );
                    assert.match(told.join("\n"), /^dabacluster-.*broken on purpose$/);
                },
            ),
        );
        const ready = (await system.get("dabacluster")).filter((pod) => pod.ready).map(({ uid }) => uid);
        assert.deepStrictEqual(ready.sort(), old, "an old pod is gone");
        await up();
        await system.ready();
        assert.deepStrictEqual(await uids("dabacluster"), old);
    });

    it("an image of mysql-slave that never becomes ready stops at the first slave, the other one serves", async () => {
        const old = await uids("mysql-slave");
        await withDeadline("mysql-slave", () =>
            withChanged(
                { "images/mysql-slave/ready": 'echo "broken on purpose" && exit 1' },
                async (folder) => {
                    // `up` may return before the rollout has begun, see System.ready.
                    await assert.rejects(async () => {
                        await up(folder);
                        const rollout = ["rollout", "status", "statefulset/mysql-slave", "--timeout=60s"];
                        await system.kubectl(rollout, { timeoutSeconds: 70 });
                    }, /mysql-slave/);
                    const { problems } = await look(stack);
                    assert.match(problems.join("\n"), /mysql-slave-1 .*broken on purpose/);
                    const serving = (await system.get("mysql-slave")).filter((pod) => pod.ready);
                    assert.deepStrictEqual(
                        serving.map(({ name }) => name),
                        ["mysql-slave-0"],
                    );
                    assert.ok(old.includes(serving[0]?.uid ?? ""), "mysql-slave-0 was touched");
                },
            ),
        );
        await up();
        await system.ready();
    });

    it("a changed file of both MySQL images rolls master and slaves, and nothing is lost", async () => {
        const others = ["redis-master", "redis-slave", "dabacluster"];
        const untouched = await Promise.all(others.map(uids));
        const table = "form.form_user_data";
        await system.sql("mysql-master-0", `INSERT INTO ${table} (name, money) VALUES ('row-rolled', 1)`);
        try {
            await withChanged({ "images/mysql/live": "# touched" }, async (folder) => {
                await up(folder);
                await system.ready();
                for (const pod of ["mysql-master-0", ...system.pods("mysql-slave")]) {
                    const rows = await system.sql(
                        pod,
                        `SELECT COUNT(*) FROM ${table} WHERE name = 'row-rolled'`,
                    );
                    assert.strictEqual(rows, "1", pod);
                }
            });
        } finally {
            await up();
            await system.ready();
            await system.sql("mysql-master-0", `DELETE FROM ${table} WHERE name = 'row-rolled'`);
        }
        assert.deepStrictEqual(await Promise.all(others.map(uids)), untouched, "other pods were touched");
    });
}
