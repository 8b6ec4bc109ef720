/** What is checked before anything is changed: free disk space and free ports. */
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";

import { Refusal } from "../../operations/refusal";

/** Disk space that a run needs at its peak: if only package registries are reachable, and if everything is downloaded. */
export const gigabytesNeeded = { toBuild: 25, toDownload: 10 } as const;

/** Free disk space where a directory is or will be. */
export function freeGigabytes(directory: string): number {
    let existing = directory;
    while (!fs.existsSync(existing)) {
        existing = path.dirname(existing);
    }
    const { bavail, bsize } = fs.statfsSync(existing);
    return (Number(bavail) * Number(bsize)) / 1e9;
}

export function checkDisk(directory: string, needed: number, free = freeGigabytes(directory)): void {
    if (free < needed) {
        throw new Refusal(
            `${directory} has ${free.toFixed(1)} GB free, but the local environment needs ${needed} GB; ` +
                `free some space, or point XDG_CACHE_HOME and XDG_STATE_HOME to directories on a larger disk.`,
        );
    }
}

/** Refuses if another program uses one of these ports of 127.0.0.1. */
export async function checkPorts(wanted: readonly number[], what: string): Promise<void> {
    for (const port of wanted) {
        if (!(await isFree(port))) {
            throw new Refusal(
                `Port ${port} of 127.0.0.1 is taken by another program, but ${what} needs it; find that program with ` +
                    `\`ss -ltnp 'sport = :${port}'\` (macOS: \`lsof -nP -iTCP:${port} -sTCP:LISTEN\`), stop it, ` +
                    `then run this again.`,
            );
        }
    }
}

function isFree(port: number): Promise<boolean> {
    return new Promise((resolve) => {
        const server = net.createServer();
        server.once("error", () => resolve(false));
        server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
    });
}
