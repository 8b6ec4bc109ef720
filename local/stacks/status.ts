/** `make status`: operations/status.ts with the local environment's tools, and its kubeconfig if the stack is on it. */
import { reportFailure } from "../../operations/refusal";
import { status } from "../../operations/status";
import { isLocal, stackVariables } from "./variables";

/** Takes no lock and installs nothing: it is run while an update hangs. */
async function main(stack = "dev", ...options: string[]): Promise<void> {
    Object.assign(process.env, stackVariables(isLocal(stack)));
    process.exitCode = await status(stack, options.includes("--json"));
}

reportFailure(main(...process.argv.slice(2)));
