import { deepStrictEqual, match, strictEqual } from "node:assert";
import { join } from "node:path";
import { command } from "../support/docker";

const file = join(__dirname, "../../images/redis/decide.sh");
const a = "11111111-1111-4111-8111-111111111111";
const b = "22222222-2222-4222-8222-222222222222";

/** Calls one function of decide.sh. */
async function decide(name: string, ...inputs: string[]): Promise<string> {
    const result = await command("bash", ["-euo", "pipefail", "-c", '. "$0"; "$@"', file, name, ...inputs]);
    deepStrictEqual({ code: result.code, stderr: result.stderr }, { code: 0, stderr: "" });
    return result.stdout.trimEnd();
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
            [["none", "yes"], "wait-lost"],
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
            [[""], "redis-server gives no status, its answer is: nothing"],
            [["WRONGPASS invalid"], "redis-server gives no status, its answer is: WRONGPASS invalid"],
        ],
    },
    {
        name: "unready_slave",
        cases: [
            [[slave("up", "0")], ""],
            [[slave("down", "0")], "link-down"],
            [[slave("down", "1")], "taking a full copy from the master"],
            [[slave("up", "1")], "taking a full copy from the master"],
            [[info({ loading: "1", role: "slave", master_link_status: "down" })], "loading its data"],
            [[info({ loading: "0", role: "master" })], "following nobody: role is master"],
            [[""], "redis-server gives no status, its answer is: nothing"],
        ],
    },
];

function slave(link: string, sync: string): string {
    return info({ loading: "0", role: "slave", master_link_status: link, master_sync_in_progress: sync });
}

describe("images/redis/decide.sh", () => {
    for (const { name, cases } of tables) {
        for (const [inputs, output] of cases) {
            it(`${name} ${JSON.stringify(inputs)} -> ${output || "nothing"}`, async () => {
                strictEqual(await decide(name, ...inputs), output);
            });
        }
    }

    it("explains a link that is down by what the master answers", async () => {
        const explain = (answer: string): Promise<string> => decide("explain_link_down", a, "m:6379", answer);
        match(await explain(b), new RegExp(`another history: its identity is ${b}, this slave's is ${a}`));
        match(await explain(a), /no link to the master m:6379 yet, which has the same identity/);
        match(await explain("Could not connect"), /no link to the master m:6379, which answers: Could not/);
        match(await explain(""), /which answers: nothing/);
    });
});
