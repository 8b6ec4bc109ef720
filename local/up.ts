/** `local up`: says what it will do, checks that it can, does what is missing, and tells what took how long. */
import { table } from "../operations/table";
import { isRoot } from "./apt";
import { checkDisk, gigabytesNeeded } from "./checks";
import { ClusterStep } from "./cluster";
import { DockerStep } from "./docker-daemon/step";
import { names, places, readJson, writeWhole } from "./environment";
import { fetchModules, goTools, hasBuildCaches, removeBuildCaches } from "./from-source/go-tools";
import { baseImageSteps, imageSteps, programsStep, PushedBasesStep } from "./images";
import { takeLockInTurn } from "./lock";
import { type PluginName, pluginSteps } from "./plugins";
import { processorSeconds } from "./processors";
import { during, say } from "./progress";
import { registryAddress, RegistryStep } from "./registry";
import { BackendStep } from "./secrets";
import type { Plan, Step } from "./step";
import { toolSteps } from "./tools";

/** How long each step took when it last had to do something: docs/benchmarks.md is written from it. */
export type Seconds = Readonly<Record<string, number>>;

/**
 * The engine first, since the others ask it; then what a cluster is made of, so that it starts while the rest is compiled.
 * Every step comes after those that it needs.
 */
export const allSteps = (): Step[] => [
    new DockerStep(),
    ...toolSteps(["kind", "kubectl"]),
    programsStep(),
    ...toolSteps(["pulumi"]),
    ...pluginSteps(),
    ...imageSteps(),
    new RegistryStep(),
    new PushedBasesStep(),
    new BackendStep(),
    new ClusterStep(),
];

export interface Planned {
    readonly step: Step;
    readonly plan: Plan;
}

/** Looks at everything; the first step alone, since the others ask the engine that it finds. */
export async function planAll(steps = allSteps()): Promise<Planned[]> {
    const look = async (step: Step): Promise<Planned> => ({ step, plan: await step.plan() });
    const [first, ...others] = steps;
    return first === undefined ? [] : [await look(first), ...(await Promise.all(others.map(look)))];
}

/** The announcement: the way of every part, with time and room, and what root does. */
export function announcement(planned: readonly Planned[], root = isRoot()): string {
    const open = planned.filter(({ plan }) => plan.way !== "stands");
    if (open.length === 0) {
        return "Everything stands.";
    }
    const rows = planned.map(({ step, plan }) => [
        step.name,
        plan.way,
        plan.minutes,
        plan.gigabytes,
        plan.detail,
    ]);
    const sum = (numbers: number[]): number => Math.ceil(numbers.reduce((a, b) => a + b, 0));
    const minutesOf = (steps: readonly Planned[]): number => sum(steps.map(({ plan }) => plan.minutes));
    const compiled = open.filter(({ step }) => step.lane === "compiler");
    // What is compiled keeps the processors busy; the rest is done beside it.
    const minutes = Math.max(minutesOf(compiled), minutesOf(open.filter((each) => !compiled.includes(each))));
    const packages = [...new Set(open.flatMap(({ plan }) => plan.packages ?? []))];
    const privileged = [
        ...(packages.length > 0 ? [`apt-get install ${packages.join(" ")}`] : []),
        ...open.flatMap(({ plan }) => plan.asRoot ?? []),
    ];
    return [
        table(["part", "way", "min", "GB", "what"], rows),
        `About ${minutes} minutes on two cores and ` +
            `${sum(open.map(({ plan }) => plan.gigabytes))} GB at the peak; Go's build caches are removed at the end.`,
        privileged.length === 0
            ? "Nothing is installed or started as root."
            : `As root${root ? "" : " (which this user is not)"}: ${privileged.join("; ")}.`,
    ].join("\n");
}

/** Brings the whole environment up. */
export async function up(): Promise<void> {
    await bring(allSteps());
    console.log(`Local environment: cluster ${names.context}, registry ${registryAddress}.`);
}

/** Brings what images are built and run with: an engine and the base images. */
export async function dockerUp(): Promise<void> {
    await bring([new DockerStep(), ...baseImageSteps()]);
}

/** Brings everything that another cluster than the local one is made of. */
export async function partsUp(): Promise<void> {
    await bring([new DockerStep(), ...toolSteps(), programsStep(), ...pluginSteps(), ...imageSteps()]);
}

