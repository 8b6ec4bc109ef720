import * as fs from "fs";
import * as path from "path";

import { command } from "./command";

const ROOT = path.resolve(__dirname, "../..");

/** The parts of the program, except its stack files. */
const PROGRAM = [
    "Pulumi.yaml",
    "index.ts",
    "outputs.ts",
    "config.ts",
    "config",
    "preflight.ts",
    "components",
    "images",
    "package.json",
    "tsconfig.json",
];

/**
 * Copies the program into another folder, like another checkout; the installed packages are linked.
 *
 * @param lines one line to append per file, by the file's path from the project's root.
 * @throws Error if there is no such file: a line in a new file would change nothing that runs.
 */
export function copyProgram(folder: string, lines: Readonly<Record<string, string>> = {}): void {
    for (const name of PROGRAM) {
        fs.cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
    }
    fs.symlinkSync(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
    for (const [file, line] of Object.entries(lines)) {
        const copied = path.join(folder, file);
        if (!fs.existsSync(copied)) {
            throw new Error(`${file} is not a file of the program; add the line to an existing file`);
        }
        fs.appendFileSync(copied, `${line}\n`);
    }
}

/** Copies everything that is or would be committed, but nothing that is installed, built or written by tests. */
export function copyCheckout(folder: string): void {
    const left = ["node_modules", ".git", "artifacts"].map((name) => path.join(ROOT, name));
    fs.cpSync(ROOT, folder, { recursive: true, filter: (source) => !left.includes(source) });
}

/** Lets a copy of the checkout use this checkout's installed packages. */
export function linkPackages(folder: string): void {
    fs.symlinkSync(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
    // Older than the installed packages: they belong to another checkout and must not be installed again.
    fs.utimesSync(path.join(folder, "package-lock.json"), 0, 0);
}

/** Options of git with which a commit does not depend on the user's settings. */
export const OWN_SETTINGS = [
    ...["user.name=a", "user.email=a@example.org", "init.defaultBranch=main"],
    ...["commit.gpgsign=false", "core.hooksPath=/dev/null"],
].flatMap((setting) => ["-c", setting]);

/** Makes a folder a clone whose last commit has all its files. */
export async function commitAll(folder: string): Promise<void> {
    for (const args of [
        ["init", "--quiet"],
        ["add", "."],
        ["commit", "--quiet", "--message", "clone"],
    ]) {
        const { code, stderr } = await command("git", ["-C", folder, ...OWN_SETTINGS, ...args]);
        if (code !== 0) {
            throw new Error(`git ${args.join(" ")}: exit code ${code}\n${stderr}`);
        }
    }
}
