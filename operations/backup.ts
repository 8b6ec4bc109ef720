/**
 * Bases of a deployed stack's MySQL: `backup.ts take STACK` takes one now, `backup.ts list STACK` shows which there are. Both run
 * the image of the CronJob `mysql-base` in the cluster, where the store's keys are. `make backup` and `make backups` call it.
 */
import { spawn } from "child_process";
import { setTimeout as pause } from "timers/promises";

import { oneLine } from "./facts";
import { kubectl, placeOf } from "./kubectl";
import { Refusal, reportFailure } from "./refusal";
import { type DeployedStack, readStackFile } from "./stack-file";
import { table } from "./table";

const CRON_JOB = "mysql-base";

/** For one answer of the cluster. */
const ANSWER_MS = 30_000;

/** How long reading the manifests may take, in seconds, with the start of its pod. */
const LIST_SECONDS = 300;

/** The parts of a CronJob and its Jobs that are used here. */
interface Job {
    readonly metadata: { readonly name: string };
    readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}
interface CronJob {
    readonly spec: { readonly jobTemplate: JobTemplate };
}
interface JobTemplate {
    readonly metadata?: object;
    readonly spec: {
        readonly template: {
            readonly spec: {
                readonly containers: readonly [{ readonly name: string }];
                readonly volumes: readonly { readonly name: string }[];
            };
        };
    };
}

/** Takes a base, and prints its log while it runs. */
async function take(stack: string): Promise<void> {
    const deployed = readStackFile(stack);
    const { jobTemplate } = (await cronJob(deployed)).spec;
    const name = await create(deployed, `${CRON_JOB}-by-hand-`, jobTemplate);
    process.stdout.write(`Job ${name} takes a base; it goes on if you stop watching.\n`);
    let followed = false;
    await finished(deployed, name, async () => {
        followed = true;
        await follow(deployed, name);
    });
    if (!followed) {
        await follow(deployed, name);
    }
}

/** Prints the bases that the store has. */
async function list(stack: string): Promise<void> {
    const deployed = readStackFile(stack);
    const { jobTemplate } = (await cronJob(deployed)).spec;
    const name = await create(deployed, `${CRON_JOB}-list-`, listing(jobTemplate));
    try {
        await finished(deployed, name, () => Promise.resolve());
        const { stdout } = await kubectl(deployed, ["logs", `job/${name}`], LIST_SECONDS * 1000);
        process.stdout.write(`${renderBases(stdout)}\n`);
    } finally {
        await kubectl(deployed, ["delete", "job", name, "--wait=false"], ANSWER_MS);
    }
}

/** The Job that lists the bases: the same pod with another program, without a volume for data. */
export function listing(template: JobTemplate): JobTemplate {
    const { spec } = template.spec.template;
    const [container] = spec.containers;
    return {
        ...template,
        spec: {
            ...template.spec,
            ...{ backoffLimit: 0, activeDeadlineSeconds: LIST_SECONDS },
            template: {
                ...template.spec.template,
                spec: {
                    ...spec,
                    containers: [{ ...container, ...{ command: ["/opt/dabaweb/bin/list"] } }],
                    volumes: spec.volumes.map((volume) =>
                        volume.name === "data" ? { name: "data", emptyDir: {} } : volume,
                    ),
                },
            },
        },
    };
}

/** What the image prints, as tables: the bases, the newest last, and what can be restored of each history. */
export function renderBases(printed: string): string {
    const groups = printed
        .trim()
        .split(/\n\n+/)
        .filter((text) => text !== "")
        .map((text) => new Map(text.split("\n").map((line) => splitOnce(line))))
        .map((group) => (name: string) => group.get(name) ?? "");
    const bases = groups
        .filter((fact) => fact("base") !== "")
        .sort((one, other) => one("base").localeCompare(other("base")));
    const logs = groups.filter((fact) => fact("log") !== "");
    if (bases.length === 0) {
        return "There are no bases yet, so nothing can be restored; `make backup` takes one.";
    }
    const parts = [basesTable(bases)];
    if (logs.length > 0) {
        parts.push(rangesTable(bases, logs));
    }
    return parts.join("\n\n");
}

type Facts = (name: string) => string;

/** Between which times each history can be restored, with restore.at. */
function rangesTable(bases: readonly Facts[], logs: readonly Facts[]): string {
    const rows = logs.map((log) => {
        const own = bases.filter((base) => base("identity") === log("log"));
        const gaps = log("gaps").split(" ").map(spelled);
        const from = own.length === 0 ? "no base yet" : spelled(own[0]!("base"));
        return [log("log"), from, log("end"), gaps.join(", ")];
    });
    return table(["history", "restorable from", "to its last write", "gaps, until the next base"], rows);
}

/** The time that a name in the store says, as restore.at takes it. */
function spelled(name: string): string {
    return name.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)/, "$1-$2-$3:$4:");
}

function basesTable(bases: readonly Facts[]): string {
    const rows = bases.map((fact) => [
        fact("base"),
        megabytes(fact("bytes")),
        megabytes(fact("packed")),
        Number(fact("seconds")),
        fact("mysql"),
        fact("from"),
        fact("identity"),
        fact("proven") === "" ? "no" : `in ${fact("restored")} s`,
        fact("gtid"),
    ]);
    return table(["base", "MB", "packed", "seconds", "mysql", "copy of", "history", "proven", "up to"], rows);
}

function splitOnce(line: string): [string, string] {
    const at = line.indexOf(": ");
    return [line.slice(0, at), line.slice(at + 2)];
}

