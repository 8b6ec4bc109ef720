/**
 * `make up` and `make down` deploy a stack with everything that it needs, and destroy it again. `make env` prints the exports
 * for plain `pulumi`.
 */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { Refusal, reportFailure } from "../../operations/refusal";
import { look } from "../../operations/status";
import { exampleBasesUp } from "../environment/up";
import { writeWhole } from "../machine/files";
import { CHECKOUT, dockerChoice, exported, exportLines, places } from "../places";
import { whatStays } from "../state/deployed";
import { takeLock } from "../state/lock";
import { waitUntilGone } from "./leftovers";
import { askForRestore } from "./restore";
import { Stack } from "./stack";

const commands: Record<string, (stack: Stack, given: readonly string[]) => Promise<void>> = {
    /** Everything: environment, stack, deployment, and a check that it works. */
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
        console.log(await signIn(stack));
    },
    /** Restores MySQL in place. */
    restore: async (stack, [AT = "", GTID = "", BASE = "", UNDO = ""]) => {
        askForRestore(stack.committed, { AT, GTID, BASE, UNDO });
        await commands.up!(stack, []);
    },
    down: async (stack) => {
        if (!stack.exists) {
            console.log(`Stack ${stack.name} was never deployed from here: there is nothing to destroy.`);
            return;
        }
        await stack.environment(true);
        await stack.select();
        const resources = await stack.resources();
        // Without a preview, Pulumi would notice this only after it has deleted what is not protected.
        const held = resources.filter(({ protect }) => protect).map(({ urn }) => urn.split("::").at(-1));
        if (held.length > 0) {
            throw new Refusal(
                `Stack ${stack.name} is protected and was not touched: ${held.join(", ")}. To delete it, run ` +
                    `\`pulumi state unprotect --all --stack ${stack.name}\`, then try again; volumes are kept even then.`,
            );
        }
        const left = whatStays(resources);
        await stack.pulumi("destroy", "--yes", "--skip-preview");
        if (stack.isLocal) {
            await waitUntilGone(left);
        }
    },
};

async function signIn(stack: Stack): Promise<string> {
    const { url, firstAdmin } = await stack.outputs();
    return [
        `To sign in at ${url}/admin/ as ${firstAdmin.username}, read the password with:`,
        // The local cluster is not in the user's own kubeconfig.
        ...(stack.isLocal ? [`  eval "$(make -s env STACK=${stack.name})"`] : []),
        `  ${firstAdmin.passwordCommand}`,
    ].join("\n");
}

/** Pulumi reports which object did not become ready; the last words of the pods say why. */
async function sayWhatIsWrong(stack: Stack): Promise<void> {
    const problems = await look(stack.name).then(
        (seen) => seen.problems,
        (error: Error) => [error.message],
    );
    problems.forEach((problem) => console.log(`wrong: ${problem}`));
}

function smoke(stack: Stack): void {
    const script = path.join(CHECKOUT, "test", "e2e", "smoke.ts");
    const args = ["-r", "ts-node/register/transpile-only", script, stack.name];
    const { status } = spawnSync(process.execPath, args, { cwd: CHECKOUT, stdio: "inherit" });
    if (status !== 0) {
        throw new Refusal(
            `Stack ${stack.name} is deployed, but does not work as it should; the failures are listed above.`,
        );
    }
}

/** The folder for PATH whose `pulumi` keeps the stack file and its copy alike. */
function plainPulumi(): string {
    const folder = places().plain;
    const program = fs.readFileSync(path.join(__dirname, "plain.sh"), "utf8");
    writeWhole(path.join(folder, "pulumi"), program, 0o755);
    return folder;
}

/** For plain `pulumi`, `kubectl` and `docker` on a stack. Pulumi uses the last variable as --config-file. */
function printExports(stack: Stack): void {
    const { PATH, ...rest } = exported(dockerChoice()?.host);
    const variables = {
        PATH: [plainPulumi(), PATH].join(path.delimiter),
        ...rest,
        PULUMI_OPTION_CONFIG_FILE: stack.copy,
        // For plain.sh.
        DABAWEB_CHECKOUT: CHECKOUT,
        DABAWEB_STACK_FILE: stack.committed,
        DABAWEB_STACK_COPY: stack.copy,
    };
    process.stdout.write(exportLines(variables));
}

/** Sets up whatever an example needs, so that `pulumi up` in its folder deploys it. */
async function prepare(stack: Stack, example: string): Promise<void> {
    // Standard output is for the exports.
    console.log = console.error;
    const release = takeLock(`stack-${example}-${stack.name}`, `make env EXAMPLE=${example}`);
    try {
        await stack.environment(true);
        if (stack.isLocal) {
            await exampleBasesUp();
        }
        await stack.select();
    } finally {
        release();
    }
}

async function env(name: string, example = ""): Promise<void> {
    const stack = new Stack(name, example || undefined);
    try {
        if (example !== "") {
            await prepare(stack, example);
        }
    } catch (error) {
        // Without them, what is typed next would reach the user's own cluster. `eval` itself fails with the last line.
        printExports(stack);
        process.stdout.write("false\n");
        throw error;
    }
    printExports(stack);
}

async function main(command = "", name = "", ...given: string[]): Promise<void> {
    if (command === "env") {
        return env(name, given[0]);
    }
    const work = commands[command];
    if (work === undefined) {
        throw new Refusal(
            `"${command}" is not a command; the commands are ${Object.keys(commands).join(", ")}, env.`,
        );
    }
    const stack = new Stack(name);
    const release = takeLock(`stack-${name}`, `make ${command} STACK=${name}`);
    try {
        await work(stack, given);
    } finally {
        release();
    }
}

reportFailure(main(...process.argv.slice(2)));
