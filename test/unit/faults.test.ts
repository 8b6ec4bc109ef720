import assert from "assert";
import { readFileSync } from "fs";

import { kindConfig } from "../../local/cluster/kind-config";
import { Checked } from "../faults/check";
import { LANES_AT_MOST } from "../faults/cluster";
import { Ledger, secondsWithout } from "../faults/ledger";
import { broken, Run } from "../faults/matrix";
import { Pod, restartsOfOthers } from "../faults/pods";
import { Program } from "../faults/program";
import { joined, Matrix, merged, page, RowResult, verdict } from "../faults/report";
import { promisedIn, ROWS } from "../faults/rows";
import { upTo } from "../faults/writes";
import { clockDockerfile } from "../support/stepped-clock";

describe("faults: a ledger", () => {
    it("counts writes as lost only if they were acknowledged and are missing", () => {
        const ledger = new Ledger();
        const numbers = Array.from({ length: 7 }, () => ledger.send());
        const [there, too, lost, arrived] = numbers as [number, number, number, number];
        [there, too, lost].forEach((number) => ledger.acknowledge(number));
        const never = numbers.at(-1)! + 1;
        assert.deepStrictEqual(ledger.tally(new Set([there, too, arrived, never])), {
            acknowledged: 3,
            lost: 1,
            arrived: 1,
            inDoubt: 4,
            foreign: 1,
        });
        assert.deepStrictEqual(ledger.acknowledged, [there, too, lost]);
    });

    it("counts writes as in flight if they were sent and not yet answered", () => {
        const ledger = new Ledger();
        ledger.send();
        const answered = ledger.send();
        assert.strictEqual(ledger.inFlight(Date.now()), 2);
        ledger.acknowledge(answered);
        assert.strictEqual(ledger.inFlight(Date.now() + 1000), 1);
    });
});

describe("faults: seconds without an answer", () => {
    const steady = (from: number, to: number): number[] =>
        Array.from({ length: (to - from) / 100 + 1 }, (_, i) => from + i * 100);
    const cases: [string, number[], number | undefined][] = [
        ["no one noticed it", steady(0, 20_000), 0],
        ["a silence that begins with the fault", [...steady(0, 5000), ...steady(12_000, 20_000)], 7],
        ["a silence that begins later", [...steady(0, 9000), ...steady(15_500, 20_000)], 6.5],
        ["the longest of two", [...steady(0, 5000), ...steady(7000, 8000), ...steady(14_000, 20_000)], 6],
        ["a short pause is not a silence", [...steady(0, 9000), ...steady(9800, 20_000)], 0],
        ["a silence before the fault does not count", [...steady(0, 1000), ...steady(4900, 20_000)], 0],
        ["it never came back", steady(0, 5000), undefined],
        ["nothing ever answered", [], undefined],
    ];
    for (const [what, times, expected] of cases) {
        it(`${expected ?? "never"}: ${what}`, () =>
            assert.strictEqual(secondsWithout(times.reverse(), 5000, 20_000), expected));
    }
});

describe("faults: pods that were not targets", () => {
    const pod = (name: string, uid: string, restarts = 0): Pod => ({
        name,
        uid,
        workload: name,
        ready: true,
        leaving: false,
        ended: false,
        containers: [{ name: "c", running: true, restarts }],
    });

    it("count as restarted if their containers restarted, or if another pod or no pod has their name", () => {
        const job = { ...pod("job", "1"), ended: true };
        const before = [pod("a", "1"), pod("b", "1"), pod("c", "1"), pod("d", "1"), pod("target", "1"), job];
        const after = [pod("a", "1"), pod("b", "1", 2), pod("c", "2"), pod("target", "2")];
        assert.deepStrictEqual(restartsOfOthers(before, after, new Set(["target"])), [
            "b restarted 2 times",
            "c replaced",
            "d replaced",
        ]);
    });
});

