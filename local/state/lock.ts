/** One run at a time: a lock that names its holder, and that a dead holder does not keep locked. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
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
        };
        try {
            // Linked once it is complete, so that no one reads half a holder.
            const draft = `${file}.${process.pid}`;
            fs.writeFileSync(draft, JSON.stringify(mine));
            try {
                fs.linkSync(draft, file);
            } finally {
                fs.rmSync(draft);
            }
            return () => {
                if (isSame(readJson<Holder>(file), mine)) {
                    fs.rmSync(file, { force: true });
                }
            };
        } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
                throw error;
            }
        }
        const holder = readJson<Holder>(file);
        if (holder !== undefined && birthOf(holder.pid) === holder.born) {
            throw new Held(holder, what);
        }
        if (removeDead(file, holder) && holder !== undefined) {
            say(
                `\`${holder.what}\` (process ${holder.pid}) died while it held the lock; the lock was removed.`,
            );
        }
    }
}

function isSame(one: Holder | undefined, other: Holder | undefined): boolean {
    return one?.pid === other?.pid && one?.born === other?.born && one?.since === other?.since;
}

/**
 * Removes a lock that has no living holder, or half a lock. Another run may have done this and taken the lock by now. So the
 * lock is moved to a name that only this run uses, read again, and put back if it is not the one that was seen.
 */
function removeDead(file: string, seen: Holder | undefined): boolean {
    const own = `${file}.${process.pid}`;
    try {
        fs.renameSync(file, own);
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") {
            return false;
        }
        throw error;
    }
    const same = isSame(readJson<Holder>(own), seen);
    if (!same && !fs.existsSync(file)) {
        fs.linkSync(own, file);
    }
    fs.rmSync(own);
    return same;
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
