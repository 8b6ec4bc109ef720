import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as path from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { baseArguments } from "../../components/bases";
import { images, tagged } from "../../local/pins";
import { ownBases } from "../../local/state/bases";
import { command, CommandOptions, PATIENCE, Result } from "./command";
import { Shells } from "./shells";
import { spending } from "./spent";

/** Runs the docker CLI against the daemon that the environment or the active context names. */
export function tryDocker(args: readonly string[], options: CommandOptions = {}): Promise<Result> {
    if (LIVES.includes(args[0] ?? "")) {
        args.slice(1).forEach((container) => shells.forget(container));
    }
    return command("docker", args, options);
}

/** The commands that start or stop a container, and with it everything that runs there. */
const LIVES = ["start", "stop", "restart", "kill", "rm"];

const shells = new Shells((container) => ["docker", "exec", "-i", container, "bash"]);

/** The same, but a failure throws; returns standard output without surrounding white space. */
export async function docker(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const result = await tryDocker(args, options);
    if (result.code !== 0) {
        throw new Error(
            `docker ${args.join(" ")}: exit code ${result.code}\n${result.stdout}${result.stderr}`,
        );
    }
    return result.stdout.trim();
}

/**
 * The configuration of a base image.
 *
 * @throws Error that says how to get the image, if the engine does not have it
 */
export async function baseConfig(image: string): Promise<unknown> {
    const { code, stdout } = await tryDocker(["image", "inspect", "--format", "{{json .Config}}", image]);
    if (code !== 0) {
        throw new Error(
            `The Docker Engine has no ${image}; run \`local/run local/environment/main.ts up-with-examples\`.`,
        );
    }
    return JSON.parse(stdout);
}

/** Builds an image of the product, on the base that this machine uses, and returns its tag. */
export async function build(options: {
    /** Build context. */
    readonly context: string;
    /** Path of the Dockerfile. */
    readonly dockerfile: string;
    readonly tag: string;
    readonly buildArgs?: Readonly<Record<string, string>>;
    /** Default 600. */
    readonly timeoutSeconds?: number;
}): Promise<string> {
    const bases = baseArguments(options.dockerfile, { own: ownBases() });
    const buildArgs = Object.entries({ ...bases, ...options.buildArgs }).flatMap(([k, v]) => [
        "--build-arg",
        `${k}=${v}`,
    ]);
    await docker(["build", "-t", options.tag, "-f", options.dockerfile, ...buildArgs, options.context], {
        timeoutSeconds: options.timeoutSeconds ?? 600,
    });
    return options.tag;
}

/** Runs a command in a running container, in a bash that stays open; returns its result, regardless of the exit code. */
export function exec(
    container: string,
    args: readonly string[],
    options: CommandOptions = {},
): Promise<Result> {
    return shells.run(container, args, options);
}

/** Standard output and standard error of a container so far. */
export async function logs(container: string): Promise<string> {
    const result = await tryDocker(["logs", container]);
    return result.stdout + result.stderr;
}

/** The address of a running container in its only network. */
export function networkAddress(container: string): Promise<string> {
    const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    return docker(["inspect", "-f", format, container]);
}

/**
 * Pauses a container or node, runs `during`, and lets it continue. With cgroup v1 runc gives up after two seconds ("unable to
 * freeze") if a process in it is being created or waits for the disk (https://github.com/opencontainers/runc/pull/2791).
 */
export async function whilePaused<T>(container: string, during: () => Promise<T>): Promise<T> {
    await waitFor(
        `${container} to be paused`,
        30,
        async () => (await docker(["pause", container])) !== undefined,
    );
    try {
        return await during();
    } finally {
        await docker(["unpause", container]);
    }
}

/** Waits for a line in the log of a container, from this or an earlier start. Follows the log as it is written. */
export async function untilLogged(container: string, line: RegExp, deadlineSeconds = 60): Promise<void> {
    await waitFor(`${line.source} in the log of ${container}`, deadlineSeconds, async () => {
        const said = await readLog(container, line, PATIENCE * deadlineSeconds);
        if (line.test(said)) {
            return true;
        }
        // It has ended, or time is up.
        throw new Error(said.slice(-2000));
    });
}

/** Follows a log until it has a line, the container has ended, or the time is up; returns the whole log. */
function readLog(container: string, line: RegExp, seconds: number): Promise<string> {
    return new Promise((resolve, reject) => {
        const child = spawn("docker", ["logs", "--follow", container], { timeout: seconds * 1000 });
        let said = "";
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding("utf8").on("data", (text: string) => {
                said += text;
                if (line.test(said)) {
                    child.kill();
                }
            });
        }
        child.on("error", reject).on("close", () => resolve(said));
    });
}

