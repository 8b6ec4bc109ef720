/**
 * What `pulumi up` would do about the difference between two recorded graphs of a stack: which resources it creates,
 * updates, replaces and deletes, and which properties cause that.
 *
 * It knows only what is in the graphs. It does not know what only the cluster knows: drift, and what the API server
 * refuses, for example a volume that shrinks. If it cannot tell, it assumes the worse case.
 */
import { isDeepStrictEqual } from "util";

import forceNew from "./force-new.json";
import { generatedName, Graph, GraphResource, SECRET, UNKNOWN } from "./graph";

export type Action = "create" | "update" | "replace" | "delete";

/** One property with two values. */
export interface PropertyChange {
    /**
     * For example spec.template.spec.containers[nginx].image: list elements are identified by name if all have one.
     * Pulumi's own properties, which are not inputs, begin with `pulumi.`: pulumi.protect, pulumi.dependencies,
     * pulumi.outputs.url.
     */
    readonly path: string;
    /** undefined: it was not set. */
    readonly before: unknown;
    /** undefined: it is no longer set. */
    readonly after: unknown;
}

/** Why a resource is replaced. */
export interface Cause {
    /** A sentence without its period. */
    readonly reason: string;
    /** Where that is documented; absent if it follows from another resource of the graph. */
    readonly source?: string;
}

/** What happens to one resource. */
export interface Change {
    /** Its URN after the change; for a deleted resource, its last one. */
    readonly urn: string;
    readonly type: string;
    readonly name: string;
    readonly action: Action;
    /** What differs; for updates and replacements. */
    readonly properties: readonly PropertyChange[];
    /** Why it is not updated in place; for replacements. */
    readonly causes: readonly Cause[];
    /** true: a StatefulSet, PersistentVolumeClaim, Secret or Namespace is replaced or deleted. */
    readonly danger: boolean;
    /** true: `pulumi up` refuses to replace or delete it until it is unprotected. */
    readonly protected: boolean;
    /** true: Pulumi no longer manages the object and does not delete it. */
    readonly retained: boolean;
}

/** The difference between two graphs. */
export interface Comparison {
    readonly stack: string;
    readonly counts: Readonly<Record<Action | "same", number>>;
    /** Dangers first, then by URN. */
    readonly changes: readonly Change[];
    /** URNs of resources that differ only in what `pulumi up` ignores: ignored properties, aliases. */
    readonly withoutEffect: readonly string[];
}

/** Types whose replacement or deletion destroys data, credentials or running pods. */
export const DANGEROUS: ReadonlySet<string> = new Set([
    "kubernetes:apps/v1:StatefulSet",
    "kubernetes:core/v1:Namespace",
    "kubernetes:core/v1:PersistentVolumeClaim",
    "kubernetes:core/v1:Secret",
]);

/** One row of force-new.json, which explains each field itself. */
interface ForceNew {
    /** A type, or a prefix followed by a star for all types that begin with it. */
    readonly type: string;
    readonly fields: readonly string[];
    readonly unless?: string;
    readonly deletedFirst?: boolean;
    readonly source: string;
}
const FORCE_NEW: readonly ForceNew[] = forceNew.rows;

/** The exceptions that a row of force-new.json may name. */
const EXCEPTIONS: Readonly<Record<string, (before: Pair, after: Pair) => boolean>> = {
    enableSecretMutable: (_, after) => isMutable("enableSecretMutable", after),
    enableConfigMapMutable: (_, after) => isMutable("enableConfigMapMutable", after),
    sameClusterIdentifier: (before, after) => {
        const [was, is] = [before, after].map(({ resource }) => resource.inputs.clusterIdentifier);
        return is !== undefined && was === is;
    },
};

/** A resource and its provider in one of the two graphs. */
interface Pair {
    readonly resource: GraphResource;
    readonly provider: GraphResource | undefined;
}

/** A change while the changes that follow from it are still being found. */
type Draft = Omit<Change, "danger" | "protected" | "retained"> & { readonly deletedFirst: boolean };

/**
 * Compares two graphs of the same stack.
 *
 * @throws Error if they belong to different stacks.
 */
