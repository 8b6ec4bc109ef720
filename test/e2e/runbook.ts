import assert from "assert";
import { readFileSync } from "fs";
import * as path from "path";

import { copiedStackFile } from "../../local/places";
import { command } from "../support/command";
import { waitFor } from "../support/docker";
import { forStack, parseRunbook } from "../support/runbook";
import { RECOVERY_SECONDS, System } from "../support/system";

const PAGE = path.resolve(__dirname, "../../docs/runbook.md");

/** The longest wait that a command of the page allows itself, and some. */
const COMMAND_SECONDS = 11 * 60;

/**
 * Executes every command that docs/runbook.md gives to be run, in its order; to be called where a stack is deployed and
 * healthy. It leaves it so, with new volumes under the first slaves.
 */
export function describeRunbook(system: System): void {
    describe("docs/runbook.md", () => {
        for (const { heading, commands } of parseRunbook(readFileSync(PAGE, "utf8")).filter(
            ({ mark }) => mark === "run",
        )) {
            for (const { line, prints } of commands) {
                it(`${heading}: ${line}`, async () => {
                    if (prints.length === 0) {
                        await execute(system, line);
                        return;
                    }
                    // What a command before it set going may take its time; whoever follows the page looks again, too.
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

/** Runs one line in the shell that `make env` prepares; a failure throws with its message. */
async function execute(system: System, line: string): Promise<string> {
    const typed = forStack(line, system);
    const file = `PULUMI_OPTION_CONFIG_FILE=${copiedStackFile("dabaweb", system.stack)}`;
    const shell = ["bash", "-euo", "pipefail", "-c", typed];
    const result = await command("env", ["-C", path.dirname(path.dirname(PAGE)), file, ...shell], {
        timeoutSeconds: COMMAND_SECONDS,
    });
    // Not its output: it may be a password.
    assert.strictEqual(result.code, 0, `${typed}: exit code ${result.code}\n${result.stderr}`);
    return result.stdout;
}