describe("faults: the rows", () => {
    it("have unique names", () => {
        assert.strictEqual(new Set(ROWS.map(({ name }) => name)).size, ROWS.length);
    });

    it("promise that kill -9, stop and deletion of any pod lose nothing", () => {
        const simple = ROWS.filter(({ name }) => /(kill -9|SIGSTOP.*|deleted|started|paused.*)$/.test(name));
        assert.ok(simple.length >= 28, String(simple.length));
        for (const row of simple) {
            for (const mode of row.modes) {
                const promised = Object.values(promisedIn(row, mode));
                assert.deepStrictEqual([...new Set(promised)], ["kept"], row.name);
            }
        }
    });

    it("promise MySQL's writes in `wait` even if the master loses its volume, and measure them in `degrade`", () => {
        const row = ROWS.find(({ name }) => name === "mysql-master-0: deleted with its PVC")!;
        assert.strictEqual(promisedIn(row, "wait").mysql, "kept");
        assert.strictEqual(promisedIn(row, "degrade").mysql, "measured");
    });

    it("promise the writes that a redis-slave confirmed if the master's volume is deleted in order", () => {
        const row = ROWS.find(({ name }) => name === "redis-master-0: deleted with its PVC")!;
        assert.deepStrictEqual(row.promised, { redisSet: "measured", redisWait: "kept", mysql: "kept" });
    });

    it("run in `wait`, and those of Redis and dabacluster in nothing else, as the page says", () => {
        const others = ROWS.filter(({ name }) => /redis|dabacluster/.test(name));
        assert.ok(others.length > 0);
        others.forEach(({ name, modes }) => assert.deepStrictEqual(modes, ["wait"], name));
        assert.ok(ROWS.every(({ modes }) => modes.includes("wait")));
    });

    it("are all in docs/failure-matrix.md, in each of their modes", () => {
        const { rows } = JSON.parse(readFileSync("docs/failure-matrix.json", "utf8")) as Matrix;
        const named = (row: string, mode: string) => `${row}, ${mode}`;
        assert.deepStrictEqual(
            rows.map(({ row, mode }) => named(row, mode)).sort(),
            ROWS.flatMap(({ name, modes }) => modes.map((mode) => named(name, mode))).sort(),
        );
    });

    it("include a control that must lose writes", () => {
        assert.ok(ROWS.some(({ promised }) => Object.values(promised).includes("loss")));
    });
});

const checked = (change: Partial<Checked> = {}): Checked => ({
    acknowledged: 600,
    lost: 0,
    arrived: 1,
    inDoubt: 2,
    foreign: 0,
    lostOnSlaves: 0,
    ...change,
});

const run = (change: Partial<Run> = {}): Omit<Run, "broken"> => ({
    row: "r",
    mode: "wait",
    run: 1,
    ledgers: { redisSet: checked(), redisWait: checked(), mysql: checked() },
    inFlight: { redisSet: 1, redisWait: 0, mysql: 2 },
    write: { redisSet: 2, redisWait: 2.5, mysql: 0 },
    read: { redis: 0, mysql: 0, page: 1.5 },
    others: [],
    ...change,
});

describe("faults: a run breaks its promise", () => {
    const kept = { redisSet: "kept", redisWait: "kept", mysql: "kept" } as const;
    const ledgers = run().ledgers!;
    const cases: [string, Omit<Run, "broken">, RegExp][] = [
        [
            "by a lost write",
            run({ ledgers: { ...ledgers, mysql: checked({ lost: 3 }) } }),
            /^3 of 600 writes of mysql/,
        ],
        [
            "by a write that a slave lacks",
            run({ ledgers: { ...ledgers, redisSet: checked({ lostOnSlaves: 1 }) } }),
            /^1 of 600 writes of redisSet/,
        ],
        [
            "by a write that was never sent",
            run({ ledgers: { ...ledgers, mysql: checked({ foreign: 2 }) } }),
            /never sent/,
        ],
        [
            "by too few writes to say anything",
            run({ ledgers: { ...ledgers, mysql: checked({ acknowledged: 499 }) } }),
            /^only 499/,
        ],
        ["by what the fault itself saw", run({ wrong: ["root was refused"] }), /^root was refused$/],
        ["by unequal pods", run({ difference: "checksums" }), /^the pods are not equal: checksums/],
        ["by a restart elsewhere", run({ others: ["b replaced"] }), /^b replaced, though it was no target/],
        [
            "by not healing",
            run({ ledgers: undefined, failure: "not within 300 s" }),
            /^it did not heal: not within/,
        ],
    ];
    it("not, if everything is there", () => assert.deepStrictEqual(broken(run(), kept), []));
    for (const [how, result, message] of cases) {
        it(how, () => {
            const sentences = broken(result, kept);
            assert.strictEqual(sentences.length, 1);
            assert.match(sentences[0]!, message);
        });
    }

    it("by what the fault saw before it broke off, too", () => {
        const result = run({ ledgers: undefined, failure: "x", wrong: ["root was refused"] });
        assert.deepStrictEqual(broken(result, kept), ["it did not heal: x", "root was refused"]);
    });

    it("not by a loss that is only measured", () => {
        const lossy = run({ ledgers: { ...ledgers, mysql: checked({ lost: 3 }) } });
        assert.deepStrictEqual(broken(lossy, { ...kept, mysql: "measured" }), []);
    });

    it("by losing nothing while a guard is switched off", () => {
        assert.deepStrictEqual(broken(run(), { ...kept, mysql: "loss" }), [
            "nothing of mysql is lost, and it should be",
        ]);
    });
});

