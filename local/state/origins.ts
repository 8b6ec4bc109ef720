/** Records where each part of the environment came from, for docs/tested-with.md and for the code that removes it again. */
import { readJson, writeWhole } from "../machine/files";
import { places } from "../places";

export type Origin = "found" | "release" | "built" | "stand-in";

export interface Part {
    readonly part: string;
    readonly version: string;
    readonly origin: Origin;
    /** Names that an engine has for it, if it is an image that came with the environment. */
    readonly images?: readonly string[];
}

export function readOrigins(file = places().origins): readonly Part[] {
    return readJson<Part[]>(file) ?? [];
}

export function remember(
    part: string,
    version: string,
    origin: Origin,
    images?: readonly string[],
    file = places().origins,
): void {
    const known = readOrigins(file);
    const others = known.filter((each) => each.part !== part);
    // A pin that moves leaves behind the image that it named before.
    const before = known.find((each) => each.part === part)?.images ?? [];
    const all = [
        ...others,
        { part, version, origin, ...(images && { images: [...new Set([...before, ...images])] }) },
    ].sort((a, b) => a.part.localeCompare(b.part));
    writeWhole(file, `${JSON.stringify(all, undefined, 4)}\n`);
}
