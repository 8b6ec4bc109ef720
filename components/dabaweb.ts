import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { generatedPassword } from "./credentials";
import { awaitTimeouts } from "./dataset";
import {
    containerSecurity,
    disruptionBudget,
    httpProbe,
    labels,
    memoryVolume,
    Placement,
    podDefaults,
    podMetadata,
    Resources,
    selector,
    serveFor,
    spreadAlone,
    withoutGap,
} from "./pod";
import { quantityValue } from "./quantity";

/** One replicated system that dabaweb uses. */
export interface Backend {
    /** host:port for writes. */
    readonly writer: pulumi.Input<string>;
    /** host:port for reads. If it is empty, reads go to the writer. */
    readonly readers: pulumi.Input<string>;
    /** Password of the account `dabaweb`. */
    readonly password: pulumi.Input<string>;
}

/** How the site is reached by name. */
export interface Ingress {
    /** An existing IngressClass. */
    readonly className: string;
    /** The site's host name, the same as in publicUrl. */
    readonly host: string;
    /** An existing Secret with its certificate and key. Default: TLS ends elsewhere, or with the controller's own certificate. */
    readonly tlsSecret?: string;
    /** For the controller, for example its limit on request bodies. Default: none. */
    readonly annotations?: Record<string, string>;
}

/** When rows that no one needs any more are deleted. */
export interface Cleanup {
    /** A cron expression of five fields, in UTC. Default: 17 3 * * *, every day at 03:17. */
    readonly schedule?: string;
    /** true: it does not run by itself. Default: false. */
    readonly suspend?: boolean;
    /** Age in days at which log entries are deleted. Default: 365. */
    readonly keepLogDays?: number;
}

/** The values of {@link Cleanup} that are not given. */
export const CLEANUP_DEFAULTS = { schedule: "17 3 * * *", suspend: false, keepLogDays: 365 } as const;

/** Arguments of {@link Dabaweb}. */
export interface DabawebArgs extends Placement {
    readonly namespace: pulumi.Input<string>;
    /** Image references of a matching pair: nginx contains the static files of this dabaweb image. */
    readonly images: { readonly dabaweb: pulumi.Input<string>; readonly nginx: pulumi.Input<string> };
    /** Platform of the images: the pods run on no other node. Default: any node. */
    readonly platform?: string;
    /** Number of pods, 1 or more. */
    readonly replicas: number;
    readonly mysql: Backend & {
        /** Password of the account `migration`, which only the migration uses. */
        readonly migrationPassword: pulumi.Input<string>;
        /**
         * What the migration is created after: the master, because that of an older release does not have the account, and the Job's
         * deadline would pass while many slaves are updated.
         */
        readonly master: pulumi.Resource;
        /** Name of the database. */
        readonly database: string;
    };
    readonly redis: Backend;
    /** The address that browsers use, for example http://localhost:32000. */
    readonly publicUrl: string;
    /**
     * How the pods are exposed. externalTrafficPolicy Cluster (default): every node answers, but the client's address is
     * lost. Local: only nodes with a pod answer, and the client's address is kept.
     */
    readonly service:
        | {
              readonly type: "NodePort";
              readonly nodePort: number;
              readonly externalTrafficPolicy?: "Cluster" | "Local";
          }
        | { readonly type: "ClusterIP" };
    /** An Ingress in front of the Service. Default: none. */
    readonly ingress?: Ingress;
    /** Additional hosts that the site answers to, for example addresses of nodes. Default: none. */
    readonly extraHosts?: readonly string[];
    /** CPU and memory of the container dabaweb, of the migration, and of the cleanup. */
    readonly resources: Resources;
    /** CPU and memory of the container nginx. */
    readonly nginxResources: Resources;
    /** gunicorn worker processes in each pod. Default: one per 192 MiB of the memory limit, at most two per core. */
    readonly workers?: number;
    /**
     * Threads of each worker, 1 to 32. A pod has at most workers x (threads + 1) connections to each MySQL server. At most
     * half of the threads wait in writes at a time. Default: 4.
     */
    readonly threads?: number;
    /**
     * Number of the generated key that Django signs sessions, cookies and previews with, 1 or more. What the key with the number
     * before it has signed stays valid, so raise it by 1 to change the key (some people may have to sign in again while old and new
     * pods serve side by side), and by 2 or more if it has leaked. Default: 1.
     */
    readonly secretKeyVersion?: number;
    /** Whether /User_data and /Code_data, including salaries, need no sign-in. */
    readonly publicPages: boolean;
    /** When expired sessions and old log entries are deleted. */
    readonly cleanup?: Cleanup;
    /** How many minutes Pulumi waits for the migration, and again for the pods. Default: 10. */
    readonly awaitMinutes?: number;
    /** Image pull secret. Default: none. */
    readonly pullSecret?: pulumi.Input<string>;
}