describe("faults: the page", () => {
    const row = (change: Partial<RowResult> = {}): RowResult => ({
        row: "mysql-master-0: kill -9",
        mode: "wait",
        of: "mysql",
        commits: ["abc1234"],
        promised: { redisSet: "measured", redisWait: "kept", mysql: "kept" },
        runs: [{ ...run({ write: { redisSet: 0, redisWait: 0, mysql: 3 } }), broken: [] }],
        ...change,
    });
    const matrix = (...rows: RowResult[]): Matrix => ({
        versions: { MySQL: "9.7.4" },
        bare: { redis: 0.1, mysql: 1.5 },
        rows,
    });

    it("names the commit and the versions, and has a line per row", () => {
        const text = page(matrix(row()));
        assert.match(text, /at commit abc1234.*MySQL 9\.7\.4\./);
        assert.match(
            text,
            /^\| mysql-master-0: kill -9 \| wait \| 1 \| 0 of 600 \(measured\) \| 0 of 600 \| 0 of 600 \| 0\.0 \/ 3\.0 \| 0\.0 \/ 0\.0 \/ 1\.5 \| 2\.0 \| 0 \| yes \| yes \| abc1234 \|$/m,
        );
        assert.match(text, /^1 of 1 rows hold/m);
    });

    describe("the ratio of a row", () => {
        const after = (mysql: number | null, bare?: number): Run => ({
            ...run({ write: { redisSet: 0, redisWait: 0, mysql } }),
            broken: [],
            ...(bare === undefined ? {} : { bare: { redis: 0.1, mysql: bare } }),
        });
        const cases: [string, Run[], string][] = [
            ["is relative to the run's own bare restart", [after(3, 2)], "1.5"],
            ["is relative to the page's for a run without one", [after(3)], "2.0"],
            ["is that of the worst run, not of the slowest", [after(3, 0.5), after(4, 2), after(3)], "6.0"],
            ["is empty if nothing was interrupted", [after(0, 2)], "-"],
            ["is empty if writes never resumed", [after(null, 2), after(3, 2)], "-"],
        ];
        for (const [what, runs, ratio] of cases) {
            it(what, () => {
                const cells = page(matrix(row({ runs })))
                    .match(/^\| mysql.*$/m)![0]
                    .split(" | ");
                assert.strictEqual(cells[8], ratio);
            });
        }

        it("takes the worse of Redis's two ledgers", () => {
            const write = { redisSet: 2, redisWait: 2.5, mysql: 0 };
            const runs = [{ ...run({ write, bare: { redis: 0.5, mysql: 1 } }), broken: [] }];
            assert.match(page(matrix(row({ of: "both", runs }))), / \| 5\.0 \/ - \| /);
        });

        it("is called inexact if a run lacks its own bare restart", () => {
            const text = page(matrix(row({ runs: [after(3, 2), after(3)] })));
            assert.match(
                text,
                /^ {2}1 of 2 runs were recorded without one: [^]*Redis 0\.10 s, MySQL\s+1\.50 s/m,
            );
            assert.doesNotMatch(page(matrix(row({ runs: [after(3, 2)] }))), /recorded without/);
        });
    });

    it("names the commits of each row's runs", () => {
        const rows = [["a"], ["b", "c with changes"]].map((commits) => row({ commits }));
        const cells = [...page(matrix(...rows)).matchAll(/^\| mysql.* \| (.*) \|$/gm)].map(([, at]) => at);
        assert.deepStrictEqual(cells, ["a", "b, c with changes"]);
    });

    it("says how many runs hit writes in flight", () => {
        const idle = run({ inFlight: { redisSet: 0, redisWait: 0, mysql: 0 } });
        const busy = run({ inFlight: { redisSet: 2, redisWait: 1, mysql: 4 } });
        const runs = [idle, busy, busy].map((each) => ({ ...each, broken: [] }));
        assert.match(page(matrix(row({ runs }))), /^In 2 of 3 runs, writes were in flight .* \(0 to 7\)\.$/m);
    });

    it("does not hide what the system did not survive", () => {
        const failed = { ...run({ ledgers: undefined, failure: "x" }), broken: ["it did not heal: x"] };
        const text = page(matrix(row({ runs: [...row().runs, failed] })));
        assert.match(text, /\| \*\*no\*\* \| abc1234 \|$/m);
        assert.match(
            text,
            /## What does not hold[^]*- mysql-master-0: kill -9 \(wait\), run 2: it did not heal: x\./,
        );
        assert.match(text, /^0 of 1 rows hold/m);
    });

    it("says what the faults measured", () => {
        const measured = { ...run({ notes: ["named after 9 s"] }), broken: [] };
        assert.match(
            page(matrix(row({ runs: [...row().runs, measured] }))),
            /## What the faults measured\n\n- mysql-master-0: kill -9 \(wait\), run 2: named after 9 s\.\n/,
        );
        assert.doesNotMatch(page(matrix(row())), /What the faults measured/);
    });

    it("keeps the rows of an earlier run that this one did not repeat, in the order of the table", () => {
        const [a, b, c, gone] = ["a", "b", "c", "gone"].map((name) =>
            row({ row: name, commits: ["earlier"] }),
        );
        const later = row({ row: "b", commits: ["later"] });
        const order = ["c", "b", "a"].flatMap((name) =>
            (["wait", "degrade"] as const).map((mode) => ({ row: name, mode })),
        );
        const whole = merged(matrix(a!, b!, c!, gone!), matrix(later), order);
        assert.deepStrictEqual(whole.rows, [c, later, a]);
        assert.match(page(whole), /at commit earlier, later,/);
    });

    it("does not change the ratios of rows that it did not run", () => {
        const order = ["a", "b"].map((name) => ({ row: name, mode: "wait" as const }));
        const earlier = matrix(row({ row: "a" }));
        const later = { ...matrix(row({ row: "b" })), bare: { redis: 9, mysql: 9 } };
        const [line] = page(earlier).match(/^\| a .*$/m)!;
        assert.ok(page(merged(earlier, later, order)).includes(line));
        assert.deepStrictEqual(merged(undefined, later, order).bare, later.bare);
    });

    it("adds the runs of a later run to those that a row already has", () => {
        const [earlier, later] = [row({ commits: ["earlier"] }), row({ commits: ["later"] })];
        assert.deepStrictEqual(joined(undefined, later), later);
        const both = joined(earlier, later);
        assert.deepStrictEqual(both.commits, ["earlier", "later"]);
        assert.strictEqual(both.runs.length, 2);
        assert.match(page(matrix(both)), /at commit earlier, later,[^]*kill -9 \| wait \| 2 \|/);
    });

    it("returns a verdict that a later run can be compared with", () => {
        assert.deepStrictEqual(verdict(row()), { survived: true, lost: [] });
        const ledgers = { ...run().ledgers!, redisSet: checked({ lost: 2 }) };
        const lossy = row({ runs: [{ ...run({ ledgers }), broken: [] }] });
        assert.deepStrictEqual(verdict(lossy), { survived: true, lost: ["redisSet"] });
    });
});

