/** Positions in a history: sets of GTIDs for MySQL, offsets for Redis. */

type Interval = readonly [number, number];

/** Intervals by source, or by source and tag. */
type GtidSet = ReadonlyMap<string, readonly Interval[]>;

/** What `other` has and `position` lacks, in words; empty if it lacks nothing or one of them is unknown. */
export function lacks(position: string, other: string): string {
    if (position === "" || other === "") {
        return "";
    }
    if (/^\d+$/.test(position) && /^\d+$/.test(other)) {
        const bytes = Number(other) - Number(position);
        return bytes > 0 ? `${bytes} bytes` : "";
    }
    const missing = subtract(parseGtids(other), parseGtids(position));
    const count = [...missing.values()].flat().reduce((sum, [from, to]) => sum + to - from + 1, 0);
    return count === 0 ? "" : `${count} ${count === 1 ? "transaction" : "transactions"} (${format(missing)})`;
}

/** A position short enough for a table: the first eight digits of each source. */
export function shortened(position: string): string {
    if (!position.includes(":")) {
        return position;
    }
    const all = [...parseGtids(position)].map(([source, intervals]) => {
        const [id = "", tag] = source.split(":");
        return `${id.slice(0, 8)}${tag === undefined ? "" : `:${tag}`}:${formatIntervals(intervals)}`;
    });
    return all.length > 2 ? `${all[0]},+${all.length - 1}` : all.join(",");
}

/** @see https://dev.mysql.com/doc/refman/9.7/en/replication-gtids-concepts.html */
function parseGtids(text: string): GtidSet {
    const sets = new Map<string, Interval[]>();
    for (const part of text.split(",")) {
        const [id = "", ...fields] = part.trim().split(":");
        let source = id;
        for (const field of fields) {
            const numbers = /^(\d+)(?:-(\d+))?$/.exec(field);
            if (numbers === null) {
                source = `${id}:${field}`;
            } else {
                const from = Number(numbers[1]);
                sets.set(source, [...(sets.get(source) ?? []), [from, Number(numbers[2] ?? from)]]);
            }
        }
    }
    return sets;
}

function subtract(set: GtidSet, other: GtidSet): GtidSet {
    const rest = [...set].map(([source, intervals]): [string, readonly Interval[]] => [
        source,
        (other.get(source) ?? []).reduce(without, intervals),
    ]);
    return new Map(rest.filter(([, intervals]) => intervals.length > 0));
}

function without(intervals: readonly Interval[], [cutFrom, cutTo]: Interval): readonly Interval[] {
    return intervals.flatMap(([from, to]): Interval[] => {
        const parts: Interval[] = [
            [from, Math.min(to, cutFrom - 1)],
            [Math.max(from, cutTo + 1), to],
        ];
        return cutTo < from || cutFrom > to ? [[from, to]] : parts.filter(([first, last]) => first <= last);
    });
}

function format(set: GtidSet): string {
    return [...set].map(([source, intervals]) => `${source}:${formatIntervals(intervals)}`).join(",");
}

function formatIntervals(intervals: readonly Interval[]): string {
    return intervals.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(":");
}
