import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

/**
 * The namespace of a stack.
 *
 * @param create true: it is made, enforces Pod Security `restricted`, and goes with the stack, with every volume in it.
 * false: it exists beforehand and only its name is used.
 * @returns its name; whoever uses it waits for the namespace.
 */
export function stackNamespace(
    { name, create }: { name: string; create: boolean },
    opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
    if (!create) {
        return pulumi.output(name);
    }
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    return new k8s.core.v1.Namespace("namespace", { metadata: { name, labels } }, opts).metadata.name;
}
