import assert from "assert";
import * as path from "path";

import { readJson } from "../../local/machine/files";
import { openDoors } from "../faults/doors";
import { runRow } from "../faults/matrix";
import { Matrix, verdict } from "../faults/report";
import { promisedIn, ROWS } from "../faults/rows";
import { spending } from "../support/spent";
import { System } from "../support/system";

const recorded = readJson<Matrix>(path.resolve(__dirname, "../../docs/failure-matrix.json"));
const MODE = "wait";
/** NodePorts that the local cluster publishes. */
const NODE_PORTS = [32004, 32005, 32006, 32007];

/**
 * A selection of `make faults` on an existing cluster: does the page still say what happens? Call this after a stack is
 * deployed whose stack file sets mode `wait`.
 */
export function describeFaultRows(system: System): void {
    describe("a selection of the failure matrix", () => {
        for (const row of ROWS.filter(({ quick }) => quick)) {
            it(`${row.name}: agrees with docs/failure-matrix.json`, async () => {
                const known = recorded?.rows.find(
                    ({ row: name, mode }) => name === row.name && mode === MODE,
                );
                assert.ok(
                    known,
                    `docs/failure-matrix.json has no row "${row.name}"; \`make faults\` writes it`,
                );
                const stage = { system, program: undefined };
                const doors = await openDoors(system, NODE_PORTS);
                const run = await spending("load", () => runRow(row, MODE, stage, doors));
                const promised = promisedIn(row, MODE);
                // Figures that are only measured may differ from run to run.
                const certain = ({ survived, lost }: ReturnType<typeof verdict>) => ({
                    survived,
                    lost: lost.filter((name) => promised[name] === "kept"),
                });
                const [now, then] = [certain(verdict({ runs: [run] })), certain(verdict(known))];
                assert.deepStrictEqual(now, then, run.broken.join("; "));
            });
        }
    });
}
