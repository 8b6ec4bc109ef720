import { existsSync, readdirSync, readFileSync } from "fs";
import * as path from "path";
import { isMap, isScalar, parse, parseDocument, Scalar, stringify } from "yaml";

import { Refusal } from "./refusal";

/** What tools outside the program need to know about a stack; the program itself validates the whole file. */
export interface DeployedStack {
    readonly stack: string;
    readonly context: string;
    readonly namespace: string;
    readonly url: string;
    /** Number of pods per workload that the stack file requests. */
    readonly counts: Readonly<Record<string, number>>;
}

type Scalable = "redis-slave" | "mysql-slave" | "dabacluster";

type StackFile = {
    "dabaweb:kubeContext": string;
    "dabaweb:namespace": { name: string };
    "dabaweb:publicUrl": string;
} & Partial<Record<`dabaweb:${Scalable}`, { replicas?: number }>>;

/**
 * The path of a stack's file.
 *
 * @param variable the variable in which the user named the stack.
 * @throws Refusal if there is no such file.
 */
export function stackFile(stack: string, variable = "STACK"): string {
    const file = folders()
        .map((folder) => path.join(folder, `Pulumi.${stack}.yaml`))
        .find((each) => existsSync(each));
    if (file === undefined || !/^[A-Za-z0-9._-]+$/.test(stack)) {
        throw new Refusal(
            `${variable} is "${stack}", and there is no Pulumi.${stack}.yaml; the stacks are ${stackNames().join(", ")}.`,
        );
    }
    return file;
}

/** The project's folder, and the one that DABAWEB_STACKS adds: the tests keep the files of their own stacks elsewhere. */
function folders(): readonly string[] {
    const more = process.env.DABAWEB_STACKS;
    return [path.resolve(__dirname, ".."), ...(more && existsSync(more) ? [path.resolve(more)] : [])];
}

/** Every stack that has a file. */
export function stackNames(): string[] {
    return folders()
        .flatMap((folder) => readdirSync(folder))
        .flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []);
}

/** Where a stack runs and how many pods it has, from the committed `Pulumi.<stack>.yaml`. */
export function readStackFile(stack: string): DeployedStack {
    return parseStackFile(stack, readFileSync(stackFile(stack), "utf8"));
}

/** A sentence about values that Pulumi alone knows: those of the file's environment (Pulumi ESC). undefined: it has none. */
export function environmentNote(stack: string, text: string): string | undefined {
    const { environment } = (parse(text) ?? {}) as { environment?: unknown };
    if (environment === undefined || environment === null) {
        return undefined;
    }
    const imports = Array.isArray(environment) ? environment : (environment as { imports?: unknown }).imports;
    const names = (Array.isArray(imports) ? (imports as unknown[]) : []).map((each) =>
        typeof each === "object" && each !== null ? Object.keys(each).join() : String(each),
    );
    return (
        `Pulumi.${stack}.yaml has an environment (${names.join(", ") || "defined in the file"}), whose values are not read here; ` +
        "write those that matter into the file's config"
    );
}

export function parseStackFile(stack: string, text: string): DeployedStack {
    const { config } = (parse(text) ?? {}) as { config?: Partial<StackFile> };
    const context = config?.["dabaweb:kubeContext"];
    const namespace = config?.["dabaweb:namespace"]?.name;
    if (config === undefined || context === undefined || namespace === undefined) {
        const missing = Object.entries({ kubeContext: context, "namespace.name": namespace })
            .filter(([, value]) => value === undefined)
            .map(([key]) => `dabaweb:${key}`);
        const note = environmentNote(stack, text);
        throw new Refusal(
            `Pulumi.${stack}.yaml lacks ${missing.join(" and ")}; set it (see docs/config.md).${note === undefined ? "" : ` ${note}.`}`,
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

const IMAGES = "dabaweb:images";

/**
 * The text of a stack file with these images pinned; comments, order and all other lines stay as they are.
 *
 * @param images `<repository>@sha256:...` by image.
 */
export function withPinnedImages(text: string, images: Readonly<Record<string, string>>): string {
    const document = parseDocument(text);
    const config = document.get("config");
    // Edits the text by position, because the library would reformat all brackets.
    const [first] = isMap<Scalar>(config) && !config.flow ? config.items : [];
    if (isMap(config) && !config.has(IMAGES) && first?.key.range) {
        const end = config.range?.[1] ?? text.length;
        const indent = text.slice(text.lastIndexOf("\n", first.key.range[0]) + 1, first.key.range[0]);
        const lines = stringify({ [IMAGES]: images }, { lineWidth: 0 }).replace(/^(?=.)/gm, indent);
        return `${text.slice(0, end).replace(/(?<!\n)$/, "\n")}${lines}${text.slice(end)}`;
    }
    const pinned = Object.keys(images).map((image) => document.getIn(["config", IMAGES, image], true));
    if (pinned.every((value): value is Scalar => isScalar(value))) {
        return Object.values(images)
            .map((reference, at) => ({ reference, range: pinned[at]!.range! }))
            .sort((one, other) => other.range[0] - one.range[0])
            .reduce(
                (all, { reference, range: [start, end] }) => all.slice(0, start) + reference + all.slice(end),
                text,
            );
    }
    // Someone has laid it out differently by hand: the library keeps its content.
    Object.entries(images).forEach(([image, reference]) =>
        document.setIn(["config", IMAGES, image], reference),
    );
    return document.toString({ lineWidth: 0 });
}
