/** One run at a time: a lock that names its holder, and that a dead holder does not keep locked. */
import { spawnSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
// The object itself, not a copy of its functions: a test takes the place of each step.
import fs from "node:fs";
import * as path from "node:path";

import { Refusal } from "../../operations/refusal";
import { readJson } from "../machine/files";
import { until } from "../machine/shell";
import { places } from "../places";

interface Holder {
    readonly pid: number;
    /** Together with the pid, this identifies one process: pids are reused. */
    readonly born: string;
    readonly what: string;
    readonly since: string;
    /** Of this lock; one process may take several. */
    readonly id?: string;
}

/** Another run holds the lock. */
class Held extends Refusal {
    constructor(
        readonly holder: Holder,
        what: string,
    ) {
        super(
            `\`${holder.what}\` (process ${holder.pid}, since ${holder.since}) is running, and \`${what}\` would ` +
                `interfere; wait until it ends, or stop it with \`kill ${holder.pid}\`.`,
        );
    }
}

/** Longer than a build from scratch takes on a slow machine. */
const TURN_SECONDS = 90 * 60;

/**
 * Takes a lock, and waits if a run of the same command holds it, since both do the same work; refuses if another command holds
 * it. The arguments are those of {@link takeLock}.
 */
export async function takeLockInTurn(
    name: string,
    what: string,
    directory = places().locks,
    say = console.log,
): Promise<() => void> {
    let release: (() => void) | undefined;
    let told: number | undefined;
    const taken = async (): Promise<boolean> => {
        try {
            release = takeLock(name, what, directory, say);
        } catch (error) {
            if (!(error instanceof Held) || error.holder.what !== what) {
                throw error;
            }
            const { pid, since } = error.holder;
            if (told !== pid) {
                say(`Waiting for \`${what}\` (process ${pid}, since ${since}), which is running.`);
            }
            told = pid;
        }
        return release !== undefined;
    };
    await until(`another \`${what}\` to end`, TURN_SECONDS, taken);
    return release!;
}

/**
 * Takes a lock, or refuses with the name of the run that holds it.
 *
 * @param name - file name of the lock
 * @param what - the command, as its user knows it
 * @returns a function that releases it
 */
export function takeLock(
    name: string,
    what: string,
    directory = places().locks,
    say = console.log,
): () => void {
    const file = path.join(directory, name);
    fs.mkdirSync(directory, { recursive: true });
    for (;;) {
        const mine: Holder = {
            pid: process.pid,
            born: birthOf(process.pid) ?? "",
            what,
            since: new Date().toISOString(),
            id: randomUUID(),
        };
        if (create(file, mine)) {
            return () => {
                if (isSame(readJson<Holder>(file), mine)) {
                    fs.rmSync(file, { force: true });
                }
            };
        }
        if (!fs.existsSync(file)) {
            continue;
        }
        const holder = readJson<Holder>(file);
        if (holder !== undefined && isAlive(holder)) {
            throw new Held(holder, what);
        }
        if (removeDead(file, holder, mine) && holder !== undefined) {
            say(
                `\`${holder.what}\` (process ${holder.pid}) died while it held the lock; the lock was removed.`,
            );
        }
    }
}

/** Creates a file with a holder unless there is one; linked once it is complete, so that no one reads half a holder. */
function create(file: string, holder: Holder): boolean {
    const draft = `${file}.${randomUUID()}`;
    fs.writeFileSync(draft, JSON.stringify(holder));
    try {
        fs.linkSync(draft, file);
        return true;
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
            throw error;
        }
        return false;
    } finally {
        fs.rmSync(draft);
    }
}

function isAlive(holder: Holder): boolean {
    return birthOf(holder.pid) === holder.born;
}

function isSame(one: Holder | undefined, other: Holder | undefined): boolean {
    return (
        one?.pid === other?.pid &&
        one?.born === other?.born &&
        one?.since === other?.since &&
        one?.id === other?.id
    );
}

/**
 * Removes a lock that has no living holder, or half a lock. Only one run may do that for each dead holder, the one that creates
 * the claim named after it. So nobody removes a lock that another run has taken by now: what is read again and still the dead
 * holder's stays so until it is removed here. A run that dies with its claim is a dead holder itself, and the next claim is
 * named after both.
 *
 * @throws Held if another run is about to do it.
 */
function removeDead(file: string, seen: Holder | undefined, mine: Holder): boolean {
    const claims: string[] = [];
    for (let dead: unknown[] = [seen ?? "half"]; ;) {
        const claim = `${file}.${createHash("sha256").update(JSON.stringify(dead)).digest("hex").slice(0, 16)}.claim`;
        claims.push(claim);
        if (create(claim, mine)) {
            break;
        }
        const other = readJson<Holder>(claim);
        if (other !== undefined && isAlive(other)) {
            throw new Held(other, mine.what);
        }
        if (other === undefined && !fs.existsSync(claim)) {
            // That run is done.
            return false;
        }
        dead = [...dead, other ?? "half"];
    }
    const isDead = fs.existsSync(file) && isSame(readJson<Holder>(file), seen);
    if (isDead) {
        fs.rmSync(file);
    }
    // The last one, which is this run's, goes last.
    claims.forEach((claim) => fs.rmSync(claim, { force: true }));
    return isDead;
}

/** When a process was started, in the format that this system reports; undefined if it is not alive. */
export function birthOf(pid: number): string | undefined {
    if (process.platform === "linux") {
        try {
            // The name in parentheses may hold spaces; the start time is the 20th field after it.
            const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
            const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
            return fields[0] === "Z" ? undefined : fields[19];
        } catch {
            return undefined;
        }
    }
    const answer = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" });
    return answer.status === 0 ? answer.stdout.trim() : undefined;
}
