/** What a stack asks of its namespace, and whether the namespace's quotas and limit ranges have room for it. */
import { quantityValue } from "../components/quantity";
import { type Dataset, datasets, type WORKLOADS } from "./contradictions";
import type { StackConfig } from "./keys";

/** Amounts by the names that a ResourceQuota has for them. */
export type Amounts = Readonly<Record<string, number>>;

/** A ResourceQuota. */
export interface Quota {
    readonly name: string;
    readonly hard: Readonly<Record<string, string>>;
    readonly used: Readonly<Record<string, string>>;
    /** Whether it counts only some pods. */
    readonly isScoped: boolean;
}

/** One rule of a LimitRange. */
export interface Limit {
    /** Name of the LimitRange. */
    readonly name: string;
    readonly type: string;
    readonly max?: Readonly<Record<string, string>>;
    readonly min?: Readonly<Record<string, string>>;
    /** How many times its request a container's limit may be. */
    readonly ratio?: Readonly<Record<string, string>>;
    /** What a container has that states none, as a request or as a limit. */
    readonly defaults?: readonly string[];
}

type Resources = StackConfig["dabacluster"]["resources"];

/** One workload of a stack. */
export interface Part {
    readonly name: (typeof WORKLOADS)[number];
    readonly pods: number;
    /** Of each container. */
    readonly containers: readonly Resources[];
    /** Of each pod; undefined if it has none. */
    readonly volume?: { readonly size: string; readonly storageClass: string | undefined };
}

/** The workloads of a stack, with what each of their pods has. */
export function parts(config: StackConfig): Part[] {
    const { replicas, resources, nginxResources } = config.dabacluster;
    const podsOf = (name: Dataset) =>
        name === "redis-slave" || name === "mysql-slave" ? config[name].replicas : 1;
    return [
        ...datasets(config).map((name) => ({
            name,
            pods: podsOf(name),
            containers: [config[name].resources],
            volume: {
                size: config[name].storage,
                storageClass: config[name].storageClass ?? config.storageClass,
            },
        })),
        { name: "dabacluster", pods: replicas, containers: [resources, nginxResources] },
    ];
}

/** The same with the archive's pod, and the one that takes bases: that runs for a part of the day only, but without room it never does. */
function partsWithBackup(config: StackConfig): readonly (Omit<Part, "name"> & { readonly name: string })[] {
    return [
        ...parts(config),
        ...(config.backup === undefined
            ? []
            : [
                  {
                      name: "backup.mysql",
                      pods: 1,
                      containers: [config.backup.mysql.resources],
                      volume: {
                          size: config["mysql-master"].storage,
                          storageClass: config["mysql-master"].storageClass ?? config.storageClass,
                      },
                  },
                  {
                      name: "backup.archive",
                      pods: 1,
                      containers: [config.backup.archive.resources, config.backup.archive.resources],
                      volume: {
                          size: config.backup.archive.storage,
                          storageClass: config.backup.archive.storageClass ?? config.storageClass,
                      },
                  },
              ]),
    ];
}

/** What all pods and volumes of a stack need at once. */
export function demandOf(config: StackConfig): Amounts {
    return sum(partsWithBackup(config).flatMap((part) => Array<Amounts>(part.pods).fill(demandOfPod(part))));
}

/** Objects that every stack has, by the names that a ResourceQuota has for them. */
const OBJECTS: Amounts = {
    ...{ services: 9, secrets: 5, configmaps: 3 },
    ...{ "count/services": 9, "count/secrets": 5, "count/configmaps": 3 },
    ...{ "count/statefulsets.apps": 4, "count/deployments.apps": 1 },
    ...{ "count/jobs.batch": 1, "count/cronjobs.batch": 1 },
};

/** The objects that a stack has at least, beside its pods and volumes. */
export function objectsOf({ service, backup, restore }: StackConfig): Amounts {
    const secrets =
        (backup === undefined ? 0 : backup.store.credentialsSecret === undefined ? 2 : 1) +
        (restore?.encryptionPassword === undefined ? 0 : 1);
    return sum([
        OBJECTS,
        service.type === "NodePort" ? { "services.nodeports": 1 } : {},
        secrets > 0 ? { secrets, "count/secrets": secrets } : {},
        backup === undefined
            ? {}
            : { "count/cronjobs.batch": 2, "count/jobs.batch": 2, "count/statefulsets.apps": 1 },
    ]);
}

