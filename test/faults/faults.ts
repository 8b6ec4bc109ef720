/** One function per fault: it returns what is done, and does not know which rows use it. */
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";

import { waitFor, whilePaused } from "../support/docker";
import { System } from "../support/system";
import { cutPower, nodes, switchRegistry, startNodes, untilNodesReady } from "./cluster";
import {
    allPods,
    findPod,
    nodeOf,
    onNode,
    Pod,
    POLL_MS,
    processesOf,
    signal,
    untilReplaced,
    volumeOf,
} from "./pods";
import { READER_AGE_SECONDS } from "./load";
import { Fault, programOf, Scene } from "./scene";

/** Seconds for Kubernetes to notice and react. */
const REACTION_SECONDS = 120;
/** Seconds for a readiness probe to reach its failure threshold and for the Service to follow, on a busy machine. */
const PROBED_SECONDS = 60;
/** Seconds within which a client gets its answer or gives up. */
const ANSWERED_SECONDS = 6;

/** Kills all processes of the pods at once, bypassing Kubernetes. */
export const kill9 = (...names: string[]): Fault => ({
    async strike(scene) {
        const pods = await Promise.all(names.map((name) => findPod(scene.system, name)));
        scene.hit(...pods.map(({ name }) => name));
        await Promise.all(pods.map((pod) => signal(pod, "KILL")));
        const restarts = (pod: Pod): number => pod.containers.reduce((sum, each) => sum + each.restarts, 0);
        for (const pod of pods) {
            const again = async (): Promise<boolean> => {
                const now = (await allPods(scene.system)).find(({ name }) => name === pod.name);
                return now === undefined || now.uid !== pod.uid || restarts(now) > restarts(pod);
            };
            await waitFor(`${pod.name} to be restarted`, REACTION_SECONDS, again, { pauseMs: POLL_MS });
        }
    },
});

/** Sends SIGSTOP to all processes of a pod, and SIGCONT after this many seconds. */
export const freeze = (name: string, seconds: number): Fault => ({
    async strike(scene) {
        const pod = await findPod(scene.system, name);
        scene.hit(pod.name);
        await signal(pod, "STOP");
        try {
            await scene.last(seconds);
        } finally {
            await signal(pod, "CONT");
        }
    },
});

/** Deletes a pod as `kubectl delete pod` does. */
export const deletePod = (name: string): Fault => ({
    async strike(scene) {
        const pod = await findPod(scene.system, name);
        scene.hit(pod.name);
        await scene.system.kubectl(["delete", "pod", pod.name, "--wait=false"]);
        await untilReplaced(scene.system, pod, REACTION_SECONDS);
    },
});

/** Deletes a pod and its volume gracefully: the server shuts down cleanly before its volume is deleted. */
export const deletePodWithClaim = (name: string): Fault => ({
    async strike(scene) {
        const pod = await findPod(scene.system, name);
        scene.hit(pod.name);
        await deleteClaim(scene.system, name);
        await scene.system.kubectl(["delete", "pod", name, "--wait=false"]);
        await untilReplaced(scene.system, pod, REACTION_SECONDS);
    },
});

/** Deletes a master's pod and its volume gracefully, while the slaves with the same data die and restart. */
export const deleteMasterWhileSlavesRestart = (system: "mysql" | "redis"): Fault => ({
    async strike(scene) {
        const names = scene.system.pods(`${system}-slave`);
        const slaves = await Promise.all(names.map((name) => findPod(scene.system, name)));
        scene.hit(...names);
        await Promise.all([
            deletePodWithClaim(`${system}-master-0`).strike(scene),
            ...slaves.map((slave) => signal(slave, "KILL")),
        ]);
    },
});

/** Deletes every pod at once, as `kubectl delete pods --all` does, and the masters' volumes with them. */
export const restartAllWithoutMastersClaims = (): Fault => ({
    async strike(scene) {
        const pods = (await allPods(scene.system)).filter(({ leaving, ended }) => !leaving && !ended);
        scene.hit(...pods.map(({ name }) => name));
        await Promise.all(
            ["redis-master-0", "mysql-master-0"].map((master) => deleteClaim(scene.system, master)),
        );
        await scene.system.kubectl(["delete", "pods", ...pods.map(({ name }) => name), "--wait=false"]);
        await Promise.all(pods.map((pod) => untilReplaced(scene.system, pod, REACTION_SECONDS)));
    },
});

