/** The files that Pulumi needs before its first run: the environment's own backend, and a passphrase. */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";

import { writeWhole } from "../machine/files";
import { places } from "../places";
import type { Plan, Step } from "../steps/step";

export class BackendStep implements Step {
    readonly name = "Pulumi backend";

    async plan(): Promise<Plan> {
        const { backend, passphrase } = places();
        return fs.existsSync(passphrase) && fs.existsSync(backend)
            ? { way: "ready", detail: backend, minutes: 0, gigabytes: 0 }
            : { way: "start", detail: backend, minutes: 0, gigabytes: 0 };
    }

    async run(): Promise<void> {
        const { backend, passphrase } = places();
        fs.mkdirSync(backend, { recursive: true, mode: 0o700 });
        if (!fs.existsSync(passphrase)) {
            writeWhole(passphrase, randomBytes(32).toString("base64url"), 0o600);
        }
    }
}
