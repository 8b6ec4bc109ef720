/** The kind cluster: made once, started again when it was stopped, recognised when its state or itself was lost. */
import * as fs from "node:fs";

import { checkPorts } from "./checks";
import { exported, names, places, ports, readJson, writeWhole } from "./environment";
import { nodeImage } from "./images";
import { removeImages } from "./leftovers";
import { setAside } from "./lost-stacks";
import { say } from "./progress";
import { tools } from "./pins";
import { joinNetwork, registryAddress } from "./registry";
import { attempt, Refusal, run, STUCK_MS, until } from "./shell";
import type { Plan, Step } from "./step";

/** What the state remembers of its cluster. */
export interface ClusterState {
    /** UID of kube-system: another cluster has another one. */
    readonly id: string;
    readonly nodes: number;
    /** Whether kind's network came with it; one that was there before is somebody else's. */
    readonly madeNetwork?: boolean;
}

export interface Node {
    readonly name: string;
    readonly running: boolean;
}

export interface Facts {
    readonly nodes: readonly Node[];
    readonly state?: ClusterState;
    readonly kubeconfig: boolean;
    /** The number of nodes that the user asks for, if he does. */
    readonly wanted?: number;
}

export type Action = "nothing" | "create" | "start" | "export" | "replace";

/** What to do with what is there. `start` and `export` look after everything that is less than a new cluster. */
export function decide({ nodes, state, kubeconfig, wanted }: Facts): {
    readonly action: Action;
    readonly why: string;
} {
    if (nodes.length === 0) {
        const why = state === undefined ? "there is none" : "the one that this state belongs to is gone";
        return { action: "create", why };
    }
    if (state === undefined) {
        // Whatever runs in it, no stack of this environment can say so any more: nothing could update or remove it.
        return { action: "replace", why: "it was left without its state, or unfinished" };
    }
    if (wanted !== undefined && wanted !== nodes.length) {
        throw new Refusal(
            `NODES=${wanted}, but the local cluster has ${nodes.length} and its data with them; go on without NODES, or ` +
                `take \`make local-purge\` first.`,
        );
    }
    if (!kubeconfig) {
        return { action: "export", why: "its kubeconfig is lost" };
    }
    return nodes.every((node) => node.running)
        ? { action: "nothing", why: "" }
        : { action: "start", why: "its nodes are stopped" };
}

/** Reads NODES. */
export function wantedNodes(text = process.env.NODES): number | undefined {
    if (text === undefined || text === "") {
        return undefined;
    }
    const count = Number(text);
    if (!Number.isInteger(count) || count < 1 || count > 9) {
        throw new Refusal(`NODES is "${text}"; it must be a number from 1 to 9.`);
    }
    return count;
}

/** What tells one cluster on this machine from another. */
export interface ClusterShape {
    readonly name: string;
    readonly apiPort: number;
    /** nodePorts that this machine can open, and those alone. */
    readonly nodePorts: readonly number[];
    /** Whether the control plane takes pods beside workers; where it is the only node it always does. */
    readonly podsOnControlPlane: boolean;
    /** Folders of this machine that every node has: host path to path in the node. */
    readonly mounts?: Readonly<Record<string, string>>;
}

const ownShape: ClusterShape = {
    name: names.cluster,
    apiPort: ports.api,
    nodePorts: ports.node,
    podsOnControlPlane: true,
};

/** kind's configuration; the nodePorts are opened on this machine's loopback alone. */
export function kindConfig(nodes: number, shape = ownShape): string {
    const mapping = (port: number): object => ({
        containerPort: port,
        hostPort: port,
        listenAddress: "127.0.0.1",
        protocol: "TCP",
    });
    const schedulable = "kind: InitConfiguration\nnodeRegistration:\n  taints: []\n";
    const mounts = Object.entries(shape.mounts ?? {}).map(([hostPath, containerPath]) => ({
        hostPath,
        containerPath,
    }));
    const common = mounts.length > 0 ? { extraMounts: mounts } : {};
    // JSON is YAML.
    return JSON.stringify(
        {
            kind: "Cluster",
            apiVersion: "kind.x-k8s.io/v1alpha4",
            name: shape.name,
            networking: { apiServerAddress: "127.0.0.1", apiServerPort: shape.apiPort },
            nodes: [
                {
                    role: "control-plane",
                    extraPortMappings: shape.nodePorts.map(mapping),
                    // kind does so itself where it is the only node, and fails if it has been done.
                    ...(nodes > 1 && shape.podsOnControlPlane ? { kubeadmConfigPatches: [schedulable] } : {}),
                    ...common,
                },
                ...Array.from({ length: nodes - 1 }, () => ({ role: "worker", ...common })),
            ],
        },
        undefined,
        2,
    );
}

