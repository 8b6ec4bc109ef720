/**
 * Rules that every stack's plan has to follow, no matter who changed it. They work on plain resources, so that the tests can
 * run them on recorded graphs. docs/policy.md explains each rule.
 */
import { UnknownValueError } from "@pulumi/policy";

/** A resource as a rule sees it. */
export interface Resource {
    readonly type: string;
    readonly name: string;
    readonly urn: string;
    readonly props: Record<string, unknown>;
    readonly protect: boolean;
    /** Outputs that Pulumi keeps encrypted. */
    readonly secretOutputs: readonly string[];
}

/** What is wrong with one resource of a stack, in one sentence. */
export interface Violation {
    readonly urn: string;
    readonly message: string;
}

export interface Rule {
    readonly name: string;
    readonly description: string;
    /** What is wrong with a resource by itself. */
    readonly resource?: (resource: Resource) => string[];
    /** What is wrong with resources together. */
    readonly stack?: (resources: readonly Resource[], isProduction: boolean) => Violation[];
}

interface Amounts {
    readonly cpu?: string;
    readonly memory?: string;
}

interface SecurityContext {
    readonly privileged?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly runAsNonRoot?: boolean;
    readonly runAsUser?: number;
    readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
    readonly seccompProfile?: { readonly type?: string };
}

interface Variable {
    readonly name: string;
    readonly value?: string;
}

interface Container {
    readonly name: string;
    readonly image?: string;
    readonly env?: readonly Variable[];
    readonly ports?: readonly { readonly hostPort?: number }[];
    readonly resources?: { readonly requests?: Amounts; readonly limits?: Amounts };
    readonly securityContext?: SecurityContext;
    readonly startupProbe?: unknown;
    readonly readinessProbe?: unknown;
    readonly livenessProbe?: unknown;
}

interface PodSpec {
    readonly containers?: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly securityContext?: SecurityContext;
    readonly hostNetwork?: boolean;
    readonly hostPID?: boolean;
    readonly hostIPC?: boolean;
    readonly volumes?: readonly { readonly name: string; readonly hostPath?: unknown }[];
    readonly topologySpreadConstraints?: readonly {
        readonly labelSelector?: { readonly matchLabels?: Labels };
    }[];
}

type Labels = Readonly<Record<string, string>>;

interface Workload {
    readonly replicas?: number;
    readonly template?: { readonly metadata?: { readonly labels?: Labels }; readonly spec?: PodSpec };
}

const POD = "kubernetes:core/v1:Pod";
const DEPLOYMENT = "kubernetes:apps/v1:Deployment";
const STATEFUL_SET = "kubernetes:apps/v1:StatefulSet";
/** Workloads that run until someone stops them, and therefore need probes. */
const SERVING = [DEPLOYMENT, STATEFUL_SET, "kubernetes:apps/v1:DaemonSet"];
/** The label that a master and its slaves share. */
const PART_OF = "app.kubernetes.io/part-of";
const SECRET = "kubernetes:core/v1:Secret";
const CONFIG_MAP = "kubernetes:core/v1:ConfigMap";
const PASSWORD = "random:index/randomPassword:RandomPassword";

/** A content tag in the format of components/content.ts, or a digest. */
const FIXED_IMAGE = /(:[0-9a-f]{20}|@sha256:[0-9a-f]{64})$/;

/** Names of variables and keys that contain a secret itself, not the path of a file that contains it. */
const SECRET_NAME = /(PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE[-_]?KEY|API[-_]?KEY)$/i;

