import assert from "node:assert/strict";
import { resolve } from "node:path";

import { callFunction, declaredIn } from "../support/shell-functions";

const functions = resolve(__dirname, "../../images/mysql/decide-slave.sh");

/** Calls one of the shell functions and joins its output from both streams. */
function call(name: string, ...args: string[]): { code: number; printed: string } {
    const { code, stdout, stderr } = callFunction(functions, name, args);
    return { code, printed: (stdout + stderr).trim() };
}

const A = "0a1b2c3d-0000-4000-8000-000000000001";
const B = "ffffffff-0000-4000-8000-000000000002";
const SET = `${B}:1-7`;
const purged =
    "13114 Got fatal error 1236 from source when reading data from binary log: 'Cannot replicate because the source purged required binary logs.'";
const more =
    "13114 Got fatal error 1236 from source when reading data from binary log: 'Replica has more GTIDs than the source has'";

describe("mysql slave decisions", () => {
    describe("seconds and milliseconds", () => {
        const cases: [name: string, given: string, printed: string][] = [
            ["seconds", "0", "0.0"],
            ["seconds", "99", "0.0"],
            ["seconds", "12345", "12.3"],
            ["milliseconds", "", ""],
            ["milliseconds", "0.0", "0"],
            ["milliseconds", "0.8", "800"],
            ["milliseconds", "09.9", "9900"],
            ["milliseconds", "12", "12000"],
            ["milliseconds", "-0.3", "0"],
            ["milliseconds", "nonsense", ""],
        ];
        for (const [name, given, printed] of cases) {
            it(`${name} "${given}": "${printed}"`, () => {
                assert.deepEqual(call(name, given), { code: 0, printed });
            });
        }
    });

    describe("decide_age: how old the data is", () => {
        interface Case {
            what: string;
            /** Since the machine started. */
            now?: number;
            /** Since 1970, by the master's clock. */
            beat?: number | "";
            offset?: number | "";
            contained?: number | "";
            difference?: number | "";
            printed: string;
        }
        const HOUR = 3_600_000;
        // The master's clock says 1,000,000 ms when this machine has been up for 100,000 ms.
        const cases: Case[] = [
            { what: "half a second after a beat", beat: 999_500, printed: "500" },
            { what: "on a slave whose clock is an hour ahead", difference: HOUR, printed: "500" },
            { what: "on a slave whose clock is an hour behind", difference: -HOUR, printed: "500" },
            { what: "on a slave that is behind", beat: 967_000, contained: 60_000, printed: "33000" },
            {
                what: "on one whose clock hides that",
                beat: 967_000,
                contained: 60_000,
                difference: -HOUR,
                printed: "33000",
            },
            { what: "before its first answer contains anything", contained: "", printed: "500" },
            { what: "while the master is away", now: 160_000, contained: 99_000, printed: "60500" },
            { what: "with a beat from a moment after the answer", beat: 1_001_000, printed: "0" },
            { what: "with beats from a clock set forward", beat: 1_000_000 + HOUR, printed: "5000 ask" },
            { what: "with beats from a clock set back", beat: 1_000_000 - HOUR, printed: "5000 ask" },
            {
                what: "with beats from before it was set forward",
                offset: 900_000 + HOUR,
                printed: "5000 ask",
            },
            { what: "with beats from before it was set back", offset: 900_000 - HOUR, printed: "5000 ask" },
            {
                what: "with nothing but the clock of a master that was set",
                beat: 1_000_000 + HOUR,
                contained: "",
                difference: 700,
                printed: "700 ask",
            },
            { what: "while beats cannot be written", beat: 900_000, contained: 99_900, printed: "100 ask" },
            { what: "before the master has answered", offset: "", contained: "", printed: "700" },
            {
                what: "before that, with a clock that is behind",
                offset: "",
                contained: "",
                difference: -900,
                printed: "0",
            },
            { what: "without a heartbeat", beat: "", difference: "", printed: "" },
        ];
        for (const {
            what,
            now = 100_000,
            beat = 999_500,
            offset = 900_000,
            contained = 95_000,
            difference = 700,
            printed,
        } of cases) {
            it(`${what}: "${printed}"`, () => {
                const given = [now, beat, offset, contained, difference].map(String);
                assert.deepEqual(call("decide_age", ...given), { code: 0, printed });
            });
        }
    });

    describe("decide_ready: readiness, if data may be 10 s old, or 600 s while the master is away", () => {
        interface Case {
            receiver?: string;
            receiverError?: string;
            applier?: string;
            applierError?: string;
            age?: string;
            held?: string;
            why: string | RegExp;
        }
        const denied = "1045 Access denied for user 'repl_0a1b2c3d'";
        const cases: Case[] = [
            { why: "" },
            { age: "", why: "" },
            { age: "0", why: "" },
            { age: "-900", why: "" },
            { age: "10000", why: "" },
            {
                age: "10001",
                why: /^the data is 10\.0 s old and the link .* is up: MAX_STALE_SECONDS allows 10;/,
            },
            { age: "86400000", why: /^the data is 86400\.0 s old/ },
            { receiverError: "2003 an error of yesterday", why: "" },
            { applierError: "1062 an error of yesterday", why: "" },
            ...["CONNECTING", "OFF"].flatMap((receiver): Case[] => [
                { receiver, why: "" },
                { receiver, receiverError: "2003 Can't connect", why: "" },
                { receiver, receiverError: "3032 The server is currently in offline mode", why: "" },
                { receiver, age: "600000", why: "" },
                {
                    receiver,
                    age: "600001",
                    why: new RegExp(`600\\.0 s old .* is ${receiver}: MAX_MASTER_AWAY_SECONDS allows 600`),
                },
                { receiver, age: "600001", receiverError: "2003 Can't connect", why: /2003 Can't connect$/ },
                { receiver, age: "", why: /has no heartbeat, so its age is unknown$/ },
                {
                    receiver,
                    receiverError: denied,
                    why: `the replication receiver is ${receiver}: ${denied}`,
                },
                {
                    receiver,
                    receiverError: purged,
                    why: `the replication receiver is ${receiver}: ${purged}`,
                },
                { receiver, receiverError: more, why: `the replication receiver is ${receiver}: ${more}` },
            ]),
            { applier: "OFF", why: "the replication applier is OFF" },
            {
                applier: "OFF",
                applierError: "1062 Duplicate",
                why: "the replication applier is OFF: 1062 Duplicate",
            },
            { applier: "OFF", receiver: "CONNECTING", why: "the replication applier is OFF" },
            { receiver: "", applier: "", why: "replication is not set up" },
            { applier: "", why: "replication is not set up" },
            { held: "it waits for someone", why: "it waits for someone" },
            { held: "it waits for someone", receiver: "OFF", why: "it waits for someone" },
            { held: "it waits for someone", applier: "OFF", why: "it waits for someone" },
        ];
        for (const { why, ...given } of cases) {
            it(`${JSON.stringify(given)}: ${why === "" ? "ready" : String(why)}`, () => {
                const full = {
                    receiver: "ON",
                    receiverError: "",
                    applier: "ON",
                    applierError: "",
                    age: "900",
                    held: "",
                    ...given,
                };
                const { code, printed } = call(
                    "decide_ready",
                    full.receiver,
                    full.receiverError,
                    full.applier,
                    full.applierError,
                    full.age,
                    "10",
                    "600",
                    full.held,
                );
                assert.equal(code, why === "" ? 0 : 1);
                if (typeof why === "string") {
                    assert.equal(printed, why);
                } else {
                    assert.match(printed, why);
                    assert.equal(printed.split("\n").length, 1);
                }
            });
        }
    });

    describe("decide_follow: what keeps replication running", () => {
        interface Case {
            receiver?: string;
            receiverError?: string;
            receiverOff?: string;
            applier?: string;
            applierError?: string;
            applierOff?: string;
            tries?: string;
            started?: string;
            errant?: string;
            master?: string;
            decision: RegExp;
        }
        const older = `older ${SET}`;
        const other = `other ${B}`;
        const restored = `restored ${B}`;
        const cases: Case[] = [
            { decision: /^none$/ },
            { tries: "3", decision: /^none$/ },
            // At the start of a pod: no receiver until the slave has compared itself with the master.
            { receiver: "OFF", started: "no", master: "ok", decision: /^start receiver$/ },
            { receiver: "OFF", started: "no", master: "unknown", decision: /^none$/ },
            {
                receiver: "OFF",
                receiverOff: "10",
                started: "no",
                master: "unknown",
                decision: /^start receiver$/,
            },
            { receiver: "OFF", started: "no", master: other, decision: /^start receiver$/ },
            { receiver: "OFF", started: "no", master: restored, decision: /^copy restored$/ },
            {
                receiver: "CONNECTING",
                receiverError: "1045 denied",
                master: restored,
                decision: /^copy restored$/,
            },
            { receiver: "ON", master: restored, decision: /^none$/ },
            {
                receiver: "OFF",
                started: "no",
                master: older,
                decision: /^hold .*older copy.* lacks ffffffff.*nothing is dropped/,
            },
            // Stopped without an error: on purpose, for some time.
            ...["unknown", "ok"].flatMap((master): Case[] => [
                { receiver: "OFF", receiverOff: "59", master, decision: /^none$/ },
                { receiver: "OFF", receiverOff: "60", master, decision: /^start receiver$/ },
                { receiver: "OFF", receiverError: "1593 x", receiverOff: "4", master, decision: /^none$/ },
                {
                    receiver: "OFF",
                    receiverError: "1593 x",
                    receiverOff: "5",
                    master,
                    decision: /^start receiver$/,
                },
                {
                    receiver: "OFF",
                    receiverError: more,
                    receiverOff: "5",
                    master,
                    decision: /^start receiver$/,
                },
                {
                    receiver: "OFF",
                    receiverError: purged,
                    receiverOff: "0",
                    master,
                    decision: /^reseed the master no longer has/,
                },
                { receiver: "CONNECTING", master, decision: /^none$/ },
                { receiver: "CONNECTING", receiverError: "1045 denied", master, decision: /^none$/ },
            ]),
            {
                receiver: "OFF",
                receiverError: more,
                receiverOff: "9",
                master: older,
                decision: /^hold .*older copy/,
            },
            { receiver: "OFF", receiverOff: "9", master: older, decision: /^hold .*older copy/ },
            { receiver: "ON", master: older, decision: /^stop receiver$/ },
            { receiver: "CONNECTING", master: older, decision: /^stop receiver$/ },
            {
                receiver: "CONNECTING",
                master: other,
                decision: /^hold .*another history \(identity ffffffff/,
            },
            { receiver: "OFF", receiverOff: "1", master: other, decision: /^hold .*another history/ },
            { receiver: "OFF", receiverOff: "60", master: other, decision: /^start receiver$/ },
            // The applier.
            { applier: "OFF", applierOff: "59", decision: /^none$/ },
            { applier: "OFF", applierOff: "60", decision: /^start applier$/ },
            { applier: "OFF", applierError: "1062 x", applierOff: "4", decision: /^none$/ },
            {
                applier: "OFF",
                applierError: "1062 x",
                applierOff: "5",
                tries: "2",
                decision: /^start applier$/,
            },
            {
                applier: "OFF",
                applierError: "1062 x",
                tries: "3",
                decision: /^reseed .*after 3 starts: 1062 x$/,
            },
            { applier: "OFF", applierOff: "60", tries: "3", decision: /^start applier$/ },
            { applier: "OFF", applierOff: "60", receiver: "OFF", started: "no", decision: /^start applier$/ },
            {
                applier: "OFF",
                receiver: "OFF",
                started: "no",
                master: "ok",
                decision: /^start receiver$/,
            },
            // Two servers of one identity.
            {
                receiver: "OFF",
                receiverError:
                    "13114 Got fatal error 1236 from source when reading data from binary log: 'A replica with the same server_uuid/server_id as this replica has connected to the source; the first event ...'",
                decision: /^renew another slave has the same identity/,
            },
            {
                receiver: "OFF",
                receiverError:
                    "13117 Fatal error: The replica I/O thread stops because source and replica have equal MySQL server UUIDs; these UUIDs must be different for replication to work.",
                decision: /^renew the master has the same identity/,
            },
            // Without metadata, there are no threads.
            { receiver: "", applier: "", applierOff: "14", decision: /^none$/ },
            { receiver: "", applier: "", applierOff: "15", decision: /^reseed replication cannot be set up/ },
            // Written on this slave by hand: regardless of the threads.
            ...["ON", "OFF", "CONNECTING"].map((receiver) => ({
                receiver,
                errant: `${A}:1`,
                decision: /^reseed .*by hand \(0a1b2c3d.*:1\)/,
            })),
        ];
        for (const { decision, ...given } of cases) {
            it(`${JSON.stringify(given)}: ${decision.source}`, () => {
                const full = {
                    receiver: "ON",
                    receiverError: "",
                    receiverOff: "0",
                    applier: "ON",
                    applierError: "",
                    applierOff: "0",
                    tries: "0",
                    started: "yes",
                    errant: "",
                    master: "unknown",
                    ...given,
                };
                const { code, printed } = call(
                    "decide_follow",
                    full.receiver,
                    full.receiverError,
                    full.receiverOff,
                    full.applier,
                    full.applierError,
                    full.applierOff,
                    full.tries,
                    full.started,
                    full.errant,
                    full.master,
                );
                assert.equal(code, 0, printed);
                assert.match(printed, decision);
                assert.equal(printed.split("\n").length, 1);
            });
        }
        it("never starts the receiver if the master has an older copy", () => {
            for (const receiverError of ["", "1593 x", more, "1045 denied"]) {
                for (const receiverOff of ["0", "5", "60", "600"]) {
                    for (const started of ["yes", "no"]) {
                        const { printed } = call(
                            "decide_follow",
                            "OFF",
                            receiverError,
                            receiverOff,
                            "ON",
                            "",
                            "0",
                            "0",
                            started,
                            "",
                            older,
                        );
                        assert.match(printed, /^hold /);
                    }
                }
            }
        });
    });

    describe("decide_fit: whose data may be cloned, if data may be 10 s old", () => {
        interface Case {
            role?: string;
            identity?: string;
            receiver?: string;
            applier?: string;
            age?: string;
            master?: string;
            lacks?: string;
            extra?: string;
            purged?: string;
            tables?: string;
            differs?: string;
            why: string;
        }
        const cases: Case[] = [
            { why: "" },
            { age: "", why: "" },
            { identity: "", why: "does not answer" },
            { identity: B, why: `has identity ${B}, not ${A}` },
            { lacks: SET, why: `lacks ${SET}` },
            { extra: SET, why: `has ${SET}, which the master does not have` },
            { receiver: "CONNECTING", why: "its receiver is CONNECTING" },
            { receiver: "", why: "its receiver is not set up" },
            { applier: "OFF", why: "its applier is OFF" },
            { applier: "", why: "its applier is not set up" },
            { age: "10001", why: "its data is 10.0 s old, but MAX_STALE_SECONDS allows 10" },
            { purged: SET, why: `lacks ${SET}, which the master no longer has in its binlogs` },
            { tables: "has tables", why: "has tables" },
            { differs: "2", why: "does not hold what the master holds" },
            { differs: "", why: "has not said yet whether it holds what the master holds" },
            { role: "master", differs: "", why: "" },
            // Then it may be all that is left.
            { master: "no", differs: "2", why: "does not hold what the master holds" },
            { master: "lost", why: "cannot be compared with the master, which no longer answers" },
            { master: "no", tables: "has tables", why: "has tables" },
            { role: "master", tables: "has tables", why: "has tables" },
            // Without the master, no slave can be fresh.
            { master: "no", receiver: "CONNECTING", age: "86400000", why: "" },
            { master: "no", applier: "OFF", why: "its applier is OFF" },
            { master: "no", lacks: SET, why: `lacks ${SET}` },
            { role: "master", receiver: "", applier: "", age: "", why: "" },
            { role: "master", receiver: "", applier: "", lacks: SET, why: `lacks ${SET}` },
            { role: "master", identity: B, why: `has identity ${B}, not ${A}` },
            { role: "master", identity: "", why: "does not answer" },
        ];
        for (const { why, ...given } of cases) {
            it(`${JSON.stringify(given)}: ${why || "fit"}`, () => {
                const full = {
                    role: "slave",
                    identity: A,
                    receiver: "ON",
                    applier: "ON",
                    age: "900",
                    master: "yes",
                    lacks: "",
                    extra: "",
                    purged: "",
                    tables: "",
                    differs: "0",
                    ...given,
                };
                const { role, identity, receiver, applier, age, master } = full;
                const holds = [full.lacks, full.extra, full.purged, full.tables, full.differs];
                const expected = { code: why === "" ? 0 : 1, printed: why };
                assert.deepEqual(
                    call("decide_fit", role, A, identity, receiver, applier, age, "10", master, ...holds),
                    expected,
                );
            });
        }
    });

    describe("rank_donors: who is asked for a copy first, by index, role, copies, failures, clones in progress", () => {
        const cases: [name: string, ordinal: string, donors: string[], order: string][] = [
            ["the master last", "0", ["0 slave 0 0 0", "1 slave 0 0 0", "2 master 0 0 0"], "0 1 2"],
            [
                "other ordinals begin elsewhere",
                "1",
                ["0 slave 0 0 0", "1 slave 0 0 0", "2 master 0 0 0"],
                "1 0 2",
            ],
            ["a large ordinal", "22", ["0 slave 0 0 0", "1 slave 0 0 0", "2 master 0 0 0"], "1 0 2"],
            ["idle ones first", "0", ["0 slave 0 0 1", "1 slave 0 0 0", "2 master 0 0 0"], "1 2 0"],
            ["failures after that", "0", ["0 slave 0 2 0", "1 slave 0 1 0", "2 master 0 0 0"], "2 1 0"],
            ["the master, after its copy was no help", "0", ["0 slave 1 0 0", "1 master 0 0 0"], "1 0"],
            [
                "a copy that was no help: rather wait for another",
                "0",
                ["0 slave 1 0 0", "1 master 0 0 1"],
                "1 0",
            ],
            [
                "all tried: from the start again",
                "0",
                ["0 slave 1 0 0", "1 slave 1 0 0", "2 master 1 0 0"],
                "0 1 2",
            ],
            ["only the master", "7", ["0 master 3 9 1"], "0"],
        ];
        for (const [name, ordinal, donors, order] of cases) {
            it(name, () => {
                const { stdout } = callFunction(
                    functions,
                    "rank_donors",
                    [ordinal],
                    donors.join("\n") + "\n",
                );
                assert.equal(stdout.trim().replace(/\n/g, " "), order);
            });
        }
    });

    describe("decide_pause: seconds until the next copy, by tries and the seconds since the last one", () => {
        const cases: [tries: string, ago: string, pause: string][] = [
            ["0", "0", "0"],
            ["1", "0", "2"],
            ["1", "2", "0"],
            ["2", "1", "3"],
            ["5", "0", "32"],
            ["6", "0", "60"],
            ["6", "59", "1"],
            ["1000", "0", "60"],
            // The clock of the node was set back.
            ["6", "-3600", "0"],
        ];
        for (const [tries, ago, pause] of cases) {
            it(`${tries} tries, ${ago} s ago: ${pause} s`, () => {
                assert.deepEqual(call("decide_pause", tries, ago), { code: 0, printed: pause });
            });
        }
    });

    describe("describe_copies", () => {
        const cases: [copies: string, printed: string][] = [
            ["", ""],
            ["1000 begun a\n", "1 begun in 2 min, 0 complete, the last 1 not"],
            ["1000 begun a\n1005 cloned a\n", "1 begun in 2 min, 1 complete, the last 0 not"],
            [
                "400 begun a\n410 cloned a\n460 begun b\n520 begun a\n",
                "3 begun in 12 min, 1 complete, the last 2 not",
            ],
            ["nonsense\n1100 begun\n", "1 begun in 1 min, 0 complete, the last 1 not"],
        ];
        for (const [copies, printed] of cases) {
            it(`at 1100, after ${JSON.stringify(copies)}: "${printed}"`, () => {
                const { code, stdout, stderr } = callFunction(functions, "describe_copies", ["1100"], copies);
                assert.deepEqual({ code, printed: (stdout + stderr).trim() }, { code: 0, printed });
            });
        }
    });

    describe("decide_identity: which history an empty volume joins", () => {
        const cases: [master: string, slaves: string[], decision: string | RegExp][] = [
            [A, [], A],
            [A, ["", B, B], A],
            ["", [A], A],
            ["", ["", A, "", A], A],
            ["", [A, B], /^wait the slaves belong to different histories \(identities 0a1b.* and ffff.*\)$/],
            ["", [A, "", B, A], /^wait /],
            ["", [], /^wait no slave reports one either$/],
            ["", ["", ""], /^wait no slave reports one either$/],
        ];
        for (const [master, slaves, decision] of cases) {
            it(`master "${master}", slaves "${slaves.join(",")}": ${String(decision)}`, () => {
                const { code, printed } = call("decide_identity", master, ...slaves);
                assert.equal(code, 0);
                if (typeof decision === "string") {
                    assert.equal(printed, decision);
                } else {
                    assert.match(printed, decision);
                }
            });
        }
    });

    describe("decide_directories: what to do with the directories after a kill at any step", () => {
        // Data, new, old, reseed; y or n.
        const cases: Record<string, string> = {
            // A volume without a reseed.
            nnnn: "seed",
            nynn: "seed",
            ynnn: "keep",
            yynn: "clean",
            // The steps of a reseed.
            ynny: "reseed",
            yyny: "reseed",
            nyyy: "finish",
            ynyy: "clean",
            ynyn: "clean",
            // States that only manual changes can leave.
            nnny: "seed",
            nyny: "seed",
            nyyn: "finish",
            nnyy: "restore",
            nnyn: "restore",
            yyyy: "clean",
            yyyn: "clean",
        };
        for (const [given, decision] of Object.entries(cases)) {
            it(`${given}: ${decision}`, () => {
                const args = [...given].map((letter) => (letter === "y" ? "yes" : "no"));
                assert.deepEqual(call("decide_directories", ...args), { code: 0, printed: decision });
            });
        }
        it("covers every combination", () => {
            assert.equal(Object.keys(cases).length, 16);
        });
    });

    it("needs nothing but bash, and shares no name with the other functions", () => {
        const own = declaredIn(functions);
        const shared = declaredIn(resolve(functions, "../decide.sh"));
        assert.deepEqual(own, [
            "decide_age",
            "decide_directories",
            "decide_fit",
            "decide_follow",
            "decide_identity",
            "decide_pause",
            "decide_ready",
            "describe_copies",
            "milliseconds",
            "rank_donors",
            "seconds",
        ]);
        assert.deepEqual(
            own.filter((name) => shared.includes(name)),
            [],
        );
    });
});
