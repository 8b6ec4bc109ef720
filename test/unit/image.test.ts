import assert from "assert";

import * as pulumi from "@pulumi/pulumi";

import { baseArguments, baseOf, officialBases } from "../../components/bases";
import { Image } from "../../components/image";
import { npmArguments } from "../../components/npm";

const DIGEST = `sha256:${"d".repeat(64)}`;

/** Pulumi's runtime keeps its state in a store; this gives each run a new one. */
const { withLocalStorage } = require("@pulumi/pulumi/runtime/state") as {
    withLocalStorage<T>(callback: () => Promise<T>): Promise<T>;
};

/** The reference that pods use for an image that was pushed with this digest, or is not pushed yet. */
function referenceOf(digest: string | undefined, preview: boolean): Promise<string | undefined> {
    return withLocalStorage(async () => {
        const newResource = ({ inputs, name }: pulumi.runtime.MockResourceArgs) => ({
            id: name,
            state: { ...inputs, ...(digest === undefined ? {} : { sha256Digest: digest }) },
        });
        await pulumi.runtime.setMocks({ newResource, call: () => ({}) }, "dabaweb", "test", preview);
        const image = new Image("redis-master", {
            context: "images",
            folders: ["redis-master", "redis"],
            registry: { address: "registry.example.com/team" },
            platform: "linux/amd64",
        });
        return new Promise((resolve) => image.reference.apply(resolve));
    });
}

describe("an image", () => {
    it("is run by its digest, and shows its tag", async () => {
        const expected = new RegExp(
            `^registry\\.example\\.com/team/dabaweb/test/redis-master:[0-9a-f]{20}@${DIGEST}$`,
        );
        assert.match((await referenceOf(DIGEST, false)) ?? "", expected);
        assert.match((await referenceOf(DIGEST, true)) ?? "", expected, "one that is already built");
    });

    it("that is not built yet is named by its tag in a preview, so that the API server sees the whole pod", async () => {
        const reference = await referenceOf(undefined, true);
        assert.match(
            reference ?? "",
            /^registry\.example\.com\/team\/dabaweb\/test\/redis-master:[0-9a-f]{20}$/,
        );
    });
});

describe("the base of an image", () => {
    const dockerfile = "images/dabaweb/Dockerfile";
    const official = Object.fromEntries(officialBases(dockerfile));

    it("is the official one, by tag and digest, and only the Dockerfile says so", () => {
        assert.deepStrictEqual(baseArguments(dockerfile, {}), {});
        assert.match(baseOf(dockerfile), /^python:3\.\d+\.\d+-slim-trixie@sha256:[0-9a-f]{64}$/);
    });

    it("comes from a mirror by the same tag and digest", () => {
        const mirror = "mirror.example.com/hub/";
        assert.deepStrictEqual(baseArguments(dockerfile, { mirror }), {
            PYTHON_BUILD_IMAGE: `mirror.example.com/hub/${official.PYTHON_BUILD_IMAGE}`,
            PYTHON_IMAGE: `mirror.example.com/hub/${official.PYTHON_IMAGE}`,
        });
    });

    it("can be one of the stack's own, which is not requested from a mirror", () => {
        const sources = { mirror: "mirror.example.com", own: { python: "own:1", redis: "own:2" } };
        assert.deepStrictEqual(baseArguments(dockerfile, sources), {
            PYTHON_BUILD_IMAGE: `mirror.example.com/${official.PYTHON_BUILD_IMAGE}`,
            PYTHON_IMAGE: "own:1",
        });
        assert.strictEqual(baseOf(dockerfile, sources), "own:1");
    });
});

describe("a build that fetches npm packages", () => {
    it("takes them from npm's registry, unless there is a mirror or a proxy", () => {
        assert.deepStrictEqual(npmArguments({}), {});
        assert.deepStrictEqual(npmArguments({ mirror: "https://npm.example", proxy: "http://proxy:3128" }), {
            NPM_CONFIG_REGISTRY: "https://npm.example",
            HTTP_PROXY: "http://proxy:3128",
            HTTPS_PROXY: "http://proxy:3128",
        });
    });
});
