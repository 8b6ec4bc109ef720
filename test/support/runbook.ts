/** docs/runbook.md as data: its blocks of commands, by the mark before each. */

/** One command and what a healthy stack prints after it. */
export interface Command {
    readonly line: string;
    readonly prints: readonly string[];
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
export function parseRunbook(page: string): Block[] {
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
    const commands: { line: string; prints: string[] }[] = [];
    for (const line of body.split("\n").filter((each) => each.trim() !== "")) {
        const expected = /^# prints: (.*)$/.exec(line)?.[1];
        if (expected === undefined) {
            commands.push({ line, prints: [] });
        } else {
            commands.at(-1)?.prints.push(expected);
        }
    }
    return commands;
}

/** Rewrites a command of the page, which is written for the stack dev, for another stack. */
export function forStack(line: string, stack: { stack: string; namespace: string; url: string }): string {
    return line
        .replaceAll("dabaweb-dev", stack.namespace)
        .replaceAll("http://localhost:32000", stack.url)
        .replace(/STACK=dev\b/g, `STACK=${stack.stack}`)
        .replace(/--stack dev\b/g, `--stack ${stack.stack}`);
}
