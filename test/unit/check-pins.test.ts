import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";

import { mirroredBases } from "../../components/image";
import { allPins, checkPins } from "../../local/check-pins";
import { images } from "../../local/pins";

const ROOT = path.resolve(__dirname, "../..");

/** What a registry says of an image for several platforms. */
const index = (...architectures: string[]): string =>
    JSON.stringify({
        manifests: architectures.map((architecture) => ({
            digest: "sha256:0",
            size: 1,
            platform: { os: "linux", architecture },
        })),
    });

describe("the pins", () => {
    let server: http.Server;
    let env: NodeJS.ProcessEnv;
    let asked: string[];
    let gone: RegExp;
    let architectures: string[];

    before((done) => {
        server = http.createServer(({ url = "" }, answer) => {
            asked.push(url);
            if (gone.test(url)) {
                answer.writeHead(404).end("{}");
            } else {
                answer.end(url.startsWith("/v2/") ? index(...architectures) : "");
            }
        });
        server.listen(0, "127.0.0.1", done);
    });
    after((done) => void server.close(done));

    beforeEach(() => {
        const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
        const mirrors = ["DABAWEB_PULUMI_RELEASES", "DABAWEB_KIND_RELEASES", "DABAWEB_KUBECTL_RELEASES"];
        env = {
            ...Object.fromEntries(
                [...mirrors, "DABAWEB_PLUGIN_RELEASES", "DABAWEB_NODE_RELEASES"].map((name) => [
                    name,
                    `http://${address}`,
                ]),
            ),
            DABAWEB_IMAGES: address,
        };
        asked = [];
        gone = /^$/;
        architectures = ["amd64", "arm64", "s390x"];
    });

    // The node's digest is that of the official image, which no other content has.
    const pins = () => allPins(env).filter(({ name }) => name !== images.node);

    async function said(): Promise<string[]> {
        const lines: string[] = [];
        const count = await checkPins(pins(), (line) => lines.push(line));
        assert.equal(lines.length, count + 1);
        return lines;
    }

    it("are all asked for, on Linux and macOS, for both processors", async () => {
        assert.deepEqual(await said(), [
            `${pins().length} of ${pins().length} pinned files and images are there`,
        ]);
        for (const part of ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"]) {
            assert.ok(
                asked.some((url) => url.includes("pulumi-v") && url.includes(part)),
                part,
            );
            assert.ok(
                asked.some((url) => url.includes("node-v") && url.includes(part)),
                part,
            );
        }
        for (const { image } of images.bases) {
            assert.ok(asked.includes(`/v2/library/${image.replace(":", "/manifests/")}`), image);
        }
        assert.equal(new Set(asked).size, asked.length);
    });

    it("name what is gone, and what to change", async () => {
        gone = /kubectl$|library\/mysql/;
        const lines = await said();
        assert.equal(lines.length, 4 + 1 + 1);
        assert.match(
            lines[0]!,
            /^MISSING kubectl .*: its server answers 404; pin another in local\/pins\.ts/,
        );
        assert.match(lines.at(-2)!, /^MISSING mysql:.*: .* has no such image; pin another/);
    });

    it("name an image that is there for one processor alone", async () => {
        architectures = ["amd64"];
        const lines = await said();
        assert.equal(lines.length, images.bases.length + 1 + 1);
        assert.ok(lines.slice(0, -1).every((line) => line.includes(": it is not there for linux/arm64; ")));
    });

    it("are missing where nobody answers, too", async () => {
        const closed = http.createServer().listen(0, "127.0.0.1");
        await new Promise((resolve) => closed.once("listening", resolve));
        env.DABAWEB_KIND_RELEASES = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`;
        await new Promise((resolve) => closed.close(resolve));
        const lines = await said();
        assert.ok(lines.length > 4);
        assert.match(lines[0]!, /^MISSING kind .*: its server does not answer \(ECONNREFUSED\); /);
    });

    it("are the same in local/pins.ts and in the Dockerfiles", () => {
        const folder = path.join(ROOT, "images");
        const files = fs.readdirSync(folder).map((name) => path.join(folder, name, "Dockerfile"));
        const there = files.filter((file) => fs.existsSync(file));
        const named = there.flatMap((file) => Object.values(mirroredBases(file, "hub")));
        assert.deepEqual([...new Set(named)].sort(), images.bases.map(({ image }) => `hub/${image}`).sort());
    });
});