/** What a rollout of the web tier needs in addition: a pod more, or before that the migration's. */
export function rolloutDemandOf(config: StackConfig): Amounts {
    return demandOfPod(parts(config).find(({ name }) => name === "dabacluster")!);
}

function demandOfPod({ containers, volume }: Pick<Part, "containers" | "volume">): Amounts {
    return sum([podAmounts(containers), ...(volume === undefined ? [] : [volumeAmounts(volume)])]);
}

/** The amounts of one pod with these containers. */
export function podAmounts(
    containers: ReadonlyArray<{
        readonly requests?: Readonly<Record<string, string>>;
        readonly limits?: Readonly<Record<string, string>>;
    }>,
): Amounts {
    const each = containers.map(({ requests, limits }) => ({
        ...prefixed("requests", requests),
        ...prefixed("limits", limits),
    }));
    return sum([{ pods: 1, "count/pods": 1 }, ...each]);
}

/** The amounts of one volume. */
export function volumeAmounts({ size, storageClass }: NonNullable<Part["volume"]>): Amounts {
    const amounts = { persistentvolumeclaims: 1, "requests.storage": valueOf(size) ?? 0 };
    const ofClass = Object.entries(amounts).map(([key, value]) => [
        `${storageClass}.storageclass.storage.k8s.io/${key}`,
        value,
    ]);
    return {
        ...amounts,
        "count/persistentvolumeclaims": 1,
        ...(storageClass ? Object.fromEntries(ofClass) : {}),
    };
}

function prefixed(prefix: string, amounts: Readonly<Record<string, string>> = {}): Amounts {
    return Object.fromEntries(
        Object.entries(amounts).map(([key, value]) => [`${prefix}.${key}`, valueOf(value) ?? 0]),
    );
}

/** The sum of amounts. */
export function sum(all: readonly Amounts[]): Amounts {
    const total: Record<string, number> = {};
    for (const [key, value] of all.flatMap((each) => Object.entries(each))) {
        total[key] = (total[key] ?? 0) + value;
    }
    return total;
}

/**
 * What a quota has no room for, one sentence each.
 *
 * @param own what the stack uses by now, which counts towards the quota. Objects other than pods and volumes are counted if it has none.
 * @param limits the rules that give containers what they do not state.
 * @returns `refused`: the stack itself does not fit. `remarks`: it does, but not a web pod more, which a rollout needs.
 */
export function quotaProblems(
    config: StackConfig,
    quotas: readonly Quota[],
    own: Amounts,
    limits: readonly Limit[] = [],
): { readonly refused: readonly string[]; readonly remarks: readonly string[] } {
    const [demand, more] = [demandOf(config), rolloutDemandOf(config)];
    const objects = own.pods === undefined ? objectsOf(config) : {};
    const [refused, remarks]: [string[], string[]] = [[], []];
    for (const { name, hard, used, isScoped } of quotas) {
        if (isScoped) {
            remarks.push(
                `not checked: whether quota ${name} has room for the stack, because it counts only some pods`,
            );
            continue;
        }
        for (const [kind, limit] of Object.entries(hard)) {
            const key = { cpu: "requests.cpu", memory: "requests.memory" }[kind] ?? kind;
            const [most, others] = [valueOf(limit), valueOf(used[kind] ?? "0")];
            // Kubernetes refuses pods that do not state what a quota counts. Requests and limits of cpu and memory are always there.
            const isGiven = limits.some(
                ({ type, defaults }) => type === "Container" && defaults?.includes("ephemeral-storage"),
            );
            if (/^(requests|limits)\.ephemeral-storage$/.test(key) && !isGiven) {
                refused.push(
                    `quota ${name} counts ${kind}, so every container must state it, and those of the stack do not; ask for a ` +
                        `LimitRange that gives containers a default`,
                );
                continue;
            }
            if (most !== undefined && others !== undefined && objects[key] !== undefined) {
                if (objects[key] > most - others) {
                    refused.push(
                        `quota ${name} allows ${kind}: ${limit}, of which ${most - others} is left for the stack, but it needs ` +
                            `${objects[key]}; ask for a larger quota`,
                    );
                }
                continue;
            }
            if (demand[key] === undefined || most === undefined || others === undefined) {
                continue;
            }
            const free = most - Math.max(0, others - (own[key] ?? 0));
            const room = `quota ${name} allows ${kind}: ${limit}, of which ${shown(free, key)} is left for the stack`;
            if (exceeds(demand[key], free)) {
                refused.push(
                    `${room}, but it needs ${shown(demand[key], key)}; ask for a larger quota, or lower replicas, resources or storage`,
                );
            } else if (own.pods !== undefined && exceeds(demand[key] + (more[key] ?? 0), free)) {
                remarks.push(
                    `${room}; it needs ${shown(demand[key], key)}, and ${shown(more[key] ?? 0, key)} more while web pods are replaced: ` +
                        `such an update would wait for dabacluster.awaitMinutes, then fail; ask for a larger quota`,
                );
            }
        }
    }
    return { refused, remarks };
}

