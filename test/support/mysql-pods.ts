import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { resolve } from "node:path";

import { GRACE_SECONDS } from "../../components/pod";
import { COMMAND_SECONDS, Result } from "./command";
import {
    build,
    docker,
    exec,
    logs,
    QUICK_NAMES,
    Scope,
    tryDocker,
    untilLogged,
    waitFor,
    whilePaused,
} from "./docker";
import { spending } from "./spent";

const product = resolve(__dirname, "../../images");

/** The folder of the images' programs. */
export const bin = "/opt/dabaweb/bin";

/** The accounts' passwords, as they are mounted. */
export type Passwords = Record<"root" | "replication" | "seed" | "dabaweb" | "migration", string>;

/** Passwords like those of Pulumi's random provider: 32 letters and digits. */
export function newPasswords(): Passwords {
    const one = (): string =>
        randomBytes(64)
            .toString("base64")
            .replace(/[^A-Za-z0-9]/g, "")
            .slice(0, 32);
    return { root: one(), replication: one(), seed: one(), dabaweb: one(), migration: one() };
}

/** A pod: its volume and, while it is running, its container. */
export interface Pod {
    readonly name: string;
    readonly role: "master" | "slave";
    readonly volume: string;
    container?: string;
}

/** The content of /run/initialised. */
export interface Marker {
    /** The system was ready once. */
    readonly initialised?: boolean;
    /** How many slaves the stack has; if undefined, the file is missing. */
    readonly slaves?: number;
    /** The override word that has been used; if undefined, the file is missing. */
    readonly bootstrap?: string;
}

/** How a pod's container is started. */
export interface Start extends Marker {
    /** Another program of the image, as in an init container. */
    readonly command?: "seed";
    readonly env?: Readonly<Record<string, string>>;
    /** Memory limit. Default: 512m, the least that a stack file accepts. */
    readonly memory?: string;
}

/** How a pod's container stopped. */
export interface Stopped {
    readonly code: number;
    readonly log: string;
    readonly seconds: number;
}

/**
 * MySQL pods of one test file, without a cluster: their own images, one network, one secret. Call `setUp` and `tearDown` in hooks.
 * Every slave and seed container answers to `mysql-slave-pods`, every master to `mysql-master`, as their Services would.
 */
export class MysqlPods {
    readonly scope: Scope;
    readonly images: Readonly<Record<Pod["role"], string>>;
    /** Every password that was ever mounted. */
    readonly everyPassword: string[] = [];
    /** Log and description of every removed container. */
    readonly everyLog: string[] = [];
    network = "";
    private secrets = "";
    private mounted: Passwords | undefined;
    private readonly markers = new Map<string, string>();

    /** Every container gets `env`, unless `start` overrides it. */
    constructor(
        purpose: string,
        private readonly env: Readonly<Record<string, string>> = {},
    ) {
        this.scope = new Scope(purpose);
        this.images = { master: `${this.scope.prefix}:master`, slave: `${this.scope.prefix}:slave` };
    }

    /**
     * Builds the images, creates the network and passwords. Takes minutes if layers are not cached.
     *
     * @param context folder of the images. Default: the product's.
     */
    async setUp(context = product): Promise<void> {
        await docker(["version"]);
        for (const role of ["master", "slave"] as const) {
            await build({
                context,
                dockerfile: `${context}/mysql-${role}/Dockerfile`,
                tag: this.images[role],
                buildArgs: { CONTENT: this.scope.prefix },
            });
        }
        this.network = await this.scope.network("net");
        this.secrets = await this.scope.volume("secrets");
        await this.usePasswords(newPasswords());
    }

    /** Removes everything. */
    async tearDown(): Promise<void> {
        await this.scope.close();
        for (const tag of Object.values(this.images)) {
            await tryDocker(["image", "rm", "--no-prune", tag]);
        }
    }

