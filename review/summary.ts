/** What a preview found, in words: on the terminal, and in the folded parts of a comment. */
import { styleText } from "util";

import type { Outcome } from "./outcome";
import { report } from "./report";

/** The first line of a preview's output. */
export function firstLine({ stack, mode, why }: Pick<Outcome, "stack" | "mode" | "why">): string {
    return `Preview of stack ${stack}, ${mode}: ${why}.`;
}

/** Whether the API server had a say in it, in one line. */
export function clusterLine({ cluster }: Outcome): string {
    return {
        answered:
            "The cluster answered: the provider tried every object whose inputs are known in a server-side dry run.",
        unreachable: "The cluster was unreachable: nothing was validated by its API server.",
        "not asked": "No cluster was asked: nothing was validated by an API server.",
    }[cluster];
}

/** Everything that the program registers, a line per type. */
export function resourceLines(resources: readonly string[]): readonly string[] {
    const byType = new Map<string, string[]>();
    for (const resource of resources) {
        const [type = "", ...name] = resource.split(" ");
        byType.set(type, [...(byType.get(type) ?? []), name.join(" ")]);
    }
    return [...byType].map(([type, names]) => `  ${type}: ${names.join(", ")}`);
}

/** How many resources there are, and how many of them more than the program has accepted. */
export function resourceCount({ mode, resources, planned }: Outcome): string {
    return mode === "keyless"
        ? `${resources.length} resources, of which the engine and the providers planned ${planned} against a state ` +
              "that was thrown away; the others are the images' and ask Docker."
        : `${resources.length} resources.`;
}

/** What differs from what, the dangers first. */
export function differenceText({ comparison, comparedWith }: Outcome): string {
    return comparison === undefined
        ? "Compared with nothing."
        : `Compared with ${comparedWith}:\n${report(comparison).trimEnd()}`;
}

/** Everything that follows the first line; dangers are red where the terminal has colours. */
export function terminalText(outcome: Outcome): string {
    const red = (line: string) => styleText("red", line, { stream: process.stdout });
    const difference = differenceText(outcome)
        .split("\n")
        .map((line) => (/^(DANGER|!!)/.test(line) ? red(line) : line));
    return [
        // Against state, Pulumi's own display has named them.
        ...(outcome.mode === "keyless" ? [resourceCount(outcome), ...resourceLines(outcome.resources)] : []),
        clusterLine(outcome),
        ...difference,
        ...outcome.warnings.map((warning) => `warning: ${warning}`),
        ...outcome.errors.map((error) => red(`error: ${error}`)),
        "",
    ].join("\n");
}
