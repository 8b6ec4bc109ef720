/** A master that comes back with an older copy of its volume, as from a snapshot, while its slaves are late. */
import { waitFor } from "../support/docker";
import { System } from "../support/system";
import { deletePodWithClaim } from "./faults";
import { allPods, findPod, onNode, POLL_MS, scale, signal, volumeOf } from "./pods";
import { Fault } from "./scene";

/** Seconds of writes that the older copy lacks. */
const LACKING_SECONDS = 10;
/** Seconds that the slaves come later than the master: longer than a master waits for slaves that do not answer. */
const LATE_SECONDS = 30;
/** Seconds for the slaves to start and to be compared with. */
const COMPARED_SECONDS = 90;
/** Seconds that it must stay so: a master that opened may close again when it has heard its slaves. */
const STEADY_SECONDS = 20;
/** What a pod says that must not go on with what it has. */
const ADVICE = /delete (this|the|its) pod and (its|the) claim/i;

/** Puts an older copy of a master's volume in place; its slaves, which have more, come when it has been up for a while. */
export const olderCopy = (engine: "redis" | "mysql"): Fault => ({
    async strike(scene) {
        const { system } = scene;
        const [master, slaves] = [`${engine}-master`, system.pods(`${engine}-slave`)];
        const pod = await findPod(system, `${master}-0`);
        const volume = await volumeOf(system, pod.name);
        const copy = `${volume}.older`;
        // The server is stopped meanwhile, so that the copy is of one moment.
        await signal(pod, "STOP");
        try {
            await onNode(pod.node!, `rm -rf "${copy}"; cp -a "${volume}" "${copy}"`, 120);
        } finally {
            await signal(pod, "CONT");
        }
        await scene.last(LACKING_SECONDS);
        scene.hit(pod.name, ...slaves);
        // The master first: the slaves have everything that it acknowledged.
        await scale(system, master, 0);
        await scale(system, `${engine}-slave`, 0);
        await onNode(
            pod.node!,
            `find "${volume}" -mindepth 1 -delete; cp -a "${copy}/." "${volume}/"; rm -rf "${copy}"`,
            120,
        );
        await scale(system, master, 1);
        await scene.last(LATE_SECONDS);
        const opened = await isReady(system, `${master}-0`);
        await scale(system, `${engine}-slave`, slaves.length);
        const said = () => system.kubectl(["logs", `${master}-0`, "--tail=20"]);
        scene.notes.push(
            `${master}-0 ${opened ? "was open" : "was not open"} when its slaves came, ${LATE_SECONDS} s after it`,
        );
        let [found, since] = ["neither", 0];
        const settled = await waitFor(
            `${master} and its slaves to stay ready, or ${master}-0 to say what to do`,
            COMPARED_SECONDS,
            async () => {
                const pods = [`${master}-0`, ...slaves].map((each) => isReady(system, each));
                const all = (await Promise.all(pods)).every(Boolean);
                const now = all ? "ready" : ADVICE.test(await said()) ? "told" : "neither";
                if (now !== found) {
                    [found, since] = [now, Date.now()];
                }
                return found !== "neither" && Date.now() - since > STEADY_SECONDS * 1000 && found;
            },
            { pauseMs: POLL_MS },
        ).catch(() => "neither");
        if (settled === "ready") {
            scene.notes.push("all pods were ready by themselves");
            return;
        }
        if (settled === "neither") {
            scene.wrong.push(`${master}-0 does not say what to do: ${(await said()).split("\n").at(-1)}`);
        }
        scene.notes.push(`as ${master}-0 says, its pod and claim were deleted`);
        await deletePodWithClaim(`${master}-0`).strike(scene);
    },
});

async function isReady(system: System, name: string): Promise<boolean> {
    return (await allPods(system)).some((pod) => pod.name === name && pod.ready && !pod.leaving);
}
