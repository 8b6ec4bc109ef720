/** The ways back: stop everything and keep its data, or remove everything. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";

import { madeNetwork, removeCluster } from "../cluster/cluster";
import { clusterNodes, stopCluster } from "../cluster/nodes";
import { ask } from "../engine/find";
import { containerState } from "../engine/service";
import { stopEngine } from "../engine/start";
import { say } from "../machine/progress";
import { attempt, run } from "../machine/shell";
import { dockerChoice, names, places, registryAddress } from "../places";
import { refuseOtherClusters } from "../state/lost-stacks";
import { type Part, readOrigins } from "../state/origins";

/** Stops what `local up` started. Everything is kept, and the next `up` takes seconds. */
export async function down(): Promise<void> {
    const choice = dockerChoice();
    if (choice === undefined) {
        console.log("Nothing to stop: there is no local environment.");
        return;
    }
    if ((await ask(choice.host)) === undefined) {
        say("the Docker Engine is not running, and so neither is the environment");
    } else {
        await stopCluster();
        say("cluster: stopped");
        for (const service of ["registry", "store"] as const) {
            if ((await containerState(names[service])) === "running") {
                await run("docker", ["stop", names[service]]);
            }
            say(`${service}: stopped`);
        }
    }
    await stopEngine(choice);
    if (choice.startedBy !== undefined) {
        say("Docker Engine: stopped");
    }
}

/**
 * Removes the cluster, the images, all caches and the state.
 *
 * @throws Refusal if a stack runs on another cluster: without its state, nobody could change or destroy it.
 */
export async function purge(): Promise<void> {
    const choice = dockerChoice();
    const { cache, state, backend } = places();
    refuseOtherClusters(backend);
    const before = gigabytesOf(cache) + gigabytesOf(state);
    if (choice !== undefined && (await ask(choice.host)) !== undefined) {
        const made = madeNetwork();
        if ((await clusterNodes()).length > 0) {
            await removeCluster();
            say("cluster: removed");
        }
        await attempt("docker", ["rm", "--force", "--volumes", names.registry, names.store]);
        say("registry and store: removed");
        if (made) {
            // If another cluster uses the network, it stays.
            await attempt("docker", ["network", "rm", names.network]);
        }
        if (choice.startedBy !== "hand") {
            await removeImages();
        }
    }
    if (choice !== undefined) {
        await stopEngine(choice);
    }
    for (const directory of [cache, state]) {
        if (fs.existsSync(directory)) {
            // Go's module cache is read-only, including its directories.
            spawnSync("chmod", ["-R", "u+w", directory]);
            fs.rmSync(directory, { recursive: true });
        }
    }
    console.log(`${before.toFixed(1)} GB freed: ${cache} and ${state} were removed.`);
}

/** Removes from an engine that is not our own what came with the environment, and nothing that was there before. */
async function removeImages(): Promise<void> {
    const { output } = await attempt("docker", ["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    // It is no failure if an image has lost this name, or if a container of someone else uses it.
    for (const name of broughtImages(output.split("\n"), readOrigins())) {
        await attempt("docker", ["rmi", name]);
    }
    say(
        "images: removed if nothing else uses them; Docker's build cache is left to you: `docker builder prune`",
    );
}

/**
 * @param there every image of the engine, by name and tag
 * @param parts of the environment, and of its earlier pins
 */
export function broughtImages(there: readonly string[], parts: readonly Part[]): string[] {
    const made = there.filter(
        (name) => name.startsWith("dabaweb/") || name.startsWith(`${registryAddress}/`),
    );
    const brought = parts
        .filter(({ origin }) => origin !== "found")
        .flatMap(
            ({ part, images }) =>
                // Before names were recorded, a part had the name of its image.
                images ?? (part.includes(":") ? [part] : []),
        );
    return [...new Set([...made, ...brought])];
}

function gigabytesOf(directory: string): number {
    const { stdout } = spawnSync("du", ["-sk", directory], { encoding: "utf8" });
    return Number(stdout.split("\t")[0] || 0) / 1e6;
}
