/** Facts and judgement for people and for programs. */
import { Facts, Pod, told } from "./facts";
import { shortened } from "./position";
import { table } from "./table";

/** Longer cells are truncated; the sentences below the table are not. */
const CELL = 40;

const COLUMNS: Readonly<Record<string, (pod: Pod) => string>> = {
    pod: (pod) => pod.name,
    role: (pod) => told(pod)?.role || pod.role,
    ready: (pod) => (pod.ready ? "yes" : `no: ${pod.why}`),
    stale: (pod) => withUnit(told(pod)?.stale, " s"),
    position: (pod) => shortened(told(pod)?.position ?? ""),
    identity: (pod) => (told(pod)?.identity ?? "").slice(0, 8),
    volume: (pod) => withUnit(told(pod)?.volume, "%"),
    restarts: (pod) => String(pod.restarts),
    "last termination": ({ termination: end }) =>
        end === undefined ? "" : `${end.reason} (${end.exitCode}) ${end.words}`.trim(),
    image: (pod) => shortImage(pod.image),
    node: (pod) => pod.node,
};

/** A table of the pods, then what is wrong. */
export function render(facts: Facts, problems: readonly string[]): string {
    const rows = facts.pods.map((pod) =>
        Object.values(COLUMNS).map((cell) => {
            const text = cell(pod);
            return text.length > CELL ? `${text.slice(0, CELL - 1)}…` : text || "-";
        }),
    );
    const unread = facts.unread.map((kind) => `not checked: no permission to read ${kind}`);
    const uncompared = facts.pods.flatMap((pod) => {
        const text = told(pod)?.uncompared ?? "";
        return text === "" ? [] : [`not compared with the master: ${pod.name}: ${text}`];
    });
    const compared = facts.pods.flatMap((pod) => {
        const text = told(pod)?.compared ?? "";
        return text === "" ? [] : [`compared with the master: ${pod.name}: ${text}`];
    });
    const verdict = problems.length === 0 ? ["all is well"] : problems.map((each) => `wrong: ${each}`);
    return [
        ...(rows.length > 0 ? [table(Object.keys(COLUMNS), rows), ""] : []),
        ...unread,
        ...compared,
        ...uncompared,
        ...verdict,
    ].join("\n");
}

/** The same for a program; an absent value is null. */
export function renderJson(facts: Facts, problems: readonly string[]): string {
    const pods = facts.pods.map((pod) => {
        const { stale = null, volume = null, ...status } = told(pod) ?? {};
        return {
            name: pod.name,
            workload: pod.workload,
            role: pod.role,
            ready: pod.ready,
            why: pod.why,
            restarts: pod.restarts,
            lastTermination: pod.termination ?? null,
            image: pod.image,
            node: pod.node,
            memory: pod.memory,
            status: told(pod) === undefined ? null : { ...status, stale, volume },
        };
    });
    const { stack, context, namespace } = facts.stack;
    const { claims, unread } = facts;
    return JSON.stringify({ stack, context, namespace, pods, claims, unread, problems }, null, 4);
}

/** Repository and tag without registry and project: redis-slave:1a2b3c4d. */
export function shortImage(reference: string): string {
    const name = reference.split("/").at(-1) ?? reference;
    const [, repository = name, tag = "", digest = ""] =
        /^([^:@]+)(?::([^@]+))?(?:@sha256:(.+))?$/.exec(name) ?? [];
    return [repository, ...[digest || tag].filter((each) => each !== "")]
        .map((each, at) => (at === 0 ? each : each.slice(0, 12)))
        .join(digest === "" ? ":" : "@");
}

function withUnit(value: number | undefined, unit: string): string {
    return value === undefined ? "" : `${value}${unit}`;
}
