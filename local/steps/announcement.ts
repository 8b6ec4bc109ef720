/** What a run is about to do, in a table. */
import { table } from "../../operations/table";
import { isRoot } from "../machine/apt";
import type { Plan, Step } from "./step";

export interface Planned {
    readonly step: Step;
    readonly plan: Plan;
}

/** The announcement: how every part is provided, with time and disk space, and what runs as root. */
export function announcement(planned: readonly Planned[], root = isRoot()): string {
    const open = planned.filter(({ plan }) => plan.way !== "ready");
    if (open.length === 0) {
        return "Everything is up to date.";
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
    // Compilation keeps the processors busy; the rest runs in parallel.
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
            : `As root${root ? "" : " (which you are not)"}: ${privileged.join("; ")}.`,
    ].join("\n");
}

/** Plans every step: the first one alone, since the others query the engine that it finds. */
export async function planAll(steps: readonly Step[]): Promise<Planned[]> {
    const look = async (step: Step): Promise<Planned> => ({ step, plan: await step.plan() });
    const [first, ...others] = steps;
    return first === undefined ? [] : [await look(first), ...(await Promise.all(others.map(look)))];
}
