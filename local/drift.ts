/** `make drift`: operations/drift.ts with the local environment's tools, and its backend unless another one is named. */
import * as fs from "node:fs";

import { PROJECT } from "../config";
import { drift } from "../operations/drift";
import { Refusal, readStackFile } from "../operations/stack-file";
import { namedBackend } from "../review/mode";
import { dockerChoice, exported, names, stackFile } from "./environment";

/** Takes no lock: it reads, while whoever found something may be about to mend it. */
async function main(stack = "dev"): Promise<void> {
    const local = exported(dockerChoice()?.host);
    const isElsewhere =
        namedBackend(process.env) !== undefined &&
        process.env.PULUMI_BACKEND_URL !== local.PULUMI_BACKEND_URL;
    const { PULUMI_BACKEND_URL, PULUMI_CONFIG_PASSPHRASE_FILE, KUBECONFIG, ...tools } = local;
    // Another cluster is the user's, and so is the file that leads to it.
    const isLocalCluster = readStackFile(stack).context === names.context;
    Object.assign(process.env, tools, isLocalCluster ? { KUBECONFIG } : {});
    if (!isElsewhere) {
        Object.assign(process.env, { PULUMI_BACKEND_URL, PULUMI_CONFIG_PASSPHRASE_FILE });
        // The salt of the stack's secrets is in a copy of its file.
        const copy = stackFile(PROJECT, stack);
        if (fs.existsSync(copy)) {
            process.env.PULUMI_OPTION_CONFIG_FILE = copy;
        }
    }
    process.exitCode = await drift(stack);
}

main(...process.argv.slice(2)).catch((error: unknown) => {
    console.error(error instanceof Refusal ? error.message : error);
    process.exitCode = 1;
});
