/** Runs a page of docs/ as a reader does: every command in one shell, in a checkout. */
import assert from "assert";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { commitAll, copyCheckout, linkPackages } from "./copy";
import { waitFor } from "./docker";
import { type Command, hasText, LINE_SECONDS, parsePage } from "./page";
import { Shells } from "./shells";
import { spending, spentOn } from "./spent";
import { RECOVERY_SECONDS } from "./system";

const ROOT = path.resolve(__dirname, "../..");

/** Lines that change nothing. What an earlier one did may still be taking effect; a reader would look again. */
const LOOKS = /^(kubectl (-n \S+ )?get |curl (?!.* -d )|as_dabaweb .*(SELECT| get ))/;

/** The stack of the examples that tests deploy, next to a user's own stack dev. */
export const TEST_STACK = "test";

/** A reader of one page, with a checkout and a shell. */
export class PageSession {
    // Not the user's startup files, nor a login: only what the page itself sets. make takes the stack's name from STACK.
    private readonly shells = new Shells((checkout) => [
        ...(["env", "-C", checkout, `STACK=${TEST_STACK}`] as const),
        ...["bash", "--norc"],
    ]);

    private constructor(
        private readonly page: string,
        private readonly checkout: string,
        private readonly translate: (text: string) => string,
    ) {}

    /**
     * @param page path of the page, relative to the project.
     * @param translate rewrites what is typed and printed, for another cluster than the page is written for.
     */
    static async open(page: string, translate = (text: string): string => text): Promise<PageSession> {
        const checkout = fs.mkdtempSync(path.join(os.tmpdir(), "page-"));
        copyCheckout(checkout);
        linkPackages(checkout);
        for (const example of fs.readdirSync(path.join(checkout, "examples"))) {
            const file = (stack: string) => path.join(checkout, "examples", example, `Pulumi.${stack}.yaml`);
            if (fs.existsSync(file("dev"))) {
                fs.copyFileSync(file("dev"), file(TEST_STACK));
            }
        }
        // Pages take their edits back with git.
        await commitAll(checkout);
        return new PageSession(page, checkout, translate);
    }

    /**
     * Runs the blocks that the page marks `run`, in order.
     *
     * @param headings those that the blocks are under; default: all.
     * @throws AssertionError at the first command that answers something else than the page says.
     */
    async run(...headings: readonly string[]): Promise<void> {
        const blocks = parsePage(fs.readFileSync(path.join(ROOT, this.page), "utf8")).filter(
            ({ mark, heading }) => mark === "run" && (headings.length === 0 || headings.includes(heading)),
        );
        assert.ok(blocks.length > 0, `${this.page} has nothing to run under ${headings.join(", ")}`);
        for (const { heading, commands } of blocks) {
            for (const { line, prints, fails } of commands) {
                const where = `${this.page}, "${heading}"`;
                const command = {
                    line: this.translate(line),
                    prints: prints.map(this.translate),
                    fails: fails && this.translate(fails),
                };
                const once = () => execute(this.shells, this.checkout, where, command);
                if (prints.length > 0 && LOOKS.test(line)) {
                    await waitFor(
                        `${prints.join(" and ")} of ${where}: ${line}`,
                        RECOVERY_SECONDS,
                        async () => {
                            await once();
                            return true;
                        },
                    );
                } else {
                    await once();
                }
            }
        }
    }

    close(): void {
        this.shells.forget(this.checkout);
        fs.rmSync(this.checkout, { recursive: true });
    }
}

/** Runs a whole page as {@link PageSession} does. */
export async function runPage(page: string, translate?: (text: string) => string): Promise<void> {
    const session = await PageSession.open(page, translate);
    try {
        await session.run();
    } finally {
        session.close();
    }
}

async function execute(shells: Shells, folder: string, where: string, command: Command): Promise<void> {
    const { line, prints, fails } = command;
    const { code, stdout, stderr } = await spending(spentOn("bash", [line]), () =>
        shells.run(folder, ["eval", line], { timeoutSeconds: LINE_SECONDS }),
    );
    const answer = `${where}: ${line}\nexit code ${code}\n${stdout}${stderr}`;
    const asThePageSays = fails === undefined ? code === 0 : code !== 0;
    assert.ok(asThePageSays, `should ${fails === undefined ? "succeed" : "be refused"}: ${answer}`);
    for (const expected of fails === undefined ? prints : [...prints, fails]) {
        assert.ok(
            hasText(`${stdout}\n${stderr}`, expected),
            `"${expected}" is not in the answer to ${answer}`,
        );
    }
}
