/** Faults that clients and operators cause with what they write: one function each, as in faults.ts. */
import { waitFor } from "../support/docker";
import { System } from "../support/system";
import { deletePod, deletePodWithClaim } from "./faults";
import { connectMysql } from "./load";
import { POLL_MS, scale } from "./pods";
import { Fault, programOf, Scene } from "./scene";

/** Clients that try again, beside those of the load: what a minute of sign-ins makes of three pods of the site. */
const CROWD = 24;
/** What the server answers if an account, or everybody together, has too many connections. */
const FULL = ["ER_CON_COUNT_ERROR", "ER_USER_LIMIT_REACHED", "ER_TOO_MANY_USER_CONNECTIONS"];
/** Seconds for hung commits to fill the connections: each client hangs for five and leaves its connection behind. */
const FILL_SECONDS = 90;
/** Seconds that the clients keep trying when no connection is left. */
const FULL_SECONDS = 30;

/**
 * Takes all slaves away while clients write and try again. In `wait`, each try leaves a commit that hangs, until no connection
 * is left. Then the slaves return: they must be let in, because only they can end the commits.
 */
export const fillConnections = (): Fault => ({
    async strike(scene) {
        const { system, load } = scene;
        const slaves = system.pods("mysql-slave");
        const refused = (): number => FULL.reduce((sum, code) => sum + (load.errors.get(code) ?? 0), 0);
        scene.hit(...slaves);
        await scale(system, "mysql-slave", 0);
        try {
            load.crowd(CROWD);
            await waitFor("a client to be refused", FILL_SECONDS, () => Promise.resolve(refused() > 0)).catch(
                () => undefined,
            );
            const noRoot: string[] = [];
            for (let second = 0; second < FULL_SECONDS; second++) {
                await scene.last(1);
                const { code, stderr } = await system.trySql("mysql-master-0", "SELECT 1");
                if (code !== 0) {
                    noRoot.push(stderr.trim());
                }
            }
            scene.notes.push(
                `${load.ledgers.mysql.inFlight(Date.now())} writes had no answer when the slaves returned, and ` +
                    `${refused()} connections had been refused`,
            );
            if (noRoot.length > 0) {
                scene.wrong.push(
                    `root got no answer ${noRoot.length} of ${FULL_SECONDS} times, first: ${noRoot[0]}`,
                );
            }
        } finally {
            await scale(system, "mysql-slave", slaves.length);
        }
    },
});

const LARGE = "fault_large";
const MEGABYTE = 1024 * 1024;
/** A transaction larger than this is not tried: the volumes of a test have no room for its copies. */
const LARGEST_MEGABYTES = 256;
/** Seconds for a transaction of that size, on a busy disk. */
const LARGE_SECONDS = 240;

/**
 * Commits ever larger transactions of the application's account, up to what the server accepts: rows of one megabyte, one row
 * that is as large as a statement may be, and several of those. A refused transaction is no loss. Nothing else may happen: no
 * connection ends, no pod restarts, and what was acknowledged is on every pod.
 */
export const largeTransactions = (): Fault => {
    let id = 0;
    /** Rows of the acknowledged transactions. */
    let rows = 0;
    /** Why the server refuses a transaction; undefined if it accepts it. */
    const commit = async (scene: Scene, count: number, bytes: number): Promise<string | undefined> => {
        const connection = await connectMysql(scene.load.doors, "mysql-master");
        try {
            await connection.beginTransaction();
            for (let row = 0; row < count; row++) {
                const sql = `INSERT INTO ${LARGE} VALUES (${++id}, REPEAT('x', ${bytes}))`;
                await connection.query({ sql, timeout: LARGE_SECONDS * 1000 });
            }
            await connection.query({ sql: "COMMIT", timeout: LARGE_SECONDS * 1000 });
            rows += count;
            return undefined;
        } catch (error) {
            const { sqlState, message } = error as { sqlState?: string; message: string };
            if (sqlState === undefined) {
                const size = `${count} x ${(bytes / MEGABYTE).toFixed(1)} MiB`;
                throw new Error(
                    `a transaction of ${size} was not refused, its connection ended: ${message}`,
                    {
                        cause: error,
                    },
                );
            }
            return message;
        } finally {
            connection.destroy();
        }
    };
    return {
        prepare: ({ system }) => largeTable(system),
        async strike(scene) {
            const { system } = scene;
            const note = (what: string, accepted: number, why?: string): void => {
                const limit = why === undefined ? "nothing larger was tried" : `more is refused: ${why}`;
                scene.notes.push(`${what}: ${accepted.toFixed(1)} MiB are accepted; ${limit}`);
            };
            scene.hit();
            try {
                const packet = Number(
                    await system.sql("mysql-master-0", "SELECT @@GLOBAL.max_allowed_packet"),
                );
                const largest = await upTo(packet / MEGABYTE, (size) =>
                    commit(scene, 1, Math.floor(size * MEGABYTE) - 65536),
                );
                note("one row", largest.accepted, largest.why);
                if (largest.accepted === 0) {
                    throw new Error(`a row of 1 MiB is refused: ${largest.why}`);
                }
                const many = await upTo(LARGEST_MEGABYTES, (size) =>
                    commit(scene, Math.floor(size), MEGABYTE - 64),
                );
                note("a transaction of rows of 1 MiB", many.accepted, many.why);
                const row = Math.floor(largest.accepted * MEGABYTE) - 65536;
                const whole = await upTo(LARGEST_MEGABYTES / largest.accepted, (count) =>
                    commit(scene, Math.floor(count), row),
                );
                note("a transaction of the largest rows", whole.accepted * largest.accepted, whole.why);
            } finally {
                await everywhere(system, rows).catch((error: unknown) =>
                    scene.wrong.push(`not every large row is on every pod: ${(error as Error).message}`),
                );
                await system.trySql("mysql-master-0", `DROP TABLE IF EXISTS form.${LARGE}`);
            }
        },
        undo: async ({ system }) =>
            void (await system.sql("mysql-master-0", `DROP TABLE IF EXISTS form.${LARGE}`)),
    };
};

