import assert from "assert";
import { spawnSync } from "child_process";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { broughtBack, refreshCopy, synchronise } from "../../local/stacks/copy";
import { exported } from "../../local/places";

const SALT = "encryptionsalt: v1:salt";

const COMMITTED = [
    "# Ours.",
    "config:",
    '    pulumi:disable-default-providers: ["kubernetes", "docker"]',
    "    dabaweb:kubeContext: elsewhere # theirs",
    "    dabaweb:protect: true",
    "    dabaweb:mysql-slave: { replicas: 1 } # few",
    "",
].join("\n");

describe("what Pulumi wrote into the copy of a stack file", () => {
    /** The copy as it is made, with an addition of this machine; and as Pulumi writes it anew. */
    const made = COMMITTED.replace("config:\n", "config:\n    dabaweb:mirror: { proxy: http://here }\n");
    const cases: [string, string, (text: string) => string][] = [
        ["nothing", made, (text) => text],
        ["its salt alone", `${made}${SALT}\n`, (text) => text],
        ["its secrets provider", `${made}secretsprovider: passphrase\nencryptedkey: x\n`, (text) => text],
        ["a boolean as text", made.replace("protect: true", 'protect: "true"'), (text) => text],
        [
            "another value",
            made.replace("replicas: 1", "replicas: 2"),
            (text) => text.replace("replicas: 1", "replicas: 2"),
        ],
        [
            "a further value in a map",
            made.replace("{ replicas: 1 }", "{ replicas: 1, storage: 2Gi }"),
            (text) => text.replace("{ replicas: 1 }", "{ replicas: 1, storage: 2Gi }"),
        ],
        [
            "a new key",
            `${made}    dabaweb:spread: required\n`,
            (text) => `${text}    dabaweb:spread: required\n`,
        ],
        [
            "a secret",
            `${made}    dabaweb:registry:\n        password:\n            secure: v1:x\n${SALT}\n`,
            (text) => `${text}    dabaweb:registry:\n      password:\n        secure: v1:x\n`,
        ],
        [
            "one key less",
            made.replace("    dabaweb:protect: true\n", ""),
            (text) => text.replace("    dabaweb:protect: true\n", ""),
        ],
        [
            "a value beside this machine's",
            made.replace("{ proxy: http://here }", "{ proxy: http://here, images: hub.test }"),
            (text) => `${text}    dabaweb:mirror:\n      images: hub.test\n`,
        ],
        ["an environment", `environment:\n    - team\n${made}`, (text) => `${text}environment:\n  - team\n`],
    ];
    for (const [what, now, expected] of cases) {
        it(`reaches the committed file, without its salt: ${what}`, () => {
            const [was, is] = [expected(COMMITTED), broughtBack(COMMITTED, made, now)];
            // The library aligns what it adds with two spaces or four.
            const plain = (text: string) => text.replace(/^ +/gm, " ").replace(/\n+/g, "\n");
            assert.strictEqual(plain(is), plain(was));
            assert.doesNotMatch(is, /encryptionsalt|proxy/);
        });
    }
});

describe("plain pulumi after make env", () => {
    let folder: string;
    let committed: string;
    let copy: string;
    beforeEach(() => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "plain-"));
        for (const each of ["bin", "plain", "copies/dabaweb"]) {
            fs.mkdirSync(path.join(folder, each), { recursive: true });
        }
        fs.copyFileSync("local/stacks/plain.sh", path.join(folder, "plain", "pulumi"));
        committed = path.join(folder, "Pulumi.dev.yaml");
        copy = path.join(folder, "copies", "dabaweb", "Pulumi.dev.yaml");
        fs.writeFileSync(committed, COMMITTED);
        refreshCopy(committed, copy, "dabaweb");
        fs.appendFileSync(copy, `${SALT}\n`);
        synchronise(committed, copy);
    });
    afterEach(() => fs.rmSync(folder, { recursive: true }));

    /** Runs `pulumi`, which is this script. */
    function pulumi(script: string, changes: NodeJS.ProcessEnv = {}) {
        fs.writeFileSync(path.join(folder, "bin", "pulumi"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
        return spawnSync("pulumi", ["config", "a b"], {
            encoding: "utf8",
            env: {
                ...process.env,
                PATH: `${folder}/plain:${folder}/bin:${process.env.PATH}`,
                PULUMI_OPTION_CONFIG_FILE: copy,
                DABAWEB_CHECKOUT: process.cwd(),
                DABAWEB_STACK_FILE: committed,
                DABAWEB_STACK_COPY: copy,
                ...changes,
            },
        });
    }

    it("passes everything on, and does nothing else while nothing changes", () => {
        const { stdout, stderr, status } = pulumi('echo "$#:$2:$PULUMI_OPTION_CONFIG_FILE"; cat; exit 7');
        assert.deepStrictEqual([stdout, stderr, status], [`2:a b:${copy}\n`, "", 7]);
        assert.strictEqual(fs.readFileSync(copy, "utf8"), `${COMMITTED}${SALT}\n`);
    });

    it("sees what was edited in the stack file since", () => {
        fs.writeFileSync(committed, COMMITTED.replace("replicas: 1", "replicas: 3"));
        const { stdout, status } = pulumi('cat "$PULUMI_OPTION_CONFIG_FILE"');
        assert.strictEqual(status, 0);
        assert.strictEqual(stdout, `${COMMITTED.replace("replicas: 1", "replicas: 3")}${SALT}\n`);
    });

    it("writes into the stack file what it sets, but no salt", () => {
        const set = `sed -i.old 's/replicas: 1/replicas: 4/' "$PULUMI_OPTION_CONFIG_FILE"; echo done`;
        const { stdout, stderr, status } = pulumi(set);
        assert.deepStrictEqual(
            [stdout, stderr, status],
            ["done\n", "Pulumi.dev.yaml has what Pulumi wrote.\n", 0],
        );
        assert.strictEqual(
            fs.readFileSync(committed, "utf8"),
            COMMITTED.replace("replicas: 1", "replicas: 4"),
        );
        assert.match(pulumi('cat "$PULUMI_OPTION_CONFIG_FILE"').stdout, /replicas: 4 .*\nencryptionsalt/);
    });

    it("leaves other stack files to Pulumi, and says so if its own is gone", () => {
        assert.strictEqual(pulumi("echo plain", { PULUMI_OPTION_CONFIG_FILE: "/other" }).stdout, "plain\n");
        fs.rmSync(committed);
        const { stderr, status } = pulumi("echo plain");
        assert.strictEqual(
            stderr,
            `${committed} is gone; run eval "$(make -s env)" again, for a stack that has a file.\n`,
        );
        assert.strictEqual(status, 1);
    });

    it("is not what make itself uses", () => {
        const env = { HOME: "/home/me", PATH: "/home/me/.local/state/dabaweb-pulumi/plain:/usr/bin" };
        assert.doesNotMatch(exported(undefined, env).PATH ?? "", /plain/);
    });
});
