/** What `pulumi destroy` leaves for others to finish: namespaces, volumes and images go after it has returned. */
import { MANIFEST_TYPES } from "../operations/manifest-types";
import { names } from "./environment";
import { registryAddress } from "./registry";
import { Refusal, run, STUCK_MS, until } from "./shell";
import type { ExportedResource } from "./stack";

export interface Leftovers {
    readonly namespaces: readonly string[];
    /** What the stack pushed to the local registry and does not keep there, as address/repository:tag. */
    readonly images: readonly string[];
    /** Claims that outlive the stack, as namespace/name. */
    readonly kept: readonly string[];
}

/** Reads from a stack's resources what has to be gone after them. */
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

/** Waits until all of it is gone; volumes that their class or the stack keeps stay, and are named. */
export async function waitUntilGone({ namespaces, images, kept }: Leftovers): Promise<void> {
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
    for (const image of images) {
        await until(`${image} to be gone`, 60, async () => (await headOf(image)).status === 404);
    }
    console.log(
        kept.length === 0
            ? "Nothing is left of it."
            : `The data is kept in the claims ${kept.join(", ")}: \`up\` takes them again, \`kubectl delete pvc\` gives them up.`,
    );
}

/** Removes from a registry on this machine what stacks pushed to it that can no longer be destroyed. */
export async function removeImages(images: readonly string[]): Promise<void> {
    for (const image of images) {
        const head = await headOf(image);
        const digest = head.headers.get("docker-content-digest");
        const { status } =
            digest === null ? head : await ask(manifestUrl(image, digest), { method: "DELETE" });
        if (status !== 202 && status !== 404) {
            throw new Refusal(
                `The local registry does not remove ${image} (HTTP ${status}); ` +
                    `\`docker logs ${names.registry}\` tells more.`,
            );
        }
    }
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

function headOf(image: string): Promise<Response> {
    return ask(manifestUrl(image), { method: "HEAD", headers: { accept: MANIFEST_TYPES } });
}

function ask(url: string, question: RequestInit): Promise<Response> {
    return fetch(url, { ...question, signal: AbortSignal.timeout(STUCK_MS) });
}

/** Where the registry has the manifest of an image, by its tag or by its digest. */
function manifestUrl(image: string, digest?: string): string {
    const [, address, repository, tag] = /^([^/]+)\/(.+):([^:/]+)$/.exec(image)!;
    return `http://${address}/v2/${repository}/manifests/${digest ?? tag}`;
}

function kubectl(args: readonly string[]): Promise<string> {
    return run("kubectl", ["--context", names.context, ...args]);
}
