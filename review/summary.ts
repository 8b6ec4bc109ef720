/** What a preview found, in words: on the terminal, and in the folded parts of a comment. */
import { styleText } from "util";

import type { Outcome } from "./outcome";
import { report } from "./report";

/** The first line of a preview's output. */
export function firstLine({ stack, mode, why }: Pick<Outcome, "stack" | "mode" | "why">): string {
    return `Preview of stack ${stack}, ${mode}: ${why}.`;
}

/** Whether the API server took part, in one line. */
export function clusterLine({ cluster }: Outcome): string {
    return {
        // The provider does not report whether the login may write: without that right it falls back on its own comparison.
        answered:
            "The cluster answered: the provider did a server-side dry run of every planned object that the login may " +
            "write, whose namespace exists and whose inputs are known.",
        unreachable: "The cluster was unreachable: its API server validated nothing.",
        "not asked": "No cluster was asked about any object: no API server validated anything.",
    }[cluster];
}

/** Everything that the program registers, one line per type. */
export function resourceLines(resources: readonly string[]): readonly string[] {
    const byType = new Map<string, string[]>();
    for (const resource of resources) {
        const [type = "", ...name] = resource.split(" ");
        byType.set(type, [...(byType.get(type) ?? []), name.join(" ")]);
    }
    return [...byType].map(([type, names]) => `  ${type}: ${names.join(", ")}`);
}

/** How many resources there are, and how many the engine and the providers accepted. */
export function resourceCount({ mode, resources, planned, errors }: Outcome): string {
    const count = `${resources.length} resources`;
    if (mode !== "keyless" || errors.length > 0) {
        return `${count}.`;
    }
    const left = resources.length - planned;
    return (
        `${count}: the engine and the providers planned ${planned} of them against a temporary state` +
        (left > 0 ? `; the ${left} image resources, which need Docker, were left out.` : ".")
    );
}

/** What differs, and compared with what; dangers first. */
export function differenceText({ comparison, comparedWith }: Outcome): string {
    return comparison === undefined
        ? "There is nothing to compare with."
        : `Compared with ${comparedWith}:\n${report(comparison).trimEnd()}`;
}

/** Everything after the first line; dangers are red if the terminal supports colours. */
export function terminalText(outcome: Outcome): string {
    const red = (line: string) => styleText("red", line, { stream: process.stdout });
    const difference = differenceText(outcome)
        .split("\n")
        .map((line) => (/^(DANGER|!!)/.test(line) ? red(line) : line));
    const { mode, resources, warnings, errors } = outcome;
    // Against state, Pulumi's own display has already shown all of this.
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
