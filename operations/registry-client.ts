/**
 * A client of the OCI distribution API, limited to reading images and copying them byte for byte.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
 */
import { createHash } from "crypto";

import { ask, reasonOf } from "../components/network";
import { registryUrl } from "../components/registry";
import { MANIFEST_TYPES } from "./manifest-types";
import { Refusal } from "./refusal";
import { IDENTITY_TOKEN, Login } from "./registry-login";

/** A part of an image, as described in its manifest. */
export interface Descriptor {
    readonly digest: string;
    readonly size: number;
    /** In an index only. */
    readonly platform?: { readonly os: string; readonly architecture: string };
}

/** A manifest with the bytes that its digest is calculated from. */
export interface Manifest {
    readonly digest: string;
    readonly mediaType: string;
    readonly bytes: Buffer;
    /** The manifests of an index, one per platform; none for a single image. */
    readonly children: readonly Descriptor[];
    /** The configuration of a single image. */
    readonly config: Descriptor | undefined;
    /** Configuration and layers of a single image. */
    readonly blobs: readonly Descriptor[];
}

/** For an answer without a blob; blobs have no limit, unless no data arrives for five minutes. */
const ANSWER_MS = 30_000;

interface Question {
    readonly method: "GET" | "HEAD" | "POST" | "PUT";
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: Buffer | ReadableStream<Uint8Array>;
    /** Expected statuses; any other status is a refusal. */
    readonly expect: readonly number[];
    /** Whether the request or the answer carries a blob. */
    readonly blob?: boolean;
}

/** One repository of a registry, accessed with one login. */
export class Repository {
    /** host[:port] of the registry. */
    readonly host: string;
    private readonly path: string;
    private authorization: string | undefined;

    /**
     * @param name host[:port]/path, without tag and digest.
     * @param login undefined: none; access is anonymous.
     * @param access pull reads; push also writes.
     * @param neighbours names of repositories whose layers this one may take if they are in the same registry.
     * @param plainHttp whether the registry is reached over plain http although it is not on this machine.
     */
    constructor(
        readonly name: string,
        private readonly login: Login | undefined,
        private readonly access: "pull" | "push" = "pull",
        private readonly neighbours: readonly string[] = [],
        private readonly plainHttp = false,
    ) {
        [this.host, this.path] = split(name);
    }

    /**
     * A manifest by tag or digest.
     *
     * @returns undefined if it does not exist.
     * @throws Refusal if the content does not have the requested digest, or the registry refuses.
     */
    async manifest(reference: string): Promise<Manifest | undefined> {
        const response = await this.answer(`manifests/${reference}`, {
            method: "GET",
            headers: { accept: MANIFEST_TYPES },
            expect: [200, 404],
        });
        const bytes = Buffer.from(await response.arrayBuffer());
        if (response.status === 404) {
            return undefined;
        }
        const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
        if (reference.startsWith("sha256:") && digest !== reference) {
            throw new Refusal(
                `${this.name}@${reference} is damaged: its registry returns content with the digest ${digest}; build it again.`,
            );
        }
        const parsed = parseManifest(bytes);
        if (parsed === undefined) {
            throw new Refusal(
                `Registry ${this.host} returns other text instead of a manifest for ${reference} in ${this.path}; correct ` +
                    `registry.address.`,
            );
        }
        return {
            digest,
            mediaType: response.headers.get("content-type") ?? parsed.mediaType ?? "",
            bytes,
            children: parsed.manifests ?? [],
            config: parsed.config,
            blobs: [...(parsed.config === undefined ? [] : [parsed.config]), ...(parsed.layers ?? [])],
        };
    }

    /** Adds a manifest under a tag or its digest; everything that it references has to exist. */
    async putManifest(reference: string, { mediaType, bytes }: Manifest): Promise<void> {
        await this.answer(`manifests/${reference}`, {
            method: "PUT",
            headers: { "content-type": mediaType },
            body: bytes,
            expect: [201],
        });
    }

