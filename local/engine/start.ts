/** Starts and stops our own Docker Engine: with systemd if the machine runs it, otherwise by hand. */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { Refusal } from "../../operations/refusal";
import { install, isRoot, noDebianRoot } from "../machine/apt";
import { writeWhole } from "../machine/files";
import { say } from "../machine/progress";
import { attempt, run, until } from "../machine/shell";
import { type DockerChoice, places } from "../places";
import { ask } from "./find";

const execRoot = "/run/dabaweb-pulumi/docker";

const narrowRuntime = path.join(__dirname, "runc-without-sys-resource");

export const systemdRuns = (): boolean => fs.existsSync("/run/systemd/system");

/** Installs the engine if it is missing, starts it, and returns how to reach it. */
export async function startEngine(): Promise<DockerChoice> {
    const absent = (await attempt("dockerd", ["--version"])).code !== 0;
    if (!isRoot() || (absent && noDebianRoot() !== undefined)) {
        throw new Refusal(
            "No Docker Engine answers, and only root can install or start one; start Docker (or Docker Desktop) and " +
                "make sure that `docker info` works as your user, then run this again.",
        );
    }
    if (absent) {
        await install(["docker.io", ...(await clientPackage())]);
    }
    // Docker's own package installs the firewall program; an engine that was unpacked by hand may lack it.
    await install(["iptables"]);
    if (systemdRuns()) {
        await run("systemctl", ["start", "docker"]);
        await until("the Docker Engine to answer", 60, async () => (await ask(undefined)) !== undefined);
        return { startedBy: "systemd" };
    }
    return startByHand();
}

/** Stops what startEngine started. */
export async function stopEngine({ startedBy }: DockerChoice): Promise<void> {
    if (startedBy === "systemd") {
        await run("systemctl", ["stop", "docker.socket", "docker.service"]);
    }
    const pid = startedBy === "hand" ? livingDaemon() : undefined;
    if (pid !== undefined) {
        process.kill(pid, "SIGTERM");
        await until(`dockerd (process ${pid}) to stop`, 60, async () => livingDaemon() === undefined);
    }
}

async function startByHand(): Promise<DockerChoice> {
    const place = places();
    const host = `unix://${place.dockerSocket}`;
    if (fs.existsSync(place.dockerPid) && livingDaemon() === undefined) {
        say("docker: an earlier daemon died and left its pid file; removing it");
        fs.rmSync(place.dockerPid);
        if (!someDaemonLives()) {
            silenceContainers();
        }
    }
    const alive = livingDaemon() === undefined ? launch() : () => true;
    await until(
        "the Docker Engine to answer",
        60,
        async () => {
            if (!alive()) {
                const said = fs.readFileSync(place.dockerLog, "utf8").trimEnd().split("\n").at(-1);
                throw new Refusal(
                    `dockerd exited at startup: ${said} (The full log is in ${place.dockerLog}.)`,
                );
            }
            return (await ask(host)) !== undefined;
        },
        `Its log is in ${place.dockerLog}.`,
    );
    return { host, startedBy: "hand" };
}

/**
 * Takes the containers of a daemon that died off their bridges. The kernel removes a dead container's network only after a
 * while, which is minutes on a busy machine. Until it does, the dead network answers at the same address as the restarted
 * container, and sometimes refuses a connection to it.
 *
 * @param net where Linux lists its network devices
 */
export function silenceContainers(net = "/sys/class/net"): void {
    const up = 1;
    const bridges = fs.readdirSync(net).filter((name) => /^(docker0|br-[0-9a-f]{12})$/.test(name));
    const listed = bridges
        .map((bridge) => path.join(net, bridge, "brif"))
        .filter((each) => fs.existsSync(each));
    for (const port of listed.flatMap((each) => fs.readdirSync(each))) {
        const file = path.join(net, port, "flags");
        try {
            const flags = Number(fs.readFileSync(file, "utf8"));
            fs.writeFileSync(file, `0x${(flags & ~up).toString(16)}`);
        } catch (error) {
            // The kernel has removed it in the meantime.
            if (!["ENOENT", "ENODEV"].includes((error as NodeJS.ErrnoException).code ?? "")) {
                throw error;
            }
        }
    }
}

/** Whether any Docker daemon runs; we must not touch its containers' network. */
function someDaemonLives(): boolean {
    return fs
        .readdirSync("/proc")
        .map(Number)
        .some((pid) => pid > 0 && isDaemon(pid));
}

/** Starts the daemon in its own session, so that it outlives this run; returns a function that says whether it is alive. */
function launch(): () => boolean {
    const place = places();
    writeWhole(place.dockerConfig, `${JSON.stringify(configuration(), undefined, 4)}\n`);
    fs.mkdirSync(place.dockerData, { recursive: true });
    const log = fs.openSync(place.dockerLog, "a");
    const daemon = spawn("dockerd", ["--config-file", place.dockerConfig], {
        detached: true,
        stdio: ["ignore", log, log],
    });
    fs.closeSync(log);
    let ended = false;
    daemon.on("error", () => (ended = true));
    daemon.on("exit", () => (ended = true));
    daemon.unref();
    return () => !ended;
}

function configuration(): Record<string, unknown> {
    const place = places();
    const mtu = mtuOfDefaultRoute();
    return {
        "data-root": place.dockerData,
        "exec-root": execRoot,
        pidfile: place.dockerPid,
        hosts: [`unix://${place.dockerSocket}`],
        ...(mtu === undefined || mtu >= 1500 ? {} : { mtu }),
        ...(hasSysResource() ? {} : narrowed()),
    };
}

/** The runtime is copied, since the daemon may outlive the checkout. */
function narrowed(): Record<string, unknown> {
    say("docker: this machine lacks CAP_SYS_RESOURCE, so containers are started without it");
    const file = path.join(places().bin, path.basename(narrowRuntime));
    writeWhole(file, fs.readFileSync(narrowRuntime, "utf8"), 0o755);
    return { "default-runtime": "narrowed", runtimes: { narrowed: { path: file } } };
}

/** Whether privileged containers can have all capabilities; without this one, runc refuses them. */
export function hasSysResource(status = fs.readFileSync("/proc/self/status", "utf8")): boolean {
    const set = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1];
    const bit = 24n;
    return set === undefined || ((BigInt(`0x${set}`) >> bit) & 1n) === 1n;
}

/** Containers must not send larger packets than the machine can forward. */
function mtuOfDefaultRoute(): number | undefined {
    try {
        const routes = fs.readFileSync("/proc/net/route", "utf8").split("\n");
        const device = routes
            .map((line) => line.split("\t"))
            .find(([, destination]) => destination === "00000000")?.[0];
        return Number(fs.readFileSync(`/sys/class/net/${device}/mtu`, "utf8"));
    } catch {
        return undefined;
    }
}

/** The process that our pid file names, if it is a dockerd: pids are reused. */
function livingDaemon(): number | undefined {
    try {
        const pid = Number(fs.readFileSync(places().dockerPid, "utf8"));
        return isDaemon(pid) ? pid : undefined;
    } catch {
        return undefined;
    }
}

/** Whether a process is alive and is a dockerd. */
function isDaemon(pid: number): boolean {
    try {
        return fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "dockerd";
    } catch {
        return false;
    }
}

/** Debian 13 has the client in a separate package. */
async function clientPackage(): Promise<string[]> {
    const known = await attempt("apt-cache", ["show", "docker-cli"]);
    return known.code === 0 && known.output !== "" ? ["docker-cli"] : [];
}
