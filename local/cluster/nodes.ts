/** The cluster's nodes: containers that are listed, started, stopped, and asked whether they are ready. */
import * as fs from "node:fs";

import { attempt, run, STUCK_MS, until } from "../machine/shell";
import { exported, names } from "../places";
import { Node } from "./decide";

/** The containers that are the cluster's nodes. The control plane is first, since the others need its address. */
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

/** Stops the nodes so that they start again with their data. */
export async function stopCluster(): Promise<void> {
    const running = await runningNodes();
    if (running.length === 0) {
        return;
    }
    // Nodes whose pods take longer are then killed; `--time` and `--timeout` are the old and the new name of -t.
    if ((await attempt("docker", ["stop", "-t", "30", ...running])).code !== 0) {
        await Promise.all(running.map(thaw));
    }
    await until("the cluster's nodes to stop", 60, async () => (await runningNodes()).length === 0);
}

async function runningNodes(): Promise<string[]> {
    return (await clusterNodes()).filter((node) => node.running).map((node) => node.name);
}

/**
 * On cgroup v1, runc freezes a container for a moment while it starts it. A node that is stopped at that moment keeps a
 * frozen process that nothing can kill, and never stops.
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

export async function startNodes(): Promise<void> {
    for (const node of await clusterNodes()) {
        if (!node.running) {
            await run("docker", ["start", node.name]);
        }
    }
}

/**
 * Whether every node's kubelet says that the node is ready, and has said so since the node was started: before that, the API
 * returns the status from before the start.
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
