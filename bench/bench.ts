/**
 * Measures, in one run each beside something plain, and writes docs/benchmarks.md: `make bench`.
 *
 * The images of the dev stack are taken by digest; everything that is measured happens in a namespace of its own, which
 * is deleted afterwards.
 */
import { randomUUID } from "crypto";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";
import { stringify } from "yaml";

import type { Seconds } from "../local/environment/up";
import { readJson } from "../local/machine/files";
import { copiedStackFile, places } from "../local/places";
import type { TestTimes } from "../test/run";
import { copyProgram } from "../test/support/copy";
import {
    benchProgram,
    bringDevUp,
    configWithDevsImages,
    inFolder,
    kubectl,
    NAMESPACE,
    ROOT,
    run,
} from "./stack";

const PREVIEWS = 5;
const BENCHMARKS = path.join(ROOT, "docs/benchmarks.md");
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

function seconds(work: () => unknown): number {
    const start = process.hrtime.bigint();
    work();
    return Number(process.hrtime.bigint() - start) / 1e9;
}

function median(values: number[]): number {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? NaN;
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

/** What a user of raw manifests would do: apply everything, wait for everything. */
function applyAndWait(objects: readonly KubernetesObject[]): void {
    const apply = (some: readonly KubernetesObject[]) =>
        // As JSON: YAML 1.2 writes "no" without quotes, which kubectl reads as a boolean.
        kubectl(
            ["apply", "--filename", "-"],
            JSON.stringify({ apiVersion: "v1", kind: "List", items: some }),
        );
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

/** A preview that is measured. */
interface Preview {
    readonly stack: string;
    /** What it finds to do. */
    readonly finds: string;
    readonly resources: number;
    readonly take: () => unknown;
}

type Timed = Preview & { readonly seconds: number };

/** Previews in turns, so that all of them see the same machine; the empty program comes first. */
function previews(folder: string): Timed[] {
    const empty = emptyProgram(folder);
    try {
        const all = [empty, ...["dev", "prod"].map((stack) => ofState(stack) ?? ofNothing(stack, folder))];
        const taken = all.map((): number[] => []);
        for (let turn = 0; turn < PREVIEWS; turn++) {
            all.forEach(({ take }, index) => taken[index]!.push(seconds(take)));
        }
        return all.map((each, index) => ({ ...each, seconds: median(taken[index]!) }));
    } finally {
        run("pulumi", ["destroy", "--yes", "--skip-preview", "--stack", "empty", "--remove"], folder);
    }
}

/** Of a stack that is deployed from this machine, and has not changed. */
function ofState(stack: string): Preview | undefined {
    const known = JSON.parse(run("pulumi", ["stack", "ls", "--json"], ROOT)) as { name: string }[];
    const resources = known.some(({ name }) => name === stack) ? resourcesInState(stack, ROOT) : 0;
    if (resources === 0) {
        return undefined;
    }
    const committed = ["--config-file", copiedStackFile("dabaweb", stack)];
    const preview = ["preview", "--expect-no-changes", "--stack", stack, ...committed];
    return { stack, finds: "nothing", resources, take: () => run("pulumi", preview, ROOT) };
}

/** Of a stack that is not: in a state and backend of its own and without a cluster, where everything is new. */
function ofNothing(stack: string, folder: string): Preview {
    const place = path.join(folder, stack);
    fs.mkdirSync(path.join(place, "backend"), { recursive: true });
    copyProgram(place);
    fs.writeFileSync(
        path.join(place, `Pulumi.${stack}.yaml`),
        stringify({ config: configWithDevsImages(stack) }),
    );
    const env = {
        PULUMI_BACKEND_URL: `file://${place}/backend`,
        PULUMI_CONFIG_PASSPHRASE: randomUUID(),
        PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
        KUBECONFIG: path.join(place, "no-kubeconfig"),
    };
    run("pulumi", ["stack", "init", stack], place, { env });
    const preview = ["preview", "--stack", stack, "--json"];
    const plan = JSON.parse(run("pulumi", preview, place, { env })) as { changeSummary: { create: number } };
    return {
        stack,
        finds: "everything is new; no cluster was asked",
        resources: plan.changeSummary.create,
        take: () => run("pulumi", preview, place, { env }),
    };
}

function resourcesInState(stack: string, cwd: string): number {
    const { deployment } = JSON.parse(run("pulumi", ["stack", "export", "--stack", stack], cwd)) as {
        deployment: { resources?: unknown[] };
    };
    return deployment.resources?.length ?? 0;
}

/** A program that registers nothing, deployed. */
function emptyProgram(folder: string): Preview {
    fs.writeFileSync(path.join(folder, "Pulumi.yaml"), "name: empty\nruntime: nodejs\n");
    fs.writeFileSync(path.join(folder, "index.ts"), "export {};\n");
    fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name: "empty", main: "index.ts" }));
    fs.copyFileSync(path.join(ROOT, "tsconfig.json"), path.join(folder, "tsconfig.json"));
    fs.symlinkSync(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
    run("pulumi", ["stack", "select", "--create", "empty"], folder);
    run("pulumi", ["up", "--yes", "--skip-preview", "--stack", "empty"], folder);
    return {
        stack: "empty",
        finds: "nothing",
        resources: resourcesInState("empty", folder),
        take: () => run("pulumi", ["preview", "--expect-no-changes", "--stack", "empty"], folder),
    };
}

