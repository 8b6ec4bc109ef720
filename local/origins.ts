/** Remembers where each part of the environment came from: read by docs/tested-with.md. */
import { places, readJson, writeWhole } from "./environment";

export type Origin = "found" | "release" | "built" | "stand-in";

export interface Part {
    readonly part: string;
    readonly version: string;
    readonly origin: Origin;
}

export function readOrigins(file = places().origins): readonly Part[] {
    return readJson<Part[]>(file) ?? [];
}

export function remember(part: string, version: string, origin: Origin, file = places().origins): void {
    const others = readOrigins(file).filter((each) => each.part !== part);
    const all = [...others, { part, version, origin }].sort((a, b) => a.part.localeCompare(b.part));
    writeWhole(file, `${JSON.stringify(all, undefined, 4)}\n`);
}