export function compareGraphs(before: Graph, after: Graph): Comparison {
    if (before.stack !== after.stack) {
        throw new Error(
            `the graphs belong to stacks ${before.stack} and ${after.stack}; compare two graphs of the same stack`,
        );
    }
    const formerUrns = matchUrns(before, after);
    let drafts = new Map<string, Draft>();
    // A replacement can cause others, so repeat until there are no new ones.
    let moved: number;
    do {
        moved = movedBy(drafts).size;
        drafts = draftAll(before, after, formerUrns, drafts);
    } while (movedBy(drafts).size > moved);
    const deleted = Object.keys(before.resources).filter((urn) => ![...formerUrns.values()].includes(urn));
    const changes = [
        ...[...drafts.values()].map((draft) => finished(draft, before.resources[formerUrns.get(draft.urn)!])),
        ...deleted.map((urn) => {
            const { type, name } = before.resources[urn]!;
            const draft = { urn, type, name, action: "delete", properties: [], causes: [] } as const;
            return finished({ ...draft, deletedFirst: false }, before.resources[urn]);
        }),
    ].sort((a, b) => Number(b.danger) - Number(a.danger) || (a.urn < b.urn ? -1 : 1));
    const count = (action: Action) => changes.filter((change) => change.action === action).length;
    return {
        stack: after.stack,
        counts: {
            create: count("create"),
            update: count("update"),
            replace: count("replace"),
            delete: count("delete"),
            same: Object.keys(after.resources).length - drafts.size,
        },
        changes,
        withoutEffect: [...formerUrns]
            .filter(([urn, former]) => {
                return !drafts.has(urn) && !isDeepStrictEqual(after.resources[urn], before.resources[former]);
            })
            .map(([urn]) => urn),
    };
}

/** Maps the URN of every resource that already existed to its former URN: the same one, or one of its aliases. */
function matchUrns(before: Graph, after: Graph): Map<string, string> {
    const matches = Object.entries(after.resources).map(([urn, { options }]) => {
        const names = [urn, ...((options.aliases as string[] | undefined) ?? [])];
        const former = names.find((name) => {
            return name in before.resources && (name === urn || !(name in after.resources));
        });
        return [urn, former] as const;
    });
    return new Map(matches.filter((match): match is [string, string] => match[1] !== undefined));
}

/** URNs of the resources whose outputs are new. */
function movedBy(drafts: ReadonlyMap<string, Draft>): Set<string> {
    const moved = [...drafts.values()].filter(({ action }) => action === "create" || action === "replace");
    return new Set(moved.map(({ urn }) => urn));
}

/** Everything that is created, updated or replaced, given the changes that are already known. */
function draftAll(
    before: Graph,
    after: Graph,
    formerUrns: ReadonlyMap<string, string>,
    known: ReadonlyMap<string, Draft>,
): Map<string, Draft> {
    const urns = new Map([...formerUrns].map(([urn, former]) => [former, urn]));
    const drafts = Object.entries(after.resources).map(([urn, resource]) => {
        const former = formerUrns.get(urn);
        if (former === undefined) {
            const { type, name } = resource;
            const draft = { urn, type, name, action: "create", properties: [], causes: [] } as const;
            return { ...draft, deletedFirst: false };
        }
        const was = withUrns(before.resources[former]!, urns);
        return draftOf(
            urn,
            { resource: was, provider: before.resources[before.resources[former]!.provider ?? ""] },
            { resource, provider: after.resources[resource.provider ?? ""] },
            known,
        );
    });
    return new Map(drafts.filter((draft) => draft !== undefined).map((draft) => [draft.urn, draft]));
}

function draftOf(
    urn: string,
    before: Pair,
    after: Pair,
    known: ReadonlyMap<string, Draft>,
): Draft | undefined {
    const { type, name, component } = after.resource;
    const inputs = renewed(before.resource, after.resource, known);
    const ignored = pathsOf(after.resource.options.ignoreChanges);
    const [was, is] = [before.resource.inputs, inputs].map((value) => ignored.reduce(without, value));
    const properties = [
        ...differences([], was, is),
        ...differences(["pulumi"], pulumisOwn(before.resource), pulumisOwn(after.resource)),
    ];
    const rows = FORCE_NEW.filter((row) => matches(row.type, type));
    const causes = component
        ? []
        : [
              ...(rows.length === 0 && !isDeepStrictEqual(was, is)
                  ? [
                        {
                            reason: `force-new.json does not list the type, so any change counts as a replacement`,
                        },
                    ]
                  : []),
              ...rows
                  .filter(({ unless }) => unless === undefined || !EXCEPTIONS[unless]!(before, after))
                  .flatMap(({ fields, source }) => immutable(fields, was, is).map((c) => ({ ...c, source }))),
              ...immutable(asTexts(after.resource.options.replaceOnChanges), was, is),
              ...following(before.resource, after.resource, known),
          ];
    if (properties.length === 0 && causes.length === 0) {
        return undefined;
    }
    const asked = after.resource.options.deleteBeforeReplace as boolean | undefined;
    return {
        urn,
        type,
        name,
        action: causes.length > 0 ? "replace" : "update",
        properties,
        causes,
        deletedFirst:
            asked ?? (keepsItsName(was, is) || rows.some(({ deletedFirst }) => deletedFirst === true)),
    };
}

