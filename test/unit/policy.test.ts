import assert from "assert";
import * as fs from "fs";

import { unknownCheckingProxy } from "@pulumi/policy";

import { isProduction, Resource, rules } from "../../policy/rules";
import { asSeen, violations } from "../support/policy";
import { recordedStack, STACKS } from "../support/program";

type Props = Record<string, unknown>;

/** How the engine tells a policy pack that a text is not known yet. */
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** The plan of prod with one resource changed. */
function changed(
    type: string,
    name: string,
    change: (props: Props, resource: Resource) => Partial<Resource> | void,
) {
    const plan = recordedStack("prod").map(asSeen);
    const found = plan.filter((each) => each.type === type && each.name === name);
    assert.strictEqual(found.length, 1, `${type} ${name}`);
    return plan.map((resource) => {
        const props = structuredClone(resource.props);
        return resource === found[0] ? { ...resource, props, ...change(props, resource) } : resource;
    });
}

/** The same with one container changed; `pod` is its pod's spec. */
function withContainer(
    type: string,
    name: string,
    container: string,
    change: (container: Props, pod: Props) => void,
): Resource[] {
    return changed(type, name, (props) => {
        type Workload = { template: { spec: Props } };
        const spec = props.spec as Workload & { jobTemplate?: { spec: Workload } };
        const pod = (spec.jobTemplate?.spec ?? spec).template.spec;
        const all = [pod.initContainers, pod.containers].flatMap(
            (each) => (each as Props[] | undefined) ?? [],
        );
        const found = all.find((each) => each.name === container);
        assert.ok(found, container);
        change(found, pod);
    });
}

const DEPLOYMENT = "kubernetes:apps/v1:Deployment";
const STATEFUL_SET = "kubernetes:apps/v1:StatefulSet";
const JOB = "kubernetes:batch/v1:Job";
const CRON_JOB = "kubernetes:batch/v1:CronJob";
const CLAIM = "kubernetes:core/v1:PersistentVolumeClaim";
const BUDGET = "kubernetes:policy/v1:PodDisruptionBudget";
const nginx = (change: (container: Props, pod: Props) => void) =>
    withContainer(DEPLOYMENT, "dabacluster", "nginx", change);

