import { DeployedStack, readStackFile } from "../../operations/stack-file";
import { command, CommandOptions, Result } from "./command";
import { waitFor } from "./docker";
import { Shells } from "./shells";

/** Seconds that a pod, a slave or the page may take to recover from what a test did to it. */
export const RECOVERY_SECONDS = 180;

/** One pod as `kubectl get` reports it. */
export interface Pod {
    readonly name: string;
    readonly uid: string;
    readonly ready: boolean;
    readonly restarts: number;
}

interface PodObject {
    metadata: { name: string; uid: string; deletionTimestamp?: string; labels?: Record<string, string> };
    status: {
        conditions?: { type: string; status: string }[];
        containerStatuses?: { restartCount: number }[];
    };
}

/** A deployed stack, reached as an operator reaches it: with kubectl, and at the page's address. */
export class System {
    readonly context: string;
    readonly namespace: string;
    readonly url: string;
    /** Number of pods by workload, according to the stack file. */
    readonly counts: Readonly<Record<string, number>>;
    private readonly shells = new Shells((place) => [
        "kubectl",
        ...["--context", this.context, "--namespace", this.namespace],
        ...["exec", "-i", ...place.split(" "), "--", "bash"],
    ]);

    /** @param deployed where the stack is; by default, as in its committed stack file. */
    constructor(
        readonly stack: string,
        deployed: DeployedStack = readStackFile(stack),
    ) {
        this.context = deployed.context;
        this.namespace = deployed.namespace;
        this.url = deployed.url;
        this.counts = deployed.counts;
    }

    /** Names of the pods of a StatefulSet. */
    pods(workload: string): string[] {
        return Array.from({ length: this.counts[workload] ?? 0 }, (_, ordinal) => `${workload}-${ordinal}`);
    }

    /** Runs kubectl in the stack's namespace; a failure throws with its message. */
    async kubectl(args: readonly string[], options: CommandOptions = {}): Promise<string> {
        const result = await this.tryKubectl(args, options);
        if (result.code !== 0) {
            throw new Error(`kubectl ${args.join(" ")}: ${result.stderr.trim() || result.stdout.trim()}`);
        }
        return result.stdout.trim();
    }

    tryKubectl(args: readonly string[], options: CommandOptions = {}) {
        return command(
            "kubectl",
            ["--context", this.context, "--namespace", this.namespace, ...args],
            options,
        );
    }

    /** Runs a program in a container of a pod, in a bash that stays open there, regardless of the exit code. */
    tryExec(
        pod: string,
        container: string,
        args: readonly string[],
        options: CommandOptions = {},
    ): Promise<Result> {
        return this.shells.run(`${pod} -c ${container}`, args, options);
    }

    /** The same, but a failure throws with its message. */
    async exec(
        pod: string,
        container: string,
        args: readonly string[],
        options: CommandOptions = {},
    ): Promise<string> {
        const { code, stdout, stderr } = await this.tryExec(pod, container, args, options);
        if (code !== 0) {
            throw new Error(
                `${args.join(" ")} in ${pod}: exit code ${code}: ${stderr.trim() || stdout.trim()}`,
            );
        }
        return stdout.trim();
    }

    /** Call this when a pod ends, or its node has silently gone: the next commands run in new shells. */
    forget(pod?: string): void {
        this.shells.forgetAll((place) => pod === undefined || place.startsWith(`${pod} `));
    }

    /** Runs SQL in a pod as root, as an operator would; one row per line, columns separated by tabs. */
    sql(pod: string, statement: string): Promise<string> {
        return this.exec(pod, "mysql", ["mysql", "--batch", "--skip-column-names", "-e", statement]);
    }

    /** The same with MySQL's own layout, for statements that end in \G. */
    sqlByColumn(pod: string, statement: string): Promise<string> {
        return this.exec(pod, "mysql", ["mysql", "-e", statement]);
    }

    trySql(pod: string, statement: string): Promise<Result> {
        return this.tryExec(pod, "mysql", ["mysql", "-e", statement]);
    }

