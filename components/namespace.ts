import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

/** Name of the ConfigMap that tells whose a namespace is. */
export const OWNER = "dabaweb-stack";

/** This stack, as its backend and others call it: organization/project/stack. */
export function thisStack(): string {
    return `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
}

/**
 * The namespace of a stack, and in it, before anything else, the stack's name: every stack's objects are called the same,
 * so a second one would take them over.
 *
 * @param create true: it is made, enforces Pod Security `restricted`, and goes with the stack, with every volume in it.
 * false: it exists beforehand and only its name is used.
 * @returns its name; whoever uses it waits for both.
 */
export function stackNamespace(
    { name, create }: { name: string; create: boolean },
    opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    const namespace = create
        ? new k8s.core.v1.Namespace("namespace", { metadata: { name, labels } }, opts).metadata.name
        : name;
    const owner = { metadata: { name: OWNER, namespace }, data: { stack: thisStack() } };
    return new k8s.core.v1.ConfigMap(OWNER, owner, opts).metadata.namespace;
}