/** Kills the pod's processes and destroys its volume at the same moment, as a dying disk would. */
export const destroyPodWithClaim = (name: string): Fault => ({
    strike: (scene) => destroy(scene, name),
});

async function destroy(scene: Scene, name: string): Promise<void> {
    const pod = await findPod(scene.system, name);
    const volume = await volumeOf(scene.system, name);
    scene.hit(pod.name);
    await signal(pod, "KILL");
    // The container restarts at once, and finds other data than it left.
    await onNode(pod.node!, `rm -rf "${volume}"/* "${volume}"/.[!.]* 2>/dev/null || true`);
    await deleteClaim(scene.system, name);
    await scene.system.kubectl(["delete", "pod", name, "--grace-period=0", "--force", "--wait=false"]);
    await untilReplaced(scene.system, pod, REACTION_SECONDS);
}

function deleteClaim(system: System, pod: string): Promise<string> {
    return system.kubectl(["delete", "pvc", `data-${pod}`, "--wait=false"]);
}

/** Stops the node of a pod without warning; starts it again after this many seconds. */
export const stopNodeOf = (name: string, seconds: number): Fault => ({
    async strike(scene) {
        const node = await nodeOf(scene.system, name);
        await scene.hitNodes(node);
        await cutPower(node);
        await scene.last(seconds);
        await startNodes(node);
        await untilNodesReady();
        scene.system.forget();
    },
});

/** Stops all nodes without warning, and starts them again. */
export const stopAllNodes = (): Fault => ({
    async strike(scene) {
        const all = await nodes();
        await scene.hitNodes(...all);
        await cutPower(...all);
        await startNodes(...all);
        await untilNodesReady();
        scene.system.forget();
    },
});

/** Pauses the node of a pod; it then continues as if nothing had happened. */
export const pauseNodeOf = (name: string, seconds: number): Fault => ({
    async strike(scene) {
        const node = await nodeOf(scene.system, name);
        await scene.hitNodes(node);
        await whilePaused(node, () => scene.last(seconds));
        await untilNodesReady();
        scene.system.forget();
    },
});

/**
 * Loses the node of a pod for good, and acts as its operator: removes the node from the cluster, and the claims of volumes
 * that only this node had. The node comes back, without pods, after everything has been checked.
 *
 * @param mastersToo whether a master's volume is one of those
 */
export const loseNodeOf = (name: string, mastersToo = false): Fault => {
    let lost: string | undefined;
    return {
        async strike(scene) {
            const node = await nodeOf(scene.system, name);
            lost = node;
            await scene.hitNodes(node);
            const pods = (await allPods(scene.system)).filter((pod) => pod.node === node);
            await cutPower(node);
            await scene.system.kubectl(["delete", "node", node]);
            const gone = mastersToo ? /-(master|slave)$/ : /-slave$/;
            for (const pod of pods.filter(({ workload }) => gone.test(workload))) {
                await deleteClaim(scene.system, pod.name);
            }
            for (const pod of pods) {
                await untilReplaced(scene.system, pod, REACTION_SECONDS);
            }
        },
        async undo() {
            if (lost !== undefined) {
                await startNodes(lost);
                await untilNodesReady();
            }
        },
    };
};

/** Cuts pods off the network in both directions for this many seconds; their nodes still run them. */
export const partition = (names: readonly string[], seconds: number): Fault => ({
    async strike(scene) {
        await partitioned(scene, names, () => scene.last(seconds));
    },
});

async function partitioned(scene: Scene, names: readonly string[], work: () => Promise<void>): Promise<void> {
    const pods = await Promise.all(names.map((name) => findPod(scene.system, name)));
    scene.hit(...names);
    await Promise.all(pods.map((pod) => cutNetwork(pod, true)));
    try {
        await work();
    } finally {
        await Promise.all(pods.map((pod) => cutNetwork(pod, false)));
    }
}

