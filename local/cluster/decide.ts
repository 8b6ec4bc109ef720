/** Decides what to do with the cluster that exists, or does not. */
import { Refusal } from "../../operations/refusal";

/** What the state remembers of its cluster. */
export interface ClusterState {
    /** UID of kube-system: another cluster has another one. */
    readonly id: string;
    readonly nodes: number;
    /** Whether kind's network came with it; one that was there before is somebody else's. */
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
    /** The number of nodes that the user asks for, if he does. */
    readonly wanted?: number;
}

export type Action = "nothing" | "create" | "start" | "export" | "replace";
/** What to do with what is there. `start` and `export` look after everything that is less than a new cluster. */
export function decide({ nodes, state, kubeconfig, wanted }: Facts): {
    readonly action: Action;
    readonly why: string;
} {
    if (nodes.length === 0) {
        const why = state === undefined ? "there is none" : "the one that this state belongs to is gone";
        return { action: "create", why };
    }
    if (state === undefined) {
        // Whatever runs in it, no stack of this environment can say so any more: nothing could update or remove it.
        return { action: "replace", why: "it was left without its state, or unfinished" };
    }
    if (wanted !== undefined && wanted !== nodes.length) {
        throw new Refusal(
            `NODES=${wanted}, but the local cluster has ${nodes.length} and its data with them; go on without NODES, or ` +
                `take \`make local-purge\` first.`,
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
