/** `local up`: announces what it will do, checks that it can, does what is missing, and reports how long each step took. */
import { table } from "../../operations/table";
import { ClusterStep } from "../cluster/cluster";
import { DockerStep } from "../engine/step";
import { fetchModules, goTools, hasBuildCaches, removeBuildCaches } from "../from-source/go-tools";
import { basesInRegistry, exampleBasesInRegistry } from "../images/bases-in-registry";
import { baseImageSteps, exampleImageSteps, imageSteps, programsStep } from "../images/images";
import { checkDisk, gigabytesNeeded } from "../machine/disk-and-ports";
import { readJson, writeWhole } from "../machine/files";
import { processorSeconds } from "../machine/processors";
import { during, say } from "../machine/progress";
import { names, places, registryAddress } from "../places";
import { registryStep } from "../registry/registry";
import { takeLockInTurn } from "../state/lock";
import { announcement, planAll, Planned } from "../steps/announcement";
import { runAll, secondsSince } from "../steps/run";
import type { Step } from "../steps/step";
import { storeStep } from "../store/store";
import { type PluginName, pluginSteps } from "../tools/plugins";
import { toolSteps } from "../tools/tools";
import { BackendStep } from "./backend";

/** How long each step took when it last had to do something: docs/benchmarks.md is written from it. */
export type Seconds = Readonly<Record<string, number>>;

/**
 * The engine is first, since the others query it. The parts of a cluster follow, so that the cluster starts while the rest is
 * compiled. Every step is after those that it needs.
 */
export const allSteps = (): Step[] => [
    new DockerStep(),
    ...toolSteps(["kind", "kubectl"]),
    programsStep(),
    ...toolSteps(["pulumi"]),
    ...pluginSteps(),
    ...imageSteps(),
    registryStep(),
    storeStep(),
    basesInRegistry(),
    new BackendStep(),
    new ClusterStep(),
];

/** Sets up the whole environment. */
export async function up(): Promise<void> {
    await bring(allSteps());
    console.log(`Local environment: cluster ${names.context}, registry ${registryAddress}.`);
}

/** Sets up what the examples' images are built on, after {@link up}. */
export async function exampleBasesUp(): Promise<void> {
    await bring([new DockerStep(), ...exampleImageSteps(), exampleBasesInRegistry()]);
}

/** Sets up what images are built and run with: an engine and the base images. */
export async function dockerUp(): Promise<void> {
    await bring([new DockerStep(), ...baseImageSteps()]);
}

/** Sets up the parts of a cluster other than the local one. */
export async function partsUp(): Promise<void> {
    await bring([new DockerStep(), ...toolSteps(), programsStep(), ...pluginSteps(), ...imageSteps()]);
}

/** Sets up only what runs on this machine without a cluster, which is enough to preview a stack. */
export async function toolsUp(): Promise<void> {
    await bring([...toolSteps(), ...pluginSteps(), new BackendStep()]);
}

/** Installs Pulumi and some of its plugins. */
export async function pulumiUp(plugins: readonly PluginName[]): Promise<void> {
    await bring([...toolSteps(["pulumi"]), ...pluginSteps(plugins)]);
}

async function bring(steps: Step[]): Promise<void> {
    const planned = await planAll(steps);
    // If everything is up to date, nothing is locked, so that several stacks can be worked on in parallel.
    if (planned.every(({ plan }) => plan.way === "ready")) {
        return;
    }
    const release = await takeLockInTurn("environment", "make local-up");
    try {
        await bringLocked(steps);
    } finally {
        release();
    }
}

async function bringLocked(steps: Step[]): Promise<void> {
    // Planned again: the previous holder of the lock may have done all of it.
    const planned = await planAll(steps);
    const open = planned.filter(({ plan }) => plan.way !== "ready");
    const ways = open.map(({ plan }) => plan.way);
    if (ways.includes("download") || ways.includes("build")) {
        const { cache, state } = places();
        const needed = ways.includes("build") ? gigabytesNeeded.toBuild : gigabytesNeeded.toDownload;
        [cache, state].forEach((directory) => checkDisk(directory, needed));
    }
    if (open.length > 0) {
        console.log(announcement(planned));
    }
    const started = { milliseconds: Date.now(), processors: processorSeconds().busy };
    const modules = modulesStep(open);
    const took = await runAll(modules === undefined ? open : [modules, ...open]);
    // Developers of from-source/ keep them.
    const built = hasBuildCaches(places().cache);
    if (built && !process.env.DABAWEB_KEEP_BUILD_CACHES) {
        const since = Date.now();
        await during("removing build caches", () => removeBuildCaches(places().cache));
        took.push(["removing build caches", secondsSince(since)]);
    }
    if (took.length > 0) {
        const whole = secondsSince(started.milliseconds);
        const busy = processorSeconds().busy - started.processors;
        console.log(table(["step", "seconds"], [...took, ["total, some in parallel", whole]]));
        if (busy > 0) {
            console.log(`This machine's processors were busy for ${(busy / 60).toFixed(1)} minutes.`);
        }
        const { steps: file } = places();
        // The total is of interest if something was built, not if a stopped cluster was started.
        const all = built ? { [wholeName]: whole, [busyName]: Math.round(busy) } : {};
        const seconds = { ...readJson<Seconds>(file), ...Object.fromEntries(took), ...all };
        writeWhole(file, `${JSON.stringify(seconds)}\n`);
    }
}

const wholeName = "all of the last run that built, some beside others";
const busyName = "the processors' seconds in that";

/** Fetches what will be compiled, from the start of the run. Nothing waits for it: a build fetches whatever is missing. */
function modulesStep(open: readonly Planned[]): Planned | undefined {
    const builds = new Set(open.flatMap(({ plan }) => plan.builds ?? []));
    const names = goTools.map(({ name }) => name).filter((name) => builds.has(name));
    if (names.length === 0) {
        return undefined;
    }
    return {
        step: {
            name: "Go modules",
            plan: () => Promise.reject(new Error("is planned after the others")),
            run: () => fetchModules(names, { cacheDir: places().cache, onProgress: say }),
        },
        plan: { way: "download", detail: names.join(", "), minutes: 0, gigabytes: 0 },
    };
}
