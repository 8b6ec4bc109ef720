/**
 * Shells that stay open, for tests that run many commands: each command then costs only its own process, without a client,
 * a daemon and a runtime, which take ten times as much processor time.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";

import { COMMAND_SECONDS, type CommandOptions, type Result } from "./command";

/** One bash that reads commands from its input, one at a time. */
class Shell {
    private readonly child: ChildProcessWithoutNullStreams;
    private readonly mark = `--${randomBytes(8).toString("hex")}`;
    private stdout = "";
    private stderr = "";
    private answer: ((result: Result) => void) | undefined;
    private exitCode: number | undefined;

    constructor([file, ...args]: readonly [string, ...string[]]) {
        this.child = spawn(file, args, { stdio: "pipe" });
        this.child.stdout.setEncoding("utf8").on("data", (text: string) => {
            this.stdout += text;
            this.look();
        });
        this.child.stderr.setEncoding("utf8").on("data", (text: string) => {
            this.stderr += text;
            this.look();
        });
        // The bash ends with its container: the exit code of the command that started it says so.
        this.child.stdin.on("error", () => undefined);
        this.child.on("error", (error) => this.end(127, error.message));
        this.child.on("close", (code, signal) => this.end(code ?? 128, signal ? `\nended by ${signal}` : ""));
        this.keepsProcess(false);
    }

    get isOver(): boolean {
        return this.exitCode !== undefined;
    }

    get isBusy(): boolean {
        return this.answer !== undefined;
    }

    async run(
        args: readonly string[],
        { input, timeoutSeconds = COMMAND_SECONDS }: CommandOptions,
    ): Promise<Result> {
        this.keepsProcess(true);
        const result = new Promise<Result>((resolve) => (this.answer = resolve));
        const limit = setTimeout(() => {
            this.end(128, `\nended by SIGKILL; its limit was ${timeoutSeconds} s`);
            this.child.kill("SIGKILL");
        }, timeoutSeconds * 1000);
        const given = input === undefined ? "</dev/null" : `< <(printf %s ${quoted(input)})`;
        const marks = `printf '\\n${this.mark} %d\\n' $?; printf '\\n${this.mark}\\n' >&2`;
        this.child.stdin.write(`${args.map(quoted).join(" ")} ${given}; ${marks}\n`);
        try {
            return await result;
        } finally {
            clearTimeout(limit);
            this.keepsProcess(false);
        }
    }

    /** Checks whether both streams have reached the mark after the command. */
    private look(): void {
        const out = new RegExp(`\n${this.mark} (\\d+)\n$`).exec(this.stdout);
        if (out !== null && this.stderr.endsWith(`\n${this.mark}\n`)) {
            const stderr = this.stderr.slice(0, -this.mark.length - 2);
            this.give({ code: Number(out[1]), stdout: this.stdout.slice(0, out.index), stderr });
        }
    }

    private end(code: number, why: string): void {
        if (this.exitCode === undefined) {
            this.exitCode = code;
            this.give({ code, stdout: this.stdout, stderr: this.stderr + why });
        }
    }

    /** Ends the shell, now or when its running command has ended. */
    close(): void {
        this.child.stdin.end();
    }

    private give(result: Result): void {
        const { answer } = this;
        [this.answer, this.stdout, this.stderr] = [undefined, "", ""];
        answer?.(result);
    }

    /** An idle shell does not keep the test run from exiting: its input closes with the run, which ends the shell. */
    private keepsProcess(yes: boolean): void {
        const { child } = this;
        for (const each of [child, ...([child.stdin, child.stdout, child.stderr] as unknown as Socket[])]) {
            each[yes ? "ref" : "unref"]();
        }
    }
}

/** The shells of each place, all opened by the same command. */
export class Shells {
    private readonly open = new Map<string, Shell[]>();

    /** @param command the command that opens a bash at a place, such as a container's. */
    constructor(private readonly command: (place: string) => readonly [string, ...string[]]) {}

    /**
     * Runs a program in a place and returns its result, regardless of the exit code. If the shell cannot be opened or the
     * place disappears meanwhile, the result is that of the command that opens the shell.
     */
    run(place: string, args: readonly string[], options: CommandOptions = {}): Promise<Result> {
        const shells = (this.open.get(place) ?? []).filter((shell) => !shell.isOver);
        let shell = shells.find(({ isBusy }) => !isBusy);
        if (shell === undefined) {
            shell = new Shell(this.command(place));
            shells.push(shell);
        }
        this.open.set(place, shells);
        return shell.run(args, options);
    }

    /** Call this before a place starts or ends: the next command runs in a new shell. */
    forget(place: string): void {
        this.open.get(place)?.forEach((shell) => shell.close());
        this.open.delete(place);
    }

    /** The same for every place that meets the condition. */
    forgetAll(condition: (place: string) => boolean): void {
        [...this.open.keys()].filter(condition).forEach((place) => this.forget(place));
    }
}

function quoted(text: string): string {
    return `'${text.replace(/'/g, "'\\''")}'`;
}
