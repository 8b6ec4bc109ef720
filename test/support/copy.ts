import * as fs from "fs";
import * as path from "path";

const ROOT = path.resolve(__dirname, "../..");

/** What the program is made of, beside its stack files. */
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
 * Copies the program into another folder, as another checkout of it; the installed packages are linked.
 *
 * @param lines a further line at the end of files, by their paths from the project's root.
 * @throws Error where there is no such file: a line in a file of its own would change nothing that runs.
 */
export function copyProgram(folder: string, lines: Readonly<Record<string, string>> = {}): void {
    for (const name of PROGRAM) {
        fs.cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
    }
    fs.symlinkSync(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
    for (const [file, line] of Object.entries(lines)) {
        const copied = path.join(folder, file);
        if (!fs.existsSync(copied)) {
            throw new Error(`${file} is no file of the program; add the line to one that is there`);
        }
        fs.appendFileSync(copied, `${line}\n`);
    }
}

/** Copies everything that is committed or would be; what is brought, built or written by tests stays behind. */
export function copyCheckout(folder: string): void {
    const left = ["node_modules", ".git", "artifacts"].map((name) => path.join(ROOT, name));
    fs.cpSync(ROOT, folder, { recursive: true, filter: (source) => !left.includes(source) });
}