const GUNICORN_PORT = 8000;
/** Where probes are answered by threads that visitors cannot use up (images/dabaweb/app/dabaweb/probes.py). */
const PROBES_PORT = 8001;
/** The value of {@link DabawebArgs.threads} that is not given. */
export const DEFAULT_THREADS = 4;
const NGINX_PORT = 8080;
/** How long nginx in a stopping pod still answers. With 5 s, a node with 25 runnable processes per core refused requests. */
const SERVE_SECONDS = 10;

/**
 * Seconds between the deletion of a pod and SIGKILL, so that a running import can finish. Longer than nginx.conf and
 * gunicorn.conf.py wait, each after its own {@link serveFor}.
 */
const GRACE_SECONDS = 150;
/** A name server that does not answer is asked for 2 s instead of 10 s, then another one if there is one. */
const dnsConfig = {
    options: [
        { name: "timeout", value: "1" },
        { name: "attempts", value: "2" },
    ],
};
/** A run that the control plane missed by up to an hour is made up for. */
const CLEANUP_LATE_SECONDS = 3600;
/** A run that takes longer has hung, or its pod cannot start. */
const CLEANUP_SECONDS = 900;
const SECRETS = "/run/secrets/dabaweb";
const SIGNING_KEY = "secret-key";
const FORMER_SIGNING_KEY = "former-secret-key";
const MIGRATION_SECRET = "/run/secrets/dabaweb-migration";
const ADMIN_SECRET = "/run/secrets/dabaweb-admin";
/** Private addresses: every client of a ClusterIP Service is in the cluster, including the ingress controller. */
const INSIDE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
/** The nginx settings behind an ingress: from whom nginx accepts the client's address. */
const BEHIND_INGRESS = [
    ...INSIDE.map((range) => `set_real_ip_from ${range};`),
    // nginx uses the last entry, which the controller itself has added. Earlier entries may be forged.
    "real_ip_header X-Forwarded-For;",
    "",
].join("\n");

