/** Every key of a stack file: its form, default and description. docs/config.md is generated from it. */
import { z } from "zod";

import { type BaseName, BASES, mapBases } from "../components/bases";
import { type ImageName, mapImages } from "../components/images";
import { quantityValue } from "../components/quantity";
import {
    anyName,
    anyText,
    bytes,
    cores,
    hostName,
    imagePrefix,
    labelKey,
    labelValue,
    namespaceName,
    objectName,
    openUrl,
    origin,
    password,
    pinnedImage,
    siteHost,
    storageClassName,
    taggedImage,
    userName,
    word,
} from "./forms";

function resourcesOf(leastMemory: string, cpu: string, memory: string, cpuLimit = "1") {
    const amounts = (least: string) =>
        z.strictObject({
            cpu: cores.describe("Cores."),
            memory: bytes(least, "4Ti", "1Gi").describe("Bytes."),
        });
    return z
        .strictObject({ requests: amounts("1Mi"), limits: amounts(leastMemory) })
        .superRefine(({ requests, limits }, context) => {
            for (const key of ["cpu", "memory"] as const) {
                if (quantityValue(requests[key]) > quantityValue(limits[key])) {
                    context.addIssue({
                        code: "custom",
                        path: ["requests", key],
                        message: `it is above limits.${key}, which is ${limits[key]}; lower the request or raise the limit`,
                    });
                }
            }
        })
        .default({ requests: { cpu, memory }, limits: { cpu: cpuLimit, memory } })
        .describe("CPU and memory of each container; limits may not be below requests.");
}

const toleration = z
    .strictObject({
        key: labelKey.optional(),
        operator: z.enum(["Exists", "Equal"]).optional(),
        value: labelValue.optional(),
        effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]).optional(),
        tolerationSeconds: z.int().min(0).max(86_400).optional(),
    })
    // What the API server would refuse half-way.
    .superRefine(({ key, operator, value, effect, tolerationSeconds }, context) => {
        const refuse = (path: string, message: string) =>
            context.addIssue({ code: "custom", path: [path], message });
        if (key === undefined && operator !== "Exists") {
            refuse(
                "operator",
                "a toleration without a key tolerates every taint; allowed is Exists, or name the key",
            );
        }
        if (operator === "Exists" && value !== undefined && value !== "") {
            refuse("value", "with operator Exists there is nothing to compare; leave it out or set Equal");
        }
        if (tolerationSeconds !== undefined && effect !== "NoExecute") {
            refuse(
                "tolerationSeconds",
                "only the effect NoExecute has a time; leave it out or set that effect",
            );
        }
    });

const placement = {
    nodeSelector: z.record(labelKey, labelValue).default({}).describe("Node labels that a pod needs."),
    tolerations: z.array(toleration).default([]).describe("Taints that a pod tolerates."),
    priorityClassName: objectName
        .optional()
        .describe("An existing PriorityClass; unset: the cluster's default."),
    awaitMinutes: z
        .int()
        .min(1)
        .max(120)
        .default(10)
        .describe("Minutes that `pulumi up` waits for readiness before it fails."),
};

const storageFrom = (least: string) => ({
    storage: bytes(least, "64Ti", "20Gi")
        .default("1Gi")
        .describe("Size of each pod's volume. It may grow where the class can expand, never shrink."),
    storageClass: storageClassName
        .optional()
        .describe(
            'Overrides the top-level `storageClass`. Unset here and there: the cluster\'s default; "": no dynamic provisioning.',
        ),
});
const REDIS_STORAGE = storageFrom("256Mi");
// The files of an empty server take some 200 MiB, and a week of binary logs as much for the heartbeats alone, beside the
// log that is being written and, on slaves, the relay log: each grows to 128 MiB before the next one is begun.
const MYSQL_STORAGE = storageFrom("1Gi");

/** Slaves may be absent; masters are always one, which is why they have no such key. */
const slaves = z.int().min(0).max(20).default(1).describe("Number of slaves.");

