import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";

import { officialBases } from "../../components/bases";
import { allPins, checkPins, pinnedImages } from "../../local/pin-upkeep/check";
import { movePins, moves, pinFiles } from "../../local/pin-upkeep/move";
import { images, tagged } from "../../local/pins";
import { digestOf } from "../support/registries";

/** What a registry returns for an image for several platforms. */
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

    /** The digest of what this server has. */
    const digest = () => digestOf(Buffer.from(index(...architectures)));
    const pins = () =>
        allPins(
            env,
            pinnedImages.map((image) => `${tagged(image)}@${digest()}`),
        );

    async function said(): Promise<string[]> {
        const lines: string[] = [];
        const count = await checkPins(pins(), (line) => lines.push(line));
        assert.equal(lines.length, count + 1);
        return lines;
    }

    it("are all requested, for Linux and macOS and for both processors", async () => {
        assert.deepEqual(await said(), [
            `${pins().length} of ${pins().length} pinned files and images exist`,
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
        for (const image of pinnedImages) {
            const [name = ""] = image.split(":");
            const repository = name.includes("/") ? name : `library/${name}`;
            assert.ok(asked.includes(`/v2/${repository}/manifests/${digest()}`), image);
        }
    });

    it("report what is gone, and what to change", async () => {
        gone = /kubectl$|library\/mysql/;
        const lines = await said();
        assert.equal(lines.length, 4 + 1 + 1);
        assert.match(
            lines[0]!,
            /^MISSING kubectl .*: its server answers 404; pin another in local\/pins\.ts/,
        );
        assert.match(lines.at(-2)!, /^MISSING mysql:.*: its registry has no such image; pin another/);
    });

    it("report an image that exists for only one processor", async () => {
        architectures = ["amd64"];
        const lines = await said();
        assert.equal(lines.length, pinnedImages.length + 1);
        assert.ok(lines.slice(0, -1).every((line) => line.includes(": it does not exist for linux/arm64; ")));
    });

    it("are also missing if no server answers", async () => {
        const closed = http.createServer().listen(0, "127.0.0.1");
        await new Promise((resolve) => closed.once("listening", resolve));
        env.DABAWEB_KIND_RELEASES = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`;
        await new Promise((resolve) => closed.close(resolve));
        const lines = await said();
        assert.ok(lines.length > 4);
        assert.match(lines[0]!, /^MISSING kind .*: its server does not answer \(ECONNREFUSED\); /);
    });

    it("list each image of the Dockerfiles once, by tag and digest", () => {
        const named = pinFiles()
            .filter((file) => file.endsWith("Dockerfile"))
            .flatMap((file) => [...officialBases(file).values()]);
        assert.deepEqual(
            [...new Set(named)].sort(),
            [...images.bases, ...images.exampleBases].map(({ image }) => image).sort(),
        );
        for (const image of pinnedImages) {
            assert.match(image, /^[^:@]+:[^:@]+@sha256:[0-9a-f]{64}$/);
        }
    });
});

describe("moving pins", () => {
    const pinned = [`python:3.13.1-slim@sha256:${"1".repeat(64)}`, `python:3.13.1@sha256:${"2".repeat(64)}`];
    let folder: string;
    let files: string[];

    beforeEach(() => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "pins-"));
        files = ["one", "two"].map((name) => path.join(folder, name));
        fs.writeFileSync(files[0]!, `ARG A=${pinned[0]}\nARG B=${pinned[1]}\n`);
        fs.writeFileSync(files[1]!, `"${pinned[1]}",\n`);
    });
    afterEach(() => fs.rmSync(folder, { recursive: true }));

    const texts = () => files.map((file) => fs.readFileSync(file, "utf8"));

    it("takes the digests that the pinned tags have now", async () => {
        const lines = await movePins(moves([], pinned), async (image) => `sha256:of-${image}`, files);
        assert.deepEqual(texts(), [
            "ARG A=python:3.13.1-slim@sha256:of-python:3.13.1-slim\nARG B=python:3.13.1@sha256:of-python:3.13.1\n",
            '"python:3.13.1@sha256:of-python:3.13.1",\n',
        ]);
        assert.equal(lines.length, 2);
    });

    it("puts another version in place of the same variant", async () => {
        await movePins(moves(["python:3.14-slim"], pinned), async () => "sha256:new", files);
        assert.equal(texts()[0], `ARG A=python:3.14-slim@sha256:new\nARG B=${pinned[1]}\n`);
    });

    it("changes no file if a registry does not have one of the images", async () => {
        const before = texts();
        const half = async (image: string): Promise<string> => {
            if (image.endsWith("slim")) {
                return "sha256:new";
            }
            throw new Error("gone");
        };
        await assert.rejects(movePins(moves([], pinned), half, files), /gone/);
        assert.deepEqual(texts(), before);
    });

    for (const image of ["ruby:3.1", "python:3.14-alpine", pinned[0]!]) {
        it(`refuses ${image}`, () => {
            assert.throws(
                () => moves([image], pinned),
                /does not name a version of a pinned image by its tag; the pinned images are python:3\.13\.1-slim, python:3\.13\.1\.$/,
            );
        });
    }
});
