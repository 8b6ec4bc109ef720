/**
 * Measures what the web tier answers and writes docs/benchmarks-web.md: `make bench-web`.
 *
 * wrk asks for the list page on this machine's loopback: through NodePort, nginx and gunicorn, and beside it, by a
 * nodePort that leads past nginx, gunicorn alone in the same pods.
 */
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { install } from "../local/apt";
import { benchProgram, bringDevUp, inFolder, kubectl, NODE_PORT, ROOT, run } from "./stack";

const PODS = [1, 3];
const SLAVES = [0, 1, 2];
/** Long enough for a hundred requests on a slow machine. */
const SECONDS = 10;
const CONNECTIONS = 16;
const BARE_PORT = 32008;
const PAGE = "/User_data";
/** What a client sends who wrote just now: his pages come from the database. */
const READ_AFTER =
    "from django.core import signing; from form import database, middleware; " +
    "print(signing.dumps(database.position(), salt=middleware.SALT, compress=True))";

interface Measured {
    readonly perSecond: number;
    /** Half and nearly all of the answers took no longer. */
    readonly median: string;
    readonly slowest: string;
}

function measure(port: number, headers: readonly string[]): Measured {
    const url = `http://localhost:${port}${PAGE}`;
    const load = ["--threads", "2", "--connections", String(CONNECTIONS), "--duration", `${SECONDS}s`];
    const output = run(
        "wrk",
        [...load, "--latency", ...headers.flatMap((header) => ["--header", header]), url],
        ROOT,
    );
    const failures = /Non-2xx or 3xx responses: \d+|Socket errors: .*/.exec(output);
    if (failures !== null) {
        throw new Error(`${url}: ${failures[0]}; a rate with failures in it says nothing.`);
    }
    const number = (pattern: RegExp) => pattern.exec(output)?.[1] ?? "";
    return {
        perSecond: Number(number(/Requests\/sec:\s+(\S+)/)),
        median: number(/50%\s+(\S+)/),
        slowest: number(/99%\s+(\S+)/),
    };
}

/** A nodePort that leads to gunicorn itself. */
function openBarePort(): void {
    const service = {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "bare" },
        spec: {
            type: "NodePort",
            selector: { "app.kubernetes.io/name": "dabacluster" },
            ports: [{ port: 80, targetPort: 8000, nodePort: BARE_PORT }],
        },
    };
    kubectl(["apply", "--filename", "-"], JSON.stringify(service));
}

function manage(...args: string[]): string {
    return kubectl(["exec", "deployment/dabacluster", "-c", "dabaweb", "--", "django-admin", ...args]);
}

/** Table rows of one number of pods and slaves. */
function rows(folder: string, pods: number, slaves: number): string[] {
    const settings = {
        "dabacluster.replicas": pods,
        "mysql-slave.replicas": slaves,
        "redis-slave.replicas": slaves,
    };
    const values = Object.entries(settings).map(([key, value]) => `dabaweb:${key}=${value}`);
    const inBench = ["--stack", "bench"];
    run(
        "pulumi",
        ["config", "set-all", ...inBench, "--path", ...values.flatMap((value) => ["--plaintext", value])],
        folder,
    );
    run("pulumi", ["up", "--yes", "--skip-preview", ...inBench], folder);
    openBarePort();
    for (const workload of ["deployment/dabacluster", "statefulset/mysql-slave", "statefulset/redis-slave"]) {
        if (workload.startsWith("deployment") || slaves > 0) {
            kubectl(["rollout", "status", workload, "--timeout=10m"]);
        }
    }
    const after = manage("shell", "--verbosity", "0", "--command", READ_AFTER).trim().split("\n").pop() ?? "";
    return (["kept in Redis", "from MySQL"] as const).map((source) => {
        const headers = source === "from MySQL" ? [`X-Read-After: ${after}`] : [];
        // Nobody's first request is measured.
        for (const port of [NODE_PORT, BARE_PORT]) {
            run("curl", ["--fail", "--silent", `http://localhost:${port}${PAGE}`], ROOT);
        }
        const site = measure(NODE_PORT, headers);
        const bare = measure(BARE_PORT, headers);
        const ratio = (site.perSecond / bare.perSecond).toFixed(2);
        const numbers = [site, bare].map(
            ({ perSecond, median, slowest }) => `${perSecond.toFixed(0)}/s, ${median}, ${slowest}`,
        );
        return `| ${[pods, slaves, source, ...numbers, ratio].join(" | ")} |`;
    });
}

function page(measured: readonly string[]): string {
    return [
        "# The web tier under load",
        "",
        `Written by \`make bench-web\`, in one run on a machine with ${os.cpus().length} cores, which the load itself shares,`,
        `and ${Math.round(os.totalmem() / 2 ** 30)} GiB of memory. wrk asks ${CONNECTIONS} at a time for \`${PAGE}\`, ${SECONDS} s each.`,
        "Each cell: answers per second, half of them within, 99 of 100 within.",
        "",
        "| web pods | slaves | rows | NodePort, nginx, gunicorn | gunicorn alone | ratio |",
        "| --- | --- | --- | --- | --- | --- |",
        ...measured,
        "",
    ].join("\n");
}

async function main(): Promise<void> {
    await install(["wrk"]);
    bringDevUp();
    const measured = inFolder((folder) => {
        benchProgram(folder);
        run("pulumi", ["stack", "select", "--create", "bench"], folder);
        try {
            return PODS.flatMap((pods) => SLAVES.flatMap((slaves) => rows(folder, pods, slaves)));
        } finally {
            run("pulumi", ["destroy", "--yes", "--skip-preview", "--stack", "bench", "--remove"], folder);
        }
    });
    const text = page(measured);
    fs.writeFileSync(path.join(ROOT, "docs/benchmarks-web.md"), text);
    process.stdout.write(text);
}

main().catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
});
