/** The drawing of a stack's topology, made from nothing but its recorded resource graph. */
import type { Graph } from "../review/graph";
import { drawing } from "./drawing";

interface KubernetesObject {
    readonly kind: string;
    readonly metadata: {
        readonly name: string;
        readonly namespace?: string;
        readonly labels: Readonly<Record<string, string>>;
    };
    readonly spec: {
        readonly replicas?: number;
        readonly type?: string;
        readonly clusterIP?: string;
        readonly ports?: readonly { readonly port: number; readonly nodePort?: number }[];
        readonly selector?: Readonly<Record<string, string>>;
        readonly resources?: { readonly requests: { readonly storage: string } };
        readonly template?: { readonly spec: { readonly containers: readonly Container[] } };
    };
}

interface Container {
    readonly name: string;
    readonly ports?: readonly { readonly containerPort: number }[];
    readonly env?: readonly { readonly name: string; readonly value?: string }[];
}

/** What an environment variable with the address of a Service means. */
const ARROWS: readonly [suffix: string, meaning: string][] = [
    ["_WRITER", "writes"],
    ["_READERS", "reads"],
    ["MASTER_HOST", "replicates from"],
];

const NAME = "app.kubernetes.io/name";

/** The drawing as SVG. */
export async function topologyPicture({ stack, resources }: Graph): Promise<string> {
    const objects = Object.values(resources)
        .filter(({ type }) => type.startsWith("kubernetes:"))
        .map(({ inputs }) => inputs as unknown as KubernetesObject);
    const services = objects.filter(({ kind, spec }) => kind === "Service" && spec.clusterIP !== "None");
    const workloads = objects.filter(({ kind }) => kind === "StatefulSet" || kind === "Deployment");
    const namespace = services.map(({ metadata }) => metadata.namespace)[0];
    const systems = new Set(workloads.map(({ metadata }) => metadata.labels["app.kubernetes.io/part-of"]!));
    const front = services.find(({ spec }) => spec.type === "NodePort");
    return drawing(`Topology of the stack ${stack}`, [
        `browser [label="browser" shape=box]`,
        `subgraph cluster_namespace { label="namespace ${namespace}"`,
        ...[...systems].flatMap((system) => [
            `subgraph "cluster_${system}" { label="${system}"`,
            ...workloads
                .filter(({ metadata }) => metadata.labels["app.kubernetes.io/part-of"] === system)
                .map((workload) => node(workload, services, objects)),
            "}",
        ]),
        "}",
        ...(front === undefined
            ? []
            : [
                  `browser -> "${front.spec.selector![NAME]}" [label="nodePort ${front.spec.ports![0]!.nodePort}"]`,
              ]),
        ...workloads.flatMap((workload) => arrows(workload, services)),
    ]);
}

/** A workload below the Service that leads to it. */
function node(
    { kind, metadata: { name }, spec }: KubernetesObject,
    services: readonly KubernetesObject[],
    objects: readonly KubernetesObject[],
): string {
    const service = services.find((each) => each.spec.selector![NAME] === name);
    const claims = objects.filter(
        (each) => each.kind === "PersistentVolumeClaim" && each.metadata.labels[NAME] === name,
    );
    const sizes = [...new Set(claims.map((claim) => claim.spec.resources!.requests.storage))].join(", ");
    const containers = spec.template!.spec.containers.map(
        (each) => `${each.name}${each.ports?.[0] === undefined ? "" : ` :${each.ports[0].containerPort}`}`,
    );
    const pods = spec.replicas === 1 ? "1 pod" : `${spec.replicas} pods`;
    const lines = [
        ...(service === undefined
            ? []
            : [`Service ${service.metadata.name}:${service.spec.ports![0]!.port}`]),
        `${kind} ${name}, ${pods}`,
        ...(containers.length > 1 ? [containers.join(", ")] : []),
        ...(claims.length === 0
            ? []
            : [claims.length === 1 ? `1 volume, ${sizes}` : `${claims.length} volumes, ${sizes} each`]),
    ];
    return `"${name}" [label="${lines.join("\\n")}" shape=box]`;
}

function arrows({ metadata, spec }: KubernetesObject, services: readonly KubernetesObject[]): string[] {
    const variables = spec.template!.spec.containers.flatMap(({ env }) => env ?? []);
    return variables.flatMap(({ name, value = "" }) => {
        const meaning = ARROWS.find(([suffix]) => name.endsWith(suffix))?.[1];
        const service = services.find((each) => each.metadata.name === value.split(/[.:]/)[0]);
        if (meaning === undefined || service === undefined) {
            return [];
        }
        const style = meaning === "replicates from" ? " style=dashed constraint=false" : "";
        return [`"${metadata.name}" -> "${service.spec.selector![NAME]}" [label="${meaning}"${style}]`];
    });
}
