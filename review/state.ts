/** A preview against the state of a stack: what `pulumi up` would do now, as Pulumi itself tells it. */
import { enginePreview, type Run } from "./engine";
import type { Outcome } from "./outcome";

/** The words of preflight.ts and of the kubernetes provider for a cluster that did not answer. */
const UNREACHABLE = /^not checked: the cluster of context |configured Kubernetes cluster is unreachable/;

/** @param why why this mode, a sentence without its dot. */
export async function statePreview(run: Run, why: string): Promise<Outcome> {
    const { comparison, resources, warnings, errors } = await enginePreview(run);
    return {
        stack: run.stack,
        mode: "against state",
        why,
        cluster: [...warnings, ...errors].some((said) => UNREACHABLE.test(said)) ? "unreachable" : "answered",
        comparedWith: "the state",
        comparison,
        resources,
        planned: resources.length,
        warnings,
        errors,
    };
}
