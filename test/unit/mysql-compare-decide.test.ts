import assert from "node:assert/strict";
import { resolve } from "node:path";

import { callFunction } from "../support/shell-functions";

const functions = resolve(__dirname, "../../images/mysql-slave/decide-compare.sh");

function call(name: string, args: readonly (string | number)[], input = ""): string {
    const { code, stdout, stderr } = callFunction(functions, name, args.map(String), input);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    return stdout.trimEnd();
}

const hex = (text: string): string => Buffer.from(text).toString("hex").toUpperCase();
/** A line of structure.sql. */
const fact = (kind: string, name: string, value: string): string =>
    `${kind} ${name.split(".").map(hex).join(".")} ${value}`;

describe("decisions of the comparison of a slave with its master", () => {
    const numbers: [name: string, given: number[], printed: string][] = [
        ["decide_size", [1000, 50], "1000"],
        ["decide_size", [1000, 100], "500"],
        ["decide_size", [1000, 25], "2000"],
        ["decide_size", [1000, 0], "2000"],
        ["decide_size", [1000, 5000], "250"],
        ["decide_size", [3, 5000], "1"],
        ["decide_size", [1, 5000], "1"],
        ["decide_size", [40000, 5], "50000"],
        ["decide_first_size", [0, 0], "1000"],
        ["decide_first_size", [10, 16384], "640"],
        ["decide_first_size", [1000000, 50000000], "1000"],
        ["decide_first_size", [4, 200000000], "1"],
        // 1 % of the master's core for all slaves, 2 % of the slave's.
        ["decide_pause", [10, 10, 1], "990"],
        ["decide_pause", [10, 10, 20], "19800"],
        ["decide_pause", [1, 10, 1], "490"],
        ["decide_pause", [0, 0, 1], "0"],
    ];
    for (const [name, given, printed] of numbers) {
        it(`${name} ${given.join(" ")}: ${printed}`, () => assert.equal(call(name, given), printed));
    }

    const answers: [string, string, string, string][] = [
        ["3 a", "3 a", "3 a", "equal"],
        ["3 a", "4 b", "4 b", "equal"],
        ["3 a", "2 c", "3 a", "differs"],
        ["3 a", "4 b", "5 c", "hot"],
    ];
    for (const [before, here, again, verdict] of answers) {
        it(`rows that are "${before}" and then "${again}" on the master, and "${here}" here: ${verdict}`, () =>
            assert.equal(call("decide_chunk", [before, here, again]), verdict));
    }

    describe("list_differences", () => {
        const common = [fact("database", "form", "utf8mb4"), fact("table", "form.t", "InnoDB/1")];
        const listed = (before: string[], here: string[], again = before) =>
            call(
                "list_differences",
                [
                    [...common, ...before],
                    [...common, ...here],
                    [...common, ...again],
                ].map((each) => each.join("\n")),
            )
                .split("\n")
                .filter((line) => line !== "")
                .map((line) => line.split("\t")[1]);
        const rows = (count: number) => fact("rows", "form.t", String(count));
        const cases: [
            what: string,
            before: string[],
            here: string[],
            again: string[] | undefined,
            found: string[],
        ][] = [
            ["nothing", [rows(3)], [rows(3)], undefined, []],
            ["rows", [rows(4)], [rows(3)], undefined, ["table form.t has 4 rows on the master, but 3 here"]],
            ["rows that changed meanwhile", [rows(4)], [rows(3)], [rows(5)], []],
            [
                "a table and all that belongs to it, on the master only",
                [
                    fact("table", "form.u", "InnoDB/1"),
                    fact("columns", "form.u", "1"),
                    fact("indexes", "form.u", "1"),
                    fact("rows", "form.u", "2"),
                ],
                [],
                undefined,
                ["table form.u is only on the master"],
            ],
            [
                "a table that was made meanwhile",
                [],
                [fact("table", "form.u", "InnoDB/1")],
                [fact("table", "form.u", "InnoDB/1")],
                [],
            ],
            [
                "a table here only, with an odd name",
                [],
                [fact("table", 'form.a `b" ü', "InnoDB/1"), fact("columns", 'form.a `b" ü', "1")],
                undefined,
                ['table form.a `b" ü is only here, not on the master'],
            ],
            [
                "a database and its tables",
                [fact("database", "other", "utf8mb4"), fact("table", "other.x", "InnoDB/1")],
                [],
                undefined,
                ["database other is only on the master"],
            ],
            [
                "another engine",
                [fact("table", "form.e", "MyISAM/1")],
                [fact("table", "form.e", "InnoDB/1")],
                undefined,
                ["table form.e has the engine MyISAM on the master, but InnoDB here"],
            ],
            [
                "another option",
                [fact("table", "form.e", "InnoDB/1")],
                [fact("table", "form.e", "InnoDB/2")],
                undefined,
                ["table form.e is defined in another way than on the master"],
            ],
            [
                "definitions",
                [fact("columns", "form.t", "1"), fact("foreign-keys", "form.t", "1")],
                [fact("columns", "form.t", "2")],
                undefined,
                [
                    "the columns of form.t differ from those on the master",
                    "the foreign keys of form.t differ from those on the master",
                ],
            ],
            [
                "programs",
                [fact("trigger", "form.x", "1"), fact("procedure", "form.y", "1")],
                [fact("trigger", "form.x", "2"), fact("event", "form.z", "1")],
                undefined,
                [
                    "event form.z is only here, not on the master",
                    "procedure form.y is only on the master",
                    "trigger form.x is defined in another way than on the master",
                ],
            ],
            [
                "an account with its grants",
                [fact("account", "'a'@'%'", "1"), fact("grants", "'a'@'%'", "1")],
                [],
                undefined,
                ["account 'a'@'%' is only on the master"],
            ],
            [
                "grants",
                [fact("grants", "'a'@'%'", "1")],
                [fact("grants", "'a'@'%'", "2")],
                undefined,
                ["the grants of 'a'@'%' differ from those on the master"],
            ],
            [
                "an error, which is no difference",
                ["ERROR 1356 (HY000) at line 7: x"],
                ["ERROR 1356 (HY000) at line 9: x"],
                undefined,
                [],
            ],
        ];
        for (const [what, before, here, again, found] of cases) {
            it(`names ${what}`, () => assert.deepEqual(listed(before, here, again), found));
        }
    });

    describe("describe_comparison", () => {
        const cases: [string, string, string][] = [
            ["", "", ""],
            [
                "checked 980\nround 280 240\n",
                "",
                "tables, definitions and row counts 20 s ago; the last round of contents ended 12 min ago and took 4 min",
            ],
            [
                "checked 990\nbegan 400 3 7\n",
                "",
                "tables, definitions and row counts 10 s ago; the present one is at table 3 of 7 after 10 min",
            ],
            [
                "checked 990\ndiffers one\ndiffers two\n",
                "one; two",
                "tables, definitions and row counts 10 s ago",
            ],
        ];
        for (const [input, differs, said] of cases) {
            it(`${JSON.stringify(input)}: ${said}`, () =>
                assert.equal(
                    call("describe_comparison", [1000], input),
                    `differs: ${differs}\nuncompared:\ncompared: ${said}`.replaceAll(/:$/gm, ": ").trimEnd(),
                ));
        }
        it("says what could not be compared", () =>
            assert.match(
                call("describe_comparison", [1000], "uncompared this\nuncompared that\n"),
                /^uncompared: this; that$/m,
            ));
    });
});
