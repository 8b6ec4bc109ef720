/**
 * The state of a deployed stack in one table, and what is wrong in words: `status.ts STACK [--json]`. The exit code is 0 if
 * all is well, otherwise 1. It changes nothing. `make status` calls it with the local environment's variables.
 */
import { readFileSync } from "fs";
import { setTimeout as pause } from "timers/promises";

import { LOGIN_MINUTES } from "../components/cluster-login";
import { readContext } from "../components/kubeconfig";
import {
    Facts,
    oneLine,
    parseMemory,
    parseObjects,
    parseStatus,
    Pod,
    PRINT_MEMORY,
    withStatus,
} from "./facts";
import { judge, positionsDiffer, runsLong } from "./judge";
import { kubectl } from "./kubectl";
import { Refusal, reportFailure } from "./refusal";
import { render, renderJson } from "./render";
import { DeployedStack, environmentNote, readStackFile, stackFile } from "./stack-file";

/** A cluster that takes longer counts as unreachable; kubectl sends several requests, each with its own limit. */
const GET_MS = 30_000;

const REQUEST = "--request-timeout=10s";

/** For one pod. */
const EXEC_MS = 10_000;

/** A pod of a busy node gets this long, once, after all others have answered: it may be well and only slow. */
const PATIENT_EXEC_MS = 30_000;

/** Pods that are asked at the same time: each takes a process here, and 26 at once can keep a small machine from reading their answers. */
const AT_ONCE = 8;

/** By then, replication must have delivered what was missing: one heartbeat second plus a margin. */
const SECOND_LOOK_MS = 3_000;

/**
 * The facts about a stack's pods, and what is wrong, one sentence each.
 *
 * @throws Refusal if the stack file is missing or not valid, or the cluster does not answer.
 */
export async function look(stack: string): Promise<{ facts: Facts; problems: readonly string[] }> {
    const deployed = readStackFile(stack);
    let earlier: Facts | undefined;
    let facts = await ask(deployed);
    if (positionsDiffer(facts)) {
        earlier = facts;
        await pause(SECOND_LOOK_MS);
        facts = await ask(deployed);
    }
    return { facts, problems: judge(facts, earlier) };
}

/** Prints the state of a stack and returns the exit code. */
export async function status(stack: string, json: boolean): Promise<number> {
    const note = environmentNote(stack, readFileSync(stackFile(stack), "utf8"));
    if (note !== undefined) {
        process.stderr.write(`${note}.\n`);
    }
    const { facts, problems } = await look(stack);
    process.stdout.write(`${json ? renderJson(facts, problems) : render(facts, problems)}\n`);
    return problems.length === 0 ? 0 : 1;
}

async function ask(stack: DeployedStack): Promise<Facts> {
    const kinds = "pods,persistentvolumeclaims,configmaps,events,jobs";
    const hasProgram = logsInByProgram(stack.context);
    const limit = GET_MS + (hasProgram ? LOGIN_MINUTES * 60_000 : 0);
    const answer = await kubectl(stack, ["get", kinds, "-o", "json", REQUEST], limit, { passOn: hasProgram });
    const unread = [...answer.stderr.matchAll(/cannot list resource "(\w+)"/g)].map(([, kind]) => kind ?? "");
    if (answer.stdout === "" || (!answer.ok && unread.length === 0)) {
        throw new Refusal(
            `The cluster of context ${stack.context} (KUBECONFIG ${process.env.KUBECONFIG ?? "unset"}) does not answer: ` +
                `${oneLine(answer.stderr.trim().split("\n").at(-1) ?? "")}; check kubeContext in ` +
                `Pulumi.${stack.stack}.yaml and the kubeconfig, or run \`make local-up\`.`,
        );
    }
    const objects = JSON.parse(answer.stdout) as Parameters<typeof parseObjects>[1];
    const facts = parseObjects(stack, objects, new Date(), unread);
    const asked = await sideBySide(facts.pods, (pod) => askPod(stack, pod, facts.at, EXEC_MS));
    const pods = await sideBySide(asked, (pod) =>
        pod.status instanceof Late ? askPod(stack, pod, facts.at, PATIENT_EXEC_MS) : Promise.resolve(pod),
    );
    return { ...facts, pods };
}

/** Whether a program logs in to the cluster: somebody may have to open a page and enter a code. */
function logsInByProgram(context: string): boolean {
    try {
        return readContext(context).login !== undefined;
    } catch {
        // kubectl says what is wrong with the kubeconfig.
        return false;
    }
}

/** Does something for each, some at a time, and returns the results in their order. */
async function sideBySide<T>(all: readonly T[], each: (one: T) => Promise<T>): Promise<T[]> {
    const results = [...all];
    const left = results.keys();
    const work = async () => {
        for (const index of left) {
            results[index] = await each(results[index]!);
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return results;
}

/** A pod that did not answer in time. */
class Late extends Error {}

async function askPod(stack: DeployedStack, pod: Pod, at: Date, limit: number): Promise<Pod> {
    if (runsLong(pod, at)) {
        const { ok, stdout } = await kubectl(stack, ["logs", pod.name, "--tail=1", REQUEST], limit);
        return { ...pod, words: ok ? oneLine(stdout) : "" };
    }
    const answers = await Promise.all(
        (pod.answering === undefined ? pod.running : [pod.answering]).map(async (container) => {
            const tell =
                container === pod.answering ? `/opt/dabaweb/bin/status && ${PRINT_MEMORY}` : PRINT_MEMORY;
            const exec = ["exec", pod.name, "-c", container, "--", "sh", "-c", tell];
            return { container, ...(await kubectl(stack, exec, limit)) };
        }),
    );
    // What is wrong with a web pod, its probes say; a container that does not answer is left out.
    const memory = answers.flatMap(({ container, stdout }) => {
        const percent = parseMemory(stdout);
        return percent === undefined ? [] : [[container, percent] as const];
    });
    const asked = { ...pod, memory: Object.fromEntries(memory) };
    const answer = answers.find(({ container }) => container === pod.answering);
    if (answer === undefined) {
        return asked;
    }
    const { ok, stdout, stderr, late } = answer;
    if (ok) {
        return withStatus(asked, parseStatus(stdout));
    }
    return withStatus(asked, late ? new Late(stderr) : new Error(oneLine(stderr) || "no answer"));
}

if (require.main === module) {
    const [stack = "dev", ...options] = process.argv.slice(2);
    reportFailure(status(stack, options.includes("--json")).then((code) => (process.exitCode = code)));
}
