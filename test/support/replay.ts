/** Seeds of generated tests: the same in every run, so that a change is judged by itself; the year of the source. */
const SEED = 2018;

/**
 * What fast-check starts from. REPLAY is what a failure printed, `{"seed": 1, "path": "0:1"}`, to see it again; `{}`: cases
 * that nobody has seen yet.
 */
export function replay(text = process.env.REPLAY): { seed?: number; path?: string } {
    return text === undefined ? { seed: SEED } : (JSON.parse(text) as { seed?: number; path?: string });
}

/** Whether one failure is seen again, instead of many cases. */
export function isReplay(): boolean {
    return replay().path !== undefined;
}
