import assert from "assert";

import fc from "fast-check";

import {
    intakeOf,
    parallelWorkers,
    redoLogBytes,
    RESERVED_CONNECTIONS,
    sessionCeilings,
    sizesOf,
} from "../../components/mysql-sizes";
import { quantityValue } from "../../components/quantity";
import { replay } from "../support/replay";
import { callFunction } from "../support/shell-functions";

const MIB = 2 ** 20;
/** Memory limits from below what a stack file accepts to what no machine has. */
const limits = fc
    .oneof(fc.integer({ min: 512, max: 8192 }), fc.integer({ min: 512, max: 4 * MIB }))
    .map((mib) => `${mib}Mi`);

describe("the memory of a MySQL server", () => {
    // limit, connections, buffer pool, workspace, largest row, packet
    const table: [string, number, number, number, number, number][] = [
        ["512Mi", 80, 64, 120, 20, 4],
        ["640Mi", 100, 128, 174, 29, 5],
        ["1Gi", 160, 384, 272, 45, 9],
        ["4Gi", 640, 2432, 1056, 176, 35],
        ["64Gi", 2000, 47_744, 16_504, 1024, 64],
    ];
    for (const [limit, connections, pool, workspace, row, packet] of table) {
        it(`with a limit of ${limit} is divided as docs/memory.md says`, () => {
            const sizes = sizesOf(limit);
            const { maxPacket } = intakeOf([{ ...sizes, storage: "8Gi" }]);
            const seen = [sizes.bufferPool, sizes.workspace, sizes.largestRow, maxPacket].map((bytes) =>
                Math.floor(bytes / MIB),
            );
            assert.deepStrictEqual(
                [sizes.maxConnections, ...seen],
                [connections, pool, workspace, row, packet],
            );
        });
    }

    it("is never given twice, whatever the limit is", () =>
        fc.assert(
            fc.property(limits, (limit) => {
                const { companions, engine, connections, bufferPool, workspace } = sizesOf(limit);
                const parts = [companions, engine, connections, bufferPool, workspace];
                assert.ok(
                    parts.every((part) => part > 0),
                    parts.join(),
                );
                assert.ok(parts.reduce((sum, part) => sum + part, 0) <= quantityValue(limit));
            }),
            replay(),
        ));

    it("has room for the largest row in six copies, and for its update", () =>
        fc.assert(
            fc.property(limits, limits, (master, slave) => {
                const servers = [master, slave].map((limit) => ({ ...sizesOf(limit), storage: "8Gi" }));
                const { largestRow, maxPacket } = intakeOf(servers);
                servers.forEach(({ workspace }) => assert.ok(6 * largestRow <= workspace));
                assert.ok(2 * maxPacket <= largestRow);
                assert.ok(maxPacket >= 2 * MIB);
            }),
            replay(),
        ));

    it("lets the master accept no more than the smallest server can apply", () => {
        const small = { ...sizesOf("640Mi"), storage: "8Gi" };
        const large = { ...sizesOf("16Gi"), storage: "80Gi" };
        assert.deepStrictEqual(intakeOf([large, small]), intakeOf([small]));
        assert.deepStrictEqual(intakeOf([small, large]), intakeOf([small]));
    });

    it("keeps the packet at what a row may have, even if larger transactions are accepted", () =>
        assert.strictEqual(
            intakeOf([{ ...sizesOf("640Mi"), storage: "8Gi" }], { maxTransaction: "1Gi" }).maxPacket,
            5 * MIB,
        ));

    it("lets a transaction take a quarter of the smallest volume, within what MySQL can log", () => {
        const [small, large] = ["1Gi", "100Gi"].map((storage) => ({ ...sizesOf("640Mi"), storage }));
        assert.strictEqual(intakeOf([large!, small!]).maxTransaction, 256 * MIB);
        assert.strictEqual(intakeOf([large!]).maxTransaction, 4096 * MIB);
        assert.strictEqual(intakeOf([{ ...small!, storage: "128Mi" }]).maxTransaction, 64 * MIB);
    });

    it("gives InnoDB a buffer pool that it does not round up, whatever is asked for", () =>
        fc.assert(
            fc.property(limits, fc.integer({ min: 64, max: 100_000 }), (limit, asked) => {
                for (const { bufferPool } of [sizesOf(limit), sizesOf(limit, { bufferPool: `${asked}Mi` })]) {
                    assert.ok(bufferPool < 128 * MIB || bufferPool % (128 * MIB) === 0, String(bufferPool));
                }
            }),
            replay(),
        ));

    it("gives more connections and a larger buffer pool for a higher limit", () =>
        fc.assert(
            fc.property(limits, limits, (one, other) => {
                const [less, more] = [one, other]
                    .sort((a, b) => quantityValue(a) - quantityValue(b))
                    .map((each) => sizesOf(each));
                (["maxConnections", "bufferPool"] as const).forEach((part) =>
                    assert.ok(less![part] <= more![part], part),
                );
            }),
            replay(),
        ));

    it("reserves the connections that the master's accounts have beside the application's", () => {
        const { maxConnections } = sizesOf("640Mi");
        const { stdout } = callFunction("images/mysql/decide.sh", "decide_connections", [
            String(maxConnections),
        ]);
        assert.strictEqual(Number(stdout), maxConnections - RESERVED_CONNECTIONS);
    });

    it("lets no session set a buffer to more than a tenth of the workspace", () =>
        assert.deepStrictEqual([...new Set(Object.values(sessionCeilings(sizesOf("640Mi"))))], [17 * MIB]));
});

describe("the redo log of a MySQL server", () => {
    const table: [string, string, number][] = [
        ["1Gi", "640Mi", 102],
        ["20Gi", "1Gi", 384],
        ["20Gi", "16Gi", 2048],
        ["2Ti", "64Gi", 4096],
        ["1Gi", "512Mi", 96],
    ];
    for (const [storage, memory, mebibytes] of table) {
        it(`is ${mebibytes} MiB on a volume of ${storage} with a memory limit of ${memory}`, () =>
            assert.strictEqual(redoLogBytes(storage, sizesOf(memory)), mebibytes * MIB));
    }
});

describe("the parallel workers of a MySQL slave", () => {
    const table: [string, number][] = [
        ["100m", 2],
        ["2", 4],
        ["2500m", 5],
        ["64", 16],
    ];
    for (const [cpu, workers] of table) {
        it(`are ${workers} with ${cpu} cores`, () => {
            const amounts = { cpu, memory: "1Gi" };
            assert.strictEqual(parallelWorkers({ requests: amounts, limits: amounts }), workers);
        });
    }
});
