/**
 * Writes kubernetes-openapi.json: the schemas of Kubernetes' own OpenAPI documents, for the version in local/pins.ts, without
 * descriptions. Run it again when that version changes; Go is only used to fetch the module.
 *
 *     folder=$(go mod download -json k8s.io/kubernetes@v1.34.2 | sed -n 's/.*"Dir": "\(.*\)".*$/\1/p')
 *     node -r ts-node/register/transpile-only test/support/reduce-openapi.ts "$folder/api/openapi-spec/v3"
 */
import * as fs from "fs";
import * as path from "path";

import { kubernetes } from "../../local/pins";

/** The groups whose objects an application declares. */
const GROUPS = [
    "api__v1",
    "apis__apps__v1",
    "apis__autoscaling__v2",
    "apis__batch__v1",
    "apis__networking.k8s.io__v1",
    "apis__policy__v1",
    "apis__rbac.authorization.k8s.io__v1",
    "apis__scheduling.k8s.io__v1",
    "apis__storage.k8s.io__v1",
];

type Schemas = Record<string, unknown>;

/** A schema without the parts that say nothing about an object's shape. `parent`: the key of the value. */
function reduced(value: unknown, parent = ""): unknown {
    if (Array.isArray(value)) {
        return value.map((item) => reduced(item));
    }
    if (value === null || typeof value !== "object") {
        return value;
    }
    // Below `properties` the keys are the names of fields, and a field may be called description.
    const entries = Object.entries(value).filter(
        ([key]) =>
            parent === "properties" ||
            !(
                key === "description" ||
                key === "default" ||
                (key.startsWith("x-") && key !== "x-kubernetes-group-version-kind")
            ),
    );
    return Object.fromEntries(entries.map(([key, item]) => [key, reduced(item, key)]));
}

function main(folder: string): void {
    const schemas: Schemas = {};
    for (const group of GROUPS) {
        const document = JSON.parse(fs.readFileSync(path.join(folder, `${group}_openapi.json`), "utf8")) as {
            components: { schemas: Schemas };
        };
        for (const [name, schema] of Object.entries(document.components.schemas)) {
            schemas[name] ??= reduced(schema);
        }
    }
    // One line for each, so that a new version makes a readable diff.
    const lines = Object.keys(schemas)
        .sort()
        .map((name) => `${JSON.stringify(name)}:${JSON.stringify(schemas[name])}`);
    const version = JSON.stringify(kubernetes.built);
    fs.writeFileSync(
        path.join(__dirname, "kubernetes-openapi.json"),
        `{"version":${version},"schemas":{\n${lines.join(",\n")}\n}}\n`,
    );
}

const folder = process.argv[2];
if (folder === undefined) {
    throw new Error("no folder is given; name api/openapi-spec/v3 of the module k8s.io/kubernetes");
}
main(folder);
