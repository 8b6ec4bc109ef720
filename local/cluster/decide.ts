/** Decides what to do with the cluster that exists, or does not. */
import { Refusal } from "../../operations/refusal";

/** What the state records about its cluster. */
export interface ClusterState {
    /** UID of the namespace kube-system: it is different in another cluster. */
    readonly id: string;
    readonly nodes: number;
    /** Whether kind's network was created with it; an existing network belongs to someone else. */
    readonly madeNetwork?: boolean;
}

export interface Node {
    readonly name: string;
    readonly running: boolean;
}

export interface Facts {
    readonly nodes: readonly Node[];
    readonly state?: ClusterState;
    readonly kubeconfig: boolean;
    /** The number of nodes that the user asks for, if any. */
    readonly wanted?: number;
}

export type Action = "nothing" | "create" | "start" | "export" | "replace";

/** What to do with what exists. `start` and `export` cover everything short of a new cluster. */
export function decide({ nodes, state, kubeconfig, wanted }: Facts): {
    readonly action: Action;
    readonly why: string;
} {
    if (nodes.length === 0) {
        const why = state === undefined ? "there is none" : "the cluster of this state is gone";
        return { action: "create", why };
    }
    if (state === undefined) {
        // No stack of this environment knows what runs in it any more, so nothing could update or remove that.
        return { action: "replace", why: "it has lost its state, or was never finished" };
    }
    if (wanted !== undefined && wanted !== nodes.length) {
        throw new Refusal(
            `NODES=${wanted}, but the local cluster has ${nodes.length} with its data; continue without NODES, or ` +
                `run \`make local-purge\` first.`,
        );
    }
    if (!kubeconfig) {
        return { action: "export", why: "its kubeconfig is lost" };
    }
    return nodes.every((node) => node.running)
        ? { action: "nothing", why: "" }
        : { action: "start", why: "its nodes are stopped" };
}

/** Reads NODES. */
export function wantedNodes(text = process.env.NODES): number | undefined {
    if (text === undefined || text === "") {
        return undefined;
    }
    const count = Number(text);
    if (!Number.isInteger(count) || count < 1 || count > 9) {
        throw new Refusal(`NODES is "${text}"; it must be a number from 1 to 9.`);
    }
    return count;
}
