import assert from "assert";

import { command } from "../support/command";
import { RECOVERY_SECONDS } from "../support/system";

/** Where side-by-side.test.ts deploys the committed stacks, next to everything else on the cluster. */
export const NAMESPACES = { dev: "side-by-side-dev", prod: "side-by-side-prod" } as const;

/** Removes what that test, or a killed run of it, left on the cluster of KUBECONFIG. */
export async function clearSideBySide(): Promise<void> {
    await kubectl(["delete", "namespace", ...Object.values(NAMESPACES), "--ignore-not-found"]);
}

/** Runs kubectl on the cluster of KUBECONFIG, as its administrator. */
export async function kubectl(args: readonly string[], input?: string): Promise<string> {
    const result = await command("kubectl", args, { timeoutSeconds: 2 * RECOVERY_SECONDS, input });
    assert.strictEqual(result.code, 0, `kubectl ${args.join(" ")}: ${result.stderr}`);
    return result.stdout.trim();
}
