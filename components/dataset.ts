import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { Cluster } from "./cluster";
import {
    containerSecurity,
    disruptionBudget,
    execProbe,
    labels,
    memoryVolume,
    partOf,
    Placement,
    podDefaults,
    podMetadata,
    Resources,
    selector,
} from "./pod";
import type { Rollout } from "./rollout";
import type { Spread } from "./spread";
import { BASE_ANNOTATION } from "./versions";
import { claimOf, VOLUME_DEFAULTS, volumeOf } from "./volume";

/** What a user can set for the pods and volumes of one master or one group of slaves. */
export interface DatasetOptions extends Placement {
    /** Size of each pod's volume. Default: 1Gi. */
    readonly storage?: string;
    /** StorageClass of each volume. undefined: the cluster's default; "": no dynamic provisioning. */
    readonly storageClass?: string;
    /**
     * How a new volume can be mounted: by pods of one node, or by one pod alone, which needs a CSI driver that can do it. Existing
     * volumes keep what they have. Default: ReadWriteOnce.
     */
    readonly accessMode?: "ReadWriteOnce" | "ReadWriteOncePod";
    /** CPU and memory of the container. Default: the smallest that the engine was tested with under load. */
    readonly resources?: Resources;
    /** How many minutes Pulumi waits for readiness. Default: 10. */
    readonly awaitMinutes?: number;
}

/** What a user can set for a master, in addition to its pod and volume. */
export interface MasterOptions extends DatasetOptions {
    /**
     * The operator's override for a master that waits because its volume is lost or older than its slaves: a new word
     * lets it continue with the data that exists, once. Default: none.
     */
    readonly bootstrap?: string;
}

/** What a user can set for a group of slaves, in addition to their pods and volumes. */
export interface SlaveOptions extends DatasetOptions {
    /** Number of slaves, 0 or more. Default: 1. */
    readonly replicas?: number;
    /**
     * How old a slave's data may be, in seconds, while its link to the master is up. A staler slave gets no reads.
     * Default: 30.
     */
    readonly maxStaleSeconds?: number;
    /** How many seconds a slave continues to serve reads while the master is away. Default: 120. */
    readonly maxMasterAwaySeconds?: number;
}

/** The values of {@link DatasetOptions} that are not given. */
export const DATASET_DEFAULTS = { ...VOLUME_DEFAULTS, awaitMinutes: 10 } as const;

/** The values of {@link SlaveOptions} that are not given. */
export const SLAVE_DEFAULTS = { replicas: 1, maxStaleSeconds: 30, maxMasterAwaySeconds: 120 } as const;

/** Arguments of {@link Dataset}. */
export interface DatasetArgs extends DatasetOptions {
    readonly storage: string;
    readonly resources: Resources;
    /** Name of the system that the pods belong to, for example redis. */
    readonly system: string;
    readonly namespace: pulumi.Input<string>;
    /** Image reference. */
    readonly image: pulumi.Input<string>;
    /** What the image is built on, for example mysql:9.7.4@sha256:.... Default: not known. */
    readonly base?: string;
    /** Platform of the image: the pods run on no other node. Default: any node. */
    readonly platform?: string;
    /** How the pods of the system, master and slaves together, are spread over the nodes. Default: preferred. */
    readonly spread?: Spread;
    /** Number of pods; 0 is allowed. */
    readonly replicas: number;
    /** Port that the engine listens on. */
    readonly port: number;
    /** Name of the folder below /run for sockets and rendered configuration, for example redis. */
    readonly runDirectory: string;
    /** Environment of every container in the pod. */
    readonly env: Readonly<Record<string, string>>;
    /** Name of the Secret that is mounted at /run/secrets/<system>. */
    readonly credentials: pulumi.Input<string>;
    /** Name of the ConfigMap that forbids a master to start empty. It exists only after the first start. */
    readonly initialisedMarker?: string;
    /** Command of an init container that fills an empty volume. Default: none. */
    readonly seedCommand?: string;
    /** An init container that runs before everything else. Default: none. */
    readonly first?: FirstContainer;
    /** Command that runs before the engine is stopped (preStop). Default: none. */
    readonly closeCommand?: string;
    /** Image pull secret. Default: none. */
    readonly pullSecret?: pulumi.Input<string>;
    /**
     * true: the volumes cannot be deleted until they are unprotected. Even then they outlive the stack, and the next
     * deployment uses them again. Default: false.
     */
    readonly protect?: boolean;
    /**
     * What must be finished before the StatefulSet is created or updated, in addition to its volumes.
     *
     * @param before the StatefulSet before this update; undefined if there is none, or if nobody can tell.
     */
    readonly after?: (before: Rollout | undefined) => Promise<readonly pulumi.Resource[]>;
    /** What to do if the pods do not become ready, as the end of a sentence. Default: look at the pods. */
    readonly remedy?: string | undefined;
}

