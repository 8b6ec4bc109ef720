/** Runs steps in parallel, each as soon as it can start. */
import { during, say } from "../machine/progress";
import type { Planned } from "./announcement";
import { ENGINE_STEP } from "./step";

export const secondsSince = (milliseconds: number): number => Math.round((Date.now() - milliseconds) / 1000);

/**
 * Runs steps in parallel, each as soon as the steps that it needs are done and its lane is free. After a failure, no further
 * step starts; running steps finish, so that nothing keeps working in the background.
 *
 * @returns each step that had something to do, with its seconds
 */
export async function runAll(open: readonly Planned[]): Promise<[string, number][]> {
    const took: [string, number][] = [];
    const ends = new Map<string, Promise<void>>();
    const failures: unknown[] = [];
    const work = async (
        { step, plan }: Planned,
        before: readonly (Promise<void> | undefined)[],
    ): Promise<void> => {
        await Promise.all(before);
        try {
            const now = step.asksEngine && failures.length === 0 ? await step.plan() : plan;
            if (now.way === "ready" || failures.length > 0) {
                return;
            }
            const started = Date.now();
            await during(step.name, () => step.run(now));
            took.push([step.name, secondsSince(started)]);
            say(`${step.name}: done in ${secondsSince(started)} s`);
        } catch (error) {
            failures.push(error);
            say(`${step.name}: failed; running steps finish first`);
        }
    };
    for (const each of open) {
        const { name, needs = [], lane, asksEngine } = each.step;
        const before = [
            ...needs,
            ...(asksEngine ? [ENGINE_STEP] : []),
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
