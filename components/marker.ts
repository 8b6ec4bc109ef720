import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { labels } from "./pod";
import { KEPT_ANNOTATIONS, keptWith } from "./volume";

/** What a master knows about its system in addition to its own volume. */
export interface Initialised {
    /** Number of slaves in the system. All of them must answer before an empty master takes the data of one. */
    readonly slaves: number;
    /** The override that the current master was started with. It does not count a second time. */
    readonly bootstrap: string;
}

/**
 * The ConfigMap `<system>-initialised`: created when the master is ready for the first time, and kept as long as its volume.
 * It tells a master without data that it lost a volume and must not start empty. It is not part of the pod's template, so a
 * different number of slaves does not restart the master.
 *
 * @param master resolves when the master is ready, before the marker is created.
 */
export function initialisedMarker(
    name: string,
    system: string,
    namespace: pulumi.Input<string>,
    { slaves, bootstrap }: Initialised,
    master: Promise<pulumi.Resource>,
    opts: { readonly parent: pulumi.Resource; readonly protect?: boolean },
): k8s.core.v1.ConfigMap {
    const ready: Promise<pulumi.Input<pulumi.Resource>[]> = master.then((resource) => [resource]);
    return new k8s.core.v1.ConfigMap(
        name,
        {
            metadata: { name, namespace, labels: labels(system, system), annotations: KEPT_ANNOTATIONS },
            data: {
                initialised:
                    "The master has held data. Without data, it takes the data of a slave or waits; it starts empty only if a new word in `bootstrap` says so.\n",
                slaves: String(slaves),
                bootstrap,
            },
        },
        {
            parent: opts.parent,
            ...keptWith(opts.protect),
            dependsOn: ready,
        },
    );
}