/** An init container with an image and volumes of its own; it also has the pod's volumes `data`, `run` and `tmp`. */
export interface FirstContainer {
    readonly container: k8s.types.input.core.v1.Container & {
        readonly volumeMounts: k8s.types.input.core.v1.VolumeMount[];
    };
    readonly volumes: readonly k8s.types.input.core.v1.Volume[];
}

/**
 * Pods with a volume each: a StatefulSet, its volumes, a Service for the ready pods and a headless Service that gives each
 * pod a name. Every object is named after the component (`<name>`, `<name>-pods`, `data-<name>-<n>`).
 */
export class Dataset extends pulumi.ComponentResource {
    /** `<name>.<namespace>.svc:<port>`, which reaches ready pods only. Plain text: nothing waits for endpoints. */
    readonly address: pulumi.Output<string>;
    readonly statefulSet: k8s.apps.v1.StatefulSet;
    /** The StatefulSet before this update; undefined if there was none, in a preview, or without a {@link Cluster}. */
    readonly before: Promise<Rollout | undefined>;
    /** Resolves to the StatefulSet when every pod runs what this update wants and is ready. */
    readonly rolledOut: Promise<k8s.apps.v1.StatefulSet>;

    constructor(name: string, args: DatasetArgs, opts?: pulumi.ComponentResourceOptions) {
        super("dabaweb:index:Dataset", name, {}, opts);
        const cluster = Cluster.of(this);
        const namespace = plain(args.namespace);
        this.before = namespace.then((known) => cluster?.rollout(known, name));
        const meta = (suffix = "") => ({
            name: `${name}${suffix}`,
            namespace: args.namespace,
            labels: labels(args.system, name),
        });
        const headless = new k8s.core.v1.Service(
            `${name}-pods`,
            {
                metadata: meta("-pods"),
                spec: {
                    clusterIP: "None",
                    publishNotReadyAddresses: true,
                    selector: selector(name),
                    ports: [{ name: args.system, port: args.port }],
                },
            },
            { parent: this },
        );
        new k8s.core.v1.Service(
            name,
            {
                metadata: meta(),
                spec: { selector: selector(name), ports: [{ name: args.system, port: args.port }] },
            },
            { parent: this },
        );
        const volumes = Array.from({ length: args.replicas }, (_, ordinal) =>
            volumeOf(name, ordinal, args, this),
        );
        const ready: Promise<pulumi.Input<pulumi.Resource>[]> = this.before.then(async (before) => [
            ...volumes,
            ...((await args.after?.(before)) ?? []),
        ]);
        this.statefulSet = new k8s.apps.v1.StatefulSet(
            name,
            {
                metadata: {
                    ...meta(),
                    // Not on the pods, which a new patch level of the same content would otherwise replace.
                    ...(args.base === undefined ? {} : { annotations: { [BASE_ANNOTATION]: args.base } }),
                },
                spec: {
                    replicas: args.replicas,
                    serviceName: headless.metadata.name,
                    podManagementPolicy: "Parallel",
                    revisionHistoryLimit: 10,
                    selector: { matchLabels: selector(name) },
                    template: {
                        metadata: podMetadata(args.system, name, args),
                        spec: podSpec(args),
                    },
                    volumeClaimTemplates: [{ metadata: { name: "data" }, spec: claimOf(args) }],
                },
            },
            {
                parent: this,
                dependsOn: ready,
                ignoreChanges: ["spec.volumeClaimTemplates"],
                customTimeouts: awaitTimeouts(args.awaitMinutes),
            },
        );
        this.rolledOut = this.before.then(async (before) => {
            const updated = plain(this.statefulSet.metadata).then(() => {});
            // Pulumi's own wait is right for a StatefulSet that it creates.
            await (before === undefined
                ? updated
                : cluster?.rolledOut(
                      await namespace,
                      name,
                      before,
                      updated,
                      args.awaitMinutes ?? DATASET_DEFAULTS.awaitMinutes,
                      args.remedy ?? `see why with \`kubectl describe pods --namespace ${await namespace}\``,
                  ));
            return this.statefulSet;
        });
        disruptionBudget(name, args.system, args.namespace, args.replicas, { parent: this });
        this.address = pulumi.interpolate`${name}.${args.namespace}.svc:${args.port}`;
        // The update is not over before that. A failure must not be one of the outputs: Pulumi would print it with words of its own
        // in front. So it is left to the program, which ends with it and prints it as it is.
        void this.rolledOut.then(() => {});
        const over = this.rolledOut.then(
            () => this.address,
            () => this.address,
        );
        this.registerOutputs({ address: over });
    }
}

