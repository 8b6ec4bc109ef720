/** An S3 store on loopback, for backups of local stacks: rclone serves a folder of the state directory. */
import * as fs from "node:fs";
import * as path from "node:path";

import { nameHere } from "../engine/images";
import { ServiceStep } from "../engine/service";
import { images, tagged } from "../pins";
import { names, places, ports } from "../places";

/** What Pulumi.dev.yaml says of it. The store is on this machine alone, so its keys are no secret. */
export const localStore = { bucket: "backups", accessKey: "dabaweb", secretKey: "dabaweb-local" } as const;

export const storeStep = (): ServiceStep =>
    new ServiceStep({
        name: "store",
        needs: [tagged(storeImage())],
        container: names.store,
        port: ports.store,
        containerPort: ports.store,
        data: places().storeData,
        containerData: "/data",
        env: ["XDG_CACHE_HOME=/tmp", "XDG_CONFIG_HOME=/tmp"],
        command: async () => {
            // A folder of the store is a bucket.
            fs.mkdirSync(path.join(places().storeData, localStore.bucket), { recursive: true });
            const { accessKey, secretKey } = localStore;
            const serve = ["serve", "s3", "/data", `--addr=:${ports.store}`];
            return [await imageHere(), ...serve, `--auth-key=${accessKey},${secretKey}`];
        },
        page: "/",
        // Without a signature it refuses, which is an answer.
        isWell: () => true,
    });

function storeImage(): string {
    return images.bases.find(({ name }) => name === "rclone")!.image;
}

async function imageHere(): Promise<string> {
    return (await nameHere(storeImage())) ?? tagged(storeImage());
}
