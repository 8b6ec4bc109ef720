import assert from "assert";
import { spawnSync } from "child_process";
import * as fs from "fs";
import * as path from "path";

import { parsePage } from "../support/page";

const FOLDER = "docs/howto";
/** Lines of text and commands: neither empty ones nor marks. */
const LONGEST_PAGE = 80;

const PAGES = fs
    .readdirSync(FOLDER)
    .map((name) => ({ name, text: fs.readFileSync(path.join(FOLDER, name), "utf8") }));

describe("the how-tos", () => {
    it("are short", () => {
        const lines = PAGES.map(({ name, text }) => [name, text.match(/^(?!<!--).+$/gm)!.length] as const);
        assert.deepStrictEqual(
            lines.filter(([, count]) => count > LONGEST_PAGE),
            [],
        );
    });

    it("are each in the index of the documentation", () => {
        const index = fs.readFileSync("docs/README.md", "utf8");
        const missing = PAGES.filter(({ name }) => !index.includes(`](howto/${name})`));
        assert.deepStrictEqual(missing, []);
    });

    it("are each run by a test on a cluster", () => {
        const tests = ["test/e2e", "test/faults"]
            .flatMap((folder) => fs.readdirSync(folder).map((file) => path.join(folder, file)))
            .map((file) => fs.readFileSync(file, "utf8"))
            .join("\n");
        const missing = PAGES.filter(({ name }) => !tests.includes(`howto/${name}"`)).map(({ name }) => name);
        assert.deepStrictEqual(missing, []);
    });

    for (const { name, text } of PAGES) {
        const blocks = parsePage(text);

        it(`say of every block whether it is run, or why it is only shown: ${name}`, () => {
            assert.strictEqual(blocks.length, text.match(/^```sh$/gm)?.length);
            for (const { heading, mark, reason, commands } of blocks) {
                const first = `${heading}: ${commands[0]?.line}`;
                assert.ok(mark === "run" ? reason === "" : mark === "shown" && reason !== "", first);
            }
            assert.ok(blocks.some(({ mark }) => mark === "run"));
        });

        it(`have commands that a shell understands: ${name}`, () => {
            for (const { line } of blocks.flatMap(({ commands }) => commands)) {
                const env = { ...process.env, LC_ALL: "C" };
                const { status, stderr } = spawnSync("bash", ["-n", "-c", line], { encoding: "utf8", env });
                assert.ok(status === 0 && stderr === "", `${line}: ${stderr}`);
                assert.ok(
                    !line.startsWith("#"),
                    `${line}: only "# prints: " and "# fails: " may be comments`,
                );
            }
        });
    }
});
