import assert from "assert";

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
