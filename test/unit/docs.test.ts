import assert from "assert";
import * as fs from "fs";
import * as path from "path";

import { configPage } from "../../docs/config-page";
import { memoryPage } from "../../docs/memory-page";
import { drawings } from "../../docs/pictures";
import { withMemoryTable } from "../../docs/redis-memory";
import { filesOf, readRooms } from "../../docs/rooms";

/** All files of a folder tree whose name matches. */
function files(folder: string, pattern: RegExp): string[] {
    return fs
        .readdirSync(folder, { recursive: true, encoding: "utf8" })
        .filter((file) => pattern.test(file))
        .map((file) => path.join(folder, file));
}

/** Whether a link leads to a file, and to one of its headings if it names one. */
function leadsSomewhere(page: string, target: string, heading: string | undefined): boolean {
    const file = target === "" ? page : path.join(path.dirname(page), target);
    if (!fs.existsSync(file)) {
        return false;
    }
    const headings = (): string[] =>
        [...fs.readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, text]) =>
            // As GitHub makes anchors of headings.
            text!
                .toLowerCase()
                .replace(/[^\p{L}\p{N}\s_-]/gu, "")
                .replace(/\s/g, "-"),
        );
    return heading === undefined || headings().includes(heading);
}

describe("the documentation", () => {
    it("lists every configuration key as in the schema (npm run docs)", () => {
        assert.strictEqual(fs.readFileSync("docs/config.md", "utf8"), configPage());
    });

    it("has the memory of Redis as it is calculated (npm run docs)", () => {
        const page = fs.readFileSync("docs/data.md", "utf8");
        assert.match(page, /<!-- calculated -->\n\n\| memory limit/);
        assert.strictEqual(page, withMemoryTable(page));
    });

    it("says how much memory allows what, as the formulas have it (npm run docs)", () => {
        assert.strictEqual(fs.readFileSync("docs/memory.md", "utf8"), memoryPage());
    });

    it("draws the topology as the golden graph has it, and the rooms as the table has them (make pictures)", async () => {
        for (const [name, text] of await drawings()) {
            assert.strictEqual(fs.readFileSync(path.join("docs/pictures", name), "utf8"), text, name);
        }
    });

    it("links only to files and headings that exist", () => {
        const folders = ["docs", "examples", "local", "images", "test"];
        const pages = ["README.md", ...folders.flatMap((folder) => files(folder, /\.md$/))];
        assert.ok(pages.length > 15, `only ${pages.length} pages`);
        const broken = pages.flatMap((page) =>
            [...fs.readFileSync(page, "utf8").matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)/g)]
                .filter(([, target, heading]) => !leadsSomewhere(page, target ?? "", heading))
                .map(([link]) => `${page}: ${link}`),
        );
        assert.deepStrictEqual(broken, []);
    });

    it("names only existing tests in docs/seed-map.md", () => {
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

describe("the table of rooms", () => {
    const row = (room: string, imports: string): string => `| \`${room}\` | what | ${imports} |`;

    it("refuses an arrow upwards and an arrow to nowhere", () => {
        const page = [row("top", "`bottom`"), row("bottom", "`top`")].join("\n");
        assert.throws(() => readRooms(page), /lets bottom import from top, which is not a room further down/);
        assert.throws(() => readRooms(row("top", "`absent`")), /lets top import from absent/);
    });

    it("gives a file to the innermost room", () => {
        const rooms = readRooms([row("local", "everything below"), row("local/tools", "")].join("\n"));
        assert.deepStrictEqual(rooms[0], { room: "local", imports: ["local/tools"] });
        const [local, tools] = rooms.map(({ room }) => new RegExp(filesOf(room, rooms)));
        assert.ok(local!.test("local/pins.ts") && !local!.test("local/tools/tools.ts"));
        assert.ok(tools!.test("local/tools/tools.ts") && !tools!.test("local/tools.ts"));
    });
});
