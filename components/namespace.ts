import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

/** Name of the ConfigMap that records which stack a namespace belongs to. */
export const OWNER = "dabaweb-stack";

/** The qualified name of this stack: organization/project/stack. */
export function thisStack(): string {
    return `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
}

/**
 * The namespace of a stack. The first object in it records the stack's name: the objects of every stack have the same names,
 * so a second stack would take them over.
 *
 * @param create true: the namespace is created, enforces Pod Security `restricted`, and is deleted with the stack and with
 * every volume in it. false: the namespace already exists and only its name is used.
 * @returns its name; resources that use the name wait for the namespace and for that object.
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
