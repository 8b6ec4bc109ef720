import assert from "assert";
import { randomUUID } from "crypto";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";
import { parseDocument } from "yaml";

import { registryAddress } from "../../local/places";
import { forThisMachine } from "../../local/stacks/this-machine";
import { MANIFEST_TYPES } from "../../operations/manifest-types";
import { command, Result } from "../support/command";
import { copyProgram } from "../support/copy";
import { docker, waitFor } from "../support/docker";
import { RECOVERY_SECONDS } from "../support/system";
import { dropImages, pulledImages, references } from "./pulls";
import { freeSharedPorts } from "./shared-port";
import { clearSideBySide, kubectl, NAMESPACES } from "./side-by-side";

const ROOT = path.resolve(__dirname, "../..");

/** The registry and ports of the local cluster, or of the one that test/faults/lend.ts creates. */
const REGISTRY = process.env.TEST_REGISTRY ?? registryAddress;
const PORTS = (process.env.TEST_NODE_PORTS ?? "32003,32009").split(",").map(Number);
/** With fewer nodes, prod's resource requests do not fit. */
const NODES_OF_PROD = 3;

const UP_SECONDS = 25 * 60;

type Stack = "dev" | "prod";
const URLS: Readonly<Record<Stack, string>> = {
    dev: `http://localhost:${PORTS[0]}`,
    prod: `http://localhost:${PORTS[1]}`,
};
const WEB = "app.kubernetes.io/name=dabacluster";

interface Pod {
    readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
    readonly spec: {
        readonly nodeName?: string;
        readonly containers: { readonly name: string; readonly image: string }[];
    };
    readonly status: {
        readonly conditions?: { readonly type: string; readonly status: string }[];
        readonly containerStatuses?: { readonly restartCount: number }[];
    };
}

interface Node {
    readonly metadata: { readonly name: string };
    readonly spec: { readonly taints?: { readonly key: string; readonly effect: string }[] };
}

