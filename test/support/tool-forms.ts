/** The table of forms in docs/tools.md, which tests execute. */
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

export interface Row {
    readonly form: string;
    /** What the tool itself does. */
    readonly tool: string;
    /** What this program does. */
    readonly ours: string;
}

/** The rows of one of the page's tables. */
export function rowsOf(section: string): Row[] {
    const page = fs.readFileSync("docs/tools.md", "utf8");
    const [, text = ""] =
        new RegExp(`^## [^\\n]*${section}[^\\n]*$(.*?)(?=^## |(?![^]))`, "ims").exec(page) ?? [];
    return text
        .split("\n")
        .filter((line) => line.startsWith("|"))
        .slice(2)
        .map((line) => line.split("|").map((cell) => cell.trim()))
        .map(([, form = "", tool = "", ours = ""]) => ({ form, tool, ours }));
}

/** Where a program is; undefined if it is not on PATH. */
export function onPath(program: string): string | undefined {
    return (process.env.PATH ?? "")
        .split(path.delimiter)
        .map((folder) => path.join(folder, program))
        .find((file) => fs.existsSync(file));
}

/** Takes all settings of a proxy out of the environment. */
export function withoutProxy(): void {
    for (const name of ["http_proxy", "https_proxy", "no_proxy"]) {
        delete process.env[name];
        delete process.env[name.toUpperCase()];
    }
}

/** A folder for each test, and the environment as it was afterwards. */
export function ownPlace(): { make(): string; leave(): void } {
    const former = { ...process.env };
    let folder = "";
    return {
        make: () => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "tools-"))),
        leave: () => {
            fs.rmSync(folder, { recursive: true });
            Object.keys(process.env).forEach((key) => delete process.env[key]);
            Object.assign(process.env, former);
        },
    };
}
