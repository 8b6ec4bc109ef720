/** Runs other programs: returns their output, and turns a failure into one sentence with the end of their output. */
import { spawn } from "node:child_process";

import { Refusal } from "../../operations/refusal";

/**
 * Milliseconds after which something that normally answers at once on this machine counts as stuck. Something that does not
 * run refuses at once. Something that is only busy must not count as stuck, or a part that is ready would be set up again.
 */
export const STUCK_MS = 60_000;

export interface RunOptions {
    readonly env?: Record<string, string | undefined>;
    readonly cwd?: string;
    readonly input?: string;
    /** Milliseconds after which the program is killed. */
    readonly timeout?: number;
    /** Called with every line as it is printed; without it, output is only collected. */
    readonly onLine?: (line: string) => void;
}

/** Runs a program to its end and returns its standard output, without the last line break. */
export async function run(
    command: string,
    args: readonly string[],
    options: RunOptions = {},
): Promise<string> {
    const result = await attempt(command, args, options);
    if (result.code !== 0) {
        const said = `${result.output}\n${result.complaints}`.trim().split("\n").slice(-15).join("\n");
        throw new Refusal(`\`${[command, ...args].join(" ")}\` failed (${result.reason}).\n${said}`);
    }
    return result.output.trimEnd();
}

export interface Attempt {
    readonly code: number | undefined;
    readonly reason: string;
    readonly output: string;
    readonly complaints: string;
}

/** Runs a program whose failure is an answer. */
export function attempt(
    command: string,
    args: readonly string[],
    options: RunOptions = {},
): Promise<Attempt> {
    return new Promise((resolve) => {
        const child = spawn(command, args, {
            cwd: options.cwd,
            env: { ...process.env, ...options.env },
            stdio: ["pipe", "pipe", "pipe"],
        });
        let [output, complaints, rest] = ["", "", ""];
        let timedOut = false;
        const end = (): void => {
            timedOut = true;
            child.kill("SIGKILL");
        };
        const timer = options.timeout === undefined ? undefined : setTimeout(end, options.timeout);
        const lines = (chunk: string): void => {
            const parts = (rest + chunk).split("\n");
            rest = parts.pop() ?? "";
            parts.forEach((line) => options.onLine?.(line));
        };
        child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
            output += chunk;
            lines(chunk);
        });
        child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
            complaints += chunk;
            lines(chunk);
        });
        const finish = (code: number | undefined, reason: string): void => {
            clearTimeout(timer);
            resolve({ code, reason, output, complaints });
        };
        child.on("error", (error) => finish(undefined, error.message));
        child.on("close", (code, signal) => {
            finish(
                code ?? undefined,
                timedOut ? `no answer in ${options.timeout} ms` : `exit code ${code ?? signal}`,
            );
        });
        // A program that does not read its input closes it early.
        child.stdin.on("error", () => undefined);
        child.stdin.end(options.input ?? "");
    });
}

/** Waits until the condition holds; `what` names the awaited state in the failure. */
export async function until(
    what: string,
    seconds: number,
    condition: () => Promise<boolean>,
    remedy = "",
): Promise<void> {
    const end = Date.now() + seconds * 1000;
    while (!(await condition())) {
        if (Date.now() > end) {
            throw new Refusal(`Waited ${seconds} s for ${what}.${remedy && ` ${remedy}`}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 250));
    }
}
