/**
 * The only place that defines where the local environment is stored, which names and ports it uses, and which variables
 * point the plain tools to it. There is one environment per user and machine. All checkouts share it, and it is separate from
 * the user's own configuration.
 */
import * as os from "node:os";
import * as path from "node:path";

import { QUICKLY_COMPILED } from "../operations/compiled";
import { readJson } from "./machine/files";

/** This checkout of the project. */
export const CHECKOUT = path.dirname(__dirname);

const project = "dabaweb-pulumi";

/** The cache holds what can be made again, the state what cannot. */
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
        /** Tools for PATH. Plugins are elsewhere: those on PATH shadow the installed ones, and Pulumi warns. */
        bin: path.join(cache, "bin"),
        downloads: path.join(cache, "downloads"),
        buildCaches: path.join(cache, "build"),
        pulumiHome: path.join(cache, "pulumi"),
        dockerData: path.join(cache, "docker"),
        dockerSocket: path.join(state, "docker.sock"),
        dockerPid: path.join(state, "docker.pid"),
        dockerLog: path.join(state, "dockerd.log"),
        dockerConfig: path.join(state, "daemon.json"),
        /** Which Docker daemon the environment runs in. */
        dockerChoice: path.join(state, "docker.json"),
        kubeconfig: path.join(state, "kubeconfig"),
        backend: path.join(state, "pulumi"),
        passphrase: path.join(state, "passphrase"),
        registryData: path.join(state, "registry"),
        storeData: path.join(state, "store"),
        /** Exists while this state belongs to the running cluster. */
        cluster: path.join(state, "cluster.json"),
        origins: path.join(state, "origins.json"),
        /** The base images in use that are not Docker Hub's. */
        bases: path.join(state, "bases.json"),
        exampleBases: path.join(state, "example-bases.json"),
        steps: path.join(state, "steps.json"),
        testTimes: path.join(state, "test-times.json"),
        locks: path.join(state, "locks"),
        stacks: path.join(state, "stacks"),
        /** What `make env` puts before the tools on PATH: a `pulumi` that keeps the stack file and its copy alike. */
        plain: path.join(state, "plain"),
    };
}

export const names = {
    cluster: "dabaweb",
    context: "kind-dabaweb",
    registry: "dabaweb-registry",
    store: "dabaweb-store",
    /** kind's own network; the registry and the store join it. */
    network: "kind",
} as const;

/** All on 127.0.0.1. */
export const ports = {
    /** macOS occupies 5000. */
    registry: 5001,
    /** The same inside the cluster. */
    store: 5002,
    api: 26443,
    /** The only nodePorts that can be opened from this machine. */
    node: [32000, 32001, 32002, 32003, 32004, 32005, 32006, 32007, 32008, 32009],
} as const;

/**
 * The variables that make plain `pulumi`, `kubectl` and `docker` use the local environment.
 *
 * @param dockerHost - set if Docker's default socket is not the one in use
 */
export function exported(
    dockerHost: string | undefined,
    env: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
    const place = places(directories(env));
    const node = path.dirname(process.execPath);
    const own = [place.bin, place.plain, node];
    const rest = (env.PATH ?? "").split(path.delimiter).filter((each) => !own.includes(each));
    return {
        PATH: [place.bin, node, ...rest].join(path.delimiter),
        PULUMI_HOME: place.pulumiHome,
        PULUMI_BACKEND_URL: fileBackend(place.backend),
        PULUMI_CONFIG_PASSPHRASE_FILE: place.passphrase,
        PULUMI_SKIP_UPDATE_CHECK: "true",
        ...QUICKLY_COMPILED,
        KUBECONFIG: place.kubeconfig,
        // Otherwise kubectl caches what it knows about a cluster in ~/.kube.
        KUBECACHEDIR: path.join(place.cache, "kubectl"),
        ...(dockerHost === undefined ? {} : { DOCKER_HOST: dockerHost }),
    };
}

/**
 * The URL of a Pulumi backend in a folder. Without metadata=skip, every state has a file of attributes next to it, which is
 * not written atomically: an `up` that is killed at that moment leaves an empty file, and the state can no longer be read
 * ("failed to load checkpoint: EOF"). https://pkg.go.dev/gocloud.dev/blob/fileblob#MetadataOption
 */
export const fileBackend = (folder: string): string => `file://${folder}?metadata=skip`;

/**
 * The copy of a stack file that everything local uses: Pulumi writes a stack's encryption salt into its stack file, and
 * the committed file must stay as it is.
 */
export function copiedStackFile(project: string, stack: string, place = places()): string {
    return path.join(place.stacks, project, `Pulumi.${stack}.yaml`);
}

/** The lines that set these variables with `eval` in a POSIX shell, whatever characters they contain. */
export function exportLines(variables: Record<string, string>): string {
    return Object.entries(variables)
        .map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`)
        .join("");
}

/** Which Docker daemon the environment runs in, as recorded by the step that found or started it. */
export interface DockerChoice {
    /** The value of DOCKER_HOST; undefined for Docker's default socket. */
    readonly host?: string;
    /** What stops it; undefined for the user's own daemon, which is never stopped. */
    readonly startedBy?: "hand" | "systemd";
}

export function dockerChoice(place = places()): DockerChoice | undefined {
    return readJson<DockerChoice>(place.dockerChoice);
}

/** The XDG rules say that relative paths are ignored. */
function absolute(directory: string | undefined): string | undefined {
    return directory !== undefined && path.isAbsolute(directory) ? directory : undefined;
}

/** The registry's address on this machine and, through the nodes' configuration, in the cluster. */
export const registryAddress = `localhost:${ports.registry}`;
