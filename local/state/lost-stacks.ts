/** The stacks of a cluster that is gone: nothing can update or destroy them any more. */
import * as fs from "node:fs";
import * as path from "node:path";
import { gunzipSync } from "node:zlib";

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
    const folder = path.join(backend, ".pulumi", "stacks");
    const states = fs.existsSync(folder)
        ? fs
              .readdirSync(folder, { recursive: true, encoding: "utf8" })
              .filter((file) => /\.json(\.gz)?$/.test(file))
        : [];
    const lost = states.flatMap((file) => {
        const resources = resourcesOf(path.join(folder, file));
        const provider = resources?.find(({ type }) => type === "pulumi:providers:kubernetes");
        return resources === undefined || provider?.inputs?.context === names.context
            ? [{ stack: file.replace(/\.json(\.gz)?$/, ""), resources: resources ?? [] }]
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
