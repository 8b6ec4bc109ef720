import assert from "assert";

import * as pulumi from "@pulumi/pulumi";
import fc from "fast-check";

import { parseConfig, StackConfig } from "../../config";
import { isClear, keepsPromises } from "../support/config-promises";
import { anyConfig } from "../support/any-configs";
import { times } from "../support/long";
import { isReplay, replay } from "../support/replay";
import { Raw } from "../support/valid-configs";

const CONFIGS = times(2000, 10_000);

/** The smallest configuration that is accepted. */
const BARE: Raw = {
    kubeContext: "team",
    namespace: { name: "team", create: false },
    registry: { address: "registry.example.com" },
    publicUrl: "https://example.com",
    service: { type: "ClusterIP" },
};

/** The configuration, or the message that refuses it; any other error fails the test. */
function parsed(raw: Raw): StackConfig | string {
    try {
        return parseConfig(raw, "test");
    } catch (error) {
        if (pulumi.RunError.isInstance(error)) {
            return error.message;
        }
        throw error;
    }
}

describe("any configuration at all", () => {
    it(`is accepted and does what the docs say, or is refused by name (${CONFIGS} of them)`, () => {
        const seen = { accepted: 0, refused: 0 };
        fc.assert(
            fc.property(anyConfig, ({ kind, raw, touched }) => {
                const result = parsed(raw);
                if (typeof result === "string") {
                    assert.notStrictEqual(kind, "valid", result);
                    isClear(result, raw, touched);
                    seen.refused++;
                } else {
                    keepsPromises(result, raw);
                    seen.accepted++;
                }
            }),
            { numRuns: CONFIGS, ...replay() },
        );
        // Otherwise the generator tests only one side.
        assert.ok(isReplay() || Math.min(seen.accepted, seen.refused) > CONFIGS / 5, JSON.stringify(seen));
    });

    it("is judged by its content even if a label has the name of a method", () => {
        const nodeSelector = { toString: "a", valueOf: "b", constructor: "c" };
        const raw = { ...BARE, "redis-master": { nodeSelector } };
        const config = parseConfig(raw, "test");
        keepsPromises(config, raw);
        assert.throws(
            () => keepsPromises({ ...config, platform: nodeSelector as unknown as "linux/amd64" }, raw),
            /platform is \{ toString: 'a'/,
        );
    });
});
