/**
 * Steady writes and reads from outside the cluster, through NodePort Services that exist only for this: three ledgers
 * (Redis SET, Redis SET + WAIT 1, MySQL INSERT) and readers of both systems and of the page.
 */
import * as path from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import Redis from "ioredis";
import { Connection, createConnection } from "mysql2/promise";

import { Ledger, secondsWithout } from "./ledger";

export const LEDGERS = ["redisSet", "redisWait", "mysql"] as const;
export type LedgerName = (typeof LEDGERS)[number];
const READERS = ["redis", "mysql", "page"] as const;
export type ReaderName = (typeof READERS)[number];

/** Where the load enters, and with which credentials. */
export interface Doors {
    readonly host: string;
    readonly ports: Readonly<Record<"redis-master" | "redis-slave" | "mysql-master" | "mysql-slave", number>>;
    readonly redisPassword: string;
    readonly mysqlPassword: string;
    readonly page: string;
}

/** Every run has its own rows and keys. */
export const TABLE = "fault_ledger";
export const redisKey = (ledger: LedgerName, run: number, number: number | string): string =>
    `${ledger}:${run}:${number}`;

/** Clients per ledger, each with its own connection. */
const CLIENTS = 4;
const WRITE_EVERY_MS = 100;
/** The first client barely pauses, so that a fault hits while writes are in flight. */
const HASTE_MS = 20;
const READ_EVERY_MS = 200;
/** How long a client waits for a connection and for an answer. A semi-synchronous commit may take a while. */
const CONNECT_MS = 2000;
const ANSWER_MS = 5000;
const WAIT_MS = 3000;
/** A reader reconnects after this time, as dabaweb does: a Service chooses the pod per connection. */
export const READER_AGE_SECONDS = 30;

/** One client's connection: opened when it is needed, closed at the first error. */
interface Client {
    /** Connects if necessary. */
    open(): Promise<void>;
    /** Performs its one action; throws if it fails or the answer is not a success. */
    act(number: number): Promise<void>;
    close(): void;
}

function redisClient(
    doors: Doors,
    door: "redis-master" | "redis-slave",
    act: (redis: Redis, number: number) => Promise<void>,
): Client {
    let redis: Redis | undefined;
    const close = (): void => {
        redis?.disconnect();
        redis = undefined;
    };
    return {
        async open() {
            if (redis !== undefined) {
                return;
            }
            const fresh = new Redis({
                host: doors.host,
                port: doors.ports[door],
                username: "dabaweb",
                password: doors.redisPassword,
                lazyConnect: true,
                retryStrategy: () => null,
                enableOfflineQueue: false,
                enableReadyCheck: false,
                maxRetriesPerRequest: 0,
                connectTimeout: CONNECT_MS,
                commandTimeout: ANSWER_MS,
            });
            // Every failure already reaches the caller that waits for an answer.
            fresh.on("error", () => undefined);
            redis = fresh;
            await fresh.connect();
        },
        act: (number) => act(redis!, number),
        close,
    };
}

/** A connection of the application's account. */
export async function connectMysql(
    { host, ports, mysqlPassword }: Doors,
    door: "mysql-master" | "mysql-slave",
): Promise<Connection> {
    const connection = await createConnection({
        host,
        port: ports[door],
        user: "dabaweb",
        password: mysqlPassword,
        database: "form",
        connectTimeout: CONNECT_MS,
        // The server's certificate is self-signed.
        ssl: { rejectUnauthorized: false },
    });
    connection.on("error", () => undefined);
    return connection;
}

function mysqlClient(
    doors: Doors,
    door: "mysql-master" | "mysql-slave",
    act: (connection: Connection, number: number) => Promise<void>,
): Client {
    let connection: Connection | undefined;
    return {
        async open() {
            connection ??= await connectMysql(doors, door);
        },
        act: (number) => act(connection!, number),
        close() {
            connection?.destroy();
            connection = undefined;
        },
    };
}

/** The load of one run of one row. */
export class Load {
    readonly ledgers: Readonly<Record<LedgerName, Ledger>>;
    private readonly reads: Record<ReaderName, number[]> = { redis: [], mysql: [], page: [] };
    private readonly workers: Promise<void>[] = [];
    /** How often a client got each error, by its code. */
    readonly errors = new Map<string, number>();
    private stopped = false;
    private end = 0;

    /**
     * @param run unique number of the run on this data
     * @param folder gets one file per ledger
     */
    constructor(
        readonly doors: Doors,
        readonly run: number,
        folder?: string,
    ) {
        const ledger = (name: LedgerName) =>
            new Ledger(folder === undefined ? undefined : path.join(folder, `${run}-${name}`));
        this.ledgers = {
            redisSet: ledger("redisSet"),
            redisWait: ledger("redisWait"),
            mysql: ledger("mysql"),
        };
    }

    start(): void {
        for (let client = 0; client < CLIENTS; client++) {
            const every = client === 0 ? HASTE_MS : WRITE_EVERY_MS;
            this.write(this.ledgers.redisSet, every, this.redisWriter("redisSet"));
            this.write(this.ledgers.redisWait, every, this.redisWriter("redisWait"));
            this.write(this.ledgers.mysql, every, this.mysqlWriter());
        }
        this.read("redis", this.redisReader());
        this.read("mysql", this.mysqlReader());
        this.read("page", this.pageReader());
    }

