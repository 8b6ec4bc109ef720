import * as fs from "fs";
import * as os from "os";
import * as path from "path";
import * as tls from "tls";

import { Agent, type Dispatcher, fetch, ProxyAgent } from "undici";

import { proxyFor } from "./proxy";

/** Whom a server's certificate may come from: whom Pulumi's providers trust, or also whom Docker trusts. */
export type Trust = "system" | "docker";

/** Codes of an error that say that a certificate is not trusted. */
const DISTRUST = /^(UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT|CERT_UNTRUSTED|ERR_TLS_CERT)/;

/**
 * `fetch` as other programs on this machine do it: Node.js by itself knows neither the proxy of the environment nor the
 * system's certificates.
 */
export async function ask(
    address: string | URL,
    question: RequestInit = {},
    trust: Trust = "system",
): Promise<Response> {
    const dispatcher = dispatcherFor(new URL(address), trust);
    const answer = fetch(address, { ...question, dispatcher } as Parameters<typeof fetch>[1]);
    return (await answer) as unknown as Response;
}

/** Why nobody answered: a code if there is one. */
export function reasonOf(error: unknown): string {
    const { cause, message, name } = error as Error & { cause?: { code?: string; message?: string } };
    return name === "TimeoutError" ? "no answer in time" : (cause?.code ?? cause?.message ?? message);
}

/** Whether the reason is that a certificate is not trusted. */
export function isDistrust(reason: string): boolean {
    return DISTRUST.test(reason);
}

const dispatchers = new Map<string, Dispatcher>();

function dispatcherFor({ origin, host, protocol }: URL, trust: Trust): Dispatcher {
    const proxy = proxyFor(origin);
    const key = [origin, proxy, trust].join(" ");
    let dispatcher = dispatchers.get(key);
    if (dispatcher === undefined) {
        const own =
            protocol === "https:" ? { ca: authorities(host, trust), ...clientLogin(host, trust) } : {};
        dispatcher =
            proxy === undefined
                ? new Agent({ connect: own })
                : new ProxyAgent({
                      uri: proxy,
                      requestTls: own,
                      proxyTls: { ca: authorities(new URL(proxy).host, trust) },
                      // Many proxies tunnel https alone.
                      proxyTunnel: protocol === "https:",
                  });
        dispatchers.set(key, dispatcher);
    }
    return dispatcher;
}

function authorities(host: string, trust: Trust): string[] {
    // Newer than the oldest Node.js that this program runs on.
    const { getCACertificates } = tls as { getCACertificates?: (of: "default" | "system") => string[] };
    const named = [
        process.env.SSL_CERT_FILE,
        ...(getCACertificates ? [] : [process.env.NODE_EXTRA_CA_CERTS]),
    ];
    return [
        ...(getCACertificates?.("default") ?? tls.rootCertificates),
        ...(getCACertificates?.("system") ?? []),
        ...named.flatMap((file) => (file ? textOf(file) : [])),
        ...(trust === "docker" ? dockerFiles(host, ".crt").flatMap(textOf) : []),
    ];
}

/** @see https://docs.docker.com/engine/security/certificates/ */
function clientLogin(host: string, trust: Trust): { cert?: string; key?: string } {
    const [file] = trust === "docker" ? dockerFiles(host, ".cert") : [];
    const [cert] = file === undefined ? [] : textOf(file);
    const [key] = file === undefined ? [] : textOf(file.replace(/cert$/, "key"));
    return cert === undefined || key === undefined ? {} : { cert, key };
}

/** The folders in which Docker looks for certificates: of the Engine, of a rootless one, of the client. */
function certificateFolders(): string[] {
    const home = os.homedir();
    return [
        "/etc/docker/certs.d",
        path.join(process.env.XDG_CONFIG_HOME || path.join(home, ".config"), "docker", "certs.d"),
        path.join(process.env.DOCKER_CONFIG || path.join(home, ".docker"), "certs.d"),
    ];
}

function dockerFiles(host: string, suffix: string): string[] {
    return certificateFolders()
        .map((folder) => path.join(folder, host))
        .flatMap((folder) => {
            try {
                return fs.readdirSync(folder).map((file) => path.join(folder, file));
            } catch {
                return [];
            }
        })
        .filter((file) => file.endsWith(suffix));
}

/** The content of a file that may not be there. */
function textOf(file: string): string[] {
    try {
        return [fs.readFileSync(file, "utf8")];
    } catch {
        return [];
    }
}
