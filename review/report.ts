/**
 * Prints what `pulumi up` would do about the difference between two recorded graphs of a stack:
 *
 *     npx ts-node review/report.ts before.json after.json [--json]
 *
 * --json prints the Comparison of changes.ts instead. The exit code is 0 whatever the difference, and 1 if the two could
 * not be compared.
 */
import { Change, compareGraphs, Comparison, PropertyChange } from "./changes";
import { readGraph } from "./graph";

/** Longer values are truncated: what matters is that they differ. */
const VALUE_LENGTH = 100;

/** The comparison as text, the dangers first. */
export function report({ stack, counts, changes, withoutEffect }: Comparison): string {
    const { create, update, replace, same } = counts;
    const dangers = changes.filter(({ danger }) => danger).length;
    return [
        `${stack}: ${create} to create, ${update} to update, ${replace} to replace, ${counts.delete} to delete, ${same} unchanged`,
        ...(dangers === 0
            ? []
            : [
                  `DANGER: ${dangers} of them replace or delete a StatefulSet, PersistentVolumeClaim, Secret or Namespace`,
              ]),
        ...changes.flatMap(changeLines),
        ...withoutEffect.map(
            (urn) => `   same      ${shortUrn(urn)} differs only in what \`pulumi up\` ignores`,
        ),
        "",
    ].join("\n");
}

function changeLines(change: Change): readonly string[] {
    const { action, type, name, danger, properties, causes } = change;
    return [
        `${(danger ? "!! " : "   ") + action.padEnd(9)} ${type} ${name}`,
        ...properties.map((property) => `               ${propertyText(property)}`),
        ...causes.map(({ reason }) => `               because ${reason}`),
        ...(change.protected ? ["               protected: refused until you unprotect it"] : []),
        ...(change.retained ? ["               retained: the object is not deleted"] : []),
    ];
}

/** Type and name, as in the other lines. */
function shortUrn(urn: string): string {
    const [type = "", name = ""] = urn.split("::").slice(2);
    return `${type.split("$").pop()} ${name}`;
}

function propertyText({ path, before, after }: PropertyChange): string {
    if (before === undefined) {
        return `${path}: ${valueText(after)} is added`;
    }
    return after === undefined
        ? `${path}: ${valueText(before)} is removed`
        : `${path}: ${valueText(before)} -> ${valueText(after)}`;
}

function valueText(value: unknown): string {
    const text = JSON.stringify(value);
    return text.length > VALUE_LENGTH ? `${text.slice(0, VALUE_LENGTH)}...` : text;
}

function main(args: readonly string[]): void {
    const files = args.filter((arg) => arg !== "--json");
    const [before, after] = files;
    if (before === undefined || after === undefined || files.length > 2) {
        const named = files.length === 1 ? "1 file is named" : `${files.length} files are named`;
        throw new Error(`${named}; name two files: before.json after.json [--json]`);
    }
    const comparison = compareGraphs(readGraph(before), readGraph(after));
    process.stdout.write(
        args.includes("--json") ? `${JSON.stringify(comparison, null, 2)}\n` : report(comparison),
    );
}

if (require.main === module) {
    try {
        main(process.argv.slice(2));
    } catch (error) {
        process.stderr.write(`${(error as Error).message}\n`);
        process.exitCode = 1;
    }
}
