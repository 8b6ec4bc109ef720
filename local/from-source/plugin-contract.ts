/**
 * The inputs and outputs of the built random and docker plugins, in names and types: recorded in built-plugins.json, checked
 * against the npm SDKs by test/unit/built-plugins.test.ts, and against the installed plugins wherever those run.
 *
 * README.md says how to record it again.
 */
import { execFileSync } from "node:child_process";

/** A type: a primitive's name, [element], { "*": value of a map }, or fields by name, with a "?" behind an optional one. */
export type TypeOf = string | readonly [TypeOf] | { readonly [field: string]: TypeOf };

/** Inputs and outputs by the type token of a resource, or `pulumi:providers:<package>` for a provider. */
export type PluginContract = Record<string, { readonly inputs: TypeOf; readonly outputs?: TypeOf }>;

interface PropertySpec {
    readonly type?: string;
    readonly items?: PropertySpec;
    readonly additionalProperties?: PropertySpec;
    readonly $ref?: string;
}
type Properties = Readonly<Record<string, PropertySpec>>;
interface ObjectSpec {
    readonly properties: Properties;
    readonly required?: readonly string[];
    readonly inputProperties?: Properties;
    readonly requiredInputs?: readonly string[];
}
/** The part of a Pulumi package schema that is read here. */
export interface PackageSchema {
    readonly name: string;
    readonly provider: ObjectSpec;
    readonly resources: Readonly<Record<string, ObjectSpec>>;
    readonly types?: Readonly<Record<string, ObjectSpec>>;
}

/** Reduces a plugin's schema to names and types. */
export function contractOf(schema: PackageSchema): PluginContract {
    const typeOf = (spec: PropertySpec): TypeOf => {
        if (spec.$ref !== undefined) {
            const type = schema.types![spec.$ref.replace("#/types/", "")]!;
            return fieldsOf(type.properties, type.required);
        }
        if (spec.items !== undefined) {
            return [typeOf(spec.items)];
        }
        if (spec.additionalProperties !== undefined) {
            return { "*": typeOf(spec.additionalProperties) };
        }
        return spec.type === "integer" ? "number" : spec.type!;
    };
    const fieldsOf = (properties: Properties = {}, required: readonly string[] = []): TypeOf =>
        Object.fromEntries(
            Object.entries(properties).map(([name, spec]) => [
                required.includes(name) ? name : `${name}?`,
                typeOf(spec),
            ]),
        );
    const inputsOf = (spec: ObjectSpec): TypeOf => fieldsOf(spec.inputProperties, spec.requiredInputs);
    return {
        [`pulumi:providers:${schema.name}`]: { inputs: inputsOf(schema.provider) },
        ...Object.fromEntries(
            Object.entries(schema.resources).map(([token, spec]) => [
                token,
                { inputs: inputsOf(spec), outputs: fieldsOf(spec.properties, spec.required) },
            ]),
        ),
    };
}

/**
 * Asks plugins for their schema and reduces it.
 *
 * @param pulumi path of the CLI
 * @param plugins paths of the plugins' binaries
 */
export function contractOfPlugins(pulumi: string, plugins: readonly string[]): PluginContract {
    const contracts = plugins.map((plugin) => {
        const answer = execFileSync(pulumi, ["package", "get-schema", plugin], {
            encoding: "utf8",
            maxBuffer: 64 * 1024 * 1024,
        });
        return contractOf(JSON.parse(answer) as PackageSchema);
    });
    return Object.assign({}, ...contracts) as PluginContract;
}

if (require.main === module) {
    const [pulumi, ...plugins] = process.argv.slice(2);
    console.log(JSON.stringify(contractOfPlugins(pulumi!, plugins), undefined, 4));
}
