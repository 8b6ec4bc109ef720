/** The message about a refused value: one sentence with the key, its value, what is allowed, and a guess at what was meant. */
import { distance } from "fastest-levenshtein";
import { z } from "zod";

import { nearestAmounts } from "./forms";

/** How many problems are listed. A stack file with more has one mistake in many places. */
const LISTED = 10;
/** How many characters of a part of a key, or of a value, are shown. */
const SHOWN = 60;

/**
 * One sentence for each problem.
 *
 * @param issues what the schema found.
 * @param raw the values that it checked.
 * @param prefix the namespace of each key, for example dabaweb.
 */
export function refusals(
    issues: readonly z.core.$ZodIssue[],
    raw: unknown,
    schema: z.ZodType,
    prefix: string,
): string[] {
    const secrets = secretsIn(raw, schema);
    return issues.flatMap((issue) => sentencesOf(issue, raw, schema, prefix, secrets));
}

function sentencesOf(
    issue: z.core.$ZodIssue,
    raw: unknown,
    schema: z.ZodType,
    prefix: string,
    secrets: readonly string[],
): string[] {
    const path = issue.path.map(String);
    const key = `${prefix}:${shownKey(path)}`;
    if (issue.code === "unrecognized_keys") {
        return issue.keys.map((unknown) => {
            const name = `${prefix}:${shownKey([...path, unknown])}`;
            return `${name} is an unknown key; ${knownInstead(unknown, schemasAt(schema, path), valueAt(raw, path))}`;
        });
    }
    if (issue.code === "invalid_key") {
        const record = schemasAt(schema, path.slice(0, -1))[0];
        const allowed = record instanceof z.ZodRecord ? allowedBy([record.keyType as z.ZodType]) : "a name";
        return [`${key} has a name that is not allowed; allowed is ${allowed}.`];
    }
    const schemas = schemasAt(schema, path);
    const value = valueAt(raw, path);
    const isContradiction = issue.code === "custom" && issue.message !== UNSAID;
    const remedy = isContradiction ? issue.message : `allowed is ${allowedBy(schemas)}`;
    if (value === undefined) {
        return [`${key} is missing; ${remedy}.`];
    }
    // A secret may also have been pasted into another setting.
    const isPasted = typeof value === "string" && secrets.some((secret) => value.includes(secret));
    // Under any setting, even misspelt: the value is meant to be a password.
    const isNamed = path.some((part) => /password/i.test(part) || nearest(part, ["password"]) !== undefined);
    const hidden = isPasted || isNamed || schemas.some(holdsSecret);
    const meant = hidden || isContradiction ? undefined : meantBy(value, schemas);
    const guess = meant === undefined ? "." : `; did you mean ${JSON.stringify(meant)}?`;
    return [`${key} is ${hidden ? "[secret]" : shown(value)}; ${remedy}${guess}`];
}

/** Zod's message for a refinement without a message of its own: the value does not have the required form. */
export const UNSAID = "Invalid input";

/** Problems as a list, of bounded length. */
export function listed(problems: readonly string[]): string {
    const more = problems.length - LISTED;
    const lines = [...problems.slice(0, LISTED), ...(more > 0 ? [`and ${more} more.`] : [])];
    return lines.map((line) => `  - ${line}`).join("\n");
}

/** A key's path as in the stack file; unusual parts are quoted. */
export function shownKey(path: readonly string[]): string {
    return path.map((step) => (/^[\w./:-]{1,80}$/.test(step) ? step : quoted(step))).join(".");
}

/** Whether Pulumi passes values of this schema on as they are in the stack file. It passes everything else as JSON. */
export function takesText(schema: z.ZodType): boolean {
    const inner = unwrapped(schema);
    return inner instanceof z.ZodString || inner instanceof z.ZodEnum;
}

function quoted(text: string): string {
    const clipped = text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
    // Direction marks and the like would rearrange the line in a terminal.
    return JSON.stringify(clipped).replace(
        /[\p{C}\p{Zl}\p{Zp}]/gu,
        (odd) => `\\u{${odd.codePointAt(0)!.toString(16)}}`,
    );
}

