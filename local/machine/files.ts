/** Files that are read and written in one piece. */
// The object itself, not a copy of its functions: a test takes the place of each step.
import fs from "node:fs";
import * as path from "node:path";

/** Reads a JSON file of the state; undefined if it is absent or broken. */
export function readJson<T>(file: string): T | undefined {
    try {
        return JSON.parse(fs.readFileSync(file, "utf8")) as T;
    } catch {
        return undefined;
    }
}

/** Writes a file completely or not at all. */
export function writeWhole(file: string, content: string, mode = 0o644): void {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const partial = `${file}.${process.pid}`;
    fs.writeFileSync(partial, content, { mode });
    fs.renameSync(partial, file);
}

/** Whether a path leads to the same file as another one, which must exist: a hard link, but no symbolic one. */
export function sameFile(one: string, other: string): boolean {
    return fs.lstatSync(one, { throwIfNoEntry: false })?.ino === fs.statSync(other).ino;
}
