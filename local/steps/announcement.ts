/** What a run is about to do, in a table. */
import { table } from "../../operations/table";
import { isRoot } from "../machine/apt";
import type { Plan, Step } from "./step";

export interface Planned {
    readonly step: Step;
    readonly plan: Plan;
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

/** Looks at everything; the first step alone, since the others ask the engine that it finds. */
export async function planAll(steps: readonly Step[]): Promise<Planned[]> {
    const look = async (step: Step): Promise<Planned> => ({ step, plan: await step.plan() });
    const [first, ...others] = steps;
    return first === undefined ? [] : [await look(first), ...(await Promise.all(others.map(look)))];
}
