import * as pulumi from "@pulumi/pulumi";
import { distance } from "fastest-levenshtein";
import { z } from "zod";

import { mapImages } from "./components/images";
import { QUANTITY_PATTERN, quantityValue } from "./components/quantity";

/** The project's name in Pulumi.yaml, which is also the namespace of every key below. */
export const PROJECT = "dabaweb";

const dnsLabel = z
    .string()
    .max(63)
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, "must be a DNS label such as dabaweb-dev");

const quantity = z
    .string()
    .regex(QUANTITY_PATTERN, "must be a Kubernetes quantity such as 500m, 128Mi or 2Gi");

const amounts = z.strictObject({
    cpu: quantity.describe("Cores, for example 250m."),
    memory: quantity.describe("Bytes, for example 256Mi."),
});

const resources = z
    .strictObject({ requests: amounts, limits: amounts })
    .superRefine(({ requests, limits }, context) => {
        for (const key of ["cpu", "memory"] as const) {
            const asked = QUANTITY_PATTERN.test(requests[key]) && QUANTITY_PATTERN.test(limits[key]);
            if (asked && quantityValue(requests[key]) > quantityValue(limits[key])) {
                context.addIssue({
                    code: "custom",
                    path: ["requests", key],
                    message: `${requests[key]} is above limits.${key} ${limits[key]}; lower the request or raise the limit`,
                });
            }
        }
    });

function resourcesOf(cpu: string, memory: string, cpuLimit = "1") {
    const value = { requests: { cpu, memory }, limits: { cpu: cpuLimit, memory } };
    return resources
        .default(value)
        .describe("CPU and memory of each container; limits may not be below requests.");
}

const toleration = z.strictObject({
    key: z.string().optional(),
    operator: z.enum(["Exists", "Equal"]).optional(),
    value: z.string().optional(),
    effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]).optional(),
    tolerationSeconds: z.int().min(0).optional(),
});

const placement = {
    nodeSelector: z.record(z.string(), z.string()).default({}).describe("Node labels that a pod needs."),
    tolerations: z.array(toleration).default([]).describe("Taints that a pod tolerates."),
    priorityClassName: z
        .string()
        .optional()
        .describe("An existing PriorityClass; unset: the cluster's default."),
    awaitMinutes: z
        .int()
        .min(1)
        .max(120)
        .default(10)
        .describe("Minutes that `pulumi up` waits for readiness before it fails."),
};

const storage = {
    storage: quantity
        .default("1Gi")
        .describe("Size of each pod's volume. It may grow where the class can expand, never shrink."),
    storageClass: z
        .string()
        .optional()
        .describe(
            'Overrides the top-level `storageClass`. Unset here and there: the cluster\'s default; "": no dynamic provisioning.',
        ),
};

/** Slaves may be absent; masters are always one, which is why they have no such key. */
const slaves = z.int().min(0).max(20).default(1).describe("Number of slaves.");

const master = {
    bootstrap: z
        .string()
        .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$/, "must be a word of 1 to 40 letters, digits, dots, _ or -")
        .optional()
        .describe(
            "Override for a master that waits because its volume is lost or older than its slaves: a new word lets it go on with the most advanced slave that answers, or empty where none does. It counts once.",
        ),
};

const slave = {
    replicas: slaves,
    maxStaleSeconds: z
        .int()
        .min(5)
        .max(86_400)
        .default(30)
        .describe("Seconds that a slave's data may be old while its link to the master is up."),
    maxMasterAwaySeconds: z
        .int()
        .min(1)
        .max(86_400)
        .default(120)
        .describe("Seconds that a slave goes on serving reads while the master is away."),
};

const REDIS_RESOURCES = resourcesOf("20m", "192Mi");
const MYSQL_RESOURCES = resourcesOf("50m", "640Mi", "2");

const imageReference = z
    .string()
    .regex(/^[^\s@]+@sha256:[0-9a-f]{64}$/, "must be pinned by digest: <repository>@sha256:<64 hex digits>");

