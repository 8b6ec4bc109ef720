/** A preview against the state of a stack: what `pulumi up` would do now, as Pulumi itself tells it. */
import { enginePreview, type Run } from "./engine";
import type { Outcome } from "./outcome";

/** The words of preflight.ts and of the kubernetes provider for a cluster that did not answer. */
const UNREACHABLE = /^not checked: the cluster of context |configured Kubernetes cluster is unreachable/;

/** How the type of every object in a cluster begins. */
const KUBERNETES = "kubernetes:";

/** @param why why this mode, a sentence without its dot. */
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
    // A program that refuses its configuration, or a backend that fails, ends before the first object.
    return resources.some((resource) => resource.startsWith(KUBERNETES)) ? "answered" : "not asked";
}
