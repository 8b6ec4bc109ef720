import { existsSync, readFileSync } from "fs";
import * as path from "path";

import { parse } from "yaml";

/** A failure that the user can do something about: its message is all he needs to see. */
export class Refusal extends Error {}

/** What tools beside the program need to know of a stack; the program itself validates the whole file. */
export interface DeployedStack {
    readonly stack: string;
    readonly context: string;
    readonly namespace: string;
    readonly url: string;
    /** Pods by workload that the stack file asks for. */
    readonly counts: Readonly<Record<string, number>>;
}

type Scalable = "redis-slave" | "mysql-slave" | "dabacluster";

type StackFile = {
    "dabaweb:kubeContext": string;
    "dabaweb:namespace": { name: string };
    "dabaweb:publicUrl": string;
} & Partial<Record<`dabaweb:${Scalable}`, { replicas?: number }>>;

/** Where a stack lives and how many pods it has, from the committed `Pulumi.<stack>.yaml`. */
export function readStackFile(stack: string): DeployedStack {
    const file = path.resolve(__dirname, `../Pulumi.${stack}.yaml`);
    if (!/^[A-Za-z0-9._-]+$/.test(stack) || !existsSync(file)) {
        throw new Refusal(
            `STACK is "${stack}", and there is no Pulumi.${stack}.yaml; name a stack that has such a file.`,
        );
    }
    return parseStackFile(stack, readFileSync(file, "utf8"));
}

export function parseStackFile(stack: string, text: string): DeployedStack {
    const { config } = (parse(text) ?? {}) as { config?: Partial<StackFile> };
    const context = config?.["dabaweb:kubeContext"];
    const namespace = config?.["dabaweb:namespace"]?.name;
    if (config === undefined || context === undefined || namespace === undefined) {
        const missing = Object.entries({ kubeContext: context, "namespace.name": namespace })
            .filter(([, value]) => value === undefined)
            .map(([key]) => `dabaweb:${key}`);
        throw new Refusal(
            `Pulumi.${stack}.yaml lacks ${missing.join(" and ")}; set it (see docs/config.md).`,
        );
    }
    const replicas = (workload: Scalable) => config[`dabaweb:${workload}`]?.replicas ?? 1;
    return {
        stack,
        context,
        namespace,
        url: config["dabaweb:publicUrl"] ?? "",
        counts: {
            "redis-master": 1,
            "redis-slave": replicas("redis-slave"),
            "mysql-master": 1,
            "mysql-slave": replicas("mysql-slave"),
            dabacluster: replicas("dabacluster"),
        },
    };
}
