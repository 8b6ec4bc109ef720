import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { createServer, Server } from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";

import { images, tagged } from "../../local/pins";
import { docker, logs, Scope, waitFor } from "./docker";

/** A running registry, on loopback. */
export interface Registry {
    /** host:port. */
    readonly host: string;
    /** The login that it requires; undefined: none. */
    readonly login?: { readonly username: string; readonly password: string };
}

/** What a manifest says about one of its parts. */
export interface Part {
    readonly mediaType: string;
    readonly digest: string;
    readonly size: number;
}

/** Registries of one test file: each starts empty, in memory, and is removed by `close`. */
export class Registries {
    private readonly servers: Server[] = [];
    private readonly folders: string[] = [];

    constructor(readonly scope: Scope) {}

    /** A registry without a login. */
    async open(name: string): Promise<Registry> {
        const { host } = await this.start(name);
        return { host };
    }

    /**
     * A registry with a user and a password.
     *
     * @param network a network where others reach it by its container's name. It joins this network from the start, because
     * joining later would change its port on loopback. Default: none.
     */
    async locked(name: string, network?: string): Promise<Registry> {
        // If the file is missing, the registry creates one with a generated password and logs it.
        const { host, container } = await this.start(name, {
            network,
            env: {
                REGISTRY_AUTH: "htpasswd",
                REGISTRY_AUTH_HTPASSWD_REALM: "test",
                REGISTRY_AUTH_HTPASSWD_PATH: "/var/lib/registry/htpasswd",
            },
        });
        const password = await waitFor(`the password in the log of ${name}`, 30, async () => {
            // Only the first login creates the file.
            await fetch(`http://${host}/v2/`, { headers: { authorization: "Basic eDp5" } });
            return (
                /provisioning with default user.*password="?([\w-]+)/s.exec(await logs(container))?.[1] ??
                false
            );
        });
        return { host, login: { username: "docker", password } };
    }

    /** A registry that sends its users to a token server; the password also works as an identity token. */
    async withTokens(name: string): Promise<Registry> {
        const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
        const key = { ...publicKey.export({ format: "jwk" }), kid: "test", use: "sig", alg: "RS256" };
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "registry-"));
        this.folders.push(folder);
        const keys = path.join(folder, "keys.json");
        fs.writeFileSync(keys, JSON.stringify({ keys: [key] }));
        // The registry runs as another user.
        fs.chmodSync(folder, 0o755);

        const login = { username: "robot", password: randomBytes(12).toString("hex") };
        const basic = Buffer.from(`${login.username}:${login.password}`).toString("base64");
        const token = (scopes: readonly string[]): string => {
            const now = Math.floor(Date.now() / 1000);
            const access = scopes
                .map((scope) => scope.split(":"))
                .map(([type, path, actions]) => ({ type, name: path, actions: actions?.split(",") }));
            const claims = {
                iss: "test",
                aud: "test",
                sub: login.username,
                nbf: now - 60,
                exp: now + 300,
                access,
            };
            const text = [{ alg: "RS256", typ: "JWT", kid: "test" }, claims]
                .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
                .join(".");
            return `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}`;
        };
        const server = createServer((request, response) => {
            let body = "";
            request.on("data", (chunk: Buffer) => (body += chunk.toString()));
            request.on("end", () => {
                const form = new URLSearchParams(body);
                const scopes =
                    request.method === "POST"
                        ? (form.get("scope") ?? "").split(" ")
                        : new URL(request.url ?? "", "http://localhost").searchParams.getAll("scope");
                const isKnown =
                    form.get("refresh_token") === login.password ||
                    request.headers.authorization === `Basic ${basic}`;
                response.writeHead(isKnown ? 200 : 401, { "content-type": "application/json" });
                // The client must not print its credentials, even if the server repeats them.
                const refused = `{"errors":[{"code":"UNAUTHORIZED","message":"no ${body} ${request.headers.authorization}"}]}`;
                response.end(isKnown ? JSON.stringify({ token: token(scopes) }) : refused);
            });
        });
        const { host } = await this.start(name, {
            env: {
                REGISTRY_AUTH: "token",
                REGISTRY_AUTH_TOKEN_REALM: `http://${await this.serve(server)}/token`,
                REGISTRY_AUTH_TOKEN_SERVICE: "test",
                REGISTRY_AUTH_TOKEN_ISSUER: "test",
                REGISTRY_AUTH_TOKEN_JWKS: "/keys.json",
            },
            mounts: { [keys]: "/keys.json:ro" },
        });
        return { host, login };
    }

    /** Lets a server listen on loopback until `close`; returns its host:port. */
    async serve(server: Server): Promise<string> {
        this.servers.push(server);
        await once(server.listen(0, "127.0.0.1"), "listening");
        return `127.0.0.1:${(server.address() as AddressInfo).port}`;
    }

    async close(): Promise<void> {
        this.servers.forEach((server) => server.close());
        this.folders.forEach((folder) => fs.rmSync(folder, { recursive: true }));
        await this.scope.close();
    }

    private async start(
        name: string,
        options: { env?: Record<string, string>; mounts?: Record<string, string>; network?: string } = {},
    ): Promise<{ host: string; container: string }> {
        const container = await this.scope.run({
            image: tagged(images.registry),
            name,
            tmpfs: ["/var/lib/registry"],
            env: { REGISTRY_STORAGE_DELETE_ENABLED: "true", OTEL_TRACES_EXPORTER: "none", ...options.env },
            mounts: options.mounts,
            network: options.network,
            options: ["--publish", "127.0.0.1::5000"],
        });
        const host = (await docker(["port", container, "5000/tcp"])).split("\n")[0]!;
        await waitFor(`registry ${name} to answer`, 30, async () =>
            [200, 401].includes((await fetch(`http://${host}/v2/`)).status),
        );
        return { host, container };
    }
}

