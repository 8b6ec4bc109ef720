/** `local up`: says what it will do, checks that it can, does what is missing, and tells what took how long. */
import { table } from "../operations/table";
import { isRoot } from "./apt";
import { checkDisk } from "./checks";
import { ClusterStep } from "./cluster";
import { DockerStep } from "./docker-daemon/step";
import { names, places, readJson, writeWhole } from "./environment";
import { removeBuildCaches } from "./from-source/go-tools";
import { baseImageSteps, imageSteps } from "./images";
import { takeLock } from "./lock";
import { type PluginName, pluginSteps } from "./plugins";
import { during, say } from "./progress";
import { registryAddress, RegistryStep } from "./registry";
import { BackendStep } from "./secrets";
import type { Plan, Step } from "./step";
import { toolSteps } from "./tools";

/** How long each step took when it last had to do something: docs/benchmarks.md is written from it. */
export type Seconds = Readonly<Record<string, number>>;

/** In the order in which they need one another: the engine first, since the others ask it. */
export const allSteps = (): Step[] => [
    new DockerStep(),
    ...toolSteps(),
    ...pluginSteps(),
    ...imageSteps(),
    new RegistryStep(),
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
    const sum = (numbers: number[]): string => String(Math.ceil(numbers.reduce((a, b) => a + b, 0)));
    const packages = [...new Set(open.flatMap(({ plan }) => plan.packages ?? []))];
    const privileged = [
        ...(packages.length > 0 ? [`apt-get install ${packages.join(" ")}`] : []),
        ...open.flatMap(({ plan }) => plan.asRoot ?? []),
    ];
    return [
        table(["part", "way", "min", "GB", "what"], rows),
        `About ${sum(open.map(({ plan }) => plan.minutes))} minutes on two cores and ` +
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
    await bring([new DockerStep(), ...toolSteps(), ...pluginSteps(), ...imageSteps()]);
}

/** Brings only what runs on this machine without a cluster: enough to preview a stack. */
export async function toolsUp(): Promise<void> {
    await bring([...toolSteps(), ...pluginSteps(), new BackendStep()]);
}

/** Brings Pulumi and some of its plugins. Where they stand nothing is locked, so that previews run side by side. */
export async function pulumiUp(plugins: readonly PluginName[]): Promise<void> {
    const steps = [...toolSteps(["pulumi"]), ...pluginSteps(plugins)];
    const planned = await planAll(steps);
    if (planned.some(({ plan }) => plan.way !== "stands")) {
        await bring(steps);
    }
}

async function bring(steps: Step[]): Promise<void> {
    const release = takeLock("environment", "make local-up");
    try {
        await bringLocked(steps);
    } finally {
        release();
    }
}

async function bringLocked(steps: Step[]): Promise<void> {
    const planned = await planAll(steps);
    const open = planned.filter(({ plan }) => plan.way !== "stands");
    if (open.some(({ plan }) => plan.way === "download" || plan.way === "build")) {
        const { cache, state } = places();
        [cache, state].forEach((directory) => checkDisk(directory));
    }
    if (open.length > 0) {
        console.log(announcement(planned));
    }
    const took: [string, number][] = [];
    for (const { step } of open) {
        // Asked again: an earlier step may have brought it, or the engine that knows about it.
        const plan = await step.plan();
        if (plan.way === "stands") {
            continue;
        }
        const started = Date.now();
        await during(step.name, () => step.run(plan));
        const seconds = Math.round((Date.now() - started) / 1000);
        took.push([step.name, seconds]);
        say(`${step.name}: done in ${seconds} s`);
    }
    // Whoever works on from-source/ keeps them.
    if (open.some(({ plan }) => plan.way === "build") && !process.env.DABAWEB_KEEP_BUILD_CACHES) {
        removeBuildCaches(places().cache);
    }
    if (took.length > 0) {
        console.log(table(["step", "seconds"], took));
        const { steps } = places();
        writeWhole(
            steps,
            `${JSON.stringify({ ...readJson<Seconds>(steps), ...Object.fromEntries(took) })}\n`,
        );
    }
}