/** The address where masters and slaves find every slave, ready or not. */
function slavesEnv(slaves: string, port: number): Record<string, string> {
    return { SLAVES_HOST: `${slaves}-pods`, SLAVES_PORT: String(port) };
}

/** The environment for the start of every master. */
export function masterEnv(
    { bootstrap = "" }: MasterOptions,
    slaves: string,
    port: number,
): Record<string, string> {
    return { BOOTSTRAP: bootstrap, ...slavesEnv(slaves, port) };
}

/** The environment for the start and the readiness of every slave. */
export function slaveEnv(
    {
        maxStaleSeconds,
        maxMasterAwaySeconds,
    }: Required<Pick<SlaveOptions, "maxStaleSeconds" | "maxMasterAwaySeconds">>,
    master: string,
    slaves: string,
    port: number,
): Record<string, string> {
    return {
        MASTER_HOST: master,
        MASTER_PORT: String(port),
        ...slavesEnv(slaves, port),
        MAX_STALE_SECONDS: String(maxStaleSeconds),
        MAX_MASTER_AWAY_SECONDS: String(maxMasterAwaySeconds),
    };
}

/** Pulumi's deadline for an object to become ready. */
export function awaitTimeouts(minutes: number = DATASET_DEFAULTS.awaitMinutes): pulumi.CustomTimeouts {
    return { create: `${minutes}m`, update: `${minutes}m` };
}

/** The value of an input once it is known. */
function plain<T>(input: pulumi.Input<T>): Promise<pulumi.Unwrap<T>> {
    return new Promise((resolve) => pulumi.output(input).apply(resolve));
}

function podSpec(args: DatasetArgs): k8s.types.input.core.v1.PodSpec {
    const initialised =
        args.initialisedMarker === undefined
            ? []
            : [{ name: "initialised", mountPath: "/run/initialised", readOnly: true }];
    const container = (containerName: string): k8s.types.input.core.v1.Container => ({
        name: containerName,
        image: args.image,
        imagePullPolicy: "IfNotPresent",
        env: [
            { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
            { name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
            ...Object.entries(args.env).map(([key, value]) => ({ name: key, value })),
        ],
        resources: args.resources,
        securityContext: containerSecurity,
        terminationMessagePolicy: "FallbackToLogsOnError",
        volumeMounts: [
            { name: "data", mountPath: "/data" },
            { name: "run", mountPath: `/run/${args.runDirectory}` },
            { name: "tmp", mountPath: "/tmp" },
            { name: "credentials", mountPath: `/run/secrets/${args.system}`, readOnly: true },
            ...initialised,
        ],
    });
    const initContainers = [
        ...(args.first === undefined
            ? []
            : [
                  {
                      ...args.first.container,
                      volumeMounts: [...args.first.container.volumeMounts, ...initialised],
                  },
              ]),
        ...(args.seedCommand === undefined
            ? []
            : [{ ...container("seed"), command: [`/opt/dabaweb/bin/${args.seedCommand}`] }]),
    ];
    return {
        ...podDefaults(
            args,
            // Master and slaves together. It does not depend on their number, so another number restarts no master.
            { among: partOf(args.system), spread: args.spread ?? "preferred" },
            args.pullSecret,
        ),
        ...(initContainers.length > 0 ? { initContainers } : {}),
        containers: [
            {
                ...container(args.system),
                ports: [{ name: args.system, containerPort: args.port }],
                // It passes while a server recovers, however long: an interrupted recovery of a large volume would start again. So it
                // ends at once and has no deadline of its own.
                startupProbe: execProbe("live", { periodSeconds: 2, failureThreshold: 300 }),
                // Each probe runs a process in the container and several of the runtime: 45 ms of CPU time.
                readinessProbe: execProbe("ready", { periodSeconds: 5, failureThreshold: 3 }),
                livenessProbe: execProbe("live", { periodSeconds: 10, failureThreshold: 6 }),
                ...(args.closeCommand === undefined
                    ? {}
                    : {
                          lifecycle: {
                              preStop: { exec: { command: [`/opt/dabaweb/bin/${args.closeCommand}`] } },
                          },
                      }),
            },
        ],
        volumes: [
            memoryVolume("run", "8Mi"),
            memoryVolume("tmp", "32Mi"),
            // 0440 rather than 0400: the files belong to root, and the pod reads them through fsGroup.
            { name: "credentials", secret: { secretName: args.credentials, defaultMode: 0o440 } },
            ...(args.initialisedMarker === undefined
                ? []
                : [{ name: "initialised", configMap: { name: args.initialisedMarker, optional: true } }]),
            ...(args.first?.volumes ?? []),
        ],
    };
}
