import assert from "assert";

import { kubernetes } from "../../local/pins";
import { apiMisfits, apiVersion } from "../support/kubernetes-api";
import { allStacks, recordedStack } from "../support/program";

const claim = {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: "data", labels: { app: "x" } },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
};

describe("the Kubernetes API's schema", () => {
    for (const stack of allStacks()) {
        it(`fits every object of stack ${stack}`, () => {
            const objects = recordedStack(stack).filter(({ type }) => type.startsWith("kubernetes:"));
            assert.ok(objects.length > 20);
            const misfits = objects.flatMap(({ name, inputs }) =>
                apiMisfits(inputs).map((misfit) => `${String(inputs.kind)} ${name}: ${misfit}`),
            );
            assert.deepStrictEqual(misfits, []);
        });
    }

    it("is that of the version that this project runs", () => {
        assert.strictEqual(apiVersion, kubernetes.built);
    });

    const deployment = (container: Record<string, unknown>) => ({
        apiVersion: "apps/v1",
        kind: "Deployment",
        spec: { selector: {}, template: { spec: { containers: [container] } } },
    });
    const wrong: readonly [string, Record<string, unknown>, string][] = [
        [
            "a field that the kind does not have",
            { ...claim, spec: { ...claim.spec, storageClas: "standard" } },
            "spec has no field storageClas",
        ],
        [
            "a misspelt field of a container",
            deployment({ name: "nginx", imagePulPolicy: "Always" }),
            "spec.template.spec.containers.0 has no field imagePulPolicy",
        ],
        [
            "a field that is not where it belongs",
            { ...claim, storageClassName: "standard" },
            "the object has no field storageClassName",
        ],
        [
            "a value of another type",
            { ...claim, spec: { ...claim.spec, accessModes: "ReadWriteOnce" } },
            "spec.accessModes must be array",
        ],
        [
            "a number in place of text",
            { ...claim, metadata: { ...claim.metadata, labels: { app: 1 } } },
            "metadata.labels.app must be string",
        ],
        [
            "a fraction in place of a whole number",
            {
                apiVersion: "policy/v1",
                kind: "PodDisruptionBudget",
                spec: { maxUnavailable: 0.5 },
            },
            "spec.maxUnavailable must be integer",
        ],
        [
            "an object without a required field",
            { apiVersion: "apps/v1", kind: "Deployment", spec: { template: {} } },
            "spec must have required property 'selector'",
        ],
        [
            "a kind that does not exist",
            { apiVersion: "apps/v1", kind: "StatefulSets" },
            "apps/v1 StatefulSets is not a kind of Kubernetes 1.34.2",
        ],
    ];
    for (const [what, object, misfit] of wrong) {
        it(`refuses ${what}`, () => {
            assert.deepStrictEqual([claim, deployment({ name: "nginx" })].flatMap(apiMisfits), []);
            assert.ok(apiMisfits(object).includes(misfit), apiMisfits(object).join("\n"));
        });
    }
});
