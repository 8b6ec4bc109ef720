/**
 * The copy of a stack file that Pulumi gets: Pulumi writes a stack's encryption salt into its stack file, and the committed
 * file stays without. What the user edits in the committed file comes into the copy, and what `pulumi config set` writes into the
 * copy goes into the committed file: before and after each `pulumi` in a shell of `make env`, see plain.sh.
 */
import * as fs from "node:fs";
import * as path from "node:path";

import { isMap, parse, parseDocument, stringify } from "yaml";

import { reportFailure } from "../../operations/refusal";
import { writeWhole } from "../machine/files";
import { names } from "../places";
import { forThisMachine } from "./this-machine";

/** The committed file as it was when the copy was written from it. */
const seenOf = (copy: string): string => `${copy}.seen`;
/** The copy as it was written, before Pulumi changed it. */
const madeOf = (copy: string): string => `${copy}.made`;

/** What belongs to this machine's copy alone. */
const OWN = ["encryptionsalt", "encryptedkey", "secretsprovider"];

/** Whether a stack file is for the cluster that local/ made. */
export function isForLocalCluster(file: string, project: string): boolean {
    return configured(file, `${project}:kubeContext`) === names.context;
}

/** Reads one plain-word setting of a stack file; the program itself parses these files as YAML. */
function configured(file: string, key: string): string | undefined {
    return new RegExp(`^\\s*["']?${key}["']?:\\s*["']?([^\\s"'#]+)`, "m").exec(
        fs.readFileSync(file, "utf8"),
    )?.[1];
}

/** Copies the committed file again (for the local cluster, with this machine's additions) and keeps the earlier copy's salt. */
export function refreshCopy(committed: string, copy: string, project: string): void {
    const own = fs.readFileSync(committed, "utf8");
    // What is deployed to another cluster must be the same from every machine.
    const text = isForLocalCluster(committed, project) ? forThisMachine(own, project) : own;
    const salt = /^encryptionsalt:.*$/m.exec(textOf(copy) ?? "");
    const ours = /^encryptionsalt:/m.test(text) || !salt ? text : `${text.trimEnd()}\n${salt[0]}\n`;
    writeWhole(copy, ours, 0o600);
    writeWhole(madeOf(copy), ours, 0o600);
    writeWhole(seenOf(copy), own, 0o600);
}

/** Brings what Pulumi wrote into the copy since it was made to the committed file, and returns whether that changed. */
function bringBack(committed: string, copy: string): boolean {
    const [made, now] = [textOf(madeOf(copy)), textOf(copy)];
    if (made === undefined || now === undefined || made === now) {
        return false;
    }
    const before = fs.readFileSync(committed, "utf8");
    const after = broughtBack(before, made, now);
    if (after !== before) {
        fs.writeFileSync(committed, after);
    }
    writeWhole(madeOf(copy), now, 0o600);
    return after !== before;
}

/** A committed file's text with what changed from one state of the copy to another; comments and other settings stay. */
export function broughtBack(committed: string, made: string, now: string): string {
    const changes = changesIn(parse(made), parse(now)).filter(
        ({ path: [top] }) => !OWN.includes(String(top)),
    );
    if (changes.length === 0) {
        return committed;
    }
    const document = parseDocument(committed);
    for (const { path: where, value } of changes) {
        if (value === undefined) {
            document.deleteIn(where);
        } else {
            // A part that is empty or absent becomes a map first.
            const parent = where.slice(0, -1);
            if (parent.length > 0 && !isMap(document.getIn(parent))) {
                document.setIn(parent, document.createNode({}));
            }
            document.setIn(where, value);
        }
    }
    const [, indent = "  "] = /^( +)[^\s#]/m.exec(committed) ?? [];
    return asWritten(document.toString({ lineWidth: 0, indent: indent.length }), committed);
}

/** A stack file's text with a setting; comments and other settings stay. */
export function withSetting(text: string, key: string, value: unknown): string {
    const all = parse(text) as { config?: object };
    return broughtBack(text, text, stringify({ ...all, config: { ...all.config, [key]: value } }));
}

/** A text whose lines that differ from a committed line in the padding of brackets alone are as they were. */
function asWritten(text: string, committed: string): string {
    const bare = (line: string): string => line.replace(/(?<=[[{]) +| +(?=[\]}])/g, "");
    const known = new Map(committed.split("\n").map((line) => [bare(line), line]));
    const restored = text
        .split("\n")
        .map((line) => known.get(bare(line)) ?? line)
        .join("\n");
    // A bracket may be a part of a value.
    return JSON.stringify(parse(restored)) === JSON.stringify(parse(text)) ? restored : text;
}

interface Change {
    readonly path: readonly string[];
    /** undefined: it is gone. */
    readonly value: unknown;
}

function changesIn(before: unknown, after: unknown, where: readonly string[] = []): Change[] {
    if (isObject(before) && isObject(after)) {
        const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
        return keys.flatMap((key) => changesIn(before[key], after[key], [...where, key]));
    }
    // Pulumi writes a number or boolean of its own as text.
    const isScalar = !isObject(before) && !Array.isArray(before) && !isObject(after) && !Array.isArray(after);
    const isSame = isScalar
        ? String(before) === String(after)
        : JSON.stringify(before) === JSON.stringify(after);
    return isSame ? [] : [{ path: where, value: after }];
}

function isObject(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(file: string): string | undefined {
    return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : undefined;
}

/** Both ways. */
export function synchronise(committed: string, copy: string, say = console.error): void {
    if (bringBack(committed, copy)) {
        const name = path.basename(committed);
        const isSecret = /^\s*secure:/m.test(fs.readFileSync(committed, "utf8"));
        say(
            `${name} has what Pulumi wrote${
                isSecret
                    ? "; its secure values can be read with this machine's passphrase alone, so do not commit them"
                    : ""
            }.`,
        );
    }
    refreshCopy(committed, copy, path.basename(path.dirname(copy)));
}

if (require.main === module) {
    const [committed = "", copy = ""] = process.argv.slice(2);
    reportFailure(Promise.resolve().then(() => synchronise(committed, copy)));
}
