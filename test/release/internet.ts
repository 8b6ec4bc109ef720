import { execFileSync } from "child_process";
import { once } from "events";
import * as fs from "fs";
import * as http from "http";
import * as https from "https";
import * as net from "net";
import * as path from "path";
import { pipeline } from "stream/promises";

/** Servers that redirect to other servers, as the real ones do. */
export const SENT_ON: Readonly<Record<string, string>> = {
    "github.com": "release-assets.githubusercontent.com",
    "dl.k8s.io": "cdn.dl.k8s.io",
};
const HUB = "registry-1.docker.io";
const HUB_LOGIN = "auth.docker.io";
export const HOSTS: readonly string[] = [
    ...["nodejs.org", "get.pulumi.com"],
    ...Object.entries(SENT_ON).flat(),
    ...[HUB, HUB_LOGIN],
];

/** The token of an anonymous user of Docker Hub. */
const TOKEN = "anonymous";

/** What is temporarily wrong with the internet. */
export interface Trouble {
    /** Servers that close each connection without an answer. */
    readonly away?: readonly string[];
    /** Suffixes of the names of files that are served with one byte changed. */
    readonly spoiled?: readonly string[];
    /** Suffixes of the names of files whose first download breaks off half-way. */
    readonly broken?: readonly string[];
    /** Docker Hub's answer instead of a manifest. */
    readonly hub?: "too many requests" | "login wanted";
}

/** One request that a server received. */
export interface Asked {
    readonly host: string;
    readonly path: string;
    readonly status: number;
    /** The offset at which the answer began; greater than 0 for a resumed download. */
    readonly from: number;
}

/**
 * Release servers and Docker Hub on one address of this machine, under their real names and with their own certificate: a
 * client that resolves the names to this address and trusts the certificate sees no difference from the internet.
 */
export class Internet {
    readonly asked: Asked[] = [];
    trouble: Trouble = {};
    private readonly sockets = new Set<net.Socket>();
    private readonly servers: net.Server[] = [];
    private readonly brokenOnce = new Set<string>();

    /**
     * @param address address to listen on, port 443
     * @param files folder with one folder per server, with the same layout as on that server
     * @param hub host:port of a registry that has Docker Hub's images
     */
    constructor(
        readonly address: string,
        private readonly files: string,
        private readonly hub: string,
    ) {}

    /** The self-signed certificate. */
    get certificate(): string {
        return path.join(this.files, "internet.crt");
    }

    async open(): Promise<void> {
        const key = path.join(this.files, "internet.key");
        const names = HOSTS.map((host) => `DNS:${host}`).join(",");
        const subject = ["-subj", "/CN=internet", "-addext", `subjectAltName=${names}`, "-days", "2"];
        const out = ["-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", this.certificate];
        execFileSync("openssl", ["req", "-x509", ...out, ...subject], { stdio: "pipe" });
        const tls = { key: fs.readFileSync(key), cert: fs.readFileSync(this.certificate) };
        const server = https.createServer(tls, (request, response) => {
            this.answer(request, response).catch(() => response.destroy());
        });
        server.on("connection", (socket: net.Socket) => this.remember(socket));
        await this.listen(server, 443);
    }

    /**
     * Opens an HTTP proxy on the same address that connects to these servers and, at their own addresses, to all others.
     *
     * @returns its URL
     */
    async openProxy(): Promise<string> {
        const proxy = http.createServer((request, response) => {
            // Absolute URLs: plain http.
            const target = http.request(request.url ?? "", {
                method: request.method,
                headers: request.headers,
            });
            target.on("response", (answer) => {
                response.writeHead(answer.statusCode ?? 502, answer.headers);
                answer.pipe(response);
            });
            target.on("error", () => response.writeHead(502).end());
            request.pipe(target);
        });
        proxy.on("connect", (request: http.IncomingMessage, client: net.Socket, head: Buffer) => {
            const [host = "", port] = (request.url ?? "").split(":");
            const server = net.connect(Number(port), HOSTS.includes(host) ? this.address : host, () => {
                client.write("HTTP/1.1 200 Connection established\r\n\r\n");
                server.write(head);
                client.pipe(server).pipe(client);
            });
            this.remember(server);
            server.on("error", () => client.destroy());
            client.on("error", () => server.destroy());
        });
        proxy.on("connection", (socket: net.Socket) => this.remember(socket));
        return `http://${this.address}:${await this.listen(proxy, 0)}`;
    }