function shown(value: unknown): string {
    if (Array.isArray(value)) {
        return "a list";
    }
    if (value !== null && typeof value === "object") {
        // It may contain anything, even a password under a misspelt key.
        return "an object";
    }
    return typeof value === "string" ? quoted(withoutCredentials(value)) : String(value);
}

/** user:password@ in front of a host, as people paste it. */
function withoutCredentials(text: string): string {
    return text.replace(/(^|\/\/)[^\s/]*@(?!sha256:)/g, "$1[secret]@");
}

function valueAt(raw: unknown, path: readonly string[]): unknown {
    return path.reduce<unknown>(
        (at, step) =>
            at !== null && typeof at === "object" && Object.hasOwn(at, step)
                ? (at as Record<string, unknown>)[step]
                : undefined,
        raw,
    );
}

function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
    return schema instanceof z.ZodOptional ||
        schema instanceof z.ZodDefault ||
        schema instanceof z.ZodPrefault
        ? unwrapped(schema.unwrap())
        : schema;
}

/** The schemas that a value at `path` may have: more than one below a union, none below an unknown key. */
function schemasAt(schema: z.core.$ZodType, path: readonly string[]): z.core.$ZodType[] {
    const at = unwrapped(schema);
    const [step, ...rest] = path;
    if (step === undefined) {
        return [at];
    }
    if (at instanceof z.ZodUnion) {
        return at.options.flatMap((option) => schemasAt(option, path));
    }
    if (at instanceof z.ZodObject) {
        return Object.hasOwn(at.shape, step) ? schemasAt(at.shape[step]!, rest) : [];
    }
    if (at instanceof z.ZodArray) {
        return schemasAt(at.element, rest);
    }
    return at instanceof z.ZodRecord ? schemasAt(at.valueType, rest) : [];
}

/** The texts where the schema marks a secret, except those of 3 characters or fewer, which would match by chance. */
function secretsIn(value: unknown, schema: z.core.$ZodType): string[] {
    const inner = unwrapped(schema);
    if (typeof value === "string") {
        const secret = value.trim();
        return z.globalRegistry.get(inner)?.secret === true && secret.length > 3 ? [secret] : [];
    }
    return inner instanceof z.ZodObject && value !== null && typeof value === "object"
        ? Object.entries(inner.shape).flatMap(([key, each]) =>
              Object.hasOwn(value, key)
                  ? secretsIn((value as Record<string, unknown>)[key], each as z.ZodType)
                  : [],
          )
        : [];
}

function holdsSecret(schema: z.core.$ZodType): boolean {
    const inner = unwrapped(schema);
    return (
        z.globalRegistry.get(inner)?.secret === true ||
        (inner instanceof z.ZodObject &&
            Object.values(inner.shape).some((each) => holdsSecret(each as z.ZodType)))
    );
}

/** What is allowed, in words. */
function allowedBy(schemas: readonly z.core.$ZodType[]): string {
    return [...new Set(schemas.map(allowedByOne))].join(" or ");
}

function allowedByOne(schema: z.core.$ZodType): string {
    const inner = unwrapped(schema);
    const said = z.globalRegistry.get(inner)?.allowed;
    if (typeof said === "string") {
        return said;
    }
    if (inner instanceof z.ZodEnum || inner instanceof z.ZodLiteral) {
        return optionsOf(inner).join(" or ");
    }
    if (inner instanceof z.ZodNumber) {
        return `a whole number from ${inner.minValue} to ${inner.maxValue}`;
    }
    if (inner instanceof z.ZodBoolean) {
        return "true or false";
    }
    if (inner instanceof z.ZodArray) {
        return "a list";
    }
    if (inner instanceof z.ZodRecord) {
        return "a map of strings";
    }
    return `an object with ${knownKeys([inner]).join(", ")}`;
}

function optionsOf(schema: z.ZodEnum | z.ZodLiteral): unknown[] {
    return schema instanceof z.ZodEnum ? schema.options : [...schema.values];
}

