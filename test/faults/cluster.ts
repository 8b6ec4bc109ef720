/**
 * A separate cluster for faults, next to the local one: it has its own three nodes, or four if the masters' volumes are to be local to theirs, registry, Pulumi backend and folder
 * shared by all nodes, and all of it is removed afterwards. It runs on the user's Docker daemon, which no fault touches.
 */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { kindConfig } from "../../local/cluster/kind-config";
import { useRegistry } from "../../local/cluster/node-registry";
import { clusterNodes, thaw } from "../../local/cluster/nodes";
import { nodeImage } from "../../local/images/images";
import { checkPorts } from "../../local/machine/disk-and-ports";
import { writeWhole } from "../../local/machine/files";
import { say } from "../../local/machine/progress";
import { attempt, run, until } from "../../local/machine/shell";
import { images, tagged } from "../../local/pins";
import { dockerChoice, exported, fileBackend, places } from "../../local/places";
import { joinNetwork } from "../../local/engine/service";
import { registryImage } from "../../local/registry/registry";
import { Refusal } from "../../operations/refusal";

/**
 * FAULTS_CLUSTER, 1 by default and at most 3: the number of the cluster, so that rows that take down nodes can run in
 * parallel with others. Ports and names depend on it.
 */
const which = Number(process.env.FAULTS_CLUSTER ?? "1");
if (![1, 2, 3].includes(which)) {
    throw new Refusal(
        `FAULTS_CLUSTER is "${process.env.FAULTS_CLUSTER}"; set it to a number from 1 to 3, or unset it.`,
    );
}

export const NAME = which === 1 ? "dabaweb-faults" : `dabaweb-faults-${which}`;

const CONTROL_PLANE = `${NAME}-control-plane`;
const REGISTRY = `${NAME}-registry`;
/** kind's own network. */
const NETWORK = "kind";

const REGISTRY_PORT = 5100 + which;
const API_PORT = 26443 + which;
/** The number of stacks that fit on the cluster. */
export const LANES_AT_MOST = 4;
/** NodePorts per stack: one for the page, the others are the doors of the load. */
export const PORTS_OF_A_LANE = 5;
/** All published on loopback. */
export const NODE_PORTS = Array.from(
    { length: LANES_AT_MOST * PORTS_OF_A_LANE },
    (_, i) => 32100 + (which - 1) * LANES_AT_MOST * PORTS_OF_A_LANE + i,
);

const WATCHERS = 512;
export const REGISTRY_ADDRESS = `localhost:${REGISTRY_PORT}`;

/** Where all files of the cluster are. */
const folder = path.join(places().state, NAME.replace("dabaweb-", ""));

export const files = {
    folder,
    kubeconfig: path.join(folder, "kubeconfig"),
    backend: path.join(folder, "pulumi"),
    passphrase: path.join(folder, "passphrase"),
    ledgers: path.join(folder, "ledgers"),
    /** Mounted at {@link SHARED} on every node. */
    shared: path.join(folder, "volumes"),
} as const;

export const SHARED = "/shared";

/** The variables that direct every tool to this cluster, and none to the user's own environment. */
export function environment(): Record<string, string> {
    return {
        ...exported(dockerChoice()?.host),
        KUBECONFIG: files.kubeconfig,
        PULUMI_BACKEND_URL: fileBackend(files.backend),
        PULUMI_CONFIG_PASSPHRASE_FILE: files.passphrase,
    };
}

/**
 * Creates the cluster; first removes whatever an earlier run left.
 *
 * @param workers nodes beside the control plane, which takes no pods: with three, each pod of a system finds its own
 */
export async function make(workers: 2 | 3 = 2): Promise<void> {
    await remove("that an earlier run left");
    checkWatches();
    await checkPorts([API_PORT, REGISTRY_PORT, ...NODE_PORTS], "the cluster for faults");
    [files.backend, files.ledgers, files.shared].forEach((each) => fs.mkdirSync(each, { recursive: true }));
    // The pods' user creates its folders in it.
    fs.chmodSync(files.shared, 0o777);
    writeWhole(files.passphrase, randomBytes(32).toString("base64url"), 0o600);
    say(`cluster: creating ${workers + 1} nodes`);
    const shape = {
        name: NAME,
        apiPort: API_PORT,
        nodePorts: NODE_PORTS,
        podsOnControlPlane: false,
        mounts: { [files.shared]: SHARED },
    };
    const args = ["create", "cluster", "--config", "-", "--image", (await nodeImage())!];
    await run("kind", [...args, "--kubeconfig", files.kubeconfig, "--wait", "180s"], {
        input: kindConfig(workers + 1, shape),
    });
    await run("docker", [
        ...["run", "--detach", "--name", REGISTRY, "--publish", `127.0.0.1:${REGISTRY_PORT}:5000`],
        ...["--env", "REGISTRY_STORAGE_DELETE_ENABLED=true"],
        ...["--env", "OTEL_TRACES_EXPORTER=none", await registryImage()],
    ]);
    await joinNetwork(NETWORK, REGISTRY);
    for (const { name } of await clusterNodes(NAME)) {
        await useRegistry(name, REGISTRY_ADDRESS, REGISTRY);
    }
    await untilNodesReady();
    await provideSharedVolumes();
}

/**
 * Every kubelet, kube-proxy and containerd watches files: the local cluster and one of these use up Linux's default of 128
 * watchers (https://kind.sigs.k8s.io/docs/user/known-issues/#pod-errors-due-to-too-many-open-files).
 */