/** What the control plane's container takes of this machine. */
const allPorts = [ports.api, ...ports.node];

export class ClusterStep implements Step {
    readonly name = "cluster";
    readonly needs = ["kind", "kubectl", "node image", "registry"];
    readonly asksEngine = true;

    async plan(): Promise<Plan> {
        const nodes = await clusterNodes().catch(() => undefined);
        if (nodes === undefined) {
            await checkPorts(allPorts, "the cluster");
            return { way: "start", detail: "seen when the engine runs", minutes: 1, gigabytes: 1 };
        }
        const { action, why } = this.decide(nodes);
        if (action === "nothing" && (await isReady()) && (await hasClasses("standard", "retained"))) {
            return { way: "stands", detail: names.context, minutes: 0, gigabytes: 0 };
        }
        if (nodes.every((node) => !node.running)) {
            await checkPorts(allPorts, "the cluster");
        }
        const size = action === "create" || action === "replace" ? (wantedNodes() ?? 1) : 0;
        const detail =
            size > 0 ? `${size === 1 ? "one node" : `${size} nodes`}: ${why}` : why || "it is not ready";
        return { way: "start", detail, minutes: size > 0 ? 1 : 0.5, gigabytes: size };
    }

    async run(): Promise<void> {
        const { action, why } = this.decide(await clusterNodes());
        const made = madeNetwork() || !(await networkExists());
        if (action === "replace") {
            say(`cluster: ${why}; it is removed and made again`);
            await removeCluster();
        }
        if (action === "create" || action === "replace") {
            await setStacksAside(why);
            await create(wantedNodes() ?? 1);
        } else {
            say(`cluster: ${why || "it is not ready"}; bringing it back`);
            await restart();
        }
        await joinNetwork(names.network);
        await configure(made);
    }

    private decide(nodes: readonly Node[]) {
        const place = places();
        return decide({
            nodes,
            state: readJson<ClusterState>(place.cluster),
            kubeconfig: fs.existsSync(place.kubeconfig),
            wanted: wantedNodes(),
        });
    }
}

/** Whether kind's network came with the cluster. */
export const madeNetwork = (): boolean => readJson<ClusterState>(places().cluster)?.madeNetwork ?? false;

async function networkExists(): Promise<boolean> {
    return (await attempt("docker", ["network", "inspect", names.network])).code === 0;
}

/** The containers that are the cluster's nodes, the control plane first: its address is asked for by the others. */
export async function clusterNodes(cluster: string = names.cluster): Promise<Node[]> {
    const filter = `label=io.x-k8s.kind.cluster=${cluster}`;
    const output = await run("docker", [
        "ps",
        "--all",
        "--filter",
        filter,
        "--format",
        "{{.Names}} {{.State}}",
    ]);
    return output
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => line.split(" "))
        .map(([name, state]) => ({ name: name!, running: state === "running" }))
        .sort((a, b) => a.name.localeCompare(b.name));
}

/** Stops the nodes, in such a way that they come back with their data. */
export async function stopCluster(): Promise<void> {
    const running = await runningNodes();
    if (running.length === 0) {
        return;
    }
    // Those whose pods take longer are killed then; `--time` and `--timeout` are the old and the new name of -t.
    if ((await attempt("docker", ["stop", "-t", "30", ...running])).code !== 0) {
        await Promise.all(running.map(thaw));
    }
    await until("the cluster's nodes to stop", 60, async () => (await runningNodes()).length === 0);
}

async function runningNodes(): Promise<string[]> {
    return (await clusterNodes()).filter((node) => node.running).map((node) => node.name);
}

/**
 * On cgroup v1, runc freezes a container for a moment while it starts it. A node that is stopped in that moment keeps a
 * frozen process which nothing can kill, and never ends.
 */