function megabytes(bytes: string): number {
    return Math.round(Number(bytes) / 1e5) / 10;
}

async function cronJob(stack: DeployedStack): Promise<CronJob> {
    const { ok, stdout, stderr } = await kubectl(
        stack,
        ["get", "cronjob", CRON_JOB, "-o", "json"],
        ANSWER_MS,
    );
    if (!ok && /NotFound/.test(stderr)) {
        throw new Refusal(
            `Stack ${stack.stack} has no backup in namespace ${stack.namespace}; set backup in Pulumi.${stack.stack}.yaml and deploy ` +
                "it (docs/backup.md).",
        );
    }
    if (!ok) {
        throw new Refusal(`The CronJob ${CRON_JOB} cannot be read: ${oneLine(stderr)}.`);
    }
    return JSON.parse(stdout) as CronJob;
}

async function create(stack: DeployedStack, prefix: string, template: JobTemplate): Promise<string> {
    const job = {
        apiVersion: "batch/v1",
        kind: "Job",
        metadata: {
            ...template.metadata,
            generateName: prefix,
            // As `kubectl create job --from` marks it.
            annotations: { "cronjob.kubernetes.io/instantiate": "manual" },
        },
        spec: template.spec,
    };
    const { ok, stdout, stderr } = await kubectl(
        stack,
        ["create", "-f", "-", "-o", "jsonpath={.metadata.name}"],
        ANSWER_MS,
        { input: JSON.stringify(job) },
    );
    if (!ok) {
        throw new Refusal(`The cluster takes no Job: ${oneLine(stderr)}.`);
    }
    return stdout.trim();
}

/** Waits until a Job has ended, with `meanwhile` while a pod of it runs. The Job's own deadline bounds this. */
async function finished(
    stack: DeployedStack,
    name: string,
    meanwhile: () => Promise<unknown>,
): Promise<void> {
    let said = "";
    for (;;) {
        const state = await stateOf(stack, name);
        if (state.phase === "Complete") {
            return;
        }
        if (state.phase === "Failed") {
            throw new Refusal(
                `Job ${name} failed: ${state.why}; see \`kubectl --namespace ${stack.namespace} logs job/${name}\` and docs/backup.md.`,
            );
        }
        if (state.phase === "running") {
            await meanwhile();
        } else if (state.why !== said) {
            said = state.why;
            process.stderr.write(`waiting for the pod of job ${name}: ${said}\n`);
        }
        await pause(1000);
    }
}

interface State {
    readonly phase: "Complete" | "Failed" | "running" | "waiting";
    readonly why: string;
}

async function stateOf(stack: DeployedStack, name: string): Promise<State> {
    const [job, pods] = await Promise.all([
        kubectl(stack, ["get", "job", name, "-o", "json"], ANSWER_MS),
        kubectl(stack, ["get", "pods", "--selector", `job-name=${name}`, "-o", "json"], ANSWER_MS),
    ]);
    if (!job.ok || !pods.ok) {
        throw new Refusal(`Job ${name} cannot be read: ${oneLine(job.stderr + pods.stderr)}.`);
    }
    const { conditions = [] } = (JSON.parse(job.stdout) as Job).status ?? {};
    const last = lastWords((JSON.parse(pods.stdout) as { items: Pod[] }).items);
    for (const phase of ["Complete", "Failed"] as const) {
        if (conditions.some(({ type, status }) => type === phase && status === "True")) {
            return { phase, why: last.why };
        }
    }
    return last;
}

interface Pod {
    readonly metadata: { readonly creationTimestamp: string };
    readonly status: {
        readonly phase: string;
        readonly conditions?: readonly { readonly status: string; readonly message?: string }[];
        readonly containerStatuses?: readonly {
            readonly state?: {
                readonly waiting?: { readonly reason?: string; readonly message?: string };
                readonly terminated?: { readonly message?: string; readonly reason?: string };
            };
        }[];
    };
}

/** What the newest pod of a Job does, and the last thing that it said. */
function lastWords(pods: readonly Pod[]): State {
    const newest = [...pods].sort((one, other) =>
        one.metadata.creationTimestamp.localeCompare(other.metadata.creationTimestamp),
    );
    const pod = newest.at(-1);
    const state = pod?.status.containerStatuses?.[0]?.state;
    const unmet = pod?.status.conditions?.find(({ status, message }) => status === "False" && message);
    const why =
        state?.terminated?.message?.trim().split("\n").at(-1) ??
        state?.terminated?.reason ??
        state?.waiting?.message ??
        state?.waiting?.reason ??
        unmet?.message ??
        "it was not started yet";
    return { phase: pod?.status.phase === "Running" ? "running" : "waiting", why: oneLine(why) };
}

/** Prints the log of a Job's pod until it ends. */
function follow(stack: DeployedStack, name: string): Promise<void> {
    return new Promise((resolve, reject) => {
        const child = spawn("kubectl", [...placeOf(stack), "logs", "--follow", `job/${name}`], {
            stdio: ["ignore", "inherit", "inherit"],
        });
        child.on("error", reject);
        child.on("close", () => resolve());
    });
}

const COMMANDS: Readonly<Record<string, (stack: string) => Promise<void>>> = { take, list };

/** Runs one of the commands. */
export function backup(command: string, stack: string): Promise<void> {
    const work = COMMANDS[command];
    if (work === undefined) {
        throw new Refusal(`"${command}" is not a command; the commands are take and list.`);
    }
    return work(stack);
}

if (require.main === module) {
    const [command = "", stack = ""] = process.argv.slice(2);
    reportFailure(Promise.resolve().then(() => backup(command, stack)));
}