function knownKeys(schemas: readonly z.core.$ZodType[]): string[] {
    const keys = schemas.map(unwrapped).flatMap((schema) => {
        if (schema instanceof z.ZodUnion) {
            return knownKeys(schema.options);
        }
        return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
    });
    return [...new Set(keys)];
}

/** What to do about an unknown key. */
function knownInstead(unknown: string, schemas: readonly z.core.$ZodType[], object: unknown): string {
    const known = knownKeys(schemas);
    if (known.includes(unknown)) {
        // The key belongs to another form of the object than the one that `type` names.
        const type = valueAt(object, ["type"]);
        return `it does not apply to ${typeof type === "string" ? `type ${type}` : "this type"}, so remove it or change the type.`;
    }
    const meant = nearest(unknown, known);
    if (meant !== undefined) {
        return `did you mean ${meant}?`;
    }
    return known.length > 0 ? `known keys are ${known.join(", ")}.` : "remove it.";
}

function nearest(text: string, known: readonly string[]): string | undefined {
    if (text.length > 40) {
        return undefined;
    }
    const [best] = known
        .map((key) => ({ key, edits: distance(text.toLowerCase(), key.toLowerCase()) }))
        .sort((a, b) => a.edits - b.edits);
    return best && best.edits <= Math.max(2, text.length / 3) ? best.key : undefined;
}

/** What the user probably meant: the first guess that would be accepted there, or else the allowed value nearest to a guess. */
function meantBy(value: unknown, schemas: readonly z.core.$ZodType[]): unknown {
    const isSlip = ["number", "boolean"].includes(typeof value);
    const guesses =
        typeof value === "string" ? guessesAt(value, schemas) : isSlip ? [value, String(value)] : [];
    return (
        guesses.find((guess) => schemas.some((schema) => z.safeParse(schema, guess).success)) ??
        guesses
            .flatMap((guess) => schemas.map((schema) => nearestInRange(guess, unwrapped(schema))))
            .find((near) => near !== undefined)
    );
}

/** The minimum or maximum for a number or quantity outside the range, a whole number for a fraction. */
function nearestInRange(guess: unknown, schema: z.core.$ZodType): unknown {
    if (typeof guess === "string") {
        return nearestAmounts.get(schema)?.nearest(guess);
    }
    return typeof guess === "number" && Number.isFinite(guess) && schema instanceof z.ZodNumber
        ? Math.min(Math.max(Math.round(guess), schema.minValue ?? -Infinity), schema.maxValue ?? Infinity)
        : undefined;
}

function guessesAt(text: string, schemas: readonly z.core.$ZodType[]): unknown[] {
    if (text.length > SHOWN || withoutCredentials(text) !== text) {
        return [];
    }
    const plain = text.trim().toLowerCase();
    const [, amount, unit = ""] = /^([\d.]+) ?([kmgtp]?)(?:i|b|ib|ig)?$/.exec(plain) ?? [];
    const options = schemas
        .map(unwrapped)
        .flatMap((schema) =>
            schema instanceof z.ZodEnum || schema instanceof z.ZodLiteral
                ? optionsOf(schema).map(String)
                : [],
        );
    return [
        nearest(plain, options) ??
            options.find((option) => plain.length > 2 && option.toLowerCase().includes(plain)),
        ...(plain === "" ? [] : [Number(plain)]),
        ...(["true", "yes", "on"].includes(plain) ? [true] : []),
        ...(["false", "no", "off"].includes(plain) ? [false] : []),
        ...(amount === undefined
            ? []
            : [`${amount}${unit.toUpperCase()}i`, `${amount}${unit.toUpperCase()}`]),
        plain,
        plain.replace(/^[a-z]+:\/\//, "").replace(/\/+$/, ""),
        plain.replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, ""),
        ...(/^\S+$/.test(plain) ? originOf(plain) : []),
    ].filter((guess) => guess !== undefined && guess !== "");
}

/** The origin of an address, with http if it has no scheme. */
function originOf(text: string): string[] {
    return [text, `http://${text}`].flatMap((address) => {
        const url = URL.canParse(address) ? new URL(address) : undefined;
        return url !== undefined && url.origin !== "null" ? [url.origin] : [];
    });
}
