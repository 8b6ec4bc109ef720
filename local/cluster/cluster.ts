/** The kind cluster: created once, started again after a stop, and recognised if the cluster or its state was lost. */
import * as fs from "node:fs";

import { isJoined, joinNetwork } from "../engine/service";
import { nodeImage } from "../images/images";
import { checkPorts } from "../machine/disk-and-ports";
import { readJson, writeWhole } from "../machine/files";
import { say } from "../machine/progress";
import { attempt, run, until } from "../machine/shell";
import { exported, names, places, ports } from "../places";
import { removeImages } from "../registry/images";
import { setAside } from "../state/lost-stacks";
import type { Plan, Step } from "../steps/step";
import { ClusterState, decide, Node, wantedNodes } from "./decide";
import { kindConfig } from "./kind-config";
import { useRegistry } from "./node-registry";
import { clusterNodes, isReady, startNodes, stopCluster } from "./nodes";

/** The ports of this machine that the control plane's container uses. */
const allPorts = [ports.api, ...ports.node];

export class ClusterStep implements Step {
    readonly name = "cluster";
    readonly needs = ["kind", "kubectl", "node image", "registry", "store"];
    readonly asksEngine = true;

    async plan(): Promise<Plan> {
        const nodes = await clusterNodes().catch(() => undefined);
        if (nodes === undefined) {
            await checkPorts(allPorts, "the cluster");
            return { way: "start", detail: "known once the engine runs", minutes: 1, gigabytes: 1 };
        }
        const { action, why } = this.decide(nodes);
        if (
            action === "nothing" &&
            (await isReady()) &&
            (await hasClasses("standard", "retained")) &&
            (await isJoined(names.network, names.store))
        ) {
            return { way: "ready", detail: names.context, minutes: 0, gigabytes: 0 };
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
            say(`cluster: ${why}; it is removed and created again`);
            await removeCluster();
        }
        if (action === "create" || action === "replace") {
            await setStacksAside(why);
            await create(wantedNodes() ?? 1);
        } else {
            say(`cluster: ${why || "it is not ready"}; bringing it back up`);
            await restart();
        }
        await joinNetwork(names.network, names.registry);
        await joinNetwork(names.network, names.store);
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

/** Whether kind's network was created with the cluster. */
export const madeNetwork = (): boolean => readJson<ClusterState>(places().cluster)?.madeNetwork ?? false;

async function networkExists(): Promise<boolean> {
    return (await attempt("docker", ["network", "inspect", names.network])).code === 0;
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
    // Until the new cluster is finished, there is no cluster that this state belongs to.
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

/** kind passes the proxy's variables to its nodes; they need no proxy for hosts on their own network. */
export function besideProxy(host: string, env: NodeJS.ProcessEnv = process.env): Record<string, string> {
    const direct = [env.NO_PROXY || env.no_proxy, host].filter(Boolean).join(",");
    return { NO_PROXY: direct, no_proxy: direct };
}

async function restart(): Promise<void> {
    await startNodes();
    const remedy = "To start from scratch: `make local-purge`, then `make up`.";
    try {
        await until("the control plane to provide its kubeconfig", 60, exportKubeconfig, remedy);
    } catch {
        say("cluster: its nodes are running but do not answer; restarting them");
        await stopCluster();
        await startNodes();
        await until("the control plane to provide its kubeconfig", 60, exportKubeconfig, remedy);
    }
}

async function exportKubeconfig(): Promise<boolean> {
    const args = ["export", "kubeconfig", "--name", names.cluster, "--kubeconfig", places().kubeconfig];
    return (await attempt("kind", args, { env: exported(undefined) })).code === 0;
}

/**
 * If processors are short, a container has 1024 shares by default, and so would a node with all its pods and the API server.
 * Next to a few busy containers, the API server would answer too late and be restarted for that.
 */
const NODE_SHARES = 16 * 1024;

/** Turns kind's cluster into ours. Every part can be repeated; the state file is written last. */
async function configure(made: boolean): Promise<void> {
    const nodes = await clusterNodes();
    const remedy = "See `kubectl describe nodes`. To start from scratch: `make local-purge`, then `make up`.";
    await until("the cluster's nodes to be ready", 180, isReady, remedy);
    for (const { name } of nodes) {
        await run("docker", ["update", "--cpu-shares", String(NODE_SHARES), name]);
        await useRegistry(name);
    }
    // kubectl cannot wait for an object that does not exist yet.
    await until("the storage class `standard`", 60, () => hasClasses("standard"));
    await kubectl(["apply", "--filename", "-"], await retainedClass());
    const id = await kubectl(["get", "namespace", "kube-system", "--output", "jsonpath={.metadata.uid}"]);
    const state: ClusterState = { id, nodes: nodes.length, ...(made && { madeNetwork: true }) };
    writeWhole(places().cluster, `${JSON.stringify(state)}\n`);
}

/** The same as kind's `standard`, which deletes volumes with their claims, but with volumes that stay. */
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

async function hasClasses(...names: string[]): Promise<boolean> {
    const { code } = await attempt("kubectl", ["get", "storageclass", ...names], {
        env: exported(undefined),
    });
    return code === 0;
}

async function kubectl(args: readonly string[], input?: string): Promise<string> {
    return run("kubectl", args, { env: exported(undefined), input });
}

/**
 * Stacks of a cluster that is gone are kept, but out of the way. Their images are removed, since a new stack of the same name
 * would not know them.
 */
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
        // They use disk space, but a cluster can be created without removing them.
        say(`cluster: some of their images stay: ${(error as Error).message}`);
    }
}
