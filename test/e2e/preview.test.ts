import assert from "assert";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { directories } from "../../local/places";
import { command } from "../support/command";
import { commitAll, copyCheckout, linkPackages } from "../support/copy";
import { recordedStack } from "../support/program";

const STORAGE_CLASS = "dabaweb:storageClass: retained";

describe("make preview in a clean clone, without credentials, cluster, Docker or kubeconfig", () => {
    let folder: string;
    let clone: string;
    before(async () => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "preview-e2e-"));
        clone = path.join(folder, "clone");
        copyCheckout(clone);
        linkPackages(clone);
        await commitAll(clone);
    });
    after(() => fs.rmSync(folder, { recursive: true, force: true }));

    /** With nothing from the environment except the tools that `make local-up` installed in the cache. */
    function preview(): Promise<{ code: number | null; stdout: string; stderr: string }> {
        const nothing = path.join(folder, "nothing");
        const cache = path.dirname(directories().cache);
        const given = {
            HOME: nothing,
            PATH: "/usr/bin:/bin",
            XDG_CACHE_HOME: cache,
            XDG_STATE_HOME: nothing,
            DOCKER_HOST: "unix:///nonexistent/docker.sock",
        };
        const variables = Object.entries(given).map(([name, value]) => `${name}=${value}`);
        fs.mkdirSync(nothing, { recursive: true });
        return command("env", ["-i", ...variables, "make", "-C", clone, "preview", "STACK=prod"], {
            timeoutSeconds: 9 * 60,
        });
    }

    it("names its mode in the first line, and lists every resource", async () => {
        const { code, stdout, stderr } = await preview();
        assert.strictEqual(code, 0, stdout + stderr);
        assert.match(
            stdout.split("\n").find((line) => !line.startsWith("make")) ?? "",
            /^Preview of stack prod, keyless: /,
        );
        recordedStack("prod").forEach(({ name }) => assert.ok(stdout.includes(name), `${name} is not named`));
        assert.match(stdout, /^prod: 0 to create, 0 to update, 0 to replace, 0 to delete, \d+ unchanged$/m);
    });

    it("shows the red line for a changed storage class, and changes nothing else in the clone", async () => {
        const file = path.join(clone, "Pulumi.prod.yaml");
        const text = fs.readFileSync(file, "utf8");
        assert.ok(text.includes(STORAGE_CLASS));
        fs.writeFileSync(file, text.replace(STORAGE_CLASS, "dabaweb:storageClass: standard"));
        const { code, stdout, stderr } = await preview();
        assert.strictEqual(code, 0, stdout + stderr);
        assert.match(stdout, /^DANGER: 6 of them replace or delete a StatefulSet, PersistentVolumeClaim/m);
        assert.match(stdout, /^!! replace +kubernetes:core\/v1:PersistentVolumeClaim data-mysql-master-0$/m);
        const status = await command("git", ["-C", clone, "status", "--short"]);
        assert.strictEqual(status.stdout.trimEnd(), " M Pulumi.prod.yaml");
    });
});