    /** Adds clients that write to MySQL until the load is stopped, and try again whenever they get no answer. */
    crowd(clients: number): void {
        for (let client = 0; client < clients; client++) {
            this.write(this.ledgers.mysql, WRITE_EVERY_MS, this.mysqlWriter());
        }
    }

    /** Stops and waits for the last answers; nothing is written afterwards. */
    async stop(): Promise<void> {
        if (!this.stopped) {
            this.stopped = true;
            // Not the time when the last client stops waiting: by then, the others have sent nothing for a while.
            this.end = Date.now();
            await Promise.all(this.workers);
            Object.values(this.ledgers).forEach((ledger) => ledger.close());
        }
    }

    /** The number of acknowledged writes in the ledger with the fewest. */
    get fewest(): number {
        return Math.min(...LEDGERS.map((name) => this.ledgers[name].times.length));
    }

    /** Ledgers and readers without an answer since this moment. */
    silentSince(moment: number): string[] {
        const answered = (times: readonly number[]): boolean => times.some((time) => time > moment);
        return [
            ...LEDGERS.filter((name) => !answered(this.ledgers[name].times)).map(
                (name) => `writes of ${name}`,
            ),
            ...READERS.filter((name) => !answered(this.reads[name])).map((name) => `reads of ${name}`),
        ];
    }

    /** Seconds from the fault to the first write and read after the longest silence. */
    seconds(fault: number): {
        readonly write: Record<LedgerName, number | undefined>;
        readonly read: Record<ReaderName, number | undefined>;
    } {
        const of = (times: readonly number[]) => secondsWithout(times, fault, this.end || Date.now());
        const { ledgers, reads } = this;
        return {
            write: {
                redisSet: of(ledgers.redisSet.times),
                redisWait: of(ledgers.redisWait.times),
                mysql: of(ledgers.mysql.times),
            },
            read: { redis: of(reads.redis), mysql: of(reads.mysql), page: of(reads.page) },
        };
    }

    private write(ledger: Ledger, every: number, client: Client): void {
        this.repeat(client, every, async () => {
            const number = ledger.send();
            await client.act(number);
            ledger.acknowledge(number);
        });
    }

    private read(name: ReaderName, client: Client): void {
        let since = Date.now();
        this.repeat(client, READ_EVERY_MS, async () => {
            await client.act(0);
            this.reads[name].push(Date.now());
            if (Date.now() - since > READER_AGE_SECONDS * 1000) {
                client.close();
                since = Date.now();
            }
        });
    }

    private repeat(client: Client, every: number, action: () => Promise<void>): void {
        const work = async (): Promise<void> => {
            while (!this.stopped) {
                const began = Date.now();
                try {
                    await within(CONNECT_MS + 500, client.open());
                    await within(ANSWER_MS + 500, action());
                } catch (error) {
                    const code = (error as { code?: string }).code ?? "none";
                    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
                    client.close();
                    await pause(100);
                }
                await pause(Math.max(0, began + every - Date.now()));
            }
            client.close();
        };
        this.workers.push(work());
    }

    private redisWriter(ledger: "redisSet" | "redisWait"): Client {
        return redisClient(this.doors, "redis-master", async (redis, number) => {
            await redis.set(redisKey(ledger, this.run, number), number);
            if (ledger === "redisWait" && (await redis.wait(1, WAIT_MS)) < 1) {
                throw new Error("no slave confirmed the write");
            }
        });
    }

    private mysqlWriter(): Client {
        return mysqlClient(this.doors, "mysql-master", async (connection, number) => {
            const sql = `INSERT INTO ${TABLE} (run, number) VALUES (${this.run}, ${number})`;
            await connection.query({ sql, timeout: ANSWER_MS });
        });
    }

    private redisReader(): Client {
        return redisClient(this.doors, "redis-slave", async (redis) => {
            await redis.get(redisKey("redisSet", this.run, 1));
        });
    }

    private mysqlReader(): Client {
        return mysqlClient(this.doors, "mysql-slave", async (connection) => {
            const sql = `SELECT number FROM ${TABLE} WHERE run = ${this.run} AND number = 1`;
            await connection.query({ sql, timeout: ANSWER_MS });
        });
    }

    private pageReader(): Client {
        return {
            open: () => Promise.resolve(),
            act: async () => {
                const answer = await fetch(this.doors.page, { signal: AbortSignal.timeout(ANSWER_MS) });
                await answer.text();
                if (!answer.ok) {
                    throw new Error(`the page answered ${answer.status}`);
                }
            },
            close: () => undefined,
        };
    }
}

/** Rejects when the time is up, whatever the promise does. */
async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
    const expired = new AbortController();
    try {
        return await Promise.race([
            promise,
            pause(milliseconds, undefined, { signal: expired.signal }).then(() => {
                throw new Error(`no answer within ${milliseconds} ms`);
            }),
        ]);
    } finally {
        expired.abort();
    }
}
