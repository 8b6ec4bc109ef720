/**
 * What is not as a stack's last update left it: `drift.ts STACK`. The exit code is 0 if nothing differs, otherwise 1. It
 * changes neither the stack's state nor what is deployed. `make drift` calls it with the local environment's variables.
 */
import { refreshPreview, stackConfig, stackOutputs } from "./pulumi-stack";
import { Refusal } from "./refusal";
import { Repository } from "./registry-client";
import { isPlainHttp, Login, stackLogin } from "./registry-login";
import { stackFile } from "./stack-file";

/** One resource that differs from the last update. */
export interface Drift {
    /** Kind and name, for example `StatefulSet mysql-slave`. */
    readonly resource: string;
    /** true: it no longer exists. */
    readonly gone: boolean;
    /** What differs, if it exists. */
    readonly properties: readonly PropertyDrift[];
}

/** One property that differs from the last update. */
export interface PropertyDrift {
    readonly path: string;
    /** undefined: it was not set. */
    readonly left: unknown;
    /** undefined: it is no longer set. */
    readonly found: unknown;
}

/** The part of `pulumi refresh --preview-only --json` that says what it found. */
export interface RefreshPreview {
    readonly steps?: readonly {
        readonly op: string;
        readonly urn: string;
        readonly oldState?: State;
        readonly newState?: State;
        readonly detailedDiff?: Readonly<Record<string, unknown>> | null;
    }[];
}

interface State {
    readonly inputs?: unknown;
    readonly outputs?: unknown;
}

/** What a preview of a refresh found, in Pulumi's order. */
export function driftsIn({ steps = [] }: RefreshPreview): Drift[] {
    return steps
        .filter(({ op }) => op === "update" || op === "delete")
        .map(({ op, urn, oldState, newState, detailedDiff }) => ({
            resource: resourceName(urn),
            gone: op === "delete",
            properties: Object.keys(detailedDiff ?? {}).map((path) => ({
                path,
                left: showable(urn, valueAt(oldState, path)),
                found: showable(urn, valueAt(newState, path)),
            })),
        }));
}

/** No values of a Secret: Pulumi hides what the program put in, but not what others put in, even in an annotation. */
function showable(urn: string, value: unknown): unknown {
    const isSecret = /[:$]kubernetes:core\/v1:Secret::/.test(urn);
    return isSecret && value !== undefined ? "[secret]" : value;
}

/** One sentence without its period for each thing that differs. */
export function told({ resource, gone, properties }: Drift): string[] {
    if (gone) {
        return [`${resource} is gone`];
    }
    return properties.length === 0
        ? [`${resource} differs`]
        : properties.map(
              ({ path, left, found }) =>
                  `${resource}: ${path} is ${shown(found)}, but was ${shown(left)} after the last update`,
          );
}

/** `urn:pulumi:STACK::PROJECT::PARENT$kubernetes:apps/v1:StatefulSet::NAME` as `StatefulSet NAME`. */
function resourceName(urn: string): string {
    const [, , type = "", ...name] = urn.split("::");
    return `${type.split(":").at(-1)} ${name.join("::")}`;
}

/** Inputs are what the program requested; a property that it did not request is only in the outputs. */
function valueAt(state: State | undefined, path: string): unknown {
    const inputs = at(state?.inputs, path);
    return inputs === undefined ? at(state?.outputs, path) : inputs;
}

/** A path as Pulumi writes it: `spec.containers[0].image`, `metadata.annotations["a.b/c"]`. */
function at(value: unknown, path: string): unknown {
    const keys = [...path.matchAll(/\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|([^.[\]]+)/g)].map(
        ([, index, quoted, plain]) => index ?? quoted ?? plain ?? "",
    );
    return keys.reduce<unknown>(
        (inner, key) =>
            inner !== null && typeof inner === "object" ? (inner as Record<string, unknown>)[key] : undefined,
        value,
    );
}

/** Long values are truncated; `kubectl get -o yaml` shows them in full. */
const VALUE = 120;

function shown(value: unknown): string {
    const text = value === undefined ? "not set" : JSON.stringify(value);
    return text.length > VALUE ? `${text.slice(0, VALUE - 1)}…` : text;
}

/** What the registries say about images. */
export interface ImageCheck {
    /** A sentence without its period for each image that is no longer in its registry. */
    readonly gone: readonly string[];
    /** A line for each image that could not be checked. */
    readonly unchecked: readonly string[];
}

/**
 * Looks up images in their registries.
 *
 * @param images `<repository>[:<tag>]@<digest>` by name.
 * @param loginFor the login for a repository.
 * @param isPlain whether a repository is reached over plain http.
 */
export async function checkImages(
    images: Readonly<Record<string, string>>,
    loginFor: (repository: string) => Promise<Login | undefined>,
    isPlain: (repository: string) => boolean = () => false,
): Promise<ImageCheck> {
    const [gone, unchecked]: [string[], string[]] = [[], []];
    for (const [image, reference] of Object.entries(images)) {
        const [tagged = "", digest = ""] = reference.split("@");
        const name = tagged.replace(/:[^:/]*$/, "");
        try {
            const repository = new Repository(name, await loginFor(name), "pull", [], isPlain(name));
            if ((await repository.manifest(digest)) === undefined) {
                gone.push(`image ${image}, ${name}@${digest}, is no longer in its registry`);
            }
        } catch (error) {
            if (!(error instanceof Refusal)) {
                throw error;
            }
            unchecked.push(`not checked: image ${image}: ${error.message}`);
        }
    }
    return { gone, unchecked };
}

/** Prints what differs and returns the exit code. */
export async function drift(stack: string): Promise<number> {
    stackFile(stack);
    const preview = (await refreshPreview(stack)) as RefreshPreview | undefined;
    if (preview === undefined) {
        throw new Refusal(`STACK is "${stack}", which is not deployed; there is nothing to compare.`);
    }
    const { images = {} } = ((await stackOutputs(stack)) ?? {}) as { images?: Record<string, string> };
    const config = await stackConfig(stack);
    const { gone, unchecked } = await checkImages(
        images,
        (name) => stackLogin(stack, config, name),
        (name) => isPlainHttp(config, name),
    );
    const differences = [...driftsIn(preview).flatMap(told), ...gone];
    const verdict =
        differences.length === 0
            ? [`no drift: everything that was checked in ${stack} is as its last update left it`]
            : [
                  ...differences.map((each) => `drift: ${each}`),
                  `To revert it, run: PULUMI_K8S_ENABLE_PATCH_FORCE=true pulumi up --refresh --stack ${stack}; to keep it, write it into Pulumi.${stack}.yaml.`,
              ];
    process.stdout.write(`${[...unchecked, ...verdict].join("\n")}\n`);
    return differences.length === 0 ? 0 : 1;
}

if (require.main === module) {
    drift(process.argv[2] ?? "dev").then(
        (code) => (process.exitCode = code),
        (error: unknown) => {
            console.error(error instanceof Refusal ? error.message : error);
            process.exitCode = 1;
        },
    );
}
