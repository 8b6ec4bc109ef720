import assert from "assert";
import { spawnSync } from "child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "fs";
import { tmpdir } from "os";
import * as path from "path";

import { Facts, parseMemory, parseObjects, parseStatus, Pod, withStatus } from "../../operations/facts";
import { judge, positionsDiffer } from "../../operations/judge";
import { lacks, shortened } from "../../operations/position";
import { render, renderJson, shortImage } from "../../operations/render";
import { environmentNote, parseStackFile, readStackFile } from "../../operations/stack-file";

const ID = "0f9f4b3e-8d0e-4c52-9a77-1f7b60b6b7a1";
const OTHER = "b7b1c1f0-3f6d-4a7c-8b52-5f3b3f6f0a11";
const UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const NOW = new Date("2026-03-01T12:00:00Z");

type Change = Record<string, unknown>;

/** A ready pod as `kubectl get -o json` prints it. */
function podObject(name: string, workload: string, status: Change = {}, metadata: Change = {}) {
    const system = workload.replace(/-.*/, "");
    const container = system === "dabacluster" ? "dabaweb" : system;
    return {
        kind: "Pod",
        metadata: {
            name,
            uid: `uid-${name}`,
            labels: { "app.kubernetes.io/name": workload, "app.kubernetes.io/part-of": system },
            ...metadata,
        },
        spec: {
            nodeName: "node-1",
            containers: [
                {
                    name: container,
                    image: `localhost:5001/dabaweb/dev/${workload}:0123456789abcdef`,
                    env: workload.endsWith("-slave") ? [{ name: "MAX_STALE_SECONDS", value: "30" }] : [],
                },
            ],
        },
        status: {
            phase: "Running",
            conditions: [{ type: "Ready", status: "True" }],
            containerStatuses: [{ name: container, restartCount: 0, state: { running: {} } }],
            ...status,
        },
    };
}

const UNREADY = {
    conditions: [{ type: "Ready", status: "False", message: "containers with unready status" }],
};

/** The status of a container that reached its memory limit ten minutes ago and runs again. */
function killedForMemory(name: string, restartCount: number) {
    const terminated = { reason: "OOMKilled", exitCode: 137, finishedAt: "2026-03-01T11:50:00Z" };
    return { name, restartCount, state: { running: {} }, lastState: { terminated } };
}

function event(kind: string, uid: string, reason: string, message: string, lastTimestamp: string) {
    return {
        kind: "Event",
        metadata: { name: "event" },
        involvedObject: { kind, uid },
        reason,
        message,
        lastTimestamp,
    };
}

const WORKLOADS = ["redis-master", "redis-slave", "mysql-master", "mysql-slave"];

/** Everything that the stack dev has when all is well. */
function objects(changed: Readonly<Record<string, object | undefined>> = {}, more: readonly object[] = []) {
    const all: Record<string, object | undefined> = {
        "dabacluster-x-y": podObject("dabacluster-x-y", "dabacluster"),
        ...Object.fromEntries(WORKLOADS.map((each) => [`${each}-0`, podObject(`${each}-0`, each)])),
        ...Object.fromEntries(
            WORKLOADS.map((each) => [
                `data-${each}-0`,
                {
                    kind: "PersistentVolumeClaim",
                    metadata: { name: `data-${each}-0`, uid: `uid-data-${each}-0` },
                    status: { phase: "Bound" },
                },
            ]),
        ),
        "redis-initialised": { kind: "ConfigMap", metadata: { name: "redis-initialised" } },
        "mysql-initialised": { kind: "ConfigMap", metadata: { name: "mysql-initialised" } },
        ...changed,
    };
    const items = [...Object.values(all).filter((each) => each !== undefined), ...more];
    return { items: items as Parameters<typeof parseObjects>[1]["items"] };
}

const REPLICATION = {
    redis: {
        master: "asynchronous, slaves: 1 (10.244.0.7 online 0 s ago)",
        slave: "link to redis-master:6379 up, last heard 0 s ago",
    },
    mysql: {
        master: "semi-sync on, wait, 1 slaves acknowledge, 1 attached, 0 commits wait",
        slave: "from mysql-master:3306, receiver ON, applier ON",
    },
};

/** What the pods of the stack dev report when all is well, as lines of the status command. */
function statusLines(pod: string, changed: Readonly<Record<string, string>> = {}): string {
    const [system, role] = pod.split("-") as ["redis" | "mysql", "master" | "slave"];
    const values = {
        role,
        identity: ID,
        position: system === "redis" ? "5000" : `${UUID}:1-123`,
        stale: role === "slave" ? "0.8" : "",
        volume: "12%",
        replication: REPLICATION[system][role],
        waiting: "",
        ...changed,
    };
    return Object.entries(values)
        .map(([key, value]) => `${key}: ${value}\n`)
        .join("");
}

/** The values that an older image does not report. */
const OLDER = { differs: "", uncompared: "", compared: "", blocked: "", large: "", copies: "" };

const dev = readStackFile("dev");

function facts(
    answer = objects(),
    statuses: Readonly<Record<string, Readonly<Record<string, string>> | Error>> = {},
    unread: string[] = [],
): Facts {
    const parsed = parseObjects(dev, answer, NOW, unread);
    const tell = (pod: Pod) => {
        const status = statuses[pod.name];
        return status instanceof Error ? status : parseStatus(statusLines(pod.name, status));
    };
    const pods = parsed.pods.map((pod) => (pod.answering === undefined ? pod : withStatus(pod, tell(pod))));
    return { ...parsed, pods };
}

function podOf(answer: ReturnType<typeof objects>, name: string): Pod {
    const pod = facts(answer).pods.find((each) => each.name === name);
    assert.ok(pod, `no pod ${name}`);
    return pod;
}

