/** Which of the two previews of a stack is possible: against its state, or without any credentials. */
import type { Mode } from "./outcome";

/** Which backend a preview against state uses. */
export type Backend = "named" | "local";

/** What is known before anything runs. */
export interface Surroundings {
    /** What the user asked for; undefined: whatever is possible. */
    readonly asked?: Mode;
    /** The backend that the environment names, and whether it has the stack; undefined if the environment names none. */
    readonly named?: { readonly name: string; readonly hasStack: boolean };
    /** Whether the backend of the local environment has the stack. */
    readonly local: boolean;
}

/** A mode, the backend that it needs, and the reason as a sentence without its period. */
export type Choice =
    | { readonly mode: "against state"; readonly backend: Backend; readonly why: string }
    | { readonly mode: "keyless"; readonly backend?: undefined; readonly why: string };

/** A preview against state is better: the state knows what is deployed. A named backend takes precedence over the local one. */
export function chooseMode({ asked, named, local }: Surroundings): Choice {
    if (asked === "keyless") {
        return { mode: "keyless", why: "as requested" };
    }
    if (named?.hasStack) {
        return { mode: "against state", backend: "named", why: `${named.name} has it` };
    }
    if (local) {
        return { mode: "against state", backend: "local", why: "the local environment has it" };
    }
    if (asked === "against state") {
        const backend = named === undefined ? "local" : "named";
        const where = named?.name ?? "the local environment";
        return { mode: "against state", backend, why: `as requested; ${where} does not have it yet` };
    }
    return {
        mode: "keyless",
        why:
            named === undefined
                ? "neither PULUMI_BACKEND_URL nor PULUMI_ACCESS_TOKEN names a backend, and the local environment does not have it"
                : `neither ${named.name} nor the local environment has it`,
    };
}

/**
 * The backend that environment variables name, without credentials so that it can be shown.
 *
 * @returns undefined if they name none; a secret that a fork does not get is an empty string.
 */
export function namedBackend(env: NodeJS.ProcessEnv): string | undefined {
    const url = env.PULUMI_BACKEND_URL ?? "";
    if (url === "") {
        return env.PULUMI_ACCESS_TOKEN ? "Pulumi Cloud" : undefined;
    }
    return url.replace(/\/\/[^/@]*@/, "//").replace(/[?#].*$/, "");
}