    /** Whether a blob exists and is complete. */
    async has({ digest, size }: Descriptor): Promise<boolean> {
        const { status, headers } = await this.answer(`blobs/${digest}`, {
            method: "HEAD",
            expect: [200, 404],
        });
        return status === 200 && Number(headers.get("content-length") ?? size) === size;
    }

    /** The content of a blob. */
    async blob({ digest }: Descriptor): Promise<Response> {
        return this.answer(`blobs/${digest}`, { method: "GET", expect: [200], blob: true });
    }

    /**
     * Adds a blob.
     *
     * @param source where it is read from, if it has to be sent.
     * @param neighbour repository of the same registry that has it; undefined: none is known.
     * @returns the bytes that were sent: 0 if it already existed, or the registry took it from the neighbour.
     */
    async putBlob(blob: Descriptor, source: Repository, neighbour?: string): Promise<number> {
        if (await this.has(blob)) {
            return 0;
        }
        const digest = encodeURIComponent(blob.digest);
        const mount =
            neighbour === undefined ? "" : `?mount=${digest}&from=${encodeURIComponent(split(neighbour)[1])}`;
        const session = await this.answer(`blobs/uploads/${mount}`, { method: "POST", expect: [201, 202] });
        if (session.status === 201) {
            return 0;
        }
        const upload = new URL(session.headers.get("location") ?? "", session.url);
        upload.search += `${upload.search === "" ? "?" : "&"}digest=${digest}`;
        const { body } = await source.blob(blob);
        await this.answer(upload, {
            method: "PUT",
            headers: { "content-type": "application/octet-stream", "content-length": String(blob.size) },
            body: body ?? Buffer.alloc(0),
            expect: [201],
            blob: true,
        });
        return blob.size;
    }

    private async answer(target: string | URL, question: Question): Promise<Response> {
        const url = new URL(target, `${registryUrl(this.name, this.plainHttp)}/v2/${this.path}/`);
        let response = await this.send(url, question);
        // A stream from the source cannot be sent twice; it is always sent right after a request that succeeded.
        if (response.status === 401 && !(question.body instanceof ReadableStream)) {
            await response.arrayBuffer();
            this.authorization = await this.authorize(response.headers.get("www-authenticate") ?? "");
            response = await this.send(url, question);
        }
        if (!question.expect.includes(response.status)) {
            throw await this.refusal(response, `${question.method} of ${url.pathname}`);
        }
        if (question.method !== "GET") {
            await response.arrayBuffer();
        }
        return response;
    }

    private async send(url: URL, { method, headers, body, blob }: Question): Promise<Response> {
        // The login is only for the registry, even if the registry redirects the upload elsewhere.
        const isOwn = url.origin === new URL(registryUrl(this.name, this.plainHttp)).origin;
        const authorization =
            isOwn && this.authorization !== undefined ? { authorization: this.authorization } : {};
        try {
            const question = {
                method,
                // The size has to be that of the stored content.
                headers: { "accept-encoding": "identity", ...headers, ...authorization },
                body,
                duplex: "half",
                signal: blob ? undefined : AbortSignal.timeout(ANSWER_MS),
            };
            return await ask(url, question as RequestInit, "docker");
        } catch (error) {
            throw new Refusal(
                `Registry ${url.host} does not answer (${this.scrubbed(reasonOf(error))}); start it, or correct ` +
                    `registry.address.`,
            );
        }
    }

    /** The Authorization header that a registry's challenge requires for every request. */
    private async authorize(challenge: string): Promise<string> {
        const parameters = Object.fromEntries(
            [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [
                name?.toLowerCase(),
                value,
            ]),
        );
        if (/\bbearer\b/i.test(challenge) && parameters.realm !== undefined) {
            return `Bearer ${await this.token(parameters.realm, parameters.service ?? "")}`;
        }
        if (this.login === undefined) {
            throw this.refusedLogin("");
        }
        return basic(this.login);
    }

