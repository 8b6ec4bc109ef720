/** Finds and removes the manifests of images in the local registry. */
import { MANIFEST_TYPES } from "../../operations/manifest-types";
import { Refusal } from "../../operations/refusal";
import { STUCK_MS } from "../machine/shell";
import { names, registryAddress } from "../places";

/** Removes images that stacks pushed and that no `pulumi destroy` can remove any more; images as address/repository:tag. */
export async function removeImages(images: readonly string[]): Promise<void> {
    for (const image of images) {
        const head = await headOf(image);
        const digest = head.headers.get("docker-content-digest");
        const { status } =
            digest === null ? head : await ask(manifestUrl(image, digest), { method: "DELETE" });
        if (status !== 202 && status !== 404) {
            throw new Refusal(
                `The local registry did not remove ${image} (HTTP ${status}); ` +
                    `see \`docker logs ${names.registry}\`.`,
            );
        }
    }
}

/** Whether the image is gone from the registry that it was pushed to. */
export async function isRemoved(image: string): Promise<boolean> {
    return (await headOf(image)).status === 404;
}

/** Whether the local registry has an image with this tag; false if it does not answer. */
export async function isPushed(repository: string, tag: string): Promise<boolean> {
    try {
        return (await headOf(`${registryAddress}/${repository}:${tag}`)).ok;
    } catch {
        return false;
    }
}

function headOf(image: string): Promise<Response> {
    return ask(manifestUrl(image), { method: "HEAD", headers: { accept: MANIFEST_TYPES } });
}

function ask(url: string, question: RequestInit): Promise<Response> {
    return fetch(url, { ...question, signal: AbortSignal.timeout(STUCK_MS) });
}

/** The URL of an image's manifest in the registry, by its tag or by its digest. */
function manifestUrl(image: string, digest?: string): string {
    const [, address, repository, tag] = /^([^/]+)\/(.+):([^:/]+)$/.exec(image)!;
    return `http://${address}/v2/${repository}/manifests/${digest ?? tag}`;
}