function page(up: { up: number; apply: number }, timed: readonly Timed[]): string {
    const row = (what: string, ours: number, plain: number) =>
        `| ${what} | ${ours.toFixed(1)} s | ${plain.toFixed(1)} s | ${(ours / plain).toFixed(2)} |`;
    const steps = Object.entries(readJson<Seconds>(places().steps) ?? {});
    return [
        "# Benchmarks",
        "",
        "Written by `make bench`. Each ratio is from one run, on a machine with",
        `${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GiB of memory and ${os.type()} ${os.release().split("-")[0]}.`,
        "",
        "| what | this program | the plain alternative | ratio |",
        "| --- | --- | --- | --- |",
        row(
            "deploying the dev stack into an empty namespace, with the images present: `pulumi up` compared with `kubectl apply` and wait",
            up.up,
            up.apply,
        ),
        "",
        `Previews, the median of ${PREVIEWS} runs in alternation; *empty* is a Pulumi program that registers nothing:`,
        "",
        "| stack | planned changes | resources | seconds | compared with empty |",
        "| --- | --- | --- | --- | --- |",
        ...timed.map(
            ({ stack, finds, resources, seconds }) =>
                `| ${stack} | ${finds} | ${resources} | ${seconds.toFixed(1)} | ${(seconds / timed[0]!.seconds).toFixed(2)} |`,
        ),
        "",
        "Steps of `make local-up`, each from the last time that it had something to do:",
        "",
        "| step | seconds |",
        "| --- | --- |",
        ...steps.map(([name, duration]) => `| ${name} | ${duration} |`),
        "",
        ...testTimes(readJson<TestTimes>(places().testTimes)),
        ...measuredApart(fs.readFileSync(BENCHMARKS, "utf8")),
    ].join("\n");
}

/** The section at the end of the page that is measured with other means, and stays. */
function measuredApart(earlier: string): string[] {
    const begin = earlier.indexOf("## ");
    return begin < 0 ? [] : [earlier.slice(begin)];
}

/** The last whole `make test` on this machine, where there was one. */
function testTimes(told: TestTimes | undefined): string[] {
    if (told === undefined) {
        return [];
    }
    const row = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
    return [
        `The last complete \`make test\`: ${told.seconds} s, ${told.cpuMinutes} CPU minutes, ${told.idlePercent} % of the cores idle.`,
        "[tests.md](tests.md) explains the columns.",
        "",
        row(told.head),
        row(told.head.map(() => "---")),
        ...told.rows.map(row),
        "",
    ];
}

function main(): void {
    bringDevUp();
    process.stdout.write("up and apply into an empty namespace\n");
    const up = inFolder((folder) => {
        benchProgram(folder);
        return upBesideApply(folder);
    });
    process.stdout.write("previews\n");
    const text = page(up, inFolder(previews));
    fs.writeFileSync(BENCHMARKS, text);
    process.stdout.write(text);
}

main();
