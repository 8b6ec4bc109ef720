/** Services of the local environment: containers on loopback whose data is in the state directory. */
import * as fs from "node:fs";

import { checkPorts } from "../machine/disk-and-ports";
import { say } from "../machine/progress";
import { attempt, run, STUCK_MS, until } from "../machine/shell";
import type { Plan, Step } from "../steps/step";

/** What distinguishes one service from another. */
export interface Service {
    /** Name of the step, and in messages. */
    readonly name: string;
    readonly needs: readonly string[];
    /** Name of the container. */
    readonly container: string;
    /** Port on loopback, and the one in the container. */
    readonly port: number;
    readonly containerPort: number;
    /** Folder of its data on this machine, and in the container. */
    readonly data: string;
    readonly containerData: string;
    readonly env: readonly string[];
    /** The image and its arguments. */
    readonly command: () => Promise<readonly string[]>;
    /** Path of a page, and whether an answer to it shows that the service works. */
    readonly page: string;
    readonly isWell: (answer: Response) => boolean;
}

export class ServiceStep implements Step {
    readonly name: string;
    readonly needs: readonly string[];
    readonly asksEngine = true;

    constructor(private readonly service: Service) {
        this.name = service.name;
        this.needs = service.needs;
    }

    async plan(): Promise<Plan> {
        const { container, port } = this.service;
        const detail = `localhost:${port}`;
        if ((await containerState(container)) !== "running") {
            await checkPorts([port], `the local ${this.name}`);
        } else if (await this.answers()) {
            return { way: "ready", detail, minutes: 0, gigabytes: 0 };
        }
        return { way: "start", detail, minutes: 0.1, gigabytes: 0 };
    }

    async run(): Promise<void> {
        const { container, port } = this.service;
        const state = await containerState(container);
        if (state === undefined) {
            await this.create();
        } else if (state !== "running") {
            say(`${this.name}: starting the stopped container`);
            await run("docker", ["start", container]);
        }
        const remedy = `See \`docker logs ${container}\`.`;
        await until(`the ${this.name} to answer at localhost:${port}`, 30, () => this.answers(), remedy);
    }

    private async answers(): Promise<boolean> {
        const { port, page, isWell } = this.service;
        try {
            const signal = AbortSignal.timeout(STUCK_MS);
            return isWell(await fetch(`http://127.0.0.1:${port}${page}`, { signal }));
        } catch {
            return false;
        }
    }

    private async create(): Promise<void> {
        const { container, port, containerPort, data, containerData, env, command } = this.service;
        fs.mkdirSync(data, { recursive: true });
        // A container that was created but could not start would block the next run.
        try {
            await run("docker", [
                ...["run", "--detach", "--restart=unless-stopped", "--name", container],
                ...["--publish", `127.0.0.1:${port}:${containerPort}`],
                ...["--volume", `${data}:${containerData}`],
                // So that the user can remove the data.
                ...["--user", `${process.getuid!()}:${process.getgid!()}`],
                ...env.flatMap((each) => ["--env", each]),
                ...(await command()),
            ]);
        } catch (error) {
            await attempt("docker", ["rm", "--force", container]);
            throw error;
        }
    }
}

/** Lets the nodes and the pods reach a container by its name. */
export async function joinNetwork(network: string, container: string): Promise<void> {
    if (!(await isJoined(network, container))) {
        await run("docker", ["network", "connect", network, container]);
    }
}

/** Whether a container exists and is on a network. */
export async function isJoined(network: string, container: string): Promise<boolean> {
    const format = `{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}`;
    const { output } = await attempt("docker", ["inspect", "--format", format, container]);
    return output.split(/\s+/).includes(network);
}

/** Docker's word for a container's state; undefined if there is no such container. */
export async function containerState(name: string): Promise<string | undefined> {
    const { code, output } = await attempt("docker", [
        ...["container", "inspect", "--format", "{{.State.Status}}", name],
    ]);
    return code === 0 ? output.trim() : undefined;
}
