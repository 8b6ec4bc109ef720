import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { KEPT_ANNOTATIONS, keptWith } from "./dataset";
import { labels } from "./pod";

/** What a master knows of its system beside its own volume. */
export interface Initialised {
    /** Slaves that the system has: so many must answer before an empty master takes the data of one of them. */
    readonly slaves: number;
    /** The override that the master which is ready now was started with; it does not count a second time. */
    readonly bootstrap: string;
}

/**
 * The ConfigMap `<system>-initialised`: made once the master was ready for the first time, and kept as long as its
 * volume. It tells a master without data that it lost a volume and must not begin again, empty. Not part of the pod's
 * template: another number of slaves restarts no master.
 *
 * @param master what must be ready before the marker is made.
 */
export function initialisedMarker(
    name: string,
    system: string,
    namespace: pulumi.Input<string>,
    { slaves, bootstrap }: Initialised,
    master: pulumi.Resource,
    opts: { readonly parent: pulumi.Resource; readonly protect?: boolean },
): k8s.core.v1.ConfigMap {
    return new k8s.core.v1.ConfigMap(
        name,
        {
            metadata: { name, namespace, labels: labels(system, system), annotations: KEPT_ANNOTATIONS },
            data: {
                initialised:
                    "The master has held data: without data it takes that of a slave, or waits, instead of beginning again, empty.\n",
                slaves: String(slaves),
                bootstrap,
            },
        },
        { parent: opts.parent, ...keptWith(opts.protect), dependsOn: [master] },
    );
}