/** The properties of a resource that are not inputs but Pulumi's own. Aliases only name its former URNs. */
function pulumisOwn({ options, dependencies, parent, provider, outputs }: GraphResource): unknown {
    // By type and name: an added one must not shift all that follow.
    const needed = dependencies.map((urn) => [urn.split("::").slice(2).join("::"), true] as const);
    return {
        ...options,
        aliases: undefined,
        dependencies: Object.fromEntries(needed),
        parent,
        provider,
        outputs,
    };
}

/** Why a resource has to be replaced because the engine replaces or deletes others of the graph first. */
function following(
    before: GraphResource,
    after: GraphResource,
    known: ReadonlyMap<string, Draft>,
): readonly Cause[] {
    const provider = known.get(after.provider ?? "");
    const sources = new Set(Object.values(after.propertyDependencies).flat());
    const first = [...sources].flatMap((urn) => known.get(urn) ?? []).filter((draft) => draft.deletedFirst);
    return [
        ...(provider?.action === "replace" ? [{ reason: `its provider ${provider.name} is replaced` }] : []),
        ...(before.provider !== after.provider ? [{ reason: "it gets another provider" }] : []),
        ...first
            .filter(({ action }) => action === "replace")
            .map(({ type, name }) => ({
                reason: `${type} ${name}, whose values it uses, is deleted first`,
            })),
    ];
}

/**
 * The inputs, with a note on every value that the graph does not show and that a new resource provides: a password, a
 * generated name.
 */
function renewed(
    before: GraphResource,
    after: GraphResource,
    known: ReadonlyMap<string, Draft>,
): GraphResource["inputs"] {
    const moved = movedBy(known);
    return Object.fromEntries(
        Object.entries(after.inputs).map(([key, value]) => {
            const sources = after.propertyDependencies[key] ?? [];
            const others = sources.filter((urn) => moved.has(urn));
            if (others.length === 0 && isDeepStrictEqual(sources, before.propertyDependencies[key] ?? [])) {
                return [key, value];
            }
            const hidden = [SECRET, UNKNOWN, ...others.map((urn) => generatedName(known.get(urn)!.name))];
            const note = (text: string) =>
                hidden.some((each) => text.includes(each)) ? `${text} (new)` : text;
            return [key, mapTexts(value, note)];
        }),
    );
}

/** A copy with every text in it changed. */
export function mapTexts(value: unknown, change: (text: string) => string): unknown {
    if (typeof value === "string") {
        return change(value);
    }
    if (Array.isArray(value)) {
        return value.map((item) => mapTexts(item, change));
    }
    return isRecord(value)
        ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTexts(item, change)]))
        : value;
}

function finished(draft: Draft, before: GraphResource | undefined): Change {
    const { urn, type, name, action, properties, causes } = draft;
    const goes = action === "replace" || action === "delete";
    return {
        urn,
        type,
        name,
        action,
        properties,
        causes,
        danger: goes && DANGEROUS.has(type),
        protected: goes && before?.options.protect === true,
        retained: goes && before?.options.retainOnDelete === true,
    };
}

/** The resource with the current URNs of the others. */
function withUrns(resource: GraphResource, urns: ReadonlyMap<string, string>): GraphResource {
    const now = (urn: string) => urns.get(urn) ?? urn;
    const { parent, provider, dependencies, propertyDependencies } = resource;
    return {
        ...resource,
        ...(parent === undefined ? {} : { parent: now(parent) }),
        ...(provider === undefined ? {} : { provider: now(provider) }),
        dependencies: dependencies.map(now).sort(),
        propertyDependencies: Object.fromEntries(
            Object.entries(propertyDependencies).map(([key, each]) => [key, each.map(now).sort()]),
        ),
    };
}

