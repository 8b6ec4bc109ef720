import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { resolve } from "node:path";

const functions = resolve(__dirname, "../../images/mysql/decide.sh");

/** Calls one of the shell functions; prints are joined, whichever stream they took. */
function call(name: string, ...args: string[]): { code: number; printed: string } {
    const script = `set -euo pipefail; source "$1"; shift; "$@"`;
    const result = spawnSync("bash", ["-c", script, "bash", functions, name, ...args], { encoding: "utf8" });
    return { code: result.status ?? 128, printed: (result.stdout + result.stderr).trim() };
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
            ["master", "no", "yes", "", "", /^wait .*was in use before/],
            ["master", "no", "yes", A, "", /^wait .*was in use before/],
            ["master", "no", "no", A, "", new RegExp(`^wait .*identity ${A}`)],
            ["slave", "no", "no", "", "", /^wait .*a slave makes none/],
            ["slave", "no", "no", A, "", /^wait .*a slave makes none/],
            ["slave", "no", "yes", "", "", /^wait .*a slave makes none/],
            // Data: whether the system was ready once is of no account.
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
        it("never initialises but in the one case: an empty master volume of a system that was never ready", () => {
            const initialised = cases.filter(([, , , , , decision]) => decision.test("initialise"));
            assert.deepEqual(
                initialised.map((row) => row.slice(0, 5)),
                [["master", "no", "no", "", ""]],
            );
        });
    });

    describe("decide_replicating: readiness of a slave", () => {
        const cases: [receiver: string, applier: string, error: string, why: string][] = [
            ["ON", "ON", "", ""],
            ["ON", "ON", "an error of yesterday", ""],
            ["", "", "", "replication is not set up"],
            ["ON", "", "", "replication is not set up"],
            ["CONNECTING", "ON", "", "the receiver of replication is CONNECTING"],
            ["CONNECTING", "ON", "Access denied", "the receiver of replication is CONNECTING: Access denied"],
            ["OFF", "ON", "", "the receiver of replication is OFF"],
            ["OFF", "OFF", "", "the receiver of replication is OFF"],
            ["ON", "OFF", "", "the applier of replication is OFF"],
            ["ON", "OFF", "Duplicate entry", "the applier of replication is OFF: Duplicate entry"],
        ];
        for (const [receiver, applier, error, why] of cases) {
            it(`receiver "${receiver}", applier "${applier}", error "${error}": ${why || "ready"}`, () => {
                const expected = { code: why === "" ? 0 : 1, printed: why };
                assert.deepEqual(call("decide_replicating", receiver, applier, error), expected);
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
        const names = execFileSync("bash", ["-c", `source "$1"; declare -F`, "bash", functions], {
            encoding: "utf8",
        });
        const script = names
            .replace(/declare -f/g, "")
            .trim()
            .split(/\s+/);
        assert.deepEqual(script.sort(), [
            "decide_alive",
            "decide_data",
            "decide_replicating",
            "decide_server_id",
        ]);
    });
});
