import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";

import type { BaseSources } from "./components/bases";
import { contradictions } from "./config/contradictions";
import { keys, type StackConfig } from "./config/keys";
import { listed, refusals, shownKey, takesText } from "./config/refusal";

export type { StackConfig } from "./config/keys";

/** The project's name in Pulumi.yaml, which is also the namespace of every key below. */
export const PROJECT = "dabaweb";

/** The schema of the whole stack configuration. It defines the types, the defaults, the ranges and docs/config.md. */
export const schema = keys.superRefine((value, context) => {
    for (const { broken } of contradictions) {
        broken(value).forEach(({ path, message }) =>
            context.addIssue({ code: "custom", path: [...path], message }),
        );
    }
});

/** Where the base images of a stack come from. */
export function baseSources({ mirror, bases }: StackConfig): BaseSources {
    return { mirror: mirror.images, own: bases };
}

/**
 * Validates raw configuration values.
 *
 * @param raw the values by key, without the project prefix.
 * @returns the configuration with defaults filled in.
 * @throws pulumi.RunError that names every wrong key, its value and what is allowed, in one sentence each.
 */
export function parseConfig(raw: Record<string, unknown>, stack: string): StackConfig {
    return validate(raw, stack, []);
}

/**
 * Reads the configuration of the current stack. Nothing else reads stack configuration.
 *
 * @throws pulumi.RunError as {@link parseConfig} does.
 */
export function readConfig(): StackConfig {
    const prefix = `${PROJECT}:`;
    const all = Object.entries(pulumi.runtime.allConfig());
    // Default providers are disabled and the explicit ones read no configuration, so a key with another prefix would do nothing.
    const foreign = all
        .map(([key]) => key)
        .filter((key) => !key.startsWith(prefix) && !key.startsWith("pulumi:"))
        .map(
            (key) =>
                `${shownKey([key])} has no effect; this program only reads keys that begin with ${prefix}.`,
        );
    const raw = Object.fromEntries(
        all
            .filter(([key]) => key.startsWith(prefix))
            .map(([key, value]) => [key.slice(prefix.length), parseValue(key.slice(prefix.length), value)]),
    );
    return validate(raw, pulumi.getStack(), foreign);
}

function validate(raw: Record<string, unknown>, stack: string, foreign: readonly string[]): StackConfig {
    const result = schema.safeParse(raw);
    const issues = [...passedOver(raw, []), ...(result.error?.issues ?? [])];
    const problems = [...foreign, ...new Set(refusals(issues, raw, schema, PROJECT))];
    if (result.success && problems.length === 0) {
        return result.data;
    }
    throw new pulumi.RunError(
        `Pulumi.${stack}.yaml is not valid, nothing was changed (docs/config.md describes every key):\n${listed(problems)}`,
    );
}

/** The value of a top-level key. Pulumi passes each one as text: objects, numbers and booleans as JSON, strings as they are. */
export function parseValue(key: string, text: string): unknown {
    let value: unknown;
    try {
        value = JSON.parse(text);
    } catch {
        return text;
    }
    const isText = Object.hasOwn(keys.shape, key) && takesText(keys.shape[key as keyof typeof keys.shape]);
    // Otherwise a context named 2024 would become a number.
    return isText && typeof value !== "object" ? text : value;
}

/** Keys that zod ignores: it drops the key __proto__ from a map of strings. Nothing here is nested deeper than 5 levels. */
function passedOver(value: unknown, path: readonly string[]): z.core.$ZodIssueUnrecognizedKeys[] {
    if (value === null || typeof value !== "object" || path.length > 5) {
        return [];
    }
    return Object.entries(value).flatMap(([key, item]) =>
        key === "__proto__"
            ? [{ code: "unrecognized_keys", keys: [key], path: [...path], message: "" }]
            : passedOver(item, [...path, key]),
    );
}