function checkWatches(): void {
    const limit = Number(fs.readFileSync("/proc/sys/fs/inotify/max_user_instances", "utf8"));
    if (which > 1 && limit < WATCHERS) {
        throw new Refusal(
            `fs.inotify.max_user_instances is ${limit}, too few for another cluster; set it to ${WATCHERS} or more: ` +
                `sysctl --write fs.inotify.max_user_instances=${WATCHERS}`,
        );
    }
}

/** Removes the whole cluster, complete or not. */
export async function remove(why: string): Promise<void> {
    const containers = (await clusterNodes(NAME)).map(({ name }) => name);
    if ((await attempt("docker", ["container", "inspect", REGISTRY])).code === 0) {
        containers.push(REGISTRY);
    }
    if (containers.length > 0) {
        say(`cluster: removing the cluster ${why}`);
        // Some versions of Docker cannot remove a paused container.
        await attempt("docker", ["unpause", ...containers]);
        await Promise.all(containers.map((each) => thaw(each).catch(() => undefined)));
        await run("docker", ["rm", "--force", "--volumes", ...containers]);
    }
    const tagged = await run("docker", [
        ...["images", "--filter", `reference=${REGISTRY_ADDRESS}/*/*/*`],
        ...["--format", "{{.Repository}}:{{.Tag}}"],
    ]);
    if (tagged !== "") {
        await attempt("docker", ["rmi", ...tagged.split("\n")]);
    }
    await removeFolder();
}

/** The pods' files belong to the pods' user: if the current user may not remove them, a container does. */
async function removeFolder(): Promise<void> {
    try {
        fs.rmSync(folder, { recursive: true, force: true });
    } catch {
        const base = tagged(images.bases[0].image);
        const script = ["--entrypoint", "sh", base, "-c", "rm -rf /folder/volumes/*"];
        await run("docker", ["run", "--rm", "--user", "0", "--volume", `${folder}:/folder`, ...script]);
        fs.rmSync(folder, { recursive: true, force: true });
    }
}

/** The nodes' containers; the control plane first. */
export async function nodes(): Promise<string[]> {
    return (await clusterNodes(NAME)).map(({ name }) => name);
}

/** Waits until all nodes are ready, and all of them belong to the cluster. */
export async function untilNodesReady(seconds = 180): Promise<void> {
    const count = (await nodes()).length;
    const query = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}';
    await until(`${count} nodes of ${NAME} to be ready`, seconds, async () => {
        const args = ["get", "nodes", "--request-timeout=5s", "--output", `jsonpath=${query}`];
        const { code, output } = await attempt("kubectl", args);
        const states = output.trim().split("\n");
        return code === 0 && states.length === count && states.every((state) => state === "True");
    });
}

/** Stops nodes as a power cut would. */
export async function cutPower(...names: string[]): Promise<void> {
    await attempt("docker", ["kill", ...names]);
    await until(`${names.join(", ")} to be off`, 60, async () => {
        const on = (await clusterNodes(NAME)).filter(({ name, running }) => names.includes(name) && running);
        await Promise.all(on.map(({ name }) => thaw(name)));
        return on.length === 0;
    });
}

/** Starts nodes in this order: the others look up the control plane's address. */
export async function startNodes(...names: string[]): Promise<void> {
    for (const name of names) {
        await run("docker", ["start", name]);
    }
}

/** Kills the registry without warning, or starts it again with all its content. */
export async function switchRegistry(to: "off" | "on"): Promise<void> {
    await run("docker", [to === "off" ? "kill" : "start", REGISTRY]);
}

/**
 * Adds the class `shared`, whose volumes every node can reach, to kind's own `standard`. The provisioner moves to the
 * control plane, which no fault takes down alone.
 */
async function provideSharedVolumes(): Promise<void> {
    const inNamespace = ["--namespace", "local-path-storage"];
    const kubectl = (args: readonly string[], input?: string) => run("kubectl", args, { input });
    await until("the storage class `standard`", 60, async () => {
        return (await attempt("kubectl", ["get", "storageclass", "standard"])).code === 0;
    });
    const current = ["get", "configmap", "local-path-config", ...inNamespace];
    const own = await kubectl([...current, "--output", "jsonpath={.data.config\\.json}"]);
    const classes = { standard: JSON.parse(own) as object, shared: { sharedFileSystemPath: SHARED } };
    const data = { "config.json": JSON.stringify({ storageClassConfigs: classes }) };
    const patch = (kind: string, name: string, value: object) =>
        kubectl(["patch", kind, name, ...inNamespace, "--type=merge", "--patch", JSON.stringify(value)]);
    await patch("configmap", "local-path-config", { data });
    await patch("deployment", "local-path-provisioner", {
        spec: {
            template: {
                metadata: { annotations: { classes: "standard, shared" } },
                spec: {
                    nodeSelector: { "kubernetes.io/hostname": CONTROL_PLANE },
                    tolerations: [{ operator: "Exists" }],
                },
            },
        },
    });
    const rollout = ["rollout", "status", "deployment/local-path-provisioner", ...inNamespace];
    await kubectl([...rollout, "--timeout=120s"]);
    const sharedClass = {
        apiVersion: "storage.k8s.io/v1",
        kind: "StorageClass",
        metadata: { name: "shared" },
        provisioner: "rancher.io/local-path",
        reclaimPolicy: "Delete",
        volumeBindingMode: "WaitForFirstConsumer",
    };
    await kubectl(["apply", "--filename", "-"], JSON.stringify(sharedClass));
}
