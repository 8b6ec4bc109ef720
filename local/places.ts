/**
 * The one place that knows where the local environment lies, which names and ports it takes, and which variables lead the
 * plain tools to it. One per user and machine, shared by all checkouts, apart from the user's own configuration.
 */
import * as os from "node:os";
import * as path from "node:path";

import { readJson } from "./machine/files";

/** This checkout of the project. */
export const CHECKOUT = path.dirname(__dirname);

const project = "dabaweb-pulumi";

/** Directories: what can be made again lies in the cache, what cannot in the state. */
export interface Directories {
    readonly cache: string;
    readonly state: string;
}

/**
 * Finds the directories by the XDG base directory rules.
 * @see https://specifications.freedesktop.org/basedir-spec/latest/
 */
export function directories(env: NodeJS.ProcessEnv = process.env): Directories {
    const home = env.HOME ?? os.homedir();
    return {
        cache: path.join(absolute(env.XDG_CACHE_HOME) ?? path.join(home, ".cache"), project),
        state: path.join(absolute(env.XDG_STATE_HOME) ?? path.join(home, ".local", "state"), project),
    };
}

/** Files and folders inside the directories. */
export function places({ cache, state }: Directories = directories()) {
    return {
        cache,
        state,
        /** Tools for PATH. Plugins lie elsewhere: those on PATH shadow the installed ones, and Pulumi warns. */
        bin: path.join(cache, "bin"),
        downloads: path.join(cache, "downloads"),
        buildCaches: path.join(cache, "build"),
        pulumiHome: path.join(cache, "pulumi"),
        dockerData: path.join(cache, "docker"),
        dockerSocket: path.join(state, "docker.sock"),
        dockerPid: path.join(state, "docker.pid"),
        dockerLog: path.join(state, "dockerd.log"),
        dockerConfig: path.join(state, "daemon.json"),
        /** Which daemon holds the environment. */
        dockerChoice: path.join(state, "docker.json"),
        kubeconfig: path.join(state, "kubeconfig"),
        backend: path.join(state, "pulumi"),
        passphrase: path.join(state, "passphrase"),
        registryData: path.join(state, "registry"),
        /** Stands as long as this state belongs to the cluster that runs. */
        cluster: path.join(state, "cluster.json"),
        origins: path.join(state, "origins.json"),
        /** What images are built on where that is not Docker Hub's. */
        bases: path.join(state, "bases.json"),
        steps: path.join(state, "steps.json"),
        testTimes: path.join(state, "test-times.json"),
        locks: path.join(state, "locks"),
        stacks: path.join(state, "stacks"),
    };
}

export const names = {
    cluster: "dabaweb",
    context: "kind-dabaweb",
    registry: "dabaweb-registry",
    /** kind's own network; the registry joins it. */
    network: "kind",
} as const;

/** All on 127.0.0.1. */
export const ports = {
    /** macOS occupies 5000. */
    registry: 5001,
    api: 26443,
    /** nodePorts that this machine can open, and those alone. */
    node: [32000, 32001, 32002, 32003, 32004, 32005, 32006, 32007, 32008, 32009],
} as const;

/**
 * The variables that make plain `pulumi`, `kubectl` and `docker` use the local environment.
 *
 * @param dockerHost - set where Docker's default socket is not the one in use
 */
export function exported(
    dockerHost: string | undefined,
    env: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
    const place = places(directories(env));
    const node = path.dirname(process.execPath);
    const rest = (env.PATH ?? "").split(path.delimiter).filter((each) => each !== place.bin && each !== node);
    return {
        PATH: [place.bin, node, ...rest].join(path.delimiter),
        PULUMI_HOME: place.pulumiHome,
        PULUMI_BACKEND_URL: fileBackend(place.backend),
        PULUMI_CONFIG_PASSPHRASE_FILE: place.passphrase,
        PULUMI_SKIP_UPDATE_CHECK: "true",
        // The types are checked by `npm test`; checking them in every run costs seconds.
        PULUMI_NODEJS_TRANSPILE_ONLY: "true",
        KUBECONFIG: place.kubeconfig,
        // What kubectl remembers of a cluster goes into ~/.kube otherwise.
        KUBECACHEDIR: path.join(place.cache, "kubectl"),
        ...(dockerHost === undefined ? {} : { DOCKER_HOST: dockerHost }),
    };
}

/**
 * The URL of a Pulumi backend in a folder. Every state would have a file of attributes beside it, which is not written
 * in one piece: an `up` that was killed in that moment leaves an empty one, and nothing reads the state any more
 * ("failed to load checkpoint: EOF"). https://pkg.go.dev/gocloud.dev/blob/fileblob#MetadataOption
 */
export const fileBackend = (folder: string): string => `file://${folder}?metadata=skip`;

/**
 * The copy of a stack file that everything local works with: Pulumi writes a stack's encryption salt into its stack
 * file, and the committed one is to stay as it is.
 */
export function copiedStackFile(project: string, stack: string, place = places()): string {
    return path.join(place.stacks, project, `Pulumi.${stack}.yaml`);
}

/** What `eval` in a POSIX shell turns into these variables, whatever characters they hold. */
export function exportLines(variables: Record<string, string>): string {
    return Object.entries(variables)
        .map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`)
        .join("");
}

/** Which daemon holds the environment, as the step that found or started it wrote down. */
export interface DockerChoice {
    /** What DOCKER_HOST has to be; none for Docker's default socket. */
    readonly host?: string;
    /** Who stops it: nobody where it is the user's own. */
    readonly startedBy?: "hand" | "systemd";
}

export function dockerChoice(place = places()): DockerChoice | undefined {
    return readJson<DockerChoice>(place.dockerChoice);
}

/** The XDG rules tell to ignore relative paths. */
function absolute(directory: string | undefined): string | undefined {
    return directory !== undefined && path.isAbsolute(directory) ? directory : undefined;
}
/** Where it is reached from this machine and, by the nodes' configuration, from the cluster. */

export const registryAddress = `localhost:${ports.registry}`;
