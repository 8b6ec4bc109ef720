import assert from "assert";
import * as fs from "fs";
import * as path from "path";

import { copiedStackFile, places } from "../../local/places";
import { command } from "../support/command";
import { waitFor } from "../support/docker";
import { PageSession, TEST_STACK } from "../support/page-session";
import { RECOVERY_SECONDS } from "../support/system";
import { kubectl } from "./side-by-side";
import { remnants } from "./stack";

/** Longer than the program's own longest timeout. */
const PULUMI_SECONDS = 25 * 60;

/** An example on the local cluster, deployed and destroyed by the commands of its README.md. */
export class Example {
    private readonly folder: string;
    private session: PageSession | undefined;
    /** Whether the namespace is this test's, and not a user's. */
    private mine = false;

    /** @param namespace the one that it deploys to. */
    constructor(
        readonly name: string,
        readonly namespace: string,
    ) {
        this.folder = path.resolve(__dirname, "../../examples", name);
    }

    /**
     * Removes what a killed run left. Refuses if the namespace is a user's.
     *
     * @returns whether a killed run had deployed it.
     */
    async clear(): Promise<boolean> {
        // Not if the stack is empty: someone else may have made the namespace since.
        const left = await this.hasObjects();
        this.mine = left;
        await this.remove();
        this.mine = false;
        const found = await kubectl(["get", "namespace", this.namespace, "--ignore-not-found", "-o", "name"]);
        const inUse = `namespace ${this.namespace} is in use; destroy what is in it, then test again`;
        assert.strictEqual(found, "", inUse);
        this.mine = true;
        return left;
    }

    /** Runs what its README.md has under these headings; all of it by default. */
    async run(...headings: readonly string[]): Promise<void> {
        this.session ??= await PageSession.open(`examples/${this.name}/README.md`);
        await this.session.run(...headings);
    }

    /** Waits until nothing of it is left on the cluster and in the registry: volumes go after their namespace. */
    async isGone(): Promise<void> {
        await waitFor(`nothing of ${this.name} to be left`, RECOVERY_SECONDS, async () => {
            assert.deepStrictEqual(await remnants(this.namespace, `${this.name}/${TEST_STACK}/`), []);
            return true;
        });
    }

    /** Ends the reader's session, and removes the stack with whatever it still has. */
    async remove(): Promise<void> {
        this.session?.close();
        this.session = undefined;
        if (this.hasStack()) {
            await this.pulumi("destroy", "--yes", "--skip-preview");
            await this.pulumi("stack", "rm", "--yes", "--preserve-config");
        }
        fs.rmSync(copiedStackFile(this.name, TEST_STACK), { force: true });
        if (this.mine) {
            await kubectl(["delete", "namespace", this.namespace, "--ignore-not-found"]);
        }
    }

    private hasStack(): boolean {
        const stacks = path.join(places().backend, ".pulumi", "stacks", this.name);
        return [".json", ".json.gz"].some((each) => fs.existsSync(path.join(stacks, TEST_STACK + each)));
    }

    /** Whether the stack has objects on the cluster. */
    private async hasObjects(): Promise<boolean> {
        if (!this.hasStack()) {
            return false;
        }
        const { deployment } = JSON.parse(await this.pulumi("stack", "export")) as {
            deployment: { resources?: { type: string }[] };
        };
        return (deployment.resources ?? []).some(({ type }) => type.startsWith("kubernetes:"));
    }

    /** Runs pulumi in the committed folder: a broken edit of the session must not prevent it. */
    private async pulumi(...args: readonly string[]): Promise<string> {
        const file = `PULUMI_OPTION_CONFIG_FILE=${copiedStackFile(this.name, TEST_STACK)}`;
        const all = [file, "pulumi", "--cwd", this.folder, ...args, "--stack", TEST_STACK];
        const { code, stdout, stderr } = await command("env", all, { timeoutSeconds: PULUMI_SECONDS });
        assert.strictEqual(code, 0, `pulumi ${args.join(" ")}\n${stdout}\n${stderr}`);
        return stdout;
    }
}
