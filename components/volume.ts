import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { labels } from "./pod";

/** What a volume is. */
export interface ClaimArgs {
    readonly storage: string;
    /** StorageClass. undefined: the cluster's default; "": no dynamic provisioning. */
    readonly storageClass?: string;
    /** How it can be mounted. Default: ReadWriteOnce. */
    readonly accessMode?: "ReadWriteOnce" | "ReadWriteOncePod";
}

/** The values of {@link ClaimArgs} that are not given. */
export const VOLUME_DEFAULTS = { storage: "1Gi", accessMode: "ReadWriteOnce" } as const;

/** A volume as a StatefulSet asks for it. */
export interface VolumeArgs extends ClaimArgs {
    readonly namespace: pulumi.Input<string>;
    /** What a label says it belongs to, such as mysql. */
    readonly system: string;
    /** true: it cannot be deleted until it is unprotected, and even then outlives the stack. Default: false. */
    readonly protect?: boolean;
}

/** Resource options for objects that must not be lost: see {@link VolumeArgs.protect}. */
export function keptWith(protect?: boolean): pulumi.CustomResourceOptions {
    return { protect, retainOnDelete: protect };
}

/**
 * For objects that may outlive their stack. The next deployment has another field manager and could otherwise never change
 * the fields that the previous one set.
 */
export const KEPT_ANNOTATIONS = { "pulumi.com/patchForce": "true" };

/** What is claimed, for a claim and for the template that adopts it. */
export function claimOf(args: ClaimArgs): k8s.types.input.core.v1.PersistentVolumeClaimSpec {
    return {
        accessModes: [args.accessMode ?? VOLUME_DEFAULTS.accessMode],
        resources: { requests: { storage: args.storage } },
        ...(args.storageClass === undefined ? {} : { storageClassName: args.storageClass }),
    };
}

/**
 * The volume of a pod of a StatefulSet, `data-<name>-<ordinal>`. Declared here and adopted by the StatefulSet, so that changes of
 * class and size are ordinary changes that a preview shows. A claim template cannot be changed after creation.
 */
export function volumeOf(
    name: string,
    ordinal: number,
    args: VolumeArgs,
    parent: pulumi.Resource,
): k8s.core.v1.PersistentVolumeClaim {
    return new k8s.core.v1.PersistentVolumeClaim(
        `data-${name}-${ordinal}`,
        {
            metadata: {
                name: `data-${name}-${ordinal}`,
                namespace: args.namespace,
                labels: labels(args.system, name),
                // The provider waits for an event that says Bound. A retained claim is already bound and
                // never sends one. The pods' readiness shows whether the volumes exist.
                annotations: {
                    ...KEPT_ANNOTATIONS,
                    "pulumi.com/waitFor": "jsonpath={.metadata.uid}",
                },
            },
            spec: claimOf(args),
        },
        // It cannot be changed, so a claim would be replaced, with its data.
        { parent, ...keptWith(args.protect), ignoreChanges: ["spec.accessModes"] },
    );
}
