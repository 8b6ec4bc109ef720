import assert from "assert";

import { names } from "../../local/places";
import { docker } from "../support/docker";
import { isLong } from "../support/long";
import { runPage } from "../support/page-session";
import { RECOVERY_SECONDS } from "../support/system";
import { Example } from "./example";
import { describeKeyValue } from "./key-value";
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

const PAGES = ["docs/howto/scale.md", "docs/howto/dns.md"];

/** They show Kubernetes itself; the rollout shows what changes.test.ts and the failure matrix test on the system. */
const PAGES_OF_TEST_LONG = [
    "docs/howto/rollout.md",
    "docs/howto/jobs.md",
    "docs/howto/probes.md",
    "docs/howto/shared-directory.md",
    "docs/howto/storage.md",
    "docs/howto/static-volume.md",
    "docs/howto/secrets-and-config.md",
];

describe("the example key-value, and the how-tos on it", function () {
    this.timeout(4 * RECOVERY_SECONDS * 1000);

    const example = new Example("key-value", "key-value");

    before("clear what an earlier run left", async () => {
        // The pages need the example. Without it, what has their names is a reader's.
        if (await example.clear()) {
            await cleanUp();
        }
        assert.strictEqual(
            await left(),
            "",
            "a how-to is in use; run what its page cleans up, then test again",
        );
    });

    after("remove the example", () => example.remove());

    // Suites run in their order, but a suite's own tests before those in it.
    describe("examples/key-value/README.md", () => {
        it("deploys it and uses it", () => example.run("Deploy it", "Use it"));
    });

    describeKeyValue();

    describe("the how-tos", () => {
        afterEach("clear what a failed page left", cleanUp);

        for (const page of [...PAGES, ...(isLong ? PAGES_OF_TEST_LONG : [])]) {
            it(page, async () => {
                await runPage(page);
                assert.strictEqual(await left(), "");
            });
        }
    });

    describe("the example", () => {
        it("K5: is destroyed without a trace", async () => {
            await example.run("Destroy it");
            await example.isGone();
        });
    });
});
