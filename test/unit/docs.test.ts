import assert from "assert";
import * as fs from "fs";
import * as path from "path";

import { configPage } from "../../docs/config-page";

/** All files of a folder tree whose name matches. */
function files(folder: string, pattern: RegExp): string[] {
    return fs
        .readdirSync(folder, { recursive: true, encoding: "utf8" })
        .filter((file) => pattern.test(file))
        .map((file) => path.join(folder, file));
}

describe("the documentation", () => {
    it("lists every configuration key as the schema has it (npm run docs)", () => {
        assert.strictEqual(fs.readFileSync("docs/config.md", "utf8"), configPage());
    });

    it("names only tests that exist in the map of the source", () => {
        const titles = files("test", /\.ts$/)
            .map((file) => fs.readFileSync(file, "utf8"))
            .concat(files("images", /tests?.*\.py$/).map((file) => fs.readFileSync(file, "utf8")))
            .join("\n");
        const named = [...fs.readFileSync("docs/seed-map.md", "utf8").matchAll(/test: "([^"]+)"/g)].map(
            ([, title]) => title ?? "",
        );
        assert.ok(named.length > 20, `only ${named.length} tests are named`);
        assert.deepStrictEqual(
            named.filter((title) => !titles.includes(title)),
            [],
        );
    });
});
