import { deepStrictEqual, match, strictEqual } from "node:assert";
import { join } from "node:path";

import { callFunction } from "../support/shell-functions";

const file = join(__dirname, "../../images/redis/decide.sh");
const a = "11111111-1111-4111-8111-111111111111";
const b = "22222222-2222-4222-8222-222222222222";

/** Calls one function of decide.sh. */
function decide(name: string, ...inputs: string[]): string {
    const { code, stdout, stderr } = callFunction(file, name, inputs);
    deepStrictEqual({ code, stderr }, { code: 0, stderr: "" });
    return stdout.trimEnd();
}

/** What INFO prints, with its line ends. */
function info(fields: Record<string, string>): string {
    return ["# Persistence", ...Object.entries(fields).map(([k, v]) => `${k}:${v}`), ""].join("\r\n");
}

interface Table {
    readonly name: string;
    readonly cases: readonly (readonly [inputs: readonly string[], output: string])[];
}

const tables: Table[] = [
    {
        name: "decide_master",
        cases: [
            [["none", "no"], "initialise"],
            [["none", "yes"], "recover"],
            [["partial", "no"], "wait-partial"],
            [["partial", "yes"], "wait-partial"],
            [["whole", "no"], "verify"],
            [["whole", "yes"], "verify"],
        ],
    },
    {
        name: "decide_slave",
        cases: [
            [["none", ""], "learn"],
            [["none", a], "initialise"],
            [["partial", ""], "put-aside"],
            [["partial", a], "put-aside"],
            [["whole", ""], "verify"],
            [["whole", a], "verify"],
        ],
    },
    {
        name: "decide_identity",
        cases: [
            [["", ""], "unknown"],
            [["", a], "restore-file"],
            [[a, ""], "restore-library"],
            [[a, a], "agree"],
            [[a, b], "differ"],
        ],
    },
    {
        name: "identity_in",
        cases: [
            [[a], a],
            [[""], ""],
            [[`${a} `], ""],
            [[`${a}0`], ""],
            [[a.toUpperCase().replaceAll("1", "A")], ""],
            [["NOAUTH Authentication required."], ""],
        ],
    },
    {
        name: "one_line",
        cases: [
            [[""], "nothing"],
            [["PONG"], "PONG"],
            [
                ["AUTH failed: * WRONGPASS\r\n\nNOAUTH required.\n"],
                "AUTH failed: * WRONGPASS NOAUTH required.",
            ],
        ],
    },
    {
        name: "unready_master",
        cases: [
            [[info({ loading: "0", role: "master" })], ""],
            [[info({ loading: "1", role: "master" })], "loading its data"],
            [[info({ loading: "0", role: "slave" })], "following another server: role is slave"],
            [[""], "redis-server reports no status, its answer is: nothing"],
            [["WRONGPASS invalid"], "redis-server reports no status, its answer is: WRONGPASS invalid"],
        ],
    },
    {
        name: "unready_slave",
        cases: [
            // The time is 100 s; the data may be 10 s old with a link, and 60 s without.
            [[slave("up", "0"), "99000", "100000", "10", "60"], ""],
            [[slave("up", "0"), "90000", "100000", "10", "60"], ""],
            [
                [slave("up", "0"), "89900", "100000", "10", "60"],
                "its data is 10.1 s old although the link to the master is up; MAX_STALE_SECONDS allows 10 s",
            ],
            [[slave("up", "0"), "", "100000", "10", "60"], ""],
            [[slave("up", "0"), "300000", "100000", "10", "60"], ""],
            [[slave("down", "0"), "89900", "100000", "10", "60"], "link-down"],
            [[slave("down", "0"), "40000", "100000", "10", "60"], "link-down"],
            [[slave("down", "0"), "300000", "100000", "10", "60"], "link-down"],
            [
                [slave("down", "0"), "39000", "100000", "10", "60"],
                "link-down its data is 61.0 s old; without the master, MAX_MASTER_AWAY_SECONDS allows 60 s",
            ],
            [
                [slave("down", "0"), "", "100000", "10", "60"],
                "link-down its data has no heartbeat from a master",
            ],
            [
                [slave("down", "0"), "LOADING", "100000", "10", "60"],
                "link-down its data has no heartbeat from a master",
            ],
            [[slave("down", "1"), "99000", "100000", "10", "60"], "taking a full copy from the master"],
            [[slave("up", "1"), "99000", "100000", "10", "60"], "taking a full copy from the master"],
            [
                [info({ loading: "1", role: "slave", master_link_status: "down" }), "", "100000", "10", "60"],
                "loading its data",
            ],
            [
                [info({ loading: "0", role: "master" }), "99000", "100000", "10", "60"],
                "following no master: role is master",
            ],
            [["", "", "100000", "10", "60"], "redis-server reports no status, its answer is: nothing"],
        ],
    },
    {
        name: "unready_alone",
        cases: [
            [["", "m:1", ""], ""],
            [["follow repl_11111111_n1", "m:1", ""], ""],
            [["wait which answers: no", "m:1", ""], ""],
            [["refuse it is older", "m:1", ""], "it is older"],
            [["refuse it is older", "m:1", "old"], "it is older"],
            [["follow x", "m:1", "old"], "old: no link yet to the master m:1, which has the same history"],
            [["wait which answers: no", "m:1", "old"], "old: no link to the master m:1, which answers: no"],
            [["", "m:1", "old"], "old: no link to the master m:1"],
        ],
    },
    {
        name: "moved_at",
        cases: [
            [["98000", "100000", "5000"], "3000"],
            [["10000", "100000", "5000"], "-85000"],
            // The clock of the other machine is ahead.
            [["3700000", "100000", "5000"], "5000"],
        ],
    },
    {
        name: "age_of",
        cases: [
            [["", "100000"], ""],
            [["LOADING", "100000"], ""],
            [["100000", "100000"], "0.0"],
            [["98765", "100000"], "1.2"],
            [["105000", "100000"], "0.0"],
            [["-85000", "5000"], "90.0"],
        ],
    },
    {
        name: "slave_line",
        cases: [
            [["s", answer({ offset: "7" })], `s slave ${a} 5000 4000 7 - - -`],
            [["s", answer({ offset: "7", link: "up" })], `s linked ${a} 5000 4000 7 - - -`],
            [["s", answer({ offset: "7", role: "master" })], `s master ${a} 5000 4000 7 - - -`],
            [["s", answer({ offset: "1" })], `s slave ${a} 5000 4000 - - - -`],
            [["s", answer({ priority: "2147483647" })], `s slave ${a} 5000 4000 0 0 - -`],
            [["s", answer({ priority: "2147483000" })], `s slave ${a} 5000 4000 0 647 - -`],
            [["s", answer({ priority: "100" })], `s slave ${a} 5000 4000 0 - - -`],
            [["s", answer({ heartbeat: "", synced: "" })], `s slave ${a} - - 0 - - -`],
            [
                ["s", answer({ beats: "12", openings: "n1:0:0,n2:8:4000" })],
                `s slave ${a} 5000 4000 0 - 12 n1:0:0,n2:8:4000`,
            ],
            [["s", answer({ loading: "1" })], `s loading ${a} - - - - - -`],
            [["s", answer({ sync: "1" })], `s loading ${a} - - - - - -`],
            [["s", answer({ identity: "ERR Function not found" })], "s silent its data has no identity"],
            [["s", "Could not connect\r\nto Redis"], "s silent Could not connect to Redis"],
            [["s", ""], "s silent nothing"],
        ],
    },
    {
        name: "priority_of_tail",
        cases: [
            [["0"], "2147483647"],
            [["647"], "2147483000"],
            [["9999999999"], "1073741823"],
        ],
    },
    {
        name: "describe_slaves",
        cases: [
            [[""], "no slave pod has an address"],
            [
                [
                    `x slave ${a} 1700000000123 - 1\ny silent Could not connect to it\nz loading - - - -\n` +
                        `w master ${b} - - 1`,
                ],
                `x has identity ${a} and data from 2023-11-14 22:13:20.123 UTC; y does not report its data (Could not connect to it); ` +
                    `z is loading its data; w has identity ${b} and data from an unknown time (no heartbeat)`,
            ],
        ],
    },
    {
        name: "decide_copy",
        cases: [
            [[donor("9"), copied({})], "whole"],
            [[donor("9"), copied({ slave_repl_offset: "10" })], "whole"],
            [[donor("10"), copied({})], "copying"],
            [[donor("9"), copied({ master_link_status: "down" })], "copying"],
            [[donor("9"), copied({ master_sync_in_progress: "1" })], "copying"],
            [[donor("9"), copied({ loading: "1" })], "copying"],
            [[donor("9"), copied({ aof_enabled: "0" })], "copying"],
            [[donor("9"), copied({ aof_rewrite_in_progress: "1" })], "copying"],
            [[donor("9"), copied({ aof_rewrite_scheduled: "1" })], "copying"],
            [[donor("9"), copied({ aof_last_bgrewrite_status: "err" })], "copying"],
            [[donor("9"), ""], "copying"],
            [[donor("9").replace("role:master", "role:slave"), copied({})], "gone"],
            [["Could not connect", copied({})], "gone"],
        ],
    },
    {
        name: "decide_turn_back",
        cases: [
            [["5000", a, `x master ${a} 5000 4000 1`], "yes"],
            [["5000", a, `x master ${a} - - 1`], "yes"],
            [["5000", a, `x master ${a} 6001 6000 1`], "no"],
            [["5000", a, `x master ${a} 5000 4000 1 0 12 n1:0:0`, "20", "n1:0:0,n2:12:5000"], "yes"],
            [["5000", a, `x master ${a} 5000 4000 1 0 14 n1:0:0`, "20", "n1:0:0,n2:12:5000"], "no"],
            [["5000", a, `x master ${b} 4000 3000 1`], "no"],
            [["5000", a, `x slave ${a} 4000 3000 1`], "no"],
            [["5000", a, `x linked ${a} 4000 3000 1`], "no"],
            [["5000", a, "x silent Could not connect"], "no"],
            [["5000", a, ""], "no"],
        ],
    },
    {
        // the openings, beats and heartbeat of the one; the openings, beats and `synced` of the other
        name: "contains",
        cases: [
            // From before there were beats: times.
            [["", "", "5000", "", "", "5000"], "yes"],
            [["", "", "5000", "", "", "5001"], "no"],
            [["", "", "", "", "", ""], "yes"],
            [["-", "-", "-", "-", "-", "-"], "yes"],
            // The same opening: beats, whatever the clocks said.
            [["n1:0:0", "10", "5000", "n1:0:0", "11", "9000"], "yes"],
            [["n1:0:0", "10", "5000", "n1:0:0", "12", "1000"], "no"],
            [["n1:0:0", "10", "5000", "n1:0:0", "9", "9000000"], "yes"],
            // The other stopped in an earlier opening: what counts is how far that had got when it ended.
            [["n1:0:0,n2:10:5000", "99", "9000", "n1:0:0", "11", "4000"], "yes"],
            [["n1:0:0,n2:10:5000", "99", "9000", "n1:0:0", "12", "4000"], "no"],
            [["n1:0:0,n2:10:5000,n3:20:6000", "99", "9000", "n1:0:0", "12", "4000"], "no"],
            [["n1:0:0,n2:10:5000,n3:20:6000", "99", "9000", "n1:0:0,n2:10:5000", "21", "4000"], "yes"],
            // Two copies of one volume, both opened.
            [["n1:0:0,n3:10:5000", "99", "9000", "n1:0:0,n2:10:5000", "12", "4000"], "no"],
            // An operator's word declared it correct.
            [["n1:0:0,n3:1000000010:5000:word", "1000000099", "9", "n1:0:0,n2:10:5000", "12", "4000"], "yes"],
            [["n1:0:0,n3:1000000010:5000:word", "1000000099", "9", "n1:0:0", "99", "4000"], "yes"],
            [
                [
                    ...["n1:0:0,n3:1000000010:5000:word", "1000000099", "9"],
                    ...["n1:0:0,n2:1000000010:5000:other", "1000000050", "4000"],
                ],
                "no",
            ],
            // One of them is from before there were beats.
            [["n1:0:5000", "99", "9000", "", "", "5000"], "yes"],
            [["n1:0:5000", "99", "9000", "", "", "5001"], "no"],
            [["", "", "9000", "n1:0:0", "12", "4000"], "no"],
            // The engine had a version without beats for a while: they are equal, the times are not.
            [["n1:0:0", "12", "5000", "n1:0:0", "12", "5000"], "yes"],
            [["n1:0:0", "12", "5000", "n1:0:0", "12", "6000"], "no"],
            // A slave that has never had anything.
            [["n1:0:5000", "99", "9000", "-", "-", "-"], "yes"],
        ],
    },
    {
        // openings, beats, heartbeat, the new name, a word
        name: "add_opening",
        cases: [
            [["", "", "", "n1", ""], "n1:0:0"],
            [["-", "7", "5000", "n1", ""], "n1:7:5000"],
            [["n1:0:0", "7", "5000", "n2", ""], "n1:0:0,n2:7:5000"],
            [["n1:0:0", "7", "5000", "n2", "word"], "n1:0:0,n2:1000000007:5000:word"],
        ],
    },
    {
        // its identity, what it has, what the master has, the master
        name: "decide_follow",
        cases: [
            [[a, own("12", "n1:0:0"), "", "m:1"], "wait whose name has no address"],
            [[a, own("12", "n1:0:0"), "x silent Could not", "m:1"], "wait which answers: Could not"],
            [[a, own("12", "n1:0:0"), "x loading - - - - - - -", "m:1"], "wait which is loading its data"],
            [
                [a, "self silent no", `x master ${a} 5 4 1 - 20 n1:0:0`, "m:1"],
                `wait which has the same identity ${a}, but this slave does not report its own data yet`,
            ],
            [
                [a, own("12", "n1:0:0"), `x master ${a} 5 4 1 - 20 n1:0:0,n2:11:5`, "m:1"],
                "follow repl_11111111_n2",
            ],
            [[a, own("-", "-"), `x master ${a} 6000 5000 1 - - -`, "m:1"], "follow repl_11111111"],
            [
                [a, `self slave ${a} - - - - - -`, `x master ${a} 5 4 1 - 20 n1:0:0`, "m:1"],
                "follow repl_11111111_n1",
            ],
        ],
    },
    {
        name: "damage_in",
        cases: [
            [["Cannot open file x"], ""],
            [
                [
                    "AOF analyzed: filename=a.base.rdb, size=88, ok_up_to=88, ok_up_to_line=1, diff=0\n" +
                        "AOF analyzed: filename=a.incr.aof, size=65758, ok_up_to=222, ok_up_to_line=54, diff=65536",
                ],
                "a.incr.aof 222 65758",
            ],
            // The manifest itself: not a file that could be cut.
            [["AOF analyzed: filename=/d/a.manifest, size=8, ok_up_to=0, ok_up_to_line=1, diff=8"], ""],
        ],
    },
    {
        name: "describe_damage",
        cases: [
            [
                ["AOF analyzed: filename=a.aof, size=9, ok_up_to=2, ok_up_to_line=1, diff=7", "log"],
                "a.aof is not valid after byte 2 of 9",
            ],
            [
                ["[offset 48] Unexpected EOF reading RDB file", "log"],
                "[offset 48] Unexpected EOF reading RDB file",
            ],
            [["Cannot open file a.aof: No such file", "log"], "Cannot open file a.aof: No such file"],
            [["", "Bad file\nformat"], "Bad file format"],
        ],
    },
    {
        name: "decide_damage",
        cases: [
            [["* *3"], "torn"],
            [["* *"], "torn"],
            [["* nothing"], "torn"],
            [["* *1 MULTI *3"], "torn"],
            [["* *1 MULTI *3 *3"], "torn"],
            // What follows is complete: the damage is in the middle.
            [["* *3 *3"], "damaged"],
            [["* *1 MULTI *3 EXEC"], "damaged"],
            [["0 nothing"], "damaged"],
            [["x *3"], "damaged"],
            [[""], "damaged"],
        ],
    },
    {
        name: "common_identity",
        cases: [
            [[""], ""],
            [[`x slave ${a} 1 1 1\ny silent no`], a],
            [[`x slave ${a} 1 1 1\ny master ${a} 1 1 1\nz loading ${b} - - -`], a],
            [[`x slave ${a} 1 1 1\ny slave ${b} 1 1 1\nz slave ${b} 1 1 1`], ""],
        ],
    },
    {
        // expected, override, seconds waited, identity next to the lost data, slaves
        name: "decide_donor",
        cases: [
            [["2", "no", "0", "", `x slave ${a} 5 4 10\ny slave ${a} 5 4 11`], `take y ${a}`],
            [["2", "no", "0", "", `x slave ${a} 6 5 10\ny slave ${a} 5 4 11`], `take x ${a}`],
            [["2", "no", "0", "", `x slave ${a} 10 9 1\ny slave ${a} 9 8 1`], `take x ${a}`],
            [["2", "no", "0", a, `x slave ${a} 5 4 11\ny slave ${a} 5 4 10`], `take x ${a}`],
            [["", "no", "0", "", `x slave ${a} 5 4 10`], `take x ${a}`],
            [["1", "no", "0", "", `x slave ${a} 5 4 10\ny silent Could not`], `take x ${a}`],
            // All were restarted: they have no offset, and the same heartbeat.
            [["2", "no", "0", "", `x slave ${a} 5 4 - 90\ny slave ${a} 5 4 - 100`], `take y ${a}`],
            [["2", "no", "0", "", `x slave ${a} 5 4 - 100\ny slave ${a} 5 4 - 90`], `take x ${a}`],
            [["2", "no", "0", "", `x slave ${a} 6 5 - 0\ny slave ${a} 5 4 - 90`], `take x ${a}`],
            [["2", "no", "0", "", `x slave ${a} 5 4 10 0\ny slave ${a} 5 4 - 90`], `take x ${a}`],
            [["2", "no", "0", "", `x slave ${a} 5 4 - 90\ny master ${a} 5 4 - 100`], `take y ${a}`],
            [["2", "no", "0", "", `x slave ${a} 5 4 - 90\ny master ${a} 5 4 - 90`], `take y ${a}`],
            // One that an earlier attempt promoted, among equals and otherwise.
            [["2", "no", "0", "", `x slave ${a} 5 4 10\ny master ${a} 5 4 10`], `take y ${a}`],
            [["2", "no", "0", "", `x master ${a} 5 4 12\ny slave ${a} 5 4 10`], `take x ${a}`],
            [["2", "no", "0", "", `x master ${a} 5 4 12\ny slave ${a} 6 5 10`], `take y ${a}`],
            // One that was started empty.
            [["2", "no", "0", "", `x slave ${a} - - 99\ny slave ${a} 6 5 10`], `take y ${a}`],
            // Beats decide, whatever the clocks said.
            [
                [
                    "2",
                    "no",
                    "0",
                    "",
                    `x slave ${a} 9000 8000 1 - 10 n1:0:0\ny slave ${a} 5000 4000 1 - 11 n1:0:0`,
                ],
                `take y ${a}`,
            ],
            [
                [
                    ...["2", "no", "0", ""],
                    `x slave ${a} 3600000 3599000 1000 - 50 n1:0:0\ny slave ${a} 600000 599000 100000 - 60 n1:0:0,n2:50:3600000`,
                ],
                `take y ${a}`,
            ],
            // Data from before there were beats is older.
            [
                [
                    "2",
                    "no",
                    "0",
                    "",
                    `x slave ${a} 5000 4000 1 - - -\ny slave ${a} 9000 8000 1 - 3 n1:0:5000`,
                ],
                `take y ${a}`,
            ],
            // Each has something that the other lacks, and a word decides.
            [
                [
                    "2",
                    "yes",
                    "0",
                    "",
                    `x slave ${a} 9 8 1 - 90 n1:0:0,n2:80:7\ny slave ${a} 9 8 1 - 99 n1:0:0`,
                ],
                `take y ${a}`,
            ],
            // An override.
            [["2", "yes", "10", "", `x slave ${a} 5 4 10\ny silent no`], `take x ${a}`],
            [["2", "yes", "0", "", `x slave ${a} 5 4 10\ny slave ${b} 6 5 10`], `take y ${b}`],
            [["1", "yes", "0", "", `x slave ${a} - - 1`], `take x ${a}`],
            [["2", "yes", "10", "", ""], "initialise"],
            [["2", "yes", "10", "", "x silent no\ny silent no"], "initialise"],
            [["2", "yes", "20", "", "x silent no\ny silent no", "10"], "initialise"],
        ],
    },
    {
        // heartbeat, identity, expected, override, seconds waited, slaves
        name: "decide_open",
        cases: [
            [["5000", a, "1", "no", "0", `x slave ${a} 5000 4000 1`], "open"],
            [["5000", a, "1", "no", "0", `x slave ${a} 6000 5000 1`], "open"],
            [["", a, "1", "no", "0", `x slave ${a} - - 1`], "open"],
            [["5000", a, "1", "no", "0", `x slave ${b} 9000 8000 1`], "open"],
            [["5000", a, "", "no", "0", ""], "open"],
            [["5000", a, "0", "no", "0", ""], "open"],
            [["5000", a, "1", "no", "0", `x linked ${a} 4000 3000 1\ny silent no`], "open"],
            // The clock was an hour ahead when the slave was last heard; since then, the master has counted on.
            [
                [
                    ...["1700000600000", a, "1", "no", "0"],
                    ...[
                        `x slave ${a} 1700003600000 1700003599000 500 0 40 n1:0:0`,
                        "90",
                        "n1:0:0,n2:40:1700003600000",
                    ],
                ],
                "open",
            ],
            // It closed because a slave had more; all have answered now.
            [["5000", a, "1", "no", "0", `x slave ${a} 5000 4000 1`, "", "", "yes"], "open"],
        ],
    },
];

