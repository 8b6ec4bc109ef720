import assert from "assert";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { stackFile, stackNames } from "../../operations/stack-file";
import type { Graph, GraphResource } from "../../review/graph";
import { recordGraphs } from "../../review/record-graphs";
import "./stacks";

const ROOT = path.resolve(__dirname, "../..");

/** One resource that the program registers. */
export type Recorded = GraphResource & { readonly urn: string };

/** The stacks whose pod counts the tests know. */
export const STACKS = ["dev", "prod", "e2e", "kept"] as const;
export type Stack = (typeof STACKS)[number];

/** Every stack that has a file: the users' and the tests'. */
export function allStacks(): readonly string[] {
    return stackNames().sort();
}

/** The stacks that users deploy; each has a golden graph. */
export function usersStacks(): readonly string[] {
    return allStacks().filter((stack) => path.dirname(stackFile(stack)) === ROOT);
}

let recorded: ReadonlyMap<string, Graph> | undefined;

/** The graph of a stack that has a file in the project. All graphs are recorded once per test process. */
export function graphOf(stack: string): Graph {
    recorded ??= new Map(
        recordGraphs(allStacks().map((stack) => stackFile(stack))).map((graph) => [graph.stack, graph]),
    );
    return recorded.get(stack)!;
}

/** What the program of a stack registers. */
export function recordedStack(stack: string): readonly Recorded[] {
    return resourcesOf(graphOf(stack));
}

/** The resources of a graph, by URN. */
export function resourcesOf({ resources }: Graph): readonly Recorded[] {
    return Object.keys(resources)
        .sort()
        .map((urn) => ({ urn, ...resources[urn]! }));
}

/** What a stack registers after each of several changes to its file; recorded in one process, whose start takes most time. */
export function recordedChanges(
    stack: Stack,
    changes: readonly ((file: string) => string)[],
): readonly (readonly Recorded[])[] {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "changed-"));
    try {
        const committed = fs.readFileSync(stackFile(stack), "utf8");
        const files = changes.map((change, index) => {
            const file = path.join(folder, String(index), `Pulumi.${stack}.yaml`);
            fs.mkdirSync(path.dirname(file));
            fs.writeFileSync(file, change(committed));
            return file;
        });
        return recordGraphs(files).map(resourcesOf);
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
}

/** The same after one change. */
export function recordedChange(stack: Stack, change: (file: string) => string): readonly Recorded[] {
    return recordedChanges(stack, [change])[0]!;
}

/** Replaces words in a stack file, which must contain them. */
export function replacing(...replacements: [string, string][]): (file: string) => string {
    return (file) =>
        replacements.reduce((text, [from, to]) => {
            assert.ok(text.includes(from), from);
            return text.replaceAll(from, to);
        }, file);
}

/** What a stack registers with words in its file replaced. */
export function changed(stack: Stack, ...replacements: [string, string][]): readonly Recorded[] {
    return recordedChange(stack, replacing(...replacements));
}

let behindIngress: readonly Recorded[] | undefined;

/** What prod registers behind an ingress. */
export function prodBehindIngress(): readonly Recorded[] {
    behindIngress ??= changed(
        "prod",
        ["http://localhost:32002", "https://example.org"],
        [
            "{ type: NodePort, nodePort: 32002 }",
            "{ type: ClusterIP }\n  dabaweb:ingress: { className: nginx, host: example.org, tlsSecret: tls }",
        ],
    );
    return behindIngress;
}

/** The recorded resources of one type, by name. */
export function ofType(recorded: readonly Recorded[], type: string): Map<string, Recorded> {
    return new Map(recorded.filter((r) => r.type === type).map((r) => [r.name, r]));
}

/** Reads a nested input such as spec.template.spec; undefined if a step is missing. */
export function at<T>(recorded: Recorded | undefined, dotted: string): T {
    return dotted
        .split(".")
        .reduce<unknown>(
            (value, key) => (value as Record<string, unknown> | undefined)?.[key],
            recorded?.inputs,
        ) as T;
}
