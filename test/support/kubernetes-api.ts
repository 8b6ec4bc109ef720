/** Checks objects against the Kubernetes API's own schema, offline and stricter than the API: unknown fields are errors. */
import Ajv, { ErrorObject, ValidateFunction } from "ajv";
import addFormats from "ajv-formats";

import api from "./kubernetes-openapi.json";

interface Schema {
    readonly properties?: Readonly<Record<string, unknown>>;
    readonly "x-kubernetes-group-version-kind"?: ReadonlyArray<{
        group: string;
        version: string;
        kind: string;
    }>;
}

/** The Kubernetes version of the schema. */
export const apiVersion: string = api.version;

const schemas = api.schemas as unknown as Readonly<Record<string, Schema>>;
const PREFIX = "#/components/schemas/";

const ajv = new Ajv({ allErrors: true, strictTypes: false, inlineRefs: false });
addFormats(ajv);
ajv.addFormat("int-or-string", true);
ajv.addVocabulary(["components", "x-kubernetes-group-version-kind"]);
ajv.addSchema({ $id: "kubernetes", components: { schemas: closed(schemas) } });

const kinds = new Map(
    Object.entries(schemas).flatMap(([name, schema]) =>
        (schema["x-kubernetes-group-version-kind"] ?? []).map(({ group, version, kind }) => [
            kindKey(group === "" ? version : `${group}/${version}`, kind),
            name,
        ]),
    ),
);
const validators = new Map<string, ValidateFunction>();

/**
 * The parts of an object that do not fit the schema of its kind, one sentence each; empty if everything fits.
 *
 * @param object with apiVersion and kind.
 */
export function apiMisfits(object: Readonly<Record<string, unknown>>): readonly string[] {
    const { apiVersion, kind } = object;
    const name = kinds.get(kindKey(apiVersion, kind));
    if (name === undefined) {
        return [`${String(apiVersion)} ${String(kind)} is not a kind of Kubernetes ${api.version}`];
    }
    const validate = validators.get(name) ?? ajv.compile({ $ref: `kubernetes${PREFIX}${name}` });
    validators.set(name, validate);
    validate(object);
    return (validate.errors ?? []).map(sentence);
}

function kindKey(apiVersion: unknown, kind: unknown): string {
    return `${String(apiVersion)} ${String(kind)}`;
}

function sentence({ instancePath, keyword, params, message = "" }: ErrorObject): string {
    const place = instancePath.slice(1).replaceAll("/", ".") || "the object";
    return keyword === "additionalProperties"
        ? `${place} has no field ${String(params.additionalProperty)}`
        : `${place} ${message}`;
}

/** The schemas, in which every object that lists its fields allows no others. */
function closed(value: unknown): unknown {
    if (Array.isArray(value)) {
        return value.map(closed);
    }
    if (value === null || typeof value !== "object") {
        return value;
    }
    const entries = Object.entries(value).map(([key, item]) => [key, closed(item)] as const);
    const isObject = (value as { type?: unknown }).type === "object" && "properties" in value;
    return Object.fromEntries([...entries, ...(isObject ? [["additionalProperties", false] as const] : [])]);
}
