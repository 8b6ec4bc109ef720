/** The ways back: stop everything and keep its data, or give everything back. */
import * as fs from "node:fs";
import { spawnSync } from "node:child_process";

import { clusterNodes, removeCluster, stopCluster } from "./cluster";
import { ask } from "./docker-daemon/find";
import { stopEngine } from "./docker-daemon/start";
import { dockerChoice, names, places } from "./environment";
import { images } from "./pins";
import { say } from "./progress";
import { containerState } from "./registry";
import { attempt, run } from "./shell";

/** Stops what `local up` started; everything is kept, and the next `up` takes seconds. */
export async function down(): Promise<void> {
    const choice = dockerChoice();
    if (choice === undefined) {
        console.log("Nothing to stop: there is no local environment.");
        return;
    }
    if ((await ask(choice.host)) === undefined) {
        say("the Docker Engine does not run, so nothing of the environment does");
    } else {
        await stopCluster();
        say("cluster: stopped");
        if ((await containerState(names.registry)) === "running") {
            await run("docker", ["stop", names.registry]);
        }
        say("registry: stopped");
    }
    await stopEngine(choice);
    if (choice.startedBy !== undefined) {
        say("Docker Engine: stopped");
    }
}

/** Removes the cluster, the images, all caches and the state. */
export async function purge(): Promise<void> {
    const choice = dockerChoice();
    const { cache, state } = places();
    const before = gigabytesOf(cache) + gigabytesOf(state);
    if (choice !== undefined && (await ask(choice.host)) !== undefined) {
        if ((await clusterNodes()).length > 0) {
            await removeCluster();
            say("cluster: removed");
        }
        await attempt("docker", ["rm", "--force", "--volumes", names.registry]);
        say("registry: removed");
        if (choice.startedBy !== "hand") {
            await removeImages();
        }
    }
    if (choice !== undefined) {
        await stopEngine(choice);
    }
    for (const directory of [cache, state]) {
        if (fs.existsSync(directory)) {
            // Go's module cache is read-only, directories too.
            spawnSync("chmod", ["-R", "u+w", directory]);
            fs.rmSync(directory, { recursive: true });
        }
    }
    console.log(`${before.toFixed(1)} GB given back: ${cache} and ${state} are gone.`);
}

/** In an engine that is not our own, the images are what we left there. */
async function removeImages(): Promise<void> {
    const local = await run("docker", ["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    const ours = local.split("\n").filter((name) => /^(dabaweb\/|localhost:5001\/)/.test(name));
    const all = [images.node, images.registry, ...images.bases.map((each) => each.image), ...ours];
    await attempt("docker", ["rmi", ...all]);
    say(`images: removed where nothing else uses them`);
}

function gigabytesOf(directory: string): number {
    const { stdout } = spawnSync("du", ["-sk", directory], { encoding: "utf8" });
    return Number(stdout.split("\t")[0] || 0) / 1e6;
}
