/**
 * Pulumi's stacks for make: select or create, up, down. Pulumi writes a stack's encryption salt into its stack
 * file; here it gets a copy of that file in the state directory, so the committed one stays as it is.
 */
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { look } from "../operations/status";
import { dockerChoice, exported, names, places, readJson, stackFile, writeWhole } from "./environment";
import { birthOf, takeLock } from "./lock";
import { whatStays, waitUntilGone } from "./leftovers";
import { Refusal, run } from "./shell";
import { forThisMachine } from "./this-machine";
import { up as localUp, toolsUp } from "./up";

export const checkout = path.dirname(__dirname);
const projectFile = path.join(checkout, "Pulumi.yaml");
const project = /^name:\s*(\S+)/m.exec(fs.readFileSync(projectFile, "utf8"))![1]!;

/** A stack, by the file that is committed for it. */
export class Stack {
    /** The file that is committed. */
    readonly committed: string;
    /** The file that Pulumi gets. */
    readonly copy: string;

    constructor(readonly name: string) {
        this.committed = path.join(checkout, `Pulumi.${name}.yaml`);
        if (!/^[A-Za-z0-9._-]+$/.test(name) || !fs.existsSync(this.committed)) {
            throw new Refusal(
                `STACK is "${name}", and there is no Pulumi.${name}.yaml; there are ${stackNames().join(", ")}.`,
            );
        }
        this.copy = stackFile(project, name);
    }

    /** Whether it is deployed to the cluster that local/ made. */
    get isLocal(): boolean {
        return configured(this.committed, "kubeContext") === names.context;
    }

    /** Whether the backend of the local environment knows it. */
    get exists(): boolean {
        const stacks = path.join(places().backend, ".pulumi", "stacks", project);
        return ["json", "json.gz"].some((each) => fs.existsSync(path.join(stacks, `${this.name}.${each}`)));
    }

    /** Brings what the stack needs of the local environment, and gives the variables for everything that follows. */
    async environment(everything: boolean): Promise<void> {
        await (everything && this.isLocal ? localUp() : toolsUp());
        const { KUBECONFIG, ...rest } = exported(dockerChoice()?.host);
        // Another cluster is the user's, and so is the file that leads to it.
        Object.assign(process.env, rest, this.isLocal ? { KUBECONFIG } : {});
    }

    /** Creates the stack where the backend has none, and selects it in this checkout for plain `pulumi`. */
    async select(): Promise<void> {
        const folder = path.dirname(this.copy);
        this.refresh();
        fs.copyFileSync(projectFile, path.join(folder, "Pulumi.yaml"));
        if (!this.exists) {
            // In the copy's folder, since this is what writes the salt.
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
        await run("pulumi", ["--cwd", checkout, "stack", "select", this.name, "--non-interactive"]);
        await this.heal();
    }

    /** Runs a pulumi command on the stack, its output on the terminal. */
    pulumi(command: string, ...args: string[]): Promise<void> {
        const all = [command, "--stack", this.name, "--config-file", this.copy, ...args];
        return new Promise((resolve, reject) => {
            const child = spawn("pulumi", all, { cwd: checkout, stdio: "inherit" });
            // Pulumi gets Ctrl-C as well, and ends in its own time.
            const ignore = (): void => undefined;
            process.on("SIGINT", ignore);
            child.on("error", reject);
            child.on("close", (code, signal) => {
                process.off("SIGINT", ignore);
                const text = `\`pulumi ${command}\` of stack ${this.name} failed (${code ?? signal}); what it said is above.`;
                return code === 0 ? resolve() : reject(new Refusal(text));
            });
        });
    }

    /** The stack's state, as Pulumi keeps it. */
    async resources(): Promise<readonly ExportedResource[]> {
        const text = await run("pulumi", ["--cwd", checkout, "stack", "export", "--stack", this.name]);
        return (
            (JSON.parse(text) as { deployment: { resources?: ExportedResource[] } }).deployment.resources ??
            []
        );
    }

    /** Copies the committed file anew, for the local cluster with what this machine adds, and keeps the salt of the earlier copy. */
    private refresh(): void {
        const committed = fs.readFileSync(this.committed, "utf8");
        // What goes to another cluster is to be the same from every machine.
        const text = this.isLocal ? forThisMachine(committed, project) : committed;
        const salt =
            fs.existsSync(this.copy) && /^encryptionsalt:.*$/m.exec(fs.readFileSync(this.copy, "utf8"));
        const ours = /^encryptionsalt:/m.test(text) || !salt ? text : `${text.trimEnd()}\n${salt[0]}\n`;
        writeWhole(this.copy, ours, 0o600);
    }

    /** A run that was killed leaves the stack locked; a run that lives is named. */
    private async heal(): Promise<void> {
        const directory = path.join(places().backend, ".pulumi", "locks", "organization", project, this.name);
        for (const file of fs.existsSync(directory) ? fs.readdirSync(directory) : []) {
            const lock = readJson<PulumiLock>(path.join(directory, file));
            if (lock === undefined) {
                continue;
            }
            if (lock.hostname === os.hostname() && birthOf(lock.pid) === undefined) {
                console.log(
                    `Stack ${this.name} was locked by process ${lock.pid}, which is dead: lock removed.`,
                );
                await run("pulumi", ["--cwd", checkout, "cancel", "--yes", "--stack", this.name]);
                return;
            }
            throw new Refusal(
                `Stack ${this.name} is locked by process ${lock.pid} of ${lock.username} on ${lock.hostname}; wait until ` +
                    `it has ended. (If it never will: \`pulumi cancel --stack ${this.name}\`.)`,
            );
        }
    }
}

export interface ExportedResource {
    readonly urn: string;
    readonly type: string;
    readonly protect?: boolean;
    readonly inputs?: Record<string, unknown>;
    readonly retainOnDelete?: boolean;
}

interface PulumiLock {
    readonly pid: number;
    readonly username: string;
    readonly hostname: string;
}

/** One setting of a stack file that is a plain word; the program reads these files as what they are. */
function configured(file: string, key: string): string | undefined {
    return new RegExp(`^\\s*["']?${project}:${key}["']?:\\s*["']?([^\\s"'#]+)`, "m").exec(
        fs.readFileSync(file, "utf8"),
    )?.[1];
}

function stackNames(): string[] {
    return fs.readdirSync(checkout).flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []);
}

