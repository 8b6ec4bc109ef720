import assert from "assert";

import { hasText, parsePage } from "../support/page";

const commands = (...lines: string[]) =>
    parsePage(`## One\n\n<!-- run -->\n\n\`\`\`sh\n${lines.join("\n")}\n\`\`\`\n`)[0]?.commands;

describe("a page of commands", () => {
    it("is parsed into blocks with mark, reason, commands and their output", () => {
        const page =
            "## One\n\n<!-- run -->\n\n```sh\nmake a\n# prints: b: c\n# prints: d\nmake e\n```\n\n" +
            "## Two\n\n<!-- shown: it deletes -->\n\n```sh\nrm x\n```\n\n```yaml\na: 1\n```\n\n```sh\nls\n```\n";
        assert.deepStrictEqual(parsePage(page), [
            {
                heading: "One",
                mark: "run",
                reason: "",
                commands: [
                    { line: "make a", prints: ["b: c", "d"] },
                    { line: "make e", prints: [] },
                ],
            },
            {
                heading: "Two",
                mark: "shown",
                reason: "it deletes",
                commands: [{ line: "rm x", prints: [] }],
            },
            { heading: "Two", mark: "", reason: "", commands: [{ line: "ls", prints: [] }] },
        ]);
    });

    it("has one command per line, and what each prints", () => {
        assert.deepStrictEqual(commands("make a", "# prints: b: c", "# prints: d", "", "make e"), [
            { line: "make a", prints: ["b: c", "d"] },
            { line: "make e", prints: [] },
        ]);
    });

    it("has commands that are shown being refused", () => {
        assert.deepStrictEqual(commands("rm /", "# fails: not permitted"), [
            { line: "rm /", prints: [], fails: "not permitted" },
        ]);
    });

    it("has commands of several lines", () => {
        const document = ["cat \\", "    - <<'EOF'", "a", "", "# prints: a", "EOF"];
        assert.deepStrictEqual(commands(...document, "# prints: b", "make \\", "  c", "ls"), [
            { line: document.join("\n"), prints: ["b"] },
            { line: "make \\\n  c", prints: [] },
            { line: "ls", prints: [] },
        ]);
    });

    for (const [text, answer, is] of [
        ["5", "       5\n", true],
        ["5", "15", false],
        ["5", "0.5", false],
        ["5", "50", false],
        ["worker worker", "worker  worker", true],
        ["worker worker", "worker worker2", false],
        ["a b", "a\nb", false],
        ["role:slave", "# Replication\\r\\nrole:slave\\r\\n", true],
        ["17 3 * * *", "x   17 3 * * *   Etc/UTC", true],
        ["[.items]", "[.items]", true],
        ["a.b", "axb", false],
    ] as const) {
        it(`${is ? "finds" : "does not find"} "${text}" in the answer ${JSON.stringify(answer)}`, () => {
            assert.strictEqual(hasText(answer, text), is);
        });
    }
});
