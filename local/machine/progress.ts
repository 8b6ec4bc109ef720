/** What a run says: a line per event with the time since the start, and a sign of life where nothing else comes. */

const started = Date.now();
const quiet = 30_000;

let lastSaid = started;
/** What is being done, with the time when it began: several things beside each other. */
const current = new Map<string, number>();

/** Says one line with the time since the start of the run. */
export function say(line: string): void {
    lastSaid = Date.now();
    const seconds = Math.round((lastSaid - started) / 1000);
    console.log(`${`${seconds} s`.padStart(7)}  ${line}`);
}

/** Does a piece of work under a name: as long as all are silent, a line twice a minute says that they live. */
export async function during<T>(name: string, work: () => Promise<T>): Promise<T> {
    current.set(name, Date.now());
    const timer = setInterval(() => {
        if (Date.now() - lastSaid >= quiet) {
            const all = [...current].map(
                ([each, since]) => `${each} for ${Math.round((Date.now() - since) / 1000)} s`,
            );
            say(`still at it: ${all.join(", ")}`);
        }
    }, 1000);
    try {
        return await work();
    } finally {
        clearInterval(timer);
        current.delete(name);
    }
}
