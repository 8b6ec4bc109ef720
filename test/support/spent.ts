/**
 * What a test file spends its seconds on. Only one kind counts at a time, the first of {@link KINDS} that is in progress, so
 * that the seconds add up to those of the run.
 */
export const KINDS = ["build", "deploy", "preview", "destroy", "load", "wait"] as const;

export type Kind = (typeof KINDS)[number];

/** Seconds by kind. */
export type Spent = Readonly<Record<Kind, number>>;

const going = new Map<Kind, number>(KINDS.map((kind) => [kind, 0]));
const milliseconds = new Map<Kind, number>(KINDS.map((kind) => [kind, 0]));
let since = Date.now();

/** Does some work and counts its time under a kind. */
export async function spending<T>(kind: Kind | undefined, work: () => Promise<T>): Promise<T> {
    if (kind === undefined) {
        return work();
    }
    change(kind, 1);
    try {
        return await work();
    } finally {
        change(kind, -1);
    }
}

/** The kind under which the run of a program counts; undefined if it has no kind. */
export function spentOn(file: string, args: readonly string[]): Kind | undefined {
    const line = [file, ...args].join(" ");
    const kinds: [RegExp, Kind][] = [
        [/\bdocker build\b/, "build"],
        [/\bpulumi up\b|local\/stacks\/main\.ts up\b/, "deploy"],
        [/\bpulumi preview\b|local\/stacks\/preview\.ts\b|\bmake .*\bpreview\b/, "preview"],
        [/\bpulumi destroy\b|local\/stacks\/main\.ts down\b|\bdelete namespace\b/, "destroy"],
    ];
    return kinds.find(([pattern]) => pattern.test(line))?.[1];
}

/** The seconds of this process so far. */
export function spent(): Spent {
    count();
    return Object.fromEntries(
        KINDS.map((kind) => [kind, Math.round(milliseconds.get(kind)! / 1000)]),
    ) as Spent;
}

function change(kind: Kind, by: number): void {
    count();
    going.set(kind, going.get(kind)! + by);
}

function count(): void {
    const now = Date.now();
    const kind = KINDS.find((each) => going.get(each)! > 0);
    if (kind !== undefined) {
        milliseconds.set(kind, milliseconds.get(kind)! + now - since);
    }
    since = now;
}