/** The stacks dev and prod as they are committed, in another checkout with its own backend, namespaces and ports. */
describe("prod next to dev on one cluster, with the images that were tested in dev", () => {
    let folder: string;
    let nodes: readonly Node[];

    before(async () => {
        await clearSideBySide();
        await freeSharedPorts();
        nodes = await list<Node>(["nodes"]);
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "side-by-side-"));
        copyProgram(folder);
        fs.cpSync(path.join(ROOT, "operations"), path.join(folder, "operations"), { recursive: true });
        fs.mkdirSync(path.join(folder, "backend"));
        const context = await kubectl(["config", "current-context"]);
        for (const stack of ["dev", "prod"] as const) {
            adapt(stack, context);
            await pulumi(["stack", "init", stack, "--no-select"]);
        }
        const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
        await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACES.prod, labels } });
    });

    after("remove everything", async () => {
        for (const stack of ["dev", "prod"]) {
            await tryPulumi(["state", "unprotect", "--all", "--yes", "--stack", stack]);
            await tryPulumi(["destroy", "--yes", "--skip-preview", "--stack", stack]);
        }
        await clearSideBySide();
        const filter = ["--filter", `reference=${REGISTRY}/side-by-side/*/*/*`];
        const built = await docker(["images", ...filter, "--format", "{{.Repository}}:{{.Tag}}"]);
        if (built !== "") {
            await docker(["rmi", ...built.split("\n")]);
        }
        fs.rmSync(folder, { recursive: true, force: true });
    });

    /** The committed stack file with other locations; small sizes if prod's do not fit next to everything else on the cluster. */
    function adapt(stack: Stack, context: string): void {
        const document = parseDocument(fs.readFileSync(path.join(ROOT, `Pulumi.${stack}.yaml`), "utf8"));
        const set = (key: string, value: unknown) =>
            document.setIn(["config", ...`dabaweb:${key}`.split(".")], document.createNode(value));
        set("kubeContext", context);
        set("namespace.name", NAMESPACES[stack]);
        set("registry.address", `${REGISTRY}/side-by-side`);
        set("publicUrl", URLS[stack]);
        set("service.nodePort", Number(new URL(URLS[stack]).port));
        set("storageClass", "standard");
        set("dabacluster.publicPages", true);
        document.deleteIn(["config", "dabaweb:images"]);
        if (nodes.length < NODES_OF_PROD) {
            for (const workload of ["redis-master", "redis-slave", "mysql-master", "mysql-slave"]) {
                const storage = ["config", `dabaweb:${workload}`, "storage"];
                // deleteIn throws if the parent key does not exist.
                if (document.hasIn(storage)) {
                    document.deleteIn(storage);
                }
                const memory = workload.startsWith("redis") ? "192Mi" : "640Mi";
                set(`${workload}.resources`, {
                    requests: { cpu: "10m", memory },
                    limits: { cpu: "1", memory },
                });
            }
        }
        fs.writeFileSync(path.join(folder, `Pulumi.${stack}.yaml`), forThisMachine(document.toString()));
    }

    function run(
        file: string,
        args: readonly string[],
        env: Readonly<Record<string, string>> = {},
    ): Promise<Result> {
        const all = {
            PULUMI_BACKEND_URL: `file://${folder}/backend`,
            PULUMI_CONFIG_PASSPHRASE: "side",
            ...env,
        };
        const set = Object.entries(all).map(([name, value]) => `${name}=${value}`);
        const unset = ["--unset=PULUMI_CONFIG_PASSPHRASE_FILE", "--unset=PULUMI_OPTION_CONFIG_FILE"];
        return command("env", ["-C", folder, ...unset, ...set, file, ...args], {
            timeoutSeconds: UP_SECONDS,
        });
    }

    function tryPulumi(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Result> {
        return run("pulumi", [...args, "--non-interactive"], env);
    }

    async function pulumi(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<string> {
        const { code, stdout, stderr } = await tryPulumi(args, env);
        assert.strictEqual(code, 0, `pulumi ${args.join(" ")}\n${stdout}\n${stderr}`);
        return stdout;
    }

    /** Waits until `make status`, run without make, reports no problem. */
    async function isWell(stack: Stack): Promise<void> {
        const script = ["-r", "ts-node/register/transpile-only", "operations/status.ts", stack];
        await waitFor(`stack ${stack} to be healthy`, RECOVERY_SECONDS, async () => {
            const { code, stdout, stderr } = await run(process.execPath, script);
            assert.strictEqual(code, 0, stdout + stderr);
            return true;
        });
    }

    async function shows(stack: Stack, row: RegExp): Promise<void> {
        await waitFor(`${row} on the page of ${stack}`, RECOVERY_SECONDS, async () => {
            const page = await fetch(`${URLS[stack]}/User_data`, { signal: AbortSignal.timeout(30_000) });
            return page.status === 200 && row.test(await page.text());
        });
    }

    async function pods(stack: Stack, selector = "app.kubernetes.io/managed-by=pulumi"): Promise<Pod[]> {
        const found = await list<Pod>(["pods", "--namespace", NAMESPACES[stack], "-l", selector]);
        return found.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    }

    async function lives(stack: Stack): Promise<string[]> {
        return (await pods(stack))
            .map(({ metadata, status }) => {
                const restarts = (status.containerStatuses ?? []).map(({ restartCount }) => restartCount);
                return `${metadata.name} ${metadata.uid} ${restarts.join()}`;
            })
            .sort();
    }

    async function imagesOfDev(): Promise<Record<string, string>> {
        const outputs = JSON.parse(await pulumi(["stack", "output", "--json", "--stack", "dev"])) as {
            images: Record<string, string>;
        };
        return outputs.images;
    }

    /** `make promote FROM=dev TO=prod`, without make. */
    async function promote(): Promise<string> {
        const script = ["-r", "ts-node/register/transpile-only", "operations/promote.ts", "dev", "prod"];
        const { code, stdout, stderr } = await run(process.execPath, script);
        assert.strictEqual(code, 0, stderr);
        return stdout;
    }

    async function upProd(): Promise<void> {
        const noDocker = { DOCKER_HOST: "unix:///nonexistent/docker.sock" };
        await pulumi(["up", "--yes", "--skip-preview", "--stack", "prod"], noDocker);
        await isWell("prod");
    }

    /** The images of prod's pods, without duplicates. */
    async function runningInProd(): Promise<string[]> {
        const images = (await pods("prod")).flatMap(({ spec }) => spec.containers.map(({ image }) => image));
        return [...new Set(images)].sort();
    }

    let lived: string[];

    it("deploys dev, which shows the seed's rows", async () => {
        await pulumi(["up", "--yes", "--skip-preview", "--stack", "dev"]);
        await isWell("dev");
        await shows("dev", /sam.*10000/s);
    });

    it("promotes what dev runs: every image by digest in prod's stack file", async () => {
        console.log((await promote()).trimEnd());
        const pinned = fs.readFileSync(path.join(folder, "Pulumi.prod.yaml"), "utf8");
        assert.strictEqual(
            pinned.match(/side-by-side\/dabaweb\/prod\/[a-z-]+@sha256:[0-9a-f]{64}$/gm)?.length,
            7,
        );
    });

    it("deploys prod from these images without Docker; each pod has the same digest as in dev", async () => {
        await upProd();
        await shows("prod", /sam.*10000/s);
        // Without a backup, nothing runs the image for one.
        const images = Object.entries(await imagesOfDev())
            .filter(([image]) => image !== "mysql-backup")
            .map(([, reference]) => reference);
        const digests = (references: readonly string[]) => [
            ...new Set(references.map((each) => each.split("@")[1])),
        ];
        const running = await runningInProd();
        assert.deepStrictEqual(digests(running).sort(), digests(images).sort());
        console.log(running.join("\n"));
    });

    it("keeps the data of the two stacks apart", async () => {
        const row = `row-${randomUUID().slice(0, 8)}`;
        const sql = `INSERT INTO form.form_user_data (name, money) VALUES ('${row}', 1)`;
        const exec = ["exec", "-c", "mysql", "mysql-master-0", "--", "mysql"];
        await kubectl(["--namespace", NAMESPACES.dev, ...exec, "-e", sql]);
        const rows = ["--batch", "--skip-column-names", "-e", "SELECT name FROM form.form_user_data"];
        assert.ok((await kubectl(["--namespace", NAMESPACES.dev, ...exec, ...rows])).includes(row));
        assert.ok(!(await kubectl(["--namespace", NAMESPACES.prod, ...exec, ...rows])).includes(row));
        lived = await lives("prod");
    });

    it("leaves prod untouched when dev changes", async () => {
        fs.appendFileSync(path.join(folder, "images/nginx/etc/nginx.conf"), "# changed\n");
        await pulumi(["config", "set", "--path", "redis-slave.replicas", "2", "--stack", "dev"]);
        const output = await pulumi(["up", "--yes", "--skip-preview", "--stack", "dev"]);
        assert.match(output, /RegistryImage nginx created replacement/);
        await isWell("dev");
        await isWell("prod");
        assert.deepStrictEqual(await lives("prod"), lived);
    });

    it("promotes what changed in dev, and brings the former images back when the diff is reverted", async () => {
        const file = path.join(folder, "Pulumi.prod.yaml");
        const [text, before] = [fs.readFileSync(file, "utf8"), await runningInProd()];
        await promote();
        await upProd();
        const after = await runningInProd();
        assert.deepStrictEqual(
            after.filter((image) => !before.includes(image)).map((image) => image.replace(/@.*/, "")),
            [`${REGISTRY}/side-by-side/dabaweb/prod/nginx`],
        );
        fs.writeFileSync(file, text);
        await upProd();
        assert.deepStrictEqual(await runningInProd(), before);
        lived = await lives("prod");
    });

    it("leaves prod untouched when dev is destroyed, and deletes dev's own images", async () => {
        const images = Object.values(await imagesOfDev());
        const statuses = () => Promise.all(images.map(statusOf));
        assert.deepStrictEqual(
            await statuses(),
            images.map(() => 200),
        );
        await pulumi(["destroy", "--yes", "--skip-preview", "--stack", "dev"]);
        await isWell("prod");
        await shows("prod", /sam.*10000/s);
        assert.deepStrictEqual(await lives("prod"), lived);
        assert.deepStrictEqual(
            await statuses(),
            images.map(() => 404),
        );
    });

    it("starts a pod of prod on a node that does not have its images yet", async () => {
        const web = await pods("prod", WEB);
        const digests = web[0]!.spec.containers.map(({ image }) => image.split("@")[1]!);
        const target = await nodeWithout(digests, web);
        const others = nodes.map(({ metadata }) => metadata.name).filter((name) => name !== target);
        const taints = nodes
            .find(({ metadata }) => metadata.name === target)!
            .spec.taints?.filter(({ effect }) => effect === "NoSchedule");
        try {
            await Promise.all(others.map((name) => kubectl(["cordon", name])));
            for (const { key, effect } of taints ?? []) {
                await kubectl(["taint", "nodes", target, `${key}:${effect}-`]);
            }
            // Repeatedly, because the kubelet's view of its images lags behind containerd's.
            await waitFor(`a web pod whose images ${target} pulled`, 2 * RECOVERY_SECONDS, async () => {
                await dropImages(target, digests);
                const [moved, ...rest] = await pods("prod", WEB);
                await kubectl(["--namespace", NAMESPACES.prod, "delete", "pod", moved!.metadata.name]);
                const fresh = await waitFor("a new web pod", RECOVERY_SECONDS, async () => {
                    const known = rest.map(({ metadata }) => metadata.uid);
                    return (
                        (await pods("prod", WEB)).find(
                            ({ metadata, status }) =>
                                !known.includes(metadata.uid) &&
                                metadata.uid !== moved!.metadata.uid &&
                                status.conditions?.some(
                                    ({ type, status: is }) => type === "Ready" && is === "True",
                                ),
                        ) ?? false
                    );
                });
                assert.strictEqual(fresh.spec.nodeName, target);
                const args = ["--namespace", NAMESPACES.prod, ...pulledImages(fresh.metadata.uid)];
                const said = await kubectl(args);
                console.log(`${fresh.metadata.name} on ${target}: ${said}`);
                return said.includes("Successfully pulled image");
            });
        } finally {
            await Promise.all(others.map((name) => kubectl(["uncordon", name])));
            for (const { key, effect } of taints ?? []) {
                await kubectl(["taint", "nodes", target, `${key}=:${effect}`, "--overwrite"]);
            }
        }
        await isWell("prod");
    });

    /** A node that never had these images, otherwise one without a web pod, otherwise any. */
    async function nodeWithout(digests: readonly string[], web: readonly Pod[]): Promise<string> {
        const candidates = nodes.map(({ metadata }) => metadata.name);
        for (const name of candidates) {
            if ((await references(name, digests)).length === 0) {
                return name;
            }
        }
        return candidates.find((name) => web.every(({ spec }) => spec.nodeName !== name)) ?? candidates[0]!;
    }
});

/** 200 if the registry has the image `host/repository@digest`, otherwise 404. */
async function statusOf(image: string): Promise<number> {
    const [, host, repository, digest] = /^([^/]+)\/(.+)@(.+)$/.exec(image)!;
    const url = `http://${host}/v2/${repository}/manifests/${digest}`;
    return (await fetch(url, { headers: { accept: MANIFEST_TYPES } })).status;
}

async function list<T>(what: readonly string[]): Promise<T[]> {
    return (JSON.parse(await kubectl(["get", ...what, "-o", "json"])) as { items: T[] }).items;
}

async function apply(object: object): Promise<void> {
    await kubectl(["apply", "--filename", "-"], JSON.stringify(object));
}
