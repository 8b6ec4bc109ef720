/**
 * A preview that needs no credentials, no cluster and no Docker: the program runs against a temporary state, so everything
 * that it registers is new, and its resource graph is compared with the golden graph of the merge base.
 */
import { execFile } from "child_process";
import { randomUUID } from "crypto";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";
import { promisify } from "util";
import { stringify } from "yaml";

import { Refusal } from "../operations/refusal";
import { environmentNote } from "../operations/stack-file";
import { baseGraph } from "./base";
import { compareGraphs } from "./changes";
import { QUICKLY_COMPILED } from "../operations/compiled";
import { enginePreview } from "./engine";
import type { Graph } from "./graph";
import type { Outcome } from "./outcome";
import { recordGraphs } from "./record-graphs";
import { type Config, withoutSecrets } from "./stack-config";

/** A keyless preview of one stack. */
export interface KeylessRun {
    /** Root of the project. */
    readonly checkout: string;
    readonly stack: string;
    /** The committed file of the stack. */
    readonly committed: string;
    /** Ref that the change is compared with. Default: the default branch. */
    readonly base?: string;
    /** Why this mode was chosen, a sentence without its period. */
    readonly why: string;
    /** Folder of the policy pack. */
    readonly policyPack: string;
    /** Where Pulumi and its plugins are. */
    readonly tools: { readonly PATH: string; readonly PULUMI_HOME: string };
}

const IMAGES = "dabaweb:images";

const BUILT_IMAGE = "docker:index/registryImage:RegistryImage";

/** @throws Refusal if the program refuses its configuration. */
export async function keylessPreview({
    checkout,
    stack,
    committed,
    base,
    why,
    policyPack,
    tools,
}: KeylessRun): Promise<Outcome> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "preview-keyless-"));
    try {
        const text = fs.readFileSync(committed, "utf8");
        const note = environmentNote(stack, text);
        const config = withoutSecrets(text);
        const stackFile = path.join(folder, `Pulumi.${stack}.yaml`);
        fs.writeFileSync(stackFile, stringify({ config }));
        const graph = recorded(stackFile, checkout, note);
        const before = await baseGraph(checkout, stack, base);

        fs.writeFileSync(stackFile, stringify({ config: withPinnedImages(config, graph) }));
        fs.copyFileSync(path.join(checkout, "Pulumi.yaml"), path.join(folder, "Pulumi.yaml"));
        const env = throwAway(folder, tools);
        await promisify(execFile)(
            "pulumi",
            ["--cwd", folder, "stack", "init", stack, "--no-select", "--non-interactive"],
            { env },
        );
        const planned = await enginePreview({ checkout, stack, stackFile, env, policyPack, quiet: true });
        const registered = Object.values(graph.resources).map(({ type, name }) => `${type} ${name}`);
        return {
            stack,
            mode: "keyless",
            why,
            cluster: "not asked",
            ...(before.graph === undefined
                ? {}
                : { comparedWith: before.name, comparison: compareGraphs(before.graph, graph) }),
            resources: registered.sort(),
            planned: planned.resources.length,
            warnings: [
                ...(note === undefined ? [] : [note]),
                ...(before.graph === undefined ? [before.missing] : []),
            ],
            errors: planned.errors,
        };
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
}

/**
 * The configuration with every image pinned that the stack would otherwise build, so that nothing needs Docker. The digest,
 * which is known only after a push, is replaced by the content tag, padded with zeros.
 */
export function withPinnedImages(config: Config, { resources }: Graph): Config {
    const built = Object.values(resources)
        .filter(({ type }) => type === BUILT_IMAGE)
        .map(({ name, inputs }) => {
            const [, repository, tag] = /^(.+):([0-9a-f]{1,64})$/.exec(String(inputs.name)) ?? [];
            if (repository === undefined || tag === undefined) {
                throw new Error(`image ${name} is ${String(inputs.name)}, not <repository>:<content tag>`);
            }
            return [name, `${repository}@sha256:${tag.padEnd(64, "0")}`] as const;
        });
    return {
        ...config,
        [IMAGES]: { ...(config[IMAGES] as Config | undefined), ...Object.fromEntries(built) },
    };
}

function recorded(stackFile: string, checkout: string, note: string | undefined): Graph {
    try {
        return recordGraphs([stackFile], checkout)[0]!;
    } catch (error) {
        const said = String((error as { stderr?: unknown }).stderr ?? "").trim();
        throw said === "" ? error : new Refusal(note === undefined ? said : `${said}\n${note}.`);
    }
}

/** The user's environment, reduced to the locations of programs: no backend, no kubeconfig and no Docker of theirs. */
function throwAway(folder: string, tools: KeylessRun["tools"]): NodeJS.ProcessEnv {
    const backend = path.join(folder, "backend");
    fs.mkdirSync(backend);
    return {
        ...tools,
        HOME: process.env.HOME,
        TMPDIR: os.tmpdir(),
        PULUMI_BACKEND_URL: `file://${backend}`,
        PULUMI_CONFIG_PASSPHRASE: randomUUID(),
        PULUMI_SKIP_UPDATE_CHECK: "true",
        ...QUICKLY_COMPILED,
        // The plugin for images is not among the tools, and none of its resources are registered.
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
        KUBECONFIG: path.join(folder, "no-kubeconfig"),
        DOCKER_HOST: "unix:///nonexistent/docker.sock",
    };
}
