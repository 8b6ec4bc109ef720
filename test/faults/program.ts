/** The stacks of the failure matrix: the program of this checkout, or a changed copy of it, deployed with Pulumi. */
import { ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { parse, stringify } from "yaml";

import { writeWhole } from "../../local/machine/files";
import { run } from "../../local/machine/shell";
import { forThisMachine } from "../../local/stacks/this-machine";
import { parseStackFile } from "../../operations/stack-file";
import { look } from "../../operations/status";
import { command } from "../support/command";
import { copyProgram } from "../support/copy";
import { waitFor } from "../support/docker";
import { TEST_STACKS } from "../support/stacks";
import { System } from "../support/system";
import { files, NAME, NODE_PORTS, PORTS_OF_A_LANE, REGISTRY_ADDRESS } from "./cluster";

const ROOT = path.resolve(__dirname, "../..");
/** Longer than any component's timeout. */
const PULUMI_SECONDS = 25 * 60;

/** The settings of the stack file that differ per cluster and per lane. */
interface Placed {
    config: {
        "dabaweb:kubeContext": string;
        "dabaweb:registry": { address: string };
        "dabaweb:namespace": { name: string };
        "dabaweb:publicUrl": string;
        "dabaweb:service": { nodePort: number };
    };
}

/** The stack of one lane: the first is `Pulumi.faults.yaml`, the others are the same in their own namespaces. */
export class Program {
    readonly stack: string;
    readonly system: System;
    /** A folder for this lane only. */
    readonly folder: string;
    /** Ports of this machine through which the load enters. */
    readonly doors: readonly number[];
    /** A copy to which Pulumi writes the salt of its secrets, and a fault its settings. */
    private readonly stackFile: string;
    private readonly text: string;

    /** @param lane from 1 to `LANES_AT_MOST` */
    constructor(lane: number) {
        const suffix = lane === 1 ? "" : `-${lane}`;
        const [port, ...doors] = NODE_PORTS.slice((lane - 1) * PORTS_OF_A_LANE, lane * PORTS_OF_A_LANE);
        this.stack = `faults${suffix}`;
        this.doors = doors;
        this.folder = path.join(files.folder, this.stack);
        this.stackFile = path.join(this.folder, `Pulumi.${this.stack}.yaml`);
        const file = parse(fs.readFileSync(path.join(TEST_STACKS, "Pulumi.faults.yaml"), "utf8")) as Placed;
        file.config["dabaweb:kubeContext"] = `kind-${NAME}`;
        file.config["dabaweb:registry"].address = REGISTRY_ADDRESS;
        file.config["dabaweb:namespace"].name += suffix;
        file.config["dabaweb:publicUrl"] = `http://localhost:${port}`;
        file.config["dabaweb:service"].nodePort = port!;
        this.text = forThisMachine(stringify(file));
        this.system = new System(this.stack, parseStackFile(this.stack, this.text));
    }

    /** Creates the stack unless an earlier run left one; deploys nothing. */
    async initialise(): Promise<void> {
        if (fs.existsSync(this.stackFile)) {
            return;
        }
        fs.mkdirSync(this.folder, { recursive: true });
        fs.copyFileSync(path.join(ROOT, "Pulumi.yaml"), path.join(this.folder, "Pulumi.yaml"));
        writeWhole(this.stackFile, this.text, 0o600);
        const args = ["stack", "init", this.stack, "--no-select", "--non-interactive"];
        await run("pulumi", ["--cwd", this.folder, ...args]);
    }

    /** Runs Pulumi on the stack; throws with its output if it fails. */
    async pulumi(args: readonly string[], folder = ROOT): Promise<string> {
        const options = { timeoutSeconds: PULUMI_SECONDS };
        const { code, stdout, stderr } = await command("pulumi", this.arguments(args, folder), options);
        if (code !== 0) {
            throw new Error(
                `pulumi ${args.join(" ")}: exit code ${code}\n${stdout.slice(-4000)}\n${stderr.slice(-2000)}`,
            );
        }
        return stdout;
    }

    /** Deploys the program in a folder; by default, the one of this checkout. */
    async up(folder = ROOT): Promise<void> {
        await this.pulumi(["up", "--yes", "--skip-preview"], folder);
    }

    /** One setting of the stack file. */
    async setting(key: string): Promise<string> {
        return (await this.pulumi(["config", "get", "--path", `dabaweb:${key}`])).trim();
    }

    /** Changes one setting, as a user would do in the stack file; it takes effect with the next `up`. */
    async configure(key: string, value: string): Promise<void> {
        await this.pulumi(["config", "set-all", "--path", "--plaintext", `dabaweb:${key}=${value}`]);
    }

    /** What `make status` says is wrong with the stack. */
    async problems(): Promise<readonly string[]> {
        // It reads the stack file by the stack's name.
        process.env.DABAWEB_STACKS = this.folder;
        return (await look(this.stack)).problems;
    }

    /** Starts an `up` that a fault interrupts. */
    startUp(folder = ROOT, env: Record<string, string> = {}): RunningUp {
        return new RunningUp(this.arguments(["up", "--yes", "--skip-preview"], folder), env);
    }

    /** Creates a copy of the program with a line appended to each of these files; returns its folder. */
    touched(lines: Readonly<Record<string, string>>): string {
        const folder = path.join(this.folder, "program");
        fs.rmSync(folder, { recursive: true, force: true });
        fs.mkdirSync(folder, { recursive: true });
        copyProgram(folder, lines);
        return folder;
    }

    /** Remembers the stack file as it is now; returns a function that restores it. */
    keepStackFile(): () => void {
        const text = fs.readFileSync(this.stackFile, "utf8");
        return () => writeWhole(this.stackFile, text, 0o600);
    }

    /** Destroys and recreates a stack that a fault has broken for good, so that the next fault starts from a healthy one. */
    async anew(): Promise<void> {
        await this.pulumi(["refresh", "--yes", "--skip-preview"]).catch(() => "");
        const { system } = this;
        const bounds = ["--wait=true", "--timeout=300s", "--ignore-not-found"];
        await system.kubectl(["delete", "namespace", system.namespace, ...bounds], { timeoutSeconds: 310 });
        await this.pulumi(["refresh", "--yes", "--skip-preview"]);
        await this.up();
    }

    /** Destroys the stack's objects, if the stack exists. */
    async down(): Promise<void> {
        if (!fs.existsSync(this.stackFile)) {
            return;
        }
        await this.pulumi(["destroy", "--yes", "--skip-preview"]);
    }

    private arguments(args: readonly string[], folder: string): string[] {
        const file = ["stack", "cancel"].includes(args[0]!) ? [] : ["--config-file", this.stackFile];
        return [...args, "--non-interactive", "--cwd", folder, "--stack", this.stack, ...file];
    }
}

/** A running `pulumi up` that a fault interrupts. */
export class RunningUp {
    private readonly child: ChildProcess;
    private output = "";
    private code: number | undefined;

    /** @param env variables in addition to this process's own */
    constructor(args: readonly string[], env: Record<string, string>) {
        this.child = spawn("pulumi", args, {
            env: { ...process.env, ...env },
            stdio: ["ignore", "pipe", "pipe"],
            // Its own process group, so that it can be killed with its language host and plugins.
            detached: true,
        });
        const add = (text: Buffer): void => void (this.output += text.toString());
        this.child.stdout!.on("data", add);
        this.child.stderr!.on("data", add);
        this.child.on("close", (code) => (this.code = code ?? 128));
    }

    /** Waits until its output matches a pattern. */
    async says(pattern: RegExp, seconds: number): Promise<void> {
        await waitFor(`\`pulumi up\` to print ${pattern}`, seconds, () => {
            if (this.code !== undefined && !pattern.test(this.output)) {
                throw new Error(`it ended before that: ${this.output.slice(-1000)}`);
            }
            return Promise.resolve(pattern.test(this.output));
        });
    }

    /** Waits until it ends, and returns its exit code. */
    async ended(seconds: number): Promise<number> {
        await waitFor("`pulumi up` to end", seconds, () => Promise.resolve(this.code !== undefined));
        return this.code!;
    }

    /** Kills it as a power cut would. */
    async kill(): Promise<void> {
        if (this.code === undefined) {
            process.kill(-this.child.pid!, "SIGKILL");
            await this.ended(30);
        }
    }
}
