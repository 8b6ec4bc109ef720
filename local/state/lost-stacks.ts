/** Stacks that nothing can update or destroy any more: those of a cluster that is gone, and those whose state would go. */
import * as fs from "node:fs";
import * as path from "node:path";
import { gunzipSync } from "node:zlib";

import { Refusal } from "../../operations/refusal";
import { names } from "../places";
import { type ExportedResource, whatStays } from "./deployed";

/** The files that Pulumi's file backend has of a stack in addition to its history, by what follows the stack's name. */
const STATE_FILES = [".json", ".json.gz"].flatMap((state) =>
    ["", ".bak", ".attrs", ".bak.attrs"].map((more) => `${state}${more}`),
);

/** What was set aside. */
export interface LostStacks {
    readonly stacks: readonly string[];
    /** What they pushed to the local registry, as address/repository:tag. */
    readonly images: readonly string[];
}

/**
 * Moves the states of the stacks in the local cluster from one of Pulumi's file backends to another. Stacks of other clusters
 * stay, as do stacks with nothing in any cluster. A state that cannot be read is of no use where it is, and is moved too.
 *
 * @param aside folder of the other backend, which is created.
 */
export function setAside(backend: string, aside: string): LostStacks {
    const folder = stacksIn(backend);
    const lost = statesIn(backend).flatMap(({ stack, resources }) => {
        const provider = resources?.find(isKubernetes);
        return resources === undefined || provider?.inputs?.context === names.context
            ? [{ stack, resources: resources ?? [] }]
            : [];
    });
    for (const { stack } of lost) {
        const target = path.join(aside, ".pulumi", "stacks", stack);
        fs.mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
        STATE_FILES.filter((suffix) => fs.existsSync(path.join(folder, `${stack}${suffix}`))).forEach(
            (suffix) => fs.renameSync(path.join(folder, `${stack}${suffix}`), `${target}${suffix}`),
        );
    }
    const meta = path.join(backend, ".pulumi", "meta.yaml");
    if (lost.length > 0 && fs.existsSync(meta)) {
        fs.copyFileSync(meta, path.join(aside, ".pulumi", "meta.yaml"));
    }
    return {
        stacks: lost.map(({ stack }) => path.basename(stack)),
        images: lost.flatMap(({ resources }) => whatStays(resources).images),
    };
}

/**
 * @throws Refusal if a stack in this backend has objects in a cluster that the environment did not create. A state that cannot
 * be read is no reason: nobody can use it.
 */
export function refuseOtherClusters(backend: string): void {
    for (const { stack, file, resources = [] } of statesIn(backend)) {
        const elsewhere = resources
            .filter(isKubernetes)
            .map(({ inputs }) => inputs?.context ?? "(the current one at that time)")
            .find((context) => context !== names.context);
        if (elsewhere !== undefined) {
            throw new Refusal(
                `Stack ${path.basename(stack)} of ${path.dirname(stack)} is deployed to the cluster of context ${elsewhere}, and its only state is in ${file}; ` +
                    "destroy it first, or take that file to another backend (`pulumi stack export`) and delete it here.",
            );
        }
    }
}

/** Where one of Pulumi's file backends has the states of its stacks. */
function stacksIn(backend: string): string {
    return path.join(backend, ".pulumi", "stacks");
}

/** The state of a stack in one of Pulumi's file backends. */
interface State {
    /** project/name. */
    readonly stack: string;
    readonly file: string;
    /** undefined if the file cannot be read. */
    readonly resources: readonly ExportedResource[] | undefined;
}

function statesIn(backend: string): readonly State[] {
    const folder = stacksIn(backend);
    const files = fs.existsSync(folder) ? fs.readdirSync(folder, { recursive: true, encoding: "utf8" }) : [];
    return files
        .filter((name) => /\.json(\.gz)?$/.test(name))
        .map((name) => {
            const file = path.join(folder, name);
            return { stack: name.replace(/\.json(\.gz)?$/, ""), file, resources: resourcesOf(file) };
        });
}

function isKubernetes({ type }: ExportedResource): boolean {
    return type === "pulumi:providers:kubernetes";
}

/** undefined if the file is not one of Pulumi's. */
function resourcesOf(file: string): readonly ExportedResource[] | undefined {
    try {
        const bytes = fs.readFileSync(file);
        const state = JSON.parse((file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString()) as {
            checkpoint: { latest?: { resources?: ExportedResource[] } };
        };
        return state.checkpoint.latest?.resources ?? [];
    } catch {
        return undefined;
    }
}
