/** What a stack has deployed, read from its Pulumi state. */
import { registryAddress } from "../places";

export interface Leftovers {
    readonly namespaces: readonly string[];
    /** What the stack pushed to the local registry and does not keep there, as address/repository:tag. */
    readonly images: readonly string[];
    /** Claims that outlive the stack, as namespace/name. */
    readonly kept: readonly string[];
}

/** Reads from a stack's resources what must be gone after the stack, and what is kept. */
export function whatStays(resources: readonly Omit<ExportedResource, "urn">[]): Leftovers {
    const of = (type: string) => resources.filter((each) => each.type === type);
    return {
        namespaces: of("kubernetes:core/v1:Namespace").flatMap(({ inputs }) => {
            const name = (inputs?.metadata as { name?: unknown } | undefined)?.name;
            return typeof name === "string" ? [name] : [];
        }),
        images: of("docker:index/registryImage:RegistryImage").flatMap(({ inputs }) => {
            const name = inputs?.name;
            return typeof name === "string" &&
                name.startsWith(`${registryAddress}/`) &&
                inputs?.keepRemotely !== true
                ? [name]
                : [];
        }),
        kept: of("kubernetes:core/v1:PersistentVolumeClaim")
            .filter(({ retainOnDelete }) => retainOnDelete)
            .map(({ inputs }) => {
                const { namespace, name } = inputs?.metadata as { namespace: string; name: string };
                return `${namespace}/${name}`;
            }),
    };
}

export interface ExportedResource {
    readonly urn: string;
    readonly type: string;
    readonly protect?: boolean;
    readonly inputs?: Record<string, unknown>;
    readonly retainOnDelete?: boolean;
}