/**
 * Calls `probe` until it returns something other than false; one that only asserts returns true at its end. The deadline is what an idle machine needs at
 * most; when {@link PATIENCE} times as much has passed, throws an error with the description, the last failure, and the
 * result of `explain`. Unless `pauseMs` sets the pause between calls, the pause grows with the time waited.
 */
export function waitFor<T extends NonNullable<unknown> | null>(
    description: string,
    deadlineSeconds: number,
    probe: () => Promise<T | false>,
    { pauseMs, explain }: { pauseMs?: number; explain?: () => Promise<string> } = {},
): Promise<T> {
    const seconds = PATIENCE * deadlineSeconds;
    return spending("wait", async () => {
        const begun = Date.now();
        for (;;) {
            let failure = "";
            try {
                const value = await probe();
                if (value !== false) {
                    return value;
                }
            } catch (error) {
                failure = `: ${error instanceof Error ? error.message : String(error)}`;
            }
            const waited = Date.now() - begun;
            if (waited > seconds * 1000) {
                const why = explain === undefined ? "" : `\n${await explain()}`;
                throw new Error(`not within ${seconds} s: ${description}${failure}${why}`);
            }
            await pause(pauseMs ?? Math.min(Math.max(waited / 10, 50), 1000));
        }
    });
}

/**
 * Container options that limit the lookup of an unknown name to two seconds instead of ten: a cluster's DNS answers at once,
 * but Docker asks the host's. On a busy machine, the first answer about a known name can be late.
 */
export const QUICK_NAMES = ["--dns-opt=timeout:1", "--dns-opt=attempts:2"] as const;

/**
 * The value of `-v`. An empty volume would take over the content and the owner of the image's folder at that path, which
 * no Kubernetes volume does; host paths do not do this.
 */
function mount(source: string, target: string): string {
    if (source.startsWith("/")) {
        return `${source}:${target}`;
    }
    return target.endsWith(":ro") ? `${source}:${target},nocopy` : `${source}:${target}:nocopy`;
}

/** How a container is started. */
export interface RunOptions {
    readonly image: string;
    /** Name within the scope; the container also answers to it on its network. */
    readonly name: string;
    /** A network that the same scope created or that existed before. */
    readonly network?: string;
    readonly env?: Readonly<Record<string, string>>;
    /** Volume name or host path -> mount point, followed by ":ro" if it is read-only. */
    readonly mounts?: Readonly<Record<string, string>>;
    /** Directories in memory that uid 10001 may write. */
    readonly tmpfs?: readonly string[];
    /** Memory limit as docker writes it, e.g. "128m". */
    readonly memory?: string;
    /** Additional options of `docker run`, before the image. */
    readonly options?: readonly string[];
    /** Arguments of the entrypoint. */
    readonly args?: readonly string[];
}

/** The image of the container that looks into volumes: any image with bash and coreutils. */
const KEEPER = tagged(images.bases[0].image);

/**
 * Containers, networks and volumes of one test file. Every real name has a random prefix, so that parallel runs and
 * leftovers of a killed run do no harm; `close` removes all of it.
 */
export class Scope {
    readonly prefix: string;
    private readonly containers = new Set<string>();
    private readonly networks = new Set<string>();
    private readonly volumes = new Set<string>();
    /** The container that sees all volumes, if it has been started. */
    private keeper: Promise<string> | undefined;

    constructor(purpose: string) {
        this.prefix = `${purpose}-${randomBytes(4).toString("hex")}`;
    }

    /** The real name of `name` in this scope. */
    named(name: string): string {
        return `${this.prefix}-${name}`;
    }

    /** Creates a network and returns its real name. */
    async network(name: string): Promise<string> {
        const real = this.named(name);
        this.networks.add(real);
        await docker(["network", "create", real]);
        return real;
    }

    /** Creates an empty volume and returns its real name. */
    async volume(name: string): Promise<string> {
        const real = this.named(name);
        this.volumes.add(real);
        await docker(["volume", "create", real]);
        return real;
    }

    /**
     * Creates a volume whose root belongs to 10001:10001 and that contains the given files of one line each, owned by
     * root, group 10001, mode 0440, as Kubernetes mounts them.
     */
    async filledVolume(name: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
        const real = await this.volume(name);
        await this.fillVolume(real, files);
        return real;
    }

    /** Creates a volume as a pod gets it: empty, writable for uid 10001, with the lost+found of a real disk. */
    async disk(name: string): Promise<string> {
        const real = await this.volume(name);
        await this.inVolume(real, "chown 10001:10001 .; mkdir lost+found");
        return real;
    }

