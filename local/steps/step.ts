/** The one shape of everything that `local-up` does, and the decision which of three ways a part comes. */
import { Refusal } from "../../operations/refusal";

/** How a part comes: it is there already, it is on the machine, a release is fetched, it is built, or it is started. */
export type Way = "stands" | "found" | "download" | "build" | "start";

export interface Plan {
    readonly way: Way;
    /** What exactly: a version, a path, a reason. */
    readonly detail: string;
    /** Expected, on two cores with cold caches. */
    readonly minutes: number;
    readonly gigabytes: number;
    /** Debian packages that are installed, as root. */
    readonly packages?: readonly string[];
    /** Builds of from-source/ that it takes. */
    readonly builds?: readonly string[];
    /** What else is done as root. */
    readonly asRoot?: readonly string[];
}

/** The name of the step that provides the Docker Engine; steps that ask the engine wait for it. */
export const ENGINE_STEP = "Docker Engine";

/** Go's compiler keeps every processor busy by itself; images are built and filled by the engine, mostly from the network. */
export type Lane = "compiler" | "engine";

export interface Step {
    readonly name: string;
    /** Steps that have to be done before, where they are part of the run; they come earlier in its list. */
    readonly needs?: readonly string[];
    /** What it occupies: steps of one lane run one after the other, in the order of the list. */
    readonly lane?: Lane;
    /** What it plans is known for certain when the Docker Engine runs: it waits for that, and is asked again then. */
    readonly asksEngine?: boolean;
    /** Looks, and changes nothing. */
    plan(): Promise<Plan>;
    /** Does it: complete or not at all, so that a run that was interrupted goes on where it stopped. */
    run(plan: Plan): Promise<void>;
}

export interface Candidates {
    readonly name: string;
    /** The version on PATH, where there is one. */
    readonly found?: string;
    readonly atLeast: string;
    /** Whether the release answers; asked only if nothing was found. */
    readonly release: () => Promise<boolean>;
    /** Why it cannot be built here, where it cannot. */
    readonly cannotBuild?: string;
    /** What a user can do about it, where that is not to install it. */
    readonly remedy?: string;
}

/** One on the machine that is new enough; else the release, if it can be reached; else built. */
export async function choose(
    candidates: Candidates,
    isAtLeast: (version: string, wanted: string) => boolean,
): Promise<"found" | "download" | "build"> {
    const { name, found, atLeast, release, cannotBuild } = candidates;
    if (found !== undefined && isAtLeast(found, atLeast)) {
        return "found";
    }
    if (await release()) {
        return "download";
    }
    if (cannotBuild !== undefined) {
        const have = found === undefined ? `${name} is not on this machine` : `${name} on PATH is ${found}`;
        const remedy =
            candidates.remedy ??
            `Install ${name} ${atLeast} or newer, or let this machine reach its releases.`;
        throw new Refusal(
            `${have}, its release cannot be reached, and it cannot be built here: ${cannotBuild}. ${remedy}`,
        );
    }
    return "build";
}