    /** The passwords that are mounted now. */
    get passwords(): Passwords {
        assert.ok(this.mounted, "setUp was called");
        return this.mounted;
    }

    /** Mounts other passwords, even in running containers. */
    async usePasswords(fresh: Passwords): Promise<void> {
        this.mounted = fresh;
        this.everyPassword.push(...Object.values(fresh));
        await this.scope.fillVolume(this.secrets, fresh);
    }

    /** A pod with an empty volume, which looks like the root of a real disk. */
    async newPod(name: string, role: Pod["role"]): Promise<Pod> {
        return { name, role, volume: await this.scope.disk(`data-${name}`) };
    }

    /** A pod whose volume is a copy of another pod's, which must not be running. */
    async copyOf({ role, volume }: Pod, name: string): Promise<Pod> {
        return {
            name,
            role,
            volume: await this.scope.copiedVolume(`data-${name}`, volume),
        };
    }

    /** Makes a pod's volume as empty as a new one; the pod must not be running. */
    async emptyVolume(pod: Pod): Promise<void> {
        await this.scope.inVolume(pod.volume, "shopt -s dotglob; rm -rf ./*; mkdir lost+found");
    }

    /** The volume for /run/initialised with this content; pods with the same marker share it. */
    async marker({ initialised, slaves, bootstrap }: Marker): Promise<string> {
        const files: Record<string, string> = {};
        if (initialised === true) {
            files["initialised"] = "yes";
        }
        if (slaves !== undefined) {
            files["slaves"] = String(slaves);
        }
        if (bootstrap !== undefined) {
            files["bootstrap"] = bootstrap;
        }
        const key = JSON.stringify(files);
        let volume = this.markers.get(key);
        if (volume === undefined) {
            volume = await this.scope.filledVolume(`marker-${this.markers.size}`, files);
            this.markers.set(key, volume);
        }
        return volume;
    }

    /** Starts a pod's container with the mounts, environment and limits of its pod spec. */
    async start(pod: Pod, { command, env = {}, memory = "512m", ...marker }: Start = {}): Promise<string> {
        const ofRole: Record<string, string> =
            pod.role === "master"
                ? {
                      MYSQL_SERVER_ID_BASE: "100",
                      MYSQL_DATABASE: "form",
                      BOOTSTRAP: "",
                      ON_NO_REPLICA: "degrade",
                      APPLICATION_CHANGES_TABLES: "no",
                  }
                : {
                      MYSQL_SERVER_ID_BASE: "200",
                      MASTER_HOST: "mysql-master",
                      MASTER_PORT: "3306",
                      MAX_STALE_SECONDS: "10",
                      MAX_MASTER_AWAY_SECONDS: "600",
                      AUTO_RESEED: "yes",
                  };
        const container = await this.scope.run({
            name: command === undefined ? pod.name : `${pod.name}-${command}`,
            image: this.images[pod.role],
            network: this.network,
            memory,
            mounts: {
                [pod.volume]: "/data",
                [this.secrets]: "/run/secrets/mysql:ro",
                [await this.marker(marker)]: "/run/initialised:ro",
            },
            tmpfs: ["/run/mysqld", "/tmp"],
            env: {
                POD_NAME: pod.name,
                MYSQL_BUFFER_POOL_SIZE: String(64 * 1024 * 1024),
                SLAVES_HOST: "mysql-slave-pods",
                SLAVES_PORT: "3306",
                ...ofRole,
                ...this.env,
                ...env,
            },
            options: [
                ...QUICK_NAMES,
                ...["--network-alias", pod.role === "master" ? "mysql-master" : "mysql-slave-pods"],
                ...(command === undefined ? [] : ["--entrypoint", `${bin}/${command}`]),
            ],
        });
        if (command === undefined) {
            pod.container = container;
        }
        return container;
    }

    /** Keeps the log for the password search and removes the container. */
    async remove(container: string): Promise<string> {
        const log = await logs(container);
        this.everyLog.push(log, await docker(["inspect", container]));
        await this.scope.remove(container);
        return log;
    }

