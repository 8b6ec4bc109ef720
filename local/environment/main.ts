/**
 * The local environment's commands: up, up-with-examples, tools, down, purge, plan, status; and for other scripts
 * `with COMMAND...` and `with-docker COMMAND...`, which set up whatever is missing and run the command in the environment.
 */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";

import { Refusal, reportFailure } from "../../operations/refusal";
import { table } from "../../operations/table";
import { clusterNodes, isReady } from "../cluster/nodes";
import { ask } from "../engine/find";
import { containerState } from "../engine/service";
import { dockerChoice, exported, names, places } from "../places";
import { takeLock } from "../state/lock";
import { announcement, planAll } from "../steps/announcement";
import { allPlugins } from "../tools/plugins";
import { down, purge } from "./down";
import { allSteps, dockerUp, exampleBasesUp, pulumiUp, up } from "./up";

const commands: Record<string, (args: readonly string[]) => Promise<void>> = {
    up,
    "up-with-examples": async () => {
        await up();
        await exampleBasesUp();
    },
    tools: () => pulumiUp(allPlugins),
    down: locked("make local-down", down),
    purge: locked("make local-purge", purge),
    plan: async () => {
        console.log(announcement(await planAll(allSteps())));
    },
    status,
    with: (args) => inside(up, args),
    "with-docker": (args) => inside(dockerUp, args),
};

async function inside(bring: () => Promise<void>, [command, ...args]: readonly string[]): Promise<void> {
    if (command === undefined) {
        throw new Refusal("No command to run in the local environment is given; name one.");
    }
    await bring();
    const env = { ...process.env, ...exported(dockerChoice()?.host) };
    const { status, error } = spawnSync(command, args, { stdio: "inherit", env });
    if (error !== undefined) {
        throw new Refusal(`\`${command}\` cannot be run: ${error.message}.`);
    }
    process.exitCode = status ?? 1;
}

/** Every stack runs on what this stops or removes, so no command on a stack may be running either. */
function locked(what: string, work: () => Promise<void>): () => Promise<void> {
    return async () => {
        const { locks } = places();
        const stacks = fs.existsSync(locks)
            ? fs.readdirSync(locks).filter((each) => each.startsWith("stack-"))
            : [];
        const taken: (() => void)[] = [];
        try {
            for (const name of ["environment", ...stacks]) {
                taken.push(takeLock(name, what));
            }
            await work();
        } finally {
            taken.forEach((release) => release());
        }
    };
}

async function status(): Promise<void> {
    const choice = dockerChoice();
    const engine = choice && (await ask(choice.host));
    const nodes = engine ? await clusterNodes() : [];
    const rows = [
        ["Docker Engine", engine ? engine.version : "not running"],
        ["registry", (engine && (await containerState(names.registry))) ?? "absent"],
        ["store", (engine && (await containerState(names.store))) ?? "absent"],
        ["cluster", nodes.length === 0 ? "absent" : (await isReady()) ? "ready" : "not ready"],
        ...nodes.map((node) => [node.name, node.running ? "running" : "stopped"]),
    ];
    console.log(table(["part", "state"], rows));
}

async function main(name = "", ...args: string[]): Promise<void> {
    const command = commands[name];
    if (command === undefined) {
        throw new Refusal(
            `"${name}" is not a command; the commands are ${Object.keys(commands).join(", ")}.`,
        );
    }
    // Every command uses the environment's engine and tools, whatever the caller's shell has set.
    Object.assign(process.env, exported(dockerChoice()?.host));
    await command(args);
}

reportFailure(main(...process.argv.slice(2)));
