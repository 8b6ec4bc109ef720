import { execFileSync } from "child_process";
import * as path from "path";

import type { Graph } from "./graph";

const ROOT = path.resolve(__dirname, "..");
const RECORDER = path.join(__dirname, "recorder.ts");

/**
 * The graphs of stack files, recorded with mocks in a separate process, without a cluster, Docker or registry.
 *
 * @param stackFiles paths relative to the project's root.
 * @param project root of the project whose program is run. Default: this project.
 */
export function recordGraphs(stackFiles: readonly string[], project = ROOT): readonly Graph[] {
    const output = execFileSync(
        process.execPath,
        ["-r", "ts-node/register/transpile-only", RECORDER, ...stackFiles],
        {
            cwd: project,
            encoding: "utf8",
            maxBuffer: 256 * 1024 * 1024,
            stdio: ["ignore", "pipe", "pipe"],
            // Nothing else: providers read settings from variables such as PULUMI_K8S_* and DOCKER_*.
            env: {
                PATH: process.env.PATH,
                HOME: process.env.HOME,
                KUBECONFIG: "/nonexistent/kubeconfig",
                DOCKER_HOST: "unix:///nonexistent/docker.sock",
                DOCKER_CONFIG: "/nonexistent",
            },
        },
    );
    const graphs = JSON.parse(output) as Record<string, Graph>;
    return stackFiles.map((file) => graphs[file]!);
}
