import assert from "assert";
import { readFileSync } from "fs";
import * as path from "path";

import { copiedStackFile } from "../../local/places";
import { command } from "../support/command";
import { waitFor } from "../support/docker";
import { forStack, LINE_SECONDS, parsePage } from "../support/page";
import { RECOVERY_SECONDS, System } from "../support/system";

const ROOT = path.resolve(__dirname, "../..");

/**
 * Runs every command of docs/runbook.md, in order. Call this after a stack is deployed and healthy. It leaves the stack
 * healthy, with new volumes for the first slaves.
 */
export function describeRunbook(system: System): void {
    describePage("docs/runbook.md", system);
}

/** Runs every command that a page marks as to be run, in order. */
export function describePage(page: string, system: System): void {
    describe(page, () => {
        const blocks = parsePage(readFileSync(path.join(ROOT, page), "utf8"));
        for (const { heading, commands } of blocks.filter(({ mark }) => mark === "run")) {
            for (const { line, prints } of commands) {
                it(`${heading}: ${line}`, async () => {
                    if (prints.length === 0) {
                        await execute(system, line);
                        return;
                    }
                    // An earlier command may still be taking effect; a reader of the page would look again, too.
                    await waitFor(`${prints.join(" and ")} of ${line}`, RECOVERY_SECONDS, async () => {
                        const output = await execute(system, line);
                        prints.forEach((each) => {
                            const expected = forStack(each, system);
                            assert.ok(output.includes(expected), `"${expected}" is not in:\n${output}`);
                        });
                        return true;
                    });
                });
            }
        }
    });
}

/** Runs one line in the shell that `make env` prepares; throws with the message if it fails. */
async function execute(system: System, line: string): Promise<string> {
    const typed = forStack(line, system);
    const file = `PULUMI_OPTION_CONFIG_FILE=${copiedStackFile("dabaweb", system.stack)}`;
    const shell = ["bash", "-euo", "pipefail", "-c", typed];
    const result = await command("env", ["-C", ROOT, file, ...shell], {
        timeoutSeconds: LINE_SECONDS,
    });
    // Not its output: it may be a password.
    assert.strictEqual(result.code, 0, `${typed}: exit code ${result.code}\n${result.stderr}`);
    return result.stdout;
}
