import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { labels } from "./pod";

/**
 * The ConfigMap `<system>-initialised`: made once the master was ready for the first time, and kept as long as its
 * volume. It tells a master without data that it lost a volume and must not begin again, empty.
 *
 * @param master what must be ready before the marker is made.
 */
export function initialisedMarker(
    name: string,
    system: string,
    namespace: pulumi.Input<string>,
    master: pulumi.Resource,
    opts: pulumi.CustomResourceOptions,
): k8s.core.v1.ConfigMap {
    return new k8s.core.v1.ConfigMap(
        name,
        {
            metadata: { name, namespace, labels: labels(system, system) },
            data: {
                initialised:
                    "The master has held data: without data it waits instead of beginning again, empty.\n",
            },
        },
        { ...opts, dependsOn: [master] },
    );
}
