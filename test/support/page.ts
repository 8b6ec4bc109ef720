/** A page of docs/ as data: its blocks of commands, by the mark before each. docs/contributing.md describes the marks. */

/** How long one line may take: a little more than the longest timeout of a command on the pages. */
export const LINE_SECONDS = 11 * 60;

/** One command and what it answers. */
export interface Command {
    /** What a reader types: one line, or several if it continues after `\` or has a here-document. */
    readonly line: string;
    /** What its output contains; on a page about a stack, what a healthy one answers. */
    readonly prints: readonly string[];
    /** Set if the command is shown being refused: what its message contains. */
    readonly fails?: string;
}

export interface Block {
    readonly heading: string;
    /** `run`, `shown`, or any other word that is there. */
    readonly mark: string;
    /** Why it is only shown. */
    readonly reason: string;
    readonly commands: readonly Command[];
}

/** Every block of commands, including those without a mark. */
export function parsePage(page: string): Block[] {
    const blocks: Block[] = [];
    const pattern = /^## (.*)$|(?:<!-- *(\w+)(?:: *([^>]*?))? *-->\n\n?)?^```sh\n([^]*?)^```$/gm;
    let heading = "";
    for (const [, title, mark = "", reason = "", body] of page.matchAll(pattern)) {
        if (body === undefined) {
            heading = title ?? "";
        } else {
            blocks.push({ heading, mark, reason, commands: parseCommands(body) });
        }
    }
    return blocks;
}

function parseCommands(body: string): Command[] {
    const commands: { line: string; prints: string[]; fails?: string }[] = [];
    let open: string | undefined;
    for (const line of body.split("\n")) {
        const last = commands.at(-1);
        const [, word, text = ""] = /^# (prints|fails): (.*)$/.exec(line) ?? [];
        if (last !== undefined && open !== undefined) {
            last.line += `\n${line}`;
        } else if (word === "fails" && last !== undefined) {
            last.fails = text;
        } else if (word === "prints") {
            last?.prints.push(text);
        } else if (line.trim() !== "") {
            commands.push({ line, prints: [] });
        }
        open = stillOpen(commands.at(-1)?.line ?? "");
    }
    return commands;
}

/** What a command that is not complete yet waits for: the word that ends its here-document, or its next line. */
function stillOpen(typed: string): string | undefined {
    const [first = "", ...rest] = typed.replace(/\\\n/g, "").split("\n");
    const word = /<<(['"]?)(\w+)\1/.exec(first)?.[2];
    if (word === undefined) {
        return typed.endsWith("\\") ? "next line" : undefined;
    }
    return rest.includes(word) ? undefined : word;
}

/**
 * Whether an answer has the text that a page shows, as whole words: 5 is not in 15, nor worker in worker2. Columns are as wide
 * as their longest value, so a reader does not compare spaces either.
 */
export function hasText(answer: string, text: string): boolean {
    const narrow = (each: string): string => each.replace(/[^\S\n]+/g, " ");
    const literal = narrow(text).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const [start, end] = [/^\d/.test(text) ? "(?<![\\d.])" : "", /\w$/.test(text) ? "(?!\\w)" : ""];
    return new RegExp(`${start}${literal}${end}`).test(narrow(answer));
}

/** Rewrites a command of a page, which is written for the stack dev, for another stack. */
export function forStack(line: string, stack: { stack: string; namespace: string; url: string }): string {
    return line
        .replaceAll("dabaweb-dev", stack.namespace)
        .replaceAll("http://localhost:32000", stack.url)
        .replace(/STACK=dev\b/g, `STACK=${stack.stack}`)
        .replace(/--stack dev\b/g, `--stack ${stack.stack}`);
}