async function largeTable(system: System): Promise<void> {
    await system.sql("mysql-master-0", `DROP TABLE IF EXISTS form.${LARGE}`);
    await system.sql(
        "mysql-master-0",
        `CREATE TABLE form.${LARGE} (id INT PRIMARY KEY, content LONGBLOB NOT NULL)`,
    );
}

/** The largest size that is accepted, to an eighth, from 1 to `most`; and why a larger one is refused. */
export async function upTo(
    most: number,
    refusal: (size: number) => Promise<string | undefined>,
): Promise<{ accepted: number; why?: string }> {
    let [accepted, refused, why]: [number, number, string | undefined] = [0, Infinity, undefined];
    const attempt = async (size: number): Promise<void> => {
        const answer = await refusal(size);
        if (answer === undefined) {
            accepted = size;
        } else {
            [refused, why] = [size, answer];
        }
    };
    for (let size = 1; size < most && refused === Infinity; size *= 2) {
        await attempt(size);
    }
    if (refused === Infinity) {
        await attempt(most);
    }
    while (refused < Infinity && refused - accepted > Math.max(accepted / 8, 1)) {
        await attempt((refused + accepted) / 2);
    }
    return why === undefined ? { accepted } : { accepted, why };
}

/** Waits until every pod has at least this many large rows, whole. */
async function everywhere(system: System, rows: number): Promise<void> {
    const whole = `SELECT COUNT(*) FROM form.${LARGE} WHERE LENGTH(content) > 0`;
    for (const pod of ["mysql-master-0", ...system.pods("mysql-slave")]) {
        await waitFor(
            `${rows} large rows on ${pod}`,
            LARGE_SECONDS,
            async () => Number(await system.sql(pod, whole)) >= rows,
            { pauseMs: POLL_MS },
        );
    }
}

/** What MySQL offers beside InnoDB and what a clone leaves out, or a restart empties. */
const FOREIGN_ENGINES = ["MyISAM", "MEMORY", "CSV", "ARCHIVE", "BLACKHOLE", "MRG_MYISAM"];

/**
 * Makes tables of engines that a clone leaves out, as the application and as root, and turns an InnoDB table into one. If one of
 * these works, a slave is seeded anew and another one restarts, so that the loss shows.
 */
export const foreignEngines = (): Fault => {
    const made: string[] = [];
    return {
        async strike(scene) {
            const { system, load } = scene;
            scene.hit();
            const connection = await connectMysql(load.doors, "mysql-master");
            const asApplication = async (sql: string): Promise<void> => void (await connection.query(sql));
            const asRoot = async (sql: string): Promise<void> =>
                void (await system.sql("mysql-master-0", sql));
            const refusals: string[] = [];
            try {
                for (const engine of FOREIGN_ENGINES) {
                    for (const [who, run] of [
                        ["dabaweb", asApplication],
                        ["root", asRoot],
                    ] as const) {
                        for (const how of ["create", "alter"] as const) {
                            const table = `fault_${engine}_${who}_${how}`.toLowerCase();
                            made.push(table);
                            const why = await foreignTable(run, table, engine, how);
                            if (why !== undefined) {
                                refusals.push(why);
                            }
                        }
                    }
                }
            } finally {
                connection.destroy();
            }
            const accepted = await system.sql(
                "mysql-master-0",
                "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = 'form' " +
                    "AND table_name LIKE 'fault\\_%' AND engine <> 'InnoDB' ORDER BY engine",
            );
            scene.notes.push(
                `${refusals.length} of ${made.length} tries were refused` +
                    (refusals.length > 0 ? `, the first with: ${refusals[0]}` : ""),
            );
            if (accepted !== "") {
                scene.wrong.push(`tables of ${accepted.split("\n").join(", ")} were accepted`);
                await deletePodWithClaim("mysql-slave-0").strike(scene);
                await deletePod("mysql-slave-1").strike(scene);
            }
        },
        async undo({ system }) {
            const names = made.map((table) => `form.${table}`).join(", ");
            await system.sql("mysql-master-0", `DROP TABLE IF EXISTS ${names}`);
        },
    };
};

