/** `make backup` and `make backups`: operations/backup.ts with the local environment's tools, and its kubeconfig if the stack is on it. */
import { backup } from "../../operations/backup";
import { reportFailure } from "../../operations/refusal";
import { isLocal, stackVariables } from "./variables";

/** Takes no lock: it changes nothing that an update changes. */
async function main(command = "", stack = "dev"): Promise<void> {
    Object.assign(process.env, stackVariables(isLocal(stack)));
    await backup(command, stack);
}

reportFailure(main(...process.argv.slice(2)));