export const rules: readonly Rule[] = [
    {
        name: "fixed-images",
        description:
            "Every container's image is named by a digest, or by a content tag, which a preview knows before the push.",
        resource: (resource) =>
            containersOf(resource)
                .filter(({ image = "" }) => !FIXED_IMAGE.test(image))
                .map(
                    ({ name, image }) =>
                        `container ${name} has image ${image}; name it by its content tag or digest`,
                ),
    },
    {
        name: "restricted-pods",
        description: "No pod is privileged, runs as root, writes to its image or accesses its node.",
        resource: (resource) => {
            const spec = podSpecOf(resource);
            return spec === undefined
                ? []
                : [...hostAccess(spec), ...containersOf(resource).flatMap((each) => freedoms(each, spec))];
        },
    },
    {
        name: "sized-and-probed",
        description:
            "Every container has requests and limits, and every serving container has all three probes.",
        resource: (resource) => [
            ...containersOf(resource).flatMap(unsized),
            ...(SERVING.includes(resource.type)
                ? (podSpecOf(resource)?.containers ?? []).flatMap(unprobed)
                : []),
        ],
    },
    {
        name: "secrets-stay-secret",
        description:
            "A secret is only in Secrets, is encrypted in Pulumi's state, and reaches containers as a file or a reference.",
        resource: (resource) => [
            ...plainOutputs(resource),
            ...containersOf(resource).flatMap(plainVariables),
            ...plainKeys(resource),
        ],
        stack: (resources) => {
            const passwords = resources
                .filter(({ type }) => type === PASSWORD)
                .flatMap(({ props }) => textsIn([known(() => props.result)]));
            return resources
                .filter(({ type }) => type.startsWith("kubernetes:") && type !== SECRET)
                .filter(({ props }) =>
                    textsIn(props).some((text) => passwords.some((password) => text.includes(password))),
                )
                .map(({ urn }) => ({
                    urn,
                    message: "it has a generated password in plain text; mount the Secret instead",
                }));
        },
    },
    {
        name: "protected-data",
        description:
            "In production, everything that holds data, or whose deletion would delete data, is protected from deletion.",
        stack: (resources, production) =>
            resources
                .filter((resource) => production && holdsData(resource) && !resource.protect)
                .map(({ urn, name }) => ({
                    urn,
                    message: `${name} holds data and is not protected; give it the resource option protect`,
                })),
    },
    {
        name: "unique-node-ports",
        description: "No two Services of a stack request the same nodePort.",
        stack: (resources) => {
            const taken = new Map<string, string>();
            return resources.flatMap(({ urn, name, type, props }) =>
                type !== "kubernetes:core/v1:Service"
                    ? []
                    : nodePorts(props).flatMap((port) => {
                          const other = taken.get(port);
                          taken.set(port, other ?? name);
                          const message = `nodePort ${port} is already used by Service ${other}; give each its own port`;
                          return other === undefined ? [] : [{ urn, message }];
                      }),
            );
        },
    },
    {
        name: "redundant-in-production",
        description:
            "In production, there are two or more web pods, replicated pods are drained one at a time, and the pods of a system, a master and its slaves together, are spread over the nodes.",
        stack: (resources, production) => {
            const budgets = resources.filter(
                ({ type }) => type === "kubernetes:policy/v1:PodDisruptionBudget",
            );
            return resources
                .filter(({ type }) => production && SERVING.includes(type))
                .flatMap((resource) =>
                    [...alone(resource, budgets), ...unspread(resource, resources)].map((problem) => ({
                        urn: resource.urn,
                        message: `${resource.name} ${problem}`,
                    })),
                );
        },
    },
];

/**
 * Whether a stack's data must not be lost: its configuration says so (`protect`), or it protects data. The name does not
 * decide it: the user chooses the name, and a copy of the stack file would not keep it.
 *
 * @param config texts by full key, as the engine passes them to policy packs.
 */
export function isProduction(
    resources: readonly Resource[],
    config: Readonly<Record<string, string>>,
): boolean {
    return (
        config["dabaweb:protect"] === "true" ||
        resources.some((resource) => holdsData(resource) && resource.protect)
    );
}

/** Volumes, the namespace whose deletion would delete them, and the markers that keep a master from starting over, empty. */
function holdsData({ type, name }: Resource): boolean {
    return (
        [
            "kubernetes:core/v1:PersistentVolumeClaim",
            "kubernetes:core/v1:PersistentVolume",
            "kubernetes:core/v1:Namespace",
        ].includes(type) ||
        (type === CONFIG_MAP && name.endsWith("-initialised"))
    );
}

/** The spec of the pod that a resource is, or of the pods that it creates. */
function podSpecOf({ type, props }: Resource): PodSpec | undefined {
    if (type === POD) {
        return props.spec as PodSpec;
    }
    const spec = props.spec as (Workload & { jobTemplate?: { spec?: Workload } }) | undefined;
    return type.startsWith("kubernetes:") ? (spec?.jobTemplate?.spec ?? spec)?.template?.spec : undefined;
}

function containersOf(resource: Resource): Container[] {
    const spec = podSpecOf(resource);
    return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
}

function hostAccess({ hostNetwork, hostPID, hostIPC, volumes = [] }: PodSpec): string[] {
    const shared = Object.entries({ hostNetwork, hostPID, hostIPC })
        .filter(([, isShared]) => isShared === true)
        .map(([name]) => `the pod has ${name}; leave it out`);
    const mounted = volumes
        .filter(({ hostPath }) => hostPath !== undefined)
        .map(({ name }) => `volume ${name} is a hostPath; use a claim or an emptyDir`);
    return [...shared, ...mounted];
}

/** What a container may do that Pod Security `restricted`, or a read-only image, does not allow. */
function freedoms({ name, ports = [], securityContext: own = {} }: Container, pod: PodSpec): string[] {
    const runAsNonRoot = own.runAsNonRoot ?? pod.securityContext?.runAsNonRoot;
    const runAsUser = own.runAsUser ?? pod.securityContext?.runAsUser;
    const seccomp = own.seccompProfile?.type ?? pod.securityContext?.seccompProfile?.type;
    const wrong: Readonly<Record<string, boolean>> = {
        "is privileged; leave privileged out": own.privileged === true,
        "may gain privileges; set allowPrivilegeEscalation to false": own.allowPrivilegeEscalation !== false,
        "keeps capabilities; drop ALL of them": !(own.capabilities?.drop ?? []).includes("ALL"),
        "has capabilities added; add none": (own.capabilities?.add ?? []).length > 0,
        "may run as root; set runAsNonRoot to true and no runAsUser of 0":
            runAsNonRoot !== true || runAsUser === 0,
        "may write to its image; set readOnlyRootFilesystem to true": own.readOnlyRootFilesystem !== true,
        "may make any system call; set seccompProfile to RuntimeDefault": ![
            "RuntimeDefault",
            "Localhost",
        ].includes(seccomp ?? ""),
        "uses a port of its node; leave hostPort out": ports.some(({ hostPort = 0 }) => hostPort > 0),
    };
    return Object.keys(wrong)
        .filter((problem) => wrong[problem])
        .map((problem) => `container ${name} ${problem}`);
}

