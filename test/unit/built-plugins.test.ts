/**
 * local/from-source builds these plugins; they do not come from the publisher of the npm SDKs. Every name and type that an
 * SDK sends or reads must be one that the plugin accepts or returns (recorded in built-plugins.json).
 */
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import * as ts from "typescript";
import { contractOf, type PluginContract, type TypeOf } from "../../local/from-source/plugin-contract";

type Outputs<R> = {
    [K in keyof R as K extends "id" | "urn" ? never : R[K] extends pulumi.Output<unknown> ? K : never]: Value<
        R[K]
    >;
};
type Value<T> = T extends pulumi.Output<infer V> ? V : never;

/** What the SDKs declare; the compiler reads it below. */
export interface Sdk {
    "pulumi:providers:random": { inputs: pulumi.Unwrap<random.ProviderArgs> };
    "random:index/randomPassword:RandomPassword": {
        inputs: pulumi.Unwrap<random.RandomPasswordArgs>;
        outputs: Outputs<random.RandomPassword>;
    };
    "pulumi:providers:docker": { inputs: pulumi.Unwrap<docker.ProviderArgs> };
    "docker:index/remoteImage:RemoteImage": {
        inputs: pulumi.Unwrap<docker.RemoteImageArgs>;
        outputs: Outputs<docker.RemoteImage>;
    };
    "docker:index/registryImage:RegistryImage": {
        inputs: pulumi.Unwrap<docker.RegistryImageArgs>;
        outputs: Outputs<docker.RegistryImage>;
    };
}

describe("built plugins", () => {
    it("accept every input and return every output that the npm SDKs know, with the same types", () => {
        const recorded = path.join(__dirname, "../../local/from-source/built-plugins.json");
        assert.deepEqual(JSON.parse(readFileSync(recorded, "utf8")), sdkContract());
    });

    it("have their schemas reduced to names and types", () => {
        const schema = {
            name: "p",
            provider: {
                properties: {},
                inputProperties: { key: { type: "string" } },
                requiredInputs: ["key"],
            },
            resources: {
                "p:index:R": {
                    properties: {
                        size: { type: "integer" },
                        map: { additionalProperties: { type: "string" } },
                    },
                    required: ["size"],
                    inputProperties: { list: { items: { $ref: "#/types/p:index:T" } } },
                },
            },
            types: { "p:index:T": { properties: { on: { type: "boolean" } } } },
        };
        assert.deepEqual(contractOf(schema), {
            "pulumi:providers:p": { inputs: { key: "string" } },
            "p:index:R": {
                inputs: { "list?": [{ "on?": "boolean" }] },
                outputs: { size: "number", "map?": { "*": "string" } },
            },
        });
    });
});

/** The interface Sdk of this file, in the notation of the recorded contract. */
function sdkContract(): PluginContract {
    const program = ts.createProgram([__filename], {
        strict: true,
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.CommonJS,
        moduleResolution: ts.ModuleResolutionKind.Node10,
        esModuleInterop: true,
        skipLibCheck: true,
        types: ["node", "mocha"],
    });
    const checker = program.getTypeChecker();
    const typeOf = (type: ts.Type): TypeOf => {
        const plain = checker.getNonNullableType(type);
        if (checker.isArrayType(plain)) {
            return [typeOf(checker.getTypeArguments(plain as ts.TypeReference)[0]!)];
        }
        const values = plain.getStringIndexType();
        if (values !== undefined) {
            return { "*": typeOf(values) };
        }
        return plain.flags & ts.TypeFlags.Object ? fieldsOf(plain) : checker.typeToString(plain);
    };
    const fieldsOf = (type: ts.Type): Record<string, TypeOf> =>
        Object.fromEntries(
            type.getProperties().map((field) => {
                const fieldType = checker.getTypeOfSymbol(field);
                const given = checker.getNonNullableType(fieldType) === fieldType;
                const optional = (field.flags & ts.SymbolFlags.Optional) !== 0 || !given;
                return [optional ? `${field.name}?` : field.name, typeOf(fieldType)];
            }),
        );
    const declaration = program
        .getSourceFile(__filename)!
        .statements.find((each): each is ts.InterfaceDeclaration => ts.isInterfaceDeclaration(each))!;
    return fieldsOf(checker.getTypeAtLocation(declaration)) as PluginContract;
}
