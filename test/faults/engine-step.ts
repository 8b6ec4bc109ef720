/** A newer version of an engine under load. */
import { ownBases } from "../../local/state/bases";
import { docker } from "../support/docker";
import { System } from "../support/system";
import { Fault, programOf } from "./scene";

/** The stand-in with the Redis of Debian's sid, in which its suite's own one is older. */
const NEWER = "dabaweb/base-redis-newer:sid";
const RECIPE = `
ARG BASE_IMAGE
FROM \${BASE_IMAGE}
USER root
RUN sed -n 's/^\\(deb [^ ]*\\) trixie main$/\\1 sid main/p' /etc/apt/sources.list >/etc/apt/sources.list.d/sid.list \\
    && apt-get -o Acquire::Check-Valid-Until=false update \\
    && apt-get -o Dpkg::Options::=--force-confnew install --target-release=sid redis-server redis-tools \\
    && mv /usr/bin/redis-* /usr/local/bin/ \\
    && rm -rf /var/lib/apt/lists/* /etc/redis /var/log/redis
`;
const BUILD_SECONDS = 300;

/**
 * Updates Redis to a newer version in one `up`: the slaves must be replaced before their master, which could otherwise send what
 * they do not understand. Inside a series the way back is another such update, without load.
 */
export const engineStep = (): Fault => {
    let restore = (): void => undefined;
    return {
        async prepare() {
            const { redis } = ownBases();
            if (redis === undefined) {
                throw new Error("this machine uses the official image of Redis; this row needs the stand-in");
            }
            const args = ["build", "--force-rm", "--tag", NEWER, "--build-arg", `BASE_IMAGE=${redis}`, "-"];
            await docker(args, { input: RECIPE, timeoutSeconds: BUILD_SECONDS });
        },
        async strike(scene) {
            const { system } = scene;
            const program = programOf(scene);
            const before = await version(system);
            await scene.hitWorkloads("redis-master", "redis-slave");
            restore = program.keepStackFile();
            await program.configure("bases.redis", NEWER);
            await program.up();
            await system.ready();
            const after = await version(system);
            scene.notes.push(`Redis ${before} became ${after}`);
            if (after === before) {
                scene.wrong.push(`the update changed no version: Redis is still ${before}`);
            }
            const [master, ...slaves] = await Promise.all(
                ["redis-master-0", ...system.pods("redis-slave")].map((pod) => startOf(system, pod)),
            );
            if (slaves.some((slave) => slave > master!)) {
                scene.wrong.push("redis-master was replaced before all of its slaves were");
            }
        },
        async undo(stage) {
            restore();
            await programOf(stage).up();
            await stage.system.ready();
            await docker(["rmi", NEWER]).catch(() => undefined);
        },
    };
};

async function version(system: System): Promise<string> {
    const info = await system.redis("redis-master-0", "INFO", "server");
    return /redis_version:(\S+)/.exec(info)?.[1] ?? "unknown";
}

/** When a pod started, as text that sorts by time. */
function startOf(system: System, pod: string): Promise<string> {
    return system.kubectl(["get", "pod", pod, "-o", "jsonpath={.status.startTime}"]);
}
