/** Release files: can they be reached, and are they what was published. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import * as path from "node:path";
import { text as readText } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";

import type { Platform, ReleasedTool } from "./pins";
import { Refusal } from "./shell";

/** How long a server may take to answer before its releases count as out of reach. */
export const patience = 4000;

/** Addresses of a tool's release on this platform. */
export function releaseOf(tool: ReleasedTool, platform: Platform, env: NodeJS.ProcessEnv = process.env) {
    const base = (env[tool.mirror] ?? tool.base).replace(/\/$/, "");
    return {
        file: `${base}/${tool.file(platform)}`,
        checksums: `${base}/${tool.checksums(platform)}`,
    };
}

/** Whether a server gives this file now, within a few seconds: asks for its checksums, which are small. */
export async function reachable(url: string, milliseconds = patience): Promise<boolean> {
    return (await whyMissing(url, milliseconds)) === undefined;
}

/** Why a server does not give this file; undefined where it does. No more than its beginning is read. */
export async function whyMissing(url: string, milliseconds: number): Promise<string | undefined> {
    const signal = AbortSignal.timeout(milliseconds);
    try {
        const answer = await get(url, signal);
        answer.destroy();
        return answer.statusCode === 200 ? undefined : `its server answers ${answer.statusCode}`;
    } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        const why = signal.aborted ? `within ${milliseconds / 1000} s` : `(${code ?? reasonOf(error)})`;
        return `its server does not answer ${why}`;
    }
}

/**
 * Downloads a file and checks it against the list of checksums that was published with it. The file appears when it is
 * complete and right, or not at all.
 */
export async function download(
    url: string,
    checksumsUrl: string,
    target: string,
    limits = { answer: patience, silence: 30_000 },
): Promise<void> {
    const wanted = checksumIn(
        await text(checksumsUrl, limits.answer),
        path.posix.basename(new URL(url).pathname),
    );
    if (wanted === undefined) {
        throw new Refusal(`${checksumsUrl} has no SHA-256 checksum for ${url}; nothing was installed.`);
    }
    fs.mkdirSync(path.dirname(target), { recursive: true });
    const partial = `${target}.${process.pid}`;
    try {
        const hash = await save(url, partial, limits);
        if (hash !== wanted) {
            throw new Refusal(
                `${url} has SHA-256 ${hash}, but ${checksumsUrl} says ${wanted}; it was thrown away. Try again, ` +
                    `and if it stays so, do not trust that server.`,
            );
        }
        fs.renameSync(partial, target);
    } finally {
        fs.rmSync(partial, { force: true });
    }
}

/** Finds a file's SHA-256 in a list as sha256sum writes it, or in a file that holds nothing but the sum. */
export function checksumIn(list: string, file: string): string | undefined {
    const lines = list.trim().split("\n");
    for (const line of lines) {
        const [, sum, name] = /^([0-9a-fA-F]{64})(?:\s+\*?(.+?))?\s*$/.exec(line) ?? [];
        if (
            sum !== undefined &&
            (name === undefined ? lines.length === 1 : path.posix.basename(name) === file)
        ) {
            return sum.toLowerCase();
        }
    }
    return undefined;
}

/**
 * Opens a file, wherever its server sends us for it. Not `fetch`: that of Node 24 dies of an assertion where a server ends
 * its connection while a slow disk holds the stream back.
 */
async function get(url: string, signal: AbortSignal, hops = 5): Promise<http.IncomingMessage> {
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
        const client = url.startsWith("https:") ? https : http;
        client.get(url, { signal, headers: { "user-agent": "dabaweb-pulumi" } }, resolve).on("error", reject);
    });
    const { statusCode = 0, headers } = answer;
    if (statusCode < 300 || statusCode >= 400 || headers.location === undefined || hops === 0) {
        return answer;
    }
    answer.destroy();
    return get(new URL(headers.location, url).href, signal, hops - 1);
}

async function open(url: string, signal: AbortSignal): Promise<http.IncomingMessage> {
    const answer = await get(url, signal);
    if (answer.statusCode !== 200) {
        answer.destroy();
        throw new Refusal(`${url} answers ${answer.statusCode}; it cannot be downloaded.`);
    }
    return answer;
}

async function text(url: string, milliseconds: number): Promise<string> {
    try {
        return await readText(await open(url, AbortSignal.timeout(milliseconds)));
    } catch (error) {
        throw error instanceof Refusal ? error : new Refusal(`${url} cannot be read: ${reasonOf(error)}.`);
    }
}

/** Writes a file and gives its checksum. Ended by silence, not by size: a slow network is no failure. */
async function save(url: string, file: string, limits: { answer: number; silence: number }): Promise<string> {
    const abort = new AbortController();
    const abortAfter = (milliseconds: number): NodeJS.Timeout =>
        setTimeout(() => abort.abort(new Error(`nothing came for ${milliseconds / 1000} s`)), milliseconds);
    let timer = abortAfter(limits.answer);
    const hash = createHash("sha256");
    const check = async function* (body: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
        for await (const chunk of body) {
            clearTimeout(timer);
            timer = abortAfter(limits.silence);
            hash.update(chunk);
            yield chunk;
        }
    };
    try {
        const body = await open(url, abort.signal);
        await pipeline(body, check, fs.createWriteStream(file), { signal: abort.signal });
        return hash.digest("hex");
    } catch (error) {
        throw error instanceof Refusal
            ? error
            : new Refusal(
                  `Downloading ${url} broke off: ${reasonOf(abort.signal.reason ?? error)}. Run the same command again.`,
              );
    } finally {
        clearTimeout(timer);
    }
}

function reasonOf(error: unknown): string {
    const { message, cause } = error as { message: string; cause?: { message?: string; code?: string } };
    return cause?.code ?? cause?.message ?? message;
}
