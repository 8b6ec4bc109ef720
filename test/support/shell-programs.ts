/** Finds the programs that shell scripts call, and their options, from the syntax, so that no branch is left out. */
import { syntax, type ShellNode } from "mvdan-sh";

/** Options by program, each with the place where it was first seen. */
export type Calls = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Commands that run the command after them, with the pattern of the words in between. */
const WRAPPERS: Readonly<Record<string, RegExp>> = {
    exec: /^-/,
    command: /^-/,
    in_background: /^-/,
    // The seconds may come from a variable.
    timeout: /^(-|\d|$)/,
};

/** The builtins of bash. */
const BUILTINS = [
    ...[
        ".",
        ":",
        "[",
        "break",
        "cd",
        "command",
        "continue",
        "echo",
        "eval",
        "exec",
        "exit",
        "false",
        "getopts",
    ],
    ...[
        "kill",
        "mapfile",
        "printf",
        "pwd",
        "read",
        "return",
        "set",
        "shift",
        "shopt",
        "source",
        "test",
        "trap",
    ],
    ...["true", "type", "ulimit", "umask", "unset", "wait"],
];

/**
 * The programs that these scripts call together: neither builtins nor functions of one of them.
 *
 * @param scripts text by name
 */
export function programsIn(scripts: Readonly<Record<string, string>>): Calls {
    const own = new Set<string>();
    const found: { program: string; options: string[]; where: string }[] = [];
    for (const [name, text] of Object.entries(scripts)) {
        syntax.Walk(syntax.NewParser().Parse(text, name), (node) => {
            if (node !== null && syntax.NodeType(node) === "FuncDecl") {
                own.add(node.Name!.Value!);
            }
            if (node !== null && syntax.NodeType(node) === "CallExpr") {
                const where = `${name}:${node.Pos().Line()}`;
                for (const [program, ...rest] of callsIn(node.Args!.map(textOf))) {
                    found.push({ program: program!, options: rest.flatMap(optionsIn), where });
                }
            }
            return true;
        });
    }
    const calls = new Map<string, Map<string, string>>();
    for (const { program, options, where } of found) {
        if (!own.has(program) && !BUILTINS.includes(program)) {
            const known = calls.get(program) ?? new Map<string, string>();
            options.forEach((option) => known.set(option, known.get(option) ?? where));
            calls.set(program, known);
        }
    }
    return calls;
}

/** The literal part of a word; values of variables and output of other commands are left out. */
function textOf({ Value, Parts }: ShellNode): string {
    return Value ?? (Parts ?? []).map(textOf).join("");
}

/** A command, and the command that it runs in turn. If the name comes from a variable, the command is unknown. */
function callsIn(words: readonly string[]): string[][] {
    const [first, ...rest] = words;
    if (first === undefined || first === "") {
        return [];
    }
    const before = WRAPPERS[first];
    if (before === undefined) {
        return [[first, ...rest]];
    }
    const begin = rest.findIndex((word) => !before.test(word));
    return begin < 0 ? [[first, ...rest]] : [[first, ...rest.slice(0, begin)], ...callsIn(rest.slice(begin))];
}

/** `-qaF` is three options, `--batch=yes` one. */
function optionsIn(word: string): string[] {
    if (word.startsWith("--")) {
        return word === "--" ? [] : [word.split("=")[0]!];
    }
    return /^-[A-Za-z]/.test(word) ? [...word.slice(1)].map((letter) => `-${letter}`) : [];
}
