import assert from "node:assert/strict";
import { resolve } from "node:path";

import { callFunction, declaredIn } from "../support/shell-functions";

const functions = resolve(__dirname, "../../images/mysql/decide.sh");

/** Calls one of the shell functions and joins its output from both streams. */
function call(name: string, ...args: string[]): { code: number; printed: string } {
    return callWith("", name, ...args);
}

/** The same, with standard input. */
function callWith(input: string, name: string, ...args: string[]): { code: number; printed: string } {
    const { code, stdout, stderr } = callFunction(functions, name, args, input);
    return { code, printed: (stdout + stderr).trim() };
}

const A = "0a1b2c3d-0000-4000-8000-000000000001";
const B = "ffffffff-0000-4000-8000-000000000002";

describe("mysql decisions", () => {
    describe("decide_data: what start does with the volume", () => {
        const cases: [
            role: string,
            data: string,
            initialised: string,
            beside: string,
            inside: string,
            decision: RegExp,
        ][] = [
            // No data.
            ["master", "no", "no", "", "", /^initialise$/],
            ["master", "no", "yes", "", "", /^seed$/],
            ["master", "no", "yes", A, "", /^seed$/],
            ["master", "no", "no", A, "", /^seed$/],
            ["slave", "no", "no", "", "", /^wait .*a slave creates none/],
            ["slave", "no", "no", A, "", /^wait .*a slave creates none/],
            ["slave", "no", "yes", "", "", /^wait .*a slave creates none/],
            // Data: it does not matter whether the system was ready once.
            ...["master", "slave"].flatMap((role) =>
                ["no", "yes"].flatMap((initialised): typeof cases => [
                    [role, "yes", initialised, A, A, /^start$/],
                    [role, "yes", initialised, "", A, /^restore$/],
                    [role, "yes", initialised, A, B, new RegExp(`^wait .*identity ${B}, .*says ${A}`)],
                    [role, "yes", initialised, A, "", /^wait .*no row in replication.identity/],
                    [role, "yes", initialised, "", "", /^wait .*no row in replication.identity/],
                ]),
            ),
        ];
        for (const [role, data, initialised, beside, inside, decision] of cases) {
            const given = `${role}, data ${data}, initialised ${initialised}, beside "${beside}", inside "${inside}"`;
            it(`${given}: ${decision.source}`, () => {
                const { code, printed } = call("decide_data", role, data, initialised, beside, inside);
                assert.equal(code, 0);
                assert.match(printed, decision);
                assert.equal(printed.split("\n").length, 1);
            });
        }
        it("initialises only an empty master volume of a system that was never ready", () => {
            const initialised = cases.filter(([, , , , , decision]) => decision.test("initialise"));
            assert.deepEqual(
                initialised.map((row) => row.slice(0, 5)),
                [["master", "no", "no", "", ""]],
            );
        });
    });

    describe("decide_donor: from which slave an empty master takes the data", () => {
        const silent = "10.0.0.9 - ERROR 2003 (HY000): Can't connect";
        const cases: [
            given: string,
            expected: number,
            override: string,
            beside: string,
            slaves: string[],
            decision: RegExp,
        ][] = [
            ["one is enough", 1, "no", "", [`10.0.0.1 ${A} yes 0`], new RegExp(`^donor 10.0.0.1 ${A}$`)],
            [
                "one of this identity",
                1,
                "no",
                A,
                [`10.0.0.1 ${A} yes 0`],
                new RegExp(`^donor 10.0.0.1 ${A}$`),
            ],
            [
                "the second has more",
                2,
                "no",
                A,
                [`10.0.0.1 ${A} no 0`, `10.0.0.2 ${A} yes 0`],
                new RegExp(`^donor 10.0.0.2 ${A}$`),
            ],
            [
                "equal ones: the first",
                2,
                "no",
                A,
                [`10.0.0.1 ${A} yes 0`, `10.0.0.2 ${A} yes 0`],
                /^donor 10.0.0.1 /,
            ],
            [
                "more than expected",
                1,
                "no",
                A,
                [`10.0.0.1 ${A} no 0`, `10.0.0.2 ${A} yes 0`],
                /^donor 10.0.0.2 /,
            ],
            ["none", 1, "no", "", [], /^wait .*was in use before: 0 of the 1 slaves/],
            [
                "none answers",
                1,
                "no",
                A,
                [silent],
                /^wait .*0 of the 1 .*10.0.0.9 does not answer \(ERROR 2003/,
            ],
            [
                "fewer than expected",
                2,
                "no",
                "",
                [`10.0.0.1 ${A} yes 0`, silent],
                new RegExp(`^wait .*1 of the 2 .*10.0.0.1 has identity ${A}, 10.0.0.9 does not answer`),
            ],
            [
                "two identities",
                2,
                "no",
                "",
                [`10.0.0.1 ${A} yes 0`, `10.0.0.2 ${B} yes 0`],
                /^wait .*different systems/,
            ],
            [
                "two identities, override",
                2,
                "yes",
                A,
                [`10.0.0.1 ${A} yes 0`, `10.0.0.2 ${B} yes 0`],
                /^wait .*different/,
            ],
            [
                "the first holds other data",
                2,
                "no",
                A,
                [`10.0.0.1 ${A} yes 1`, `10.0.0.2 ${A} yes 0`],
                /^donor 10.0.0.2 /,
            ],
            [
                "each holds other data, or lacks something",
                3,
                "no",
                A,
                [`10.0.0.1 ${A} yes 1`, `10.0.0.2 ${A} yes 2`, `10.0.0.3 ${A} no 0`],
                /^wait .*\(10.0.0.1, 10.0.0.2\) did not hold what the master held: .*set bootstrap to a new word/,
            ],
            [
                "each holds other data, override",
                2,
                "yes",
                A,
                [`10.0.0.1 ${A} yes 1`, `10.0.0.2 ${A} yes 2`],
                /^donor 10.0.0.1 /,
            ],
            [
                "diverged",
                2,
                "no",
                A,
                [`10.0.0.1 ${A} no 0`, `10.0.0.2 ${A} no 0`],
                /^wait .*each slave lacks something/,
            ],
            [
                "the first has not said whether it holds other data",
                2,
                "no",
                A,
                [`10.0.0.1 ${A} yes`, `10.0.0.2 ${A} yes 0`],
                /^donor 10.0.0.2 /,
            ],
            [
                "one has not said it yet, and the other holds other data",
                2,
                "no",
                A,
                [`10.0.0.1 ${A} yes 1`, `10.0.0.2 ${A} yes`],
                /^wait .*has said that it held what the master held \(10.0.0.2 not yet\); wait, or set bootstrap to a new word/,
            ],
            [
                "one has not said it yet, and the other holds other data, override",
                2,
                "yes",
                A,
                [`10.0.0.1 ${A} yes 1`, `10.0.0.2 ${A} yes`],
                /^donor 10.0.0.2 /,
            ],
            [
                "diverged, override",
                2,
                "yes",
                A,
                [`10.0.0.1 ${A} no 0`, `10.0.0.2 ${A} no 0`],
                /^wait .*each slave lacks/,
            ],
            [
                "an identity other than the volume's",
                1,
                "no",
                B,
                [`10.0.0.1 ${A} yes 0`],
                /^wait .*to another system/,
            ],
            ["another identity, override", 1, "yes", B, [`10.0.0.1 ${A} yes 0`], /^donor 10.0.0.1 /],
            ["override with a donor", 3, "yes", A, [silent, `10.0.0.1 ${A} yes 0`], /^donor 10.0.0.1 /],
            ["override, none answers", 2, "yes", A, [silent], /^initialise$/],
            ["override, none", 1, "yes", "", [], /^initialise$/],
        ];
        for (const [given, expected, override, beside, slaves, decision] of cases) {
            it(`${given}: ${decision.source}`, () => {
                const input = slaves.map((line) => `${line}\n`).join("");
                const { code, printed } = callWith(input, "decide_donor", String(expected), override, beside);
                assert.equal(code, 0);
                assert.match(printed, decision);
                assert.equal(printed.split("\n").length, 1);
            });
        }
        it("initialises only if the operator says so and no slave answers", () => {
            const initialised = cases.filter(([, , , , , decision]) => decision.test("initialise"));
            for (const [given, , override, , slaves] of initialised) {
                assert.equal(override, "yes", given);
                assert.ok(
                    slaves.every((line) => line.includes(" - ")),
                    given,
                );
            }
        });
    });

    describe("decide_open: whether a master with data lets clients in", () => {
        const more = "0a1b2c3d-0000-4000-8000-000000000001:7-9";
        const cases: [
            answers: number,
            expected: number,
            patience: number,
            lacking: string,
            override: string,
            decision: RegExp,
        ][] = [
            [2, 2, 10, "", "no", /^open$/],
            [3, 2, 10, "", "no", /^open$/],
            [0, 0, 10, "", "no", /^open$/],
            [0, 0, 10, "", "yes", /^open$/],
            [1, 2, 10, "", "no", /^wait 1 of 2 slaves .* in 10 s$/],
            [0, 2, 1, "", "yes", /^wait 0 of 2 slaves/],
            [1, 2, 0, "", "no", /^open$/],
            [0, 2, -1, "", "no", /^open$/],
            [2, 2, 10, more, "no", /^wait .*lacks transactions that 10.0.0.1 has \(.*:7-9\): an older copy/],
            [1, 2, -5, more, "no", /^wait .*an older copy/],
            [1, 2, 10, more, "yes", /^declare$/],
        ];
        for (const [answers, expected, patience, lacking, override, decision] of cases) {
            const given = `${answers} of ${expected}, ${patience} s left, lacks "${lacking}", override ${override}`;
            it(`${given}: ${decision.source}`, () => {
                const numbers = [answers, expected, patience].map(String);
                const { code, printed } = call("decide_open", ...numbers, lacking, "10.0.0.1", override);
                assert.equal(code, 0);
                assert.match(printed, decision);
                assert.equal(printed.split("\n").length, 1);
            });
        }
    });

    describe("decide_semi_sync: commits that wait for a slave", () => {
        const cases: [
            mode: string,
            point: string,
            clients: number,
            hanging: number,
            clones: number,
            decision: string,
        ][] = [
            ["wait", "AFTER_COMMIT", 0, 0, 0, "keep"],
            ["wait", "AFTER_COMMIT", 0, 3, 1, "keep"],
            ["wait", "AFTER_COMMIT", 1, 0, 0, "after_sync"],
            ["wait", "AFTER_COMMIT", 1, 3, 1, "after_sync"],
            ["wait", "AFTER_SYNC", 1, 3, 1, "keep"],
            ["wait", "AFTER_SYNC", 0, 3, 0, "keep"],
            ["wait", "AFTER_SYNC", 0, 0, 0, "keep"],
            ["wait", "AFTER_SYNC", 0, 0, 1, "after_commit"],
            ["wait", "AFTER_SYNC", 1, 0, 1, "keep"],
            ["wait", "AFTER_SYNC", 0, 1, 1, "release"],
            ["degrade", "AFTER_SYNC", 0, 0, 1, "keep"],
            ["degrade", "AFTER_SYNC", 0, 1, 1, "keep"],
            ["degrade", "AFTER_COMMIT", 1, 0, 0, "keep"],
        ];
        for (const [mode, point, clients, hanging, clones, decision] of cases) {
            it(`${mode}, ${point}, ${clients} slaves, ${hanging} hang, ${clones} clones: ${decision}`, () => {
                const numbers = [clients, hanging, clones].map(String);
                assert.deepEqual(call("decide_semi_sync", mode, point, ...numbers), {
                    code: 0,
                    printed: decision,
                });
            });
        }
    });

    describe("decide_point: where commits wait when the server opens", () => {
        const cases: [mode: string, followers: number, point: string][] = [
            ["wait", 0, "AFTER_COMMIT"],
            ["wait", 1, "AFTER_SYNC"],
            ["wait", 20, "AFTER_SYNC"],
            ["degrade", 0, "AFTER_SYNC"],
            ["degrade", 1, "AFTER_SYNC"],
        ];
        for (const [mode, followers, point] of cases) {
            it(`${mode}, ${followers} slaves with this data: ${point}`, () => {
                assert.deepEqual(call("decide_point", mode, String(followers)), { code: 0, printed: point });
            });
        }
    });

    describe("decide_late: slaves that answer after the server was opened", () => {
        const more = "0a1b2c3d-0000-4000-8000-000000000001:7-9";
        const cases: [answers: number, expected: number, lacking: string, decision: RegExp][] = [
            [0, 2, "", /^ask$/],
            [1, 2, "", /^ask$/],
            [2, 2, "", /^enough$/],
            [3, 2, "", /^enough$/],
            [0, 0, "", /^enough$/],
            [1, 2, more, /^close 10.0.0.1 has answered only now and has .*lacks \(.*:7-9\)$/],
            [2, 2, more, /^close /],
        ];
        for (const [answers, expected, lacking, decision] of cases) {
            it(`${answers} of ${expected}, lacks "${lacking}": ${decision.source}`, () => {
                const { code, printed } = call(
                    "decide_late",
                    String(answers),
                    String(expected),
                    lacking,
                    "10.0.0.1",
                );
                assert.equal(code, 0);
                assert.match(printed, decision);
            });
        }
    });

    describe("decide_uuid: whether transactions are numbered as before", () => {
        for (const [answers, expected, decision] of [
            [0, 0, "keep"],
            [0, 1, "renew"],
            [1, 2, "renew"],
            [2, 2, "keep"],
            [3, 2, "keep"],
        ] as const) {
            it(`${answers} of ${expected} slaves have answered: ${decision}`, () => {
                const printed = call("decide_uuid", String(answers), String(expected));
                assert.deepEqual(printed, { code: 0, printed: decision });
            });
        }
    });

    describe("decide_connections: what the application leaves to the others", () => {
        for (const [max, printed] of [
            [1, "1"],
            [53, "1"],
            [54, "1"],
            [55, "2"],
            [100, "47"],
            [1000, "947"],
        ] as const) {
            it(`${max} in all: ${printed}`, () => {
                assert.deepEqual(call("decide_connections", String(max)), { code: 0, printed });
            });
        }
    });

    describe("decide_alive: liveness", () => {
        const lost =
            "ERROR 2013 (HY000): Lost connection to MySQL server at 'reading initial communication packet'";
        const refused = "ERROR 2002 (HY000): Can't connect to local MySQL server through socket";
        const cases: [waiting: string, socket: string, answer: string, alive: boolean][] = [
            ["yes", "no", "", true],
            ["yes", "yes", lost, true],
            ["no", "no", "", true],
            ["no", "yes", "", true],
            ["no", "yes", "ERROR 1040 (HY000): Too many connections", true],
            ["no", "yes", "ERROR 1045 (28000): Access denied for user 'root'@'localhost'", true],
            ["no", "yes", "ERROR 3159 (HY000): Connections using insecure transport are prohibited", true],
            ["no", "yes", lost, false],
            ["no", "yes", refused, false],
        ];
        for (const [waiting, socket, answer, alive] of cases) {
            it(`waiting ${waiting}, socket ${socket}, "${answer}": ${alive ? "alive" : "dead"}`, () => {
                const { code, printed } = call("decide_alive", waiting, socket, answer);
                assert.equal(code === 0, alive);
                assert.equal(printed, alive ? "" : `the server does not answer: ${answer}`);
            });
        }
    });

    describe("decide_server_id: base plus ordinal", () => {
        const cases: [base: string, pod: string, id: string | RegExp][] = [
            ["100", "mysql-master-0", "100"],
            ["200", "mysql-slave-0", "200"],
            ["200", "mysql-slave-7", "207"],
            ["200", "a-1-mysql-slave-12", "212"],
            ["200", "mysql-slave", /POD_NAME is "mysql-slave"/],
            ["200", "mysql-slave-08", /POD_NAME is "mysql-slave-08"/],
            ["200", "", /POD_NAME is ""/],
            ["", "mysql-slave-0", /MYSQL_SERVER_ID_BASE is ""/],
            ["0", "mysql-slave-0", /MYSQL_SERVER_ID_BASE is "0"/],
            ["010", "mysql-slave-0", /MYSQL_SERVER_ID_BASE is "010"/],
            ["x", "mysql-slave-0", /MYSQL_SERVER_ID_BASE is "x"/],
        ];
        for (const [base, pod, id] of cases) {
            it(`base "${base}", pod "${pod}": ${String(id)}`, () => {
                const { code, printed } = call("decide_server_id", base, pod);
                assert.equal(code, typeof id === "string" ? 0 : 1);
                if (typeof id === "string") {
                    assert.equal(printed, id);
                } else {
                    assert.match(printed, id);
                }
            });
        }
    });

    it("needs nothing but bash", () => {
        assert.deepEqual(declaredIn(functions), [
            "decide_alive",
            "decide_connections",
            "decide_data",
            "decide_donor",
            "decide_late",
            "decide_open",
            "decide_point",
            "decide_semi_sync",
            "decide_server_id",
            "decide_uuid",
        ]);
    });
});
