/**
 * What the preview of one stack found, as a file from which comments are made. It may come from the code of a stranger's
 * pull request, so it is validated when it is read, and its contents are treated only as text.
 */
import { z } from "zod";

import { type Comparison, mapTexts } from "./changes";

/** What a stack is compared with. */
const MODES = ["against state", "keyless"] as const;
export type Mode = (typeof MODES)[number];

/** A stack name that is safe in a file name and in a comment's marker. */
const STACK_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** A larger file does not come from a preview: the file of this project's largest stack has 60 kB. */
const MOST_BYTES = 4 * 2 ** 20;

/** Maximum characters of one text: an engine that failed may have printed more. */
const LONGEST_TEXT = 20_000;

const text = z.string().max(LONGEST_TEXT);
const texts = z.array(text).max(1000).readonly();

const change = z.strictObject({
    urn: text,
    type: text,
    name: text,
    action: z.enum(["create", "update", "replace", "delete"]),
    properties: z
        .array(z.strictObject({ path: text, before: z.unknown().optional(), after: z.unknown().optional() }))
        .max(5000),
    causes: z.array(z.strictObject({ reason: text, source: text.optional() })).max(1000),
    danger: z.boolean(),
    protected: z.boolean(),
    retained: z.boolean(),
});

const count = z.int().min(0).max(1_000_000);

const comparison = z.strictObject({
    stack: z.string().regex(STACK_NAME),
    counts: z.strictObject({ create: count, update: count, replace: count, delete: count, same: count }),
    changes: z.array(change).max(5000),
    withoutEffect: texts,
});

const outcome = z
    .strictObject({
        stack: z.string().regex(STACK_NAME),
        mode: z.enum(MODES),
        /** Why this mode was chosen, a sentence without its period. */
        why: text,
        /** Whether the API server took part. */
        cluster: z.enum(["answered", "unreachable", "not asked"]),
        /** What it was compared with: the state, a commit. Absent: nothing, for the reason in `warnings`. */
        comparedWith: text.optional(),
        comparison: comparison.optional(),
        /** Everything that the program registers, `type name`. */
        resources: texts,
        /** How many of them the engine and the providers processed; in keyless mode, all but the images. */
        planned: count,
        warnings: texts,
        /** Why the preview failed; empty if it did not. */
        errors: texts,
    })
    .refine(({ stack, comparison }) => comparison === undefined || comparison.stack === stack, {
        message: "the comparison belongs to another stack",
    });

/** What the preview of one stack found. */
export type Outcome = Omit<z.infer<typeof outcome>, "comparison"> & { readonly comparison?: Comparison };

/** The file's text, with each text in it truncated if it is longer than a reader accepts. */
export function outcomeJson(outcome: Outcome): string {
    const cut = (long: string): string =>
        long.length > LONGEST_TEXT ? `${long.slice(0, LONGEST_TEXT - 3)}...` : long;
    return `${JSON.stringify(mapTexts(outcome, cut), null, 2)}\n`;
}

/**
 * Reads what a preview wrote.
 *
 * @param source the name of the source, for the message.
 * @throws Error if it does not have the form above.
 */
export function parseOutcome(bytes: Buffer, source: string): Outcome {
    if (bytes.length > MOST_BYTES) {
        throw new Error(
            `${source} has ${bytes.length} bytes; the output of a preview has at most ${MOST_BYTES}`,
        );
    }
    let value: unknown;
    try {
        value = JSON.parse(bytes.toString("utf8"));
    } catch {
        throw new Error(`${source} is not JSON; it must be what \`make preview\` writes with --json`);
    }
    const result = outcome.safeParse(value);
    if (!result.success) {
        const [first] = result.error.issues;
        throw new Error(
            `${source} is not valid at ${first?.path.join(".") || "its top"} (${first?.message}); ` +
                "it must be what `make preview` writes with --json",
        );
    }
    return result.data as Outcome;
}
