/**
 * What fast-check printed of a failure, to see that very failure again:
 * `REPLAY='{ "seed": -12345, "path": "3:1" }' npm run unit`. Unset: a new seed each time.
 */
export function replay(text = process.env.REPLAY): { seed?: number; path?: string } {
    return text === undefined ? {} : (JSON.parse(text) as { seed: number; path?: string });
}