/** The web tier: a migration that runs once per image, then pods of dabaweb and nginx behind one Service, and a cleanup. */
export class Dabaweb extends pulumi.ComponentResource {
    constructor(name: string, args: DabawebArgs, opts?: pulumi.ComponentResourceOptions) {
        super("dabaweb:index:Dabaweb", name, {}, opts);
        const meta = { namespace: args.namespace, labels: labels(name, name) };
        // Its name is generated: a changed password makes a new Secret, so the pods that read it are rolled.
        const credentials = new k8s.core.v1.Secret(
            `${name}-credentials`,
            {
                metadata: meta,
                immutable: true,
                stringData: {
                    "mysql-password": args.mysql.password,
                    "redis-password": args.redis.password,
                    ...secretKeys(name, args.secretKeyVersion, { parent: this }),
                },
            },
            { parent: this },
        );
        // What may change tables is mounted in no pod that answers requests.
        const migrationCredentials = new k8s.core.v1.Secret(
            `${name}-migration`,
            {
                metadata: meta,
                immutable: true,
                stringData: { "mysql-password": args.mysql.migrationPassword },
            },
            { parent: this },
        );
        // People read it, so its name is fixed. The migration creates the account once; users change the password in the site.
        const admin = new k8s.core.v1.Secret(
            `${name}-admin`,
            {
                metadata: { ...meta, name: `${name}-admin` },
                stringData: { password: generatedPassword(`${name}-admin`, { parent: this }) },
            },
            { parent: this },
        );
        const app = appContainer(args);
        const volumes: k8s.types.input.core.v1.Volume[] = [
            memoryVolume("tmp", "64Mi"),
            { name: "credentials", secret: { secretName: credentials.metadata.name, defaultMode: 0o440 } },
        ];
        const migrationLabels = labels(name, `${name}-migrate`);
        const migration = new k8s.batch.v1.Job(
            `${name}-migrate`,
            {
                metadata: { namespace: args.namespace, labels: migrationLabels },
                spec: {
                    backoffLimit: 3,
                    activeDeadlineSeconds: (args.awaitMinutes ?? 10) * 60,
                    template: {
                        metadata: podMetadata(name, `${name}-migrate`, args),
                        spec: {
                            ...podDefaults(args, undefined, args.pullSecret),
                            dnsConfig,
                            restartPolicy: "Never",
                            containers: [migrateContainer(args)],
                            volumes: [
                                ...volumes,
                                {
                                    name: "migration",
                                    secret: {
                                        secretName: migrationCredentials.metadata.name,
                                        defaultMode: 0o440,
                                    },
                                },
                                {
                                    name: "admin",
                                    secret: { secretName: admin.metadata.name, defaultMode: 0o440 },
                                },
                            ],
                        },
                    },
                },
            },
            {
                parent: this,
                dependsOn: args.mysql.master,
                customTimeouts: awaitTimeouts(args.awaitMinutes),
                // A Job that has exceeded its deadline stays failed, even with a longer deadline.
                replaceOnChanges: ["spec.activeDeadlineSeconds"],
            },
        );
        const cleanup = { ...CLEANUP_DEFAULTS, ...args.cleanup };
        // Updated in place: a run that is in progress ends with the old image.
        new k8s.batch.v1.CronJob(
            `${name}-cleanup`,
            {
                metadata: {
                    namespace: args.namespace,
                    labels: labels(name, `${name}-cleanup`),
                    name: `${name}-cleanup`,
                },
                spec: {
                    schedule: cleanup.schedule,
                    timeZone: "Etc/UTC",
                    suspend: cleanup.suspend,
                    concurrencyPolicy: "Forbid",
                    startingDeadlineSeconds: CLEANUP_LATE_SECONDS,
                    successfulJobsHistoryLimit: 3,
                    failedJobsHistoryLimit: 1,
                    jobTemplate: {
                        metadata: { labels: labels(name, `${name}-cleanup`) },
                        spec: {
                            backoffLimit: 3,
                            activeDeadlineSeconds: CLEANUP_SECONDS,
                            template: {
                                metadata: podMetadata(name, `${name}-cleanup`, args),
                                spec: {
                                    ...podDefaults(args, undefined, args.pullSecret),
                                    dnsConfig,
                                    restartPolicy: "Never",
                                    containers: [cleanupContainer(app, cleanup.keepLogDays)],
                                    volumes,
                                },
                            },
                        },
                    },
                },
            },
            { parent: this, dependsOn: [migration] },
        );
        const proxies = args.ingress && ingressed(name, meta, args.ingress, { parent: this });
        new k8s.apps.v1.Deployment(
            name,
            {
                metadata: { ...meta, name },
                spec: {
                    replicas: args.replicas,
                    ...withoutGap,
                    selector: { matchLabels: selector(name) },
                    template: {
                        metadata: podMetadata(name, name, args),
                        spec: {
                            ...podDefaults(args, spreadAlone(name, args.replicas), args.pullSecret),
                            dnsConfig,
                            terminationGracePeriodSeconds: GRACE_SECONDS,
                            containers: [
                                {
                                    ...app,
                                    args: ["serve"],
                                    ports: [
                                        { name: "gunicorn", containerPort: GUNICORN_PORT },
                                        { name: "probes", containerPort: PROBES_PORT },
                                    ],
                                    startupProbe: httpProbe("/livez", PROBES_PORT, 2, 60),
                                    readinessProbe: httpProbe("/readyz", PROBES_PORT, 5, 2),
                                    livenessProbe: httpProbe("/livez", PROBES_PORT, 10, 6),
                                    // Longer than nginx, which still forwards its last requests.
                                    lifecycle: serveFor(SERVE_SECONDS + 3),
                                },
                                nginxContainer(args, proxies !== undefined),
                            ],
                            volumes: [
                                ...volumes,
                                memoryVolume("nginx", "32Mi"),
                                ...(proxies === undefined
                                    ? []
                                    : [{ name: "proxies", configMap: { name: proxies.metadata.name } }]),
                            ],
                        },
                    },
                },
            },
            { parent: this, dependsOn: [migration], customTimeouts: awaitTimeouts(args.awaitMinutes) },
        );
        new k8s.core.v1.Service(
            name,
            {
                metadata: { ...meta, name },
                spec: {
                    type: args.service.type,
                    ...(args.service.type === "NodePort"
                        ? { externalTrafficPolicy: args.service.externalTrafficPolicy ?? "Cluster" }
                        : {}),
                    selector: selector(name),
                    ports: [
                        {
                            name: "http",
                            port: 80,
                            targetPort: NGINX_PORT,
                            ...(args.service.type === "NodePort" ? { nodePort: args.service.nodePort } : {}),
                        },
                    ],
                },
            },
            { parent: this },
        );
        disruptionBudget(name, name, args.namespace, args.replicas, { parent: this });
        this.registerOutputs({});
    }
}

