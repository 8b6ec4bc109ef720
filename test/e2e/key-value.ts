import assert from "assert";
import { request } from "node:http";
import { text } from "node:stream/consumers";

import { waitFor } from "../support/docker";
import { RECOVERY_SECONDS } from "../support/system";
import { kubectl } from "./side-by-side";

const NAMESPACE = "key-value";
const URL_OF_APP = "http://localhost:32002";
/** Enough for one of three pods to be missed once in 10^17 runs. */
const REQUESTS = 100;

/** What the web pods answer. */
interface Answer {
    readonly key: string;
    readonly value: string;
    readonly redis_replication: string;
    readonly action: string;
    readonly pod_ip: string;
    readonly error?: string;
}

/** Sends a request over a connection of its own, so that the Service chooses a pod for it. */
function send(path: string, body?: unknown): Promise<{ status: number; answer: Answer }> {
    return new Promise((resolve, reject) => {
        const method = body === undefined ? "GET" : "POST";
        const headers = { "content-type": "application/json" };
        const sent = request(
            `${URL_OF_APP}${path}`,
            { method, headers, agent: false, timeout: 30_000 },
            (answer) => {
                text(answer).then(
                    (said) => resolve({ status: answer.statusCode!, answer: JSON.parse(said) as Answer }),
                    reject,
                );
            },
        );
        sent.on("timeout", () => sent.destroy(new Error("no answer within 30 s"))).on("error", reject);
        sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
}

/** Sends a request until the answer is no 503: a web pod answers so after two seconds, however busy the machine is. */
const served = (ask: () => Promise<{ status: number; answer: Answer }>) =>
    waitFor("an answer other than 503", RECOVERY_SECONDS, async () => {
        const said = await ask();
        assert.notStrictEqual(said.status, 503, said.answer.error);
        return said;
    });

const get = (key: string) => send(`/get?key=${encodeURIComponent(key)}`);

const inNamespace = (...args: string[]) => kubectl(["--namespace", NAMESPACE, ...args]);

/** Sends a request until each of the three web pods has answered it; returns one answer of each. */
async function fromEveryPod(ask: () => Promise<{ status: number; answer: Answer }>): Promise<Answer[]> {
    const answers = new Map<string, Answer>();
    for (let requests = 0; requests < REQUESTS && answers.size < 3; requests += 1) {
        const { status, answer } = await served(ask);
        assert.strictEqual(status, 200, answer.error);
        answers.set(answer.pod_ip, answer);
    }
    const ips = await inNamespace(
        ...["get", "pods", "-l", "app.kubernetes.io/name=key-value-app"],
        ...["-o", "jsonpath={.items[*].status.podIP}"],
    );
    assert.deepStrictEqual([...answers.keys()].sort(), ips.split(" ").sort());
    return [...answers.values()];
}

/** The checks of the source's guestbook, on every replica. Call this while examples/key-value is deployed. */
export function describeKeyValue(): void {
    describe("a key-value store over HTTP", () => {
        const pods = async (workload: string) =>
            (
                await inNamespace("get", "pods", "-l", `app.kubernetes.io/name=${workload}`, "-o", "name")
            ).split("\n");

        it("K1: has one Redis master, two slaves and three web pods, all ready", async () => {
            const kinds = ["statefulset/redis-master", "statefulset/redis-slave", "deployment/key-value-app"];
            const path = "jsonpath={range .items[*]}{.metadata.name} {.status.readyReplicas} {end}";
            await waitFor("every pod to be ready", RECOVERY_SECONDS, async () => {
                const ready = await inNamespace("get", ...kinds, "-o", path);
                assert.strictEqual(ready, "redis-master 1 redis-slave 2 key-value-app 3");
                return true;
            });
        });

        it("K2: tells every pod its own name, and every web pod where Redis is", async () => {
            for (const workload of ["redis-master", "redis-slave", "key-value-app"]) {
                for (const pod of await pods(workload)) {
                    assert.strictEqual(
                        await inNamespace("exec", pod, "--", "printenv", "POD_NAME"),
                        pod.slice(4),
                    );
                }
            }
            for (const pod of await pods("key-value-app")) {
                const where = await inNamespace(
                    "exec",
                    pod,
                    "--",
                    "printenv",
                    "REDIS_WRITER",
                    "REDIS_READERS",
                );
                assert.strictEqual(where, "redis-master.key-value.svc:6379\nredis-slave.key-value.svc:6379");
            }
        });

        it("K3: writes to the master from every web pod, while two slaves at different addresses are online", async () => {
            for (const { action, key, value, redis_replication } of await fromEveryPod(() =>
                send("/set", { key: "key_1", value: "value_1" }),
            )) {
                assert.deepStrictEqual([action, key, value], ["SET", "key_1", "value_1"]);
                assert.match(redis_replication, /^role:master\r$/m);
                assert.match(redis_replication, /^connected_slaves:2\r$/m);
                const slaves = [
                    ...redis_replication.matchAll(/^slave\d:ip=([\d.]+),port=6379,state=(\w+)/gm),
                ];
                const ips = await inNamespace(
                    ...["get", "pods", "redis-slave-0", "redis-slave-1"],
                    ...["-o", "jsonpath={.items[*].status.podIP}"],
                );
                assert.deepStrictEqual(slaves.map(([, ip]) => ip).sort(), ips.split(" ").sort());
                assert.deepStrictEqual(
                    slaves.map(([, , state]) => state),
                    ["online", "online"],
                );
            }
        });

        it("K4: reads from a slave on every web pod, and every slave has the value", async () => {
            for (const slave of await pods("redis-slave")) {
                await waitFor(`the value on ${slave}`, RECOVERY_SECONDS, async () => {
                    return (
                        (await inNamespace("exec", slave, "--", "redis-cli", "get", "key_1")) === "value_1"
                    );
                });
            }
            for (const { action, value, redis_replication } of await fromEveryPod(() => get("key_1"))) {
                assert.deepStrictEqual([action, value], ["GET", "value_1"]);
                for (const line of ["role:slave", "master_link_status:up", "slave_read_only:1"]) {
                    assert.ok(redis_replication.includes(`\r\n${line}\r\n`), redis_replication);
                }
            }
        });

        it("refuses bad input in one sentence", async () => {
            const large = { key: "large", value: "x".repeat(2 << 20) };
            for (const [status, asked] of [
                [400, () => send("/set", { value: "no key" })],
                [400, () => send("/set", "no object")],
                [413, () => send("/set", large)],
                [404, () => get("absent")],
                [400, () => send("/get")],
            ] as const) {
                const { status: said, answer } = await served(asked);
                assert.strictEqual(said, status, JSON.stringify(answer));
                assert.match(answer.error ?? "", /^[A-Z"][^\n]*[^.]\.$/);
            }
        });

        it("says that the master is away, still reads from the slaves, and writes as soon as it is back", async () => {
            await inNamespace("scale", "statefulset", "redis-master", "--replicas=0");
            try {
                await waitFor("a write to be refused", RECOVERY_SECONDS, async () => {
                    const { status, answer } = await send("/set", { key: "key_2", value: "value_2" });
                    return (
                        status === 503 &&
                        /^Redis at redis-master\.key-value\.svc:6379 /.test(answer.error ?? "")
                    );
                });
                // A slave that takes more than two seconds is answered for with a 503.
                await waitFor("a read from a slave", RECOVERY_SECONDS, async () => {
                    assert.strictEqual((await get("key_1")).answer.value, "value_1");
                    return true;
                });
            } finally {
                await inNamespace("scale", "statefulset", "redis-master", "--replicas=1");
            }
            await waitFor("a write", RECOVERY_SECONDS, async () => {
                return (await send("/set", { key: "key_2", value: "value_2" })).status === 200;
            });
            await waitFor("the value", RECOVERY_SECONDS, async () => {
                const { answer } = await get("key_2");
                return answer.value === "value_2";
            });
        });
    });
}