/** By rule: what violates it, and the messages for that. */
const EXAMPLES: Record<string, [string, () => Resource[], string[]][]> = {
    "fixed-images": [
        [
            "an image with a tag that may move",
            () => nginx((container) => (container.image = "nginx:1.26")),
            ["container nginx has image nginx:1.26; name it by its content tag or digest"],
        ],
        [
            "an init container without an image's tag",
            () =>
                withContainer(
                    STATEFUL_SET,
                    "mysql-slave",
                    "seed",
                    (container) => (container.image = "mysql"),
                ),
            ["container seed has image mysql; name it by its content tag or digest"],
        ],
    ],
    "restricted-pods": [
        [
            "a privileged container",
            () => nginx((container) => (container.securityContext = { privileged: true })),
            [
                "container nginx is privileged; leave privileged out",
                "container nginx may gain privileges; set allowPrivilegeEscalation to false",
                "container nginx keeps capabilities; drop ALL of them",
                "container nginx may write to its image; set readOnlyRootFilesystem to true",
            ],
        ],
        [
            "a pod that runs as root",
            () =>
                nginx((container, pod) => {
                    pod.securityContext = {};
                    container.securityContext = { ...(container.securityContext as Props), runAsUser: 0 };
                }),
            [
                "container dabaweb may make any system call; set seccompProfile to RuntimeDefault",
                "container nginx may run as root; set runAsNonRoot to true and no runAsUser of 0",
                "container nginx may make any system call; set seccompProfile to RuntimeDefault",
            ],
        ],
        [
            "a container with a capability",
            () =>
                nginx((container) => {
                    const capabilities = { drop: ["ALL"], add: ["NET_ADMIN"] };
                    container.securityContext = { ...(container.securityContext as Props), capabilities };
                }),
            ["container nginx has capabilities added; add none"],
        ],
        [
            "a pod in its node's network, with its node's files and a port of its node",
            () =>
                nginx((container, pod) => {
                    pod.hostNetwork = true;
                    pod.hostPID = true;
                    pod.volumes = [{ name: "logs", hostPath: { path: "/var/log" } }];
                    container.ports = [{ containerPort: 8080, hostPort: 80 }];
                }),
            [
                "the pod has hostNetwork; leave it out",
                "the pod has hostPID; leave it out",
                "volume logs is a hostPath; use a claim or an emptyDir",
                "container nginx uses a port of its node; leave hostPort out",
            ],
        ],
        [
            "a plain pod next to the workloads",
            () => [
                ...recordedStack("prod").map(asSeen),
                resource("kubernetes:core/v1:Pod", "debug", { spec: { hostIPC: true } }),
            ],
            ["the pod has hostIPC; leave it out"],
        ],
    ],
    "sized-and-probed": [
        [
            "a container without a limit and without a probe",
            () =>
                nginx((container) => {
                    container.resources = { requests: { cpu: "10m", memory: "64Mi" }, limits: { cpu: "1" } };
                    delete container.livenessProbe;
                }),
            ["container nginx has no limits.memory; set it", "container nginx has no livenessProbe; set it"],
        ],
        [
            "a migration without requests, which needs no probes",
            () =>
                withContainer(JOB, "dabacluster-migrate", "migrate", (container) => {
                    container.resources = { limits: { cpu: "1", memory: "64Mi" } };
                }),
            [
                "container migrate has no requests.cpu; set it",
                "container migrate has no requests.memory; set it",
            ],
        ],
        [
            "a scheduled run without limits",
            () =>
                withContainer(CRON_JOB, "dabacluster-cleanup", "cleanup", (container) => {
                    container.resources = { requests: { cpu: "1", memory: "64Mi" } };
                }),
            ["container cleanup has no limits.cpu; set it", "container cleanup has no limits.memory; set it"],
        ],
    ],
    "secrets-stay-secret": [
        [
            "a Secret that Pulumi's state would show",
            () =>
                changed("kubernetes:core/v1:Secret", "mysql-credentials", () => ({
                    secretOutputs: ["stringData"],
                })),
            ["data would be plain text in Pulumi's state; add it to additionalSecretOutputs"],
        ],
        [
            "a password in a variable, even if a preview does not know it yet",
            () =>
                nginx((container) => {
                    const reference = {
                        name: "API_TOKEN",
                        valueFrom: { secretKeyRef: { name: "a", key: "b" } },
                    };
                    const file = { name: "MYSQL_PASSWORD_FILE", value: "/run/secrets/mysql" };
                    const plain = unknownCheckingProxy({ name: "MYSQL_PASSWORD", value: UNKNOWN });
                    container.env = [reference, file, plain];
                }),
            ["container nginx has MYSQL_PASSWORD as plain text; mount the Secret as a file"],
        ],
        [
            "a password in a ConfigMap",
            () =>
                changed("kubernetes:core/v1:ConfigMap", "mysql-initialised", (props) => {
                    props.data = { "root-password": "x" };
                }),
            ["root-password is in a ConfigMap, which everyone can read; put it into a Secret"],
        ],
        [
            "a generated password anywhere else",
            () => [
                ...nginx((container) => (container.args = ["--login=me:0123456789abcdef@db"])),
                resource("random:index/randomPassword:RandomPassword", "extra", {
                    result: "0123456789abcdef",
                }),
                resource(
                    "random:index/randomPassword:RandomPassword",
                    "new",
                    unknownCheckingProxy({ result: UNKNOWN }),
                ),
            ],
            ["it has a generated password in plain text; mount the Secret instead"],
        ],
    ],
    "protected-data": [
        [
            "a volume that can be deleted",
            () => changed(CLAIM, "data-mysql-slave-1", () => ({ protect: false })),
            ["data-mysql-slave-1 holds data and is not protected; give it the resource option protect"],
        ],
        [
            "a marker that can be deleted, after which a master starts again empty",
            () => changed("kubernetes:core/v1:ConfigMap", "redis-initialised", () => ({ protect: false })),
            ["redis-initialised holds data and is not protected; give it the resource option protect"],
        ],
        [
            "a namespace that would delete its volumes with it",
            () => [
                ...recordedStack("prod").map(asSeen),
                resource("kubernetes:core/v1:Namespace", "namespace", {}),
            ],
            ["namespace holds data and is not protected; give it the resource option protect"],
        ],
    ],
    "unique-node-ports": [
        [
            "two Services with one nodePort",
            () =>
                changed("kubernetes:core/v1:Service", "redis-master", (props) => {
                    props.spec = { type: "NodePort", ports: [{ port: 6379, nodePort: 32002 }] };
                }),
            ["nodePort 32002/TCP is already used by Service dabacluster; give each its own port"],
        ],
    ],
    "redundant-in-production": [
        [
            "a single web pod",
            () =>
                changed(DEPLOYMENT, "dabacluster", (props) => {
                    (props.spec as Props).replicas = 1;
                }),
            ["dabacluster has 1 replicas; production needs 2 or more"],
        ],
        [
            "a budget for other pods",
            () =>
                changed(BUDGET, "redis-slave", (props) => {
                    props.spec = { selector: { matchLabels: { "app.kubernetes.io/name": "other" } } };
                }),
            ["redis-slave has no PodDisruptionBudget; a drain would take all of its pods at once"],
        ],
        [
            "pods that may all be on one node",
            () =>
                withContainer(STATEFUL_SET, "mysql-slave", "mysql", (_, pod) => {
                    delete pod.topologySpreadConstraints;
                }),
            [
                "mysql-slave has no topologySpreadConstraints for all pods with app.kubernetes.io/part-of=mysql; all of them may be on one node",
            ],
        ],
        [
            "a master that may be on the node of its only slave",
            () =>
                withContainer(STATEFUL_SET, "mysql-master", "mysql", (_, pod) => {
                    const own = { matchLabels: { "app.kubernetes.io/name": "mysql-master" } };
                    pod.topologySpreadConstraints = [{ labelSelector: own }];
                }),
            [
                "mysql-master has no topologySpreadConstraints for all pods with app.kubernetes.io/part-of=mysql; all of them may be on one node",
            ],
        ],
        [
            "web pods that may all be on one node",
            () => nginx((_, pod) => delete pod.topologySpreadConstraints),
            ["dabacluster has no topologySpreadConstraints; all of them may be on one node"],
        ],
    ],
};

