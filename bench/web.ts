/**
 * Measures what the web tier answers and writes docs/benchmarks-web.md: `make bench-web`.
 *
 * wrk asks for the list page on this machine's loopback: through NodePort, nginx and gunicorn, and beside it, by a
 * nodePort that leads past nginx, gunicorn alone in the same pods.
 */
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { install } from "../local/machine/apt";
import { benchProgram, bringDevUp, inFolder, kubectl, NODE_PORT, ROOT, run } from "./stack";

const PODS = [1, 3];
const SLAVES = [0, 1, 2];
/** Long enough for a hundred requests on a slow machine. */
const SECONDS = 10;
const CONNECTIONS = 16;
const BARE_PORT = 32008;
const PAGE = "/User_data";
/** A full page and more behind it. */
const EMPLOYEES = 1000;
/** Makes them, and prints what a client sends who wrote just now: his pages come from the database. */
const READ_AFTER = [
    "from django.core import signing; from form import database, middleware, models, pages",
    `made = (models.UserData(name=f"bench-{n:04}", money=n) for n in range(${EMPLOYEES}))`,
    "models.UserData.objects.bulk_create(made, ignore_conflicts=True)",
    "pages.invalidate()",
    "print(signing.dumps(database.position(), salt=middleware.SALT, compress=True))",
].join("\n");
/** Where a page comes from, by its own header, and how the table calls that. */
const SOURCES = { "kept in Redis": /^cache$/, "from MySQL": /^(replica|default)$/ };

export interface Measured {
    readonly perSecond: number;
    /** Half and nearly all of the answers took no longer. */
    readonly median: string;
    readonly slowest: string;
}

/** What both programs take: headers, and the page's address. */
function request(port: number, headers: readonly string[]): string[] {
    return [...headers.flatMap((header) => ["--header", header]), `http://localhost:${port}${PAGE}`];
}

/** Asks until the page comes from there, so that nobody's first request is measured, nor anything else than the row says. */
function warm(port: number, headers: readonly string[], origin: RegExp): void {
    // A port that was opened just now refuses connections for a moment.
    const retry = ["--retry", "10", "--retry-delay", "1", "--retry-all-errors"];
    const print = ["--output", "/dev/null", "--write-out", "%header{x-page-from}"];
    let seen = "";
    for (let asked = 0; asked < 100 && !origin.test(seen); asked++) {
        seen = run("curl", ["--fail", "--silent", ...retry, ...print, ...request(port, headers)], ROOT);
    }
    if (!origin.test(seen)) {
        throw new Error(`port ${port}: ${PAGE} comes from "${seen}", and ${origin} is to be measured.`);
    }
}

function measure(port: number, headers: readonly string[]): Measured {
    const load = ["--threads", "2", "--connections", String(CONNECTIONS), "--duration", `${SECONDS}s`];
    // By itself wrk calls an answer that took more than 2 s a failure.
    const output = run("wrk", [...load, "--timeout", "30s", "--latency", ...request(port, headers)], ROOT);
    const failures = /Non-2xx or 3xx responses: \d+|Socket errors: .*/.exec(output);
    if (failures !== null) {
        throw new Error(`port ${port}: ${failures[0]}; a rate with failures in it says nothing.`);
    }
    return parseWrk(output);
}

/** Its numbers; the lines above them end in percentages, too. */
export function parseWrk(output: string): Measured {
    const number = (pattern: RegExp) => {
        const found = pattern.exec(output)?.[1];
        if (found === undefined) {
            throw new Error(`wrk printed no ${pattern}:\n${output}`);
        }
        return found;
    };
    return {
        perSecond: Number(number(/^Requests\/sec:\s+([\d.]+)$/m)),
        median: number(/^\s+50%\s+(\S+)$/m),
        slowest: number(/^\s+99%\s+(\S+)$/m),
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
    return Object.entries(SOURCES).map(([source, origin]) => {
        const headers = source === "from MySQL" ? [`X-Read-After: ${after}`] : [];
        for (const port of [NODE_PORT, BARE_PORT]) {
            warm(port, headers, origin);
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
        `Written by \`make bench-web\`, in one run on a machine with ${os.cpus().length} cores, which it shares with the load itself,`,
        `and ${Math.round(os.totalmem() / 2 ** 30)} GiB of memory. wrk requests \`${PAGE}\` over ${CONNECTIONS} connections, for ${SECONDS} s each time.`,
        `There are ${EMPLOYEES} employees or more, and the page shows 100 of them.`,
        "Each cell: answers per second, their median latency, their 99th percentile latency.",
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

if (require.main === module) {
    main().catch((error: Error) => {
        process.stderr.write(`${error.message}\n`);
        process.exitCode = 1;
    });
}
