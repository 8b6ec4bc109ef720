/**
 * Measures, in one run each beside something plain, and writes docs/benchmarks.md: `make bench`.
 *
 * The images of the dev stack are taken by digest; everything that is measured happens in a namespace of its own, which
 * is deleted afterwards.
 */
import { spawnSync } from "child_process";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { parse, stringify } from "yaml";

import { places, readJson, stackFile } from "../local/environment";
import { copyProgram } from "../test/support/copy";
import type { Seconds } from "../local/up";

const ROOT = path.resolve(__dirname, "..");
const NAMESPACE = "dabaweb-bench";
const NODE_PORT = 32009;
const PREVIEWS = 5;
/** The state holds a secret's plain text as JSON under this key when it is exported with --show-secrets. */
const PLAINTEXT = "plaintext";

interface KubernetesObject {
    kind: string;
    metadata: { name?: string; generateName?: string };
    [field: string]: unknown;
}

interface StateResource {
    type: string;
    inputs?: Record<string, unknown>;
}

function run(file: string, args: readonly string[], cwd: string, input?: string): string {
    const { status, stdout, stderr, error } = spawnSync(file, args, {
        cwd,
        input,
        encoding: "utf8",
        maxBuffer: 256 * 1024 * 1024,
    });
    if (error !== undefined || status !== 0) {
        throw new Error(`${file} ${args.join(" ")} failed: ${error?.message ?? `${stderr}${stdout}`.trim()}`);
    }
    return stdout;
}

function seconds(work: () => void): number {
    const start = process.hrtime.bigint();
    work();
    return Number(process.hrtime.bigint() - start) / 1e9;
}

function median(values: number[]): number {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** A copy of the program in a folder of its own, whose stack `bench` takes the images of dev by digest. */
function benchProgram(folder: string): void {
    copyProgram(folder);
    const images = JSON.parse(
        run("pulumi", ["stack", "output", "images", "--json", "--stack", "dev"], ROOT),
    ) as unknown;
    const { config } = parse(fs.readFileSync(path.join(ROOT, "Pulumi.dev.yaml"), "utf8")) as {
        config: Record<string, unknown>;
    };
    config["dabaweb:namespace"] = { name: NAMESPACE, create: true };
    config["dabaweb:service"] = { type: "NodePort", nodePort: NODE_PORT };
    config["dabaweb:publicUrl"] = `http://localhost:${NODE_PORT}`;
    config["dabaweb:images"] = images;
    fs.writeFileSync(path.join(folder, "Pulumi.bench.yaml"), stringify({ config }));
}

/** The Kubernetes objects of a deployed stack, as the program rendered them, secrets in plain text. */
function renderedObjects(folder: string): KubernetesObject[] {
    const { deployment } = JSON.parse(run("pulumi", ["stack", "export", "--show-secrets"], folder)) as {
        deployment: { resources: StateResource[] };
    };
    return deployment.resources
        .filter(({ type }) => type.startsWith("kubernetes:"))
        .map(({ inputs }) => reveal(inputs) as KubernetesObject);
}

function reveal(value: unknown): unknown {
    if (Array.isArray(value)) {
        return value.map(reveal);
    }
    if (value === null || typeof value !== "object") {
        return value;
    }
    const object = value as Record<string, unknown>;
    const plain = object[PLAINTEXT];
    if (typeof plain === "string") {
        return reveal(JSON.parse(plain));
    }
    return Object.fromEntries(
        Object.entries(object)
            .filter(([key]) => !key.startsWith("__"))
            .map(([key, item]) => [key, reveal(item)]),
    );
}

function kubectl(args: readonly string[], input?: string): string {
    return run("kubectl", ["--context", "kind-dabaweb", "--namespace", NAMESPACE, ...args], ROOT, input);
}

/** What a user of raw manifests would do: apply everything, wait for everything. */
function applyAndWait(objects: readonly KubernetesObject[]): void {
    const apply = (some: readonly KubernetesObject[]) =>
        kubectl(["apply", "--filename", "-"], some.map((object) => stringify(object)).join("---\n"));
    // A master that finds its marker before it has data waits for that data, as it should: markers come last here too.
    const isMarker = ({ kind }: KubernetesObject) => kind === "ConfigMap";
    apply(objects.filter((object) => !isMarker(object)));
    for (const { kind, metadata } of objects) {
        if (kind === "StatefulSet" || kind === "Deployment") {
            kubectl(["rollout", "status", `${kind}/${metadata.name}`, "--timeout=10m"]);
        } else if (kind === "Job") {
            kubectl(["wait", "--for=condition=complete", `job/${metadata.name}`, "--timeout=10m"]);
        }
    }
    apply(objects.filter(isMarker));
}

function upBesideApply(folder: string): { up: number; apply: number } {
    run("pulumi", ["stack", "select", "--create", "bench"], folder);
    try {
        const up = seconds(() =>
            run("pulumi", ["up", "--yes", "--skip-preview", "--stack", "bench"], folder),
        );
        const objects = renderedObjects(folder);
        run("pulumi", ["destroy", "--yes", "--skip-preview", "--stack", "bench"], folder);
        const apply = seconds(() => applyAndWait(objects));
        return { up, apply };
    } finally {
        run("pulumi", ["destroy", "--yes", "--skip-preview", "--stack", "bench", "--remove"], folder);
        kubectl(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait"]);
    }
}

/** Seconds of previews that find nothing to do, in turns, so that both see the same machine. */
function previews(folder: string): { program: number; empty: number } {
    fs.writeFileSync(path.join(folder, "Pulumi.yaml"), "name: empty\nruntime: nodejs\n");
    fs.writeFileSync(path.join(folder, "index.ts"), "export {};\n");
    fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name: "empty", main: "index.ts" }));
    fs.copyFileSync(path.join(ROOT, "tsconfig.json"), path.join(folder, "tsconfig.json"));
    fs.symlinkSync(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
    run("pulumi", ["stack", "select", "--create", "empty"], folder);
    try {
        run("pulumi", ["up", "--yes", "--skip-preview", "--stack", "empty"], folder);
        const program: number[] = [];
        const empty: number[] = [];
        const preview = ["preview", "--expect-no-changes", "--stack"];
        for (let turn = 0; turn < PREVIEWS; turn++) {
            empty.push(seconds(() => run("pulumi", [...preview, "empty"], folder)));
            const committed = [...preview, "dev", "--config-file", stackFile("dabaweb", "dev")];
            program.push(seconds(() => run("pulumi", committed, ROOT)));
        }
        return { program: median(program), empty: median(empty) };
    } finally {
        run("pulumi", ["destroy", "--yes", "--skip-preview", "--stack", "empty", "--remove"], folder);
    }
}

