import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

const IMAGES = path.resolve(__dirname, "../../images");

/** Compiled-in defaults that differ between builds of a server: the images set them, so that any build works. */
const SET: readonly [what: string, file: string, line: RegExp][] = [
    [
        "protected mode, which is off in the official redis image and on in Debian",
        "redis/redis.conf",
        /^protected-mode no$/m,
    ],
    ["the folder for files, which may not exist", "mysql/my.cnf", /^secure_file_priv = NULL$/m],
    ["the socket", "mysql/my.cnf", /^socket = \/run\/mysqld\/mysqld\.sock$/m],
    ["the pid file of mysqld", "mysql/my.cnf", /^pid_file = \/run\/mysqld\/mysqld\.pid$/m],
    ["the data directory", "mysql/my.cnf", /^datadir = \/data\/mysql$/m],
    ["the folder for temporary files", "mysql/my.cnf", /^tmpdir = \/data\/tmp$/m],
    ["the X protocol, whose socket has its own default", "mysql/my.cnf", /^mysqlx = OFF$/m],
    [
        "the error log that nginx opens first, a file in the official image",
        "nginx/Dockerfile",
        /^ENTRYPOINT .*"-e", "stderr"/m,
    ],
    ["the error log of nginx", "nginx/etc/nginx.conf", /^error_log stderr /m],
    ["the pid file of nginx", "nginx/etc/nginx.conf", /^pid \/run\/nginx\/nginx\.pid;$/m],
    ...["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name): [string, string, RegExp] => [
        `the folder of ${name}_temp_path`,
        "nginx/etc/nginx.conf",
        new RegExp(`^ *${name}_temp_path /run/nginx/`, "m"),
    ]),
];

describe("the images' own settings", () => {
    for (const [what, file, line] of SET) {
        it(`set ${what}`, () => assert.match(fs.readFileSync(path.join(IMAGES, file), "utf8"), line));
    }

    it("name no processor: the same files build the images for each", () => {
        const files = fs
            .readdirSync(IMAGES, { recursive: true, encoding: "utf8" })
            .filter(
                (name) => !/\.txt$|\/tests\//.test(name) && fs.statSync(path.join(IMAGES, name)).isFile(),
            );
        assert.ok(files.includes("dabaweb/Dockerfile"));
        const named = files.filter((name) =>
            /x86_64|amd64|aarch64|arm64/.test(fs.readFileSync(path.join(IMAGES, name), "utf8")),
        );
        assert.deepEqual(named, []);
    });

    it("use Python packages that are the same for every processor, or compile them", () => {
        const pure = 2; // one wheel for all systems and the source; a compiled package has a wheel for each system
        const compiled = ["requirements.txt", "requirements-build.txt"].flatMap((name) => {
            const text = fs.readFileSync(path.join(IMAGES, "dabaweb", name), "utf8");
            const found = [...text.matchAll(/^([\w.-]+)==\S+ \\\n((?: +--hash=\S+(?: \\)?\n)+)/gm)];
            assert.ok(found.length > 1, name);
            return found
                .filter(([, , hashes]) => hashes!.match(/--hash=/g)!.length !== pure)
                .map(([, each]) => each);
        });
        // The Dockerfile installs a compiler and the headers for it.
        assert.deepEqual(compiled, ["mysqlclient"]);
    });
});
