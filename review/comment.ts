/**
 * The comment on a pull request that tells what it does to a stack:
 *
 *     npx ts-node review/comment.ts preview.json
 *
 * prints it as Markdown. What it is made from may come from a stranger's code, so everything of it stands where Markdown
 * leaves it alone: in code.
 */
import * as fs from "fs";

import type { Change } from "./changes";
import { type Outcome, parseOutcome } from "./outcome";
import { clusterLine, differenceText, resourceCount, resourceLines } from "./summary";

/** GitHub refuses longer ones. It counts characters; bytes are never fewer. */
export const LONGEST_COMMENT = 65_536;

/** What goes beyond that many is counted; all of it stands in the folded parts. */
const MOST_DANGERS = 20;
const MOST_SAID = 3;

/** Where the preview ran. */
export interface Origin {
    /** The commit that it was made for. */
    readonly commit: string;
    /** Address of the run. */
    readonly run: string;
    /** Whether the code that made it is of another repository. */
    readonly fork: boolean;
}

/** The first line of a stack's comment, by which it is found again. */
export function marker(stack: string): string {
    return `<!-- dabaweb preview of stack ${stack} -->`;
}

/** The comment's Markdown, with the marker, short enough for GitHub. */
export function commentText(outcome: Outcome, origin?: Origin): string {
    const head = [marker(outcome.stack), ...headLines(outcome)].join("\n");
    const foot = origin === undefined ? "" : `\n${originLine(origin)}\n`;
    const { resources, warnings, errors } = outcome;
    const folded = [
        { title: "What changes", text: differenceText(outcome) },
        { title: "What was said", text: [...errors, ...warnings].join("\n\n") },
        {
            title: `Everything that the stack registers: ${resources.length}`,
            text: [resourceCount(outcome), ...resourceLines(resources)].join("\n"),
        },
    ];
    let room = LONGEST_COMMENT - bytes(head) - bytes(foot);
    const parts = folded
        .filter(({ text }) => text !== "")
        .map(({ title, text }) => {
            const part = foldedPart(title, text, room);
            room -= bytes(part);
            return part;
        });
    return head + parts.join("") + foot;
}

function headLines(outcome: Outcome): readonly string[] {
    const { stack, mode, cluster, comparison, errors, warnings } = outcome;
    const first = (said: readonly string[]) =>
        listed(
            said.map((each) => code(each)),
            MOST_SAID,
        );
    return [
        `### Preview of stack ${stack}: ${mode}`,
        "",
        ...(comparison === undefined ? [] : countLines(comparison.counts)),
        ...dangerLines(comparison?.changes ?? []),
        ...(errors.length === 0 ? [] : alert("CAUTION", "The preview failed.", first(errors))),
        ...(cluster === "answered"
            ? [clusterLine(outcome), ""]
            : alert("WARNING", `Cluster ${cluster}, not validated.`, [clusterLine(outcome)])),
        mode === "keyless"
            ? "Made without credentials: the program is compared with itself before the change, not with what is deployed."
            : "Made with credentials: the program is compared with the state of what is deployed.",
        ...first(warnings).map((line) => `- ${line}`),
        "",
    ];
}

function countLines({
    create,
    update,
    replace,
    delete: gone,
    same,
}: Record<string, number>): readonly string[] {
    return [
        "| create | update | replace | delete | unchanged |",
        "| ---: | ---: | ---: | ---: | ---: |",
        `| ${create} | ${update} | ${replace} | ${gone} | ${same} |`,
        "",
    ];
}

/** What takes data, credentials or running pods with it: the red line. */
function dangerLines(changes: readonly Change[]): readonly string[] {
    const dangers = changes.filter(({ danger }) => danger);
    const lines = dangers.map((change) => {
        const { action, type, name } = change;
        const notes = [
            ...(change.protected ? ["protected: `pulumi up` refuses"] : []),
            ...(change.retained ? ["retained: the object stays where it is"] : []),
        ];
        return [`${action} ${code(`${type.split(":").pop()} ${name}`)}`, ...notes].join("; ");
    });
    const title = `Replaced or deleted, of StatefulSets, volumes, Secrets and Namespaces: ${dangers.length}.`;
    return dangers.length === 0 ? [] : alert("CAUTION", title, listed(lines, MOST_DANGERS));
}

function listed(lines: readonly string[], most: number): readonly string[] {
    const more = lines.length - most;
    return more > 0 ? [...lines.slice(0, most), `and ${more} more`] : lines;
}

/** A box of its own on GitHub: CAUTION is red, WARNING yellow. */
function alert(kind: "CAUTION" | "WARNING", title: string, lines: readonly string[]): readonly string[] {
    return [`> [!${kind}]`, `> **${title}**`, ">", ...lines.map((line) => `> - ${line}`), ""];
}

function originLine({ commit, run, fork }: Origin): string {
    const whose = fork ? " by the code of a fork: it may say what it likes" : "";
    return `<sub>For commit ${commit.slice(0, 12)}, made in [this run](${run})${whose}.</sub>`;
}

/** A fold with as much of the text as there is room for; none where there is hardly any. */
function foldedPart(title: string, text: string, room: number): string {
    const clean = printable(text);
    const fence = "`".repeat(1 + Math.max(2, ...[...clean.matchAll(/`+/g)].map(([run]) => run.length)));
    const around = (content: string, note = "") =>
        `\n<details><summary>${title}</summary>\n\n${fence}text\n${content}\n${fence}\n${note}</details>\n`;
    if (bytes(around(clean)) <= room) {
        return around(clean);
    }
    const note = "\n**Cut here: the rest is longer than a comment may be. The run's log has all of it.**\n";
    const cut = cutTo(clean, room - bytes(around("", note)));
    return cut === "" ? "" : around(cut, note);
}

/** The lines from the first on that have so many bytes together. */
function cutTo(text: string, most: number): string {
    const lines = text.split("\n");
    let [kept, used] = [0, 0];
    for (const line of lines) {
        used += bytes(line) + 1;
        if (used > most) {
            break;
        }
        kept += 1;
    }
    return lines.slice(0, kept).join("\n");
}

/** A text in a line as code: nothing in it is Markdown, a mention or a link. */
function code(text: string): string {
    const line = printable(text).replace(/\s+/g, " ").trim().slice(0, 300);
    const fence = "`".repeat(1 + Math.max(0, ...[...line.matchAll(/`+/g)].map(([run]) => run.length)));
    const space = /^`|`$/.test(line) ? " " : "";
    return `${fence}${space}${line}${space}${fence}`;
}

/** Without characters that show nothing or turn the order of others around. */
function printable(text: string): string {
    return text.replace(/[^\P{C}\n]/gu, "");
}

function bytes(text: string): number {
    return Buffer.byteLength(text);
}

if (require.main === module) {
    try {
        const [file = ""] = process.argv.slice(2);
        process.stdout.write(commentText(parseOutcome(fs.readFileSync(file), file)));
    } catch (error) {
        process.stderr.write(`${(error as Error).message}\n`);
        process.exitCode = 1;
    }
}
