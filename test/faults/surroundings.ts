/** Faults of what surrounds the pods: the name server and the clock. One function each, as in faults.ts. */
import * as fs from "node:fs";
import * as path from "node:path";

import { waitFor } from "../support/docker";
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

/** Where the pod reads by how many seconds its clock is wrong; its volume survives every restart. */
const CLOCK = "/data/stepped-clock";
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
        await system.exec(name, container, ["bash", "-c", `echo ${seconds} >${CLOCK}`]);
    };
    return {
        async prepare(stage) {
            const program = programOf(stage);
            await program.up(withClock(program.touched({}), workload));
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
            await stage.system.tryKubectl(["exec", name, "--", "rm", "-f", CLOCK]);
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

/** Changes the image of a workload in a copy of the program, so that its clock can be stepped. */
function withClock(folder: string, workload: string): string {
    const images = path.join(folder, "images");
    const [own, app] = [workload, "dabaweb"].map((each) => path.join(images, each, "Dockerfile"));
    const text = clockDockerfile(fs.readFileSync(own!, "utf8"), fs.readFileSync(app!, "utf8"), workload);
    fs.writeFileSync(own!, text);
    fs.copyFileSync(path.join(__dirname, "clock.c"), path.join(images, workload, "clock.c"));
    return folder;
}

/**
 * An image's Dockerfile, with a stage in front that compiles clock.c.
 *
 * @param app the Dockerfile of the application, whose packages are compiled on a base that has a compiler
 */
export function clockDockerfile(own: string, app: string, workload: string): string {
    const compiler = /^ARG PYTHON_BUILD_IMAGE=.*$/m.exec(app)![0];
    const stage = [
        compiler,
        "FROM ${PYTHON_BUILD_IMAGE} AS clock",
        `COPY ${workload}/clock.c /`,
        "RUN gcc -shared -fPIC -O2 -o /clock.so /clock.c",
    ];
    const preload = [
        "COPY --from=clock /clock.so /opt/dabaweb/lib/",
        `ENV LD_PRELOAD=/opt/dabaweb/lib/clock.so STEPPED_CLOCK=${CLOCK}`,
    ];
    // The arguments of the first stage are declared above it, and so are those of all others.
    return own.replace(/^FROM .*$/m, (from) => [...stage, from, ...preload].join("\n"));
}
