/** Calls functions of the images' shell files as their entrypoints do, with only bash. */
import { spawnSync } from "node:child_process";

export interface Called {
    readonly code: number;
    readonly stdout: string;
    readonly stderr: string;
}

/** Sources a file and calls one of its functions, in strict mode. */
export function callFunction(file: string, name: string, args: readonly string[], input = ""): Called {
    return bash(`set -euo pipefail; source "$1"; shift; "$@"`, [file, name, ...args], input);
}

/** Names of the functions that files declare. */
export function declaredIn(...files: string[]): string[] {
    const { stdout } = bash(`for file; do source "$file"; done; declare -F`, files);
    return [...stdout.matchAll(/^declare -f (\S+)$/gm)].map(([, name]) => name!);
}

function bash(script: string, args: readonly string[], input = ""): Called {
    // Node's pipes are sockets, and a bash with a socket on standard input may assume that it is a remote
    // shell, which reads the user's ~/.bashrc.
    const { status, stdout, stderr } = spawnSync("bash", ["--norc", "-c", script, "bash", ...args], {
        encoding: "utf8",
        input,
        // As in a container: a locale that is not installed here would be complained about.
        env: { PATH: process.env.PATH, LC_ALL: "C" },
    });
    return { code: status ?? 128, stdout, stderr };
}
