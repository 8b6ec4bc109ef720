import { deepStrictEqual, strictEqual } from "node:assert";
import { randomBytes } from "node:crypto";
import { join } from "node:path";

import { GRACE_SECONDS } from "../../components/pod";
import { redisMemory, redisMemoryEnv } from "../../components/redis";
import { Result } from "./command";
import { build, docker, exec, logs, QUICK_NAMES, Scope, untilLogged, waitFor } from "./docker";

const images = join(__dirname, "../../images");

/** The smallest memory limit of a pod that a stack file allows. */
const memory = 128 * 2 ** 20;
/** What Redis makes of it. */
export const sizes = redisMemory(memory);

/** How a container of a pod is started. */
export interface Pod {
    readonly volume: string;
    readonly env?: Readonly<Record<string, string>>;
    /** A volume for /run/initialised; if undefined, the ConfigMap does not exist. */
    readonly marker?: string;
    /** The name that other pods use for it. Default: the role's Service, `redis-master` or `redis-slave-pods`. */
    readonly alias?: string;
    readonly image?: string;
    /** Default 192.0.2.1, an address reserved for documentation. */
    readonly ip?: string;
}

/**
 * Redis pods of one test file, without a cluster: their own images, one network, one secret. Call `setUp` and
 * `tearDown` in hooks.
 */
export class RedisPods {
    readonly scope: Scope;
    readonly passwords: Record<"admin" | "replication" | "dabaweb", string> = {
        admin: randomBytes(16).toString("hex"),
        replication: randomBytes(16).toString("hex"),
        dabaweb: randomBytes(16).toString("hex"),
    };
    masterImage = "";
    slaveImage = "";
    network = "";
    /** The volume that is mounted as the Secret. */
    secrets = "";

    constructor(purpose: string) {
        this.scope = new Scope(purpose);
    }

    /** Builds the images, creates the network and passwords. */
    async setUp(): Promise<void> {
        const base = process.env["REDIS_IMAGE"];
        const make = (name: string): Promise<string> =>
            build({
                context: images,
                dockerfile: join(images, name, "Dockerfile"),
                tag: `${this.scope.prefix}-${name}`,
                buildArgs: base === undefined ? {} : { REDIS_IMAGE: base },
            });
        this.masterImage = await make("redis-master");
        this.slaveImage = await make("redis-slave");
        this.network = await this.scope.network("net");
        this.secrets = await this.scope.filledVolume("secrets", this.passwords);
    }

    /** Removes everything. */
    async tearDown(): Promise<void> {
        await this.scope.close();
        for (const image of [this.masterImage, this.slaveImage]) {
            if (image !== "") {
                await docker(["rmi", "--no-prune", image]);
            }
        }
    }

    startMaster(name: string, pod: Pod): Promise<string> {
        return this.start(name, { image: this.masterImage, alias: "redis-master", ...pod });
    }

    startSlave(name: string, masterHost: string, pod: Pod): Promise<string> {
        const env = {
            MASTER_HOST: masterHost,
            MASTER_PORT: "6379",
            MAX_STALE_SECONDS: "10",
            MAX_MASTER_AWAY_SECONDS: "600",
            ...pod.env,
        };
        return this.start(name, { image: this.slaveImage, alias: "redis-slave-pods", ...pod, env });
    }

    private start(name: string, pod: Pod & { readonly image: string }): Promise<string> {
        return this.scope.run({
            image: pod.image,
            name,
            network: this.network,
            env: {
                POD_NAME: name,
                POD_IP: pod.ip ?? "192.0.2.1",
                ...redisMemoryEnv(memory),
                SLAVES_HOST: "redis-slave-pods",
                SLAVES_PORT: "6379",
                ...pod.env,
            },
            mounts: {
                [pod.volume]: "/data",
                [this.secrets]: "/run/secrets/redis:ro",
                ...(pod.marker === undefined ? {} : { [pod.marker]: "/run/initialised:ro" }),
            },
            tmpfs: ["/run/redis", "/tmp"],
            memory: String(memory),
            options: [...QUICK_NAMES, ...(pod.alias === undefined ? [] : ["--network-alias", pod.alias])],
        });
    }
}