export async function thaw(node: string): Promise<void> {
    const id = await run("docker", ["inspect", "--format", "{{.Id}}", node]);
    const group = `/sys/fs/cgroup/freezer/docker/${id}`;
    const files = fs.existsSync(group) ? fs.readdirSync(group, { recursive: true, encoding: "utf8" }) : [];
    for (const file of files.filter((each) => each.endsWith("/freezer.state"))) {
        if (fs.readFileSync(`${group}/${file}`, "utf8").trim() !== "THAWED") {
            fs.writeFileSync(`${group}/${file}`, "THAWED");
        }
    }
}

export async function removeCluster(): Promise<void> {
    const all = (await clusterNodes()).map((node) => node.name);
    if (all.length > 0) {
        await run("docker", ["rm", "--force", "--volumes", ...all]);
    }
    fs.rmSync(places().cluster, { force: true });
    fs.rmSync(places().kubeconfig, { force: true });
}

async function create(nodes: number): Promise<void> {
    // As long as the new one is unfinished there is no cluster that this state belongs to.
    fs.rmSync(places().cluster, { force: true });
    const image = await nodeImage();
    const args = [
        "create",
        "cluster",
        "--config",
        "-",
        "--image",
        image!,
        "--kubeconfig",
        places().kubeconfig,
    ];
    await run("kind", [...args, "--wait", "180s"], {
        env: { ...exported(undefined), ...besideProxy(names.registry) },
        input: kindConfig(nodes),
        onLine: (line) =>
            /[✓✗]|ERROR/.test(line) && say(`cluster: ${line.replace(/[^\x20-\x7e]/g, "").trim()}`),
    });
}

/** kind gives the proxy's variables to its nodes; they reach what is on their own network without it. */
export function besideProxy(host: string, env: NodeJS.ProcessEnv = process.env): Record<string, string> {
    const direct = [env.NO_PROXY || env.no_proxy, host].filter(Boolean).join(",");
    return { NO_PROXY: direct, no_proxy: direct };
}

async function restart(): Promise<void> {
    await startNodes();
    const remedy = "`make local-purge` and `make up` begin anew.";
    try {
        await until("the control plane to give its kubeconfig", 60, exportKubeconfig, remedy);
    } catch {
        say("cluster: its nodes run but do not answer; they are stopped and started");
        await stopCluster();
        await startNodes();
        await until("the control plane to give its kubeconfig", 60, exportKubeconfig, remedy);
    }
}

async function startNodes(): Promise<void> {
    for (const node of await clusterNodes()) {
        if (!node.running) {
            await run("docker", ["start", node.name]);
        }
    }
}

async function exportKubeconfig(): Promise<boolean> {
    const args = ["export", "kubeconfig", "--name", names.cluster, "--kubeconfig", places().kubeconfig];
    return (await attempt("kind", args, { env: exported(undefined) })).code === 0;
}

/**
 * Where processors are short, a container counts 1024 by default, and so would a node with all its pods and the API server:
 * beside a few busy containers that one would answer too late, and be restarted for it.
 */
const NODE_SHARES = 16 * 1024;

/** What makes kind's cluster ours; every part can be done again. The file of the state comes last. */
async function configure(made: boolean): Promise<void> {
    const nodes = await clusterNodes();
    const remedy = "`kubectl describe nodes` tells more; `make local-purge` and `make up` begin anew.";
    await until("the cluster's nodes to be ready", 180, isReady, remedy);
    for (const { name } of nodes) {
        await run("docker", ["update", "--cpu-shares", String(NODE_SHARES), name]);
        await useRegistry(name);
    }
    // kubectl cannot be told to wait for an object that is not there yet.
    await until("the storage class `standard`", 60, () => hasClasses("standard"));
    await kubectl(["apply", "--filename", "-"], await retainedClass());
    const id = await kubectl(["get", "namespace", "kube-system", "--output", "jsonpath={.metadata.uid}"]);
    const state: ClusterState = { id, nodes: nodes.length, ...(made && { madeNetwork: true }) };
    writeWhole(places().cluster, `${JSON.stringify(state)}\n`);
}

/** Sends a node's pulls from a loopback registry to the registry's container. */
export async function useRegistry(
    node: string,
    address: string = registryAddress,
    container: string = names.registry,
): Promise<void> {
    const directory = `${await registryDirectory(node)}/${address}`;
    const script = `mkdir -p ${directory} && cat >${directory}/hosts.toml`;
    const input = `[host."http://${container}:5000"]\n`;
    await run("docker", ["exec", "--interactive", node, "sh", "-c", script], { input });
}

