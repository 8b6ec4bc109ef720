import assert from "node:assert/strict";
import { resolve } from "node:path";

import { callFunction, declaredIn } from "../support/shell-functions";

const functions = resolve(__dirname, "../../images/mysql/decide-data.sh");

/** The log of a server that did not start, from its messages without their fronts. */
function log(...messages: string[]): string {
    return messages.map((message) => `2026-01-01T00:00:00.000000Z 1 ${message}\n`).join("");
}

const ABORTED = [
    "[ERROR] [MY-012930] [InnoDB] Plugin initialization aborted with error Generic error.",
    "[ERROR] [MY-010020] [Server] Data Dictionary initialization failed.",
    "[ERROR] [MY-010119] [Server] Aborting",
];

describe("mysql data decisions", () => {
    describe("decide_broken: whether the data is why a server does not start", () => {
        const cases: [name: string, status: number, messages: string[], decision: RegExp][] = [
            [
                "system tablespace",
                1,
                [
                    "[ERROR] [MY-012263] [InnoDB] The Auto-extending innodb_system data file './ibdata1' is of a different size 0 pages",
                ],
                /^data The Auto-extending .*ibdata1/,
            ],
            [
                "a missing file",
                3,
                [
                    "[ERROR] [MY-012592] [InnoDB] Operating system error number 2 in a file operation.",
                    "[ERROR] [MY-012646] [InnoDB] File ./ibdata1: 'open' returned OS error 71. Cannot continue operation",
                ],
                /^data Operating system error number 2/,
            ],
            [
                "no redo log",
                1,
                [
                    "[ERROR] [MY-013862] [InnoDB] Neither found #innodb_redo subdirectory, nor ib_logfile* files in ./",
                ],
                /^data Neither/,
            ],
            [
                "a torn redo log",
                1,
                ["[ERROR] [MY-013089] [InnoDB] Invalid redo log header checksum."],
                /^data Invalid redo/,
            ],
            [
                "undo",
                1,
                [
                    "[ERROR] [MY-013039] [InnoDB] Can't create UNDO tablespace innodb_undo_001  since './undo_001' already exists.",
                ],
                /^data /,
            ],
            [
                "a missing table",
                1,
                ["[ERROR] [MY-012179] [InnoDB] Could not find any file associated with the tablespace ID: 2"],
                /^data /,
            ],
            [
                "a page",
                2,
                [
                    "[ERROR] [MY-011906] [InnoDB] Database page corruption on disk or a failed file read of page [page id: space=4294967294, page number=68].",
                ],
                /^data Database page corruption/,
            ],
            [
                "an assertion",
                2,
                ["[ERROR] [MY-013183] [InnoDB] Assertion failure: fil0fil.cc:10399:offset <= initial_fsize"],
                /^data Assertion/,
            ],
            [
                "a binlog",
                1,
                ["[ERROR] [MY-010958] [Server] Binlog has bad magic number;  It's not a binary log file"],
                /^data Binlog has bad/,
            ],
            [
                "the binlog index",
                1,
                ["[ERROR] [MY-010958] [Server] Could not open log file."],
                /^data Could not open log/,
            ],
            [
                "auto.cnf",
                1,
                [
                    "[ERROR] [MY-000052] [Server] Found option without preceding group in config file /data/mysql/auto.cnf at line 1.",
                ],
                /^data /,
            ],
            ["a crash", 2, ["UTC - mysqld got signal 11 ;"], /^data .*got signal 11/],
            ["a crash without a word", 139, [], /^data it crashed with signal 11$/],
            // Not the data.
            [
                "no space",
                1,
                [
                    "[ERROR] [MY-012144] [InnoDB] posix_fallocate(): Failed to preallocate data for file ./x, desired size 9. Operating system error number 28.",
                ],
                /^other /,
            ],
            [
                "no space, in words",
                1,
                [
                    "[ERROR] [MY-010907] [Server] Error writing file 'binlog' (OS errno 28 - No space left on device)",
                ],
                /^other /,
            ],
            [
                "no memory",
                1,
                ["[ERROR] [MY-012681] [InnoDB] Cannot allocate memory for the buffer pool"],
                /^other Cannot allocate/,
            ],
            ["killed", 137, [], /^other it was killed/],
            ["killed amid errors", 137, ["[ERROR] [MY-000000] [Server] Anything"], /^other it was killed/],
            ["stopped", 143, [], /^other it was stopped$/],
            ["no program", 127, [], /^other the image has no program/],
            [
                "a setting",
                1,
                ["[ERROR] [MY-000067] [Server] unknown variable 'no-such-option=1'."],
                /^other unknown variable/,
            ],
            [
                "the page size",
                1,
                [
                    "[ERROR] [MY-012222] [InnoDB] Data file './ibdata1' uses page size 16384, but the innodb_page_size start-up parameter is 32768",
                ],
                /^other /,
            ],
            [
                "names",
                1,
                [
                    "[ERROR] [MY-011087] [Server] Different lower_case_table_names settings for server ('1') and data dictionary ('0').",
                ],
                /^other /,
            ],
            [
                "a step back",
                1,
                [
                    "[ERROR] [MY-014061] [Server] Invalid MySQL server downgrade: Cannot downgrade from 90702 to 80410.",
                ],
                /^other Invalid MySQL server downgrade/,
            ],
            [
                "rights",
                1,
                [
                    "[ERROR] [MY-013276] [Server] Failed to set datadir to '/d/' (OS errno: 13 - Permission denied)",
                ],
                /^other /,
            ],
            [
                "the disk",
                1,
                ["[ERROR] [MY-012592] [InnoDB] Operating system error number 5 in a file operation."],
                /^other /,
            ],
            [
                "another server",
                1,
                ["[ERROR] [MY-012574] [InnoDB] Unable to lock ./ibdata1 error: 11"],
                /^other Unable to lock/,
            ],
            ["nothing said", 1, [], /^other it ended with exit code 1 and no error/],
        ];
        for (const [name, status, messages, decision] of cases) {
            it(`${name}, exit code ${status}: ${decision.source}`, () => {
                const said = messages.length === 0 || status > 128 ? messages : [...messages, ...ABORTED];
                const { code, stdout } = callFunction(
                    functions,
                    "decide_broken",
                    [String(status)],
                    log(...said),
                );
                assert.equal(code, 0);
                assert.match(stdout.trim(), decision);
                assert.equal(stdout.trim().split("\n").length, 1);
            });
        }
        it("does not take warnings for a cause", () => {
            const warning = log("[Warning] [MY-010068] [Server] CA certificate ca.pem is self signed.");
            assert.match(callFunction(functions, "decide_broken", ["1"], warning).stdout, /^other it ended/);
        });
        it("takes one hint at another cause for enough", () => {
            const both = log(
                ...ABORTED,
                "[ERROR] [MY-010907] [Server] x (OS errno 28 - No space left on device)",
            );
            assert.match(callFunction(functions, "decide_broken", ["1"], both).stdout, /^other /);
        });
    });

    describe("left_empty: why a server may not be copied", () => {
        it("is silent if all tables are InnoDB", () => {
            assert.equal(callFunction(functions, "left_empty", [""]).stdout, "");
        });
        it("names the tables and the way out", () => {
            const { stdout } = callFunction(functions, "left_empty", ["form.legacy MyISAM"]);
            assert.match(
                stdout,
                /\(form\.legacy MyISAM\): run ALTER TABLE \.\.\. ENGINE=InnoDB .* on the master/,
            );
        });
    });

    it("needs nothing but bash, and shares no name with the other functions", () => {
        const own = declaredIn(functions);
        assert.deepEqual(own, ["decide_broken", "left_empty"]);
        const others = ["decide.sh", "decide-slave.sh"].map((file) => resolve(functions, "..", file));
        assert.deepEqual(
            declaredIn(...others).filter((name) => own.includes(name)),
            [],
        );
    });
});
