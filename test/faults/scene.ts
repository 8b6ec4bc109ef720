/** What a fault works on, and what it has to tell. */
import { waitFor } from "../support/docker";
import { System } from "../support/system";
import { Load } from "./load";
import { allPods } from "./pods";
import type { Program } from "./program";

/** What a fault works on. */
export interface Stage {
    readonly system: System;
    /** What brings the stack up; undefined where no fault may change it. */
    readonly program: Program | undefined;
}

/** @throws Error where the stack is not one of `make faults`. */
export function programOf({ system, program }: Stage): Program {
    if (program === undefined) {
        throw new Error(
            `stack ${system.stack} is not brought up by \`make faults\`, and this fault updates its stack`,
        );
    }
    return program;
}

/** A stage under load, with what the fault tells of itself. */
export class Scene implements Stage {
    readonly system: System;
    readonly program: Program | undefined;
    /** Names of pods that the fault itself hits: their restarts are no side effect. */
    readonly targets = new Set<string>();
    /** When it hit; unset before. */
    moment: number | undefined;

    constructor(
        stage: Stage,
        readonly load: Load,
    ) {
        this.system = stage.system;
        this.program = stage.program;
    }

    /** Says what is about to be hit, now. */
    hit(...targets: string[]): void {
        targets.forEach((target) => this.targets.add(target));
        this.moment ??= Date.now();
    }

    /** Every pod on these nodes is about to be hit, now. */
    async hitNodes(...nodes: string[]): Promise<void> {
        const pods = await allPods(this.system);
        this.hit(...pods.filter(({ node }) => nodes.includes(node ?? "")).map(({ name }) => name));
    }

    /** Every pod of these workloads is about to be hit, now. */
    async hitWorkloads(...workloads: string[]): Promise<void> {
        const pods = await allPods(this.system);
        this.hit(...pods.filter(({ workload }) => workloads.includes(workload)).map(({ name }) => name));
    }

    /** Lets the load go on through the fault for so long. */
    async last(seconds: number): Promise<void> {
        const end = Date.now() + seconds * 1000;
        await waitFor(`${seconds} s to pass`, seconds + 1, () => Promise.resolve(Date.now() >= end));
    }
}

/** A fault, in up to three acts. The load runs through `strike` alone. */
export interface Fault {
    /** Makes the stage before the load begins. */
    prepare?(stage: Stage): Promise<void>;
    /** Hits, waits as long as the fault lasts, and ends it. The system heals afterwards. */
    strike(scene: Scene): Promise<void>;
    /** Takes back whatever `prepare` made, after everything was checked. */
    undo?(stage: Stage): Promise<void>;
}
