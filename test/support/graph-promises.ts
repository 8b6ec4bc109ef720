/** What every graph has to be like that comes of an accepted configuration. */
import assert from "assert";

import type { StackConfig } from "../../config";
import { type Graph, SECRET } from "../../review/graph";
import { apiMisfits } from "./kubernetes-api";
import { asSeen, violations } from "./policy";
import { at, ofType, type Recorded, resourcesOf } from "./program";
import { PASSWORD } from "./valid-configs";

const DATASETS = ["redis-master", "redis-slave", "mysql-master", "mysql-slave"] as const;

/** Fails unless a graph is what its configuration asks for. */
export function isAsConfigured(config: StackConfig, graph: Graph): void {
    const recorded = resourcesOf(graph);
    countsPods(config, recorded);
    namesClasses(config, recorded);
    keepsSecrets(recorded);
    fitsTheApi(recorded);
    keepsPolicy(config, recorded);
}

function countsPods(config: StackConfig, recorded: readonly Recorded[]): void {
    const wanted = Object.fromEntries(DATASETS.map((name) => [name, podsOf(config, name)]));
    const replicas = [...ofType(recorded, "kubernetes:apps/v1:StatefulSet")].map(([name, workload]) => [
        name,
        at<number>(workload, "spec.replicas"),
    ]);
    assert.deepStrictEqual(Object.fromEntries(replicas), wanted);
    const web = ofType(recorded, "kubernetes:apps/v1:Deployment").get("dabacluster");
    assert.strictEqual(at(web, "spec.replicas"), config.dabacluster.replicas);
}

function podsOf(config: StackConfig, name: (typeof DATASETS)[number]): number {
    return name === "redis-slave" || name === "mysql-slave" ? config[name].replicas : 1;
}

/** Unset, "" and a name are three things, for each volume. */
function namesClasses(config: StackConfig, recorded: readonly Recorded[]): void {
    const claims = ofType(recorded, "kubernetes:core/v1:PersistentVolumeClaim");
    const seen = [...claims].map(([name, claim]) => [name, at(claim, "spec.storageClassName")]);
    const wanted = DATASETS.flatMap((name) =>
        Array.from({ length: podsOf(config, name) }, (_, ordinal) => [
            `data-${name}-${ordinal}`,
            config[name].storageClass ?? config.storageClass,
        ]),
    );
    assert.deepStrictEqual(Object.fromEntries(seen), Object.fromEntries(wanted));
}

/** What is marked as secret stands in Secrets and logins alone, and nothing that is secret is without the mark. */
function keepsSecrets(recorded: readonly Recorded[]): void {
    const allowed = ["kubernetes:core/v1:Secret", "pulumi:providers:docker"];
    for (const resource of recorded) {
        const { type, name, inputs } = resource;
        assert.ok(
            !JSON.stringify(resource).includes(PASSWORD),
            `${type} ${name} has the registry's password`,
        );
        assert.ok(
            allowed.includes(type) || !JSON.stringify(inputs).includes(SECRET),
            `${type} ${name} has a secret`,
        );
    }
}

function fitsTheApi(recorded: readonly Recorded[]): void {
    const misfits = recorded
        .filter(({ type }) => type.startsWith("kubernetes:"))
        .flatMap(({ name, inputs }) =>
            apiMisfits(inputs).map((misfit) => `${String(inputs.kind)} ${name}: ${misfit}`),
        );
    assert.deepStrictEqual(misfits, []);
}

/** Only the number of web pods is left to the configuration, and to the rule that judges it. */
function keepsPolicy(config: StackConfig, recorded: readonly Recorded[]): void {
    const single = "redundant-in-production: dabacluster has 1 replicas; production needs 2 or more";
    assert.deepStrictEqual(
        violations(recorded.map(asSeen), config.protect),
        config.protect && config.dabacluster.replicas === 1 ? [single] : [],
    );
}