    /** Runs a Redis command in a pod as the operator. */
    redis(pod: string, ...args: string[]): Promise<string> {
        return this.exec(pod, "redis", ["redis-cli", ...args]);
    }

    /** The pods that are not being deleted, by workload. */
    async everyPod(): Promise<Map<string, Pod[]>> {
        const { items } = JSON.parse(await this.kubectl(["get", "pods", "-o", "json"])) as {
            items: PodObject[];
        };
        const pods = new Map<string, Pod[]>();
        for (const { metadata, status } of items.filter((pod) => !pod.metadata.deletionTimestamp)) {
            const workload = metadata.labels?.["app.kubernetes.io/name"] ?? "";
            const pod = {
                name: metadata.name,
                uid: metadata.uid,
                ready: status.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false,
                restarts: (status.containerStatuses ?? []).reduce((sum, c) => sum + c.restartCount, 0),
            };
            pods.set(workload, [...(pods.get(workload) ?? []), pod]);
        }
        return pods;
    }

    /** The pods of a workload that are not being deleted. */
    async get(workload: string): Promise<Pod[]> {
        return (await this.everyPod()).get(workload) ?? [];
    }

    /** How often the containers of these workloads' pods were restarted, by pod and its uid; by default, of every workload. */
    async restarts(workloads: readonly string[] = Object.keys(this.counts)): Promise<Record<string, number>> {
        const pods = await this.everyPod();
        const wanted = workloads.flatMap((workload) => pods.get(workload) ?? []);
        return Object.fromEntries(wanted.map((pod) => [`${pod.name} ${pod.uid}`, pod.restarts]));
    }

    /**
     * Waits until every workload has exactly its pods, from its newest revision, and all of them are ready. `pulumi up` may
     * return before the last pods of a StatefulSet are replaced (https://github.com/pulumi/pulumi-kubernetes/issues/3329,
     * fixed in 4.26.0).
     */
    async ready(): Promise<void> {
        const workloads = Object.entries(this.counts);
        const kinds = "statefulsets,deployments";
        await this.kubectl(["rollout", "status", kinds, `--timeout=${RECOVERY_SECONDS}s`], {
            // The timeout of kubectl applies to each of them.
            timeoutSeconds: (RECOVERY_SECONDS + 10) * workloads.length,
        });
        await waitFor("exactly the pods of every workload, all ready", RECOVERY_SECONDS, async () => {
            const pods = await this.everyPod();
            return workloads.every(([workload, count]) => {
                const own = pods.get(workload) ?? [];
                return own.length === count && own.every((pod) => pod.ready);
            });
        });
    }

    /**
     * Deletes a pod and waits until a new pod with that name is ready.
     *
     * @param options additional options of `kubectl delete`
     */
    async replacePod(name: string, ...options: string[]): Promise<void> {
        const workload = name.replace(/-\d+$/, "");
        const old = (await this.get(workload)).find((pod) => pod.name === name);
        await this.kubectl(["delete", "pod", name, "--wait=false", ...options]);
        this.forget(name);
        await waitFor(`a new ready pod ${name}`, RECOVERY_SECONDS, async () =>
            (await this.get(workload)).some((pod) => pod.name === name && pod.uid !== old?.uid && pod.ready),
        );
    }

    /** GETs a page of the web tier. */
    async page(pathname: string): Promise<{ status: number; body: string; headers: Headers }> {
        const response = await fetch(`${this.url}${pathname}`, { signal: AbortSignal.timeout(30_000) });
        return { status: response.status, body: await response.text(), headers: response.headers };
    }

    /** The cells of the page's table, one array per row. */
    async table(pathname: string): Promise<string[][]> {
        const { status, body } = await this.page(pathname);
        if (status !== 200) {
            throw new Error(`${this.url}${pathname} answered ${status}`);
        }
        return [...body.matchAll(/<tr[^>]*>(.*?)<\/tr>/gs)]
            .map(([, row]) =>
                [...(row ?? "").matchAll(/<td[^>]*>(.*?)<\/td>/gs)].map(([, cell]) =>
                    (cell ?? "").replace(/<[^>]*>/g, "").trim(),
                ),
            )
            .filter((cells) => cells.length > 0);
    }
}