/** What a LimitRange forbids, one sentence each. */
export function limitProblems(config: StackConfig, limits: readonly Limit[]): string[] {
    return partsWithBackup(config).flatMap(({ name, containers, volume }) =>
        limits.flatMap((limit) => {
            const asked: readonly Amounts[] =
                limit.type === "Container"
                    ? containers.map((each) => podAmounts([each]))
                    : limit.type === "Pod"
                      ? [podAmounts(containers)]
                      : limit.type === "PersistentVolumeClaim" && volume !== undefined
                        ? [volumeAmounts(volume)]
                        : [];
            return [
                ...new Set(
                    asked.flatMap((amounts) => [
                        ...forbidden(name, limit, amounts),
                        ...farApart(name, limit, amounts),
                    ]),
                ),
            ];
        }),
    );
}

function forbidden(workload: string, { name, type, max = {}, min = {} }: Limit, amounts: Amounts): string[] {
    const check = (bounds: Readonly<Record<string, string>>, side: "limits" | "requests", isMost: boolean) =>
        Object.entries(bounds).flatMap(([kind, bound]) => {
            const key = kind === "storage" ? "requests.storage" : `${side}.${kind}`;
            const [value, allowed] = [amounts[key], valueOf(bound)];
            const isBroken =
                value !== undefined &&
                allowed !== undefined &&
                (isMost ? exceeds(value, allowed) : exceeds(allowed, value));
            return isBroken
                ? [
                      `LimitRange ${name} allows ${kind} of ${isMost ? "at most" : "at least"} ${bound} per ${type}, but ${workload} ` +
                          `has ${shown(value, key)} (${key}); change ${kind === "storage" ? "storage" : "resources"} of ${workload}, or the LimitRange`,
                  ]
                : [];
        });
    return [...check(max, "limits", true), ...check(min, "requests", false)];
}

/** Limits that are too many times their request. */
function farApart(workload: string, { name, type, ratio = {} }: Limit, amounts: Amounts): string[] {
    return Object.entries(ratio).flatMap(([kind, bound]) => {
        const [request, limit, most] = [
            amounts[`requests.${kind}`],
            amounts[`limits.${kind}`],
            valueOf(bound),
        ];
        return request !== undefined &&
            limit !== undefined &&
            most !== undefined &&
            exceeds(limit, request * most)
            ? [
                  `LimitRange ${name} allows a limit of ${kind} of at most ${bound} times the request per ${type}, but ${workload} ` +
                      `has ${shown(limit, `limits.${kind}`)} for ${shown(request, `requests.${kind}`)}; change resources of ` +
                      `${workload}, or the LimitRange`,
              ]
            : [];
    });
}

/** Whether an amount is more than another. Decimal amounts are not exact. */
export function exceeds(value: number, most: number): boolean {
    return value > most * (1 + 1e-9) + 1e-9;
}

/** The value of a quantity; undefined for a form that this project does not read, for example 1e3. */
export function valueOf(quantity: string): number | undefined {
    try {
        return quantityValue(quantity);
    } catch {
        return undefined;
    }
}

/** An amount as people read it. */
export function shown(value: number, key: string): string {
    if (!/memory|storage$/.test(key)) {
        return String(Math.round(value * 1000) / 1000);
    }
    return `${Math.round((value / 2 ** 20) * 10) / 10}Mi`;
}