/** Makes a table of an engine, with rows; returns why it is refused, or undefined. */
async function foreignTable(
    run: (sql: string) => Promise<void>,
    table: string,
    engine: string,
    how: "create" | "alter",
): Promise<string | undefined> {
    try {
        await run(
            `CREATE TABLE form.${table} (id INT NOT NULL) ENGINE = ${how === "create" ? engine : "InnoDB"}`,
        );
        await run(`INSERT INTO form.${table} VALUES (1), (2), (3)`);
        if (how === "alter") {
            await run(`ALTER TABLE form.${table} ENGINE = ${engine}`);
        }
        return undefined;
    } catch (error) {
        return (error as Error).message;
    }
}

/** Seconds within which `make status` names a table, or a number of rows, that differs; and content that does. */
const FOUND_SECONDS = { table: 90, rows: 90, content: 600 } as const;

/** What a session that does not write the binary log makes on the master alone, and how it is undone there. */
const UNLOGGED = {
    table: {
        make: "CREATE TABLE form.fault_unlogged (id INT PRIMARY KEY); INSERT INTO form.fault_unlogged VALUES (1)",
        undo: "DROP TABLE form.fault_unlogged",
        named: /fault_unlogged/,
    },
    rows: {
        make: "INSERT INTO form.fault_counted VALUES (4, 4)",
        undo: "DELETE FROM form.fault_counted WHERE id = 4",
        named: /fault_counted/,
    },
    content: {
        make: "UPDATE form.fault_compared SET value = 5 WHERE id = 2",
        undo: "UPDATE form.fault_compared SET value = 2 WHERE id = 2",
        named: /fault_compared/,
    },
} as const;
type Unlogged = keyof typeof UNLOGGED;

/**
 * Writes on the master past the binary log, as a dump does that switches it off, and measures how long `make status` takes to
 * name the table. The operator then undoes it in the same way, and all must be well again.
 */
export const writePastTheLog = (): Fault => {
    const pastTheLog = (system: System, sql: string): Promise<string> =>
        system.sql("mysql-master-0", `SET sql_log_bin = 0; ${sql}`);
    let undo: string | undefined;
    return {
        async prepare({ system }) {
            for (const table of ["fault_counted", "fault_compared"]) {
                await system.sql(
                    "mysql-master-0",
                    `CREATE TABLE IF NOT EXISTS form.${table} (id INT PRIMARY KEY, value INT NOT NULL);
                    REPLACE INTO form.${table} VALUES (1, 1), (2, 2), (3, 3)`,
                );
            }
        },
        async strike(scene) {
            const program = programOf(scene);
            scene.hit();
            for (const kind of Object.keys(UNLOGGED) as Unlogged[]) {
                const { make, named, ...rest } = UNLOGGED[kind];
                undo = rest.undo;
                await pastTheLog(scene.system, make);
                const began = Date.now();
                const seconds = (): string => ((Date.now() - began) / 1000).toFixed(0);
                const found = await waitFor(
                    `\`make status\` to name unlogged ${kind}`,
                    FOUND_SECONDS[kind],
                    async () => (await program.problems()).find((each) => named.test(each)) ?? false,
                    { pauseMs: POLL_MS },
                ).catch(() => undefined);
                if (found === undefined) {
                    scene.wrong.push(
                        `\`make status\` did not name unlogged ${kind} within ${FOUND_SECONDS[kind]} s`,
                    );
                } else {
                    scene.notes.push(
                        `unlogged ${kind}: named by \`make status\` after ${seconds()} s ("${found}")`,
                    );
                }
                await pastTheLog(scene.system, undo);
                undo = undefined;
                await waitFor(`\`make status\` to be well after unlogged ${kind}`, 600, async () => {
                    const problems = (await program.problems()).filter((each) => named.test(each));
                    if (problems.length > 0) {
                        throw new Error(problems.join("; "));
                    }
                    return true;
                });
            }
        },
        async undo({ system }) {
            if (undo !== undefined) {
                await pastTheLog(system, undo);
            }
            await system.sql(
                "mysql-master-0",
                "DROP TABLE IF EXISTS form.fault_counted, form.fault_compared",
            );
        },
    };
};
