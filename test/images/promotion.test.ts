import { deepStrictEqual, doesNotMatch, match, ok, rejects, strictEqual } from "node:assert";
import * as fs from "node:fs";
import { createServer } from "node:http";
import * as os from "node:os";
import * as path from "node:path";

import { copyImage, isPullable, manifestsOf, platformsOf } from "../../operations/image-copy";
import { Refusal } from "../../operations/refusal";
import { Repository } from "../../operations/registry-client";
import { IDENTITY_TOKEN, Login } from "../../operations/registry-login";
import { docker, Scope } from "../support/docker";
import {
    digestOf,
    layer,
    Part,
    pushImage,
    pushManifest,
    Registries,
    Registry,
    remove,
} from "../support/registries";

const registries = new Registries(new Scope("promotion-test"));

function login(registry: Registry): Login | undefined {
    return registry.login && { ...registry.login, origin: "of this test" };
}

/** Copies as `make promote` does, each time with new clients. */
async function copy(from: string, to: string, digest: string, as?: Login, known = new Map<string, string>()) {
    const source = new Repository(from, undefined);
    const target = new Repository(to, as, "push", [from, to, ...known.values()]);
    const manifests = await manifestsOf(source, digest);
    ok(manifests, `${from}@${digest} does not exist`);
    return copyImage(source, target, manifests, "promoted-test", known);
}

async function messageOf(work: Promise<unknown>): Promise<string> {
    let message = "";
    await rejects(work, (error: Error) => {
        ok(error instanceof Refusal, error.stack);
        message = error.message;
        return true;
    });
    return message;
}