/** The keys that sign, and that signed before. The one that the first installations had has no number in its name. */
function secretKeys(
    name: string,
    version = 1,
    opts: pulumi.CustomResourceOptions,
): Record<string, pulumi.Output<string>> {
    const key = (number: number): pulumi.Output<string> =>
        generatedPassword(`${name}-secret-key${number > 1 ? `-${number}` : ""}`, opts, 64);
    return {
        [SIGNING_KEY]: key(version),
        ...(version > 1 ? { [FORMER_SIGNING_KEY]: key(version - 1) } : {}),
    };
}

/**
 * Uses the same image as {@link appContainer}. It is the only container that may change tables, and that has the first
 * admin's password.
 */
function migrateContainer(args: DabawebArgs): k8s.types.input.core.v1.Container {
    const app = appContainer(args, "migration", `${MIGRATION_SECRET}/mysql-password`);
    return {
        ...app,
        name: "migrate",
        args: ["migrate"],
        env: [...app.env, { name: "ADMIN_PASSWORD_FILE", value: `${ADMIN_SECRET}/password` }],
        volumeMounts: [
            ...app.volumeMounts,
            { name: "migration", mountPath: MIGRATION_SECRET, readOnly: true },
            { name: "admin", mountPath: ADMIN_SECRET, readOnly: true },
        ],
    };
}

function cleanupContainer(
    app: ReturnType<typeof appContainer>,
    keepLogDays: number,
): k8s.types.input.core.v1.Container {
    return { ...app, name: "cleanup", args: ["cleanup", "--keep-log-days", String(keepLogDays)] };
}

