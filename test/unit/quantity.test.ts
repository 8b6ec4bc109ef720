import assert from "assert";

import { bufferPoolBytes } from "../../components/mysql";
import { quantityValue } from "../../components/quantity";

describe("a Kubernetes quantity", () => {
    const values: [string, number][] = [
        ["1", 1],
        ["500m", 0.5],
        ["1.5", 1.5],
        ["2k", 2000],
        ["128Mi", 128 * 2 ** 20],
        ["2Gi", 2 * 2 ** 30],
        ["1G", 1e9],
    ];
    for (const [text, value] of values) {
        it(`${text} is ${value}`, () => assert.strictEqual(quantityValue(text), value));
    }
    for (const text of ["", "two", "1e3", "-1", "1 Gi", "1gb"]) {
        it(`"${text}" is refused by name`, () =>
            assert.throws(
                () => quantityValue(text),
                (e: Error) => e.message.startsWith(`"${text}" is not`),
            ));
    }
});

describe("the buffer pool of MySQL", () => {
    const sizes: [string, number][] = [
        ["512Mi", 64],
        ["640Mi", 128],
        ["1Gi", 320],
        ["4Gi", 1856],
    ];
    for (const [limit, mebibytes] of sizes) {
        it(`is ${mebibytes} MiB for a limit of ${limit}`, () =>
            assert.strictEqual(bufferPoolBytes(limit), mebibytes * 2 ** 20));
    }
});
