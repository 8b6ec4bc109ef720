/** Which steps from one version of an engine to another its data can take. docs/upgrades.md explains them. */

export type Engine = "redis" | "mysql";

/** Annotation of a StatefulSet: the base of its image, for example mysql:9.7.4@sha256:... */
export const BASE_ANNOTATION = "dabaweb/base";

type Version = readonly [major: number, minor: number | undefined, patch: number | undefined];

/** The version in an image's tag; undefined if it has none, for example because it is named by digest alone. */
export function versionOf(image: string): Version | undefined {
    // Nothing else may follow: a tag such as 7a0f77068c5b is a hash.
    const [, major, minor, patch] =
        /:v?(\d{1,3})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?(?:[-+_.][^/:@]*)?(?:@|$)/.exec(image) ?? [];
    const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
    return major === undefined ? undefined : [Number(major), number(minor), number(patch)];
}

function compare(a: readonly (number | undefined)[], b: readonly (number | undefined)[]): number {
    const at = a.findIndex(
        (part, index) => part === undefined || b[index] === undefined || part !== b[index],
    );
    // "8" may be any 8.x.
    return at < 0 || a[at] === undefined || b[at] === undefined ? 0 : a[at] - b[at];
}

/**
 * Series of MySQL that none may skip: its last one before that model, and each LTS since.
 * https://dev.mysql.com/doc/refman/9.7/en/upgrade-paths.html
 */
function isMilestone([major, minor]: readonly [number, number]): boolean {
    return (
        (major === 5 && minor === 7) ||
        (major === 8 && (minor === 0 || minor === 4)) ||
        (major >= 9 && minor === 7)
    );
}

/** The milestones after one series and before another. */
function milestonesBetween(from: readonly [number, number], to: readonly [number, number]): string[] {
    const majors = Array.from({ length: Math.max(0, to[0] - from[0] + 1) }, (_, more) => from[0] + more);
    return majors
        .flatMap((major) => [0, 4, 7].map((minor): [number, number] => [major, minor]))
        .filter(isMilestone)
        .filter((series) => compare(series, from) > 0 && compare(series, to) < 0)
        .map((series) => series.join("."));
}

/**
 * What is wrong with a step from one version to another, in a sentence without its period; undefined: nothing that is known.
 *
 * @param from the base that runs, by tag.
 * @param to the base that the update brings.
 */
export function stepProblem(engine: Engine, from: string, to: string): string | undefined {
    const [before, after] = [versionOf(from), versionOf(to)];
    if (before === undefined || after === undefined) {
        return undefined;
    }
    const [old, next] = [before, after].map((version) =>
        version.filter((part) => part !== undefined).join("."),
    );
    const [fromSeries, toSeries] = [before.slice(0, 2), after.slice(0, 2)];
    const back = compare(toSeries, fromSeries);
    // Inside an LTS series, MySQL's data keep their format. Redis' files keep it inside a minor version.
    const isPatchBack = back === 0 && compare(after, before) < 0;
    const isFixedFormat =
        engine === "redis" || before[1] === undefined || isMilestone([before[0], before[1]]);
    if (back < 0 || (isPatchBack && !isFixedFormat)) {
        return (
            `${old} runs and ${next} may not read its data; set it back to ${old}, or start from a backup of ${next} ` +
            "(docs/upgrades.md)"
        );
    }
    if (engine === "redis" || fromSeries[1] === undefined || toSeries[1] === undefined) {
        return undefined;
    }
    const [first] = milestonesBetween(fromSeries as [number, number], toSeries as [number, number]);
    return first === undefined
        ? undefined
        : `${old} runs and MySQL does not upgrade it to ${next} in one step; upgrade to ${first} first (docs/upgrades.md)`;
}
