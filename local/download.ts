/** Release files: can they be reached, and are they what was published. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { Readable } from "node:stream";
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
    try {
        const answer = await fetch(url, { signal: AbortSignal.timeout(milliseconds) });
        await answer.body?.cancel();
        return answer.ok;
    } catch {
        return false;
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

async function text(url: string, milliseconds: number): Promise<string> {
    try {
        const answer = await fetch(url, { signal: AbortSignal.timeout(milliseconds) });
        if (!answer.ok) {
            throw new Refusal(`${url} answers ${answer.status}; it cannot be downloaded.`);
        }
        return await answer.text();
    } catch (error) {
        throw error instanceof Refusal ? error : new Refusal(`${url} cannot be read: ${reasonOf(error)}.`);
    }
}

/** Writes a file and gives its checksum. Ended by silence, not by size: a slow network is no failure. */
async function save(url: string, file: string, limits: { answer: number; silence: number }): Promise<string> {
    const abort = new AbortController();
    let timer = setTimeout(() => abort.abort(), limits.answer);
    const alive = (): void => {
        clearTimeout(timer);
        timer = setTimeout(() => abort.abort(), limits.silence);
    };
    const hash = createHash("sha256");
    try {
        const answer = await fetch(url, { signal: abort.signal });
        if (!answer.ok || answer.body === null) {
            throw new Refusal(`${url} answers ${answer.status}; it cannot be downloaded.`);
        }
        const body = Readable.fromWeb(answer.body as import("node:stream/web").ReadableStream);
        body.on("data", (chunk: Buffer) => {
            hash.update(chunk);
            alive();
        });
        await pipeline(body, fs.createWriteStream(file));
        return hash.digest("hex");
    } catch (error) {
        throw error instanceof Refusal
            ? error
            : new Refusal(`Downloading ${url} broke off: ${reasonOf(error)}. Run the same command again.`);
    } finally {
        clearTimeout(timer);
    }
}

function reasonOf(error: unknown): string {
    const { message, cause } = error as { message: string; cause?: { message?: string; code?: string } };
    return cause?.code ?? cause?.message ?? message;
}
