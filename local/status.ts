/** `make status`: operations/status.ts with the local environment's tools, and its kubeconfig where the stack is on it. */
import { Refusal, readStackFile } from "../operations/stack-file";
import { status } from "../operations/status";
import { dockerChoice, exported, names } from "./environment";

/** Takes no lock and brings nothing: it is asked while an update hangs. */
async function main(stack = "dev", ...options: string[]): Promise<void> {
    const { KUBECONFIG, ...rest } = exported(dockerChoice()?.host);
    // Another cluster is the user's, and so is the file that leads to it.
    const isLocal = readStackFile(stack).context === names.context;
    Object.assign(process.env, rest, isLocal ? { KUBECONFIG } : {});
    process.exitCode = await status(stack, options.includes("--json"));
}

main(...process.argv.slice(2)).catch((error: unknown) => {
    console.error(error instanceof Refusal ? error.message : error);
    process.exitCode = 1;
});
