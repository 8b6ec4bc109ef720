/** What `pulumi destroy` leaves for others to finish: namespaces, volumes and images are deleted after it has returned. */
import { run, until } from "../machine/shell";
import { names } from "../places";
import { isRemoved } from "../registry/images";
import { Leftovers } from "../state/deployed";

/** A namespace waits for its pods' grace periods, and a provisioner may delete one volume after another. */
const GONE_SECONDS = 600;

/** Waits until all of it is gone. Volumes that their class or the stack retains stay, and are named. */
export async function waitUntilGone({ namespaces, images, kept }: Leftovers): Promise<void> {
    for (const namespace of namespaces) {
        const args = ["get", "namespace", namespace, "--ignore-not-found", "--output", "name"];
        await until(
            `namespace ${namespace} to be gone`,
            GONE_SECONDS,
            async () => (await kubectl(args)) === "",
        );
        await until(`the volumes of namespace ${namespace} to be gone`, GONE_SECONDS, async () => {
            return (await volumes(namespace)).every((each) => each.policy !== "Delete");
        });
        for (const { name, claim } of await volumes(namespace)) {
            console.log(
                `Volume ${name} of ${namespace}/${claim} is retained by its class; delete it with \`kubectl delete pv ${name}\`.`,
            );
        }
    }
    for (const image of images) {
        await until(`${image} to be gone`, 60, () => isRemoved(image));
    }
    console.log(
        kept.length === 0
            ? "Nothing is left of the stack."
            : `The data is kept in the claims ${kept.join(", ")}: \`up\` uses them again, \`kubectl delete pvc\` deletes them.`,
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

function kubectl(args: readonly string[]): Promise<string> {
    return run("kubectl", ["--context", names.context, ...args]);
}