/** What a slave has that follows no master. */
function own(beats: string, openings: string): string {
    return `self slave ${a} 5000 4000 - - ${beats} ${openings}`;
}

function slave(link: string, sync: string): string {
    return info({ loading: "0", role: "slave", master_link_status: link, master_sync_in_progress: sync });
}

/** A slave's answer to everything that a master asks. */
function answer(fields: {
    loading?: string;
    role?: string;
    link?: string;
    sync?: string;
    offset?: string;
    identity?: string;
    heartbeat?: string;
    synced?: string;
    priority?: string;
    beats?: string;
    openings?: string;
}): string {
    const role = fields.role ?? "slave";
    const state = info({
        loading: fields.loading ?? "0",
        async_loading: "0",
        role,
        ...(role === "slave"
            ? {
                  master_link_status: fields.link ?? "down",
                  master_sync_in_progress: fields.sync ?? "0",
                  slave_repl_offset: fields.offset ?? "0",
                  master_repl_offset: "99",
              }
            : { master_repl_offset: fields.offset ?? "0" }),
    });
    const beat = `heartbeat:${fields.heartbeat ?? "5000"}\nsynced:${fields.synced ?? "4000"}\nbeats:${fields.beats ?? ""}\nopenings:${fields.openings ?? ""}`;
    const priority = fields.priority === undefined ? "" : `replica-priority\n${fields.priority}\n`;
    return `${state}\n${fields.identity ?? a}\n${beat}\n${priority}`;
}