/** Adds or removes rules in the pod's own network namespace; the loopback device stays, because the pod itself needs it. */
async function cutNetwork(pod: Pod, cut: boolean): Promise<void> {
    const [pid] = await processesOf(pod);
    const rules = ["INPUT ! --in-interface lo", "OUTPUT ! --out-interface lo"].map((rule) => {
        const [chain, ...match] = rule.split(" ");
        return `iptables --wait ${cut ? "--insert" : "--delete"} ${chain} ${match.join(" ")} --jump DROP`;
    });
    await onNode(pod.node!, `nsenter --target ${pid} --net bash -euc '${rules.join("; ")}'`);
}

/**
 * Destroys the master's disk while it reaches no slave: whatever was acknowledged in that time was only on that disk.
 *
 * @param unguarded switches the guard off beforehand, as a control that the matrix can show a loss at all
 */
export const destroyMasterWithoutSlaves = (
    system: "mysql" | "redis",
    unguarded?: (system: System) => Promise<void>,
): Fault => ({
    async strike(scene) {
        const master = `${system}-master-0`;
        await unguarded?.(scene.system);
        await partitioned(scene, scene.system.pods(`${system}-slave`), async () => {
            // Longer than it takes to notice a dead link.
            await scene.last(20);
            await destroy(scene, master);
        });
    },
});

/** Switches semi-synchronous commits off: the master acknowledges what only it has. */
export async function withoutSemisync(system: System): Promise<void> {
    await system.sql("mysql-master-0", "SET GLOBAL rpl_semi_sync_source_enabled = OFF");
}

/**
 * Takes the master away for this many seconds. Its slaves keep serving for the allowed time, then leave their read Service
 * and stay out of it until the master is back.
 *
 * @param servedSeconds `maxMasterAwaySeconds` of the stack
 */
export const masterAway = (system: "mysql" | "redis", seconds: number, servedSeconds: number): Fault => ({
    async strike(scene) {
        const master = `${system}-master`;
        const serving = async (): Promise<string[]> =>
            (await allPods(scene.system))
                .filter(({ workload, ready }) => workload === `${system}-slave` && ready)
                .map(({ name }) => name);
        const away = (count: number): Promise<string> =>
            scene.system.kubectl(["scale", "statefulset", master, `--replicas=${count}`]);
        scene.hit(`${master}-0`);
        const end = Date.now() + seconds * 1000;
        await away(0);
        try {
            await waitFor(
                `the slaves of ${master} to leave their read Service`,
                servedSeconds + PROBED_SECONDS,
                async () => (await serving()).length === 0,
                { pauseMs: POLL_MS },
            );
            // Existing connections survive the Service's change until the readers reconnect.
            const aged = Date.now() + (READER_AGE_SECONDS + ANSWERED_SECONDS) * 1000;
            const untilEnd = async (): Promise<string[] | false> => {
                const back = await serving();
                return (back.length > 0 || Date.now() >= end) && back;
            };
            const early = await waitFor(`${seconds} s to pass`, seconds, untilEnd, { pauseMs: POLL_MS });
            if (early.length > 0) {
                throw new Error(`${early.join(", ")} served again before ${master} was back`);
            }
            if (!scene.load.silentSince(aged).includes(`reads of ${system}`)) {
                throw new Error(`a slave answered reads although all had left the read Service of ${system}`);
            }
        } finally {
            await away(1);
        }
    },
});