const keys = z.strictObject({
    kubeContext: z
        .string()
        .min(1)
        .describe("Context of the kubeconfig that the environment (KUBECONFIG) names. There is no default."),
    namespace: z
        .strictObject({
            name: dnsLabel.describe("Namespace of everything in the stack."),
            create: z
                .boolean()
                .describe(
                    "true: made and deleted by the stack, with every volume in it. false: it exists beforehand and survives the stack.",
                ),
        })
        .describe("Where the stack lives."),
    registry: z
        .strictObject({
            address: z
                .string()
                .regex(
                    /^[a-z0-9.-]+(:\d+)?(\/[a-z0-9._/-]+)?$/i,
                    "must be host[:port][/path] without a scheme",
                )
                .describe(
                    "host[:port][/path] to push to and pull from. A loopback host is spoken to over http.",
                ),
            username: z.string().optional().describe("Unset: the login of the Docker CLI is used."),
            password: z
                .string()
                .optional()
                .describe("Needs `username`. Set it as a secret, never in plain text."),
            pullSecret: dnsLabel
                .optional()
                .describe("An existing image pull secret; unset with a `username`: one is made from it."),
            keepImages: z
                .boolean()
                .default(true)
                .describe("false: replaced and destroyed images are deleted from the registry, by digest."),
        })
        .refine((value) => (value.username === undefined) === (value.password === undefined), {
            message: "username and password go together; set both or neither",
        })
        .describe("Where images go."),
    mirror: z
        .strictObject({
            images: z.string().optional().describe("Prefix that replaces Docker Hub for the base images."),
            pip: z.url().optional().describe("Index URL that replaces PyPI while dabaweb is built."),
        })
        .default({})
        .describe("Where builds fetch from."),
    platform: z
        .enum(["linux/amd64", "linux/arm64"])
        .default("linux/amd64")
        .describe("Platform of the images; the nodes must match."),
    images: z
        .strictObject(mapImages(() => imageReference))
        .optional()
        .describe("All six images pinned by digest: then nothing is built and Docker is not needed."),
    publicUrl: z
        .url({ protocol: /^https?$/ })
        .describe(
            "The address that browsers use: allowed hosts, CSRF origins and cookie flags follow from it.",
        ),
    service: z
        .discriminatedUnion("type", [
            z.strictObject({
                type: z.literal("NodePort"),
                nodePort: z
                    .int()
                    .min(30000)
                    .max(32767)
                    .describe("Port on every node, 30000 to 32767, one stack per cluster each."),
            }),
            z.strictObject({ type: z.literal("ClusterIP") }),
        ])
        .describe("How the web tier is reached."),
    protect: z
        .boolean()
        .default(false)
        .describe(
            "true: volumes and passwords cannot be deleted until they are unprotected; volumes outlive the stack even then, and a new `up` takes them again.",
        ),
    storageClass: z
        .string()
        .optional()
        .describe(
            'StorageClass of every volume. Unset: the cluster\'s default; "": no dynamic provisioning; a name: that class.',
        ),
    "redis-master": z
        .strictObject({ ...master, ...storage, resources: REDIS_RESOURCES, ...placement })
        .prefault({})
        .describe("The Redis master, always one pod."),
    "redis-slave": z
        .strictObject({ ...slave, ...storage, resources: REDIS_RESOURCES, ...placement })
        .prefault({})
        .describe("The Redis slaves."),
    "mysql-master": z
        .strictObject({
            onNoReplica: z
                .enum(["wait", "degrade"])
                .default("degrade")
                .describe(
                    "What a commit does while no slave confirms it. wait: it waits, so that nothing acknowledged is lost with the master's volume. degrade: it goes on alone after a second.",
                ),
            ...master,
            ...storage,
            resources: MYSQL_RESOURCES,
            ...placement,
        })
        .prefault({})
        .describe("The MySQL master, always one pod."),
    "mysql-slave": z
        .strictObject({
            ...slave,
            autoReseed: z
                .boolean()
                .default(true)
                .describe(
                    "true: a slave with a gap or with transactions of its own takes a new copy by itself, once a donor with everything it has was found. false: it waits for the operator.",
                ),
            ...storage,
            resources: MYSQL_RESOURCES,
            ...placement,
        })
        .prefault({})
        .describe("The MySQL slaves."),
    dabacluster: z
        .strictObject({
            replicas: z.int().min(1).max(100).default(1).describe("Number of web pods."),
            resources: resourcesOf("50m", "256Mi"),
            nginxResources: resourcesOf("10m", "64Mi"),
            workers: z.int().min(1).max(32).default(2).describe("gunicorn worker processes of each pod."),
            ...placement,
        })
        .prefault({})
        .describe("The web tier: dabaweb and nginx in one pod."),
});