function donor(offset: string): string {
    return answer({ role: "master", offset });
}

/** The status of a master's own server while it copies; by default, it has everything up to offset 9. */
function copied(fields: Record<string, string>): string {
    return info({
        loading: "0",
        role: "slave",
        master_link_status: "up",
        master_sync_in_progress: "0",
        slave_repl_offset: "9",
        aof_enabled: "1",
        aof_rewrite_in_progress: "0",
        aof_rewrite_scheduled: "0",
        aof_last_bgrewrite_status: "ok",
        ...fields,
    });
}

describe("images/redis/decide.sh", () => {
    for (const { name, cases } of tables) {
        for (const [inputs, output] of cases) {
            it(`${name} ${JSON.stringify(inputs)} -> ${output || "nothing"}`, () => {
                strictEqual(decide(name, ...inputs), output);
            });
        }
    }

    const refusing: [name: string, master: string, sentence: RegExp][] = [
        [
            "of another history",
            `x master ${b} 5 4 1 - 20 n1:0:0`,
            new RegExp(`m:1 belongs to another history: its identity is ${b}, this slave's is ${a}`),
        ],
        [
            "that stopped earlier and has counted further since",
            `x master ${a} 9000 8000 1 - 99 n1:0:0,n2:10:5`,
            /m:1 lacks what this slave has up to .*, beat 12: an older copy/,
        ],
        ["that does not know this slave's opening", `x master ${a} 9 8 1 - 99 n0:0:0,n2:10:5`, /older copy/],
        ["from before there were beats", `x master ${a} 9000 8000 1 - - -`, /older copy/],
    ];
    for (const [name, master, sentence] of refusing) {
        it(`a slave refuses a master ${name}`, () => {
            const answer = decide("decide_follow", a, own("12", "n1:0:0"), master, "m:1");
            match(answer, /^refuse [^\n]+$/);
            match(answer, sentence);
        });
    }

    it("keeps the first opening and the last ones", () => {
        const entries = Array.from({ length: 201 }, (_, n) => `n${n}:${n}:0`);
        const kept = decide("add_opening", entries.join(","), "300", "9", "new", "").split(",");
        deepStrictEqual([kept.length, kept[0], kept[1], kept.at(-1)], [201, "n0:0:0", "n2:2:0", "new:300:9"]);
    });

    const waiting: [name: string, inputs: string[], sentence: RegExp][] = [
        [
            "there is no slave",
            ["2", "no", "99", "", ""],
            /0 of 2 slaves .*: no slave pod has an address\. .*`bootstrap`/,
        ],
        ["the system has no slaves", ["0", "no", "99", "", ""], /0 of 1 slaves/],
        [
            "the number of slaves is unknown",
            ["", "no", "99", "", "x silent no"],
            /0 of 1 slaves .*: x does not report its data \(no\)/,
        ],
        [
            "one is missing",
            ["2", "no", "99", "", `x slave ${a} 5 4 1\ny silent no`],
            /1 of 2 .*x has .*; y does/,
        ],
        [
            "one may still start despite an override",
            ["2", "yes", "9", "", `x slave ${a} 5 4 1`],
            /1 of 2 slaves/,
        ],
        ["any may still start despite an override", ["2", "yes", "9", "", ""], /0 of 2 slaves/],
        [
            "one is loading",
            ["1", "no", "0", "", `x slave ${a} 5 4 1\ny loading - - - -`],
            /slave y is still loading/,
        ],
        [
            "one is loading, override or not",
            ["1", "yes", "99", "", "y loading - - - -"],
            /slave y is still loading/,
        ],
        [
            "one has a master",
            ["1", "no", "0", "", `x linked ${a} 5 4 1`],
            /x still has a link to a master .* 10 s/,
        ],
        [
            "two histories",
            ["2", "no", "0", "", `x slave ${a} 5 4 1\ny slave ${b} 5 4 1`],
            /two histories: x has/,
        ],
        [
            "another history than this one",
            ["1", "no", "0", b, `x slave ${a} 5 4 1`],
            new RegExp(`identity says ${b}; x has`),
        ],
        [
            "each slave has something that the other lacks",
            ["2", "no", "0", "", `x slave ${a} 9 8 1 - 90 n1:0:0,n2:80:7\ny slave ${a} 9 8 1 - 99 n1:0:0`],
            /each slave has something that another lacks, y and x: x has .*beat 90/,
        ],
        [
            "a slave that is silent now has answered before",
            ["2", "yes", "20", "", "x silent no\ny silent no", "9"],
            /^wait 0 of 2 slaves report/,
        ],
        [
            "no slave has data",
            ["1", "no", "0", "", `x slave ${a} - - 1`],
            /no slave has data from a master: x has/,
        ],
    ];
    for (const [name, inputs, sentence] of waiting) {
        it(`a master without data waits: ${name}`, () => {
            const answer = decide("decide_donor", ...inputs);
            match(answer, /^wait [^\n]+$/);
            match(answer, sentence);
        });
    }

    const newer = `x slave ${a} 7000 6000 1`;
    const opening: [name: string, inputs: string[], sentence: RegExp][] = [
        [
            "waits: a slave has more",
            ["5000", a, "1", "no", "99", newer],
            /^close .*00:00:05\.000 UTC, .* x .*:07\.000 UTC/,
        ],
        [
            "waits: its data has no heartbeat",
            ["", a, "1", "no", "0", newer],
            /^close this data is from an unknown time/,
        ],
        [
            "waits: one of two has more",
            ["5000", a, "", "no", "0", `y slave ${a} 5000 1 1\n${newer}`],
            /^close .* x has/,
        ],
        [
            "opens by override",
            ["5000", a, "1", "yes", "0", newer],
            /^open although the slave x has .*new word/,
        ],
        [
            "waits for a missing slave",
            ["5000", a, "1", "no", "3", "x silent no"],
            /^wait 0 of 1 .* in 7 s: x does not/,
        ],
        [
            "waits for a loading slave",
            ["5000", a, "1", "no", "3", "x loading - - - -"],
            /^wait 0 of 1 .* x is loading/,
        ],
        [
            "goes on waiting for a loading slave",
            ["5000", a, "1", "no", "599", "x loading - - - -"],
            /^wait 0 of 1 .* in 1 s: x is loading/,
        ],
        [
            "does not wait for ever for a loading slave",
            ["5000", a, "1", "no", "600", "x loading - - - -"],
            /^open although only 0 of 1/,
        ],
        [
            "waits longer for a slave that is starting",
            ["5000", a, "1", "no", "59", "x silent Could not connect to Redis at x:6379: Connection refused"],
            /^wait 0 of 1 .* in 1 s/,
        ],
        [
            "waits: a slave was opened behind another copy",
            ["5000", a, "1", "no", "0", `x slave ${a} 4000 3000 1 - 12 n1:0:0,n2:9:1`, "10", "n1:0:0"],
            /^close this data is from .*, beat 10, but the slave x has .*, beat 12 that this data lacks/,
        ],
        [
            "stays closed as long as a slave is missing",
            ["5000", a, "1", "no", "9999", "x silent no", "9", "n1:0:0", "yes"],
            /^wait 0 of 1 slaves .*had data that this data lacks.*`bootstrap`/,
        ],
        [
            "opens by a word although it closed",
            ["5000", a, "1", "yes", "10", "x silent no", "9", "n1:0:0", "yes"],
            /^open although only 0 of 1/,
        ],
        [
            "opens without them after some time",
            ["5000", a, "1", "no", "10", ""],
            /^open although only 0 of 1 slaves/,
        ],
    ];
    for (const [name, inputs, sentence] of opening) {
        it(`a master with data ${name}`, () => {
            match(decide("decide_open", ...inputs), sentence);
        });
    }

    it("describes replication for people", () => {
        const master =
            info({ role: "master", connected_slaves: "1" }) +
            "\r\nslave0:ip=x,port=1,state=online,offset=1,lag=0,type=replica";
        strictEqual(
            decide("describe_master_replication", master),
            "asynchronous, slaves: 1 (x online 0 s ago)",
        );
        strictEqual(
            decide("describe_master_replication", info({ role: "master", connected_slaves: "0" })),
            "asynchronous, slaves: 0",
        );
        match(decide("describe_master_replication", info({ role: "slave" })), /following another server/);
        const of = (link: string, sync: string): string =>
            slave(link, sync) +
            info({
                master_host: "m",
                master_port: "1",
                master_last_io_seconds_ago: "2",
                master_link_down_since_seconds: "3",
            });
        strictEqual(
            decide("describe_slave_replication", of("up", "0"), "m:1"),
            "link to m:1 up, last heard 2 s ago",
        );
        strictEqual(decide("describe_slave_replication", of("down", "0"), "m:1"), "link to m:1 down for 3 s");
        strictEqual(
            decide("describe_slave_replication", of("down", "1"), "m:1"),
            "taking a full copy from m:1",
        );
        match(decide("describe_slave_replication", info({ role: "master" }), "m:1"), /^promoted: /);
        const full = "OOM allow-oom flag is not set on the script,\ncan not run it";
        strictEqual(
            decide("describe_refusal", full),
            "; refuses writes: OOM allow-oom flag is not set on the script, can not run it",
        );
        for (const told of ["1", "BUSY Redis is busy", "LOADING Redis is loading", ""]) {
            strictEqual(decide("describe_refusal", told), "");
        }
        for (const role of ["master", "slave"]) {
            strictEqual(
                decide(`describe_${role}_replication`, "no", "m:1"),
                "redis-server reports no status",
            );
        }
    });
});