describe("images promoted between real registries", () => {
    let open: Registry;
    let other: Registry;
    let locked: Registry;
    let tokens: Registry;
    before(async () => {
        [open, other, locked, tokens] = await Promise.all([
            registries.open("open"),
            registries.open("other"),
            registries.locked("locked"),
            registries.withTokens("tokens"),
        ]);
    });
    after(() => registries.close());

    it("keep their digest, by which Docker can pull them with the target's login", async () => {
        const image = await pushImage(`${open.host}/pulled`);
        const target = `${locked.host}/team/pulled`;
        await copy(`${open.host}/pulled`, target, image.digest, login(locked));
        const reference = `${target}@${image.digest}`;
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "docker-config-"));
        try {
            const { username, password } = locked.login!;
            const auth = Buffer.from(`${username}:${password}`).toString("base64");
            fs.writeFileSync(
                path.join(folder, "config.json"),
                JSON.stringify({ auths: { [locked.host]: { auth } } }),
            );
            await docker(["--config", folder, "pull", reference]);
            const digests = await docker([
                "image",
                "inspect",
                "--format",
                "{{json .RepoDigests}}",
                reference,
            ]);
            deepStrictEqual(JSON.parse(digests), [reference]);
            await docker(["image", "rm", reference]);
        } finally {
            fs.rmSync(folder, { recursive: true });
        }
    });

    it("are copied within one registry without being sent", async () => {
        const image = await pushImage(`${open.host}/near`);
        const { bytes, sent } = await copy(`${open.host}/near`, `${open.host}/near-copy`, image.digest);
        ok(bytes > 0);
        strictEqual(sent, 0);
        ok(await isPullable(new Repository(`${open.host}/near-copy`, undefined), image.digest));
    });

    it("send a layer that two of them share only once", async () => {
        const shared = layer();
        const known = new Map<string, string>();
        const first = await pushImage(`${open.host}/first`, [shared, layer()]);
        const second = await pushImage(`${open.host}/second`, [shared, layer()]);
        const one = await copy(`${open.host}/first`, `${other.host}/first`, first.digest, undefined, known);
        const two = await copy(
            `${open.host}/second`,
            `${other.host}/second`,
            second.digest,
            undefined,
            known,
        );
        strictEqual(one.sent, one.bytes);
        strictEqual(two.sent, two.bytes - shared.bytes.length);
        ok(await isPullable(new Repository(`${other.host}/second`, undefined), second.digest));
    });

    it("include all platforms of an index, and its attestations", async () => {
        const repository = `${open.host}/index`;
        const amd64 = await pushImage(repository, [layer()], "amd64");
        const arm64 = await pushImage(repository, [layer()], "arm64");
        const attestation = await pushImage(repository, [layer()], "unknown");
        const index = await pushManifest(repository, indexOf({ amd64, arm64, unknown: attestation }));
        await copy(repository, `${locked.host}/index`, index.digest, login(locked));
        const target = new Repository(`${locked.host}/index`, login(locked));
        const manifests = await manifestsOf(target, index.digest);
        deepStrictEqual(
            manifests?.map(({ digest }) => digest),
            [amd64, arm64, attestation, index].map(({ digest }) => digest),
        );
        deepStrictEqual(await platformsOf(target, manifests), ["linux/amd64", "linux/arm64"]);
        ok(await isPullable(target, index.digest));
    });

    it("count as pullable only when they are complete", async () => {
        const repository = `${open.host}/parts`;
        const content = layer();
        const whole = await pushImage(repository, [content]);
        const index = await pushManifest(repository, indexOf({ amd64: whole }));
        const client = new Repository(repository, undefined);
        ok(await isPullable(client, index.digest));
        strictEqual(await isPullable(client, digestOf(Buffer.from("nothing"))), false);
        await remove(repository, "blobs", digestOf(content.bytes));
        strictEqual(await isPullable(client, index.digest), false, "without its layer");
        await remove(repository, "manifests", whole.digest);
        strictEqual(await isPullable(client, index.digest), false, "without its image");
        strictEqual(await manifestsOf(client, index.digest), undefined);
    });

    it("can be pushed to a registry with a token server, with a password or an identity token", async () => {
        const shared = layer();
        const image = await pushImage(`${open.host}/token`, [shared]);
        const { username, password } = tokens.login!;
        const known = new Map<string, string>();
        for (const as of [username, IDENTITY_TOKEN]) {
            const target = `${tokens.host}/team/${as === username ? "password" : "identity"}`;
            const robot = { username: as, password, origin: "of this test" };
            const { sent } = await copy(`${open.host}/token`, target, image.digest, robot, known);
            // The second copy is mounted from the first repository: the token must be valid for that one, too.
            strictEqual(sent > 0, as === username);
            ok(await isPullable(new Repository(target, robot), image.digest));
        }
    });

    it("are refused with a wrong login; the message names the user but not the password", async () => {
        const image = await pushImage(`${open.host}/refused`);
        const wrong = { username: "mallory", password: "hush-hush", origin: "of this test" };
        const encoded = Buffer.from("mallory:hush-hush").toString("base64");
        for (const { host } of [locked, tokens]) {
            const message = await messageOf(
                copy(`${open.host}/refused`, `${host}/refused`, image.digest, wrong),
            );
            match(message, /does not let user mallory \(of this test\) push to refused \(HTTP 401/);
            ok(!message.includes("hush-hush") && !message.includes(encoded), message);
        }
        const identity = { username: IDENTITY_TOKEN, password: "hush-hush", origin: "of this test" };
        const message = await messageOf(
            copy(`${open.host}/refused`, `${tokens.host}/x`, image.digest, identity),
        );
        match(message, /does not let user <token>/);
        doesNotMatch(message, /hush-hush/);
    });

    it("are refused without a login; the message says how to set one", async () => {
        const image = await pushImage(`${open.host}/nobody`);
        for (const { host } of [locked, tokens]) {
            const message = await messageOf(copy(`${open.host}/nobody`, `${host}/nobody`, image.digest));
            match(message, /requires a login to push to nobody/);
            match(
                message,
                /set registry\.username and registry\.password of the stack, or run `docker login/,
            );
        }
    });

    it("are refused from a registry whose content does not match the digest", async () => {
        const content = Buffer.from("the right content");
        const config = Buffer.from("{}");
        const part = (bytes: Buffer) => ({ mediaType: "x/y", digest: digestOf(bytes), size: bytes.length });
        const manifest = Buffer.from(JSON.stringify({ config: part(config), layers: [part(content)] }));
        const answers: Record<string, Buffer> = {
            [digestOf(manifest)]: manifest,
            [digestOf(config)]: config,
            // Same length as the right content.
            [digestOf(content)]: Buffer.from("the wrong content"),
            [digestOf(Buffer.from("promised"))]: Buffer.from("{}"),
        };
        const damaged = await registries.serve(
            createServer((request, response) => {
                const type = "application/vnd.oci.image.manifest.v1+json";
                response.setHeader("content-type", type).end(answers[request.url?.split("/").at(-1) ?? ""]);
            }),
        );
        match(
            await messageOf(copy(`${damaged}/a`, `${open.host}/damaged`, digestOf(Buffer.from("promised")))),
            /is damaged: its registry returns content with the digest sha256:/,
        );
        match(
            await messageOf(copy(`${damaged}/a`, `${open.host}/damaged`, digestOf(manifest))),
            /refuses PUT of .*DIGEST_INVALID/,
        );
        strictEqual(
            await new Repository(`${open.host}/damaged`, undefined).manifest("promoted-test"),
            undefined,
        );
    });
});

function indexOf(images: Readonly<Record<string, Part>>) {
    return {
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.index.v1+json",
        manifests: Object.entries(images).map(([architecture, part]) => ({
            ...part,
            platform: { os: architecture === "unknown" ? "unknown" : "linux", architecture },
        })),
    };
}