    /** @see https://distribution.github.io/distribution/spec/auth/token/ */
    private async token(realm: string, service: string): Promise<string> {
        const scopes = [
            `repository:${this.path}:${this.access === "push" ? "pull,push" : "pull"}`,
            ...this.neighbours
                .map(split)
                .filter(([host, path]) => host === this.host && path !== this.path)
                .map(([, path]) => `repository:${path}:pull`),
        ];
        const url = new URL(realm);
        const form = new URLSearchParams({ service });
        let question: RequestInit;
        if (this.login?.username === IDENTITY_TOKEN) {
            form.set("grant_type", "refresh_token");
            form.set("refresh_token", this.login.password);
            form.set("client_id", "dabaweb-pulumi");
            form.set("scope", scopes.join(" "));
            question = { method: "POST", body: form };
        } else {
            scopes.forEach((scope) => form.append("scope", scope));
            form.forEach((value, name) => url.searchParams.append(name, value));
            question = this.login === undefined ? {} : { headers: { authorization: basic(this.login) } };
        }
        const signal = AbortSignal.timeout(ANSWER_MS);
        const response = await ask(url, { ...question, signal }, "docker").catch((error: unknown) => {
            throw new Refusal(
                `${url.origin}, the token server of registry ${this.host}, does not answer ` +
                    `(${reasonOf(error)}); start it, or try again.`,
            );
        });
        if (!response.ok) {
            throw await this.refusal(response, `a token from ${url.origin}`);
        }
        const answer = (await response.json().catch(() => ({}))) as { token?: string; access_token?: string };
        return answer.token ?? answer.access_token ?? "";
    }

    private async refusal(response: Response, what: string): Promise<Refusal> {
        const text = await response.text().catch(() => "");
        const said = this.scrubbed(registryErrors(text) || text.slice(0, 200)).trim();
        const answer = `HTTP ${response.status}${said && `, ${said}`}`;
        return [401, 403].includes(response.status)
            ? this.refusedLogin(` (${answer})`)
            : new Refusal(`Registry ${this.host} refuses ${what} (${answer}); see its log.`);
    }

    private refusedLogin(answer: string): Refusal {
        const what = this.access === "push" ? "push to" : "pull from";
        return new Refusal(
            this.login === undefined
                ? `Registry ${this.host} requires a login to ${what} ${this.path}${answer}, and there is none; set ` +
                      `registry.username and registry.password of the stack, or run \`docker login ${this.host}\`.`
                : `Registry ${this.host} does not let user ${this.login.username} (${this.login.origin}) ${what} ` +
                      `${this.path}${answer}; correct the login, or give that user the right.`,
        );
    }

    /** Text from a server, without the login that it may repeat. */
    private scrubbed(text: string): string {
        const secrets = [this.login?.password, this.login && basic(this.login).slice("Basic ".length)];
        return secrets.reduce<string>(
            (at, secret) => (secret ? at.replaceAll(secret, "[secret]") : at),
            text,
        );
    }
}

function split(name: string): [host: string, path: string] {
    const [host = "", ...path] = name.split("/");
    return [host, path.join("/")];
}

function basic({ username, password }: Login): string {
    return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

/** The errors that a registry reports, if it reports them in the format of the API. */
function registryErrors(text: string): string {
    try {
        const { errors } = JSON.parse(text) as { errors?: { code?: string; message?: string }[] };
        return (errors ?? []).map(({ code, message }) => `${code}: ${message}`).join("; ");
    } catch {
        return "";
    }
}

interface ManifestContent {
    readonly mediaType?: string;
    readonly manifests?: readonly Descriptor[];
    readonly config?: Descriptor;
    readonly layers?: readonly Descriptor[];
}

/** undefined if it is not a manifest: a web server also answers every request. */
function parseManifest(bytes: Buffer): ManifestContent | undefined {
    try {
        return JSON.parse(bytes.toString()) as ManifestContent;
    } catch {
        return undefined;
    }
}
