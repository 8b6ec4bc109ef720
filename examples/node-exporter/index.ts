/** Metrics of every node: a DaemonSet runs one pod on each. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { Image } from "../../components/image";
import { containerSecurity, labels, podDefaults, selector } from "../../components/pod";
import { imageProvider } from "../../components/registry";

const NAME = "node-exporter";
const PORT = 9100;
/** Where the pods see the root directory of their node. */
const ROOT = "/host";

const config = new pulumi.Config();
const cluster = { provider: new k8s.Provider("kubernetes", { context: config.require("kubeContext") }) };
const registry = { address: config.require("registry") };
const image = new Image(
    NAME,
    {
        folders: ["image"],
        registry,
        platform: config.get("platform"),
        bases: { own: config.getObject("bases") },
    },
    { provider: imageProvider(registry) },
);

// Pod Security allows host paths and the host's network only in a privileged namespace.
const namespace = new k8s.core.v1.Namespace(
    "namespace",
    {
        metadata: {
            name: config.get("namespace") ?? NAME,
            labels: { "pod-security.kubernetes.io/enforce": "privileged" },
        },
    },
    cluster,
).metadata.name;
const meta = { name: NAME, namespace, labels: labels(NAME, NAME) };

new k8s.apps.v1.DaemonSet(
    NAME,
    {
        metadata: meta,
        spec: {
            selector: { matchLabels: selector(NAME) },
            template: {
                metadata: { labels: labels(NAME, NAME) },
                spec: {
                    ...podDefaults({ platform: image.platform }),
                    // The node's own interfaces and processes, not the pod's.
                    hostNetwork: true,
                    hostPID: true,
                    // Every node, whatever its taints.
                    tolerations: [{ operator: "Exists" }],
                    containers: [
                        {
                            name: NAME,
                            image: image.reference,
                            args: [`--path.rootfs=${ROOT}`, `--web.listen-address=:${PORT}`],
                            ports: [{ name: "metrics", containerPort: PORT }],
                            resources: {
                                requests: { cpu: "10m", memory: "32Mi" },
                                limits: { cpu: "250m", memory: "64Mi" },
                            },
                            securityContext: containerSecurity,
                            readinessProbe: { httpGet: { path: "/", port: PORT } },
                            volumeMounts: [
                                {
                                    name: "root",
                                    mountPath: ROOT,
                                    readOnly: true,
                                    // File systems that are mounted on the node later are seen, too.
                                    mountPropagation: "HostToContainer",
                                },
                            ],
                        },
                    ],
                    volumes: [{ name: "root", hostPath: { path: "/" } }],
                },
            },
        },
    },
    cluster,
);
