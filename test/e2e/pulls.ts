import { docker } from "../support/docker";

/** The `kubectl` arguments that show the kubelet's events about a pod's images: pulled, or already present. */
export function pulledImages(uid: string): string[] {
    const selector = `involvedObject.uid=${uid},reason=Pulled`;
    return ["get", "events", "--field-selector", selector, "-o", "jsonpath={.items[*].message}"];
}

/** The references that a node has for images with these digests. */
export async function references(node: string, digests: readonly string[]): Promise<string[]> {
    const all = await docker(["exec", node, "ctr", "--namespace", "k8s.io", "images", "list"]);
    return all
        .split("\n")
        .filter((line) => digests.some((digest) => line.includes(digest)))
        .map((line) => line.split(/\s/)[0]!);
}

/** Removes images with these digests from a node. */
export async function dropImages(node: string, digests: readonly string[]): Promise<void> {
    const found = await references(node, digests);
    if (found.length > 0) {
        await docker(["exec", node, "ctr", "--namespace", "k8s.io", "images", "remove", "--sync", ...found]);
    }
}
