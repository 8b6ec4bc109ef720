/** Complete images in registries: what belongs to an image, whether it can be pulled, and copies that keep its digest. */
import { Descriptor, Manifest, Repository } from "./registry-client";

/** The size of one copy. */
export interface Copied {
    /** Bytes of the image's blobs, compressed as in the registry. */
    readonly bytes: number;
    /** Bytes sent over the network; the rest already existed, or the registry took it from another repository. */
    readonly sent: number;
}

/**
 * Every manifest of an image; those listed in an index come before the index itself.
 *
 * @returns undefined if one of them does not exist.
 */
export async function manifestsOf(
    repository: Repository,
    digest: string,
): Promise<readonly Manifest[] | undefined> {
    const manifest = await repository.manifest(digest);
    const all: Manifest[] = [];
    for (const child of manifest?.children ?? []) {
        const manifests = await manifestsOf(repository, child.digest);
        if (manifests === undefined) {
            return undefined;
        }
        all.push(...manifests);
    }
    return manifest && [...all, manifest];
}

/** Whether everything that belongs to an image exists, so that it can be pulled by its digest. */
export async function isPullable(repository: Repository, digest: string): Promise<boolean> {
    const manifests = await manifestsOf(repository, digest);
    if (manifests === undefined) {
        return false;
    }
    const there = await Promise.all(blobsOf(manifests).map((blob) => repository.has(blob)));
    return there.every((each) => each);
}

/** The platforms that an image runs on, for example linux/amd64. */
export async function platformsOf(
    repository: Repository,
    manifests: readonly Manifest[],
): Promise<readonly string[]> {
    const root = manifests.at(-1);
    if (root?.config === undefined) {
        // The index also lists attestations, for the platform "unknown".
        return (root?.children ?? [])
            .map(({ platform }) => `${platform?.os}/${platform?.architecture}`)
            .filter((platform) => !platform.includes("unknown"));
    }
    const { os, architecture } = (await (await repository.blob(root.config)).json()) as Record<
        string,
        string
    >;
    return [`${os}/${architecture}`];
}

/**
 * Copies an image and keeps its digest.
 *
 * @param manifests what {@link manifestsOf} found in the source.
 * @param tag the name that keeps the registry from removing the image as garbage.
 * @param known repositories by the blobs that they are known to have; this copy uses them and adds its own.
 */
export async function copyImage(
    source: Repository,
    target: Repository,
    manifests: readonly Manifest[],
    tag: string,
    known: Map<string, string>,
): Promise<Copied> {
    const blobs = blobsOf(manifests);
    let sent = 0;
    for (const blob of blobs) {
        const neighbour = known.get(blob.digest) ?? (source.host === target.host ? source.name : undefined);
        sent += await target.putBlob(blob, source, neighbour);
        known.set(blob.digest, target.name);
    }
    for (const manifest of manifests) {
        await target.putManifest(manifest.digest, manifest);
    }
    await target.putManifest(tag, manifests.at(-1)!);
    return { bytes: blobs.reduce((sum, { size }) => sum + size, 0), sent };
}

function blobsOf(manifests: readonly Manifest[]): Descriptor[] {
    return [...new Map(manifests.flatMap(({ blobs }) => blobs).map((blob) => [blob.digest, blob])).values()];
}
