/** What `pulumi destroy` leaves for others to finish: namespaces, volumes and tags go after it has returned. */
import { names, ports } from "./environment";
import { run, until } from "./shell";
import type { ExportedResource } from "./stack";

export interface Leftovers {
    readonly namespaces: readonly string[];
    /** Of the local registry, without its address. */
    readonly repositories: readonly string[];
    /** Claims that outlive the stack, as namespace/name. */
    readonly kept: readonly string[];
}

/** Reads from a stack's resources what has to be gone after them. */
export function whatStays(resources: readonly Omit<ExportedResource, "urn">[]): Leftovers {
    const of = (type: string) => resources.filter((each) => each.type === type);
    const address = `localhost:${ports.registry}/`;
    return {
        namespaces: of("kubernetes:core/v1:Namespace").flatMap(({ inputs }) => {
            const name = (inputs?.metadata as { name?: unknown } | undefined)?.name;
            return typeof name === "string" ? [name] : [];
        }),
        repositories: of("docker:index/registryImage:RegistryImage").flatMap(({ inputs }) => {
            const name = inputs?.name;
            return typeof name === "string" && name.startsWith(address) && inputs?.keepRemotely !== true
                ? [name.slice(address.length).replace(/[:@].*$/, "")]
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

/** Waits until all of it is gone; volumes that their class or the stack keeps stay, and are named. */
export async function waitUntilGone({ namespaces, repositories, kept }: Leftovers): Promise<void> {
    for (const namespace of namespaces) {
        const args = ["get", "namespace", namespace, "--ignore-not-found", "--output", "name"];
        await until(`namespace ${namespace} to be gone`, 120, async () => (await kubectl(args)) === "");
        await until(`the volumes of namespace ${namespace} to be gone`, 120, async () => {
            return (await volumes(namespace)).every((each) => each.policy !== "Delete");
        });
        for (const { name, claim } of await volumes(namespace)) {
            console.log(
                `Volume ${name} of ${namespace}/${claim} is retained by its class: \`kubectl delete pv ${name}\`.`,
            );
        }
    }
    for (const repository of repositories) {
        await until(
            `the tags of ${repository} to be gone`,
            60,
            async () => (await tags(repository)).length === 0,
        );
    }
    console.log(
        kept.length === 0
            ? "Nothing is left of it."
            : `The data is kept in the claims ${kept.join(", ")}: \`up\` takes them again, \`kubectl delete pvc\` gives them up.`,
    );
}

interface Volume {
    readonly name: string;
    readonly claim: string;
    readonly policy: string;
}

async function volumes(namespace: string): Promise<Volume[]> {
    const { items } = JSON.parse(await kubectl(["get", "persistentvolume", "--output", "json"])) as {
        items: {
            metadata: { name: string };
            spec: { persistentVolumeReclaimPolicy: string; claimRef?: { namespace: string; name: string } };
        }[];
    };
    return items
        .filter(({ spec }) => spec.claimRef?.namespace === namespace)
        .map(({ metadata, spec }) => ({
            name: metadata.name,
            claim: spec.claimRef!.name,
            policy: spec.persistentVolumeReclaimPolicy,
        }));
}

async function tags(repository: string): Promise<string[]> {
    const answer = await fetch(`http://127.0.0.1:${ports.registry}/v2/${repository}/tags/list`);
    return answer.ok ? (((await answer.json()) as { tags: string[] | null }).tags ?? []) : [];
}

function kubectl(args: readonly string[]): Promise<string> {
    return run("kubectl", ["--context", names.context, ...args]);
}
