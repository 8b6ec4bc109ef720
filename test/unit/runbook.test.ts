import assert from "assert";
import { spawnSync, type SpawnSyncReturns } from "child_process";
import { readFileSync } from "fs";

import { forStack, parsePage } from "../support/page";

const PAGE = readFileSync("docs/runbook.md", "utf8");
const BLOCKS = parsePage(PAGE);

describe("the runbook", () => {
    it("says of every block whether it is run, or why it is only shown", () => {
        const all = PAGE.match(/^```sh$/gm)?.length;
        assert.strictEqual(BLOCKS.length, all);
        BLOCKS.forEach(({ heading, mark, reason, commands }) => {
            const first = `${heading}: ${commands[0]?.line}`;
            assert.ok(mark === "run" ? reason === "" : mark === "shown" && reason !== "", first);
        });
        assert.ok(BLOCKS.filter(({ mark }) => mark === "run").length >= 15);
    });

    it("runs nothing that destroys the stack, its masters' data or someone else's work", () => {
        const dangerous =
            /destroy|make (down|up|local)|cancel|unprotect|--replace|refresh|--force|taint|PURGE BINARY|master-0 --wait=false/;
        const lines = BLOCKS.filter(({ mark }) => mark === "run").flatMap(({ commands }) => commands);
        assert.deepStrictEqual(
            lines.filter(({ line }) => dangerous.test(line)),
            [],
        );
    });

    it("has commands that a shell understands, each for the stack dev", () => {
        for (const { line } of BLOCKS.flatMap(({ commands }) => commands)) {
            const { status, stderr } = spawnSync("bash", ["-n", "-c", line], { encoding: "utf8" });
            assert.strictEqual(status, 0, `${line}: ${stderr}`);
            const e2e = forStack(line, {
                stack: "e2e",
                namespace: "dabaweb-e2e",
                url: "http://localhost:32001",
            });
            assert.ok(!/\bdev\b(?!\/)/.test(e2e.replaceAll(/urn:\S+/g, "")), e2e);
            assert.ok(!line.startsWith("#"), `${line}: only "# prints: " may be a comment`);
        }
        // A shell for each line is slow on a busy machine.
    });

    it("cleans a dump of the statements that would keep its rows from the slaves, and of nothing else", () => {
        const head = "SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;\n";
        const rows =
            "INSERT INTO `t` VALUES (1,'SET @@SESSION.SQL_LOG_BIN= 0;');\nDROP TABLE IF EXISTS `u`;\n";
        const off = "SET @@SESSION.SQL_LOG_BIN= 0;\n";
        const on = "SET @@SESSION.SQL_LOG_BIN = @MYSQLDUMP_TEMP_LOG_BIN;\n";
        const set = "SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77";
        const awk = BLOCKS.flatMap(({ commands }) => commands)
            .map(({ line }) => line)
            .find((line) => line.startsWith("awk "))
            ?.replace(/ \S+ >\S+$/, "");
        assert.ok(awk);
        for (const purged of ["", `${set}';\n`, `${set},\n4e11fa47-71ca-11e1-9e33-c80aa9429562:1-5';\n`]) {
            const { stdout }: SpawnSyncReturns<string> = spawnSync("bash", ["-c", awk], {
                input: head + off + purged + rows + on,
                encoding: "utf8",
            });
            assert.strictEqual(stdout, head + rows);
        }
    });

    it("has the sections that other files refer to", () => {
        const headings = [...PAGE.matchAll(/^## (.*)$/gm)].map(([, title]) => title);
        const read = (file: string) => readFileSync(file, "utf8");
        // Sentences span several lines; in the source, they are concatenated strings.
        const judge = read("operations/judge.ts").replace(/`\s*\+\s*`/g, "");
        const named = [
            ...judge.matchAll(/see "([^"]+)"/g),
            ...PAGE.replace(/\s+/g, " ").matchAll(/(?:"|, ")([A-Z][a-z]*[^"|]{3,40})"/g),
        ].map(([, title]) => title);
        assert.ok(named.length > 10, `only ${named.length} sections are named`);
        assert.deepStrictEqual(
            named.filter((title) => !headings.includes(title)),
            [],
        );
    });
});
