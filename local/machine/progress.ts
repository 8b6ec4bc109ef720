/** What a run prints: a line per event with the time since the start, and a sign of life if nothing else is printed. */

const started = Date.now();
const quiet = 30_000;

let lastSaid = started;
/** The work in progress, by name, with its start time; several pieces can run in parallel. */
const current = new Map<string, number>();

/** Prints one line with the time since the start of the run. */
export function say(line: string): void {
    lastSaid = Date.now();
    const seconds = Math.round((lastSaid - started) / 1000);
    console.log(`${`${seconds} s`.padStart(7)}  ${line}`);
}

/** Does a piece of work under a name. While all work is silent, a line twice a minute shows that it is alive. */
export async function during<T>(name: string, work: () => Promise<T>): Promise<T> {
    current.set(name, Date.now());
    const timer = setInterval(() => {
        if (Date.now() - lastSaid >= quiet) {
            const all = [...current].map(
                ([each, since]) => `${each} for ${Math.round((Date.now() - since) / 1000)} s`,
            );
            say(`still working: ${all.join(", ")}`);
        }
    }, 1000);
    try {
        return await work();
    } finally {
        clearInterval(timer);
        current.delete(name);
    }
}
