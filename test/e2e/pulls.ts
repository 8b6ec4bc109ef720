/** The arguments of `kubectl` that tell what the kubelet said of the images of a pod: pulled, or there already. */
export function pulledImages(uid: string): string[] {
    const selector = `involvedObject.uid=${uid},reason=Pulled`;
    return ["get", "events", "--field-selector", selector, "-o", "jsonpath={.items[*].message}"];
}
