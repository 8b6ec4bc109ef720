/** The resource graph of a stack, which is stored in test/golden/<stack>.json. */
import * as fs from "fs";

import { z } from "zod";

/** Replaces every secret value. */
export const SECRET = "[secret]";

/** Replaces every value that is known only after an update, for example the digest of a pushed image. */
export const UNKNOWN = "[known after the update]";

/** The name that the provider generates for an object without one; the real one ends in random letters. */
export function generatedName(resource: string): string {
    return `${resource}-[generated]`;
}

const resource = z.strictObject({
    type: z.string(),
    name: z.string(),
    /** It exists only in Pulumi: it groups its children and creates nothing itself. */
    component: z.literal(true).optional(),
    /** URN of the component that it is part of. */
    parent: z.string().optional(),
    /** URN of its explicit provider; absent: the default provider of its package. */
    provider: z.string().optional(),
    /** URNs of everything that has to exist before it. */
    dependencies: z.array(z.string()),
    /** For each input that contains outputs of other resources, the URNs of those resources. */
    propertyDependencies: z.record(z.string(), z.array(z.string())),
    /** Pulumi's resource options, only those that are set. */
    options: z.record(z.string(), z.unknown()),
    inputs: z.record(z.string(), z.unknown()),
    /** Only for the stack itself: what other programs read from it. */
    outputs: z.record(z.string(), z.unknown()).optional(),
});

const graph = z.strictObject({ stack: z.string(), resources: z.record(z.string(), resource) });

/** One resource as the program registers it. */
export type GraphResource = Readonly<z.infer<typeof resource>>;

/** Everything that the program of a stack registers, by URN. */
export type Graph = Readonly<z.infer<typeof graph>>;

/** The text of a graph's file: sorted, so that equal graphs have equal texts. */
export function graphText(value: Graph): string {
    return `${JSON.stringify(sorted(value), null, 2)}\n`;
}

/**
 * Reads a graph from a file.
 *
 * @throws Error if there is no such file or it does not contain a graph.
 */
export function readGraph(file: string): Graph {
    if (!fs.existsSync(file)) {
        throw new Error(`there is no file ${file}; name a recorded graph such as test/golden/dev.json`);
    }
    return parseGraph(fs.readFileSync(file, "utf8"), file);
}

/**
 * Reads a graph from the text of its file.
 *
 * @param source the name of the source, for the message.
 * @throws Error if it is not a graph.
 */
export function parseGraph(text: string, source: string): Graph {
    const advice = "it must be a graph written by `make golden`";
    try {
        const result = graph.safeParse(JSON.parse(text));
        if (result.success) {
            return result.data;
        }
        throw new Error(`${source} is not valid: ${z.prettifyError(result.error)}; ${advice}`);
    } catch (error) {
        throw error instanceof SyntaxError ? new Error(`${source} is not JSON; ${advice}`) : error;
    }
}

function sorted(value: unknown): unknown {
    if (Array.isArray(value)) {
        return value.map(sorted);
    }
    if (value === null || typeof value !== "object") {
        return value;
    }
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}
