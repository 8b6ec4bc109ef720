/** How far the pods of a StatefulSet are on their way to what it says now, and which of two waits for the other. */

/** A StatefulSet, as far as its rollout is concerned. */
export interface Rollout {
    /** Counts the changes of its spec. */
    readonly generation: number;
    /** The last of these that the controller has seen. What the status says before that is about the former spec. */
    readonly observedGeneration: number;
    /** The number of pods that it should have, that it has, that run its newest revision, and that are ready. */
    readonly wanted: number;
    readonly existing: number;
    readonly updated: number;
    readonly ready: number;
    /** The revision that every pod had when they were last all ready, and the newest one. */
    readonly currentRevision: string;
    readonly updateRevision: string;
}

/** When a master's pod is replaced in an update that changes the slaves, too. */
export type RolloutOrder = "slavesFirst" | "together";

/** Whether every pod runs the newest revision, and every surplus pod is gone. It does not look at readiness. */
function isReplaced(rollout: Rollout): boolean {
    return (
        rollout.observedGeneration >= rollout.generation &&
        (rollout.wanted === 0 || rollout.currentRevision === rollout.updateRevision) &&
        rollout.existing === rollout.wanted
    );
}

/**
 * Whether nothing is left to wait for.
 *
 * @param before the StatefulSet before this update. If the update did not change it, pods that have not been ready since
 * are no reason to wait.
 */
export function isRolledOut(before: Rollout, now: Rollout): boolean {
    return isReplaced(now) && (now.generation === before.generation || now.ready >= now.wanted);
}

/**
 * Whether slaves get their new revision before their master gets its own: a server reads what an older master writes, not
 * what a newer one writes, and a broken image should meet a slave first.
 *
 * A slave without a ready master may never become ready. The master then must not wait: it may be this update that repairs it.
 * At the first start, too, there is no master yet, and slaves wait for it inside their pods.
 *
 * @param master undefined: there is none yet.
 * @param slaves undefined: there are none yet.
 * @param wanted the number of slaves that the update wants.
 */
export function slavesGoFirst(
    order: RolloutOrder,
    master: Rollout | undefined,
    slaves: Rollout | undefined,
    wanted: number,
): boolean {
    return (
        order === "slavesFirst" &&
        (master?.ready ?? 0) > 0 &&
        // Slaves that are only just added have no old revision. They may take hours to copy the data.
        (slaves?.wanted ?? 0) > 0 &&
        wanted > 0
    );
}

/** What a wait is for, in one sentence. */
export function rolloutProgress(name: string, { wanted, existing, updated, ready }: Rollout): string {
    return existing > wanted
        ? `${name} still has ${existing} of its ${existing} pods and should have ${wanted}`
        : `${updated} of ${wanted} pods of ${name} run the new revision, ${ready} of ${wanted} are ready`;
}
