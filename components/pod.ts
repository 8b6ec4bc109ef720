import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { platformLabels, type Spread } from "./spread";

/** CPU (cores) and memory (bytes) as Kubernetes quantities. */
export type Amounts = { readonly cpu: string; readonly memory: string };

/** What a container requests and what it must not exceed. */
export interface Resources {
    readonly requests: Amounts;
    readonly limits: Amounts;
}

/** Where the pods of a workload may run, and what others read on them. One type for every workload. */
export interface Placement {
    /** Labels that a node must have to run the pods. Default: any node. */
    readonly nodeSelector?: Record<string, string>;
    /** Taints that the pods tolerate. Default: none. */
    readonly tolerations?: k8s.types.input.core.v1.Toleration[];
    /** Annotations of the pods, for example for a service mesh. A change replaces the pods. Default: none. */
    readonly podAnnotations?: Record<string, string>;
    /** An existing PriorityClass. Default: the cluster's. */
    readonly priorityClassName?: string;
}

/** User and group of every container. No image relies on the number; a number above 10000 avoids the host's users. */
const UID = 10001;

/** Seconds between SIGTERM and SIGKILL. Longer than Redis's shutdown-timeout (20 s). */
export const GRACE_SECONDS = 60;

/** The standard labels. `component` distinguishes the workloads of one system, and selectors use it. */
export function labels(system: string, component: string): Record<string, string> {
    return {
        "app.kubernetes.io/name": component,
        ...partOf(system),
        "app.kubernetes.io/managed-by": "pulumi",
    };
}

/** The one label of {@link labels} that never changes. Selectors use it, because they are immutable. */
export function selector(component: string): Record<string, string> {
    return { "app.kubernetes.io/name": component };
}

/** The security context of every container, as Pod Security `restricted` requires, with a read-only root. */
export const containerSecurity: k8s.types.input.core.v1.SecurityContext = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"] },
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
};

/** How many seconds a probe may take. A slave's probe asks its absent master for the cause, which takes up to 5. */
const PROBE_TIMEOUT = 6;

/** A readiness, liveness or startup probe that runs a command of the image. Times in seconds. */
export function execProbe(
    command: string,
    times: { periodSeconds: number; failureThreshold: number },
): k8s.types.input.core.v1.Probe {
    return { exec: { command: [`/opt/dabaweb/bin/${command}`] }, timeoutSeconds: PROBE_TIMEOUT, ...times };
}

/**
 * A stopping container still serves for some seconds before it receives SIGTERM, because every node needs that time to learn
 * that the pod left the Service. The kubelet sleeps (Kubernetes 1.30 or newer), so the image needs no shell for this.
 */
export function serveFor(seconds: number): k8s.types.input.core.v1.Lifecycle {
    return { preStop: { sleep: { seconds } } };
}

/** A readiness, liveness or startup probe that requests a page. The period is in seconds. */
export function httpProbe(
    path: string,
    port: number,
    periodSeconds: number,
    failureThreshold: number,
): k8s.types.input.core.v1.Probe {
    return { httpGet: { path, port }, periodSeconds, failureThreshold, timeoutSeconds: 5 };
}

/** How a Deployment replaces its pods. */
export const withoutGap = {
    // `up` returns at once when it goes back to a retained ReplicaSet without pods (kubernetes provider 4.25.0,
    // await/deployment.go: 0 of 0 are ready), so none is retained. Pulumi undoes a rollout.
    revisionHistoryLimit: 0,
    // Old pods are deleted only when as many new ones are ready, so even a single pod is replaced without a gap.
    strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
};

/** A writable directory in memory; its content counts against the memory limit of the container that writes it. */
export function memoryVolume(name: string, sizeLimit: string): k8s.types.input.core.v1.Volume {
    return { name, emptyDir: { medium: "Memory", sizeLimit } };
}

/** The metadata of a workload's pods. */
export function podMetadata(
    system: string,
    component: string,
    { podAnnotations = {} }: Placement,
): k8s.types.input.meta.v1.ObjectMeta {
    return {
        labels: labels(system, component),
        ...(Object.keys(podAnnotations).length > 0 ? { annotations: podAnnotations } : {}),
    };
}

/** Pods that should be on different nodes. */
export interface Spreading {
    /** The labels that all of them have. */
    readonly among: Record<string, string>;
    readonly spread: Spread;
}

/** How pods of one workload are spread that is the only one of its system; undefined for a single pod. */
export function spreadAlone(component: string, replicas: number): Spreading | undefined {
    return replicas > 1 ? { among: selector(component), spread: "preferred" } : undefined;
}

/** The label that the pods of all workloads of a system have. */
export function partOf(system: string): Record<string, string> {
    return { "app.kubernetes.io/part-of": system };
}

function spreadConstraint({ among, spread }: Spreading): k8s.types.input.core.v1.TopologySpreadConstraint {
    return {
        maxSkew: 1,
        topologyKey: "kubernetes.io/hostname",
        labelSelector: { matchLabels: among },
        ...(spread === "required"
            ? // A node that takes no pods, for example a cordoned one, is no reason not to start them elsewhere.
              { whenUnsatisfiable: "DoNotSchedule", nodeTaintsPolicy: "Honor" }
            : // On a one-node cluster the second pod must still run.
              { whenUnsatisfiable: "ScheduleAnyway" }),
    };
}

/**
 * The parts of a pod's spec that are the same for every workload.
 *
 * @param placement with the platform of its images, if they run on no other: nodes of another one are left out.
 */
export function podDefaults(
    placement: Placement & { readonly platform?: string },
    spreading?: Spreading,
    pullSecret?: pulumi.Input<string>,
): Omit<k8s.types.input.core.v1.PodSpec, "containers"> {
    const nodeSelector = {
        ...(placement.platform === undefined ? {} : platformLabels(placement.platform)),
        ...placement.nodeSelector,
    };
    return {
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        terminationGracePeriodSeconds: GRACE_SECONDS,
        securityContext: {
            runAsNonRoot: true,
            runAsUser: UID,
            runAsGroup: UID,
            fsGroup: UID,
            fsGroupChangePolicy: "OnRootMismatch",
            seccompProfile: { type: "RuntimeDefault" },
        },
        ...(pullSecret === undefined ? {} : { imagePullSecrets: [{ name: pullSecret }] }),
        ...(Object.keys(nodeSelector).length > 0 ? { nodeSelector } : {}),
        ...((placement.tolerations ?? []).length > 0 ? { tolerations: placement.tolerations } : {}),
        ...(placement.priorityClassName === undefined
            ? {}
            : { priorityClassName: placement.priorityClassName }),
        ...(spreading === undefined ? {} : { topologySpreadConstraints: [spreadConstraint(spreading)] }),
    };
}

/** A PodDisruptionBudget that lets a drain take one pod at a time; undefined for a single pod, which it would block. */
export function disruptionBudget(
    component: string,
    system: string,
    namespace: pulumi.Input<string>,
    replicas: number,
    opts: pulumi.CustomResourceOptions,
): k8s.policy.v1.PodDisruptionBudget | undefined {
    if (replicas < 2) {
        return undefined;
    }
    return new k8s.policy.v1.PodDisruptionBudget(
        component,
        {
            metadata: { name: component, namespace, labels: labels(system, component) },
            spec: {
                maxUnavailable: 1,
                // A pod that is not ready serves nobody. Without this, a drain would wait for it for ever.
                unhealthyPodEvictionPolicy: "AlwaysAllow",
                selector: { matchLabels: selector(component) },
            },
        },
        opts,
    );
}
