/** What Pulumi's engine reports in a preview, from its event log: one JSON object per line (apitype.EngineEvent). */
import { type Action, type Change, type Comparison, DANGEROUS, parsePath, valueAt } from "./changes";
import { SECRET, UNKNOWN } from "./graph";

/** What a preview plans, and what the engine said about it. */
export interface Planned {
    readonly comparison: Comparison;
    /** Everything that the program registers, `type name`, sorted. */
    readonly resources: readonly string[];
    readonly warnings: readonly string[];
    readonly errors: readonly string[];
}

interface EngineEvent {
    readonly diagnosticEvent?: { readonly severity: string; readonly message: string };
    readonly policyEvent?: {
        readonly message: string;
        readonly policyName: string;
        readonly enforcementLevel: string;
    };
    readonly resourcePreEvent?: { readonly metadata: Step };
}

/** One step of the plan. A replacement has three steps; the logical one, `replace`, describes it. */
interface Step {
    readonly op: string;
    readonly urn: string;
    readonly type: string;
    readonly old?: State | null;
    readonly new?: State | null;
    /** Paths that cannot be changed in place. */
    readonly keys?: readonly string[] | null;
    readonly detailedDiff?: Readonly<Record<string, unknown>> | null;
}

interface State {
    readonly protect?: boolean;
    readonly retainOnDelete?: boolean;
    readonly inputs?: unknown;
}

const ACTIONS: Readonly<Record<string, Action | "same">> = {
    same: "same",
    create: "create",
    import: "create",
    update: "update",
    replace: "replace",
    "import-replacement": "replace",
    delete: "delete",
};

/** Markers in the engine's wire format for secret values and for values that are not known yet. */
const SECRET_MARK = "4dabf18193072939515e22adb298388d";
const UNKNOWN_VALUES = new Set([
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
]);

/** Reads the event log of `pulumi preview --event-log` for one stack. */
export function readEvents(stack: string, log: string): Planned {
    // If the run was killed, the last line may be incomplete.
    const events = log.split("\n").flatMap((line) => parsed(line) ?? []);
    const steps = events
        .flatMap(({ resourcePreEvent }) => resourcePreEvent?.metadata ?? [])
        .filter((step) => step.op in ACTIONS && !isDefaultProvider(step));
    const changes = steps
        .filter(({ op }) => ACTIONS[op] !== "same")
        .map(changeOf)
        .sort((a, b) => Number(b.danger) - Number(a.danger) || (a.urn < b.urn ? -1 : 1));
    const count = (action: Action | "same") => steps.filter(({ op }) => ACTIONS[op] === action).length;
    return {
        comparison: {
            stack,
            counts: {
                create: count("create"),
                update: count("update"),
                replace: count("replace"),
                delete: count("delete"),
                same: count("same"),
            },
            changes,
            withoutEffect: [],
        },
        resources: steps
            .filter(({ op }) => op !== "delete")
            .map(({ type, urn }) => `${type} ${nameOf(urn)}`)
            .sort(),
        warnings: said(events, "warning"),
        errors: [
            ...said(events, "error"),
            ...events.flatMap(({ policyEvent: policy }) =>
                policy?.enforcementLevel === "mandatory"
                    ? `${policy.policyName}: ${policy.message.trim()}`
                    : [],
            ),
        ],
    };
}

function parsed(line: string): EngineEvent | undefined {
    try {
        return JSON.parse(line) as EngineEvent;
    } catch {
        return undefined;
    }
}

/** The engine creates one for each package for which the program names no provider; the program does not contain it. */
function isDefaultProvider({ type, urn }: Step): boolean {
    return type.startsWith("pulumi:providers:") && nameOf(urn).startsWith("default");
}

function nameOf(urn: string): string {
    return urn.split("::").slice(3).join("::");
}

function changeOf(step: Step): Change {
    const { urn, type, old, new: now, keys, detailedDiff } = step;
    const action = ACTIONS[step.op] as Action;
    const goes = action === "replace" || action === "delete";
    return {
        urn,
        type,
        name: nameOf(urn),
        action,
        properties: Object.keys(detailedDiff ?? {})
            .sort()
            .map((path) => ({ path, before: shown(old?.inputs, path), after: shown(now?.inputs, path) })),
        causes: (keys ?? []).map((key) => ({ reason: `${key} cannot be changed in place` })),
        danger: goes && DANGEROUS.has(type),
        protected: goes && old?.protect === true,
        retained: goes && old?.retainOnDelete === true,
    };
}

function shown(inputs: unknown, path: string): unknown {
    return plain(valueAt(inputs, parsePath(path)));
}

/** A value in the form of the golden graphs. */
function plain(value: unknown): unknown {
    if (typeof value === "string" && UNKNOWN_VALUES.has(value)) {
        return UNKNOWN;
    }
    if (Array.isArray(value)) {
        return value.map(plain);
    }
    if (typeof value !== "object" || value === null) {
        return value;
    }
    return SECRET_MARK in value
        ? SECRET
        : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** The messages of one severity, without duplicates and without "preview failed", which all the others imply. */
function said(events: readonly EngineEvent[], severity: string): readonly string[] {
    const messages = events
        .flatMap(({ diagnosticEvent }) => diagnosticEvent ?? [])
        .filter((event) => event.severity === severity)
        .map(({ message }) => message.trim());
    return [...new Set(messages)].filter((message) => message !== "preview failed" && message !== "");
}
