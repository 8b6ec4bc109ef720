import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { KubeConfig } from "@kubernetes/client-node";
import { parse } from "yaml";

import { proxyFor } from "./proxy";

/** How a kubeconfig says that a program logs its user in. */
export interface LoginProgram {
    readonly apiVersion?: string;
    readonly command?: string;
    readonly args?: readonly string[];
    readonly env?: ReadonlyArray<{ readonly name: string; readonly value: string }>;
    readonly provideClusterInfo?: boolean;
    readonly interactiveMode?: "Never" | "IfAvailable" | "Always";
    readonly installHint?: string;
}

/** One context of the kubeconfig. */
export interface Context {
    /** For the client; a login program has been taken out of it. */
    readonly config: KubeConfig;
    /** What logs the user in, if a program does. */
    readonly login?: LoginProgram;
    /** What such a program is told about the cluster if it asks for that. */
    readonly cluster: Readonly<Record<string, unknown>>;
}

interface Entry {
    name?: unknown;
    [key: string]: unknown;
}

interface Content {
    clusters: Entry[];
    users: Entry[];
    contexts: Entry[];
}

const KINDS = ["clusters", "users", "contexts"] as const;

/**
 * A context of the kubeconfig as kubectl and Pulumi's provider see it: of several files the first one that has a name wins,
 * and files that are missing or empty are passed over. Each file is parsed by the client's own loader, which by itself refuses
 * such lists.
 * @see https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
 *
 * @throws Error if a file cannot be read, or no file has the context.
 */
export function readContext(name: string, env: NodeJS.ProcessEnv = process.env): Context {
    const content = mergedContent(filesOf(env));
    const chosen = content.contexts.find((each) => each.name === name);
    if (chosen === undefined) {
        const known = content.contexts.map((each) => String(each.name));
        throw new Error(`the kubeconfig has no such context, only ${known.join(", ") || "none"}`);
    }
    const { cluster: clusterName, user: userName } = (chosen.context ?? {}) as Record<string, unknown>;
    const cluster = inside(content.clusters, clusterName, "cluster");
    const { exec, ...user } = inside(content.users, userName, "user");
    if (typeof cluster.server !== "string") {
        throw new Error(
            `the kubeconfig has no cluster ${String(clusterName)} with a server, which context ${name} names`,
        );
    }
    // kubectl sends no login in plain text, either.
    const isPlain = cluster.server.startsWith("http:");
    const config = new KubeConfig();
    const own = { cluster: "cluster", user: "user" };
    config.loadFromString(
        JSON.stringify({
            clusters: [{ name: own.cluster, cluster: asTheClientWants(cluster, cluster.server, env) }],
            users: [{ name: own.user, user: isPlain ? {} : withTokenFile(user) }],
            contexts: [{ name, context: own }],
            "current-context": name,
        }),
    );
    return { config, ...(exec && !isPlain ? { login: exec as LoginProgram } : {}), cluster };
}

function filesOf({ KUBECONFIG, HOME }: NodeJS.ProcessEnv): string[] {
    return KUBECONFIG
        ? [...new Set(KUBECONFIG.split(path.delimiter).filter((file) => file !== ""))]
        : [path.join(HOME ?? os.homedir(), ".kube", "config")];
}

function mergedContent(files: readonly string[]): Content {
    const merged: Content = { clusters: [], users: [], contexts: [] };
    for (const file of files) {
        const content = contentOf(file);
        for (const kind of KINDS) {
            const known = new Set(merged[kind].map(({ name }) => name));
            // kubectl takes the last one of a name that one file has twice.
            const own = new Map(content[kind].map((entry) => [entry.name, entry]));
            merged[kind].push(...[...own.values()].filter(({ name }) => !known.has(name)));
        }
    }
    return merged;
}

function contentOf(file: string): Content {
    let text = "";
    try {
        text = fs.readFileSync(file, "utf8");
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
            throw error;
        }
    }
    let content: unknown;
    try {
        content = parse(text) ?? {};
    } catch {
        // The parser's message repeats a part of the file.
        throw new Error(`the kubeconfig ${file} is not YAML`);
    }
    if (typeof content !== "object" || Array.isArray(content)) {
        throw new Error(`the kubeconfig ${file} is not a map of clusters, users and contexts`);
    }
    const entries = (kind: (typeof KINDS)[number]): Entry[] => {
        const list = (content as Record<string, unknown>)[kind];
        return (Array.isArray(list) ? list : []).filter(
            (each) => typeof each === "object" && each !== null,
        ) as Entry[];
    };
    const folder = path.dirname(file);
    return {
        clusters: entries("clusters").map((entry) =>
            withPaths(entry, "cluster", folder, ["certificate-authority"]),
        ),
        users: entries("users")
            .map((entry) =>
                withPaths(entry, "user", folder, ["client-certificate", "client-key", "tokenFile"]),
            )
            .map((entry) => withProgram(entry, folder)),
        contexts: entries("contexts"),
    };
}

/** A path in a kubeconfig begins where the file is. */
function withPaths(entry: Entry, kind: string, folder: string, keys: readonly string[]): Entry {
    const value = { ...(entry[kind] as Record<string, unknown> | null) };
    for (const key of keys) {
        if (typeof value[key] === "string" && value[key] !== "") {
            value[key] = path.resolve(folder, value[key]);
        }
    }
    return { ...entry, [kind]: value };
}

/** So does a program's, unless it is a name to be found on PATH. */
function withProgram(entry: Entry, folder: string): Entry {
    const user = entry.user as { exec?: { command?: unknown } };
    const command = user.exec?.command;
    return typeof command === "string" && command.includes(path.sep)
        ? { ...entry, user: { ...user, exec: { ...user.exec, command: path.resolve(folder, command) } } }
        : entry;
}

function inside(entries: readonly Entry[], name: unknown, kind: string): Record<string, unknown> {
    return (entries.find((entry) => entry.name === name)?.[kind] ?? {}) as Record<string, unknown>;
}

/** What kubectl does without being told: plain http where the server says so, and the proxy of the environment. */
function asTheClientWants(
    cluster: Readonly<Record<string, unknown>>,
    server: string,
    env: NodeJS.ProcessEnv,
): Record<string, unknown> {
    const proxy = cluster["proxy-url"] ?? proxyFor(server, env);
    return {
        ...cluster,
        ...(proxy === undefined ? {} : { "proxy-url": proxy }),
        ...(server.startsWith("http:") ? { "insecure-skip-tls-verify": true } : {}),
    };
}

/** The client knows a token's file only as what it calls a provider. */
function withTokenFile({ tokenFile, token, ...user }: Record<string, unknown>): Record<string, unknown> {
    return tokenFile
        ? { ...user, "auth-provider": { name: "tokenFile", config: { tokenFile } } }
        : { ...user, ...(token ? { token } : {}) };
}
