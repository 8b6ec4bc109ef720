import { setTimeout as pause } from "timers/promises";

import { AppsV1Api, V1StatefulSet } from "@kubernetes/client-node";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { ClusterClient } from "./cluster-client";
import { isRolledOut, type Rollout, rolloutProgress } from "./rollout";

/** How often a StatefulSet is asked for, in milliseconds. */
const ASK_EVERY_MS = 1000;
/** How often a wait says what it is for, in milliseconds. */
const SAY_EVERY_MS = 30_000;

/** Arguments of {@link Cluster}. */
export interface ClusterArgs extends Omit<k8s.ProviderArgs, "context" | "kubeconfig"> {
    /** A context of the kubeconfig that the environment variable KUBECONFIG points to. */
    readonly context: string;
}

/**
 * The provider of a cluster, which components can also ask what runs there. With a provider of another kind, a master does
 * not wait for its slaves in an update, and `up` may return before the last pod of a StatefulSet is replaced
 * (https://github.com/pulumi/pulumi-kubernetes/issues/3329, fixed in 4.26.0).
 */
export class Cluster extends k8s.Provider {
    private readonly context: string;
    private client?: Promise<ClusterClient>;

    constructor(name: string, args: ClusterArgs, opts?: pulumi.ResourceOptions) {
        // An empty text, so that the provider reads the variable itself, as kubectl does. The SDK would pass it the variable's
        // value as the path of one file, which a list of files is not.
        super(name, { ...args, kubeconfig: "" }, opts);
        this.context = args.context;
    }

    /** The cluster of a resource's objects; undefined in a preview, in which nothing is rolled out. */
    static of(resource: pulumi.Resource): Cluster | undefined {
        const provider = resource.getProvider("kubernetes:apps/v1:StatefulSet");
        return provider instanceof Cluster && !pulumi.runtime.isDryRun() ? provider : undefined;
    }

    /** A StatefulSet as it is now; undefined if there is none. */
    async rollout(namespace: string, name: string): Promise<Rollout | undefined> {
        const question = (client: ClusterClient) =>
            client.ask(() => client.api(AppsV1Api).readNamespacedStatefulSet({ name, namespace }));
        try {
            // One client for all questions: a kubeconfig may run a program for each new one.
            this.client ??= ClusterClient.connect(this.context).catch((error: unknown) => {
                delete this.client;
                throw error;
            });
            return rolloutOf(await question(await this.client));
        } catch (error) {
            if ((error as { code?: number }).code === 404) {
                return undefined;
            }
            throw error;
        }
    }

    /**
     * Waits until every pod of an updated StatefulSet runs its newest revision and is ready, and says every 30 s what for.
     *
     * @param before the StatefulSet before the update.
     * @param updated resolves when Pulumi has updated it.
     * @param minutes how long it may take after that; then this fails.
     * @param remedy what to do if it takes too long.
     */
    async rolledOut(
        namespace: string,
        name: string,
        before: Rollout,
        updated: Promise<void>,
        minutes: number,
        remedy: string,
    ): Promise<void> {
        let deadline = Infinity;
        void updated.then(() => (deadline = Date.now() + minutes * 60_000));
        for (let sayNext = Date.now() + SAY_EVERY_MS; ;) {
            // Before the question: an older answer is about the state before the update.
            const isUpdated = deadline < Infinity;
            // One lost answer must not end a wait of minutes.
            const now = await this.rollout(namespace, name).catch((error: Error) => error);
            if (isUpdated && (now === undefined || (!(now instanceof Error) && isRolledOut(before, now)))) {
                return;
            }
            const progress =
                now === undefined || now instanceof Error
                    ? `${name} cannot be read (${now?.message ?? "it is gone"})`
                    : rolloutProgress(name, now);
            if (Date.now() > deadline) {
                const failure = new pulumi.RunError(`after ${minutes} min, ${progress}; ${remedy}`);
                // The program's main function has returned by now, and Pulumi prints the stack instead of the message if there is one.
                failure.stack = "";
                throw failure;
            }
            if (Date.now() > sayNext) {
                void pulumi.log.info(`${progress}; ${remedy}`);
                sayNext += SAY_EVERY_MS;
            }
            // A timer without ref: while Pulumi itself waits, a failure of that must be able to end the program.
            await (isUpdated
                ? pause(ASK_EVERY_MS)
                : Promise.race([pause(ASK_EVERY_MS, undefined, { ref: false }), updated]));
        }
    }
}

function rolloutOf({ metadata, spec, status }: V1StatefulSet): Rollout {
    return {
        generation: metadata?.generation ?? 0,
        observedGeneration: status?.observedGeneration ?? 0,
        wanted: spec?.replicas ?? 1,
        existing: status?.replicas ?? 0,
        updated: status?.updatedReplicas ?? 0,
        ready: status?.readyReplicas ?? 0,
        currentRevision: status?.currentRevision ?? "",
        updateRevision: status?.updateRevision ?? "",
    };
}
