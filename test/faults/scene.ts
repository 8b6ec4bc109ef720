/** What a fault works on, and what it reports. */
import { waitFor } from "../support/docker";
import { System } from "../support/system";
import { Load } from "./load";
import { allPods } from "./pods";
import type { Program } from "./program";

/** What a fault works on. */
export interface Stage {
    readonly system: System;
    /** Deploys the stack; undefined if no fault may change it. */
    readonly program: Program | undefined;
}

/** @throws Error if the stack does not belong to `make faults` */
export function programOf({ system, program }: Stage): Program {
    if (program === undefined) {
        throw new Error(
            `stack ${system.stack} does not belong to \`make faults\`, and this fault updates its stack`,
        );
    }
    return program;
}

/** A stage under load, with what the fault reports about itself. */
export class Scene implements Stage {
    readonly system: System;
    readonly program: Program | undefined;
    /** Names of pods that the fault itself hits: their restarts are not side effects. */
    readonly targets = new Set<string>();
    /** What the fault measured beside the load, one sentence each. */
    readonly notes: string[] = [];
    /** What the fault saw that must not be, one sentence each: the row does not hold. */
    readonly wrong: string[] = [];
    /** When the fault hit; unset before. */
    moment: number | undefined;

    constructor(
        stage: Stage,
        readonly load: Load,
    ) {
        this.system = stage.system;
        this.program = stage.program;
    }

    /** Records that these pods are about to be hit, now. */
    hit(...targets: string[]): void {
        targets.forEach((target) => this.targets.add(target));
        this.moment ??= Date.now();
    }

    /** Records that every pod on these nodes is about to be hit, now. */
    async hitNodes(...nodes: string[]): Promise<void> {
        const pods = await allPods(this.system);
        this.hit(...pods.filter(({ node }) => nodes.includes(node ?? "")).map(({ name }) => name));
    }

    /** Records that every pod of these workloads is about to be hit, now. */
    async hitWorkloads(...workloads: string[]): Promise<void> {
        const pods = await allPods(this.system);
        this.hit(...pods.filter(({ workload }) => workloads.includes(workload)).map(({ name }) => name));
    }

    /** Keeps the load running through the fault for this many seconds. */
    async last(seconds: number): Promise<void> {
        const end = Date.now() + seconds * 1000;
        await waitFor(`${seconds} s to pass`, seconds + 1, () => Promise.resolve(Date.now() >= end));
    }
}

/** A fault, in up to three acts. The load runs only during `strike`. */
export interface Fault {
    /** Prepares the stage before the load starts. */
    prepare?(stage: Stage): Promise<void>;
    /** Hits, waits as long as the fault lasts, and ends it. The system heals afterwards. */
    strike(scene: Scene): Promise<void>;
    /** Undoes whatever `prepare` did, after everything has been checked. */
    undo?(stage: Stage): Promise<void>;
}
