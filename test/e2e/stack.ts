import * as path from "path";

import { copiedStackFile } from "../../local/places";
import { command } from "../support/command";
import { kubectl } from "./side-by-side";

const ROOT = path.resolve(__dirname, "../..");

/** Longer than the program's own longest timeout, so that its own error message appears. */
const PULUMI_SECONDS = 25 * 60;

async function script(name: string, stack: string): Promise<void> {
    const args = ["-r", "ts-node/register/transpile-only", "local/stacks/main.ts", name, stack];
    const result = await command(process.execPath, args, { timeoutSeconds: PULUMI_SECONDS });
    if (result.code !== 0) {
        throw new Error(`local/stacks/main.ts ${name} ${stack}:\n${result.stdout}\n${result.stderr}`);
    }
}

/** Deploys a stack exactly as `make up STACK=...` does. */
export function deploy(stack: string): Promise<void> {
    return script("up", stack);
}

/** Destroys a stack exactly as `make down STACK=...` does. */
export function destroy(stack: string): Promise<void> {
    return script("down", stack);
}

/** Runs pulumi on a stack and returns its output; throws with the full output if it fails. */
export async function pulumi(
    stack: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
    folder = ROOT,
): Promise<string> {
    const takesConfig = !["stack", "state"].includes(args[0] ?? "");
    // `env` requires the names to unset before the names to set.
    const unset = Object.keys(env).filter((name) => env[name] === undefined);
    const set = Object.keys(env).filter((name) => env[name] !== undefined);
    const all = [
        ...unset.map((name) => `--unset=${name}`),
        ...set.map((name) => `${name}=${env[name]}`),
        "pulumi",
        ...args,
        "--non-interactive",
        "--cwd",
        folder,
        "--stack",
        stack,
        ...(takesConfig ? ["--config-file", copiedStackFile("dabaweb", stack)] : []),
    ];
    const { code, stdout, stderr } = await command("env", all, { timeoutSeconds: PULUMI_SECONDS });
    if (code !== 0) {
        throw new Error(`pulumi ${args.join(" ")}: exit code ${code}\n${stdout}\n${stderr}`);
    }
    return stdout;
}

/** Changes settings of the deployed stack, as a user would do in the stack file. */
export async function configure(stack: string, settings: Readonly<Record<string, string>>): Promise<void> {
    const given = Object.entries(settings).flatMap(([key, value]) => [
        "--plaintext",
        `dabaweb:${key}=${value}`,
    ]);
    // Not `set`, which would also parse a value such as -1 as an option.
    await pulumi(stack, ["config", "set-all", "--path", ...given]);
}

/**
 * Leftovers that a destroyed stack must not have: its namespace, its volumes, its tags in the local registry.
 *
 * @param repositories what the names of its repositories begin with.
 */
export async function remnants(namespace: string, repositories: string): Promise<string[]> {
    const { items } = JSON.parse(await kubectl(["get", "namespaces,persistentvolumes", "-o", "json"])) as {
        items: { kind: string; metadata: { name: string }; spec: { claimRef?: { namespace: string } } }[];
    };
    const objects = items
        .filter(
            ({ kind, metadata, spec }) =>
                (kind === "Namespace" && metadata.name === namespace) ||
                spec.claimRef?.namespace === namespace,
        )
        .map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    const catalog = (await (await fetch("http://localhost:5001/v2/_catalog?n=1000")).json()) as {
        repositories: string[];
    };
    const tags: string[] = [];
    for (const repository of catalog.repositories.filter((name) => name.startsWith(repositories))) {
        const list = (await (await fetch(`http://localhost:5001/v2/${repository}/tags/list`)).json()) as {
            tags?: string[] | null;
        };
        tags.push(...(list.tags ?? []).map((tag) => `${repository}:${tag}`));
    }
    return [...objects, ...tags];
}
