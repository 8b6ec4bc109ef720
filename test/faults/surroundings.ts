/** Faults of what surrounds the pods: the name server and the clock. One function each, as in faults.ts. */
import * as path from "node:path";

import { waitFor } from "../support/docker";
import { CLOCK_FILE, withSteppedClock } from "../support/stepped-clock";
import { System } from "../support/system";
import { nodes } from "./cluster";
import { kill9 } from "./faults";
import { allPods, onNode, POLL_MS } from "./pods";
import { Fault, programOf, Scene } from "./scene";

/**
 * Lets the cluster's name server not answer for this many seconds: its questions are dropped on every node. It hangs, which is
 * worse than a refusal.
 *
 * @param meanwhile done at its beginning, for example a restart, after which names must be looked up again
 */
export const silenceNameServer = (seconds: number, meanwhile?: Fault): Fault => ({
    async strike(scene) {
        const all = await nodes();
        scene.hit();
        await switchNames(all, "off");
        try {
            await Promise.all([scene.last(seconds), meanwhile?.strike(scene)]);
        } finally {
            await switchNames(all, "on");
        }
    },
});

async function switchNames(all: readonly string[], to: "off" | "on"): Promise<void> {
    const rules = ["udp", "tcp"].map(
        (protocol) =>
            `iptables --wait ${to === "off" ? "--insert" : "--delete"} FORWARD --protocol ${protocol} --dport 53 --jump DROP`,
    );
    await Promise.all(all.map((node) => onNode(node, rules.join("; "))));
}

const HOUR = 3600;
/** Seconds that the pods live with each clock. */
const EACH_SECONDS = 20;
/** Seconds for a killed pod to be ready again, with Kubernetes' back-off. */
const READY_SECONDS = 120;

/**
 * Steps the clock of a pod forward by an hour, back, further back by an hour, and forward again; its server is killed after each
 * of the first three steps. Nodes here share the host's clock, so the pod runs an image of its own whose library answers with
 * another time, see clock.c.
 */
export const stepClock = (name: string): Fault => {
    const workload = name.replace(/-\d+$/, "");
    const set = async (system: System, seconds: number): Promise<void> => {
        const container = workload.split("-")[0]!;
        await system.exec(name, container, ["bash", "-c", `echo ${seconds} >${CLOCK_FILE}`]);
    };
    return {
        async prepare(stage) {
            const program = programOf(stage);
            const folder = program.touched({});
            withSteppedClock(path.join(folder, "images"), workload);
            await program.up(folder);
            await stage.system.ready();
        },
        async strike(scene) {
            scene.hit(name);
            for (const seconds of [HOUR, 0, -HOUR]) {
                await set(scene.system, seconds);
                await told(scene, name, seconds);
                await scene.last(EACH_SECONDS);
                await kill9(name).strike(scene);
                scene.system.forget(name);
                await ready(scene, name, seconds);
            }
            await set(scene.system, 0);
        },
        async undo(stage) {
            await stage.system.tryKubectl(["exec", name, "--", "rm", "-f", CLOCK_FILE]);
            await programOf(stage).up();
            await stage.system.ready();
        },
    };
};

/** @throws Error unless the pod believes the clock: the row would show nothing */
async function told({ system }: Scene, name: string, seconds: number): Promise<void> {
    const container = name.split("-")[0]!;
    await waitFor(`the clock of ${name} to be wrong by ${seconds} s`, 10, async () => {
        const now =
            container === "mysql"
                ? await system.sql(name, "SELECT UNIX_TIMESTAMP()")
                : (await system.redis(name, "TIME")).split("\n")[0];
        return Math.abs(Number(now) - Date.now() / 1000 - seconds) < 60;
    });
}

async function ready(scene: Scene, name: string, seconds: number): Promise<void> {
    const isReady = async (): Promise<boolean> =>
        (await allPods(scene.system)).some((pod) => pod.name === name && pod.ready);
    await waitFor(`${name} to be ready`, READY_SECONDS, isReady, { pauseMs: POLL_MS }).catch(() =>
        scene.wrong.push(
            `${name}, killed with its clock wrong by ${seconds} s, was not ready within ${READY_SECONDS} s`,
        ),
    );
}
