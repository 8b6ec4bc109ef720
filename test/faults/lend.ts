/**
 * Lends the three-node cluster of `make faults` to a command: `lend.ts COMMAND [ARGUMENT...]`. Creates the cluster, runs the
 * command with its variables and those that side-by-side.test.ts and howto-nodes.test.ts in test/e2e read, and removes the
 * cluster. Exits with the command's exit code.
 */
import { spawnSync } from "node:child_process";

import { partsUp } from "../../local/environment/up";
import { during } from "../../local/machine/progress";
import { dockerChoice, exported } from "../../local/places";
import { takeLock } from "../../local/state/lock";
import { Refusal, reportFailure } from "../../operations/refusal";
import { environment, make, NAME, NODE_PORTS, REGISTRY_ADDRESS, remove } from "./cluster";

async function main([file, ...args]: readonly string[]): Promise<void> {
    if (file === undefined) {
        throw new Refusal(
            "No command is given; add one, for example `npx mocha --spec test/e2e/side-by-side.test.ts`.",
        );
    }
    Object.assign(process.env, exported(dockerChoice()?.host));
    await partsUp();
    Object.assign(process.env, environment());
    const release = takeLock(`stack-${NAME}`, "test/faults/lend.ts");
    try {
        await during("cluster", () => make());
        const env = { ...process.env, TEST_REGISTRY: REGISTRY_ADDRESS, TEST_NODE_PORTS: NODE_PORTS.join() };
        const { status, error } = spawnSync(file, args, { stdio: "inherit", env });
        if (error !== undefined) {
            throw new Refusal(`Command ${file} cannot run: ${error.message}.`);
        }
        process.exitCode = status ?? 128;
    } finally {
        await remove("of this run").finally(release);
    }
}

reportFailure(main(process.argv.slice(2)));
