/** What must hold after a fault: every acknowledged write is on the master and on every slave, and all pods are equal. */
import { mysqlReplicates } from "../support/checks";
import { waitFor } from "../support/docker";
import { System } from "../support/system";
import { Tally } from "./ledger";
import { LedgerName, LEDGERS, Load, redisKey, TABLE } from "./load";

/** Seconds that slaves may take to catch up after the writes have stopped. */
const CATCH_UP_SECONDS = 120;

/** The tally of the master, with the losses of the slave that lost the most. */
export interface Checked extends Tally {
    /** Acknowledged writes that are missing at the end, on the slave that lost the most. */
    readonly lostOnSlaves: number;
}

const redisPods = (system: System): string[] => ["redis-master-0", ...system.pods("redis-slave")];
const mysqlPods = (system: System): string[] => ["mysql-master-0", ...system.pods("mysql-slave")];

/** Creates the table that the load writes to, and removes what earlier runs wrote. */
export async function prepareLedgers(system: System): Promise<void> {
    const table = "run INT NOT NULL, number INT NOT NULL, PRIMARY KEY (run, number)";
    await system.sql("mysql-master-0", `CREATE TABLE IF NOT EXISTS form.${TABLE} (${table})`);
    await system.sql("mysql-master-0", `TRUNCATE TABLE form.${TABLE}`);
    for (const ledger of LEDGERS.filter((each) => each !== "mysql")) {
        await redisScript(system, "redis-master-0", 0, FORGET, `${ledger}:*`);
    }
}

/** Removes everything that the load wrote, so that a stack that stays in use is as before. */
export async function removeLedgers(system: System): Promise<void> {
    await prepareLedgers(system);
    await system.sql("mysql-master-0", `DROP TABLE form.${TABLE}`);
}

/** Compares the ledgers of a stopped load with every pod. */
export async function checkLedgers(system: System, load: Load): Promise<Record<LedgerName, Checked>> {
    const checked = {} as Record<LedgerName, Checked>;
    for (const name of LEDGERS) {
        const [master, ...slaves] = name === "mysql" ? mysqlPods(system) : redisPods(system);
        const tally = async (pod: string): Promise<Tally> =>
            load.ledgers[name].tally(await numbers(system, pod, name, load.run));
        const onMaster = await waitFor(`${master} to answer`, CATCH_UP_SECONDS, () => tally(master!));
        let lostOnSlaves = 0;
        for (const slave of slaves) {
            let lost: number | undefined;
            // A slave that lags has not lost anything.
            const caughtUp = waitFor(
                `the writes of ${name} to be on ${slave}`,
                CATCH_UP_SECONDS,
                async () => {
                    lost = (await tally(slave)).lost;
                    return lost <= onMaster.lost;
                },
            );
            await caughtUp.catch((error: unknown) => {
                if (lost === undefined) {
                    throw error;
                }
            });
            lostOnSlaves = Math.max(lostOnSlaves, lost ?? 0);
        }
        checked[name] = { ...onMaster, lostOnSlaves };
    }
    return checked;
}

async function numbers(system: System, pod: string, ledger: LedgerName, run: number): Promise<Set<number>> {
    const text =
        ledger === "mysql"
            ? await system.sql(pod, `SELECT number FROM form.${TABLE} WHERE run = ${run}`)
            : await redisScript(system, pod, 0, VALUES, redisKey(ledger, run, "*"));
    return new Set(text.split(/\s+/).filter(Boolean).map(Number));
}

/** Why the pods of a system are not equal; undefined if they are. */
export async function difference(system: System): Promise<string | undefined> {
    try {
        await mysqlReplicates(system);
        await equal("checksums of every MySQL table", mysqlPods(system), async (pod) => {
            const tables = (await system.sql("mysql-master-0", EVERY_TABLE)).split("\n").join(", ");
            return system.sql(pod, `CHECKSUM TABLE ${tables}`);
        });
        await equal("digests of every Redis key", redisPods(system), async (pod) => {
            const keyspace = await system.redis(pod, "INFO", "keyspace");
            const databases = [...keyspace.matchAll(/^db(\d+):/gm)].map(([, number]) => Number(number));
            const digests = databases.map(
                async (number) => `${number} ${await redisScript(system, pod, number, DIGEST)}`,
            );
            return (await Promise.all(digests)).join("\n");
        });
        return undefined;
    } catch (error) {
        return (error as Error).message.split("\n")[0];
    }
}

async function equal(
    what: string,
    pods: readonly string[],
    ask: (pod: string) => Promise<string>,
): Promise<void> {
    await waitFor(`equal ${what} on ${pods.join(", ")}`, CATCH_UP_SECONDS, async () => {
        const answers = await Promise.all(pods.map(ask));
        return answers.every((answer) => answer === answers[0]);
    });
}

/** Without the heartbeat, which changes every second. */
const EVERY_TABLE =
    "SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables WHERE table_type = 'BASE TABLE' " +
    "AND table_schema IN ('form', 'replication') AND table_name <> 'heartbeat' ORDER BY 1";

function redisScript(
    system: System,
    pod: string,
    database: number,
    script: string,
    argument = "*",
): Promise<string> {
    const command = script === FORGET ? "EVAL" : "EVAL_RO";
    return system.redis(pod, "-n", String(database), command, script, "0", argument);
}

/** Collects every matching key in `found`. */
const SCAN =
    "local found, cursor = {}, '0' repeat local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000) " +
    "cursor = page[1] for _, key in ipairs(page[2]) do found[#found + 1] = key end until cursor == '0' ";

const FORGET = `${SCAN} for _, key in ipairs(found) do redis.call('UNLINK', key) end return #found`;

const VALUES =
    `${SCAN} local values = {} for _, key in ipairs(found) do values[#values + 1] = redis.call('GET', key) or '' end ` +
    "return table.concat(values, ' ')";

/**
 * One hash over all keys and their values, independent of their order and their encoding in memory; without the
 * heartbeat's keys, which change every second.
 */
const DIGEST =
    `${SCAN} table.sort(found) local all = '' for _, key in ipairs(found) do if not string.find(key, '^heartbeat') and not string.find(key, '^~') then ` +
    "local kind = redis.call('TYPE', key).ok local value " +
    "if kind == 'string' then value = redis.call('GET', key) or '' " +
    "elseif kind == 'hash' then value = redis.call('HGETALL', key) table.sort(value) " +
    "elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1) " +
    "elseif kind == 'set' then value = redis.call('SMEMBERS', key) table.sort(value) " +
    "elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') " +
    "else value = redis.call('DUMP', key) end " +
    "if type(value) == 'table' then value = cjson.encode(value) end " +
    "all = redis.sha1hex(all .. key .. ' ' .. value) end end return all";
