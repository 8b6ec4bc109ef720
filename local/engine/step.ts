/** The Docker Engine as a step: found, or installed and started. */
import { missing } from "../machine/apt";
import { writeWhole } from "../machine/files";
import { attempt } from "../machine/shell";
import { dockerChoice, type DockerChoice, places } from "../places";
import { remember } from "../state/origins";
import { ENGINE_STEP, type Plan, type Step } from "../steps/step";
import { ask, findEngine } from "./find";
import { startEngine, systemdRuns } from "./start";

/** Everything after this step uses the engine that it chose. */
export class DockerStep implements Step {
    readonly name = ENGINE_STEP;

    async plan(): Promise<Plan> {
        const decision = await findEngine();
        if (decision.way === "use") {
            const { host, version } = decision.engine;
            talkTo(host);
            const detail = `${version}${host ? ` at ${host}` : ""}`;
            return {
                way: dockerChoice() === undefined ? "found" : "ready",
                detail,
                minutes: 0,
                gigabytes: 0,
            };
        }
        const installed = (await attempt("dockerd", ["--version"])).code === 0;
        return {
            way: "start",
            detail: decision.why,
            minutes: installed ? 0.2 : 1,
            gigabytes: installed ? 0 : 0.4,
            packages: await missing([...(installed ? [] : ["docker.io"]), "iptables"]),
            asRoot: [systemdRuns() ? "systemctl start docker" : "dockerd, started by hand"],
        };
    }

    async run(): Promise<void> {
        const decision = await findEngine();
        const choice: DockerChoice =
            decision.way === "use"
                ? { host: decision.engine.host, startedBy: decision.startedBy }
                : await startEngine();
        // Recorded before anything is created in it, so that nothing is ever looked for in another engine.
        writeWhole(places().dockerChoice, `${JSON.stringify(choice)}\n`);
        talkTo(choice.host);
        remember(this.name, (await ask(choice.host))?.version ?? "unknown", "found");
    }
}

/** Applies to everything that this process starts from now on. */
function talkTo(host: string | undefined): void {
    delete process.env.DOCKER_CONTEXT;
    if (host !== undefined) {
        process.env.DOCKER_HOST = host;
    }
}