    /** Stops a pod as Kubernetes does. */
    async stop(pod: Pod): Promise<Stopped> {
        const container = this.running(pod);
        const begin = Date.now();
        await docker(["stop", "-t", String(GRACE_SECONDS), container]);
        const seconds = (Date.now() - begin) / 1000;
        const code = Number(await docker(["inspect", "-f", "{{.State.ExitCode}}", container]));
        delete pod.container;
        return { code, log: await this.remove(container), seconds };
    }

    /** Kills a pod without warning, unless it has already exited. Returns its log. */
    async kill(pod: Pod): Promise<string> {
        const container = this.running(pod);
        await tryDocker(["kill", container]);
        delete pod.container;
        return this.remove(container);
    }

    async restart(pod: Pod, options: Start = {}): Promise<void> {
        await this.stop(pod);
        await this.start(pod, options);
        await this.ready(pod);
    }

    /** The container of a running pod. */
    running(pod: Pod): string {
        assert.ok(pod.container, `${pod.name} runs`);
        return pod.container;
    }

    probe(pod: Pod, which: "ready" | "live" | "status"): Promise<Result> {
        return exec(this.running(pod), [`${bin}/${which}`]);
    }

    async ready(pod: Pod): Promise<void> {
        await waitFor(
            `${pod.name} is ready`,
            120,
            async () => {
                const { code, stdout, stderr } = await this.probe(pod, "ready");
                assert.equal(code, 0, stdout + stderr);
                return true;
            },
            {
                explain: async () => {
                    const state = await docker(["inspect", "-f", "{{.State.Status}}", this.running(pod)]);
                    return `${state}\n${(await logs(this.running(pod))).slice(-4000)}`;
                },
            },
        );
    }

    /** Waits until a pod reports that it is not ready, for a matching reason; it must stay alive. */
    async unready(pod: Pod, why: RegExp): Promise<void> {
        await waitFor(`${pod.name} is unready because of ${why.source}`, 60, async () => {
            const { code, stdout, stderr } = await this.probe(pod, "ready");
            const live = await this.probe(pod, "live");
            assert.equal(live.code, 0, live.stdout + live.stderr);
            assert.equal((stdout + stderr).trim().split("\n").length, 1, stdout + stderr);
            if (code !== 0 && why.test(stdout)) {
                return true;
            }
            throw new Error(`exit code ${code}, ${stdout}${stderr}`);
        });
    }

    /** Waits for a line in the log of a container. */
    logged(container: string, line: RegExp): Promise<void> {
        return untilLogged(container, line);
    }

    /** Runs one statement as the operator types it: no user, no password. */
    mysql(pod: Pod, statement: string, timeoutSeconds = COMMAND_SECONDS): Promise<Result> {
        const args = ["mysql", "--batch", "--skip-column-names", "-e", statement];
        return exec(this.running(pod), args, { timeoutSeconds });
    }

    async sql(pod: Pod, statement: string): Promise<string> {
        const { code, stdout, stderr } = await this.mysql(pod, statement);
        assert.equal(code, 0, `${pod.name}: ${statement}: ${stderr}`);
        return stdout.trim();
    }

    /** Runs a statement over the network as an account, from inside `from`; standard input carries the password. */
    login(from: Pod, host: string, user: string, password: string, ...rest: string[]): Promise<Result> {
        return this.loginFor(COMMAND_SECONDS, from, host, user, password, ...rest);
    }

    /** The same with its own timeout in seconds, after which the client is stopped. */
    loginFor(
        timeoutSeconds: number,
        from: Pod,
        host: string,
        user: string,
        password: string,
        ...rest: string[]
    ): Promise<Result> {
        const input = `[client]\nprotocol=tcp\nhost=${host}\nuser=${user}\npassword=${password}\n`;
        const args = ["mysql", "--defaults-file=/dev/stdin", "--batch", "--skip-column-names", ...rest];
        return exec(this.running(from), args, { input, timeoutSeconds });
    }

