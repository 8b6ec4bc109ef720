/** Release files: whether they can be reached, and whether they are what was published. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import * as path from "node:path";
import { text as readText } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";

import { Refusal } from "../../operations/refusal";
import { say } from "../machine/progress";
import type { Platform, ReleasedTool } from "../pins";

/** How long a server may take to answer before its releases count as out of reach. */
const patience = 4000;

/** URLs of a tool's release for a platform. */
export function releaseOf(tool: ReleasedTool, platform: Platform, env: NodeJS.ProcessEnv = process.env) {
    const base = (env[tool.mirror] ?? tool.base).replace(/\/$/, "");
    return {
        file: `${base}/${tool.file(platform)}`,
        checksums: `${base}/${tool.checksums(platform)}`,
    };
}

/** Whether a server provides this file now, within a few seconds. Callers ask for the checksums, which are small. */
export async function reachable(url: string, milliseconds = patience): Promise<boolean> {
    return (await whyMissing(url, milliseconds)) === undefined;
}

/** Why a server does not provide this file; undefined if it does. Only the beginning of the file is read. */
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
 * Downloads a file and checks it against the list of checksums that was published with it. The file appears once it is
 * complete and correct, or not at all. The part of an interrupted download is kept next to it, and the next call resumes it.
 */
export async function download(
    url: string,
    checksumsUrl: string,
    target: string,
    limits: Limits = { answer: patience, silence: 30_000 },
): Promise<void> {
    const wanted = checksumIn(
        await text(checksumsUrl, limits.answer),
        path.posix.basename(new URL(url).pathname),
    );
    if (wanted === undefined) {
        throw new Refusal(`${checksumsUrl} has no SHA-256 checksum for ${url}; nothing was installed.`);
    }
    fs.mkdirSync(path.dirname(target), { recursive: true });
    // Named by its checksum: a part of another release is not the beginning of this one.
    const partial = `${target}.${wanted.slice(0, 12)}.partial`;
    await complete(url, partial, limits);
    const hash = await sha256(partial);
    if (hash !== wanted) {
        fs.rmSync(partial);
        throw new Refusal(
            `${url} has SHA-256 ${hash}, but ${checksumsUrl} says ${wanted}; the file was deleted. Try again; ` +
                `if this persists, do not trust that server.`,
        );
    }
    fs.renameSync(partial, target);
}

interface Limits {
    /** Milliseconds until the server answers. */
    readonly answer: number;
    /** Milliseconds without any data. */
    readonly silence: number;
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
 * Opens a file and follows redirects. Not with `fetch`: in Node 24 it dies of an assertion if a server closes its connection
 * while a slow disk holds the stream back.
 */
async function get(
    url: string,
    signal: AbortSignal,
    range: { range?: string } = {},
    hops = 5,
): Promise<http.IncomingMessage> {
    const headers = { "user-agent": "dabaweb-pulumi", ...range };
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
        const client = url.startsWith("https:") ? https : http;
        client.get(url, { signal, headers }, resolve).on("error", reject);
    });
    const { statusCode = 0 } = answer;
    if (statusCode < 300 || statusCode >= 400 || answer.headers.location === undefined || hops === 0) {
        return answer;
    }
    answer.destroy();
    return get(new URL(answer.headers.location, url).href, signal, range, hops - 1);
}

function refused(url: string, answer: http.IncomingMessage): Refusal {
    answer.destroy();
    return new Refusal(`${url} answers ${answer.statusCode}; it cannot be downloaded.`);
}

async function text(url: string, milliseconds: number): Promise<string> {
    try {
        const answer = await get(url, AbortSignal.timeout(milliseconds));
        if (answer.statusCode !== 200) {
            throw refused(url, answer);
        }
        return await readText(answer);
    } catch (error) {
        throw error instanceof Refusal ? error : new Refusal(`${url} cannot be read: ${reasonOf(error)}.`);
    }
}

/** Fetches what a file lacks, and retries as long as each attempt receives some data. */
async function complete(url: string, file: string, limits: Limits): Promise<void> {
    for (;;) {
        const before = sizeOf(file);
        try {
            return await fetchRest(url, file, before, limits);
        } catch (error) {
            const [came, why] = [sizeOf(file), reasonOf(error)];
            if (error instanceof Refusal) {
                throw error;
            }
            if (came <= before) {
                throw new Refusal(
                    `The download of ${url} was interrupted: ${why}. Run the same command again; it resumes where it stopped.`,
                );
            }
            say(
                `the download of ${url} was interrupted after ${(came / 1e6).toFixed(1)} MB (${why}); resuming`,
            );
        }
    }
}

/** Appends to a file what follows its first bytes. Fails on silence, not on a long duration: a slow network is no failure. */
async function fetchRest(url: string, file: string, from: number, limits: Limits): Promise<void> {
    const abort = new AbortController();
    const abortAfter = (milliseconds: number): NodeJS.Timeout =>
        setTimeout(() => abort.abort(new Error(`no data for ${milliseconds / 1000} s`)), milliseconds);
    let timer = abortAfter(limits.answer);
    try {
        const body = await get(url, abort.signal, from > 0 ? { range: `bytes=${from}-` } : {});
        // Nothing follows the last byte: an earlier run was killed between the last byte and the check.
        if (body.statusCode === 416) {
            body.destroy();
            return;
        }
        if (body.statusCode !== 200 && body.statusCode !== 206) {
            throw refused(url, body);
        }
        // A server without ranges starts from the beginning. Not a stream: after a failure, it may still write a last piece.
        const output = await fs.promises.open(file, body.statusCode === 206 ? "a" : "w");
        try {
            for await (const chunk of body as AsyncIterable<Buffer>) {
                clearTimeout(timer);
                timer = abortAfter(limits.silence);
                await output.writeFile(chunk);
            }
        } finally {
            await output.close();
        }
    } catch (error) {
        throw error instanceof Refusal ? error : (abort.signal.reason ?? error);
    } finally {
        clearTimeout(timer);
    }
}

function sizeOf(file: string): number {
    return fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

async function sha256(file: string): Promise<string> {
    const hash = createHash("sha256");
    await pipeline(fs.createReadStream(file), hash);
    return hash.digest("hex");
}

function reasonOf(error: unknown): string {
    const { message, cause } = error as { message: string; cause?: { message?: string; code?: string } };
    return cause?.code ?? cause?.message ?? message;
}
