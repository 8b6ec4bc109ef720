/**
 * A Pulumi stack of the local backend. Pulumi writes a stack's encryption salt into its stack file, so it gets a copy of that
 * file in the state directory, and the committed file stays unchanged.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { Refusal } from "../../operations/refusal";
import { stackFile } from "../../operations/stack-file";
import type { StackOutputs } from "../../outputs";
import { toolsUp, up as localUp } from "../environment/up";
import { readJson } from "../machine/files";
import { run } from "../machine/shell";
import { CHECKOUT, copiedStackFile, places } from "../places";
import type { ExportedResource } from "../state/deployed";
import { birthOf } from "../state/lock";
import { isForLocalCluster, refreshCopy } from "./copy";
import { stackVariables } from "./variables";

/** A stack, identified by its committed stack file. */
export class Stack {
    /** Folder of the program. */
    readonly folder: string;
    /** The committed stack file. */
    readonly committed: string;
    /** The copy that Pulumi gets. */
    readonly copy: string;
    /** Name of the program. */
    private readonly project: string;

    /** @param example name of a folder in examples/; undefined for the system itself. */
    constructor(
        readonly name: string,
        example?: string,
    ) {
        this.folder = example === undefined ? CHECKOUT : exampleFolder(example);
        this.committed = example === undefined ? stackFile(name) : exampleStackFile(this.folder, name);
        const projectFile = fs.readFileSync(path.join(this.folder, "Pulumi.yaml"), "utf8");
        this.project = /^name:\s*(\S+)/m.exec(projectFile)![1]!;
        this.copy = copiedStackFile(this.project, name);
    }

    /** Whether it is deployed to the cluster that local/ made. */
    get isLocal(): boolean {
        return isForLocalCluster(this.committed, this.project);
    }

    /** Whether the backend of the local environment knows it. */
    get exists(): boolean {
        const stacks = path.join(places().backend, ".pulumi", "stacks", this.project);
        return ["json", "json.gz"].some((each) => fs.existsSync(path.join(stacks, `${this.name}.${each}`)));
    }

    /** Sets up what the stack needs of the local environment, and sets the variables for everything that follows. */
    async environment(everything: boolean): Promise<void> {
        await (everything && this.isLocal ? localUp() : toolsUp());
        Object.assign(process.env, stackVariables(this.isLocal));
    }

    /** Creates the stack if the backend does not have it, and selects it in this checkout for plain `pulumi`. */
    async select(): Promise<void> {
        const folder = path.dirname(this.copy);
        // First: a run that holds the lock uses the copy.
        await this.heal();
        refreshCopy(this.committed, this.copy, this.project);
        fs.copyFileSync(path.join(this.folder, "Pulumi.yaml"), path.join(folder, "Pulumi.yaml"));
        if (!this.exists) {
            // In the copy's folder, since this command writes the salt.
            await run("pulumi", [
                "--cwd",
                folder,
                "stack",
                "init",
                this.name,
                "--no-select",
                "--non-interactive",
            ]);
        }
        await run("pulumi", ["--cwd", this.folder, "stack", "select", this.name, "--non-interactive"]);
    }

    /** Runs a pulumi command on the stack, with its output on the terminal. */
    pulumi(command: string, ...args: string[]): Promise<void> {
        const all = [command, "--stack", this.name, "--config-file", this.copy, ...args];
        return new Promise((resolve, reject) => {
            const child = spawn("pulumi", all, { cwd: this.folder, stdio: "inherit" });
            // Pulumi receives Ctrl-C as well, and exits when it is done.
            const ignore = (): void => undefined;
            process.on("SIGINT", ignore);
            child.on("error", reject);
            child.on("close", (code, signal) => {
                process.off("SIGINT", ignore);
                const text = `\`pulumi ${command}\` of stack ${this.name} failed (${code ?? signal}); its output is above.`;
                return code === 0 ? resolve() : reject(new Refusal(text));
            });
        });
    }

    /** The resources in the stack's state. */
    async resources(): Promise<readonly ExportedResource[]> {
        const text = await run("pulumi", ["--cwd", this.folder, "stack", "export", "--stack", this.name]);
        return (
            (JSON.parse(text) as { deployment: { resources?: ExportedResource[] } }).deployment.resources ??
            []
        );
    }

    /** What the stack tells other programs. */
    async outputs(): Promise<StackOutputs> {
        const args = ["--cwd", this.folder, "stack", "output", "--json", "--stack", this.name];
        return JSON.parse(await run("pulumi", args)) as StackOutputs;
    }

    /** Removes the lock of a run that was killed; refuses if the run is alive, and names it. */
    private async heal(): Promise<void> {
        const directory = path.join(
            places().backend,
            ".pulumi",
            "locks",
            "organization",
            this.project,
            this.name,
        );
        for (const file of fs.existsSync(directory) ? fs.readdirSync(directory) : []) {
            const lock = readJson<PulumiLock>(path.join(directory, file));
            if (lock === undefined) {
                continue;
            }
            if (lock.hostname === os.hostname() && birthOf(lock.pid) === undefined) {
                console.log(
                    `Stack ${this.name} was locked by process ${lock.pid}, which is dead; the lock was removed.`,
                );
                await run("pulumi", ["--cwd", this.folder, "cancel", "--yes", "--stack", this.name]);
                return;
            }
            throw new Refusal(
                `Stack ${this.name} is locked by process ${lock.pid} of ${lock.username} on ${lock.hostname}; wait until ` +
                    `it ends. (If it never does: \`pulumi cancel --stack ${this.name}\`.)`,
            );
        }
    }
}

interface PulumiLock {
    readonly pid: number;
    readonly username: string;
    readonly hostname: string;
}

/** The examples, by the names of their folders. */
const EXAMPLES = path.join(CHECKOUT, "examples");

function exampleFolder(example: string): string {
    const all = fs.readdirSync(EXAMPLES).filter((each) => isDeployable(path.join(EXAMPLES, each)));
    if (!all.includes(example)) {
        throw new Refusal(`EXAMPLE is "${example}"; the examples are ${all.join(", ")}.`);
    }
    return path.join(EXAMPLES, example);
}

/** Whether a folder has a program that `make env` can prepare: one with a stack file. */
function isDeployable(folder: string): boolean {
    return fs.existsSync(path.join(folder, "Pulumi.dev.yaml"));
}

function exampleStackFile(folder: string, stack: string): string {
    const file = path.join(folder, `Pulumi.${stack}.yaml`);
    if (!fs.existsSync(file) || !/^[A-Za-z0-9._-]+$/.test(stack)) {
        throw new Refusal(
            `STACK is "${stack}", and there is no ${path.relative(CHECKOUT, file)}; create it, or unset STACK.`,
        );
    }
    return file;
}