describe("status: the stack file", () => {
    it("returns the context, the namespace, the address and the counts, with the defaults of the program", () => {
        assert.deepStrictEqual(readStackFile("e2e"), {
            stack: "e2e",
            context: "kind-dabaweb",
            namespace: "dabaweb-e2e",
            url: "http://localhost:32001",
            counts: {
                "redis-master": 1,
                "redis-slave": 2,
                "mysql-master": 1,
                "mysql-slave": 2,
                dabacluster: 3,
            },
        });
        const bare = "config:\n  dabaweb:kubeContext: here\n  dabaweb:namespace: { name: there }\n";
        assert.strictEqual(parseStackFile("bare", bare).counts["redis-slave"], 1);
    });

    it("refuses with one sentence a stack without a file, or a file that does not say where the stack runs", () => {
        assert.throws(
            () => readStackFile("nowhere"),
            /STACK is "nowhere", and there is no Pulumi.nowhere.yaml/,
        );
        assert.throws(() => readStackFile("../x"), /STACK is "\.\.\/x"/);
        assert.throws(
            () => parseStackFile("x", "config: {}"),
            /lacks dabaweb:kubeContext and dabaweb:namespace/,
        );
        assert.throws(() => parseStackFile("x", ""), /Pulumi.x.yaml lacks dabaweb:kubeContext/);
    });

    it("says that values of an environment are not read, and which one", () => {
        const note = (names: string) =>
            `Pulumi.x.yaml has an environment (${names}), whose values are not read here; write those that matter into ` +
            "the file's config";
        const cases: [string, string | undefined][] = [
            ["config: {}", undefined],
            ["environment:\nconfig: {}", undefined],
            ["environment: [team/dev, { team/all: { merge: false } }]", note("team/dev, team/all")],
            ["environment: { imports: [team/dev], values: { a: 1 } }", note("team/dev")],
            ["environment: { values: { a: 1 } }", note("defined in the file")],
        ];
        for (const [text, expected] of cases) {
            assert.strictEqual(environmentNote("x", text), expected);
        }
        assert.throws(
            () => parseStackFile("x", "environment: [team/dev]"),
            /lacks dabaweb:kubeContext .*; set it \(see docs\/config\.md\)\. Pulumi\.x\.yaml has an environment \(team\/dev\)/,
        );
    });
});