/** Fills the disk of a pod for this many seconds. For that time, the volume is a file system of limited size. */
export const fillVolume = (name: string, seconds: number): Fault => {
    const workload = name.replace(/-\d+$/, "");
    const ordinal = Number(name.slice(workload.length + 1));
    let [node, volume, limited] = ["", "", ""];
    const scale = async (system: System, count: number): Promise<void> => {
        await system.kubectl(["scale", "statefulset", workload, `--replicas=${count}`]);
        await waitFor(`${workload} to have ${count} pods`, REACTION_SECONDS, async () => {
            const pods = (await allPods(system)).filter((pod) => pod.workload === workload);
            return pods.length === count && (count <= ordinal || pods.every((pod) => pod.ready));
        });
    };
    /** Swaps the pod's folder while the pod is away; the pod comes back on the same node. */
    const exchange = async (system: System, script: string): Promise<void> => {
        // A master's volume would let it start on another node; the control plane takes no pods anyway.
        const others = workload.endsWith("-master") ? (await nodes()).filter((each) => each !== node) : [];
        await scale(system, ordinal);
        await onNode(node, script, 120);
        await Promise.all(others.map((each) => system.kubectl(["cordon", each])));
        try {
            await scale(system, system.counts[workload]!);
        } finally {
            await Promise.all(others.map((each) => system.kubectl(["uncordon", each])));
        }
    };
    return {
        async prepare({ system }) {
            // Other stacks have their own folder on the same node.
            limited = `/limited/${system.namespace}`;
            [node, volume] = [await nodeOf(system, name), await volumeOf(system, name)];
            await exchange(
                system,
                `mkdir -p "${limited}"; mount -t tmpfs -o size=768m,mode=0777 limited "${limited}"
                cp -a "${volume}/." "${limited}/"; mount --bind "${limited}" "${volume}"`,
            );
        },
        async strike(scene) {
            scene.hit(name);
            const filler = `${volume}/filler`;
            await onNode(node, `dd if=/dev/zero of="${filler}" bs=1M 2>/dev/null || true`);
            try {
                await scene.last(seconds);
            } finally {
                await onNode(node, `rm "${filler}"`);
            }
        },
        async undo({ system }) {
            await exchange(
                system,
                `umount "${volume}"; find "${volume}" -mindepth 1 -delete
                cp -a "${limited}/." "${volume}/"; umount "${limited}"`,
            );
        },
    };
};

/** Kills a new slave's clone half-way. */
export const killClone = (name: string): Fault => ({
    async strike(scene) {
        const { system } = scene;
        await deletePodWithClaim(name).strike(scene);
        await waitFor(`${name} to be seeding`, REACTION_SECONDS, async () => {
            const pod = await findPod(system, name);
            if (!pod.containers.some((each) => each.name === "seed" && each.running)) {
                return false;
            }
            const volume = await volumeOf(system, name);
            const pids = (await processesOf(pod, "seed")).join(" ");
            // One script on the node: from here, a copy of little data would finish before it is noticed.
            const script = `for i in {1..600}; do
                if [ -d "${volume}/mysql.new" ]; then kill -KILL ${pids}; echo killed; exit; fi
                sleep 0.02
            done`;
            return (await onNode(pod.node!, script)) === "killed";
        });
    },
});

/** Runs another `up` with images that differ in a comment: every pod of these workloads is rolled. */
export const rollout = (workloads: readonly string[]): Fault => ({
    async strike(scene) {
        const program = programOf(scene);
        await scene.hitWorkloads(...workloads);
        await program.up(program.touched(touched(workloads)));
        await scene.system.ready();
    },
    undo: (stage) => programOf(stage).up(),
});

/** A file of each workload's image, with the line to append. */
function touched(workloads: readonly string[], line = `# ${Date.now()}`): Record<string, string> {
    const file = (workload: string): string =>
        workload === "dabacluster" ? "images/dabaweb/app/gunicorn.conf.py" : `images/${workload}/start`;
    return Object.fromEntries(workloads.map((workload) => [file(workload), line]));
}

/** Rolls out an image whose start fails; the `up` fails, and the previous image is restored. */
export const badImage = (workload: string): Fault => ({
    async strike(scene) {
        const program = programOf(scene);
        await scene.hitWorkloads(workload);
        const restore = program.keepStackFile();
        await program.pulumi([
            "config",
            "set-all",
            "--path",
            "--plaintext",
            `dabaweb:${workload}.awaitMinutes=1`,
        ]);
        // A start script ends with exec, so that an appended line would not run.
        const folder = program.touched(
            touched(workload === "dabacluster" ? [workload] : [], "raise SystemExit(1)"),
        );
        if (workload !== "dabacluster") {
            fs.writeFileSync(path.join(folder, "images", workload, "start"), "#!/bin/sh\nexit 1\n", {
                mode: 0o755,
            });
        }
        const code = await program.startUp(folder).ended(10 * 60);
        restore();
        // For a StatefulSet, it may return before the rollout has started, see System.ready.
        if (code === 0 && workload === "dabacluster") {
            throw new Error("`pulumi up` of a bad image succeeded");
        }
        await waitFor(`a pod of ${workload} to fail to start`, REACTION_SECONDS, async () =>
            (await allPods(scene.system)).some(
                (pod) =>
                    pod.workload === workload &&
                    !pod.ready &&
                    pod.containers.some(({ restarts }) => restarts > 1),
            ),
        );
        await program.pulumi(["refresh", "--yes", "--skip-preview"]);
        await program.up();
        await scene.system.ready();
    },
});