/** Brings only what runs on this machine without a cluster: enough to preview a stack. */
export async function toolsUp(): Promise<void> {
    await bring([...toolSteps(), ...pluginSteps(), new BackendStep()]);
}

/** Brings Pulumi and some of its plugins. */
export async function pulumiUp(plugins: readonly PluginName[]): Promise<void> {
    await bring([...toolSteps(["pulumi"]), ...pluginSteps(plugins)]);
}

async function bring(steps: Step[]): Promise<void> {
    const planned = await planAll(steps);
    // Where everything stands nothing is locked, so that runs on several stacks go side by side.
    if (planned.every(({ plan }) => plan.way === "stands")) {
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
    // Anew: whoever had the lock may have brought it all.
    const planned = await planAll(steps);
    const open = planned.filter(({ plan }) => plan.way !== "stands");
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
    // Whoever works on from-source/ keeps them.
    const built = hasBuildCaches(places().cache);
    if (built && !process.env.DABAWEB_KEEP_BUILD_CACHES) {
        const since = Date.now();
        await during("removing build caches", () => removeBuildCaches(places().cache));
        took.push(["removing build caches", secondsSince(since)]);
    }
    if (took.length > 0) {
        const whole = secondsSince(started.milliseconds);
        const busy = processorSeconds().busy - started.processors;
        console.log(table(["step", "seconds"], [...took, ["all, some beside others", whole]]));
        if (busy > 0) {
            console.log(`This machine's processors were busy for ${(busy / 60).toFixed(1)} minutes.`);
        }
        const { steps: file } = places();
        // The whole is of interest where something was made, not where a stopped cluster was started.
        const all = built ? { [wholeName]: whole, [busyName]: Math.round(busy) } : {};
        const seconds = { ...readJson<Seconds>(file), ...Object.fromEntries(took), ...all };
        writeWhole(file, `${JSON.stringify(seconds)}\n`);
    }
}

const wholeName = "all of the last run that built, some beside others";
const busyName = "the processors' seconds in that";

/**
 * Runs steps beside each other, each as soon as what it needs is done and its lane is free. After a failure nothing more
 * begins; what runs comes to its end, so that nothing is left behind that works on.
 *
 * @returns each step that had something to do, with its seconds
 */
export async function runAll(open: readonly Planned[]): Promise<[string, number][]> {
    const took: [string, number][] = [];
    const ends = new Map<string, Promise<void>>();
    const failures: unknown[] = [];
    const engine = new DockerStep().name;
    const work = async (
        { step, plan }: Planned,
        before: readonly (Promise<void> | undefined)[],
    ): Promise<void> => {
        await Promise.all(before);
        try {
            const now = step.asksEngine && failures.length === 0 ? await step.plan() : plan;
            if (now.way === "stands" || failures.length > 0) {
                return;
            }
            const started = Date.now();
            await during(step.name, () => step.run(now));
            took.push([step.name, secondsSince(started)]);
            say(`${step.name}: done in ${secondsSince(started)} s`);
        } catch (error) {
            failures.push(error);
            say(`${step.name}: failed; what runs beside it comes to its end`);
        }
    };
    for (const each of open) {
        const { name, needs = [], lane, asksEngine } = each.step;
        const before = [
            ...needs,
            ...(asksEngine ? [engine] : []),
            ...(lane === undefined ? [] : [`lane ${lane}`]),
        ];
        const end = work(
            each,
            before.map((what) => ends.get(what)),
        );
        ends.set(name, end);
        if (lane !== undefined) {
            ends.set(`lane ${lane}`, end);
        }
    }
    await Promise.all(ends.values());
    if (failures.length > 0) {
        throw failures[0];
    }
    return took;
}

/** Fetches what will be compiled, from the first moment on; nothing waits for it, since a build fetches what it misses. */
function modulesStep(open: readonly Planned[]): Planned | undefined {
    const builds = new Set(open.flatMap(({ plan }) => plan.builds ?? []));
    const names = goTools.map(({ name }) => name).filter((name) => builds.has(name));
    if (names.length === 0) {
        return undefined;
    }
    return {
        step: {
            name: "Go modules",
            plan: () => Promise.reject(new Error("is made when the others are planned")),
            run: () => fetchModules(names, { cacheDir: places().cache, onProgress: say }),
        },
        plan: { way: "download", detail: names.join(", "), minutes: 0, gigabytes: 0 },
    };
}

const secondsSince = (milliseconds: number): number => Math.round((Date.now() - milliseconds) / 1000);
