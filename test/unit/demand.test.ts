import assert from "assert";

import { parse } from "yaml";

import { type StackConfig } from "../../config";
import {
    type Amounts,
    demandOf,
    type Limit,
    limitProblems,
    objectsOf,
    podAmounts,
    quotaProblems,
    rolloutDemandOf,
    sum,
    volumeAmounts,
} from "../../config/demand";
import { valuesIn } from "../../operations/pulumi-stack";
import { stackFile } from "../../operations/stack-file";
import { parseConfig } from "../../config";
import { recordedStack } from "../support/program";
import * as fs from "fs";

const configOf = (stack: string): StackConfig => {
    const { config } = parse(fs.readFileSync(stackFile(stack), "utf8")) as {
        config: Record<string, unknown>;
    };
    return parseConfig(valuesIn(config), stack);
};

interface Workload {
    replicas?: number;
    template?: { spec: { containers: { resources: object }[]; initContainers?: { resources: object }[] } };
    resources?: { requests: { storage: string } };
    storageClassName?: string;
}

describe("what a stack asks of its namespace", () => {
    for (const stack of ["dev", "prod"]) {
        it(`is what the program of ${stack} registers`, () => {
            const found = recordedStack(stack).flatMap(({ type, inputs }): Amounts[] => {
                const spec = inputs.spec as Workload;
                if (/:(StatefulSet|Deployment)$/.test(type)) {
                    const { containers } = spec.template!.spec;
                    return Array<Amounts>(spec.replicas ?? 1).fill(
                        podAmounts(containers.map(({ resources }) => resources)),
                    );
                }
                return /:PersistentVolumeClaim$/.test(type)
                    ? [
                          volumeAmounts({
                              size: spec.resources!.requests.storage,
                              storageClass: spec.storageClassName,
                          }),
                      ]
                    : [];
            });
            assert.deepStrictEqual(demandOf(configOf(stack)), sum(found));
        });

        it(`has no pod of ${stack} that needs more to start, and no Job that needs more than a web pod`, () => {
            const [most, cpu] = [rolloutDemandOf(configOf(stack)), "limits.cpu"];
            for (const { type, inputs } of recordedStack(stack)) {
                const { template } = (inputs.spec ?? {}) as Workload;
                const all = (each: { resources: object }[] = []) =>
                    podAmounts(each.map(({ resources }) => resources));
                if (/:Job$/.test(type)) {
                    assert.ok(all(template!.spec.containers)[cpu]! <= most[cpu]!);
                } else if (template !== undefined) {
                    assert.ok(
                        (all(template.spec.initContainers)[cpu] ?? 0) <= all(template.spec.containers)[cpu]!,
                    );
                }
            }
        });
    }

    const dev = configOf("dev");
    const quota = (hard: Record<string, string>, used: Record<string, string> = {}, isScoped = false) => ({
        name: "tight",
        hard,
        used,
        isScoped,
    });
    const deployed = demandOf(dev);
    const cases: [string, ReturnType<typeof quota>, Amounts, RegExp | undefined, RegExp | undefined][] = [
        ["has room", quota({ pods: "6" }), {}, undefined, undefined],
        ["fits exactly, at first", quota({ pods: "5" }), {}, undefined, undefined],
        [
            "fits exactly, later",
            quota({ pods: "5" }, { pods: "5" }),
            deployed,
            undefined,
            /^quota tight allows pods: 5, of which 5 is left for the stack; it needs 5, and 1 more while web pods are replaced: .*awaitMinutes/,
        ],
        ["has room for a pod more", quota({ pods: "6" }, { pods: "5" }), deployed, undefined, undefined],
        [
            "is used by others",
            quota({ "count/pods": "6" }, { "count/pods": "2" }),
            {},
            /^quota tight allows count\/pods: 6, of which 4 is left for the stack, but it needs 5; ask for/,
            undefined,
        ],
        ["lacks a processor", quota({ cpu: "1m" }), {}, /allows cpu: 1m, of which 0\.001 is left/, undefined],
        [
            "lacks memory",
            quota({ "limits.memory": "1Gi" }),
            {},
            /limits\.memory: 1Gi, of which 1024Mi is left/,
            undefined,
        ],
        ["lacks storage", quota({ "requests.storage": "1Gi" }), {}, /requests\.storage: 1Gi/, undefined],
        [
            "lacks storage of the class",
            quota({ "standard.storageclass.storage.k8s.io/requests.storage": "1Gi" }),
            {},
            /standard\.storageclass/,
            undefined,
        ],
        [
            "is of another class",
            quota({ "other.storageclass.storage.k8s.io/requests.storage": "0" }),
            {},
            undefined,
            undefined,
        ],
        ["lacks volumes", quota({ persistentvolumeclaims: "3" }), {}, /persistentvolumeclaims: 3/, undefined],
        [
            "has room for fewer Services than there are",
            quota({ services: "10" }, { services: "2" }),
            {},
            /quota tight allows services: 10, of which 8 is left for the stack, but it needs 9; ask for a larger quota/,
            undefined,
        ],
        [
            "has room for no node port",
            quota({ "services.nodeports": "0" }),
            {},
            /services\.nodeports: 0, of which 0/,
            undefined,
        ],
        [
            "has room for just the objects that are there already",
            quota(
                { services: "9", "count/statefulsets.apps": "4" },
                { services: "9", "count/statefulsets.apps": "4" },
            ),
            { pods: 5 },
            undefined,
            undefined,
        ],
        [
            "counts what no container states",
            quota({ "limits.ephemeral-storage": "10Gi" }),
            {},
            /quota tight counts limits\.ephemeral-storage, so every container must state it, and those of the stack do not; ask for/,
            undefined,
        ],
        [
            "counts something else, in a form of its own",
            quota({ "requests.nvidia.com/gpu": "1e3" }),
            {},
            undefined,
            undefined,
        ],
        [
            "counts only some pods",
            quota({ pods: "0" }, {}, true),
            {},
            undefined,
            /^not checked: whether quota tight has room/,
        ],
    ];
    for (const [what, found, own, refused, remark] of cases) {
        it(`is compared with a quota that ${what}`, () => {
            const said = quotaProblems(dev, [found], own);
            assert.deepStrictEqual(
                [said.refused.length, said.remarks.length],
                [refused ? 1 : 0, remark ? 1 : 0],
            );
            assert.match(said.refused.join(), refused ?? /^$/);
            assert.match(said.remarks.join(), remark ?? /^$/);
        });
    }

    it("is compared with a quota of what a LimitRange gives every container", () => {
        const given: Limit = { name: "l", type: "Container", defaults: ["ephemeral-storage"] };
        const found = quota({ "limits.ephemeral-storage": "10Gi" });
        assert.deepStrictEqual(quotaProblems(dev, [found], {}, [given]), { refused: [], remarks: [] });
    });

    it("counts the objects that the graphs of the stacks have", () => {
        for (const stack of ["dev", "prod"]) {
            const types = recordedStack(stack).map(({ type }) => type);
            const counted = (kind: string) => types.filter((type) => type === `kubernetes:${kind}`).length;
            const objects = objectsOf(dev);
            assert.deepStrictEqual(
                [objects.services, objects.secrets, objects.configmaps, objects["count/statefulsets.apps"]],
                ["core/v1:Service", "core/v1:Secret", "core/v1:ConfigMap", "apps/v1:StatefulSet"].map(
                    counted,
                ),
                stack,
            );
        }
    });

    const limits: [Limit, RegExp | undefined][] = [
        [
            { name: "l", type: "Container", max: { memory: "4Gi", cpu: "8" }, min: { memory: "1Mi" } },
            undefined,
        ],
        [
            { name: "l", type: "Container", max: { memory: "100Mi" } },
            /^LimitRange l allows memory of at most 100Mi per Container, but redis-master has .*\(limits\.memory\); change resources of redis-master, or the LimitRange$/,
        ],
        [
            { name: "l", type: "Container", min: { cpu: "4" } },
            /at least 4 per Container, but redis-master has .*\(requests\.cpu\)/,
        ],
        [{ name: "l", type: "Pod", max: { memory: "440Mi" } }, /per Pod, but dabacluster has 448Mi/],
        [
            { name: "l", type: "PersistentVolumeClaim", max: { storage: "1Mi" } },
            /allows storage of at most 1Mi per PersistentVolumeClaim, but redis-master has .*; change storage of/,
        ],
        [
            { name: "l", type: "Container", ratio: { cpu: "10" } },
            /^LimitRange l allows a limit of cpu of at most 10 times the request per Container, but redis-master has \S+ for \S+; change/,
        ],
        [{ name: "l", type: "Container", ratio: { cpu: "1000", memory: "100" } }, undefined],
        [{ name: "l", type: "openshift.io/Image", max: { storage: "1Mi" } }, undefined],
    ];
    for (const [limit, message] of limits) {
        it(`is compared with ${JSON.stringify(limit)}`, () => {
            const said = limitProblems(dev, [limit]);
            assert.strictEqual(said.length > 0, message !== undefined);
            assert.ok(message === undefined || said.some((each) => message.test(each)), said.join("\n"));
        });
    }
});
