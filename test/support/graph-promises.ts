/** What must be true of every graph of an accepted configuration. */
import assert from "assert";

import type { StackConfig } from "../../config";
import { type Graph, SECRET } from "../../review/graph";
import { apiMisfits } from "./kubernetes-api";
import { asSeen, violations } from "./policy";
import { at, ofType, type Recorded, resourcesOf } from "./program";
import { PASSWORD } from "./valid-configs";

const DATASETS = ["redis-master", "redis-slave", "mysql-master", "mysql-slave"] as const;

/** Fails unless a graph matches its configuration. */
export function isAsConfigured(config: StackConfig, graph: Graph): void {
    const recorded = resourcesOf(graph);
    countsPods(config, recorded);
    namesClasses(config, recorded);
    keepsSecrets(recorded);
    fitsTheApi(recorded);
    keepsPolicy(config, recorded);
}

function countsPods(config: StackConfig, recorded: readonly Recorded[]): void {
    const wanted = Object.fromEntries([
        ...DATASETS.map((name) => [name, podsOf(config, name)]),
        ...(config.backup === undefined ? [] : [["mysql-archive", 1]]),
    ]);
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

/** Unset, "" and a name are three different things, for each volume. */
function namesClasses(config: StackConfig, recorded: readonly Recorded[]): void {
    const claims = ofType(recorded, "kubernetes:core/v1:PersistentVolumeClaim");
    const seen = [...claims].map(([name, claim]) => [name, at(claim, "spec.storageClassName")]);
    const wanted = DATASETS.flatMap((name) =>
        Array.from({ length: podsOf(config, name) }, (_, ordinal) => [
            `data-${name}-${ordinal}`,
            config[name].storageClass ?? config.storageClass,
        ]),
    );
    if (config.backup !== undefined) {
        const { storageClass } = config.backup.archive;
        wanted.push(["data-mysql-archive-0", storageClass ?? config.storageClass]);
    }
    assert.deepStrictEqual(Object.fromEntries(seen), Object.fromEntries(wanted));
}

/** Values marked as secret are only in Secrets and logins, and no secret value is unmarked. */
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

/** The configuration may violate only one rule, the one on the number of web pods. */
function keepsPolicy(config: StackConfig, recorded: readonly Recorded[]): void {
    const single = "redundant-in-production: dabacluster has 1 replicas; production needs 2 or more";
    assert.deepStrictEqual(
        violations(recorded.map(asSeen), config.protect),
        config.protect && config.dabacluster.replicas === 1 ? [single] : [],
    );
}
