/** kind's configuration of a cluster on this machine. */
import { names, ports } from "../places";

/** What distinguishes one cluster on this machine from another. */
export interface ClusterShape {
    readonly name: string;
    readonly apiPort: number;
    /** The only nodePorts that can be opened from this machine. */
    readonly nodePorts: readonly number[];
    /** Whether the control plane takes pods next to workers; as the only node, it always does. */
    readonly podsOnControlPlane: boolean;
    /** Folders of this machine that are mounted in every node: host path to path in the node. */
    readonly mounts?: Readonly<Record<string, string>>;
}

const ownShape: ClusterShape = {
    name: names.cluster,
    apiPort: ports.api,
    nodePorts: ports.node,
    podsOnControlPlane: true,
};
/** kind's configuration; the nodePorts are opened on this machine's loopback only. */
export function kindConfig(nodes: number, shape = ownShape): string {
    const mapping = (port: number): object => ({
        containerPort: port,
        hostPort: port,
        listenAddress: "127.0.0.1",
        protocol: "TCP",
    });
    const schedulable = "kind: InitConfiguration\nnodeRegistration:\n  taints: []\n";
    const mounts = Object.entries(shape.mounts ?? {}).map(([hostPath, containerPath]) => ({
        hostPath,
        containerPath,
    }));
    const common = mounts.length > 0 ? { extraMounts: mounts } : {};
    // JSON is YAML.
    return JSON.stringify(
        {
            kind: "Cluster",
            apiVersion: "kind.x-k8s.io/v1alpha4",
            name: shape.name,
            networking: { apiServerAddress: "127.0.0.1", apiServerPort: shape.apiPort },
            nodes: [
                {
                    role: "control-plane",
                    extraPortMappings: shape.nodePorts.map(mapping),
                    // kind does this itself for an only node, and fails if it has already been done.
                    ...(nodes > 1 && shape.podsOnControlPlane ? { kubeadmConfigPatches: [schedulable] } : {}),
                    ...common,
                },
                ...Array.from({ length: nodes - 1 }, () => ({ role: "worker", ...common })),
            ],
        },
        undefined,
        2,
    );
}