    /** Waits until a slave has all that the master has executed; it must have no errant transactions. */
    async caughtUp(master: Pod, slave: Pod): Promise<void> {
        const all = await this.sql(master, "SELECT @@GLOBAL.gtid_executed");
        const waited = await this.sql(
            slave,
            `SELECT WAIT_FOR_EXECUTED_GTID_SET('${all}', ${COMMAND_SECONDS})`,
        );
        assert.equal(waited, "0", `${slave.name} has the master's transactions`);
        const own = await this.sql(slave, "SELECT @@GLOBAL.gtid_executed");
        // A slave may have executed what a session of the master still commits.
        const owned = "NULLIF(REGEXP_REPLACE(@@GLOBAL.gtid_owned, '#[0-9]+', ''), '')";
        const masters = `CONCAT_WS(',', ${owned}, @@GLOBAL.gtid_executed)`;
        const more = await this.sql(master, `SELECT GTID_SUBTRACT('${own}', ${masters})`);
        assert.equal(more, "", `${slave.name} has transactions that the master does not have`);
    }

    /** Waits until a container has exited by itself. Returns its log; the exit code must be 0. */
    async ended(container: string): Promise<string> {
        const wait = docker(["wait", container], { timeoutSeconds: 2 * COMMAND_SECONDS });
        const code = await spending("wait", () => wait).catch(async (error: Error) => {
            throw new Error(`${error.message}\n${(await logs(container)).slice(-2000)}`);
        });
        const log = await this.remove(container);
        assert.equal(code, "0", log);
        return log;
    }

    /** Runs statements on a slave as somebody who switches its protection off. */
    byHand(pod: Pod, statements: string): Promise<string> {
        const [open, close] = [0, 1].map(
            (on) => `SET GLOBAL super_read_only = ${on}; SET GLOBAL read_only = ${on};`,
        );
        return this.sql(pod, `${open} ${statements}; ${close}`);
    }

    /** Keeps a slave from applying anything until it is unready, because its data is older than so many seconds. */
    async outdate(pod: Pod, seconds: number): Promise<void> {
        const lock = "LOCK TABLES replication.heartbeat READ; SELECT SLEEP(600)";
        const locked = this.mysql(pod, lock, 2 * COMMAND_SECONDS);
        await this.unready(
            pod,
            new RegExp(`s old and the link to the master is up: MAX_STALE_SECONDS allows ${seconds};`),
        );
        const find =
            "SELECT processlist_id FROM performance_schema.threads WHERE processlist_info LIKE 'SELECT SLEEP(600)%'";
        await this.sql(pod, `KILL ${await this.sql(pod, find)}`);
        await locked;
    }

    /** Kills a container that clones one of these pods. They stand still meanwhile, so that the clone cannot end before. */
    async killCloning(container: string, ...donors: readonly Pod[]): Promise<void> {
        await this.logged(container, /creating a temporary server for the clone/);
        const kill = async (): Promise<void> => {
            await this.logged(container, /cloning /);
            await docker(["kill", container]);
        };
        await donors.reduce((during, pod) => () => whilePaused(this.running(pod), during), kill)();
    }

    /** Runs a slave's init container to completion. Returns its log. */
    async seed(pod: Pod, options: Start = {}): Promise<string> {
        return this.ended(await this.start(pod, { ...options, command: "seed" }));
    }

    /** A new master, and a slave with a copy of it; both are ready. */
    async startPair(): Promise<[master: Pod, slave: Pod]> {
        const master = await this.newPod("mysql-master-0", "master");
        const slave = await this.newPod("mysql-slave-0", "slave");
        await this.start(master);
        await this.ready(master);
        await this.seed(slave);
        await this.start(slave);
        await this.ready(slave);
        return [master, slave];
    }
}
