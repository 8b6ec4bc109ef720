import assert from "node:assert/strict";
import * as path from "node:path";

import { images, tagged } from "../../local/pins";
import { build, docker, logs, QUICK_NAMES, tryDocker, untilLogged, waitFor } from "./docker";
import { bin, MysqlPods, type Pod } from "./mysql-pods";

export const KEYS = { accessKey: "dabaweb", secretKey: "a-secret-key" };
/** What the backups are encrypted with. */
export const PASSWORD = "what-backups-are-encrypted-with";

const product = path.resolve(__dirname, "../../images");

/** How a program of the image ended. */
export interface Ended {
    readonly code: number;
    readonly log: string;
}

/** What differs from a run that succeeds. */
export interface Differently {
    readonly env?: Readonly<Record<string, string>>;
    readonly keys?: Readonly<Record<string, string>>;
    readonly password?: string;
    /** Mount /run/initialised of a system that was ready once. */
    readonly initialised?: boolean;
}

/** The manifest of a base, as facts. */
export type Manifest = Readonly<Record<string, string>>;

/** A master and a slave, whose table form.kept has the row 1, and a store with a base of them. */
export class BackupPods extends MysqlPods {
    /** The backups' image. */
    readonly image = `${this.scope.prefix}:backup`;
    /** The store's volume, with the bucket backups. */
    bucket = "";
    /** The store's container. */
    store = "";
    /** How many containers were started, as a part of names. */
    runs = 0;
    /** The base that every test finds in the store. */
    first: Manifest = {};
    private pair: readonly [master: Pod, slave: Pod] | undefined;

    override async setUp(): Promise<void> {
        await super.setUp();
        await build({
            context: product,
            dockerfile: path.join(product, "mysql-backup/Dockerfile"),
            tag: this.image,
            buildArgs: { CONTENT: this.scope.prefix },
        });
        this.bucket = await this.scope.disk("store");
        await this.scope.inVolume(this.bucket, "mkdir backups; chown 10001:10001 backups");
        this.store = await this.scope.run({
            image: tagged(images.bases.find(({ name }) => name === "rclone")!.image),
            name: "store",
            network: this.network,
            mounts: { [this.bucket]: "/store" },
            tmpfs: ["/tmp"],
            env: { XDG_CACHE_HOME: "/tmp", XDG_CONFIG_HOME: "/tmp" },
            args: [
                "serve",
                "s3",
                "/store",
                "--addr=:9000",
                "--dir-cache-time=1s",
                `--auth-key=${Object.values(KEYS).join(",")}`,
            ],
        });
        await untilLogged(this.store, /Starting s3 server/);
        const master = await this.newPod("mysql-master-0", "master");
        const slave = await this.newPod("mysql-slave-0", "slave");
        this.pair = [master, slave];
        await this.start(master);
        await this.ready(master);
        await this.start(slave, { command: "seed" }).then((seed) => docker(["wait", seed]));
        await this.start(slave);
        await this.ready(slave);
        await this.sql(master, "CREATE TABLE form.kept (id INT PRIMARY KEY, words VARCHAR(200))");
        await this.write(1, "the quick brown fox");
        await waitFor("the slave has it", 30, async () => {
            return (await this.sql(slave, "SELECT COUNT(*) FROM form.kept")) === "1";
        });
        this.first = await this.taken();
    }

    override async tearDown(): Promise<void> {
        await super.tearDown();
        await tryDocker(["image", "rm", "--no-prune", this.image]);
    }

    get master(): Pod {
        assert.ok(this.pair, "setUp was called");
        return this.pair[0];
    }

    get slave(): Pod {
        assert.ok(this.pair, "setUp was called");
        return this.pair[1];
    }

    /** Writes a row of form.kept. */
    write(id: number, words: string): Promise<string> {
        return this.sql(this.master, `INSERT INTO form.kept VALUES (${id}, '${words}')`);
    }

    /** Starts a program of the image as a pod does, on a volume. */
    async begin(
        program: "base" | "list" | "receive" | "restore" | "ship",
        volume: string,
        { env = {}, keys = KEYS, password = PASSWORD, initialised = false }: Differently = {},
    ): Promise<string> {
        this.runs += 1;
        const { seed, replication } = this.passwords;
        const secret = (name: string, files: Readonly<Record<string, string>>) =>
            this.scope.filledVolume(`${name}-${this.runs}`, files);
        return this.scope.run({
            name: `${program}-${this.runs}`,
            image: this.image,
            network: this.network,
            memory: "512m",
            mounts: {
                [volume]: "/data",
                [await secret("keys", keys)]: "/run/secrets/store:ro",
                [await secret("encryption", { password })]: "/run/secrets/encryption:ro",
                [await secret("accounts", { seed, replication })]: "/run/secrets/mysql:ro",
                ...(initialised ? { [await this.marker({ initialised })]: "/run/initialised:ro" } : {}),
            },
            tmpfs: ["/run/mysqld", "/tmp"],
            env: {
                POD_NAME: "mysql-base-28123456-x7k2p",
                MASTER_HOST: "mysql-master",
                MASTER_PORT: "3306",
                SLAVES_HOST: "mysql-slave-pods",
                SLAVES_PORT: "3306",
                MAX_STALE_SECONDS: "30",
                KEEP_DAYS: "14",
                ONLY_IF_DUE: "false",
                STORE_ENDPOINT: "http://store:9000",
                STORE_BUCKET: "backups",
                STORE_PREFIX: "team/test",
                STORE_REGION: "us-east-1",
                STORE_PATH_STYLE: "true",
                STORE_OWNER: "dabaweb/test",
                RESTORE_BASE: "latest",
                RESTORE_AT: "",
                RESTORE_GTID: "",
                RESTORE_WORD: "",
                RESTORE_UNDO: "false",
                ...env,
            },
            options: [...QUICK_NAMES, "--entrypoint", `${bin}/${program}`],
        });
    }

    async end(container: string): Promise<Ended> {
        const code = Number(await docker(["wait", container]));
        const log = await logs(container);
        await this.remove(container);
        return { code, log };
    }

    newVolume(): Promise<string> {
        return this.scope.disk(`work-${this.runs}`);
    }

    async base(differently: Differently = {}): Promise<Ended> {
        return this.end(await this.begin("base", await this.newVolume(), differently));
    }

    /** The bases that the store has, the oldest first. */
    async list(): Promise<Manifest[]> {
        const { code, log } = await this.end(await this.begin("list", await this.newVolume()));
        assert.equal(code, 0, log);
        return log
            .trim()
            .split("\n\n")
            .filter((text) => text !== "")
            .map((text) =>
                Object.fromEntries(text.split("\n").map((line) => line.split(": ") as [string, string])),
            )
            .filter(({ base }) => base !== undefined);
    }

    async taken(): Promise<Manifest> {
        const { code, log } = await this.base();
        assert.equal(code, 0, log);
        return (await this.list()).at(-1)!;
    }

    /** The settings of a restore of one base. */
    named({ base = "" }: Manifest): Differently {
        return { env: { RESTORE_BASE: base } };
    }
}
