import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { awaitTimeouts } from "./dataset";
import {
    containerSecurity,
    disruptionBudget,
    httpProbe,
    labels,
    memoryVolume,
    Placement,
    podDefaults,
    podMetadata,
    Resources,
    selector,
    serveFor,
    spreadAlone,
    withoutGap,
} from "./pod";

/** Arguments of {@link WebApp}. */
export interface WebAppArgs extends Placement {
    readonly namespace: pulumi.Input<string>;
    /** Image reference. The container runs as any user, with a read-only root and a writable /tmp. */
    readonly image: pulumi.Input<string>;
    /** Platform of the image: the pods run on no other node. Default: any node. */
    readonly platform?: string;
    /** Number of pods, 1 to 100. */
    readonly replicas: number;
    /** Port that the container listens on. It answers /livez, without asking other systems, and /readyz. */
    readonly port: number;
    /** Port on every node, 30000 to 32767. */
    readonly nodePort: number;
    /** Environment of the container, in addition to POD_NAME and POD_IP. Default: none. */
    readonly env?: Readonly<Record<string, pulumi.Input<string>>>;
    /** Values in files: the path of the file of `X` is in the variable `X_FILE`. A change replaces the pods. Default: none. */
    readonly secrets?: Readonly<Record<string, pulumi.Input<string>>>;
    /** CPU and memory of the container. Default: 20m to 1 CPU, 128Mi. */
    readonly resources?: Resources;
    /** How many minutes Pulumi waits for the pods. Default: 10. */
    readonly awaitMinutes?: number;
    /** Image pull secret. Default: none. */
    readonly pullSecret?: pulumi.Input<string>;
}

const SECRETS = "/run/secrets/app";
const RESOURCES: Resources = {
    requests: { cpu: "20m", memory: "128Mi" },
    limits: { cpu: "1", memory: "128Mi" },
};
/** How long a stopping pod still serves: as long as a node may take to learn that the pod has left the Service. */
const SERVE_SECONDS = 10;

/** An application without data: pods of one image behind a NodePort Service, all named after the component. */
export class WebApp extends pulumi.ComponentResource {
    constructor(name: string, args: WebAppArgs, opts?: pulumi.ComponentResourceOptions) {
        checkRange(name, "replicas", args.replicas, 1, 100);
        checkRange(name, "nodePort", args.nodePort, 30000, 32767);
        super("dabaweb:index:WebApp", name, {}, opts);
        const meta = { namespace: args.namespace, labels: labels(name, name) };
        // Its name is generated: a changed secret makes a new Secret, so the pods that read it are rolled.
        const secrets =
            args.secrets &&
            new k8s.core.v1.Secret(
                `${name}-secrets`,
                { metadata: meta, immutable: true, stringData: args.secrets },
                { parent: this },
            );
        const probe = (path: string, periodSeconds: number, failureThreshold: number) =>
            httpProbe(path, args.port, periodSeconds, failureThreshold);
        new k8s.apps.v1.Deployment(
            name,
            {
                metadata: { ...meta, name },
                spec: {
                    ...withoutGap,
                    replicas: args.replicas,
                    selector: { matchLabels: selector(name) },
                    template: {
                        metadata: podMetadata(name, name, args),
                        spec: {
                            ...podDefaults(args, spreadAlone(name, args.replicas), args.pullSecret),
                            containers: [
                                {
                                    name,
                                    image: args.image,
                                    imagePullPolicy: "IfNotPresent",
                                    env: environment(args),
                                    ports: [{ name: "http", containerPort: args.port }],
                                    resources: args.resources ?? RESOURCES,
                                    securityContext: containerSecurity,
                                    terminationMessagePolicy: "FallbackToLogsOnError",
                                    startupProbe: probe("/livez", 1, 60),
                                    readinessProbe: probe("/readyz", 5, 2),
                                    livenessProbe: probe("/livez", 10, 6),
                                    lifecycle: serveFor(SERVE_SECONDS),
                                    volumeMounts: [
                                        { name: "tmp", mountPath: "/tmp" },
                                        ...(secrets === undefined
                                            ? []
                                            : [{ name: "secrets", mountPath: SECRETS, readOnly: true }]),
                                    ],
                                },
                            ],
                            volumes: [
                                memoryVolume("tmp", "32Mi"),
                                ...(secrets === undefined
                                    ? []
                                    : [
                                          {
                                              name: "secrets",
                                              secret: {
                                                  secretName: secrets.metadata.name,
                                                  defaultMode: 0o440,
                                              },
                                          },
                                      ]),
                            ],
                        },
                    },
                },
            },
            { parent: this, customTimeouts: awaitTimeouts(args.awaitMinutes) },
        );
        new k8s.core.v1.Service(
            name,
            {
                metadata: { ...meta, name },
                spec: {
                    type: "NodePort",
                    selector: selector(name),
                    ports: [{ name: "http", port: 80, targetPort: args.port, nodePort: args.nodePort }],
                },
            },
            { parent: this },
        );
        disruptionBudget(name, name, args.namespace, args.replicas, { parent: this });
        this.registerOutputs({});
    }
}

function environment({ env = {}, secrets = {} }: WebAppArgs): k8s.types.input.core.v1.EnvVar[] {
    const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
    const files = Object.keys(secrets).map((name): [string, string] => [
        `${name}_FILE`,
        `${SECRETS}/${name}`,
    ]);
    return [
        field("POD_NAME", "metadata.name"),
        field("POD_IP", "status.podIP"),
        ...[...Object.entries(env), ...files].map(([name, value]) => ({ name, value })),
    ];
}

/** The API server would refuse one object when it has already changed others. */
function checkRange(name: string, what: string, value: number, least: number, most: number): void {
    if (!Number.isInteger(value) || value < least || value > most) {
        throw new Error(`${what} of ${name} is ${value}; set a whole number from ${least} to ${most}`);
    }
}
