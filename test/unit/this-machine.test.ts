import assert from "assert";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";
import { parse } from "yaml";

import { besideProxy } from "../../local/cluster/cluster";
import { forThisMachine } from "../../local/stacks/this-machine";
import { ownBases, rememberBase } from "../../local/state/bases";

const FILE = "# Ours.\nconfig:\n    dabaweb:namespace: { name: a, create: true }\n";
const STAND_INS = { redis: "dabaweb/base-redis:0123" };

const config = (text: string): Record<string, unknown> =>
    (parse(text) as { config: Record<string, unknown> }).config;

describe("the copy of a stack file", () => {
    it("is the committed one if images come from Docker Hub and there is no proxy", () => {
        assert.strictEqual(forThisMachine(FILE, "dabaweb", {}, {}), FILE);
    });

    it("names the stand-ins for official images on this machine, and the proxy", () => {
        const text = forThisMachine(FILE, "dabaweb", STAND_INS, { https_proxy: "http://proxy:3128" });
        assert.deepStrictEqual(config(text), {
            "dabaweb:namespace": { name: "a", create: true },
            "dabaweb:bases": STAND_INS,
            "dabaweb:mirror": { proxy: "http://proxy:3128" },
        });
        assert.match(text, /^# Ours\.$/m);
    });

    it("names the examples' bases for an example only, since the product has no such keys", () => {
        const here = { ...STAND_INS, node: "dabaweb/base-node:0" };
        assert.deepStrictEqual(config(forThisMachine(FILE, "dabaweb", here, {}))["dabaweb:bases"], STAND_INS);
        const example = FILE.replaceAll("dabaweb", "key-value");
        assert.deepStrictEqual(
            config(forThisMachine(example, "key-value", here, {}))["key-value:bases"],
            here,
        );
    });

    for (const [proxy, taken] of [
        ["proxy.corp:3128", "http://proxy.corp:3128"],
        ["http://10.0.0.1:3128", "http://10.0.0.1:3128"],
        // It would be in the state as plain text.
        ["http://me:hush@proxy:3128", undefined],
        // It would be that of the container that builds.
        ["http://127.0.0.1:3128", undefined],
        ["localhost:3128", undefined],
        ["socks5://proxy:1080", undefined],
    ]) {
        it(`${taken === undefined ? "leaves out" : "has"} the proxy ${proxy}`, () => {
            const text = forThisMachine(FILE, "dabaweb", {}, { HTTPS_PROXY: proxy });
            assert.deepStrictEqual(config(text)["dabaweb:mirror"], taken && { proxy: taken });
        });
    }

    it("keeps what the committed one says, base by base", () => {
        const own = FILE + "    dabaweb:bases: { redis: ours }\n    dabaweb:mirror: { proxy: http://q }\n";
        const here = { ...STAND_INS, mysql: "dabaweb/base-mysql:0" };
        const text = forThisMachine(own, "dabaweb", here, { HTTP_PROXY: "http://r" });
        assert.deepStrictEqual(config(text)["dabaweb:bases"], {
            redis: "ours",
            mysql: "dabaweb/base-mysql:0",
        });
        assert.deepStrictEqual(config(text)["dabaweb:mirror"], { proxy: "http://q" });
    });

    for (const mirror of ["pip", "npm"]) {
        it(`has no proxy next to a mirror in ${mirror}, which is reached directly`, () => {
            const own = `${FILE}    dabaweb:mirror: { ${mirror}: https://p }\n`;
            assert.strictEqual(forThisMachine(own, "dabaweb", {}, { HTTP_PROXY: "http://r" }), own);
        });
    }

    it("has no stand-ins if the committed one names a mirror", () => {
        const mirrored = FILE + "    dabaweb:mirror: { images: mirror.example.com }\n";
        assert.strictEqual(forThisMachine(mirrored, "dabaweb", STAND_INS, {}), mirrored);
    });

    for (const broken of [
        "config: [\n",
        "",
        "config: 1\n",
        "config:\n    dabaweb:mirror: x\n",
        "config:\n    dabaweb:bases: []\n",
    ]) {
        it(`of ${JSON.stringify(broken)} is unchanged, so that the program complains`, () => {
            assert.strictEqual(forThisMachine(broken, "dabaweb", STAND_INS, {}), broken);
        });
    }
});

describe("the base that an image is built on here", () => {
    it("is remembered until the official image is available", () => {
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bases-"));
        try {
            const [bases, exampleBases] = ["bases.json", "example-bases.json"].map((each) =>
                path.join(folder, "state", each),
            );
            const files = { bases: bases!, exampleBases: exampleBases! };
            assert.deepStrictEqual(ownBases(files), {});
            rememberBase("redis", "one", files);
            rememberBase("mysql", "two", files);
            rememberBase("node", "three", files);
            rememberBase("redis", undefined, files);
            assert.deepStrictEqual(ownBases(files), { mysql: "two", node: "three" });
            // Older checkouts write all of it to the product's stack files.
            assert.deepStrictEqual(JSON.parse(fs.readFileSync(files.bases, "utf8")), { mysql: "two" });
        } finally {
            fs.rmSync(folder, { recursive: true });
        }
    });
});

describe("behind a proxy", () => {
    it("the cluster's nodes reach the registry directly, and whatever the user reaches directly", () => {
        for (const env of [{ NO_PROXY: "corp" }, { no_proxy: "corp" }]) {
            assert.deepStrictEqual(besideProxy("registry", env), {
                NO_PROXY: "corp,registry",
                no_proxy: "corp,registry",
            });
        }
        assert.strictEqual(besideProxy("registry", {}).NO_PROXY, "registry");
    });
});