function matches(pattern: string, type: string): boolean {
    return pattern.endsWith("*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}

/** As the provider decides it: by one of its own inputs, and not for objects that set `immutable` themselves. */
function isMutable(input: string, { resource, provider }: Pair): boolean {
    return provider?.inputs[input] === "true" && resource.inputs.immutable !== true;
}

/** Two objects with the same fixed name cannot coexist, so the Kubernetes provider deletes the old one first. */
function keepsItsName(before: unknown, after: unknown): boolean {
    const [was, is] = [before, after].map((inputs) => valueAt(inputs, ["metadata"]));
    const name = valueAt(is, ["name"]);
    return (
        name !== undefined &&
        name === valueAt(was, ["name"]) &&
        valueAt(is, ["namespace"]) === valueAt(was, ["namespace"])
    );
}

function immutable(fields: readonly string[], before: unknown, after: unknown): readonly Cause[] {
    return fields
        .filter((field) => {
            const path = parsePath(field);
            return !isDeepStrictEqual(valueAt(before, path), valueAt(after, path));
        })
        .map((field) => ({
            reason:
                field === "*" ? "none of it can be changed in place" : `${field} cannot be changed in place`,
        }));
}

/** What differs below `path`, each difference at the deepest path. */
function differences(path: readonly string[], before: unknown, after: unknown): readonly PropertyChange[] {
    if (isDeepStrictEqual(before, after)) {
        return [];
    }
    const [was, is] = [before, after].map(byName);
    if (!isRecord(was) || !isRecord(is) || Array.isArray(before) !== Array.isArray(after)) {
        return [{ path: pathText(path), before, after }];
    }
    const keys = [...new Set([...Object.keys(was), ...Object.keys(is)])];
    const found = keys.flatMap((key) =>
        differences([...path, Array.isArray(before) ? `[${key}]` : key], was[key], is[key]),
    );
    // Only their order differs.
    return found.length > 0 ? found : [{ path: pathText(path), before, after }];
}

/** A list by name if each element has a unique name, otherwise by position. */
function byName(value: unknown): unknown {
    if (!Array.isArray(value)) {
        return value;
    }
    const names = value.map((item) => (isRecord(item) ? item.name : undefined));
    const named = names.every((name) => typeof name === "string") && new Set(names).size === names.length;
    return Object.fromEntries(value.map((item, index) => [named ? names[index] : index, item]));
}

function pathText(path: readonly string[]): string {
    return path
        .map((key) => (/^\[.*\]$/.test(key) ? key : /^[\w-]+$/.test(key) ? `.${key}` : `["${key}"]`))
        .join("")
        .replace(/^\./, "");
}

/** A path in Pulumi's notation: spec.containers[0].image, metadata.annotations["a/b"], spec.ports[*]. */
export function parsePath(text: string): readonly string[] {
    return [...text.matchAll(/\["([^"]*)"\]|\[(\d+|\*)\]|([^.[\]]+)/g)].map(([, quoted, index, plain]) => {
        return quoted ?? index ?? plain!;
    });
}

function pathsOf(option: unknown): ReadonlyArray<readonly string[]> {
    return asTexts(option).map(parsePath);
}

function asTexts(option: unknown): readonly string[] {
    return (option as readonly string[] | undefined) ?? [];
}

/** The value at a path; for a star, the values of all elements. */
export function valueAt(value: unknown, [key, ...rest]: readonly string[]): unknown {
    if (key === undefined || !(isRecord(value) || Array.isArray(value))) {
        return key === undefined ? value : undefined;
    }
    return key === "*"
        ? Object.values(value).map((item) => valueAt(item, rest))
        : valueAt((value as Record<string, unknown>)[key], rest);
}

/** A copy without the value at a path. */
function without(value: unknown, [key, ...rest]: readonly string[]): unknown {
    if (key === undefined || !(isRecord(value) || Array.isArray(value))) {
        return value;
    }
    const entries = Object.entries(value)
        .filter(([name]) => rest.length > 0 || !(key === "*" || name === key))
        .map(([name, item]) => [name, key === "*" || name === key ? without(item, rest) : item] as const);
    return Array.isArray(value) ? entries.map(([, item]) => item) : Object.fromEntries(entries);
}

function isRecord(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}
