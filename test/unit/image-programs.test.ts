import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";

import { programsIn } from "../support/shell-programs";

const IMAGES = path.resolve(__dirname, "../../images");

/**
 * The programs that an image's scripts may call, with the options that the versions in the official image support. Look up an
 * addition in the manual of that version, because no stand-in has a version that old.
 */
const KNOWN: Readonly<
    Record<string, { from: readonly string[]; programs: Readonly<Record<string, string>> }>
> = {
    // Oracle Linux 9: coreutils 8.32, grep 3.6, sed 4.8, findutils 4.8, gawk 5.1, glibc 2.34.
    mysql: {
        from: ["mysql", "mysql-master", "mysql-slave", "mysql-backup"],
        programs: {
            ...{
                cat: "",
                chmod: "",
                date: "-u -d",
                df: "--output -B",
                head: "-c",
                ls: "-A",
                mkdir: "-p",
                mkfifo: "",
                ln: "",
                mv: "-T",
                rm: "-r -f",
                rmdir: "",
            },
            ...{
                sleep: "",
                sort: "-u -r",
                stat: "-c",
                sync: "-f",
                tail: "-c -n",
                timeout: "",
                touch: "",
                tr: "",
            },
            ...{ getent: "", grep: "-q -a -F -E -c -v -x -e", sed: "-n" },
            mysql:
                "--no-defaults --defaults-file --socket --host --port --user --batch --skip-column-names -e --connect-timeout " +
                "--quick --unbuffered --force --default-character-set",
            mysql_tzinfo_to_sql: "",
            ...{
                du: "-s -B",
                od: "-A -v -t -j -N",
                sha256sum: "",
                tar: "-C -c -x -f --exclude",
                tee: "",
                uniq: "-u",
                wc: "-c",
                zstd: "-q -3 -c -d",
            },
            // rclone 1.75, the image's own.
            rclone: "",
            mysqld:
                "--defaults-file --server-id --innodb-buffer-pool-size --skip-networking --socket --pid-file --datadir " +
                "--initialize-insecure --report-host --init-file --skip-log-bin",
        },
    },
    // Debian 12 or 13: coreutils 9.1, grep 3.8, sed 4.9.
    redis: {
        from: ["redis", "redis-master", "redis-slave"],
        programs: {
            ...{
                cat: "",
                df: "--output",
                mkdir: "",
                mv: "-f -T",
                rm: "-r -f",
                sha256sum: "",
                sleep: "",
                sort: "-u",
            },
            ...{ head: "-c -n", stat: "-c", sync: "-f", tail: "-n -c", timeout: "", tr: "-d", wc: "-c" },
            ...{ flock: "-n -E", getent: "", grep: "-o -E -a -b -x -F", sed: "-n" },
            ...{ "redis-cli": "-s -h -p -n --askpass", "redis-server": "", "redis-check-aof": "" },
        },
    },
};

/** The bash scripts in these folders, by their path below images/. */
function scriptsOf(folders: readonly string[]): Record<string, string> {
    const files = folders.flatMap((folder) =>
        fs
            .readdirSync(path.join(IMAGES, folder))
            .map(
                (name) =>
                    [`${folder}/${name}`, fs.readFileSync(path.join(IMAGES, folder, name), "utf8")] as const,
            ),
    );
    return Object.fromEntries(files.filter(([, text]) => /^#(!.*bash|.*shell=bash)/.test(text)));
}

/** Calls that are not in the table, as `PROGRAM OPTION at FILE:LINE`. */
function unknownIn(
    scripts: Readonly<Record<string, string>>,
    programs: Readonly<Record<string, string>>,
): string[] {
    const calls = [...programsIn(scripts)].filter(([program]) => !program.startsWith("/opt/dabaweb/"));
    return calls.flatMap(([program, options]) => {
        const known = programs[program]?.split(" ");
        return known === undefined
            ? [`${program} is not among the programs`]
            : [...options]
                  .filter(([option]) => !known.includes(option))
                  .map(([option, where]) => `${program} ${option} at ${where}`);
    });
}

describe("the programs that the images' scripts call", () => {
    for (const [image, { from, programs }] of Object.entries(KNOWN)) {
        it(`are known to the official ${image} image, with their options`, () => {
            const scripts = scriptsOf(from);
            assert.ok(Object.keys(scripts).length > 5);
            assert.deepEqual(unknownIn(scripts, programs), []);
        });
    }

    it("are found in every branch, behind wrapper commands, and distinguished from functions and builtins", () => {
        const script = [
            "#!/usr/bin/env bash",
            'in_background() { "$@" & }',
            'own() { echo "$(flock -n /lock date --iso-8601)"; }',
            'if own; then exec timeout -k 3 5 pgrep -fx "$1"; else in_background mysqlbinlog --stop-never; fi',
            "$1 --anything",
        ].join("\n");
        assert.deepEqual(unknownIn({ script }, { flock: "", timeout: "-k" }), [
            "flock -n at script:3",
            "flock --iso-8601 at script:3",
            "pgrep is not among the programs",
            "mysqlbinlog is not among the programs",
        ]);
    });
});
