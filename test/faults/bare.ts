/**
 * The baseline for every row: how long the engine alone takes to come back on the same data after a crash, without
 * Kubernetes, start script and probes.
 */
import * as path from "node:path";

import { docker } from "../support/docker";
import { System } from "../support/system";
import { files, NAME, SHARED } from "./cluster";
import { findPod, signal, volumeOf } from "./pods";

/** How to start each engine on a copy of the data, and a query that it answers once it is up. */
const ENGINES = {
    redis: {
        start: "redis-server --appendonly yes --save '' --dir /data/redis --port 0 --unixsocket /tmp/socket",
        ask: "REDIS_CLI_PLAIN=yes redis-cli -s /tmp/socket PING | grep -q PONG",
    },
    mysql: {
        start:
            "mysqld --defaults-file=/opt/dabaweb/etc/my.cnf --server-id=1 --offline-mode=OFF --skip-grant-tables " +
            "--skip-networking --socket=/tmp/socket --pid-file=/tmp/pid --tmpdir=/tmp",
        ask: "mysql --no-defaults --socket=/tmp/socket --user=root -e 'DO 0'",
    },
} as const;

export type Engine = keyof typeof ENGINES;

/** Number of runs; the median counts. */
const RUNS = 3;

/** Seconds from the engine's start to its first answer, on the master's data as a crash leaves it. */
export async function bareRestart(system: System, engine: Engine): Promise<number> {
    const pod = await findPod(system, `${engine}-master-0`);
    const source = path.join(files.shared, path.relative(SHARED, await volumeOf(system, pod.name)));
    const image = await system.kubectl([
        "get",
        "pod",
        pod.name,
        "-o",
        "jsonpath={.spec.containers[0].image}",
    ]);
    const { start, ask } = ENGINES[engine];
    const script = `began=\${EPOCHREALTIME/./}; ${start} >/tmp/log 2>&1 &
        until ${ask} >/dev/null 2>&1; do sleep 0.02; done; echo $(((\${EPOCHREALTIME/./} - began) / 1000))`;
    const container = `${NAME}-bare-${engine}`;
    const seconds: number[] = [];
    for (let run = 0; run < RUNS; run++) {
        const memory = ["/data", "/tmp"].flatMap((each) => [
            "--tmpfs",
            `${each}:uid=10001,gid=10001,mode=0770`,
        ]);
        const options = [
            "--name",
            container,
            "--user",
            "10001:10001",
            "--entrypoint",
            "sleep",
            ...memory,
            "--volume",
            `${source}:/source:ro`,
        ];
        try {
            await docker(["run", "--detach", ...options, image, "600"]);
            // The engine is stopped meanwhile, so that the copy is consistent.
            await signal(pod, "STOP");
            try {
                await docker(["exec", container, "cp", "--recursive", "/source/.", "/data"]);
            } finally {
                await signal(pod, "CONT");
            }
            const answer = docker(["exec", container, "timeout", "120", "bash", "-c", script], {
                timeoutSeconds: 130,
            });
            seconds.push(Number(await answer) / 1000);
        } finally {
            await docker(["rm", "--force", "--volumes", container]);
        }
    }
    return seconds.sort((a, b) => a - b)[Math.floor(RUNS / 2)]!;
}
