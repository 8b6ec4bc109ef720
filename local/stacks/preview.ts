/**
 * `make preview`: shows what a change does to a stack. `preview.ts STACK [--state | --keyless] [--base REF] [--json FILE]`
 *
 * The exit code is 0 whatever the change does, and 1 if the preview fails. --json writes the result in both cases.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { parseArgs } from "node:util";

import { QUICKLY_COMPILED } from "../../operations/compiled";
import { Refusal } from "../../operations/refusal";
import { mapTexts } from "../../review/changes";
import { keylessPreview } from "../../review/keyless";
import { type Choice, chooseMode, namedBackend } from "../../review/mode";
import { type Mode, type Outcome, outcomeJson } from "../../review/outcome";
import { redactor } from "../../review/redact";
import { statePreview } from "../../review/state";
import { firstLine, terminalText } from "../../review/summary";
import { pulumiUp } from "../environment/up";
import { writeWhole } from "../machine/files";
import { run } from "../machine/shell";
import { CHECKOUT, dockerChoice, exported } from "../places";
import { takeLock } from "../state/lock";
import { allPlugins, policyPack } from "../tools/plugins";
import { Stack } from "./stack";

interface Options {
    readonly name: string;
    readonly asked?: Mode;
    readonly base?: string;
    readonly json?: string;
}

function parsed(args: readonly string[]) {
    try {
        return parseArgs({
            args: [...args],
            allowPositionals: true,
            options: {
                state: { type: "boolean" },
                keyless: { type: "boolean" },
                base: { type: "string" },
                json: { type: "string" },
            },
        });
    } catch (error) {
        const [what] = (error as Error).message.split(". ");
        throw new Refusal(`${what}; the options are --state, --keyless, --base REF and --json FILE.`);
    }
}

function options(args: readonly string[]): Options {
    const { values, positionals } = parsed(args);
    if (values.state && values.keyless) {
        throw new Refusal(
            "--state and --keyless are both given, but a preview has one mode; give one of them, or neither.",
        );
    }
    const asked = values.state ? "against state" : values.keyless ? "keyless" : undefined;
    const { base, json } = values;
    return {
        name: positionals[0] ?? "",
        ...(asked === undefined ? {} : { asked }),
        ...(base === undefined ? {} : { base }),
        ...(json === undefined ? {} : { json }),
    };
}

/** The variables of the local environment that point to tools. */
function toolVariables(): { PATH: string; PULUMI_HOME: string } {
    const { PATH = "", PULUMI_HOME = "" } = exported(undefined);
    return { PATH, PULUMI_HOME };
}

/** The backend other than the local one that the environment names, and whether it has the stack. */
async function named(stack: string): Promise<{ name: string; hasStack: boolean } | undefined> {
    const name = namedBackend(process.env);
    if (name === undefined || process.env.PULUMI_BACKEND_URL === exported(undefined).PULUMI_BACKEND_URL) {
        return undefined;
    }
    await pulumiUp(allPlugins);
    const list = await run("pulumi", ["--cwd", CHECKOUT, "stack", "ls", "--json", "--non-interactive"], {
        env: { ...toolVariables(), PULUMI_SKIP_UPDATE_CHECK: "true" },
    }).catch((error: Error) => {
        throw new Refusal(
            `${error.message}\nThe backend ${name}, which PULUMI_BACKEND_URL or PULUMI_ACCESS_TOKEN names, does not list ` +
                `its stacks; correct these variables, or preview without a backend: PREVIEW=--keyless`,
        );
    });
    const stacks = JSON.parse(list) as { name: string }[];
    return { name, hasStack: stacks.some((each) => each.name.split("/").at(-1) === stack) };
}

async function preview(stack: Stack, { mode, backend, why }: Choice, base?: string): Promise<Outcome> {
    if (mode === "keyless") {
        await pulumiUp(["kubernetes", "random"]);
        return keylessPreview({
            checkout: CHECKOUT,
            stack: stack.name,
            committed: stack.committed,
            why,
            base,
            policyPack: await policyPack(),
            tools: toolVariables(),
        });
    }
    if (backend === "local") {
        const release = takeLock(`stack-${stack.name}`, `make preview STACK=${stack.name}`);
        try {
            await stack.environment(false);
            await stack.select();
            const run = {
                ...{ checkout: CHECKOUT, stack: stack.name, stackFile: stack.copy, env: process.env },
                policyPack: await policyPack(),
            };
            return await statePreview(run, why);
        } finally {
            release();
        }
    }
    // A user who names a backend also names the rest. The local environment only fills gaps, and never with its passphrase.
    const { DOCKER_HOST, KUBECONFIG, PULUMI_SKIP_UPDATE_CHECK } = exported(dockerChoice()?.host);
    const env = {
        ...(DOCKER_HOST === undefined ? {} : { DOCKER_HOST }),
        ...(stack.isLocal ? { KUBECONFIG } : {}),
        PULUMI_SKIP_UPDATE_CHECK,
        ...QUICKLY_COMPILED,
        ...process.env,
        ...toolVariables(),
    };
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "preview-state-"));
    try {
        const stackFile = path.join(folder, path.basename(stack.committed));
        fs.copyFileSync(stack.committed, stackFile);
        return await statePreview(
            { checkout: CHECKOUT, stack: stack.name, stackFile, env, policyPack: await policyPack() },
            why,
        );
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
}

async function main(args: readonly string[]): Promise<void> {
    const { name, asked, base, json } = options(args);
    const stack = new Stack(name);
    const redacted = redactor(process.env);
    // A pull request from a fork gets empty strings in place of secrets; Pulumi would take them for values.
    for (const [variable, value] of Object.entries(process.env)) {
        if (value === "" && /^(PULUMI_|KUBECONFIG$)/.test(variable)) {
            delete process.env[variable];
        }
    }
    const write = (outcome: Outcome): void => {
        if (json !== undefined) {
            writeWhole(path.resolve(json), outcomeJson(outcome));
        }
    };
    let choice: Choice | undefined;
    try {
        const known = asked === "keyless" ? undefined : await named(name);
        choice = chooseMode({ asked, local: stack.exists, named: known });
        console.log(firstLine({ stack: name, ...choice }));
        const outcome = mapTexts(await preview(stack, choice, base), redacted) as Outcome;
        write(outcome);
        process.stdout.write(terminalText(outcome));
        process.exitCode = outcome.errors.length > 0 ? 1 : 0;
    } catch (error) {
        write({
            stack: name,
            mode: choice?.mode ?? "against state",
            why: choice?.why ?? "a backend is named",
            cluster: "not asked",
            resources: [],
            planned: 0,
            warnings: [],
            errors: [redacted((error as Error).message)],
        });
        throw error;
    }
}

main(process.argv.slice(2)).catch((error: unknown) => {
    const isSentence = error instanceof Refusal;
    console.error(isSentence ? redactor(process.env)(error.message) : error);
    process.exitCode = 1;
});
