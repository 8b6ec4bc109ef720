import assert from "assert";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { contentFiles, contentTag } from "../../components/content";
import { IMAGE_FOLDERS, ImageName } from "../../components/images";

const IMAGES = Object.keys(IMAGE_FOLDERS) as ImageName[];

/** The tags of all six images below `context`; nginx is built on dabaweb's tag, as in components/images.ts. */
function tags(context: string): Record<ImageName, string> {
    const tag = (image: ImageName, builtOn: string[] = []) =>
        contentTag({
            context,
            folders: IMAGE_FOLDERS[image],
            buildArgs: {},
            platform: "linux/amd64",
            builtOn,
        });
    const result = Object.fromEntries(IMAGES.map((image) => [image, tag(image)])) as Record<
        ImageName,
        string
    >;
    return { ...result, nginx: tag("nginx", [result.dabaweb]) };
}

describe("the content tag", () => {
    let context: string;
    beforeEach(() => {
        context = fs.mkdtempSync(path.join(os.tmpdir(), "content-"));
        fs.cpSync("images", context, { recursive: true });
    });
    afterEach(() => fs.rmSync(context, { recursive: true }));

    it("does not depend on the path, the umask or the file times", () => {
        const before = tags("images");
        for (const file of contentFiles(context, ["redis", "dabaweb"])) {
            const full = path.join(context, file);
            const mode = fs.statSync(full).mode & 0o100 ? 0o700 : 0o600;
            fs.chmodSync(full, mode);
            fs.utimesSync(full, 0, 0);
        }
        assert.deepStrictEqual(tags(context), before);
    });

    const rebuilt: [string, ImageName[]][] = [
        ["redis", ["redis-master", "redis-slave"]],
        ["mysql", ["mysql-master", "mysql-slave", "mysql-backup"]],
        ["redis-master", ["redis-master"]],
        ["redis-slave", ["redis-slave"]],
        ["mysql-master", ["mysql-master"]],
        ["mysql-slave", ["mysql-slave", "mysql-backup"]],
        ["mysql-backup", ["mysql-backup"]],
        ["dabaweb", ["dabaweb", "nginx"]],
        ["nginx", ["nginx"]],
    ];
    for (const [folder, images] of rebuilt) {
        it(`changes for exactly ${images.join(" and ")} with a file in images/${folder}`, () => {
            const before = tags(context);
            fs.writeFileSync(path.join(context, folder, "touched"), "1");
            const after = tags(context);
            assert.deepStrictEqual(
                IMAGES.filter((image) => before[image] !== after[image]),
                IMAGES.filter((image) => images.includes(image)),
            );
        });
    }

    it("changes with an execute bit, a build argument and the platform", () => {
        const inputs = {
            context,
            folders: ["nginx"],
            buildArgs: {},
            platform: "linux/amd64",
            builtOn: [],
        };
        const file = path.join(context, "nginx", "script");
        fs.writeFileSync(file, "", { mode: 0o644 });
        const seen = new Set([
            contentTag(inputs),
            contentTag({ ...inputs, buildArgs: { A: "1" } }),
            contentTag({ ...inputs, platform: "linux/arm64" }),
        ]);
        fs.chmodSync(file, 0o755);
        seen.add(contentTag(inputs));
        assert.strictEqual(seen.size, 4);
    });

    it("ignores what .dockerignore keeps from the builder", () => {
        const before = tags(context);
        const cache = path.join(context, "dabaweb", "__pycache__");
        fs.mkdirSync(cache);
        fs.writeFileSync(path.join(cache, "x.pyc"), "1");
        assert.deepStrictEqual(tags(context), before);
    });
});

describe("the Dockerfile", () => {
    for (const image of IMAGES) {
        const dockerfile = () => fs.readFileSync(`images/${image}/Dockerfile`, "utf8");

        it(`of ${image} copies only from the folders that its tag covers`, () => {
            const sources = [
                ...dockerfile().matchAll(/^(?:COPY|ADD) (?!--from)(?:--\S+ )*(.+) \S+$/gm),
            ].flatMap(([, list]) => (list ?? "").split(" "));
            assert.ok(sources.length > 0);
            for (const source of sources) {
                assert.ok(
                    (IMAGE_FOLDERS[image] as readonly string[]).includes(source.split("/")[0] ?? ""),
                    source,
                );
            }
        });

        it(`of ${image} carries its content tag as a label, so that no two tags share a digest`, () => {
            assert.match(dockerfile(), /^ARG CONTENT\b/m);
            assert.match(dockerfile(), /^LABEL content=\$\{CONTENT\}$/m);
        });
    }
});
