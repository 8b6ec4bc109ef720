/** `make drift`: operations/drift.ts with the local environment's tools, and its backend unless another one is named. */
import * as fs from "node:fs";

import { PROJECT } from "../../config";
import { drift } from "../../operations/drift";
import { reportFailure } from "../../operations/refusal";
import { namedBackend } from "../../review/mode";
import { copiedStackFile } from "../places";
import { isLocal, stackVariables } from "./variables";

/** Takes no lock: it only reads, and the user who found a drift may be fixing it at the same time. */
async function main(stack = "dev"): Promise<void> {
    const { PULUMI_BACKEND_URL, PULUMI_CONFIG_PASSPHRASE_FILE, ...tools } = stackVariables(isLocal(stack));
    const isElsewhere =
        namedBackend(process.env) !== undefined && process.env.PULUMI_BACKEND_URL !== PULUMI_BACKEND_URL;
    Object.assign(process.env, tools);
    if (!isElsewhere) {
        Object.assign(process.env, { PULUMI_BACKEND_URL, PULUMI_CONFIG_PASSPHRASE_FILE });
        // The salt of the stack's secrets is in a copy of its file.
        const copy = copiedStackFile(PROJECT, stack);
        if (fs.existsSync(copy)) {
            process.env.PULUMI_OPTION_CONFIG_FILE = copy;
        }
    }
    process.exitCode = await drift(stack);
}

reportFailure(main(...process.argv.slice(2)));
