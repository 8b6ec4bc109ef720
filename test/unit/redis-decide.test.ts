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
            [["partial", ""], "wait-partial"],
            [["partial", a], "wait-partial"],
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
            [[a, "m:1", a, ""], ""],
            [[a, "m:1", "Could not connect", ""], ""],
            [[a, "m:1", "", ""], ""],
            [[a, "m:1", a, "old"], `old: no link yet to the master m:1, which has the same identity ${a}`],
            [[a, "m:1", "Not\nhere", "old"], "old: no link to the master m:1, which answers: Not here"],
            [[a, "m:1", "", "old"], "old: no link to the master m:1, which answers: nothing"],
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
        ],
    },
    {
        name: "slave_line",
        cases: [
            [["s", answer({ offset: "7" })], `s slave ${a} 5000 4000 7 -`],
            [["s", answer({ offset: "7", link: "up" })], `s linked ${a} 5000 4000 7 -`],
            [["s", answer({ offset: "7", role: "master" })], `s master ${a} 5000 4000 7 -`],
            [["s", answer({ offset: "1" })], `s slave ${a} 5000 4000 - -`],
            [["s", answer({ priority: "2147483647" })], `s slave ${a} 5000 4000 0 0`],
            [["s", answer({ priority: "2147483000" })], `s slave ${a} 5000 4000 0 647`],
            [["s", answer({ priority: "100" })], `s slave ${a} 5000 4000 0 -`],
            [["s", answer({ heartbeat: "", synced: "" })], `s slave ${a} - - 0 -`],
            [["s", answer({ loading: "1" })], `s loading ${a} - - - -`],
            [["s", answer({ sync: "1" })], `s loading ${a} - - - -`],
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
            [["5000", a, `x master ${a} 5001 5000 1`], "no"],
            [["5000", a, `x master ${b} 4000 3000 1`], "no"],
            [["5000", a, `x slave ${a} 4000 3000 1`], "no"],
            [["5000", a, `x linked ${a} 4000 3000 1`], "no"],
            [["5000", a, "x silent Could not connect"], "no"],
            [["5000", a, ""], "no"],
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
            // An override.
            [["2", "yes", "10", "", `x slave ${a} 5 4 10\ny silent no`], `take x ${a}`],
            [["2", "yes", "0", "", `x slave ${a} 5 4 10\ny slave ${b} 6 5 10`], `take y ${b}`],
            [["1", "yes", "0", "", `x slave ${a} - - 1`], `take x ${a}`],
            [["2", "yes", "10", "", ""], "initialise"],
            [["2", "yes", "10", "", "x silent no\ny silent no"], "initialise"],
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
        ],
    },
];

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
    const beat = `heartbeat:${fields.heartbeat ?? "5000"}\nsynced:${fields.synced ?? "4000"}`;
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

    it("explains a broken link with the master's answer", () => {
        const other = new RegExp(`another history: its identity is ${b}, this slave's is ${a}`);
        for (const old of ["", "old"]) {
            match(decide("unready_alone", a, "m:6379", b, old), other);
        }
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
            /^wait .*00:00:05\.000 UTC, .* x .*:06\.000 UTC/,
        ],
        [
            "waits: its data has no heartbeat",
            ["", a, "1", "no", "0", newer],
            /^wait this data is from an unknown time/,
        ],
        [
            "waits: one of two has more",
            ["5000", a, "", "no", "0", `y slave ${a} 5000 1 1\n${newer}`],
            /^wait .* x has/,
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
            decide("describe_slave_replication", of("up", "0")),
            "link to m:1 up, last heard 2 s ago",
        );
        strictEqual(decide("describe_slave_replication", of("down", "0")), "link to m:1 down for 3 s");
        strictEqual(decide("describe_slave_replication", of("down", "1")), "taking a full copy from m:1");
        match(decide("describe_slave_replication", info({ role: "master" })), /^promoted: /);
        for (const role of ["master", "slave"]) {
            strictEqual(decide(`describe_${role}_replication`, "no"), "redis-server reports no status");
        }
    });
});