/** A layer with one file, as Docker unpacks it. */
export function layer(text: string = randomBytes(16).toString("hex")): { bytes: Buffer; diffId: string } {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "layer-"));
    try {
        fs.writeFileSync(path.join(folder, "content"), text);
        const tar = execFileSync("tar", ["-cf", "-", "-C", folder, "content"]);
        const bytes = execFileSync("gzip", ["-n"], { input: tar });
        return { bytes, diffId: digestOf(tar) };
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
}

/** Pushes an image of these layers to an open registry and returns its manifest as part of an index. */
export async function pushImage(
    repository: string,
    layers: readonly { bytes: Buffer; diffId: string }[] = [layer()],
    architecture = "amd64",
): Promise<Part> {
    const config = {
        os: "linux",
        architecture,
        config: { Cmd: ["/content"] },
        rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    };
    const manifest = {
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: await pushBlob(
            repository,
            Buffer.from(JSON.stringify(config)),
            "application/vnd.oci.image.config.v1+json",
        ),
        layers: await Promise.all(
            layers.map(({ bytes }) =>
                pushBlob(repository, bytes, "application/vnd.oci.image.layer.v1.tar+gzip"),
            ),
        ),
    };
    return pushManifest(repository, manifest);
}

/** Pushes a manifest with an unusual layout, so that a copy that is not byte for byte has another digest. */
export async function pushManifest(repository: string, manifest: { mediaType: string }): Promise<Part> {
    const bytes = Buffer.from(`${JSON.stringify(manifest, null, 3)}\n`);
    const digest = digestOf(bytes);
    await put(`${api(repository)}/manifests/${digest}`, bytes, manifest.mediaType);
    return { mediaType: manifest.mediaType, digest, size: bytes.length };
}

/** Asks an open registry to delete a part of a repository. */
export async function remove(repository: string, kind: "blobs" | "manifests", digest: string): Promise<void> {
    const { status } = await fetch(`${api(repository)}/${kind}/${digest}`, { method: "DELETE" });
    if (status !== 202) {
        throw new Error(`DELETE of ${kind} ${digest} in ${repository}: HTTP ${status}`);
    }
}

export function digestOf(bytes: Buffer): string {
    return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

async function pushBlob(repository: string, bytes: Buffer, mediaType: string): Promise<Part> {
    const session = await fetch(`${api(repository)}/blobs/uploads/`, { method: "POST" });
    const location = new URL(session.headers.get("location") ?? "");
    const digest = digestOf(bytes);
    location.searchParams.set("digest", digest);
    await put(location, bytes, "application/octet-stream");
    return { mediaType, digest, size: bytes.length };
}

async function put(url: string | URL, body: Buffer, type: string): Promise<void> {
    const response = await fetch(url, {
        method: "PUT",
        body: new Uint8Array(body),
        headers: { "content-type": type },
    });
    if (response.status !== 201) {
        throw new Error(`PUT ${url}: HTTP ${response.status} ${await response.text()}`);
    }
}

function api(repository: string): string {
    const [host, ...path] = repository.split("/");
    return `http://${host}/v2/${path.join("/")}`;
}