function resource(type: string, name: string, props: Props): Resource {
    return {
        type,
        name,
        urn: `urn:pulumi:prod::dabaweb::${type}::${name}`,
        props,
        protect: false,
        secretOutputs: [],
    };
}

describe("the policy pack", () => {
    for (const stack of STACKS) {
        it(`finds nothing wrong with the plan of ${stack}`, () => {
            const plan = recordedStack(stack).map(asSeen);
            const production = isProduction(plan, {});
            assert.strictEqual(production, ["prod", "kept"].includes(stack));
            assert.deepStrictEqual(violations(plan, production), []);
        });
    }

    for (const [rule, examples] of Object.entries(EXAMPLES)) {
        for (const [what, plan, messages] of examples) {
            it(`refuses ${what} (${rule})`, () => {
                assert.deepStrictEqual(
                    violations(plan(), true),
                    messages.map((message) => `${rule}: ${message}`),
                );
            });
        }
    }

    it("requires less of a stack whose data may be lost", () => {
        const single = changed(DEPLOYMENT, "dabacluster", (props) => {
            (props.spec as Props).replicas = 1;
        }).map((each) => ({ ...each, protect: false }));
        assert.ok(!isProduction(single, { "dabaweb:protect": "false" }));
        assert.deepStrictEqual(violations(single, false), []);
    });

    it("treats a stack as production if it says so or protects data, whatever its name", () => {
        const plan = recordedStack("dev").map(asSeen);
        assert.ok(isProduction(plan, { "dabaweb:protect": "true" }));
        assert.ok(
            isProduction(
                changed(CLAIM, "data-redis-master-0", () => ({})),
                {},
            ),
        );
        assert.ok(!isProduction(plan, { "dabaweb:protect": "false", "other:protect": "true" }));
    });

    it("does not guess what a preview does not know", () => {
        const plan = nginx((container) => (container.image = UNKNOWN)).map((each) => ({
            ...each,
            props: unknownCheckingProxy(each.props) as Props,
        }));
        assert.throws(() => violations(plan, true), /containers\.1\.image can't be known during preview/);
    });

    it("has at most eight rules, each with an example that violates it and a line in docs/policy.md", () => {
        const page = fs.readFileSync("docs/policy.md", "utf8").replace(/\s+/g, " ");
        assert.ok(rules.length <= 8);
        assert.deepStrictEqual(
            rules.map(({ name }) => name),
            Object.keys(EXAMPLES),
        );
        rules.forEach(({ name, description }) =>
            assert.ok(page.includes(`| \`${name}\` | ${description} |`), name),
        );
    });
});
