/** kubectl on a deployed stack, within a time and without waiting for input. */
import { execFile } from "child_process";

import { Refusal } from "./refusal";
import type { DeployedStack } from "./stack-file";

/** What kubectl said. */
export interface Answer {
    readonly ok: boolean;
    readonly stdout: string;
    readonly stderr: string;
    /** Whether it was ended because it took too long. */
    readonly late: boolean;
}

/** The options that name a stack's place. */
export function placeOf({ context, namespace }: DeployedStack): string[] {
    return ["--context", context, "--namespace", namespace];
}

/**
 * Runs kubectl in the namespace of a stack.
 *
 * @param timeout in milliseconds, after which it is ended.
 * @param options passOn: whether what it says is passed on while it runs; input: its standard input, otherwise empty.
 * @throws Refusal if there is no kubectl.
 */
export function kubectl(
    stack: DeployedStack,
    args: readonly string[],
    timeout: number,
    { passOn = false, input = "" }: { readonly passOn?: boolean; readonly input?: string } = {},
): Promise<Answer> {
    const all = [...placeOf(stack), ...args];
    // Large enough for the objects of any namespace; the default of 1 MiB is not.
    const options = { timeout, killSignal: "SIGKILL", maxBuffer: 256 * 2 ** 20 } as const;
    return new Promise((resolve, reject) => {
        const child = execFile("kubectl", all, options, (error, stdout, stderr) => {
            if (error?.code === "ENOENT") {
                reject(
                    new Refusal(
                        "kubectl is not on PATH; install it, or run `make local-up` to get the local one.",
                    ),
                );
                return;
            }
            const late = error?.killed === true;
            const words = late ? `no answer within ${timeout / 1000} s` : stderr;
            resolve({ ok: error === null, stdout, stderr: words, late });
        });
        if (passOn) {
            child.stderr?.pipe(process.stderr, { end: false });
        }
        // A kubectl that ends without reading its input is not an error of this program: its exit code tells what is.
        child.stdin?.on("error", () => undefined);
        // Without credentials, kubectl asks for a user name and would wait for input.
        child.stdin?.end(input);
    });
}
