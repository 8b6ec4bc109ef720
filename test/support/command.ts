/** Running programs in tests. */
import { spawn } from "node:child_process";

import { spending, spentOn } from "./spent";

/**
 * How many times longer than on an idle machine something may take. A bound ends what hangs; it must not fail what is slow
 * because others use the disk: `mysqld --initialize` takes 4 s alone, and was seen to take 56 s.
 */
export const PATIENCE = 5;

/** The limit of a command that sets none, in seconds: a minute on an idle machine. */
export const COMMAND_SECONDS = PATIENCE * 60;

/** The result of a command. */
export interface Result {
    readonly code: number;
    readonly stdout: string;
    readonly stderr: string;
}

/** How one command is run. */
export interface CommandOptions {
    /** Text for its standard input. */
    readonly input?: string;
    /** Killed after this many seconds, default {@link COMMAND_SECONDS}. */
    readonly timeoutSeconds?: number;
}

function runProgram(file: string, args: readonly string[], options: CommandOptions): Promise<Result> {
    const seconds = options.timeoutSeconds ?? COMMAND_SECONDS;
    return new Promise((resolve, reject) => {
        const child = spawn(file, args, { stdio: "pipe", timeout: seconds * 1000, killSignal: "SIGKILL" });
        let stdout = "";
        let stderr = "";
        child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
        child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
        child.on("error", reject);
        child.on("close", (code, signal) => {
            const killed = signal === null ? "" : `\nended by ${signal}; its limit was ${seconds} s`;
            resolve({ code: code ?? 128, stdout, stderr: stderr + killed });
        });
        // A program that exits without reading its input closes the pipe: its exit code says what happened.
        child.stdin.on("error", () => undefined).end(options.input ?? "");
    });
}

/** Runs a program without a shell and returns its result, regardless of the exit code. */
export function command(
    file: string,
    args: readonly string[],
    options: CommandOptions = {},
): Promise<Result> {
    return spending(spentOn(file, args), () => runProgram(file, args, options));
}
