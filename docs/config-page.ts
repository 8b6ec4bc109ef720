/**
 * Writes docs/config.md from the schema in config/keys.ts: `npm run docs`. A unit test compares the two.
 */
import * as fs from "fs";
import * as path from "path";

import { z } from "zod";

import { PROJECT, schema } from "../config";
import { contradictions } from "../config/contradictions";

interface JsonSchema {
    type?: string;
    const?: unknown;
    enum?: unknown[];
    description?: string;
    /** How config/forms.ts describes a text. */
    allowed?: string;
    default?: unknown;
    minimum?: number;
    maximum?: number;
    pattern?: string;
    properties?: Record<string, JsonSchema>;
    required?: string[];
    items?: JsonSchema;
    additionalProperties?: JsonSchema | boolean;
    anyOf?: JsonSchema[];
    oneOf?: JsonSchema[];
}

/** The page as text. */
export function configPage(): string {
    const root = z.toJSONSchema(schema, { io: "input" }) as JsonSchema;
    return [
        "# Stack configuration",
        "",
        `Every key of \`Pulumi.<stack>.yaml\`, under the prefix \`${PROJECT}:\`. Keys in **bold** are required. \`npm run docs\``,
        "generates this page from the schema in [config/keys.ts](../config/keys.ts), which rejects every other key and value.",
        "",
        "| key | allowed | default | meaning |",
        "| --- | --- | --- | --- |",
        ...rows(root, ""),
        "",
        "## Rules across keys",
        "",
        "Values that are each allowed can still contradict one another. These rules must hold, too. A stack with `protect: true`",
        "counts as production, whatever its name is.",
        "",
        ...contradictions.map(({ rule }) => `- ${rule}`),
        "",
    ].join("\n");
}

function rows(object: JsonSchema, prefix: string): string[] {
    return Object.entries(object.properties ?? {}).flatMap(([key, value]) => {
        const required = object.required?.includes(key) ?? false;
        const name = `\`${prefix}${key}\``;
        const forms = value.oneOf ?? value.anyOf;
        const line = [
            required ? `**${name}**` : name,
            allowed(value),
            value.default === undefined || isObject(value) ? "" : `\`${JSON.stringify(value.default)}\``,
            value.description ?? "",
        ];
        const children = (forms ?? [value]).flatMap((form) =>
            rows(withDefaults(form, value.default), `${prefix}${key}.`),
        );
        return [
            `| ${line.map((cell) => cell.replaceAll(/[|<]/g, "\\$&")).join(" | ")} |`,
            ...new Set(children),
        ];
    });
}

function isObject(value: JsonSchema): boolean {
    return value.properties !== undefined;
}

/** If an object has a default as a whole, that default is shown at its keys. */
function withDefaults(object: JsonSchema, value: unknown): JsonSchema {
    if (object.properties === undefined || value === null || typeof value !== "object") {
        return object;
    }
    const given = value as Record<string, unknown>;
    const properties = Object.fromEntries(
        Object.entries(object.properties).map(([key, property]) => [
            key,
            key in given ? { ...property, default: given[key] } : property,
        ]),
    );
    return { ...object, properties, required: object.required?.filter((key) => !(key in given)) };
}

function allowed(value: JsonSchema): string {
    if (value.allowed !== undefined) {
        return value.allowed;
    }
    const forms = value.oneOf ?? value.anyOf;
    if (forms !== undefined) {
        return [...new Set(forms.map(allowed))].join(" or ");
    }
    if (value.enum !== undefined || value.const !== undefined) {
        return (value.enum ?? [value.const]).map((item) => `\`${String(item)}\``).join(" or ");
    }
    switch (value.type) {
        case "integer":
            return `${value.minimum ?? "any"} to ${(value.maximum ?? 0) > 1e15 ? "any" : value.maximum}`;
        case "boolean":
            return "`true` or `false`";
        case "array":
            return "list";
        case "object":
            return isObject(value) ? "" : "map of strings";
        default:
            return "text";
    }
}

if (require.main === module) {
    fs.writeFileSync(path.join(__dirname, "config.md"), configPage());
}