describe("faults: the largest transaction that a server accepts", () => {
    const upToLimit = async (limit: number, most: number) => {
        const tried: number[] = [];
        const found = await upTo(most, (size) => {
            tried.push(size);
            return Promise.resolve(size <= limit ? undefined : `${size} is too large`);
        });
        return { ...found, tried };
    };

    it("is what may be tried at most, if nothing is refused", async () => {
        assert.deepStrictEqual(await upToLimit(Infinity, 5), { accepted: 5, tried: [1, 2, 4, 5] });
    });

    it("is found to an eighth, with the reason for which more is refused", async () => {
        const { accepted, why, tried } = await upToLimit(100, 512);
        assert.ok(accepted <= 100 && accepted > 100 - 100 / 8, String(accepted));
        assert.match(why ?? "", /is too large/);
        assert.deepStrictEqual(tried.slice(0, 8), [1, 2, 4, 8, 16, 32, 64, 128]);
    });

    it("is zero if a server refuses the smallest", async () => {
        const { accepted, why } = await upToLimit(0, 512);
        assert.deepStrictEqual([accepted, why], [0, "1 is too large"]);
    });
});

describe("faults: an image whose clock can be stepped", () => {
    for (const workload of ["redis-master", "redis-slave", "mysql-master", "mysql-slave"]) {
        it(`is ${workload}'s own, with its base as the last stage`, () => {
            const [own, app] = [workload, "dabaweb"].map((name) =>
                readFileSync(`images/${name}/Dockerfile`, "utf8"),
            );
            const lines = clockDockerfile(own!, app!, workload).split("\n");
            const stages = lines.filter((line) => line.startsWith("FROM "));
            const base = workload.startsWith("redis") ? "REDIS_IMAGE" : "MYSQL_IMAGE";
            assert.deepStrictEqual(stages, ["FROM ${PYTHON_BUILD_IMAGE} AS clock", `FROM \${${base}}`]);
            // An argument that a later stage is FROM must be declared above the first one.
            const declared = lines.slice(0, lines.indexOf(stages[0]!)).join("\n");
            assert.match(declared, new RegExp(`^ARG ${base}=`, "m"));
            assert.match(declared, /^ARG PYTHON_BUILD_IMAGE=/m);
        });
    }
});

