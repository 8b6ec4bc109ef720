/**
 * A web server in front of Redis. `POST /set` with {key, value} writes to the master, `GET /get?key=` reads from a slave. Both
 * answer {key, value, redis_replication, action, pod_ip}, and {error} if something is wrong.
 */
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

import Fastify, { LogController, type FastifyError, type FastifyReply } from "fastify";
import { Redis } from "ioredis";

const PORT = 8082;
/** In bytes. Hundreds of such bodies at once fit in the memory of a small pod. */
const [MAX_KEY, MAX_BODY] = [1024, 64 << 10];
/** In milliseconds: how long a request waits for a connection, longer than the pause between two attempts. */
const RECONNECT = 2000;
const EXAMPLE = '{"key": "a", "value": "b"}';

/** What is wrong with a body that Fastify refuses, by Fastify's code. */
const REFUSED: Readonly<Record<string, string>> = {
    FST_ERR_CTP_BODY_TOO_LARGE: `The body is larger than ${MAX_BODY} bytes; send a shorter value.`,
    FST_ERR_CTP_EMPTY_JSON_BODY: `The body is empty; send ${EXAMPLE}.`,
    FST_ERR_CTP_INVALID_JSON_BODY: `The body is not JSON; send ${EXAMPLE}.`,
    FST_ERR_CTP_INVALID_MEDIA_TYPE: `The body is not declared as JSON; send ${EXAMPLE} with Content-Type: application/json.`,
};

const app = Fastify({
    logger: true,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: MAX_BODY,
    frameworkErrors: (_, { url }, reply: FastifyReply) =>
        reply.code(400).send({ error: `The address ${url} cannot be decoded; encode the key as in a URL.` }),
});
// Fastify also accepts plain text by default.
app.removeContentTypeParser("text/plain");

const writer = connect(setting("REDIS_WRITER"));
const reader = process.env.REDIS_READERS ? connect(process.env.REDIS_READERS) : writer;
const podIp = setting("POD_IP");

app.post("/set", async ({ body }) => {
    const given = Object(body) as Readonly<Record<string, unknown>>;
    const key = keyOf(given.key);
    const value = textOf("value", given.value);
    const [, replication] = await withReplication(writer, () => writer.set(key, value));
    return { key, value, redis_replication: replication, action: "SET", pod_ip: podIp };
});

app.get<{ Querystring: { key?: unknown } }>("/get", async ({ query }) => {
    const key = keyOf(query.key);
    const [value, replication] = await withReplication(reader, () => reader.get(key));
    if (value === null) {
        throw refusal(404, `There is no key ${JSON.stringify(key)}; set it with POST /set.`);
    }
    return { key, value, redis_replication: replication, action: "GET", pod_ip: podIp };
});

app.get("/livez", () => "ok\n");

// Without slaves it can write, and without the master it can read.
app.get("/readyz", async () => {
    await Promise.any([writer, reader].map((each) => each.ping())).catch(() => {
        throw refusal(
            503,
            "Neither the master nor a slave of Redis answers; check that their pods are ready.",
        );
    });
    return "ok\n";
});

app.setNotFoundHandler(({ method, url }, reply) =>
    reply.code(404).send({ error: `There is no ${method} ${url}; use POST /set or GET /get?key=a.` }),
);

app.setErrorHandler<FastifyError>((error, request, reply) => {
    const { code, message, statusCode = 500 } = error;
    if (statusCode === 500) {
        request.log.error(error);
    }
    const said = statusCode === 500 ? "The server failed; look into its log." : (REFUSED[code] ?? message);
    return reply.code(statusCode).send({ error: said });
});

// Requests that have begun are answered. When their connections are closed, nothing keeps the process.
let closing = false;
app.addHook("preClose", async () => void (closing = true));
app.addHook("onSend", async (_, reply) => void (closing && reply.header("connection", "close")));
app.addHook("onClose", async () => [writer, reader].forEach((each) => each.disconnect()));
["SIGTERM", "SIGINT"].forEach((signal) => process.once(signal, () => void app.close()));

void app.listen({ host: "0.0.0.0", port: PORT });

/** A connection that is made again whenever it breaks; meanwhile its commands fail at once. */
function connect(address: string): Redis {
    const [host, port] = address.split(":");
    const redis = new Redis({
        host,
        port: Number(port),
        username: setting("REDIS_USER"),
        password: readFileSync(setting("REDIS_PASSWORD_FILE"), "utf8").trim(),
        connectionName: "key-value-app",
        enableOfflineQueue: false,
        maxRetriesPerRequest: 1,
        // In milliseconds. A pod that is gone without a word leaves a socket on which nothing arrives any more.
        connectTimeout: 1000,
        commandTimeout: 2000,
        socketTimeout: 3000,
        retryStrategy: (attempts) => Math.min(attempts * 100, 1000),
    });
    return redis.on("error", ({ message }) => app.log.warn(`Redis at ${address}: ${message}`));
}

/** The answer to a command, and what the server that answered says about its replication. */
async function withReplication<T>(redis: Redis, command: () => Promise<T>): Promise<[T, string]> {
    // A server that has just started, or that took another's place, is connected to at the next attempt.
    for (const end = Date.now() + RECONNECT; redis.status !== "ready" && Date.now() < end;) {
        await pause(50);
    }
    try {
        return await Promise.all([command(), redis.info("replication")]);
    } catch (error) {
        const { name, message } = error as Error;
        const { host, port } = redis.options;
        const why = name === "ReplyError" ? `refuses this (${message})` : "does not answer";
        throw refusal(503, `Redis at ${host}:${port} ${why}; try again in a few seconds.`);
    }
}

function keyOf(value: unknown): string {
    const key = textOf("key", value);
    if (key === "" || Buffer.byteLength(key) > MAX_KEY) {
        throw refusal(400, `"key" has ${Buffer.byteLength(key)} bytes; send one with 1 to ${MAX_KEY}.`);
    }
    return key;
}

function textOf(name: string, value: unknown): string {
    if (typeof value !== "string") {
        const what = value === undefined ? "is missing" : "is not one string";
        throw refusal(400, `"${name}" ${what}; send it as in ${EXAMPLE} or /get?key=a.`);
    }
    // Half of a surrogate pair has no UTF-8, so Redis would store another text.
    if (Buffer.from(value).toString() !== value) {
        throw refusal(400, `"${name}" has half of a surrogate pair; send whole Unicode characters.`);
    }
    return value;
}

function refusal(statusCode: number, message: string): Error {
    return Object.assign(new Error(message), { statusCode });
}

function setting(name: string): string {
    const value = process.env[name];
    if (!value) {
        throw new Error(`The environment variable ${name} is not set; set it in the pod.`);
    }
    return value;
}
