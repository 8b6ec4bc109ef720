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
        // Whether the login may write, the provider does not tell: without that right it falls back on its own comparison.
        answered:
            "The cluster answered: in a server-side dry run the provider tried every planned object that the login may " +
            "write, whose namespace is there and whose inputs are known.",
        unreachable: "The cluster was unreachable: nothing was validated by its API server.",
        "not asked": "No cluster was asked about any object: nothing was validated by an API server.",
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

/** How many resources there are, and whether more than the program has accepted them. */
export function resourceCount({ mode, resources, planned, errors }: Outcome): string {
    const count = `${resources.length} resources`;
    if (mode !== "keyless" || errors.length > 0) {
        return `${count}.`;
    }
    const left = resources.length - planned;
    return (
        `${count}: the engine and the providers planned ${planned} of them against a state that was thrown away` +
        (left > 0 ? `, and the ${left} of the images, which ask Docker, were left out.` : ".")
    );
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
    const { mode, resources, warnings, errors } = outcome;
    // Against state, Pulumi's own display has named and said all that.
    const registered = [resourceCount(outcome), ...resourceLines(resources)];
    const said = [
        ...warnings.map((warning) => `warning: ${warning}`),
        ...errors.map((error) => red(`error: ${error}`)),
    ];
    return [
        ...(mode === "keyless" ? registered : []),
        clusterLine(outcome),
        ...difference,
        ...(mode === "keyless" ? said : []),
        "",
    ].join("\n");
}