describe("faults: lanes", () => {
    const lanes = Array.from({ length: LANES_AT_MOST }, (_, i) => new Program(i + 1));

    it("are copies of one stack, each with its own namespace, folder and ports", () => {
        const own = (value: (lane: Program) => string) => new Set(lanes.map(value)).size;
        assert.strictEqual(lanes[0]!.stack, "faults");
        assert.strictEqual(
            own(({ stack }) => stack),
            LANES_AT_MOST,
        );
        assert.strictEqual(
            own(({ system }) => system.namespace),
            LANES_AT_MOST,
        );
        assert.strictEqual(
            own(({ folder }) => folder),
            LANES_AT_MOST,
        );
        const ports = lanes.flatMap(({ system, doors }) => [new URL(system.url).port, ...doors.map(String)]);
        assert.strictEqual(new Set(ports).size, LANES_AT_MOST * 5);
        lanes.forEach(({ system }) => assert.deepStrictEqual(system.counts, lanes[0]!.system.counts));
    });

    it("leave what they share to rows that run alone", () => {
        const shared = ROWS.filter(({ name }) => /\bnodes?\b|^registry/.test(name));
        assert.ok(shared.length > 0);
        assert.deepStrictEqual(
            shared.filter(({ alone }) => alone !== true).map(({ name }) => name),
            [],
        );
    });
});

describe("faults: the cluster", () => {
    it("keeps pods off the control plane and mounts the shared folder on every node", () => {
        const shape = {
            name: "other",
            apiPort: 1,
            nodePorts: [2],
            podsOnControlPlane: false,
            mounts: { "/here": "/there" },
        };
        const { name, nodes } = JSON.parse(kindConfig(3, shape)) as {
            name: string;
            nodes: { kubeadmConfigPatches?: string[]; extraMounts: object[] }[];
        };
        assert.strictEqual(name, "other");
        assert.strictEqual(nodes.length, 3);
        for (const node of nodes) {
            assert.ok(!("kubeadmConfigPatches" in node));
            assert.deepStrictEqual(node.extraMounts, [{ hostPath: "/here", containerPath: "/there" }]);
        }
    });
});
