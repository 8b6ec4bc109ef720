import assert from "assert";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import { join } from "path";
import { setTimeout as pause } from "timers/promises";

import { look } from "../../operations/status";
import { copyProgram } from "../support/copy";
import { waitFor } from "../support/docker";
import { isLong } from "../support/long";
import { RECOVERY_SECONDS, System } from "../support/system";
import { Client, siteOf } from "./site";
import { configure, pulumi } from "./stack";

const APP = "images/dabaweb/app/form";

const NEWEST_MIGRATION = readdirSync(join(__dirname, "../..", APP, "migrations"))
    .filter((name) => /^\d{4}_.*\.py$/.test(name))
    .sort()
    .pop()!
    .slice(0, -".py".length);

/** The deadline of the web pods is the migration's, too, which must get to its end, or to its error, on a busy machine. */
const MIGRATION_MINUTES = 2;

/** Takes 10 seconds, then reads a column that does not exist. */
const BROKEN_MIGRATION = `
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("form", "${NEWEST_MIGRATION}")]
    operations = [migrations.RunSQL(["DO SLEEP(10)", "SELECT no_such_column FROM form_user_data"])]
`;

interface PodTimes {
    readonly metadata: { readonly name: string };
    readonly status: {
        readonly startTime: string;
        readonly conditions: readonly {
            readonly type: string;
            readonly status: string;
            readonly lastTransitionTime: string;
        }[];
    };
}

/** Calls `during` with a copy of the program in which lines are appended to these files; deletes the copy afterwards. */
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

