/** Which Docker Engine the environment uses: the one it was created in, else the user's active one, else our own. */
import { Refusal } from "../../operations/refusal";
import { attempt, STUCK_MS } from "../machine/shell";
import { dockerAtLeast, isAtLeast } from "../pins";
import { dockerChoice, type DockerChoice, places } from "../places";

export interface Engine {
    readonly host?: string;
    readonly version: string;
}

/** Asks an engine for its version; undefined if it does not answer. */
export async function ask(host: string | undefined): Promise<Engine | undefined> {
    const answer = await attempt("docker", ["version", "--format", "{{.Server.Version}}"], {
        env: host === undefined ? {} : { DOCKER_HOST: host, DOCKER_CONTEXT: undefined },
        timeout: STUCK_MS,
    });
    const version = answer.output.trim();
    return answer.code === 0 && version !== "" ? { host, version } : undefined;
}

/** The value of DOCKER_HOST for the engine that plain `docker` uses now; undefined for the default socket. */
async function activeHost(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
    if (env.DOCKER_HOST) {
        return env.DOCKER_HOST;
    }
    const { output } = await attempt("docker", [
        "context",
        "inspect",
        "--format",
        "{{.Endpoints.docker.Host}}",
    ]);
    const host = output.trim();
    return host === "" || host === "unix:///var/run/docker.sock" ? undefined : host;
}

export interface Facts {
    /** The engine that the environment was created in. */
    readonly chosen?: DockerChoice;
    readonly chosenAnswers?: Engine;
    /** The engine that plain `docker` uses, if one answers. */
    readonly active?: Engine;
    readonly ownSocket: string;
}

export type Decision =
    | { readonly way: "use"; readonly engine: Engine; readonly startedBy?: DockerChoice["startedBy"] }
    | { readonly way: "start"; readonly why: string };

/** Decides from facts alone. */
export function decide({ chosen, chosenAnswers, active, ownSocket }: Facts): Decision {
    if (chosen !== undefined) {
        if (chosenAnswers !== undefined) {
            return { way: "use", engine: chosenAnswers, startedBy: chosen.startedBy };
        }
        if (chosen.startedBy !== undefined) {
            return { way: "start", why: "the environment's engine is not running" };
        }
        throw new Refusal(
            `The Docker Engine at ${chosen.host ?? "Docker's default socket"} holds the local environment but does not ` +
                `answer; start it. (To discard that environment instead: \`make local-purge\`.)`,
        );
    }
    if (active === undefined) {
        return { way: "start", why: "no Docker Engine answers" };
    }
    if (!isAtLeast(active.version, dockerAtLeast)) {
        throw new Refusal(
            `The Docker Engine that answers has version ${active.version}, but ${dockerAtLeast} or newer is required; update it.`,
        );
    }
    // With the variables of `make env`, or after the state was lost, plain `docker` already uses our own engine.
    return { way: "use", engine: active, startedBy: active.host === ownSocket ? "hand" : undefined };
}

/** Collects the facts and decides. */
export async function findEngine(): Promise<Decision> {
    const ownSocket = `unix://${places().dockerSocket}`;
    const chosen = dockerChoice();
    if (chosen !== undefined) {
        return decide({ chosen, chosenAnswers: await ask(chosen.host), ownSocket });
    }
    const active = (await ask(await activeHost())) ?? (await ask(ownSocket));
    return decide({ active, ownSocket });
}
