/** What a run says: a line per event with the time since the start, and a sign of life where nothing else comes. */

const started = Date.now();
const quiet = 30_000;

let lastSaid = started;
let current: { readonly name: string; readonly since: number } | undefined;

/** Says one line with the time since the start of the run. */
export function say(line: string): void {
    lastSaid = Date.now();
    const seconds = Math.round((lastSaid - started) / 1000);
    console.log(`${`${seconds} s`.padStart(7)}  ${line}`);
}

/** Does a piece of work under a name: as long as it is silent, a line twice a minute says that it lives. */
export async function during<T>(name: string, work: () => Promise<T>): Promise<T> {
    current = { name, since: Date.now() };
    const timer = setInterval(() => {
        if (current !== undefined && Date.now() - lastSaid >= quiet) {
            say(`${current.name}: still at it, for ${Math.round((Date.now() - current.since) / 1000)} s`);
        }
    }, 1000);
    try {
        return await work();
    } finally {
        clearInterval(timer);
        current = undefined;
    }
}
