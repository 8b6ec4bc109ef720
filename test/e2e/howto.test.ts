import assert from "assert";

import { names } from "../../local/places";
import { docker } from "../support/docker";
import { runPage } from "../support/page-session";
import { RECOVERY_SECONDS } from "../support/system";
import { kubectl } from "./side-by-side";

/** What the pages make, apart from what is in the namespace. */
const NAMESPACE = "howto";
const VOLUME = "howto";
const FOLDER_OF_VOLUME = "/var/howto";

/** What a page has not cleaned up. */
async function left(): Promise<string> {
    const objects = [`namespace/${NAMESPACE}`, `persistentvolume/${VOLUME}`];
    return kubectl(["get", ...objects, "--ignore-not-found", "-o", "name"]);
}

/** Removes what a page leaves if one of its commands fails, or if the run is killed. */
async function cleanUp(): Promise<void> {
    await kubectl(["delete", "namespace", NAMESPACE, "--ignore-not-found"]);
    await kubectl(["delete", "persistentvolume", VOLUME, "--ignore-not-found"]);
    await docker(["exec", `${names.cluster}-control-plane`, "rm", "-rf", FOLDER_OF_VOLUME]);
}

describe("the how-tos", function () {
    this.timeout(4 * RECOVERY_SECONDS * 1000);

    before("clear what an earlier run left", cleanUp);

    afterEach("clear what a failed page left", cleanUp);

    for (const page of [
        "docs/howto/scale.md",
        "docs/howto/rollout.md",
        "docs/howto/jobs.md",
        "docs/howto/dns.md",
        "docs/howto/probes.md",
        "docs/howto/shared-directory.md",
        "docs/howto/storage.md",
        "docs/howto/static-volume.md",
        "docs/howto/secrets-and-config.md",
    ]) {
        it(page, async () => {
            await runPage(page);
            assert.strictEqual(await left(), "");
        });
    }
});
