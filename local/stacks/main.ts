/** `make up` and `make down`: deploy a stack with everything that it needs, and destroy it again. */
import { spawnSync } from "node:child_process";
import * as path from "node:path";

import { Refusal } from "../../operations/refusal";
import { look } from "../../operations/status";
import { CHECKOUT } from "../places";
import { whatStays } from "../state/deployed";
import { takeLock } from "../state/lock";
import { waitUntilGone } from "./leftovers";
import { Stack } from "./stack";

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
    const script = path.join(CHECKOUT, "test", "e2e", "smoke.ts");
    const args = ["-r", "ts-node/register/transpile-only", script, stack.name];
    const { status } = spawnSync(process.execPath, args, { cwd: CHECKOUT, stdio: "inherit" });
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

main(...process.argv.slice(2)).catch((error: unknown) => {
    console.error(error instanceof Refusal ? error.message : error);
    process.exitCode = 1;
});