describe("status: what the cluster answers", () => {
    it("orders the pods from the data to the page", () => {
        assert.deepStrictEqual(
            facts().pods.map(({ name, role }) => `${name} ${role}`),
            [
                "redis-master-0 master",
                "redis-slave-0 slave",
                "mysql-master-0 master",
                "mysql-slave-0 slave",
                "dabacluster-x-y web",
            ],
        );
    });

    const readinessEvents = [
        event("Pod", "uid-redis-slave-0", "Unhealthy", "Liveness probe failed: x", "2026-03-01T11:59:59Z"),
        event(
            "Pod",
            "uid-redis-slave-0",
            "Unhealthy",
            "Readiness probe failed: new\nwords",
            "2026-03-01T11:59:58Z",
        ),
        event("Pod", "uid-redis-slave-0", "Unhealthy", "Readiness probe failed: old", "2026-03-01T11:00:00Z"),
        event("Pod", "uid-of-before", "Unhealthy", "Readiness probe failed: other", "2026-03-01T11:59:59Z"),
    ];
    const waiting = (reason: string, message?: string, lastState = {}) => ({
        ...UNREADY,
        containerStatuses: [
            { name: "redis", restartCount: 3, state: { waiting: { reason, message } }, lastState },
        ],
    });
    const words = { terminated: { exitCode: 1, reason: "Error", message: "first\nPOD_IP is ''\n" } };
    const reasons: [string, Change, object[], string][] = [
        ["the readiness probe's last message", UNREADY, readinessEvents, "new words"],
        [
            "an image that cannot be pulled",
            waiting("ImagePullBackOff", 'Back-off pulling image "x"'),
            [],
            'redis: ImagePullBackOff: Back-off pulling image "x"',
        ],
        [
            "a crash loop, with the container's last words",
            waiting("CrashLoopBackOff", "back-off 40s", words),
            [],
            "redis: CrashLoopBackOff: POD_IP is ''",
        ],
        [
            "a volume that cannot be mounted",
            { ...UNREADY, containerStatuses: [] },
            [event("Pod", "uid-redis-slave-0", "FailedMount", "no secret", "2026-03-01T11:59:58Z")],
            "no secret",
        ],
        [
            "a pod that fits on no node",
            {
                phase: "Pending",
                conditions: [
                    { type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/1 nodes" },
                ],
                containerStatuses: undefined,
            },
            [],
            "Unschedulable: 0/1 nodes",
        ],
        [
            "the condition while an init container runs",
            {
                ...UNREADY,
                initContainerStatuses: [{ name: "seed", restartCount: 0, state: { running: {} } }],
                containerStatuses: [
                    { name: "redis", restartCount: 0, state: { waiting: { reason: "PodInitializing" } } },
                ],
            },
            [],
            "containers with unready status",
        ],
        [
            "the last words of a container that was restarted",
            {
                ...UNREADY,
                containerStatuses: [
                    { name: "redis", restartCount: 3, state: { running: {} }, lastState: words },
                ],
            },
            [],
            "redis: ended: POD_IP is ''",
        ],
        ["the condition if nothing else is known", UNREADY, [], "containers with unready status"],
        [
            "an evicted pod",
            { ...UNREADY, phase: "Failed", reason: "Evicted", message: "low on memory" },
            [],
            "Evicted: low on memory",
        ],
    ];
    for (const [what, change, events, why] of reasons) {
        it(`says why a pod is not ready: ${what}`, () => {
            const pod = podObject("redis-slave-0", "redis-slave", change);
            const parsed = parseObjects(dev, objects({ "redis-slave-0": pod }, events), NOW);
            assert.strictEqual(parsed.pods.find(({ name }) => name === "redis-slave-0")?.why, why);
        });
    }

    it("prefers what the pod itself is waiting for to an event", () => {
        const pod = podObject("redis-slave-0", "redis-slave", UNREADY);
        const all = facts(objects({ "redis-slave-0": pod }, readinessEvents), {
            "redis-slave-0": { waiting: "no data yet" },
        });
        assert.strictEqual(all.pods[1]?.why, "waiting: no data yet");
    });

    it("asks a pod in the running container, even while the pod is seeded", () => {
        const seeding = podObject("mysql-slave-0", "mysql-slave", {
            ...UNREADY,
            initContainerStatuses: [{ name: "seed", restartCount: 0, state: { running: {} } }],
            containerStatuses: [
                { name: "mysql", restartCount: 0, state: { waiting: { reason: "PodInitializing" } } },
            ],
        });
        assert.strictEqual(podOf(objects({ "mysql-slave-0": seeding }), "mysql-slave-0").answering, "seed");
        assert.strictEqual(podOf(objects(), "mysql-slave-0").answering, "mysql");
        assert.strictEqual(podOf(objects(), "dabacluster-x-y").answering, undefined);
    });

    it("reports the last termination with the last line of its log, but not a seed that succeeded", () => {
        const at = (finishedAt: string, message: string, exitCode = 137, reason = "OOMKilled") => ({
            terminated: { exitCode, reason, message, finishedAt },
        });
        const pod = podObject("mysql-slave-0", "mysql-slave", {
            initContainerStatuses: [
                {
                    name: "seed",
                    restartCount: 0,
                    state: at("2026-03-01T11:00:00Z", "cloned", 0, "Completed"),
                },
            ],
            containerStatuses: [
                {
                    name: "mysql",
                    restartCount: 2,
                    state: { running: {} },
                    lastState: at("2026-03-01T10:00:00Z", "one\ntwo\n"),
                },
            ],
        });
        const { termination, restarts } = podOf(objects({ "mysql-slave-0": pod }), "mysql-slave-0");
        assert.deepStrictEqual(termination, {
            container: "mysql",
            reason: "OOMKilled",
            exitCode: 137,
            at: "2026-03-01T10:00:00Z",
            words: "two",
        });
        assert.strictEqual(restarts, 2);
    });

    it("forgets the failed pods of a migration once one succeeded", () => {
        const job = (name: string, phase: string) => ({
            [name]: podObject(
                name,
                "dabacluster-migrate",
                { ...UNREADY, phase },
                {
                    labels: {
                        "app.kubernetes.io/name": "dabacluster-migrate",
                        "app.kubernetes.io/part-of": "dabacluster",
                        "batch.kubernetes.io/job-name": "migrate-1",
                    },
                },
            ),
        });
        const shown = facts(objects(job("migrate-a", "Failed"))).pods.map(({ name }) => name);
        assert.ok(shown.includes("migrate-a"));
        const gone = facts(objects({ ...job("migrate-a", "Failed"), ...job("migrate-b", "Succeeded") }));
        assert.ok(!gone.pods.some(({ name }) => name.startsWith("migrate-")));
    });

    describe("the scheduled cleanup", () => {
        const labels = {
            "app.kubernetes.io/name": "dabacluster-cleanup",
            "app.kubernetes.io/part-of": "dabacluster",
        };
        const job = (name: string, type: string, lastTransitionTime: string) => ({
            kind: "Job",
            metadata: { name, labels },
            status: {
                conditions: [
                    { type: "FailureTarget", status: "True", lastTransitionTime },
                    { type, status: "True", message: "Job was active too long", lastTransitionTime },
                ],
            },
        });
        const pod = (name: string, ofJob: string, message: string) =>
            podObject(
                name,
                "dabacluster-cleanup",
                {
                    ...UNREADY,
                    phase: "Failed",
                    containerStatuses: [
                        {
                            name: "cleanup",
                            restartCount: 0,
                            state: { terminated: { exitCode: 1, finishedAt: `${DAY}03:17:09Z`, message } },
                        },
                    ],
                },
                { labels: { ...labels, "batch.kubernetes.io/job-name": ofJob } },
            );
        const DAY = "2026-03-01T";
        const failed = job("cleanup-2", "Failed", `${DAY}03:18:00Z`);

        it("is no pod of the stack, whether it waits, runs or has ended", () => {
            const pods = [
                pod("cleanup-1-a", "cleanup-1", "x"),
                podObject("cleanup-2-b", "dabacluster-cleanup"),
            ];
            const all = facts(objects({}, [...pods, { ...pods[1], status: { phase: "Pending" } }]));
            assert.strictEqual(all.pods.length, 5);
            assert.deepStrictEqual(judge(all), []);
        });

        it("has a base beside it that is judged in the same way, by the schedule or because one was due", () => {
            for (const workload of ["mysql-base", "mysql-base-due"]) {
                const of = {
                    "app.kubernetes.io/name": workload,
                    "app.kubernetes.io/part-of": "backup",
                };
                const ended = { ...failed, metadata: { name: `${workload}-1`, labels: of } };
                assert.deepStrictEqual(
                    judge(facts(objects({}, [ended, podObject(`${workload}-1-a`, workload)]))),
                    [
                        `the last run of ${workload}, Job ${workload}-1, failed: Job was active too long; ` +
                            'see "A base or the archive fails" in docs/runbook.md',
                    ],
                );
            }
        });

        it("is named if its last run failed, with the words of the pod that ended last", () => {
            const more = [
                failed,
                job("cleanup-1", "Complete", "2026-02-28T03:17:10Z"),
                pod("cleanup-1-a", "cleanup-1", "CommandError: another one"),
                pod(
                    "cleanup-2-a",
                    "cleanup-2",
                    "Traceback\nCommandError: MySQL did not delete the old rows.",
                ),
            ];
            assert.deepStrictEqual(judge(facts(objects({}, more))), [
                "the last run of dabacluster-cleanup, Job cleanup-2, failed: CommandError: MySQL did not delete the " +
                    'old rows; see "The cleanup failed" in docs/runbook.md',
            ]);
        });

        it("is named with the last event of a pod that could not start, or else with the Job's own words", () => {
            const words = (...more: object[]) => facts(objects({}, [failed, ...more])).failedRuns[0]?.why;
            const about = (name: string, message: string) => ({
                ...event("Pod", "uid-gone", "Failed", message, `${DAY}03:17:00Z`),
                involvedObject: { kind: "Pod", name, uid: "uid-gone" },
            });
            const events = [
                about("cleanup-2-x", "Failed to pull image"),
                about("cleanup-2-x", "Error: ImagePullBackOff"),
                about("cleanup-20-x", "another Job's"),
            ];
            assert.strictEqual(words(...events), "Failed to pull image");
            assert.strictEqual(words(), "Job was active too long");
        });

        it("is named for a migration that passed its deadline, whose pod Kubernetes has deleted", () => {
            const migration = (...more: object[]) => {
                const of = {
                    "app.kubernetes.io/name": "dabacluster-migrate",
                    "app.kubernetes.io/part-of": "dabacluster",
                };
                const ended = { ...failed, metadata: { name: "migrate-1", labels: of } };
                const again = { kind: "Job", metadata: { name: "migrate-2", labels: of }, status: {} };
                return { said: judge(facts(objects({}, [ended, ...more]))), again };
            };
            const { said, again } = migration();
            assert.deepStrictEqual(said, [
                "the last run of dabacluster-migrate, Job migrate-1, failed: Job was active too long; " +
                    'see "A migration fails, is slow or was killed" in docs/runbook.md',
            ]);
            assert.deepStrictEqual(migration(again).said, [], "it runs again");
        });

        it("is not named once a later run has succeeded, even while another one is in progress", () => {
            const later = job("cleanup-now", "Complete", `${DAY}09:00:00Z`);
            const running = { kind: "Job", metadata: { name: "cleanup-3", labels }, status: {} };
            assert.deepStrictEqual(facts(objects({}, [failed, later, running])).failedRuns, []);
        });
    });

    it("reads the status lines, any of whose values may be empty", () => {
        assert.deepStrictEqual(parseStatus(statusLines("mysql-slave-0")), {
            role: "slave",
            identity: ID,
            position: `${UUID}:1-123`,
            stale: 0.8,
            volume: 12,
            replication: REPLICATION.mysql.slave,
            waiting: "",
            ...OLDER,
        });
        const empty = parseStatus(
            "role:\nidentity: \nposition: \nstale: \nvolume: \nreplication: \nwaiting: a: b\n",
        );
        assert.deepStrictEqual(empty, {
            role: "",
            identity: "",
            position: "",
            stale: undefined,
            volume: undefined,
            replication: "",
            waiting: "a: b",
            ...OLDER,
        });
        const newer = parseStatus(
            "differs: table a.b is only on the master\nuncompared: \ncompared: 9 s ago\nblocked: \nlarge: x\ncopies: 1 begun\n",
        );
        assert.deepStrictEqual(
            [newer.differs, newer.compared, newer.large, newer.copies],
            ["table a.b is only on the master", "9 s ago", "x", "1 begun"],
        );
    });

    describe("reads how much memory a container uses", () => {
        const two = (limit: string, used: number, inactive: number) =>
            ["max:" + limit, `current:${used}`, `stat:inactive_file ${inactive}`]
                .map((line) => `/sys/fs/cgroup/memory.${line}\n`)
                .join("");
        const one = (limit: string, used: number, inactive: number) =>
            ["limit_in_bytes:" + limit, `usage_in_bytes:${used}`, "stat:inactive_file 1"]
                .concat(`stat:total_inactive_file ${inactive}`)
                .map((line) => `/sys/fs/cgroup/memory/memory.${line}\n`)
                .join("");
        const cases: [string, string, number | undefined][] = [
            ["version 2", two("1000000", 950_000, 50_000), 90],
            ["version 2, rounded down", two("1000000", 959_999, 50_000), 90],
            ["version 2 without a limit", two("max", 950_000, 50_000), undefined],
            ["version 1", one("134217728", 126_119_936, 52_404_224), 54],
            ["version 1 without a limit", one("9223372036854771712", 126_119_936, 52_404_224), undefined],
            ["both, as on a node in transition", two("1000", 500, 100) + one("1000", 900, 0), 40],
            ["among the lines of a pod's status", statusLines("mysql-slave-0") + two("100", 93, 0), 93],
            ["no files", "", undefined],
            ["a pod's status alone", statusLines("mysql-slave-0"), undefined],
            ["half an answer", two("1000", 500, 100).split("\n")[0]!, undefined],
        ];
        for (const [what, text, percent] of cases) {
            it(`of ${what}`, () => assert.strictEqual(parseMemory(text), percent));
        }
    });
});

describe("status: positions", () => {
    const cases: [string, string, string, string][] = [
        ["equal sets", `${UUID}:1-5`, `${UUID}:1-5`, ""],
        ["the end", `${UUID}:1-5`, `${UUID}:1-9`, `4 transactions (${UUID}:6-9)`],
        ["a hole", `${UUID}:1-3:5-9`, `${UUID}:1-9`, `1 transaction (${UUID}:4)`],
        ["another source", `${UUID}:1-5`, `${UUID}:1-5,${ID}:1-2`, `2 transactions (${ID}:1-2)`],
        ["more than the other", `${UUID}:1-9, ${ID}:1`, `${UUID}:1-5`, ""],
        ["a tag", `${UUID}:1-5:job:1-2`, `${UUID}:1-5:job:1-3`, `1 transaction (${UUID}:job:3)`],
        ["intervals that cut both ends", `${UUID}:1-2:8-20`, `${UUID}:1-10`, `5 transactions (${UUID}:3-7)`],
        ["offsets", "100", "250", "150 bytes"],
        ["a larger offset", "250", "100", ""],
        ["an unknown position", "", `${UUID}:1-5`, ""],
        ["an unknown other", `${UUID}:1-5`, "", ""],
    ];
    for (const [what, position, other, missing] of cases) {
        it(`says what one lacks of another: ${what}`, () =>
            assert.strictEqual(lacks(position, other), missing));
    }

    it("shortens them for a table", () => {
        assert.strictEqual(shortened("5000"), "5000");
        assert.strictEqual(shortened(""), "");
        assert.strictEqual(shortened(`${UUID}:1-5:7`), "3e11fa47:1-5:7");
        assert.strictEqual(shortened(`${UUID}:1-5,${ID}:1,${OTHER}:2`), "3e11fa47:1-5,+2");
    });
});

describe("status: the judgement", () => {
    it("is empty when all is well", () => assert.deepStrictEqual(judge(facts()), []));

    const creation = (kind: string, name: string, reason: string, time: string) => ({
        ...event(
            kind,
            "",
            reason,
            'pods "x" is forbidden: exceeded quota: tight, requested: pods=1, used: pods=5, limited: pods=5',
            `2026-03-01T${time}:00Z`,
        ),
        involvedObject: { kind, name },
    });
    const SCRIPT = "a script has been running since 2026-03-01 11:59:52 UTC and blocks redis-server";
    const copying = (copies: string, waiting: string): Facts =>
        facts(objects({ "mysql-slave-0": podObject("mysql-slave-0", "mysql-slave", UNREADY) }), {
            "mysql-slave-0": { copies, waiting },
        });
    const using = (
        memory: Readonly<Record<string, Readonly<Record<string, number>>>>,
        answer: ReturnType<typeof objects>,
    ): Facts => {
        const all = facts(answer);
        return { ...all, pods: all.pods.map((pod) => ({ ...pod, memory: memory[pod.name] ?? {} })) };
    };
    const migrating = (startTime: string): Facts => {
        const pod = podObject("dabacluster-migrate-x", "dabacluster-migrate", { startTime });
        const all = facts(objects({ migrate: pod }));
        const words = "waiting for connection 27";
        return {
            ...all,
            pods: all.pods.map((each) => (each.role === "migrate" ? { ...each, words } : each)),
        };
    };
    const unbound = {
        kind: "PersistentVolumeClaim",
        metadata: { name: "data-mysql-slave-0", uid: "uid-data-mysql-slave-0" },
        status: { phase: "Pending" },
    };
    const lost = (deletionTimestamp: string) =>
        podObject("mysql-slave-0", "mysql-slave", UNREADY, { deletionTimestamp });
    const unready = podObject("redis-slave-0", "redis-slave", UNREADY);
    const cases: [string, Facts, RegExp[]][] = [
        [
            "a stack that is not deployed",
            facts({ items: [] }),
            [/dabaweb-dev in context kind-dabaweb has no pods/],
        ],
        [
            "an absent data pod",
            facts(objects({ "mysql-slave-0": undefined })),
            [/^pod mysql-slave-0 is missing/],
        ],
        [
            "an absent web pod",
            facts(objects({ "dabacluster-x-y": undefined })),
            [/^dabacluster has 0 of 1 pods/],
        ],
        [
            "an unready pod",
            facts(objects({ "redis-slave-0": unready }), { "redis-slave-0": { waiting: "no master" } }),
            [/^redis-slave-0 is not ready: waiting: no master$/],
        ],
        [
            "a pod that is being deleted",
            facts(objects({ "mysql-slave-0": lost("2026-03-01T12:00:30Z") })),
            [/^mysql-slave-0 is being deleted; check again/],
        ],
        [
            "a pod that its node does not stop",
            facts(objects({ "mysql-slave-0": lost("2026-03-01T11:50:00Z") })),
            [/^mysql-slave-0 should have terminated by 2026-03-01T11:50:00Z, but node node-1/],
        ],
        [
            "a pod that does not answer",
            facts(objects(), { "mysql-master-0": new Error("no answer within 10 s") }),
            [/^mysql-master-0 does not report its status: no answer within 10 s/],
        ],
        [
            "another history, whose positions say nothing",
            facts(objects(), { "mysql-slave-0": { identity: OTHER, position: `${OTHER}:1-3` } }),
            [new RegExp(`^mysql-slave-0 has identity ${OTHER}, but mysql-master-0 has ${ID}`)],
        ],
        [
            "missing transactions",
            facts(objects(), {
                "mysql-slave-0": { position: `${UUID}:1-120`, replication: "the receiver is OFF" },
            }),
            [
                /^mysql-slave-0 lacks 3 transactions \(.*:121-123\) that mysql-master-0 has; its replication status: the receiver/,
            ],
        ],
        [
            "transactions that the master lacks",
            facts(objects(), { "mysql-master-0": { position: `${UUID}:1-120` } }),
            [/^mysql-slave-0 has 3 transactions \(.*\) that mysql-master-0 lacks/],
        ],
        [
            "a Redis offset behind",
            facts(objects(), { "redis-slave-0": { position: "4000" } }),
            [/^redis-slave-0 lacks 1000 bytes that redis-master-0 has/],
        ],
        [
            "old data",
            facts(objects(), { "redis-slave-0": { stale: "30.1", replication: "link down" } }),
            [/^redis-slave-0 has data that is 30.1 s old, more than its limit of 30 s; .*link down/],
        ],
        [
            "writes that hang",
            facts(objects(), {
                "mysql-master-0": {
                    replication: "semi-sync on, wait, 0 slaves acknowledge, 0 attached, 3 commits wait",
                },
            }),
            [/^mysql-master-0 has no slave attached, .*every write hangs/],
        ],
        [
            "what a slave holds other than the master",
            facts(objects(), {
                "mysql-slave-0": { differs: "table form.restored is only on the master" },
            }),
            [
                /^mysql-slave-0 does not hold what the master holds: table form.restored is only on the master; see "A slave holds other/,
            ],
        ],
        [
            "a slave whose comparison fails",
            facts(objects(), {
                "mysql-slave-0": {
                    compared:
                        "tables, definitions and row counts 11 min ago; the last round of contents ended 2 h ago and took 9 s",
                    uncompared:
                        "all of it: the master says: ERROR 3118 (HY000): Access denied for user 'seed'. Account is locked.",
                },
            }),
            [
                /^mysql-slave-0 has not been compared with its master for 11 min: all of it: .*locked\.; see "A slave holds other/,
            ],
        ],
        [
            "a slave that has never been compared",
            facts(
                objects({
                    "mysql-slave-0": podObject("mysql-slave-0", "mysql-slave", {
                        startTime: "2026-03-01T11:00:00Z",
                    }),
                }),
                {
                    "mysql-slave-0": {
                        uncompared: "all of it: this slave lacks what the master had 10 s ago",
                    },
                },
            ),
            [/^mysql-slave-0 has not been compared with its master for 60 min: all of it: this slave lacks/],
        ],
        [
            "a master that refuses writes, and a slave that accepts them",
            facts(objects(), {
                "mysql-master-0": {
                    replication:
                        "semi-sync on, wait, 1 slaves acknowledge, 1 attached, 0 commits wait; connections 4 of 100, of dabaweb 2 of 50; refuses writes: read_only is ON",
                },
                "mysql-slave-0": {
                    replication:
                        "from mysql-master:3306, receiver ON, applier ON; accepts writes: super_read_only is OFF",
                },
                "redis-master-0": {
                    replication:
                        "asynchronous, slaves: 1 (10.244.0.7 online 0 s ago); refuses writes: OOM allow-oom flag is not set on the script",
                },
            }),
            [
                /^redis-master-0 refuses writes, although it is ready: OOM allow-oom .*; see "Redis refuses writes"/,
                /^mysql-master-0 refuses writes, .*read_only is ON; .*`kubectl -n dabaweb-dev exec mysql-master-0 -- mysql -e 'SET GLOBAL read_only = OFF'`$/,
                /^mysql-slave-0 accepts writes, .*'SET GLOBAL super_read_only = ON'`$/,
            ],
        ],
        [
            "two servers of one identity",
            facts(objects(), {
                "mysql-slave-0": {
                    replication:
                        "from mysql-master:3306, receiver OFF, applier ON: Fatal error: 'A replica with the same server_uuid/server_id as this replica has connected to the source'",
                },
            }),
            [
                /^mysql-slave-0 and another server present themselves .*see "Two servers have the same identity"/,
            ],
        ],
        [
            "semi-sync that someone turned off",
            facts(objects(), {
                "mysql-master-0": {
                    replication: "semi-sync off, wait, 1 slaves acknowledge, 1 attached, 0 commits wait",
                },
            }),
            [/^mysql-master-0 acknowledges writes that no slave has, although onNoReplica is wait/],
        ],
        [
            "commits that have waited for long, although a slave is attached",
            facts(objects(), {
                "mysql-master-0": {
                    replication:
                        "semi-sync on, wait, 1 slaves acknowledge, 1 attached, 9 commits wait, the longest for 31 s; connections 40 of 100, of dabaweb 9 of 50",
                },
            }),
            [/^mysql-master-0 has 9 commits that wait for a slave, the longest for 31 s; see "Writes hang"/],
        ],
        [
            "full connections, and the account that has them",
            facts(objects(), {
                "mysql-master-0": {
                    replication:
                        "semi-sync on, wait, 1 slaves acknowledge, 1 attached, 0 commits wait; connections 98 of 100, of dabaweb 50 of 50",
                },
            }),
            [
                /^mysql-master-0 has 98 of 100 connections in use; at the limit it refuses more with error 1040; see "The conn/,
                /^mysql-master-0 has 50 of 50 connections in use by dabaweb; at the limit it refuses more with error 1226;/,
            ],
        ],
        [
            "connections so full that the pod's own programs get none",
            facts(objects(), {
                "mysql-master-0": {
                    replication: "the server does not answer: ERROR 1040 (HY000): Too many connections",
                },
            }),
            [
                /^mysql-master-0 has no connection left: the server does not answer: ERROR 1040 .*see "The connections/,
            ],
        ],
        [
            "who keeps others from a table",
            facts(objects(), {
                "mysql-master-0": {
                    blocked:
                        "3 wait for the table form.form_user, the longest for 12 s, behind connection 27 of root@localhost, whose transaction began 300 s ago",
                },
            }),
            [
                /^in mysql-master-0, 3 wait for the table form.form_user, .* -- mysql -e 'KILL 27'`; see "A migration fails/,
            ],
        ],
        [
            "a wait for a table that has just begun",
            facts(objects(), {
                "mysql-master-0": {
                    blocked: "1 wait for the table a.b, the longest for 2 s, behind connection 2 of x@y",
                },
            }),
            [],
        ],
        [
            "a large transaction",
            facts(objects(), {
                "mysql-slave-0": { large: "the applier has been at one transaction for 80 s" },
            }),
            [/^in mysql-slave-0, the applier has been at one transaction for 80 s; see "A large transaction/],
        ],
        [
            "memory near its limit, in the containers of a data pod and of a web pod",
            using(
                { "redis-slave-0": { redis: 93 }, "dabacluster-x-y": { dabaweb: 91, nginx: 99 } },
                objects(),
            ),
            [
                /^redis-slave-0 uses 93% of the memory limit of its container redis, above 90%; raise `resources` of redis-slave in/,
                /^dabacluster-x-y uses 91% .* dabaweb, above 90%; raise `resources` of dabacluster in/,
                /^dabacluster-x-y uses 99% .* nginx, above 90%; raise `nginxResources` of dabacluster in/,
            ],
        ],
        [
            "memory near its limit beside a container that reached it",
            using(
                { "dabacluster-x-y": { dabaweb: 99, nginx: 99 } },
                objects({
                    "dabacluster-x-y": podObject("dabacluster-x-y", "dabacluster", {
                        containerStatuses: [killedForMemory("nginx", 1)],
                    }),
                }),
            ),
            [
                /^dabacluster-x-y was ended 10 min ago because its container nginx .*; raise `nginxResources` of dabacluster/,
                /^dabacluster-x-y uses 99% of the memory limit of its container dabaweb,/,
            ],
        ],
        [
            "memory near its limit in a migration, whose settings are the application's",
            using(
                { "dabacluster-migrate-x": { migrate: 97 } },
                objects({ migrate: podObject("dabacluster-migrate-x", "dabacluster-migrate") }),
            ),
            [/^dabacluster-migrate-x uses 97% .* migrate, above 90%; raise `resources` of dabacluster in/],
        ],
        [
            "no memory that is only well used",
            using({ "redis-master-0": { redis: 90 }, "mysql-slave-0": { mysql: 78 } }, objects()),
            [],
        ],
        [
            "copies that fail again and again, and why, instead of a pod that is not ready",
            copying("3 begun in 2 min, 0 complete, the last 3 not", "the clone of a:3306 failed: ERROR 1"),
            [
                /^mysql-slave-0 has begun 3 copies of another server and completed none of them, in 2 min: the clone of a:3306 failed: ERROR 1; see "A slave takes copies again and again"/,
            ],
        ],
        [
            "copies that fail for lack of space",
            copying(
                "9 begun in 7 min, 1 complete, the last 8 not",
                "the clone of a:3306 failed: ERROR 3873 (HY000) at line 1: Available space 11.34 MiB is not enough.",
            ),
            [
                /^mysql-slave-0 has begun 8 copies .*; its volume has no room for a copy, see "A volume is full"/,
            ],
        ],
        [
            "copies that do not help, with what the readiness probe says",
            copying("3 begun in 5 min, 2 complete, the last 1 not", ""),
            [
                /^mysql-slave-0 has taken 2 copies of other servers, and none of them helped, in 5 min: containers/,
            ],
        ],
        [
            "no first copy, and none that failed once",
            copying("3 begun in 5 min, 1 complete, the last 2 not", "busy"),
            [/^mysql-slave-0 is not ready: waiting: busy$/],
        ],
        [
            "no copies that are over",
            facts(objects(), { "mysql-slave-0": { copies: "9 begun in 9 min, 3 complete, the last 6 not" } }),
            [],
        ],
        ...[{}, UNREADY].map((status): [string, Facts, RegExp[]] => [
            `a script that blocks Redis, whether the pod is ${status === UNREADY ? "unready" : "still ready"}`,
            facts(objects({ "redis-master-0": podObject("redis-master-0", "redis-master", status) }), {
                "redis-master-0": {
                    position: "",
                    replication: "redis-server reports no status",
                    waiting: SCRIPT,
                },
            }),
            [
                /^redis-master-0 serves no one: a script has been running since 2026-03-01 11:59:52 UTC and blocks redis-server; see "A script blocks Redis"/,
            ],
        ]),
        [
            "a container that reached its memory limit, although it runs again",
            facts(
                objects({
                    "redis-master-0": podObject("redis-master-0", "redis-master", {
                        containerStatuses: [killedForMemory("redis", 4)],
                    }),
                }),
            ),
            [
                /^redis-master-0 was ended 10 min ago because its container redis reached its memory limit \(4 restarts in all\); raise/,
            ],
        ],
        [
            "pods that a quota does not allow, although the old ones run",
            facts(
                objects({}, [
                    creation("ReplicaSet", "dabacluster-new", "FailedCreate", "11:55"),
                    creation("StatefulSet", "mysql-slave", "FailedCreate", "11:50"),
                    // It succeeded later, or gave up long ago.
                    creation("StatefulSet", "mysql-slave", "SuccessfulCreate", "11:56"),
                    creation("Job", "dabacluster-migrate-x", "FailedCreate", "11:10"),
                ]),
            ),
            [
                /^ReplicaSet dabacluster-new cannot create its pods: .*exceeded quota: tight, .*; raise that quota, .*describe resourcequota`$/,
            ],
        ],
        [
            "a migration that takes long, in its own words",
            migrating("2026-03-01T11:50:00Z"),
            [
                /^the migration dabacluster-migrate-x has been running for 10 min; it says: waiting for connection 27; see "A migration/,
            ],
        ],
        ["a migration that has just begun", migrating("2026-03-01T11:59:30Z"), []],
        [
            "a full volume",
            facts(objects(), { "mysql-slave-0": { volume: "86%" } }),
            [/^the volume of mysql-slave-0 is 86% full/],
        ],
        [
            "an unbound claim",
            facts(
                objects({ "data-mysql-slave-0": unbound }, [
                    event(
                        "PersistentVolumeClaim",
                        "uid-data-mysql-slave-0",
                        "ProvisioningFailed",
                        "no such class",
                        "2026-03-01T11:00:00Z",
                    ),
                ]),
            ),
            [/^volume claim data-mysql-slave-0 is Pending, not Bound: no such class$/],
        ],
        [
            "an absent claim",
            facts(objects({ "data-redis-master-0": undefined })),
            [/^volume claim data-redis-master-0 is missing/],
        ],
        [
            "an absent marker",
            facts(objects({ "mysql-initialised": undefined })),
            [/^ConfigMap mysql-initialised is missing/],
        ],
    ];
    for (const [what, given, sentences] of cases) {
        it(`names ${what}`, () => {
            const problems = judge(given);
            assert.strictEqual(problems.length, sentences.length, problems.join("\n"));
            sentences.forEach((sentence, at) => assert.match(problems[at] ?? "", sentence));
        });
    }

    it("does not complain about what it may not read", () => {
        const items = objects().items.filter(({ kind }) => kind === "Pod");
        assert.deepStrictEqual(judge(facts({ items }, {}, ["configmaps", "persistentvolumeclaims"])), []);
    });

    it("tolerates transactions that arrive while it looks", () => {
        const at = (master: number, slave: number) =>
            facts(objects(), {
                "mysql-master-0": { position: `${UUID}:1-${master}` },
                "mysql-slave-0": { position: `${UUID}:1-${slave}` },
                "redis-master-0": { position: String(master) },
                "redis-slave-0": { position: String(slave) },
            });
        assert.ok(positionsDiffer(at(10, 8)));
        assert.ok(!positionsDiffer(at(10, 10)));
        assert.deepStrictEqual(judge(at(14, 12), at(10, 8)), []);
        assert.deepStrictEqual(judge(at(14, 15), at(10, 12)), []);
        assert.match(judge(at(14, 8), at(10, 8)).join("\n"), /lacks 2 transactions/);
        assert.match(judge(at(14, 20), at(14, 20)).join("\n"), /has 6 transactions/);
    });
});

describe("status: what is printed", () => {
    it("is one table, followed by what is wrong in words", () => {
        const pod = podObject("redis-slave-0", "redis-slave", UNREADY);
        const why = "no data yet, and the master redis-master:6379 does not report its identity";
        const all = facts(objects({ "redis-slave-0": pod }), { "redis-slave-0": { waiting: why } });
        const lines = render(all, judge(all)).split("\n");
        assert.match(
            lines[0] ?? "",
            /^pod +role +ready +stale +position +identity +volume +restarts +last termination +image +node$/,
        );
        assert.match(
            lines[2] ?? "",
            /^redis-slave-0 +slave +no: waiting: no data yet, and the maste… +0\.8 s +5000 +0f9f4b3e +12% +0 +- +redis-slave:0123456789ab +node-1$/,
        );
        assert.match(lines[4] ?? "", /^mysql-slave-0 +slave +yes +0\.8 s +3e11fa47:1-123 +0f9f4b3e +12%/);
        assert.match(
            lines[5] ?? "",
            /^dabacluster-x-y +web +yes +- +- +- +- +0 +- +dabacluster:0123456789ab/,
        );
        assert.deepStrictEqual(lines.slice(6), ["", `wrong: redis-slave-0 is not ready: waiting: ${why}`]);
    });

    it("ends with one sentence when all is well, after what could not be checked", () => {
        const text = render(facts(objects(), {}, ["events"]), []);
        assert.ok(text.endsWith("\n\nnot checked: no permission to read events\nall is well"), text);
    });

    it("says how old the comparison with the master is, and what it leaves out", () => {
        const said = {
            compared: "tables 9 s ago",
            uncompared: "the contents of table a.b: reading them takes longer than 5 s",
        };
        const text = render(facts(objects(), { "mysql-slave-0": said }), []);
        const notes = [
            "compared with the master: mysql-slave-0: tables 9 s ago",
            "not compared with the master: mysql-slave-0: the contents of table a.b: reading them takes longer than 5 s",
        ];
        assert.ok(text.endsWith(`\n\n${notes.join("\n")}\nall is well`), text);
    });

    it("is JSON for programs, with full values", () => {
        const all = facts();
        const { pods, problems, namespace } = JSON.parse(renderJson(all, judge(all))) as {
            pods: Record<string, unknown>[];
            problems: string[];
            namespace: string;
        };
        assert.strictEqual(namespace, "dabaweb-dev");
        assert.deepStrictEqual(problems, []);
        assert.deepStrictEqual(pods[3]?.status, parseStatus(statusLines("mysql-slave-0")));
        assert.strictEqual(pods[4]?.status, null);
    });

    it("shortens image references", () => {
        const digest = "0123456789abcdef".repeat(4);
        assert.strictEqual(
            shortImage("localhost:5001/dabaweb/dev/nginx:0123456789abcdef"),
            "nginx:0123456789ab",
        );
        assert.strictEqual(shortImage(`registry.example.com/a/nginx@sha256:${digest}`), "nginx@0123456789ab");
        assert.strictEqual(shortImage(`localhost:5001/a/nginx:1.0@sha256:${digest}`), "nginx@0123456789ab");
        assert.strictEqual(shortImage("localhost:5001/a/nginx"), "nginx");
    });
});

describe("status: the command", () => {
    let folder: string;
    beforeEach(() => {
        folder = mkdtempSync(path.join(tmpdir(), "status-"));
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    /** Runs the command against a kubectl that is this script. */
    function run(script: string, ...args: string[]) {
        const kubectl = path.join(folder, "kubectl");
        writeFileSync(kubectl, `#!/usr/bin/env bash\ncd ${folder}\n${script}\n`);
        chmodSync(kubectl, 0o755);
        const all = ["-r", "ts-node/register/transpile-only", "operations/status.ts", ...args];
        const env = { ...process.env, PATH: `${folder}:${process.env.PATH}`, LC_ALL: "C" };
        return spawnSync(process.execPath, all, { encoding: "utf8", env });
    }

    const ANSWER = `
        [[ "$1 $2 $3 $4" == "--context kind-dabaweb --namespace dabaweb-dev" ]] || exit 9
        if [[ $5 == get ]]; then cat objects.json; else cat "$6"; fi`;

    function wellObjects(): void {
        writeFileSync(path.join(folder, "objects.json"), JSON.stringify(objects()));
        WORKLOADS.forEach((each) => writeFileSync(path.join(folder, `${each}-0`), statusLines(`${each}-0`)));
    }

    it("asks the cluster, then every data pod, and exits with 0 when all is well", () => {
        wellObjects();
        const { stdout, stderr, status } = run(ANSWER, "dev");
        assert.strictEqual(stderr, "");
        assert.match(stdout, /\n\nall is well\n$/);
        assert.strictEqual(stdout.split("\n").length, 9);
        assert.strictEqual(status, 0);
    });

    it("asks every container of a web pod how much memory it uses, and does not mind one that cannot tell", () => {
        const web = podObject("dabacluster-x-y", "dabacluster", {
            containerStatuses: ["dabaweb", "nginx"].map((name) => ({
                name,
                restartCount: 0,
                state: { running: {} },
            })),
        });
        wellObjects();
        writeFileSync(path.join(folder, "objects.json"), JSON.stringify(objects({ "dabacluster-x-y": web })));
        const uses = (percent: number) =>
            ["max:100", `current:${percent + 1}`, "stat:inactive_file 1"]
                .map((line) => `/sys/fs/cgroup/memory.${line}`)
                .join("\\n");
        const asked = `
            if [[ "$6 $8" == "dabacluster-x-y nginx" ]]; then printf '${uses(95)}'; exit 1; fi
            if [[ $6 == redis-master-0 && "$*" == *bin/status*memory.limit_in_bytes* ]]; then printf '${uses(12)}\\n'; fi`;
        const { stdout } = run(`${asked}\n${ANSWER}`, "dev", "--json");
        const { pods, problems } = JSON.parse(stdout) as {
            pods: { name: string; memory: object }[];
            problems: string[];
        };
        assert.deepStrictEqual(Object.fromEntries(pods.map(({ name, memory }) => [name, memory])), {
            "redis-master-0": { redis: 12 },
            "redis-slave-0": {},
            "mysql-master-0": {},
            "mysql-slave-0": {},
            "dabacluster-x-y": { nginx: 95 },
        });
        assert.strictEqual(problems.length, 1);
        assert.match(
            problems[0] ?? "",
            /^dabacluster-x-y uses 95% of the memory limit of its container nginx/,
        );
    });

    it("exits with 1 when something is wrong, even with --json", () => {
        wellObjects();
        rmSync(path.join(folder, "mysql-slave-0"));
        const { stdout, status } = run(ANSWER, "dev", "--json");
        const { problems } = JSON.parse(stdout) as { problems: string[] };
        assert.strictEqual(problems.length, 1);
        assert.match(
            problems[0] ?? "",
            /^mysql-slave-0 does not report its status: cat: mysql-slave-0: No such file/,
        );
        assert.strictEqual(status, 1);
    });

    it("asks a pod that is only slow once more, after the others", () => {
        wellObjects();
        const slow = `if [[ $6 == redis-master-0 && ! -e asked ]]; then touch asked; exec sleep 60; fi`;
        const { stdout, status } = run(`${slow}\n${ANSWER}`, "dev");
        assert.match(stdout, /\nall is well\n$/);
        assert.strictEqual(status, 0);
    });

    it("reads the log of a migration that takes long", () => {
        const pod = podObject("dabacluster-migrate-x", "dabacluster-migrate", {
            startTime: "2026-03-01T00:00:00Z",
        });
        writeFileSync(path.join(folder, "objects.json"), JSON.stringify(objects({ migrate: pod })));
        WORKLOADS.forEach((each) => writeFileSync(path.join(folder, `${each}-0`), statusLines(`${each}-0`)));
        const { stdout, status } = run(
            `if [[ $5 == logs ]]; then echo "the lock is held by $6"; exit; fi\n${ANSWER}`,
            "dev",
        );
        assert.match(stdout, /it says: the lock is held by dabacluster-migrate-x;/);
        assert.strictEqual(status, 1);
    });

    it("continues without the kinds that it may not read", () => {
        wellObjects();
        const forbidden =
            'Error from server (Forbidden): events is forbidden: User "u" cannot list resource "events"';
        const { stdout, status } = run(
            `${ANSWER}\nif [[ $5 == get ]]; then echo '${forbidden}' >&2; exit 1; fi`,
            "dev",
        );
        assert.match(stdout, /not checked: no permission to read events\nall is well\n$/);
        assert.strictEqual(status, 0);
    });

    it("passes on what a login program says, and waits for it", () => {
        wellObjects();
        const kubeconfig = path.join(folder, "kubeconfig");
        const login = { exec: { apiVersion: "client.authentication.k8s.io/v1", command: "login" } };
        const content = {
            clusters: [{ name: "c", cluster: { server: "https://127.0.0.1:1" } }],
            users: [{ name: "u", user: login }],
            contexts: [{ name: "kind-dabaweb", context: { cluster: "c", user: "u" } }],
        };
        writeFileSync(kubeconfig, JSON.stringify(content));
        const former = process.env.KUBECONFIG;
        process.env.KUBECONFIG = kubeconfig;
        const { stderr, status } = run(`[[ $5 == get ]] && echo "enter ABCD" >&2\n${ANSWER}`, "dev");
        if (former === undefined) {
            delete process.env.KUBECONFIG;
        } else {
            process.env.KUBECONFIG = former;
        }
        assert.strictEqual(stderr, "enter ABCD\n");
        assert.strictEqual(status, 0);
    });

    const refusals: [string, string, string, RegExp][] = [
        [
            "an unreachable cluster",
            "dev",
            "echo memcache >&2; echo 'The connection to the server was refused' >&2; exit 1",
            /^The cluster of context kind-dabaweb \(KUBECONFIG .*\) does not answer: The connection to the server was refused; check .*\.\n$/,
        ],
        ["an unknown stack", "nowhere", "exit 9", /^STACK is "nowhere", .*\.\n$/],
    ];
    for (const [what, stack, script, sentence] of refusals) {
        it(`reports ${what} in one sentence`, () => {
            const { stdout, stderr, status } = run(script, stack);
            assert.strictEqual(stdout, "");
            assert.match(stderr, sentence);
            assert.strictEqual(status, 1);
        });
    }
});