const master = {
    bootstrap: word
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

// With less than the first number the engines are not tested.
const REDIS_RESOURCES = resourcesOf("128Mi", "20m", "192Mi");
const MYSQL_RESOURCES = resourcesOf("512Mi", "50m", "640Mi", "2");

function ownBase(name: BaseName) {
    return taggedImage
        .optional()
        .describe(
            `Unset: the official image that images/*/Dockerfile pins in ${BASES[name]}. Name it by digest: what is pushed again under a tag alone is not noticed.`,
        );
}

function takenAsItIs(image: ImageName) {
    return pinnedImage.optional().describe(`Unset: ${image} is built by this stack.`);
}

export const keys = z.strictObject({
    kubeContext: anyName.describe(
        "Context of the kubeconfig that the environment (KUBECONFIG) names. There is no default.",
    ),
    namespace: z
        .strictObject({
            name: namespaceName.describe("Namespace of everything in the stack."),
            create: z
                .boolean()
                .describe(
                    "true: made and deleted by the stack, with every volume in it. false: it exists beforehand and survives the stack.",
                ),
        })
        .describe("Where the stack lives."),
    registry: z
        .strictObject({
            address: imagePrefix.describe(
                "host[:port][/path] to push to and pull from. A loopback host is spoken to over http.",
            ),
            username: userName
                .optional()
                .describe("Unset: the login of the Docker CLI is used, where it has one for this registry."),
            password: password
                .optional()
                .describe("Needs `username`. Set it as a secret, never in plain text."),
            pullSecret: objectName
                .optional()
                .describe(
                    "An existing image pull secret; unset with a `username`: one is made from it; unset without: the nodes need a login of their own, or none.",
                ),
            keepImages: z
                .boolean()
                .default(true)
                .describe("false: replaced and destroyed images are deleted from the registry, by digest."),
        })
        .describe("Where images go."),
    mirror: z
        .strictObject({
            images: imagePrefix
                .optional()
                .describe(
                    "Prefix that replaces Docker Hub for the official base images: <prefix>/redis is asked for. Those in `bases` are not asked of it.",
                ),
            pip: openUrl.optional().describe("Index URL that replaces PyPI while dabaweb is built."),
            proxy: openUrl
                .optional()
                .describe(
                    "HTTP proxy on the way to PyPI while dabaweb is built; its containers have to reach it, so it is no address of loopback. With `pip` beside it, that index is asked through it, too. Another proxy is another image.",
                ),
        })
        .default({})
        .describe("Where builds fetch from."),
    bases: z
        .strictObject(mapBases(ownBase))
        .default({})
        .describe(
            "Images of your own below the project's, hardened ones for example. They have what the official ones have on PATH: the server, its client, bash and coreutils; `python-build` also a C compiler and MariaDB's connector, and the same Python at the same path as `python`.",
        ),
    platform: z
        .enum(["linux/amd64", "linux/arm64"])
        .default("linux/amd64")
        .describe("Platform of the images; the nodes must match."),
    images: z
        .strictObject(mapImages(takenAsItIs))
        .default({})
        .describe(
            "Images pinned by digest, as `make promote` writes them: they are not built. With all six pinned Docker is not needed.",
        ),
    publicUrl: origin.describe(
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
                externalTrafficPolicy: z
                    .enum(["Cluster", "Local"])
                    .default("Cluster")
                    .describe(
                        "Cluster: every node's address answers; logs and the limit on sign-ins see a node's address instead of the client's. Local: they see the client's; only nodes with a web pod answer.",
                    ),
            }),
            z.strictObject({ type: z.literal("ClusterIP") }),
        ])
        .describe("How the web tier is reached."),
    ingress: z
        .strictObject({
            className: objectName.describe("An existing IngressClass."),
            host: hostName.describe("The site's name, that of `publicUrl`."),
            tlsSecret: objectName
                .optional()
                .describe(
                    "An existing Secret with certificate and key. Unset: TLS ends elsewhere, or with the controller's own.",
                ),
            annotations: z
                .record(labelKey, anyText)
                .default({})
                .describe("For the controller. An import needs bodies of 4 MB and answers within 2 minutes."),
        })
        .optional()
        .describe("An Ingress in front of the web tier; needs `service` of type ClusterIP."),
    protect: z
        .boolean()
        .default(false)
        .describe(
            "true: volumes and passwords cannot be deleted until they are unprotected; volumes outlive the stack even then, and a new `up` takes them again.",
        ),
    storageClass: storageClassName
        .optional()
        .describe(
            'StorageClass of every volume. Unset: the cluster\'s default; "": no dynamic provisioning; a name: that class. (Pulumi takes a key without a value for "", and warns.)',
        ),
    "redis-master": z
        .strictObject({ ...master, ...REDIS_STORAGE, resources: REDIS_RESOURCES, ...placement })
        .prefault({})
        .describe("The Redis master, always one pod."),
    "redis-slave": z
        .strictObject({ ...slave, ...REDIS_STORAGE, resources: REDIS_RESOURCES, ...placement })
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
            ...MYSQL_STORAGE,
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
            ...MYSQL_STORAGE,
            resources: MYSQL_RESOURCES,
            ...placement,
        })
        .prefault({})
        .describe("The MySQL slaves."),
    dabacluster: z
        .strictObject({
            replicas: z.int().min(1).max(100).default(1).describe("Number of web pods."),
            resources: resourcesOf("192Mi", "50m", "384Mi"),
            nginxResources: resourcesOf("64Mi", "10m", "64Mi"),
            workers: z
                .int()
                .min(1)
                .max(32)
                .optional()
                .describe(
                    "gunicorn worker processes of each pod. Unset: one per 192Mi of the memory limit, at most two per core.",
                ),
            extraHosts: z
                .array(siteHost)
                .default([])
                .describe(
                    "Names and addresses that the site answers to besides that of `publicUrl`, for example those of nodes.",
                ),
            publicPages: z
                .boolean()
                .default(false)
                .describe(
                    "true: /User_data and /Code_data are for everybody, salaries included, as in the source. false: for those who sign in, by their roles.",
                ),
            ...placement,
        })
        .prefault({})
        .describe("The web tier: dabaweb and nginx in one pod."),
});

/** A validated stack configuration with every default filled in. */
export type StackConfig = z.infer<typeof keys>;
