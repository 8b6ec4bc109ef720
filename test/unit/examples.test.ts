import assert from "assert";
import * as fs from "fs";
import * as path from "path";

import { parsePage } from "../support/page";

const FOLDER = "examples";
const NAMES = fs
    .readdirSync(FOLDER, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
/** In lines: what a reader takes in at once. A longer one needs a better component. */
const LONGEST_PROGRAM = 90;
/** Reads the outputs of the system itself; docs/outputs.md is its page. */
const WITHOUT_PAGE = ["consumer"];

const read = (...names: string[]) => fs.readFileSync(path.join(FOLDER, ...names), "utf8");

describe("the examples", () => {
    for (const name of ["hello-redis", "hello-mysql"]) {
        it(`need at most 15 lines: ${name}`, () => {
            assert.ok(read(name, "index.ts").trimEnd().split("\n").length <= 15);
        });
    }

    it("are the first program in README.md, as it is", () => {
        const first = /^```ts\n([^]*?)^```$/m.exec(fs.readFileSync("README.md", "utf8"))?.[1];
        assert.strictEqual(first, read("hello-redis", "index.ts"));
    });

    for (const name of NAMES) {
        it(`are short programs: ${name}`, () => {
            const lines = read(name, "index.ts").trimEnd().split("\n").length;
            console.log(`      examples/${name}/index.ts: ${lines} lines`);
            assert.ok(lines <= LONGEST_PROGRAM, `${lines} lines`);
        });

        it(`are each a project of their own name: ${name}`, () => {
            assert.match(read(name, "Pulumi.yaml"), new RegExp(`^name: ${name}$`, "m"));
            assert.match(read("README.md"), new RegExp(`\\[${name}\\]\\(`));
        });
    }

    for (const name of NAMES.filter((each) => !WITHOUT_PAGE.includes(each))) {
        it(`are each deployed by pulumi up, and destroyed, on a page that a test runs: ${name}`, () => {
            const lines = parsePage(read(name, "README.md"))
                .filter(({ mark }) => mark === "run")
                .flatMap(({ commands }) => commands.map(({ line }) => line));
            // A `cd` that fails must not lead to an update of another program.
            for (const line of [`cd examples/${name} && pulumi up --yes`, "pulumi destroy --yes"]) {
                assert.ok(
                    lines.some((each) => each.includes(line)),
                    line,
                );
            }
            const tests = ["examples", "howto"].map((file) =>
                fs.readFileSync(`test/e2e/${file}.test.ts`, "utf8"),
            );
            assert.ok(tests.some((text) => text.includes(`"${name}"`)));
        });
    }
});
