import assert from "assert";
import * as fs from "fs";
import * as path from "path";

import { chosen, JOBS, mismatches, PARTS, partsOf } from "../jobs";

const ROOT = path.resolve(__dirname, "../..");

const names = (only: string): string[] => chosen({ suites: [], only }).map(({ name }) => name);

describe("what `make test` runs", () => {
    it("is every test file", () => {
        assert.deepStrictEqual(mismatches(), []);
    });

    it("is everything by default, or one named suite with what it needs", () => {
        assert.deepStrictEqual(chosen({ suites: [] }), JOBS);
        assert.deepStrictEqual(
            chosen({ suites: ["unit"] }).map(({ name }) => name),
            ["unit"],
        );
        const images = chosen({ suites: ["images"] });
        assert.ok(images.every(({ suite }) => ["environment", "images"].includes(suite)));
        assert.strictEqual(images[0]?.name, "environment");
    });

    it("is what a part can break if ONLY names the part or a path", () => {
        const mysql = names("mysql");
        assert.deepStrictEqual(names("images/mysql-slave/seed"), mysql);
        assert.ok(["lint", "unit", "images/mysql-loss", "e2e/system"].every((each) => mysql.includes(each)));
        assert.ok(!mysql.some((each) => ["images/redis", "e2e/promote", "graphs"].includes(each)));
        assert.deepStrictEqual(partsOf("components/dataset.ts"), ["redis", "mysql", "program"]);
        assert.deepStrictEqual(partsOf("images"), ["redis", "mysql", "backup", "web"]);
    });

    it("has existing paths for its parts", () => {
        for (const prefix of Object.values(PARTS).flat()) {
            const folder = fs.readdirSync(path.join(ROOT, path.dirname(prefix)));
            assert.ok(
                folder.some((file) => file.startsWith(path.basename(prefix))),
                prefix,
            );
        }
    });

    it("refuses an unknown suite or part, and names the known ones", () => {
        assert.throws(() => chosen({ suites: ["unitt"] }), /There is no suite unitt; there are .*unit/);
        assert.throws(() => names("mysqll"), /ONLY is mysqll; allowed is a part \(redis, mysql, .*or a path/);
        assert.throws(() => names("../elsewhere"), /ONLY is \.\.\/elsewhere/);
    });

    it("leaves to `make test-long` what docs/tests.md lists, with a reason for each", () => {
        const page = fs.readFileSync(path.join(ROOT, "docs/tests.md"), "utf8");
        const listed = [...page.matchAll(/^\| `(test\/\S+)` +\| (.+?) +\| (.+?) +\| (.+?) +\|$/gm)];
        const marked = ["e2e", "images", "release", "unit"].flatMap((suite) =>
            fs
                .readdirSync(path.join(ROOT, "test", suite))
                .map((file) => `test/${suite}/${file}`)
                .filter((file) => file.endsWith(".ts") && file !== "test/unit/jobs.test.ts")
                .flatMap((file) =>
                    [
                        ...fs
                            .readFileSync(path.join(ROOT, file), "utf8")
                            .matchAll(/\btimes\(|\bisLong\b(?=[^,}]*[?&)])/g),
                    ].map(() => file),
                ),
        );
        assert.ok(listed.length > 0);
        assert.deepStrictEqual(listed.map(([, file]) => file).sort(), marked.sort());
    });
});
