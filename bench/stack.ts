/** A separate stack for measuring. It uses the images of the dev stack by digest, in a namespace that is deleted afterwards. */
import { spawnSync } from "child_process";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";
import { parse, stringify } from "yaml";

import { copyProgram } from "../test/support/copy";

export const ROOT = path.resolve(__dirname, "..");
export const NAMESPACE = "dabaweb-bench";
export const NODE_PORT = 32009;

/** Runs a program to its end and returns its output. If it fails, throws an error with the whole output. */
export function run(
    file: string,
    args: readonly string[],
    cwd: string,
    { input, env }: { input?: string; env?: NodeJS.ProcessEnv } = {},
): string {
    const { status, stdout, stderr, error } = spawnSync(file, args, {
        cwd,
        input,
        env: { ...process.env, ...env },
        encoding: "utf8",
        maxBuffer: 256 * 1024 * 1024,
    });
    if (error !== undefined || status !== 0) {
        throw new Error(`${file} ${args.join(" ")} failed: ${error?.message ?? `${stderr}${stdout}`.trim()}`);
    }
    return stdout;
}

/** Deploys dev, whose images are used. */
export function bringDevUp(): void {
    process.stdout.write("bringing up the dev stack, whose images are used\n");
    run(
        process.execPath,
        ["-r", "ts-node/register/transpile-only", "local/stacks/main.ts", "up", "dev"],
        ROOT,
    );
}

/** The configuration of a stack, with the images of dev pinned by digest. */
export function configWithDevsImages(stack: string): Record<string, unknown> {
    const images = JSON.parse(
        run("pulumi", ["stack", "output", "images", "--json", "--stack", "dev"], ROOT),
    ) as unknown;
    const { config } = parse(fs.readFileSync(path.join(ROOT, `Pulumi.${stack}.yaml`), "utf8")) as {
        config: Record<string, unknown>;
    };
    return { ...config, "dabaweb:images": images };
}

/** Copies the program to its own folder. Its stack `bench` is dev in another namespace. */
export function benchProgram(folder: string): void {
    copyProgram(folder);
    const config = configWithDevsImages("dev");
    config["dabaweb:namespace"] = { name: NAMESPACE, create: true };
    config["dabaweb:service"] = { type: "NodePort", nodePort: NODE_PORT };
    config["dabaweb:publicUrl"] = `http://localhost:${NODE_PORT}`;
    fs.writeFileSync(path.join(folder, "Pulumi.bench.yaml"), stringify({ config }));
}

/** Runs kubectl in the namespace of stack `bench`. */
export function kubectl(args: readonly string[], input?: string): string {
    return run("kubectl", ["--context", "kind-dabaweb", "--namespace", NAMESPACE, ...args], ROOT, { input });
}

/** Runs `work` in a new folder, which is removed afterwards. */
export function inFolder<T>(work: (folder: string) => T): T {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bench-"));
    try {
        return work(folder);
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
}
