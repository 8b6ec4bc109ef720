/** Whether the pods of a system must be on different nodes, and on which nodes they can be. */

/** required: two pods never share a node while another one is free. preferred: they only try to. */
export type Spread = "required" | "preferred";

/** A taint, or what tolerates one. */
interface Taint {
    readonly key?: string;
    readonly operator?: string;
    readonly value?: string;
    readonly effect?: string;
}

/** A node, as far as it matters to where pods go. */
export interface Node {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly taints: readonly Taint[];
    /** false: it is cordoned or not ready, which will pass. */
    readonly isReady: boolean;
}

/** Which nodes a workload accepts. */
export interface Wish {
    readonly nodeSelector: Readonly<Record<string, string>>;
    readonly tolerations: readonly Taint[];
}

/** The labels that every node of a platform has. */
export function platformLabels(platform: string): Record<string, string> {
    const [os = "", arch = ""] = platform.split("/");
    return { "kubernetes.io/os": os, "kubernetes.io/arch": arch };
}

/** Taints of a node in maintenance or in trouble. They pass. */
const PASSING = /^node\.kubernetes\.io\//;

/** Whether a node accepts the pods of a workload, apart from what passes. */
export function accepts(node: Node, { nodeSelector, tolerations }: Wish): boolean {
    return (
        Object.entries(nodeSelector).every(([label, value]) => node.labels[label] === value) &&
        node.taints
            .filter(({ effect, key = "" }) => effect !== "PreferNoSchedule" && !PASSING.test(key))
            .every((taint) => tolerations.some((each) => tolerates(each, taint)))
    );
}

function tolerates({ key, operator = "Equal", value = "", effect }: Taint, taint: Taint): boolean {
    return (
        (key === undefined || key === taint.key) &&
        (effect === undefined || effect === taint.effect) &&
        (operator === "Exists" || value === (taint.value ?? ""))
    );
}

/** A claim of a system, and the only node that its volume can be used on; undefined: any node, or it is not known. */
export interface Claim {
    readonly name: string;
    readonly node: string | undefined;
}

/** The claims whose volumes tie pods of one system to a common node. */
export function sharedNodes(claims: readonly Claim[]): ReadonlyMap<string, readonly string[]> {
    const byNode = new Map<string, string[]>();
    for (const { name, node } of claims) {
        if (node !== undefined) {
            byNode.set(node, [...(byNode.get(node) ?? []), name]);
        }
    }
    return new Map([...byNode].filter(([, names]) => names.length > 1));
}

/** What is known of a system when its spread is decided. */
export interface SpreadFacts {
    /** What the stack file says. */
    readonly asked: Spread | undefined;
    /** Whether the stack's data must not be lost. */
    readonly protect: boolean;
    /** The number of pods that the update wants. */
    readonly pods: number;
    /** The nodes that accept them and are ready; undefined: not known. */
    readonly nodes: number | undefined;
    /** undefined: not known. */
    readonly claims: readonly Claim[] | undefined;
    /** What its pods are told now; undefined: there are none. */
    readonly now: { readonly spread: Spread; readonly pods: number } | undefined;
}

/**
 * How the pods of a system are spread.
 *
 * Unless the stack file says it, the pods of protected data must be on different nodes if there are enough. A node that is
 * missing for an hour does not change that again, because every change replaces all pods. Volumes that tie two pods to one node
 * do: the pods could not start anywhere.
 */
export function spreadOf({ asked, protect, pods, nodes, claims, now }: SpreadFacts): Spread {
    if (asked !== undefined || !protect) {
        return asked ?? "preferred";
    }
    const wasRequired = now?.spread === "required";
    if (claims === undefined) {
        return wasRequired ? "required" : "preferred";
    }
    if (sharedNodes(claims).size > 0) {
        return "preferred";
    }
    return (wasRequired && pods <= now.pods) || (nodes ?? 0) >= pods ? "required" : "preferred";
}