const commands: Record<string, (stack: Stack) => Promise<void>> = {
    /** The whole way: environment, stack, deployment, and a look whether it works. */
    up: async (stack) => {
        await stack.environment(true);
        await stack.select();
        try {
            await stack.pulumi("up", "--yes", "--skip-preview");
            smoke(stack);
        } catch (error) {
            await sayWhatIsWrong(stack);
            throw error;
        }
    },
    down: async (stack) => {
        if (!stack.exists) {
            console.log(`Stack ${stack.name} was never deployed from here: there is nothing to destroy.`);
            return;
        }
        await stack.environment(true);
        await stack.select();
        const resources = await stack.resources();
        // Without its preview, Pulumi would find that out when it has deleted what is not protected.
        const held = resources.filter(({ protect }) => protect).map(({ urn }) => urn.split("::").at(-1));
        if (held.length > 0) {
            throw new Refusal(
                `Stack ${stack.name} is protected and was not touched: ${held.join(", ")}. To let it go: ` +
                    `\`pulumi state unprotect --all --stack ${stack.name}\`, then again; volumes are kept even then.`,
            );
        }
        const left = whatStays(resources);
        await stack.pulumi("destroy", "--yes", "--skip-preview");
        if (stack.isLocal) {
            await waitUntilGone(left);
        }
    },
};

/** Pulumi tells which object did not become ready; the pods tell why, in their last words. */
async function sayWhatIsWrong(stack: Stack): Promise<void> {
    const problems = await look(stack.name).then(
        (seen) => seen.problems,
        (error: Error) => [error.message],
    );
    problems.forEach((problem) => console.log(`wrong: ${problem}`));
}

function smoke(stack: Stack): void {
    const script = path.join(checkout, "test", "e2e", "smoke.ts");
    const args = ["-r", "ts-node/register/transpile-only", script, stack.name];
    const { status } = spawnSync(process.execPath, args, { cwd: checkout, stdio: "inherit" });
    if (status !== 0) {
        throw new Refusal(
            `Stack ${stack.name} is deployed, but does not do what it should; what failed is above.`,
        );
    }
}

async function main(command = "", name = ""): Promise<void> {
    const work = commands[command];
    if (work === undefined) {
        throw new Refusal(`"${command}" is no command; there are ${Object.keys(commands).join(", ")}.`);
    }
    const stack = new Stack(name);
    const release = takeLock(`stack-${name}`, `make ${command} STACK=${name}`);
    try {
        await work(stack);
    } finally {
        release();
    }
}

if (require.main === module) {
    main(...process.argv.slice(2)).catch((error: unknown) => {
        console.error(error instanceof Refusal ? error.message : error);
        process.exitCode = 1;
    });
}