    async close(): Promise<void> {
        this.sockets.forEach((socket) => socket.destroy());
        await Promise.all(this.servers.map((server) => once(server.close(), "close")));
    }

    private async listen(server: net.Server, port: number): Promise<number> {
        this.servers.push(server);
        await once(server.listen(port, this.address), "listening");
        return (server.address() as net.AddressInfo).port;
    }

    private remember(socket: net.Socket): void {
        this.sockets.add(socket);
        socket.on("close", () => this.sockets.delete(socket));
    }

    private async answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
        const host = (request.headers.host ?? "").split(":")[0]!;
        const url = new URL(request.url ?? "/", `https://${host}`);
        const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
        response.on("finish", () =>
            this.asked.push({ host, path: url.pathname, status: response.statusCode, from }),
        );
        if (this.trouble.away?.includes(host)) {
            request.socket.destroy();
        } else if (host === HUB_LOGIN) {
            response.writeHead(200, { "content-type": "application/json" });
            response.end(JSON.stringify({ token: TOKEN, access_token: TOKEN, expires_in: 300 }));
        } else if (host === HUB) {
            await this.answerAsHub(url, request, response);
        } else if (SENT_ON[host] !== undefined) {
            response.writeHead(302, { location: `https://${SENT_ON[host]}${url.pathname}` }).end();
        } else {
            await this.answerWithFile(path.join(this.files, host, url.pathname), from, response);
        }
    }

    private async answerWithFile(file: string, from: number, response: http.ServerResponse): Promise<void> {
        if (!fs.existsSync(file) || !fs.statSync(file).isFile()) {
            response.writeHead(404).end();
            return;
        }
        const { size } = fs.statSync(file);
        const [spoiled, broken] = (["spoiled", "broken"] as const).map((kind) =>
            (this.trouble[kind] ?? []).some((end) => file.endsWith(end)),
        );
        if (from > 0) {
            response.writeHead(206, {
                "content-length": size - from,
                "content-range": `bytes ${from}-${size - 1}/${size}`,
            });
        } else {
            response.writeHead(200, { "content-length": size, "accept-ranges": "bytes" });
        }
        if (spoiled) {
            const bytes = fs.readFileSync(file);
            bytes[size - 1]! ^= 1;
            response.end(bytes.subarray(from));
        } else if (broken && !this.brokenOnce.has(file)) {
            this.brokenOnce.add(file);
            await pipeline(fs.createReadStream(file, { end: Math.floor(size / 2) }), response, {
                end: false,
            });
            response.destroy();
        } else {
            await pipeline(fs.createReadStream(file, { start: from }), response);
        }
    }

    /** Docker Hub requires a token for every request, and gives one to every client. */
    private async answerAsHub(
        url: URL,
        request: http.IncomingMessage,
        response: http.ServerResponse,
    ): Promise<void> {
        const refuse = (status: number, code: string, message: string, headers = {}): void => {
            response.writeHead(status, { "content-type": "application/json", ...headers });
            response.end(JSON.stringify({ errors: [{ code, message }] }));
        };
        if (request.headers.authorization !== `Bearer ${TOKEN}`) {
            const challenge = `Bearer realm="https://${HUB_LOGIN}/token",service="registry.docker.io"`;
            refuse(401, "UNAUTHORIZED", "authentication required", { "www-authenticate": challenge });
            return;
        }
        const trouble = url.pathname.includes("/manifests/") ? this.trouble.hub : undefined;
        if (trouble === "too many requests") {
            refuse(429, "TOOMANYREQUESTS", "You have reached your unauthenticated pull rate limit.");
            return;
        }
        if (trouble === "login wanted") {
            refuse(401, "UNAUTHORIZED", "authentication required");
            return;
        }
        const headers = { ...request.headers };
        delete headers.authorization;
        delete headers.host;
        const [name, port] = this.hub.split(":");
        const asked = http.request({
            host: name,
            port,
            path: `${url.pathname}${url.search}`,
            method: request.method,
            headers,
        });
        const answer = once(asked, "response") as Promise<[http.IncomingMessage]>;
        request.pipe(asked);
        const [given] = await answer;
        response.writeHead(given.statusCode ?? 502, given.headers);
        await pipeline(given, response);
    }
}