function appContainer(args: DabawebArgs, account = "dabaweb", passwordFile = `${SECRETS}/mysql-password`) {
    const env: Record<string, pulumi.Input<string>> = {
        MYSQL_WRITER: args.mysql.writer,
        MYSQL_READERS: args.mysql.readers,
        MYSQL_DATABASE: args.mysql.database,
        MYSQL_USER: account,
        MYSQL_PASSWORD_FILE: passwordFile,
        REDIS_WRITER: args.redis.writer,
        REDIS_READERS: args.redis.readers,
        REDIS_USER: "dabaweb",
        REDIS_PASSWORD_FILE: `${SECRETS}/redis-password`,
        SECRET_KEY_FILE: `${SECRETS}/${SIGNING_KEY}`,
        ...((args.secretKeyVersion ?? 1) > 1
            ? { FORMER_SECRET_KEY_FILE: `${SECRETS}/${FORMER_SIGNING_KEY}` }
            : {}),
        PUBLIC_URL: args.publicUrl,
        PUBLIC_PAGES: String(args.publicPages),
        EXTRA_HOSTS: (args.extraHosts ?? []).join(","),
        WEB_WORKERS: String(args.workers ?? workersFor(args.resources)),
        WEB_THREADS: String(args.threads ?? DEFAULT_THREADS),
    };
    return {
        name: "dabaweb",
        image: args.images.dabaweb,
        imagePullPolicy: "IfNotPresent",
        env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
        resources: args.resources,
        securityContext: containerSecurity,
        terminationMessagePolicy: "FallbackToLogsOnError",
        volumeMounts: [
            { name: "tmp", mountPath: "/tmp" },
            { name: "credentials", mountPath: SECRETS, readOnly: true },
        ],
    };
}

/** The most connections that the site opens to each MySQL server: during a rollout, with the cleanup. */
export function connectionsOf({
    replicas,
    resources,
    workers = workersFor(resources),
    threads = DEFAULT_THREADS,
}: Pick<DabawebArgs, "replicas" | "resources" | "workers" | "threads">): number {
    // One more pod while pods are replaced (withoutGap), one more connection per worker for its readiness, and 3 for a Job.
    return (replicas + 1) * workers * (threads + 1) + 3;
}

/** As many workers as fit in memory and as the cores can keep busy. */
export function workersFor({ limits }: Resources): number {
    const byMemory = Math.floor(quantityValue(limits.memory) / (192 * 2 ** 20));
    return Math.max(1, Math.min(byMemory, Math.ceil(quantityValue(limits.cpu) * 2), 64));
}

/** Creates the Ingress and returns the nginx settings behind it, under a generated name, so that a change rolls the pods. */
function ingressed(
    name: string,
    meta: { namespace: pulumi.Input<string>; labels: Record<string, string> },
    { className, host, tlsSecret, annotations }: Ingress,
    opts: pulumi.CustomResourceOptions,
): k8s.core.v1.ConfigMap {
    const backend = { service: { name, port: { name: "http" } } };
    new k8s.networking.v1.Ingress(
        name,
        {
            // Pulumi would wait for an address, which many controllers never set.
            metadata: { ...meta, name, annotations: { ...annotations, "pulumi.com/skipAwait": "true" } },
            spec: {
                ingressClassName: className,
                rules: [{ host, http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }],
                ...(tlsSecret === undefined ? {} : { tls: [{ hosts: [host], secretName: tlsSecret }] }),
            },
        },
        opts,
    );
    const data = { "ingress.conf": BEHIND_INGRESS };
    return new k8s.core.v1.ConfigMap(`${name}-proxies`, { metadata: meta, immutable: true, data }, opts);
}

function nginxContainer(args: DabawebArgs, behindIngress: boolean): k8s.types.input.core.v1.Container {
    const workers = Math.ceil(quantityValue(args.nginxResources.limits.cpu));
    return {
        name: "nginx",
        image: args.images.nginx,
        imagePullPolicy: "IfNotPresent",
        args: ["-g", `daemon off; worker_processes ${workers};`],
        ports: [{ name: "http", containerPort: NGINX_PORT }],
        resources: args.nginxResources,
        securityContext: containerSecurity,
        terminationMessagePolicy: "FallbackToLogsOnError",
        startupProbe: httpProbe("/nginx-health", NGINX_PORT, 2, 30),
        readinessProbe: httpProbe("/nginx-health", NGINX_PORT, 5, 2),
        livenessProbe: httpProbe("/nginx-health", NGINX_PORT, 10, 6),
        lifecycle: serveFor(SERVE_SECONDS),
        volumeMounts: [
            { name: "nginx", mountPath: "/run/nginx" },
            ...(behindIngress
                ? [{ name: "proxies", mountPath: "/opt/dabaweb/proxies", readOnly: true }]
                : []),
        ],
    };
}