function unsized({ name, resources }: Container): string[] {
    return (["requests", "limits"] as const).flatMap((kind) =>
        (["cpu", "memory"] as const)
            .filter((amount) => resources?.[kind]?.[amount] === undefined)
            .map((amount) => `container ${name} has no ${kind}.${amount}; set it`),
    );
}

function unprobed(container: Container): string[] {
    return (["startupProbe", "readinessProbe", "livenessProbe"] as const)
        .filter((probe) => container[probe] === undefined)
        .map((probe) => `container ${container.name} has no ${probe}; set it`);
}

/** What a workload lacks to survive the loss of one node. */
function alone({ type, props }: Resource, budgets: readonly Resource[]): string[] {
    const { replicas = 1, template } = props.spec as Workload;
    if (replicas < 2) {
        return type === DEPLOYMENT ? [`has ${replicas} replicas; production needs 2 or more`] : [];
    }
    const isCovered = budgets.some(({ props: { spec } }) =>
        selects((spec as { selector?: { matchLabels?: Labels } }).selector?.matchLabels, template),
    );
    return isCovered ? [] : ["has no PodDisruptionBudget; a drain would take all of its pods at once"];
}

function selects(wanted: Labels = {}, template: Workload["template"]): boolean {
    const labels = template?.metadata?.labels ?? {};
    const entries = Object.entries(wanted);
    return entries.length > 0 && entries.every(([key, value]) => labels[key] === value);
}

/** What a workload lacks so that its pods, and a master's with those of its slaves, are not all on one node. */
function unspread({ type, props }: Resource, resources: readonly Resource[]): string[] {
    const own = props.spec as Workload;
    const system = own.template?.metadata?.labels?.[PART_OF];
    const together = resources
        .filter((each) => type === STATEFUL_SET && each.type === type && system !== undefined)
        .map((each) => each.props.spec as Workload)
        .filter(({ template }) => template?.metadata?.labels?.[PART_OF] === system);
    const workloads = together.length > 0 ? together : [own];
    const pods = workloads.reduce((sum, { replicas = 1 }) => sum + replicas, 0);
    const isSpread = (own.template?.spec?.topologySpreadConstraints ?? []).some(({ labelSelector }) =>
        workloads.every(({ template }) => selects(labelSelector?.matchLabels, template)),
    );
    return pods < 2 || isSpread || own.replicas === 0
        ? []
        : [
              "has no topologySpreadConstraints" +
                  (workloads.length > 1 ? ` for all pods with ${PART_OF}=${system}` : "") +
                  "; all of them may be on one node",
          ];
}

function nodePorts(props: Resource["props"]): string[] {
    const { ports = [] } = (props.spec ?? {}) as {
        ports?: readonly { nodePort?: number; protocol?: string }[];
    };
    return ports.flatMap(({ nodePort, protocol = "TCP" }) =>
        nodePort === undefined ? [] : [`${nodePort}/${protocol}`],
    );
}

function plainOutputs({ type, secretOutputs }: Resource): string[] {
    return type !== SECRET
        ? []
        : ["data", "stringData"]
              .filter((output) => !secretOutputs.includes(output))
              .map(
                  (output) =>
                      `${output} would be plain text in Pulumi's state; add it to additionalSecretOutputs`,
              );
}

function plainVariables({ name, env = [] }: Container): string[] {
    return env
        .filter((variable) => SECRET_NAME.test(variable.name) && isPlain(variable))
        .map(
            (variable) => `container ${name} has ${variable.name} as plain text; mount the Secret as a file`,
        );
}

/** Whether a variable has its value, known or not yet known, in the plan itself instead of a reference to a Secret. */
function isPlain(variable: Variable): boolean {
    const value = known(() => variable.value, "not known yet");
    return value !== undefined && value !== "";
}

function plainKeys({ type, props }: Resource): string[] {
    const { data = {} } = props as { data?: object };
    return type !== CONFIG_MAP
        ? []
        : Object.keys(data)
              .filter((key) => SECRET_NAME.test(key))
              .map((key) => `${key} is in a ConfigMap, which everyone can read; put it into a Secret`);
}

/** Every text in a value, without what a preview does not know yet. */
function textsIn(value: unknown): string[] {
    if (typeof value === "string") {
        return [value];
    }
    return value !== null && typeof value === "object"
        ? Object.keys(value).flatMap((key) => textsIn(known(() => (value as Record<string, unknown>)[key])))
        : [];
}

function known(read: () => unknown, otherwise?: unknown): unknown {
    try {
        return read();
    } catch (error) {
        if (error instanceof UnknownValueError) {
            return otherwise;
        }
        throw error;
    }
}
