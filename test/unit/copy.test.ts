import assert from "assert";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { copyProgram } from "../support/copy";

describe("a copy of the program", () => {
    let folder: string;

    beforeEach(() => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "copy-test-"));
    });

    afterEach(() => {
        fs.rmSync(folder, { recursive: true });
    });

    it("has the added lines after the existing ones", () => {
        const file = "images/dabaweb/app/gunicorn.conf.py";
        copyProgram(folder, { [file]: "# further" });
        assert.strictEqual(
            fs.readFileSync(path.join(folder, file), "utf8"),
            `${fs.readFileSync(file, "utf8")}# further\n`,
        );
    });

    it("is refused if a line is for a file that the program does not have", () => {
        assert.throws(
            () => copyProgram(folder, { "images/dabaweb/app/nowhere.py": "# further" }),
            /images\/dabaweb\/app\/nowhere\.py is not a file of the program/,
        );
    });
});
