/** Seed of generated tests: the same in every run, so that a change is judged on its own; the year of the source. */
const SEED = 2018;

/**
 * The starting point of fast-check. To see a failure again, set REPLAY to what it printed, `{"seed": 1, "path": "0:1"}`;
 * `{}` generates new cases.
 */
export function replay(text = process.env.REPLAY): { seed?: number; path?: string } {
    return text === undefined ? { seed: SEED } : (JSON.parse(text) as { seed?: number; path?: string });
}

/** Whether this run replays one failure, instead of trying many cases. */
export function isReplay(): boolean {
    return replay().path !== undefined;
}
