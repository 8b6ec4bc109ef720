/** The stack `faults`: the program of this checkout, or a touched copy of it, brought up with Pulumi. */
import { ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { writeWhole } from "../../local/environment";
import { run } from "../../local/shell";
import { copyProgram } from "../support/copy";
import { command, waitFor } from "../support/docker";
import { files } from "./cluster";

const STACK = "faults";
const ROOT = path.resolve(__dirname, "../..");
/** Longer than what any component waits for. */
const PULUMI_SECONDS = 25 * 60;

/** Pulumi writes the salt of its secrets into this copy, and a fault its settings. */
const stackFile = path.join(files.folder, `Pulumi.${STACK}.yaml`);

/** Makes the stack; nothing is deployed by it. */
export async function initialise(): Promise<void> {
    fs.copyFileSync(path.join(ROOT, `Pulumi.${STACK}.yaml`), stackFile);
    fs.copyFileSync(path.join(ROOT, "Pulumi.yaml"), path.join(files.folder, "Pulumi.yaml"));
    const args = ["stack", "init", STACK, "--no-select", "--non-interactive"];
    await run("pulumi", ["--cwd", files.folder, ...args]);
}

function pulumiArguments(args: readonly string[], folder: string): string[] {
    const file = args[0] === "stack" || args[0] === "cancel" ? [] : ["--config-file", stackFile];
    return [...args, "--non-interactive", "--cwd", folder, "--stack", STACK, ...file];
}

/** Runs Pulumi on the stack; a failure throws with all that it said. */
export async function pulumi(args: readonly string[], folder = ROOT): Promise<string> {
    const options = { timeoutSeconds: PULUMI_SECONDS };
    const { code, stdout, stderr } = await command("pulumi", pulumiArguments(args, folder), options);
    if (code !== 0) {
        throw new Error(
            `pulumi ${args.join(" ")}: exit code ${code}\n${stdout.slice(-4000)}\n${stderr.slice(-2000)}`,
        );
    }
    return stdout;
}

/** Deploys the program of a folder; by default that of this checkout. */
export async function up(folder = ROOT): Promise<void> {
    await pulumi(["up", "--yes", "--skip-preview"], folder);
}

/** Changes one setting, as a user would in the stack file; it counts from the next `up`. */
export async function configure(key: string, value: string): Promise<void> {
    await pulumi(["config", "set-all", "--path", "--plaintext", `dabaweb:${key}=${value}`]);
}

/** A running `pulumi up` that a fault comes between. */
export class RunningUp {
    private readonly child: ChildProcess;
    private output = "";
    private code: number | undefined;

    /** @param env variables besides this process's own */
    constructor(folder = ROOT, env: Record<string, string> = {}) {
        this.child = spawn("pulumi", pulumiArguments(["up", "--yes", "--skip-preview"], folder), {
            env: { ...process.env, ...env },
            stdio: ["ignore", "pipe", "pipe"],
            // A group of its own, so that it can be killed with its language host and its plugins.
            detached: true,
        });
        const add = (text: Buffer): void => void (this.output += text.toString());
        this.child.stdout!.on("data", add);
        this.child.stderr!.on("data", add);
        this.child.on("close", (code) => (this.code = code ?? 128));
    }

    /** Waits until its output says something. */
    async says(pattern: RegExp, seconds: number): Promise<void> {
        await waitFor(`\`pulumi up\` to say ${pattern}`, seconds, () => {
            if (this.code !== undefined && !pattern.test(this.output)) {
                throw new Error(`it ended before: ${this.output.slice(-1000)}`);
            }
            return Promise.resolve(pattern.test(this.output));
        });
    }

    /** Its exit code. */
    async ended(seconds: number): Promise<number> {
        await waitFor("`pulumi up` to end", seconds, () => Promise.resolve(this.code !== undefined));
        return this.code!;
    }

    /** Ends it as a power cut would. */
    async kill(): Promise<void> {
        if (this.code === undefined) {
            process.kill(-this.child.pid!, "SIGKILL");
            await this.ended(30);
        }
    }
}

/** A copy of the program whose named files end in a further line. */
export function touchedProgram(lines: Readonly<Record<string, string>>): string {
    fs.rmSync(files.program, { recursive: true, force: true });
    fs.mkdirSync(files.program, { recursive: true });
    copyProgram(files.program, lines);
    return files.program;
}

/** What of the configuration matters for a result, as the stack has it now. */
export function keepStackFile(): () => void {
    const text = fs.readFileSync(stackFile, "utf8");
    return () => writeWhole(stackFile, text, 0o600);
}
