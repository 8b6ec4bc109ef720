/**
 * The comment on a pull request that says what the pull request does to a stack:
 *
 *     npx ts-node review/comment.ts preview.json
 *
 * prints it as Markdown. Its input may come from a stranger's code, so all of it is put where Markdown does not interpret
 * it: in code.
 */
import * as fs from "fs";

import type { Change } from "./changes";
import { type Outcome, parseOutcome } from "./outcome";
import { clusterLine, differenceText, resourceCount, resourceLines } from "./summary";

/** GitHub refuses longer ones. It counts characters; bytes are never fewer. */
export const LONGEST_COMMENT = 65_536;

/** Beyond these limits, entries are only counted; the folded parts list all of them. */
const MOST_DANGERS = 20;
const MOST_SAID = 3;

/** Where the preview ran. */
export interface Origin {
    /** The commit that it was made for. */
    readonly commit: string;
    /** URL of the run. */
    readonly run: string;
    /** Whether the code that made it comes from another repository. */
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
        { title: "Errors and warnings", text: [...errors, ...warnings].join("\n\n") },
        {
            title: `All resources that the stack registers: ${resources.length}`,
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
            ? "Made without credentials: this compares the program with itself before the change, not with what is deployed."
            : "Made with credentials: this compares the program with the state of what is deployed.",
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

/** The changes that destroy data, credentials or running pods: the red line. */
function dangerLines(changes: readonly Change[]): readonly string[] {
    const dangers = changes.filter(({ danger }) => danger);
    const lines = dangers.map((change) => {
        const { action, type, name } = change;
        const notes = [
            ...(change.protected ? ["protected: `pulumi up` refuses"] : []),
            ...(change.retained ? ["retained: the object is not deleted"] : []),
        ];
        return [`${action} ${code(`${type.split(":").pop()} ${name}`)}`, ...notes].join("; ");
    });
    const title = `Replaced or deleted StatefulSets, volumes, Secrets and Namespaces: ${dangers.length}.`;
    return dangers.length === 0 ? [] : alert("CAUTION", title, listed(lines, MOST_DANGERS));
}

function listed(lines: readonly string[], most: number): readonly string[] {
    const more = lines.length - most;
    return more > 0 ? [...lines.slice(0, most), `and ${more} more`] : lines;
}

/** An alert box on GitHub: CAUTION is red, WARNING yellow. */
function alert(kind: "CAUTION" | "WARNING", title: string, lines: readonly string[]): readonly string[] {
    return [`> [!${kind}]`, `> **${title}**`, ">", ...lines.map((line) => `> - ${line}`), ""];
}

function originLine({ commit, run, fork }: Origin): string {
    const whose = fork ? " by the code of a fork, which can write anything here" : "";
    return `<sub>For commit ${commit.slice(0, 12)}, made in [this run](${run})${whose}.</sub>`;
}

/** A folded section with as much of the text as fits; empty if there is hardly any room. */
function foldedPart(title: string, text: string, room: number): string {
    const clean = printable(text);
    const fence = "`".repeat(1 + Math.max(2, ...[...clean.matchAll(/`+/g)].map(([run]) => run.length)));
    const around = (content: string, note = "") =>
        `\n<details><summary>${title}</summary>\n\n${fence}text\n${content}\n${fence}\n${note}</details>\n`;
    if (bytes(around(clean)) <= room) {
        return around(clean);
    }
    const note = "\n**Cut here: the comment would be too long. The run's log has the full text.**\n";
    const cut = cutTo(clean, room - bytes(around("", note)));
    return cut === "" ? "" : around(cut, note);
}

/** As many of the first lines as fit into this many bytes. */
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

/** A text on one line as code: nothing in it is Markdown, a mention or a link. */
function code(text: string): string {
    const line = printable(text).replace(/\s+/g, " ").trim().slice(0, 300);
    const fence = "`".repeat(1 + Math.max(0, ...[...line.matchAll(/`+/g)].map(([run]) => run.length)));
    const space = /^`|`$/.test(line) ? " " : "";
    return `${fence}${space}${line}${space}${fence}`;
}

/** Without characters that are invisible or reverse the order of others. */
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