/** Kills `up` and everything it started while it rolls the web tier; cancel, refresh and up repair the stack. */
export const killUp = (): Fault => ({
    async strike(scene) {
        const program = programOf(scene);
        const running = program.startUp(program.touched(touched(["dabacluster", "redis-slave"])));
        await running.says(/(StatefulSet|Job|Deployment).*(updating|creating|replacing)/, 300);
        await scene.hitWorkloads("dabacluster", "redis-slave");
        await running.kill();
        await program.pulumi(["cancel", "--yes"]);
        await program.pulumi(["refresh", "--yes", "--skip-preview"]);
        await program.up();
        await scene.system.ready();
    },
});

/** Kills the registry in the middle of an `up` and starts it again; a later `up` repairs the stack. */
export const cutRegistry = (): Fault => ({
    async strike(scene) {
        const program = programOf(scene);
        const running = program.startUp(program.touched(touched(["dabacluster", "redis-slave"])));
        await running.says(/RegistryImage.*(creating|replacing)/, 300);
        await scene.hitWorkloads("dabacluster", "redis-slave");
        await switchRegistry("off");
        try {
            await scene.last(20);
        } finally {
            await switchRegistry("on");
        }
        await running.ended(15 * 60);
        await program.up();
        await scene.system.ready();
    },
});

/** Cuts Docker off in the middle of an `up`, only for that `up`: it talks to a proxy of the socket. */
export const cutDocker = (): Fault => ({
    async strike(scene) {
        const program = programOf(scene);
        const proxy = await SocketProxy.open(path.join(program.folder, "docker.sock"));
        try {
            const folder = program.touched(touched(["dabacluster", "redis-slave"]));
            const running = program.startUp(folder, { DOCKER_HOST: `unix://${proxy.file}` });
            await running.says(/RegistryImage.*(creating|replacing)/, 300);
            await scene.hitWorkloads("dabacluster", "redis-slave");
            proxy.cut();
            if ((await running.ended(15 * 60)) === 0) {
                throw new Error("`pulumi up` succeeded without Docker");
            }
        } finally {
            proxy.cut();
        }
        await program.pulumi(["refresh", "--yes", "--skip-preview"]);
        await program.up();
        await scene.system.ready();
    },
});

class SocketProxy {
    private readonly sockets = new Set<net.Socket>();
    private readonly server: net.Server;

    private constructor(
        readonly file: string,
        target: string,
    ) {
        this.server = net.createServer((client) => {
            const daemon = net.connect(target);
            for (const socket of [client, daemon]) {
                this.sockets.add(socket);
                socket.on("error", () => undefined).on("close", () => this.sockets.delete(socket));
            }
            client.pipe(daemon).pipe(client);
        });
    }

    static async open(file: string): Promise<SocketProxy> {
        const host = process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock";
        const proxy = new SocketProxy(file, host.replace(/^unix:\/\//, ""));
        fs.rmSync(proxy.file, { force: true });
        await new Promise<void>((resolve, reject) => {
            proxy.server.once("error", reject).listen(proxy.file, resolve);
        });
        return proxy;
    }

    cut(): void {
        this.server.close();
        this.sockets.forEach((socket) => socket.destroy());
    }
}

/** Kills the Job that migrates the database while it runs; `up` waits for its next attempt. */
export const killMigration = (): Fault => ({
    async strike(scene) {
        const program = programOf(scene);
        const running = program.startUp(program.touched(touched(["dabacluster"])));
        await scene.hitWorkloads("dabacluster");
        await waitFor("the migration to run", 300, async () => {
            const pods = await allPods(scene.system);
            const job = pods.find(
                ({ workload, containers }) =>
                    workload === "dabacluster-migrate" && containers.some((each) => each.running),
            );
            if (job === undefined) {
                return false;
            }
            scene.hit(job.name);
            await signal(job, "KILL");
            return true;
        });
        const code = await running.ended(15 * 60);
        if (code !== 0) {
            throw new Error(`\`pulumi up\` ended with exit code ${code}`);
        }
    },
    undo: (stage) => programOf(stage).up(),
});
