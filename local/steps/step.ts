/** The common interface of everything that `local-up` does, and the decision in which of three ways a part is provided. */
import { Refusal } from "../../operations/refusal";

/** How a part is provided: it is ready, it is on the machine, its release is downloaded, it is built, or it is started. */
export type Way = "ready" | "found" | "download" | "build" | "start";

export interface Plan {
    readonly way: Way;
    /** What exactly: a version, a path, a reason. */
    readonly detail: string;
    /** Expected, on two cores with cold caches. */
    readonly minutes: number;
    readonly gigabytes: number;
    /** Debian packages that are installed, as root. */
    readonly packages?: readonly string[];
    /** Builds of from-source/ that it needs. */
    readonly builds?: readonly string[];
    /** What else is done as root. */
    readonly asRoot?: readonly string[];
}

/** The name of the step that provides the Docker Engine; steps that query the engine wait for it. */
export const ENGINE_STEP = "Docker Engine";

/** Go's compiler keeps every processor busy by itself; images are built and filled by the engine, mostly from the network. */
export type Lane = "compiler" | "engine";

export interface Step {
    readonly name: string;
    /** Steps that must be done before, if they are part of the run; they are earlier in its list. */
    readonly needs?: readonly string[];
    /** What it occupies: steps of one lane run one after the other, in the order of the list. */
    readonly lane?: Lane;
    /** Its plan is certain only once the Docker Engine runs: the step waits for the engine, and is then planned again. */
    readonly asksEngine?: boolean;
    /** Inspects, and changes nothing. */
    plan(): Promise<Plan>;
    /** Does the work completely or not at all, so that an interrupted run resumes where it stopped. */
    run(plan: Plan): Promise<void>;
}

export interface Candidates {
    readonly name: string;
    /** The version on PATH, if there is one. */
    readonly found?: string;
    readonly atLeast: string;
    /** Whether the release answers; asked only if nothing was found. */
    readonly release: () => Promise<boolean>;
    /** Why it cannot be built here; undefined if it can. */
    readonly cannotBuild?: string;
    /** What the user can do about it, if that is not to install it. */
    readonly remedy?: string;
}

/** Chooses what is on the machine, if it is new enough; else the release, if it can be reached; else a build. */
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
