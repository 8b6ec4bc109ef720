import * as fs from "fs";
import * as path from "path";

import type { Graph, GraphResource } from "../../review/graph";
import { recordGraphs } from "../../review/record-graphs";

const ROOT = path.resolve(__dirname, "../..");

/** One resource that the program registers. */
export type Recorded = GraphResource & { readonly urn: string };

/** The stacks whose numbers the tests know. */
export const STACKS = ["dev", "prod", "e2e", "kept"] as const;
export type Stack = (typeof STACKS)[number];

/** Stacks that only the tests deploy. */
const TEST_STACKS = ["e2e", "kept", "faults"];

/** Every stack that has a file in the project. */
export function allStacks(): readonly string[] {
    return fs
        .readdirSync(ROOT)
        .flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? [])
        .sort();
}

/** The stacks that somebody uses: those have a golden graph. */
export function usersStacks(): readonly string[] {
    return allStacks().filter((stack) => !TEST_STACKS.includes(stack));
}

let recorded: ReadonlyMap<string, Graph> | undefined;

/** The graph of a stack that has a file in the project. All of them are recorded once per test process. */
export function graphOf(stack: string): Graph {
    recorded ??= new Map(
        recordGraphs(allStacks().map((each) => `Pulumi.${each}.yaml`)).map((graph) => [graph.stack, graph]),
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

/** The recorded resources of one type, by name. */
export function ofType(recorded: readonly Recorded[], type: string): Map<string, Recorded> {
    return new Map(recorded.filter((r) => r.type === type).map((r) => [r.name, r]));
}

/** Reads a nested input such as spec.template.spec; undefined where a step is missing. */
export function at<T>(recorded: Recorded | undefined, dotted: string): T {
    return dotted
        .split(".")
        .reduce<unknown>(
            (value, key) => (value as Record<string, unknown> | undefined)?.[key],
            recorded?.inputs,
        ) as T;
}