/** Queries a pod's own server as the operator does. */
export async function redis(pod: string, ...args: string[]): Promise<string> {
    const result = await exec(pod, ["redis-cli", ...args]);
    return (result.stdout + result.stderr).trim();
}

export const ready = (pod: string): Promise<Result> => exec(pod, ["ready"]);

export async function untilReady(...pods: string[]): Promise<void> {
    for (const pod of pods) {
        await waitFor(
            `${pod} is ready`,
            60,
            async () => {
                const { code, stdout, stderr } = await ready(pod);
                strictEqual(code, 0, stdout + stderr);
                return true;
            },
            { explain: () => logs(pod) },
        );
    }
}

/** Waits until slaves have the link to their master: without it, they are ready until their data is too old. */
export async function untilLinked(...slaves: string[]): Promise<void> {
    for (const slave of slaves) {
        await waitFor(
            `${slave} has the link to its master`,
            60,
            async () => /^master_link_status:up\r?$/m.test(await redis(slave, "INFO", "replication")),
            { explain: () => logs(slave) },
        );
    }
}

/** Waits until pods are alive, of which their probe says nothing. The kubelet asks again, too, after an answer that took too long. */
export async function untilAlive(...pods: string[]): Promise<void> {
    for (const pod of pods) {
        await waitFor(`${pod} is alive`, 60, async () => {
            const { code, stdout, stderr } = await exec(pod, ["live"]);
            deepStrictEqual({ code, text: stdout + stderr }, { code: 0, text: "" });
            return true;
        });
    }
}

/** Waits until a pod is alive and not ready for this reason, which `ready` prints in one line. */
export async function untilUnready(pod: string, reason: RegExp): Promise<string> {
    const text = await waitFor(`${pod} is unready because ${reason}`, 60, async () => {
        const result = await ready(pod);
        if (result.code !== 0 && reason.test(result.stdout)) {
            return result.stdout;
        }
        throw new Error(`exit code ${result.code}: ${result.stdout}${result.stderr}`);
    });
    strictEqual(text.trim().split("\n").length, 1, "the reason is one line");
    await untilAlive(pod);
    return text.trim();
}

/** Waits until a pod is alive and not ready for this reason, which is in its log and in the output of `ready`. */
export async function untilWaits(pod: string, reason: RegExp): Promise<void> {
    await untilUnready(pod, reason);
    await untilLogged(pod, reason);
}

/** Stops a pod as the kubelet does and returns the seconds and the exit code. */
export async function stop(pod: string): Promise<{ seconds: number; code: number }> {
    const begin = Date.now();
    await docker(["stop", "-t", String(GRACE_SECONDS), pod]);
    const code = Number(await docker(["inspect", "-f", "{{.State.ExitCode}}", pod]));
    return { seconds: (Date.now() - begin) / 1000, code };
}

/** The identity in the data of a pod. */
export const identity = (pod: string): Promise<string> => redis(pod, "FCALL_RO", "identity", "0");
/** The identity in the file next to the data of a pod. */
export const identityFile = async (pod: string): Promise<string> =>
    (await exec(pod, ["cat", "/data/identity"])).stdout.trim();

/** The heartbeat in the data of a pod, in ms, or 0. */
export const heartbeat = async (pod: string): Promise<number> =>
    Number(await redis(pod, "-n", "15", "GET", "heartbeat"));

export async function untilValue(pod: string, key: string, value: string): Promise<void> {
    await waitFor(`${key} is ${value} on ${pod}`, 60, async () => (await redis(pod, "GET", key)) === value);
}

/** Prints the logs of pods: the lines of the engine and of `start` are the only report of a failed wait. */
export async function dump(...pods: string[]): Promise<void> {
    for (const pod of pods) {
        console.log(`--- ${pod}\n${await logs(pod)}`);
    }
}
