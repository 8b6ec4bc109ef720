/** How much of everything a MySQL server may have, from its resources. docs/memory.md is generated from these formulas. */
import type { Resources } from "./pod";
import { quantityValue } from "./quantity";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/**
 * Connections that applications leave free, for slaves, their questions and clones, the operator and the companion: the sum
 * in images/mysql/decide.sh, by which a master limits the application's account.
 */
export const RESERVED_CONNECTIONS = 53;

/** Beside the server: its companion, clients of the probes, and what the kernel keeps for the pod. */
const COMPANIONS = 64 * MIB;
/** The server without its buffer pool and connections: code, dictionary, performance schema, replication. Measured: 180 to 210 MiB. */
const ENGINE = 224 * MIB;
/** An open connection that has run a few statements with sorts. Measured: 0.48 MiB. */
const CONNECTION = MIB / 2;
/** For statements, sorts, rows on their way to the slaves, and the log of one transaction. */
const WORKSPACE_SHARE = 0.25;
const MINIMUM_BUFFER_POOL = 64 * MIB;
/** innodb_buffer_pool_chunk_size: InnoDB rounds a larger pool up to a multiple of it, without a word. */
const POOL_CHUNK = 128 * MIB;
/** Clients that send the largest statement at the same time. More of them get an error, or the server is killed. */
const CLIENTS_AT_ONCE = 5;
/**
 * How often a slave holds the changes of one row at once: received, read from the relay log, applied, and logged again.
 * Measured: 5 to 6 times on a slave, 4 to 6 times on the master.
 */
const COPIES_OF_A_ROW = 6;
/** The largest event that a binary log can hold, and so the largest row that can be replicated. */
const LARGEST_EVENT = GIB;
/** MySQL's own default of max_allowed_packet. A key raises it. */
const DEFAULT_PACKET = 64 * MIB;

/** What a user can set for the server of a master or of the slaves. */
export interface MySQLTuning {
    /** max_connections. Default: one per 6.4 MiB of the memory limit, 80 to 2000. */
    readonly maxConnections?: number;
    /** Bytes of InnoDB's buffer pool. Default: the memory limit without what {@link sizesOf} needs for everything else. */
    readonly bufferPool?: string;
    /** Bytes of InnoDB's redo log. Default: a tenth of the volume, at most the buffer pool and 4 GiB, at least 96 MiB. */
    readonly redoLog?: string;
    /** Days that binary logs are kept. Default: 7. */
    readonly binlogDays?: number;
}

/** What a user can set for what a master accepts from its clients. */
export interface MySQLIntake {
    /**
     * max_allowed_packet, in bytes: the largest statement and the largest value. Default: a fifth of the largest row that the
     * server with the least memory can apply, because several clients may send one at a time; 2 to 64 MiB.
     */
    readonly maxPacket?: string;
    /**
     * max_binlog_cache_size, in bytes: the largest transaction, measured by the row changes in its binary log. Its rows pass
     * through the servers' memory one by one, but all of it lies in a temporary file and in the logs of every server. Default:
     * a quarter of the smallest volume, 64 MiB to 4 GiB, which is the most that MySQL can write without a gap.
     */
    readonly maxTransaction?: string;
}

/** The tuning of slaves has one more setting. */
export interface MySQLSlaveTuning extends MySQLTuning {
    /** replica_parallel_workers: how many transactions a slave applies side by side. Default: two per core, 2 to 16. */
    readonly parallelWorkers?: number;
}

/** The parts of a server's memory, in bytes. Their sum does not exceed the limit. */
export interface Sizes {
    readonly companions: number;
    readonly engine: number;
    readonly connections: number;
    readonly bufferPool: number;
    readonly workspace: number;
    readonly maxConnections: number;
    /** The changes of one row that the workspace has room for. */
    readonly largestRow: number;
}

/** How a memory limit is divided. */
export function sizesOf(memoryLimit: string, { maxConnections, bufferPool }: MySQLTuning = {}): Sizes {
    const limit = quantityValue(memoryLimit);
    const count = maxConnections ?? clamp(Math.floor(limit / (6.4 * MIB)), 80, 2000);
    const connections = count * CONNECTION;
    const shared = limit - COMPANIONS - ENGINE - connections;
    const pool =
        bufferPool === undefined
            ? Math.max(wholeChunks(shared - limit * WORKSPACE_SHARE), MINIMUM_BUFFER_POOL)
            : wholeChunks(quantityValue(bufferPool));
    const workspace = shared - pool;
    return {
        companions: COMPANIONS,
        engine: ENGINE,
        connections,
        bufferPool: pool,
        workspace,
        maxConnections: count,
        largestRow: Math.min(wholeMib(workspace / COPIES_OF_A_ROW), LARGEST_EVENT),
    };
}

/**
 * What a master accepts from its clients, in bytes: what the server with the least room can apply.
 *
 * @param servers the master and the slaves; `storage` is the size of a volume.
 */
export function intakeOf(
    servers: readonly (Sizes & { readonly storage: string })[],
    { maxPacket, maxTransaction }: MySQLIntake = {},
): { largestRow: number; maxPacket: number; maxTransaction: number } {
    const largestRow = Math.min(...servers.map((each) => each.largestRow));
    const volume = Math.min(...servers.map((each) => quantityValue(each.storage)));
    const transaction =
        maxTransaction === undefined
            ? clamp(wholeMib(volume / 4), 64 * MIB, 4 * GIB)
            : wholeMib(quantityValue(maxTransaction));
    return {
        largestRow,
        maxTransaction: transaction,
        maxPacket:
            maxPacket === undefined
                ? clamp(
                      wholeMib(Math.min(largestRow, transaction) / CLIENTS_AT_ONCE),
                      2 * MIB,
                      DEFAULT_PACKET,
                  )
                : wholeMib(quantityValue(maxPacket)),
    };
}

/** Bytes of the redo log: large enough to write pages late, small enough for the volume and a quick recovery. */
export function redoLogBytes(storage: string, { bufferPool }: Sizes, { redoLog }: MySQLTuning = {}): number {
    return redoLog === undefined
        ? clamp(Math.min(wholeMib(quantityValue(storage) / 10), bufferPool), 96 * MIB, 4 * GIB)
        : wholeMib(quantityValue(redoLog));
}

/** How many transactions a slave applies side by side. */
export function parallelWorkers(
    { limits }: Resources,
    { parallelWorkers: given }: MySQLSlaveTuning = {},
): number {
    return given ?? clamp(Math.ceil(quantityValue(limits.cpu) * 2), 2, 16);
}

/** Options of mysqld that bound what one session may ask for, whatever it sets its variables to. */
export function sessionCeilings({ workspace }: Sizes): Record<string, number> {
    const most = wholeMib(workspace / 10);
    return {
        maximum_sort_buffer_size: most,
        maximum_join_buffer_size: most,
        maximum_read_buffer_size: most,
        maximum_read_rnd_buffer_size: most,
        maximum_tmp_table_size: most,
        maximum_max_heap_table_size: most,
        maximum_range_optimizer_max_mem_size: most,
        maximum_group_concat_max_len: most,
    };
}

/** What InnoDB makes of a size of the buffer pool, but rounded down. */
function wholeChunks(bytes: number): number {
    return bytes < POOL_CHUNK ? wholeMib(bytes) : bytes - (bytes % POOL_CHUNK);
}

function wholeMib(bytes: number): number {
    return bytes - (bytes % MIB);
}

function clamp(value: number, least: number, most: number): number {
    return Math.min(Math.max(value, least), most);
}
