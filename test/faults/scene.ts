/** What a fault works on, and what it has to tell. */
import { waitFor } from "../support/docker";
import { System } from "../support/system";
import { Load } from "./load";
import { allPods } from "./pods";

export class Scene {
    /** Names of pods that the fault itself hits: their restarts are no side effect. */
    readonly targets = new Set<string>();
    /** When it hit; unset before. */
    moment: number | undefined;

    constructor(
        readonly system: System,
        readonly load: Load,
    ) {}

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
    prepare?(system: System): Promise<void>;
    /** Hits, waits as long as the fault lasts, and ends it. The system heals afterwards. */
    strike(scene: Scene): Promise<void>;
    /** Takes back whatever `prepare` made, after everything was checked. */
    undo?(system: System): Promise<void>;
}
