/** Runs a page of docs/ as a reader does: every command in one shell, in a checkout. */
import assert from "assert";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { commitAll, copyCheckout, linkPackages } from "./copy";
import { type Command, parsePage } from "./page";
import { Shells } from "./shells";
import { spending, spentOn } from "./spent";

const ROOT = path.resolve(__dirname, "../..");

/** A little more than the longest timeout of a command on the pages. */
const COMMAND_SECONDS = 11 * 60;

/**
 * Runs the blocks that a page marks `run`, in order, in one bash that starts in a copy of the checkout.
 *
 * @param page path of the page, relative to the project.
 * @throws AssertionError at the first command that answers something else than the page says.
 */
export async function runPage(page: string): Promise<void> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "page-"));
    // Not the user's startup files, nor a login: only what the page itself sets.
    const shells = new Shells((checkout) => ["env", "-C", checkout, "bash", "--norc"]);
    try {
        copyCheckout(folder);
        linkPackages(folder);
        // Pages take their edits back with git.
        await commitAll(folder);
        const blocks = parsePage(fs.readFileSync(path.join(ROOT, page), "utf8"));
        for (const { heading, commands } of blocks.filter(({ mark }) => mark === "run")) {
            for (const command of commands) {
                await execute(shells, folder, `${page}, "${heading}"`, command);
            }
        }
    } finally {
        shells.forget(folder);
        fs.rmSync(folder, { recursive: true });
    }
}

async function execute(shells: Shells, folder: string, where: string, command: Command): Promise<void> {
    const { line, prints, fails } = command;
    const { code, stdout, stderr } = await spending(spentOn("bash", [line]), () =>
        shells.run(folder, ["eval", line], { timeoutSeconds: COMMAND_SECONDS }),
    );
    const answer = `${where}: ${line}\nexit code ${code}\n${stdout}${stderr}`;
    const asThePageSays = fails === undefined ? code === 0 : code !== 0;
    assert.ok(asThePageSays, `should ${fails === undefined ? "succeed" : "be refused"}: ${answer}`);
    // Columns are as wide as their longest value, so a reader does not compare spaces either.
    const said = narrow(stdout + stderr);
    for (const expected of fails === undefined ? prints : [...prints, fails]) {
        assert.ok(said.includes(narrow(expected)), `"${expected}" is not in the answer to ${answer}`);
    }
}

function narrow(text: string): string {
    return text.replace(/[^\S\n]+/g, " ");
}
