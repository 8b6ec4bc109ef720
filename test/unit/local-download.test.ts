import * as assert from "assert";
import { createHash } from "crypto";
import * as fs from "fs";
import * as http from "http";
import * as net from "net";
import * as os from "os";
import * as path from "path";

import { tools } from "../../local/pins";
import { checksumIn, download, reachable, releaseOf } from "../../local/tools/download";

const hashOf = (data: string | Buffer): string => createHash("sha256").update(data).digest("hex");
const content = "a release";
const right = hashOf(content);
const large = Buffer.alloc(30_000_000, "x");
/** Longer than a busy machine may keep this process waiting. */
const limits = { answer: 8000, silence: 8000 };

describe("local: releases, from the test's own server", () => {
    let server: http.Server;
    let base: string;
    let target: string;
    let starts: number[];

    const answers: Record<string, (response: http.ServerResponse, range?: string) => void> = {
        "/tool.tar.gz": (response) => response.end(content),
        "/sums": (response) => response.end(`${right}  tool.tar.gz\n${"0".repeat(64)}  other.tar.gz\n`),
        "/wrong-sums": (response) => response.end(`${"0".repeat(64)}  tool.tar.gz\n`),
        "/empty-sums": (response) => response.end("nothing of the kind\n"),
        "/moved": (response) => response.writeHead(302, { location: "/tool.tar.gz" }).end(),
        "/in-circles": (response) => response.writeHead(302, { location: "/in-circles" }).end(),
        // Larger than a stream's buffer, from a server that marks the end by closing the connection.
        "/large": (response) => {
            response.shouldKeepAlive = false;
            response.removeHeader("transfer-encoding");
            response.end(large);
        },
        "/large-sums": (response) => response.end(`${hashOf(large)}  large\n`),
        "/silent": () => undefined,
        "/broken": (response) => {
            response.writeHead(200, { "content-length": "1000" });
            response.write("a rel");
            response.socket!.destroy();
        },
        // A third at a time.
        "/breaks-often": (response, range) => {
            const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
            starts.push(from);
            response.writeHead(from === 0 ? 200 : from < large.length ? 206 : 416, {
                "content-length": large.length - from,
            });
            response.write(large.subarray(from, from + large.length / 3), () => response.socket?.end());
        },
        "/stalls": (response) => {
            response.writeHead(200, { "content-length": "1000" });
            response.write("a rel");
        },
        "/moved-sums": (response) => response.end(`${right}  moved\n${right}  in-circles\n`),
        "/any-sums": (response) =>
            response.end(
                `${right}  broken\n${right}  stalls\n${right}  absent\n${hashOf(large)}  breaks-often\n`,
            ),
    };

    before(async () => {
        server = http.createServer((request, response) => {
            const answer = answers[request.url!];
            if (answer === undefined) {
                response.writeHead(404).end();
            } else {
                answer(response, request.headers.range);
            }
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        base = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`;
    });

    after(() => {
        server.closeAllConnections();
        server.close();
    });

    beforeEach(() => {
        starts = [];
        target = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "download-test-")), "tool.tar.gz");
    });

    afterEach(() => fs.rmSync(path.dirname(target), { recursive: true }));

    const nothingStays = (): void => assert.deepStrictEqual(fs.readdirSync(path.dirname(target)), []);

    const nothingElseStays = (): void =>
        assert.deepStrictEqual(fs.readdirSync(path.dirname(target)), [path.basename(target)]);

    it("stores a file whose checksum is the published one", async () => {
        await download(`${base}/tool.tar.gz`, `${base}/sums`, target, limits);
        assert.strictEqual(fs.readFileSync(target, "utf8"), content);
    });

    it("stores a large file whole", async () => {
        await download(`${base}/large`, `${base}/large-sums`, target, limits);
        assert.strictEqual(fs.statSync(target).size, large.length);
    });

    it("follows redirects, but not in circles", async () => {
        await download(`${base}/moved`, `${base}/moved-sums`, target, limits);
        assert.strictEqual(fs.readFileSync(target, "utf8"), content);
        const endless = download(`${base}/in-circles`, `${base}/moved-sums`, target, limits);
        await assert.rejects(endless, /in-circles answers 302/);
    });

    it("deletes a file with a different checksum, and names both checksums", async () => {
        await assert.rejects(
            download(`${base}/tool.tar.gz`, `${base}/wrong-sums`, target, limits),
            (error: Error) => {
                assert.match(error.message, new RegExp(`has SHA-256 ${right}, but .*/wrong-sums says 0{64}`));
                return true;
            },
        );
        nothingStays();
    });

    it("refuses a file that is not in the published list", async () => {
        const refused = download(`${base}/tool.tar.gz`, `${base}/empty-sums`, target, limits);
        await assert.rejects(refused, /has no SHA-256 checksum for .*; nothing was installed/);
        nothingStays();
    });

    it("resumes a download that broke off, as long as each attempt makes progress", async () => {
        await download(`${base}/breaks-often`, `${base}/any-sums`, target, limits);
        assert.ok(fs.readFileSync(target).equals(large));
        assert.ok(
            starts.length >= 3 && starts.every((start, index) => index === 0 || start > starts[index - 1]!),
        );
        nothingElseStays();
    });

    it("resumes where an earlier run stopped, even at the last byte", async () => {
        const partial = `${target}.${hashOf(large).slice(0, 12)}.partial`;
        for (const came of [20_000_000, large.length]) {
            starts = [];
            fs.writeFileSync(partial, large.subarray(0, came));
            await download(`${base}/breaks-often`, `${base}/any-sums`, target, limits);
            assert.ok(fs.readFileSync(target).equals(large));
            assert.strictEqual(starts[0], came);
            nothingElseStays();
        }
    });

    for (const [file, why] of [
        ["broken", /interrupted: [^.]+\. Run the same command again; it resumes where it stopped\./],
        ["stalls", /interrupted: no data for 0\.5 s\. Run the same command again/],
    ] as const) {
        it(`does not accept /${file} as complete`, async () => {
            const silence = file === "stalls" ? 500 : limits.silence;
            const refused = download(`${base}/${file}`, `${base}/any-sums`, target, { ...limits, silence });
            await assert.rejects(refused, why);
            assert.ok(!fs.existsSync(target));
        });
    }

    it("reports the answer of a server that has no such file", async () => {
        const refused = download(`${base}/absent`, `${base}/any-sums`, target, limits);
        await assert.rejects(refused, /\/absent answers 404/);
    });

    it("counts a server as reachable only if it returns the file in time", async () => {
        assert.strictEqual(await reachable(`${base}/sums`, limits.answer), true);
        assert.strictEqual(await reachable(`${base}/nothing`, limits.answer), false);
        assert.strictEqual(await reachable("http://127.0.0.1:9/sums", limits.answer), false);
        // Without the limit, this would take forever.
        assert.strictEqual(await reachable(`${base}/silent`, 300), false);
    });

    it("uses a mirror instead of the official server", () => {
        const env = { DABAWEB_KIND_RELEASES: `${base}/` };
        assert.deepStrictEqual(releaseOf(tools.kind, { os: "linux", arch: "arm64" }, env), {
            file: `${base}/v0.30.0/kind-linux-arm64`,
            checksums: `${base}/v0.30.0/kind-linux-arm64.sha256sum`,
        });
    });
});

describe("local: published checksums", () => {
    it("reads lists as sha256sum writes them, and files that contain only the sum", () => {
        assert.strictEqual(checksumIn(`${right}  tool\n`, "tool"), right);
        assert.strictEqual(checksumIn(`${right} *./dist/tool\n`, "tool"), right);
        assert.strictEqual(checksumIn(`${right.toUpperCase()}\n`, "tool"), right);
        assert.strictEqual(checksumIn(`${right}  tool.asc\n`, "tool"), undefined);
        assert.strictEqual(checksumIn(`${right}\n${right}\n`, "tool"), undefined);
        assert.strictEqual(checksumIn("", "tool"), undefined);
    });
});
