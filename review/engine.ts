/** Runs Pulumi's own preview of a stack and collects what its engine reports. */
import { spawn } from "child_process";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { type Planned, readEvents } from "./engine-events";

/** One preview of one stack. */
export interface Run {
    /** Root of the project. */
    readonly checkout: string;
    readonly stack: string;
    /** Pulumi writes an encryption salt into it if it has none. */
    readonly stackFile: string;
    /** The complete environment of the process; Pulumi is on its PATH. */
    readonly env: NodeJS.ProcessEnv;
    /** Folder of the policy pack that the plan is checked against. */
    readonly policyPack: string;
    /** true: Pulumi's display is not shown; the errors say what went wrong. Default: false. */
    readonly quiet?: boolean;
}

/** How many lines of Pulumi's last output are kept. */
const LAST_LINES = 15;

/** What the engine planned, as far as it got; if it failed, `errors` says why. */
export async function enginePreview({
    checkout,
    stack,
    stackFile,
    env,
    policyPack,
    quiet,
}: Run): Promise<Planned> {
    // The log contains the SDK's debug messages, and these contain secrets: a folder that no other user can enter.
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "preview-events-"));
    try {
        const log = path.join(folder, "events.json");
        const { code, words } = await run(
            [
                ...["preview", "--stack", stack, "--config-file", stackFile],
                ...["--policy-pack", policyPack, "--event-log", log],
            ],
            checkout,
            // Pulumi's Automation API reads events through the same flag; without this variable it is hidden.
            { ...env, PULUMI_DEBUG_COMMANDS: "true" },
            quiet === true,
        );
        const planned = readEvents(stack, fs.existsSync(log) ? fs.readFileSync(log, "utf8") : "");
        if (code === 0) {
            return planned;
        }
        const last = words.trim().split("\n").slice(-LAST_LINES).join("\n");
        const unsaid = `\`pulumi preview\` ended with ${code ?? "a signal"}: ${last || "it printed nothing"}`;
        return { ...planned, errors: planned.errors.length > 0 ? planned.errors : [unsaid] };
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
}

/** The words are the output on standard error; if quiet, all output. */
function run(
    args: readonly string[],
    cwd: string,
    env: NodeJS.ProcessEnv,
    quiet: boolean,
): Promise<{ code: number | undefined; words: string }> {
    return new Promise((resolve) => {
        const child = spawn("pulumi", args, {
            cwd,
            env,
            stdio: ["inherit", quiet ? "pipe" : "inherit", "pipe"],
        });
        let words = "";
        // Pulumi receives Ctrl-C as well and shuts down by itself.
        const ignore = (): void => undefined;
        process.on("SIGINT", ignore);
        child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (words += chunk));
        child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
            words += chunk;
            if (!quiet) {
                process.stderr.write(chunk);
            }
        });
        child.on("error", (error) => (words += error.message));
        child.on("close", (code) => {
            process.off("SIGINT", ignore);
            resolve({ code: code ?? undefined, words });
        });
    });
}