/** The whole stack configuration: the types, the defaults, the ranges and docs/config.md come from here. */
export const schema = keys.superRefine((value, context) => {
    if (value["mysql-master"].onNoReplica === "wait" && value["mysql-slave"].replicas === 0) {
        context.addIssue({
            code: "custom",
            path: ["mysql-master", "onNoReplica"],
            message:
                "with mysql-slave.replicas 0 every commit would wait for ever; allowed is degrade, or 1 slave or more",
        });
    }
});

/** A validated stack configuration with every default filled in. */
export type StackConfig = z.infer<typeof schema>;

/**
 * Validates raw configuration values.
 *
 * @param raw the values by key, without the project prefix.
 * @returns the configuration with defaults filled in.
 * @throws pulumi.RunError naming every wrong key, its value and what is allowed.
 */
export function parseConfig(raw: Record<string, unknown>, stack: string): StackConfig {
    const result = schema.safeParse(raw);
    if (result.success) {
        return result.data;
    }
    const problems = result.error.issues.flatMap((issue) => describeIssue(issue, raw));
    throw new pulumi.RunError(
        `Pulumi.${stack}.yaml is not valid, nothing was changed:\n${problems.map((p) => `  - ${p}`).join("\n")}`,
    );
}

/**
 * Reads the configuration of the current stack. It is the only reader of stack configuration.
 *
 * @throws pulumi.RunError as {@link parseConfig}.
 */
export function readConfig(): StackConfig {
    const config = new pulumi.Config(PROJECT);
    const raw: Record<string, unknown> = {};
    for (const fullKey of Object.keys(pulumi.runtime.allConfig())) {
        if (fullKey.startsWith(`${PROJECT}:`)) {
            const key = fullKey.slice(PROJECT.length + 1);
            raw[key] = parseValue(config.get(key) ?? "");
        }
    }
    return parseConfig(raw, pulumi.getStack());
}

/** Pulumi hands every value over as text; objects, numbers and booleans are JSON in it. */
function parseValue(text: string): unknown {
    try {
        return JSON.parse(text);
    } catch {
        return text;
    }
}

function describeIssue(issue: z.core.$ZodIssue, raw: Record<string, unknown>): string[] {
    const path = issue.path.map(String);
    const key = [PROJECT, path.join(".")].join(":");
    if (issue.code === "unrecognized_keys") {
        return issue.keys.map((unknown) => {
            const full = [...path, unknown].join(".");
            return `${PROJECT}:${full} is an unknown key; ${suggestion(unknown, knownKeys(path))}`;
        });
    }
    const value = path.reduce<unknown>(
        (at, step) => (at as Record<string, unknown> | undefined)?.[step],
        raw,
    );
    if (value === undefined) {
        return [`${key} is missing; ${allowed(issue)} (see docs/config.md).`];
    }
    const hidePasswords = (name: string, item: unknown) => (/password/i.test(name) ? "[secret]" : item);
    const shown = /password/i.test(key) ? "[secret]" : JSON.stringify(value, hidePasswords);
    return [`${key} is ${shown}; ${allowed(issue)} (see docs/config.md).`];
}

function allowed(issue: z.core.$ZodIssue): string {
    switch (issue.code) {
        case "too_small":
            return `it must be ${issue.minimum} or more`;
        case "too_big":
            return `it must be ${issue.maximum} or less`;
        case "invalid_value":
            return `allowed is ${issue.values.map(String).join(" or ")}`;
        case "invalid_type":
            return `it must be of type ${issue.expected === "int" ? "whole number" : issue.expected}`;
        case "invalid_union":
            return issue.discriminator === "type"
                ? "type must be NodePort or ClusterIP"
                : "no form of it fits";
        default:
            return issue.message;
    }
}

/** The keys that the schema knows at `path`, for suggestions; empty where the schema is not an object. */
function knownKeys(path: string[]): string[] {
    let at: unknown = schema;
    for (const step of ["", ...path]) {
        if (step !== "") {
            at = at instanceof z.ZodObject ? at.shape[step] : undefined;
        }
        while (at instanceof z.ZodOptional || at instanceof z.ZodDefault || at instanceof z.ZodPrefault) {
            at = at.unwrap();
        }
    }
    return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

function suggestion(unknown: string, known: string[]): string {
    const nearest = known
        .map((key) => ({ key, edits: distance(unknown.toLowerCase(), key.toLowerCase()) }))
        .sort((a, b) => a.edits - b.edits)[0];
    if (nearest && nearest.edits <= Math.max(2, unknown.length / 3)) {
        return `did you mean ${nearest.key}?`;
    }
    return known.length > 0 ? `known keys are ${known.join(", ")}.` : "remove it.";
}
