/**
 * Runs the whole program under mocks for a number of generated configurations, and fails with the seed of the first one
 * whose graph is neither as configured nor refused by name:
 *
 *     node -r ts-node/register/transpile-only test/graphs.ts 300
 *
 * It is a separate process, because Pulumi's runtime is global, and because this file answers what the preflight asks.
 */
import assert from "assert";
import { setImmediate } from "timers/promises";

import * as pulumi from "@pulumi/pulumi";
import fc from "fast-check";

import { parseConfig, parseValue, PROJECT } from "../config";
import type { Graph, GraphResource } from "../review/graph";
import { handedOver, record } from "../review/recorder";
import { anyConfig } from "./support/any-configs";
import { isClear } from "./support/config-promises";
import { isAsConfigured } from "./support/graph-promises";
import { isReplay, replay } from "./support/replay";
import type { Raw } from "./support/valid-configs";

const STACK = "test";

// Otherwise most of the time is spent on the stack traces that Pulumi takes for each of its promises.
Error.stackTraceLimit = 0;
// No generated registry is asked, no docker runs, and there are no warnings about what a preview could not check.
globalThis.fetch = () => Promise.resolve(new Response(null));
process.env.PATH = "";
process.env.KUBECONFIG = "/nonexistent/kubeconfig";
pulumi.log.warn = () => Promise.resolve();

/** Failures that nothing awaited: those of values that are derived from others. */
const strays: unknown[] = [];
// A refusal is thrown where it is awaited, and once more in place of Pulumi's stack.
process.on("unhandledRejection", (error) => pulumi.RunError.isInstance(error) || strays.push(error));

/** The graph, or the message that refuses the configuration; any other error is a bug in the program. */
async function outcome(raw: Raw): Promise<Graph | string> {
    const config = Object.fromEntries(
        Object.entries(raw).map(([key, value]) => [`${PROJECT}:${key}`, value]),
    );
    const resources: Record<string, GraphResource> = {};
    const result = await record(config, STACK, resources).catch((error: unknown) => {
        if (pulumi.RunError.isInstance(error)) {
            return error.message;
        }
        throw error;
    });
    // Node reports unhandled rejections only when nothing else is to be done immediately.
    await setImmediate();
    assert.deepStrictEqual(strays.splice(0), []);
    if (typeof result === "string") {
        const others = Object.values(resources).filter(({ type }) => type !== "pulumi:pulumi:Stack");
        assert.deepStrictEqual(others, [], "something was registered");
    }
    return result;
}

/** The values as the program reads them: a text such as 2024 stays a text. */
function asRead(raw: Raw): Raw {
    const texts = Object.entries(handedOver(raw)).map(([key, text]) => [key, parseValue(key, text)]);
    return Object.fromEntries(texts) as Raw;
}

async function main(runs: number): Promise<void> {
    const seen = { graphs: 0, refused: 0 };
    const property = fc.asyncProperty(anyConfig, async ({ kind, raw }) => {
        const result = await outcome(raw);
        if (typeof result === "string") {
            assert.notStrictEqual(kind, "valid", result);
            isClear(result, asRead(raw));
            seen.refused++;
        } else {
            isAsConfigured(parseConfig(asRead(raw), STACK), result);
            seen.graphs++;
        }
    });
    await fc.assert(property, { numRuns: runs, ...replay() });
    // Otherwise the generator tests only one side.
    assert.ok(isReplay() || Math.min(seen.graphs, seen.refused) > runs / 5, JSON.stringify(seen));
    process.stdout.write(`${seen.graphs} graphs as configured, ${seen.refused} configurations refused\n`);
}

main(Number(process.argv[2])).catch((error: Error & { cause?: Error }) => {
    process.stderr.write(`${error.message}\n${error.cause?.message ?? ""}\n`);
    process.exitCode = 1;
});