/** The folder in which a node's containerd looks for registries. */
export async function registryDirectory(node: string): Promise<string> {
    const directory = registryDirectoryOf(
        await run("docker", ["exec", node, "containerd", "config", "dump"]),
    );
    if (directory === undefined) {
        throw new Refusal(
            `containerd on ${node} has no config_path, so it cannot be told where a registry is; pin a node image of kind ` +
                `${tools.kind.atLeast} or newer with \`make pins-move\`, then \`make local-purge\` and \`make up\`.`,
        );
    }
    return directory;
}

/**
 * @param dump containerd's configuration as it tells it; 1.x and 2.x quote differently and name other plugins
 * @returns the first folder that it names; none where it names none
 */
export function registryDirectoryOf(dump: string): string | undefined {
    const found = /^\s*config_path\s*=\s*["']([^"':]+)/m.exec(dump);
    return found?.[1];
}

/** Beside kind's own `standard`, which gives volumes back with their claims, the same with volumes that stay. */
async function retainedClass(): Promise<string> {
    const standard = JSON.parse(
        await kubectl(["get", "storageclass", "standard", "--output", "json"]),
    ) as object;
    const { provisioner, parameters, volumeBindingMode } = standard as Record<string, unknown>;
    return JSON.stringify({
        apiVersion: "storage.k8s.io/v1",
        kind: "StorageClass",
        metadata: { name: "retained" },
        reclaimPolicy: "Retain",
        ...{ provisioner, parameters, volumeBindingMode },
    });
}

/**
 * Whether every node's kubelet says that the node is ready, and said so since the node was started: until then the API tells
 * what was before.
 */
export async function isReady(): Promise<boolean> {
    const ready = '.status.conditions[?(@.type=="Ready")]';
    const path = `{range .items[*]}{.metadata.name} {${ready}.status} {${ready}.lastHeartbeatTime}{"\\n"}{end}`;
    const { code, output } = await attempt(
        "kubectl",
        ["get", "nodes", `--request-timeout=${STUCK_MS / 1000}s`, "--output", `jsonpath=${path}`],
        { env: { ...exported(undefined) } },
    );
    const nodes = (await clusterNodes()).map(({ name }) => name);
    return code === 0 && nodes.length > 0 && reportReady(output, await startsOf(nodes));
}

/**
 * @param told lines of name, Ready and the time of that report, in whole seconds
 * @param starts when each node was started
 */
export function reportReady(told: string, starts: ReadonlyMap<string, Date>): boolean {
    const lines = told.trim().split("\n");
    const reports = new Map(lines.map((line) => line.split(" ")).map(([name, ...rest]) => [name!, rest]));
    return (
        reports.size === starts.size &&
        [...starts].every(([name, start]) => {
            const [status, at = ""] = reports.get(name) ?? [];
            return status === "True" && Date.parse(at) >= Math.floor(start.getTime() / 1000) * 1000;
        })
    );
}

async function startsOf(containers: readonly string[]): Promise<Map<string, Date>> {
    const output = await run("docker", [
        "inspect",
        "--format",
        "{{.Name}} {{.State.StartedAt}}",
        ...containers,
    ]);
    return new Map(
        output
            .split("\n")
            .map((line) => line.replace(/^\//, "").split(" "))
            .map(([name, at]) => [name!, new Date(at!)]),
    );
}

async function hasClasses(...names: string[]): Promise<boolean> {
    const { code } = await attempt("kubectl", ["get", "storageclass", ...names], {
        env: exported(undefined),
    });
    return code === 0;
}

async function kubectl(args: readonly string[], input?: string): Promise<string> {
    return run("kubectl", args, { env: exported(undefined), input });
}

/** Stacks of a cluster that is gone are kept, but out of the way; a new one of the same name would not know their images. */
async function setStacksAside(why: string): Promise<void> {
    const { backend } = places();
    const aside = `${backend}.lost-${new Date().toISOString().replace(/[:.]/g, "-")}`;
    const { stacks, images } = setAside(backend, aside);
    if (stacks.length === 0) {
        return;
    }
    say(`cluster: ${why}; its stacks (${stacks.join(", ")}) are kept in ${aside}, their images are removed`);
    try {
        await removeImages(images);
    } catch (error) {
        // They take room; a cluster can be made all the same.
        say(`cluster: some of their images stay: ${(error as Error).message}`);
    }
}