/** Calls `ask` repeatedly while `work` runs; returns the number of calls and their failures. */
async function watch(
    ask: () => Promise<unknown>,
    work: () => Promise<unknown>,
): Promise<{ asked: number; wrong: string[] }> {
    const wrong: string[] = [];
    let asked = 0;
    let over = false;
    const watching = (async () => {
        while (!over) {
            await ask().catch((error: Error) => wrong.push(inWords(error)));
            asked++;
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

/** The message with its cause: without the cause, fetch only says that it failed. */
function inWords({ message, cause }: Error): string {
    return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

/** Fetches pages, and every static file that one of them ever referred to. */
async function visit(client: Client, files: Set<string>): Promise<void> {
    for (const page of ["/User_data", "/admin/form/userdata/"]) {
        const { text } = await client.ask(page);
        for (const [file] of text.matchAll(/\/static\/[^"]+\.[0-9a-f]{12}\.[a-z0-9]+/g)) {
            files.add(file);
        }
    }
    for (const file of files) {
        await client.ask(file);
    }
}

/** Tests what a changed image does to a deployed stack; call this after one is deployed. */
export function describeChanges(system: System): void {
    const { stack } = system;
    const up = (folder?: string) => pulumi(stack, ["up", "--yes", "--skip-preview"], {}, folder);

    async function pageIsThere(): Promise<void> {
        assert.strictEqual((await system.page("/User_data")).status, 200);
    }

    async function uids(workload: string): Promise<string[]> {
        return (await system.get(workload)).map(({ uid }) => uid).sort();
    }

    /** Fails unless the master's pod was started after every slave was ready, and all of them are. */
    async function slavesFirst(name: string): Promise<void> {
        const { items } = JSON.parse(
            await system.kubectl(["get", "pods", "-l", `app.kubernetes.io/part-of=${name}`, "-o", "json"]),
        ) as { items: PodTimes[] };
        const times = items.map(({ metadata, status }) => ({
            pod: metadata.name,
            started: status.startTime,
            ready: status.conditions.find(({ type, status: is }) => type === "Ready" && is === "True")
                ?.lastTransitionTime,
        }));
        const master = times.find(({ pod }) => pod === `${name}-master-0`)?.started ?? "";
        // To the second, as Kubernetes has it; these texts are ordered as their times are.
        assert.deepStrictEqual(
            times.filter(({ ready, pod }) => ready === undefined || (/slave/.test(pod) && ready > master)),
            [],
            JSON.stringify(times),
        );
    }

    async function withDeadline(workload: string, minutes: number, work: () => Promise<void>): Promise<void> {
        await configure(stack, { [`${workload}.awaitMinutes`]: String(minutes) });
        try {
            await work();
        } finally {
            await configure(stack, { [`${workload}.awaitMinutes`]: "10" });
        }
    }

    it("makes up fail with the cause when dabaweb never starts; the old pods serve, and reverting heals", async () => {
        const old = await uids("dabacluster");
        await withDeadline("dabacluster", MIGRATION_MINUTES, () =>
            withChanged(
                { "images/dabaweb/app/gunicorn.conf.py": 'raise SystemExit("broken on purpose")' },
                async (folder) => {
                    const { asked, wrong } = await watch(pageIsThere, () =>
                        assert.rejects(
                            up(folder),
                            /dabacluster.*(Minimum number of live Pods|timed out|unready)/s,
                        ),
                    );
                    assert.ok(asked > 10, `${asked} requests`);
                    assert.deepStrictEqual(wrong, [], `of ${asked} requests`);
                    // A container that is just being restarted has not logged anything yet.
                    const told = await waitFor(
                        "the cause from the container's log",
                        RECOVERY_SECONDS,
                        async () => {
                            const { problems } = await look(stack);
                            const causes = problems.filter((problem) =>
                                problem.includes("broken on purpose"),
                            );
                            return causes.length > 0 && causes;
                        },
                    );
                    assert.match(told.join("\n"), /^dabacluster-.*broken on purpose$/);
                },
            ),
        );
        // On a busy machine, a pod that serves can miss its probes for a while.
        await waitFor("every old pod to be ready", RECOVERY_SECONDS, async () => {
            const ready = (await system.get("dabacluster")).filter((pod) => pod.ready).map(({ uid }) => uid);
            assert.deepStrictEqual(ready.sort(), old, "an old pod is gone");
            return true;
        });
        await up();
        await system.ready();
        assert.deepStrictEqual(await uids("dabacluster"), old);
    });

    if (isLong) {
        it("makes up fail when a slow migration fails; the old pods serve, and reverting heals", async () => {
            const old = await uids("dabacluster");
            await withDeadline("dabacluster", MIGRATION_MINUTES, () =>
                withChanged({}, async (folder) => {
                    writeFileSync(join(folder, APP, "migrations/9999_broken.py"), BROKEN_MIGRATION);
                    const { asked, wrong } = await watch(pageIsThere, () =>
                        assert.rejects(up(folder), /dabacluster-migrate/),
                    );
                    assert.ok(asked > 10, `${asked} requests`);
                    assert.deepStrictEqual(wrong, [], `of ${asked} requests`);
                }),
            );
            const jobs = ["-l", "app.kubernetes.io/name=dabacluster-migrate", "--tail=-1"];
            // The pod of the last attempt may have no log yet when the deadline passes.
            await waitFor("the log of the failed migration", RECOVERY_SECONDS, async () =>
                /Applying form\.9999_broken[^]*Unknown column 'no_such_column'/.test(
                    await system.kubectl(["logs", ...jobs]),
                ),
            );
            assert.deepStrictEqual(await uids("dabacluster"), old, "a web pod was replaced");
            await up();
            await system.ready();
            assert.deepStrictEqual(await uids("dabacluster"), old);
        });
    }

    it("rolls the web pods for a changed style sheet, and visitors lose neither their session nor a file", async () => {
        const old = await uids("dabacluster");
        // Each request has its own connection: a page and its files come from pods of both images. None is sent again: a new pod
        // serves from its first request on.
        const client = new Client(system.url, { Connection: "close" }, "fail");
        await client.signIn(await siteOf(system).adminPassword());
        const files = new Set<string>();
        const { asked, wrong } = await watch(
            () => visit(client, files),
            async () => {
                await withChanged({ [`${APP}/static/form/site.css`]: "/* touched */" }, async (folder) => {
                    await up(folder);
                    await system.ready();
                });
                await up();
                await system.ready();
            },
        );
        assert.deepStrictEqual(wrong, [], `of ${asked} rounds`);
        const sheets = [...files].filter((file) => file.includes("/form/site."));
        assert.strictEqual(sheets.length, 2, `the pages named ${sheets.join(", ")}`);
        const now = await uids("dabacluster");
        assert.ok(
            now.every((uid) => !old.includes(uid)),
            "a web pod was not replaced",
        );
    });

    it("stops at the first slave if mysql-slave never becomes ready; the other slave serves", async () => {
        const old = await uids("mysql-slave");
        await withDeadline("mysql-slave", 1, () =>
            withChanged(
                { "images/mysql-slave/ready": 'echo "broken on purpose" && exit 1' },
                async (folder) => {
                    await assert.rejects(
                        up(folder),
                        // Pulumi's own wait, or ours, whose sentence is printed as it is.
                        /mysql-slave.*readiness checks|error: after 1 min, .* pods of mysql-slave run the new revision/s,
                    );
                    await waitFor("the cause from the probe's output", RECOVERY_SECONDS, async () => {
                        const { problems } = await look(stack);
                        return /mysql-slave-1 .*broken on purpose/.test(problems.join("\n"));
                    });
                    await waitFor("the other slave to serve", RECOVERY_SECONDS, async () => {
                        const serving = (await system.get("mysql-slave")).filter((pod) => pod.ready);
                        assert.deepStrictEqual(
                            serving.map(({ name }) => name),
                            ["mysql-slave-0"],
                        );
                        assert.ok(old.includes(serving[0]?.uid ?? ""), "mysql-slave-0 was touched");
                        return true;
                    });
                },
            ),
        );
    });

    it("rolls master and slaves, even a broken slave, for a file of both MySQL images, and loses nothing", async () => {
        const others = ["redis-master", "redis-slave", "dabacluster"];
        const untouched = await Promise.all(others.map(uids));
        const table = "form.form_user_data";
        await system.sql("mysql-master-0", `INSERT INTO ${table} (name, money) VALUES ('row-rolled', 1)`);
        try {
            await withChanged({ "images/mysql/live": "# touched" }, async (folder) => {
                await up(folder);
                // Here and not after a wait: `up` itself must not go on, or return, before the pods are replaced.
                await slavesFirst("mysql");
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
