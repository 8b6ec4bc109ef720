/** The registry on loopback: a container whose data is in the state directory. */
import * as fs from "node:fs";

import { nameHere } from "../engine/images";
import { checkPorts } from "../machine/disk-and-ports";
import { say } from "../machine/progress";
import { attempt, run, STUCK_MS, until } from "../machine/shell";
import { images, tagged } from "../pins";
import { names, places, ports, registryAddress } from "../places";
import type { Plan, Step } from "../steps/step";

export class RegistryStep implements Step {
    readonly name = "registry";
    readonly needs = ["registry image"];
    readonly asksEngine = true;

    async plan(): Promise<Plan> {
        if ((await containerState(names.registry)) !== "running") {
            await checkPorts([ports.registry], "the local registry");
        } else if (await answers()) {
            return { way: "ready", detail: registryAddress, minutes: 0, gigabytes: 0 };
        }
        return { way: "start", detail: registryAddress, minutes: 0.1, gigabytes: 0 };
    }

    async run(): Promise<void> {
        const state = await containerState(names.registry);
        if (state === undefined) {
            await this.create();
        } else if (state !== "running") {
            say("registry: starting the stopped container");
            await run("docker", ["start", names.registry]);
        }
        const remedy = `See \`docker logs ${names.registry}\`.`;
        await until(`the registry to answer at ${registryAddress}`, 30, answers, remedy);
    }

    private async create(): Promise<void> {
        const data = places().registryData;
        fs.mkdirSync(data, { recursive: true });
        // A container that was created but could not start would block the next run.
        try {
            await run("docker", [
                ...["run", "--detach", "--restart=unless-stopped", "--name", names.registry],
                ...["--publish", `127.0.0.1:${ports.registry}:5000`],
                ...["--volume", `${data}:/var/lib/registry`],
                // So that the user can remove the data.
                ...["--user", `${process.getuid!()}:${process.getgid!()}`],
                ...["--env", "REGISTRY_STORAGE_DELETE_ENABLED=true", "--env", "OTEL_TRACES_EXPORTER=none"],
                await registryImage(),
            ]);
        } catch (error) {
            await attempt("docker", ["rm", "--force", names.registry]);
            throw error;
        }
    }
}

/** The name that the registry's image has here: one that was built here has no digest. */
export async function registryImage(): Promise<string> {
    return (await nameHere(images.registry)) ?? tagged(images.registry);
}

/** Lets the nodes reach a registry by its name. */
export async function joinNetwork(network: string, registry: string = names.registry): Promise<void> {
    const format = `{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}`;
    const joined = await run("docker", ["inspect", "--format", format, registry]);
    if (!joined.split(" ").includes(network)) {
        await run("docker", ["network", "connect", network, registry]);
    }
}

/** Docker's word for a container's state; undefined if there is no such container. */
export async function containerState(name: string): Promise<string | undefined> {
    const { code, output } = await attempt("docker", [
        ...["container", "inspect", "--format", "{{.State.Status}}", name],
    ]);
    return code === 0 ? output.trim() : undefined;
}

async function answers(): Promise<boolean> {
    try {
        return (
            await fetch(`http://127.0.0.1:${ports.registry}/v2/`, { signal: AbortSignal.timeout(STUCK_MS) })
        ).ok;
    } catch {
        return false;
    }
}
