/** A preview against the state of a stack: what `pulumi up` would do now, according to Pulumi itself. */
import { enginePreview, type Run } from "./engine";
import type { Outcome } from "./outcome";

/** What preflight.ts and the kubernetes provider say about a cluster that did not answer. */
const UNREACHABLE = /^not checked: the cluster of context |configured Kubernetes cluster is unreachable/;

/** How the type of every object in a cluster begins. */
const KUBERNETES = "kubernetes:";

/** @param why why this mode was chosen, a sentence without its period. */
export async function statePreview(run: Run, why: string): Promise<Outcome> {
    const { comparison, resources, warnings, errors } = await enginePreview(run);
    return {
        stack: run.stack,
        mode: "against state",
        why,
        cluster: clusterIn(resources, [...warnings, ...errors]),
        comparedWith: "the state",
        comparison,
        resources,
        planned: resources.length,
        warnings,
        errors,
    };
}

function clusterIn(resources: readonly string[], said: readonly string[]): Outcome["cluster"] {
    if (said.some((each) => UNREACHABLE.test(each))) {
        return "unreachable";
    }
    // If the program refuses its configuration, or the backend fails, the preview ends before the first object.
    return resources.some((resource) => resource.startsWith(KUBERNETES)) ? "answered" : "not asked";
}
