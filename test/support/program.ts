import { execFileSync } from "child_process";
import * as path from "path";

import type { Recorded } from "./record";

export { SECRET } from "./record";
export type { Recorded } from "./record";

const root = path.resolve(__dirname, "../..");
const cache = new Map<string, Recorded[]>();

/** Every stack file that is committed. */
export const STACKS = ["dev", "prod", "e2e", "kept"] as const;
export type Stack = (typeof STACKS)[number];

/**
 * What the program of a stack registers, recorded under mocks without a cluster, Docker or registry.
 * Each stack is run once per test process.
 */
export function recordedStack(stack: Stack): Recorded[] {
    return recordedFile(`Pulumi.${stack}.yaml`);
}

/** The same for any stack file, by a path from the project's root. */
export function recordedFile(file: string): Recorded[] {
    const known = cache.get(file);
    if (known) {
        return known;
    }
    const output = execFileSync(
        process.execPath,
        ["-r", "ts-node/register/transpile-only", "test/support/record.ts", file],
        {
            cwd: root,
            encoding: "utf8",
            maxBuffer: 64 * 1024 * 1024,
            stdio: ["ignore", "pipe", "ignore"],
            env: { ...process.env, KUBECONFIG: "/nonexistent", DOCKER_HOST: "unix:///nonexistent" },
        },
    );
    const recorded = JSON.parse(output) as Recorded[];
    cache.set(file, recorded);
    return recorded;
}

/** The recorded resources of one type, by name. */
export function ofType(recorded: readonly Recorded[], type: string): Map<string, Recorded> {
    return new Map(recorded.filter((r) => r.type === type).map((r) => [r.name, r]));
}

/** Reads a nested input such as spec.template.spec; undefined where a step is missing. */
export function at<T>(recorded: Recorded | undefined, dotted: string): T {
    return dotted
        .split(".")
        .reduce<unknown>(
            (value, key) => (value as Record<string, unknown> | undefined)?.[key],
            recorded?.inputs,
        ) as T;
}
