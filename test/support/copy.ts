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

/** Copies the program into another folder, as another checkout of it; the installed packages are linked. */
export function copyProgram(folder: string): void {
    for (const name of PROGRAM) {
        fs.cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
    }
    fs.symlinkSync(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
}
