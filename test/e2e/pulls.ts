import { docker } from "../support/docker";

/** The arguments of `kubectl` that tell what the kubelet said of the images of a pod: pulled, or there already. */
export function pulledImages(uid: string): string[] {
    const selector = `involvedObject.uid=${uid},reason=Pulled`;
    return ["get", "events", "--field-selector", selector, "-o", "jsonpath={.items[*].message}"];
}

/** What a node calls images with these digests. */
export async function references(node: string, digests: readonly string[]): Promise<string[]> {
    const all = await docker(["exec", node, "ctr", "--namespace", "k8s.io", "images", "list"]);
    return all
        .split("\n")
        .filter((line) => digests.some((digest) => line.includes(digest)))
        .map((line) => line.split(/\s/)[0]!);
}

/** Takes images with these digests from a node. */
export async function dropImages(node: string, digests: readonly string[]): Promise<void> {
    const found = await references(node, digests);
    if (found.length > 0) {
        await docker(["exec", node, "ctr", "--namespace", "k8s.io", "images", "remove", "--sync", ...found]);
    }
}