function page(up: { up: number; apply: number }, preview: { program: number; empty: number }): string {
    const row = (what: string, ours: number, plain: number) =>
        `| ${what} | ${ours.toFixed(1)} s | ${plain.toFixed(1)} s | ${(ours / plain).toFixed(2)} |`;
    const steps = Object.entries(readJson<Seconds>(places().steps) ?? {});
    return [
        "# Benchmarks",
        "",
        "Written by `make bench`. Each ratio is of one run, on a machine with",
        `${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GiB of memory and ${os.type()} ${os.release().split("-")[0]}.`,
        "",
        "| what | this program | the plain thing beside it | ratio |",
        "| --- | --- | --- | --- |",
        row(
            "the dev stack into an empty namespace, images there: `pulumi up` beside `kubectl apply` and wait",
            up.up,
            up.apply,
        ),
        row(
            `preview that changes nothing, median of ${PREVIEWS}: beside an empty Pulumi program`,
            preview.program,
            preview.empty,
        ),
        "",
        "Steps of `make local-up`, the last time that each had something to do:",
        "",
        "| step | seconds |",
        "| --- | --- |",
        ...steps.map(([name, duration]) => `| ${name} | ${duration} |`),
        "",
    ].join("\n");
}

function inFolder<T>(work: (folder: string) => T): T {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bench-"));
    try {
        return work(folder);
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
}

function main(): void {
    process.stdout.write("bringing the dev stack up, whose images are taken\n");
    run(process.execPath, ["-r", "ts-node/register/transpile-only", "local/stack.ts", "up", "dev"], ROOT);
    process.stdout.write("up and apply into an empty namespace\n");
    const up = inFolder((folder) => {
        benchProgram(folder);
        return upBesideApply(folder);
    });
    process.stdout.write("previews\n");
    const text = page(up, inFolder(previews));
    fs.writeFileSync(path.join(ROOT, "docs/benchmarks.md"), text);
    process.stdout.write(text);
}

main();