    /** Creates a copy of another volume, which nothing may have open. */
    async copiedVolume(name: string, from: string): Promise<string> {
        const real = await this.volume(name);
        await this.inVolume(from, 'cp -a . "$1/"', { others: [real] });
        return real;
    }

    /** Writes more files of one line into a volume, as `filledVolume` does. */
    async fillVolume(volume: string, files: Readonly<Record<string, string>>): Promise<void> {
        const script =
            'chown 10001:10001 .; while read -r file text; do printf %s "$text" >"$file"; ' +
            'chown 0:10001 "$file"; chmod 0440 "$file"; done';
        const input = Object.entries(files)
            .map(([file, text]) => `${file} ${text}\n`)
            .join("");
        await this.inVolume(volume, script, { input });
    }

    /**
     * Runs a script as root in the root of a volume, and returns its output. The roots of other volumes are its arguments.
     * One long-running container sees all volumes of a scope: a container for each script would cost a hundred times as much.
     */
    async inVolume(
        volume: string,
        script: string,
        { input = "", others = [] }: { input?: string; others?: readonly string[] } = {},
    ): Promise<string> {
        this.keeper ??= this.keepVolumes(volume);
        const [first, ...rest] = [volume, ...others].map((each) => `/volumes/${each}/_data`);
        const args = ["bash", "-euc", `cd "$0"; ${script}`, first!, ...rest];
        const { code, stdout, stderr } = await exec(await this.keeper, args, { input });
        if (code !== 0) {
            throw new Error(`${script} in ${volume}: exit code ${code}\n${stdout}${stderr}`);
        }
        return stdout.trim();
    }

    /** Docker keeps the volumes of its local driver in one folder, on any machine. */
    private async keepVolumes(any: string): Promise<string> {
        const own = await docker(["volume", "inspect", "--format", "{{.Mountpoint}}", any]);
        const all = path.posix.dirname(path.posix.dirname(own));
        const name = this.named("volumes");
        this.containers.add(name);
        const options = [
            "--network",
            "none",
            "--user",
            "0:0",
            "--entrypoint",
            "sleep",
            "-v",
            `${all}:/volumes`,
        ];
        await docker(["run", "-d", "--name", name, ...options, KEEPER, "infinity"]);
        return name;
    }

    /** Removes volumes of this scope. */
    async removeVolumes(...volumes: string[]): Promise<void> {
        if (volumes.length > 0) {
            await docker(["volume", "rm", ...volumes]);
        }
        volumes.forEach((volume) => this.volumes.delete(volume));
    }

    /** Starts a container as restricted as a pod of this project (any uid, no capability, read-only root). */
    async run(options: RunOptions): Promise<string> {
        const real = this.named(options.name);
        const args = [
            "run",
            "-d",
            "--name",
            real,
            "--user",
            "10001:10001",
            "--cap-drop",
            "ALL",
            "--read-only",
        ];
        args.push("--security-opt", "no-new-privileges");
        if (options.network !== undefined) {
            args.push("--network", options.network, "--network-alias", options.name);
        }
        for (const [key, value] of Object.entries(options.env ?? {})) {
            args.push("-e", `${key}=${value}`);
        }
        for (const [source, target] of Object.entries(options.mounts ?? {})) {
            args.push("-v", mount(source, target));
        }
        for (const path of options.tmpfs ?? []) {
            args.push("--tmpfs", `${path}:uid=10001,gid=10001,mode=0770`);
        }
        // A swap limit equal to the memory limit means no swap, as in a pod.
        if (options.memory !== undefined) {
            args.push("-m", options.memory, "--memory-swap", options.memory);
        }
        args.push(...(options.options ?? []), options.image, ...(options.args ?? []));
        this.containers.add(real);
        await docker(args);
        return real;
    }

    /** Removes containers of this scope at once, running or not. */
    async remove(...containers: string[]): Promise<void> {
        if (containers.length > 0) {
            await docker(["rm", "-f", "-v", ...containers]);
        }
        containers.forEach((container) => this.containers.delete(container));
    }

    /** Removes everything that this scope created; throws if something is left. */
    async close(): Promise<void> {
        const failures: string[] = [];
        const remove = async (names: Set<string>, ...args: string[]): Promise<void> => {
            if (names.size > 0) {
                const { stderr } = await tryDocker([...args, ...names]);
                failures.push(...stderr.split("\n").filter((line) => line !== "" && !/no such/i.test(line)));
            }
            names.clear();
        };
        await remove(this.containers, "rm", "-f", "-v");
        await remove(this.networks, "network", "rm");
        await remove(this.volumes, "volume", "rm");
        if (failures.length > 0) {
            throw new Error(`${this.prefix}: could not remove all\n${failures.join("\n")}`);
        }
    }
}
