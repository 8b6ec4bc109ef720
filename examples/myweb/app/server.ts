/**
 * A page that says which pod answers, and reads and writes a table of MySQL: `GET /` shows the newest entries, as the slaves
 * have them, and `POST /` adds one on the master.
 */
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

import Fastify, { LogController, type FastifyError, type FastifyReply } from "fastify";
import mysql, { type Pool, type ResultSetHeader, type RowDataPacket } from "mysql2/promise";

/** In characters, as MySQL counts them. */
const MAX_TEXT = 200;
/** In milliseconds: how long MySQL may take to accept a connection and to answer. */
const [CONNECT_MS, QUERY_MS] = [2000, 3000];

const TABLE = `CREATE TABLE IF NOT EXISTS entries (
    id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    at DATETIME NOT NULL DEFAULT (UTC_TIMESTAMP()),
    pod VARCHAR(253) NOT NULL,
    text VARCHAR(${MAX_TEXT}) NOT NULL
) DEFAULT CHARSET utf8mb4`;

const env = (name: string): string => {
    const value = process.env[name];
    if (!value) {
        throw new Error(`${name} is not set; set this environment variable in the pod.`);
    }
    return value;
};
const pod = { name: env("POD_NAME"), ip: env("POD_IP") };
const master = pool(env("MYSQL_WRITER"));
const slaves = process.env.MYSQL_READERS ? pool(process.env.MYSQL_READERS) : master;

const server = Fastify({
    logger: true,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 16 << 10,
    frameworkErrors: (_, { url }, reply: FastifyReply) =>
        send(reply.code(400), markup`<p>The address ${url} cannot be decoded; the only page is /.</p>\n`),
});
server.removeAllContentTypeParsers();
server.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_, body, done) =>
    done(null, new URLSearchParams(String(body))),
);

server.get("/", async (_, reply) => {
    const rows = await query<RowDataPacket[]>(
        slaves,
        "SELECT at, pod, text, (SELECT COUNT(*) FROM entries) AS count FROM entries ORDER BY id DESC LIMIT 20",
    );
    const entries = rows.map(
        ({ at, pod, text }) => markup`<tr><td>${at}</td><td>${pod}</td><td>${text}</td></tr>\n`,
    );
    return send(
        reply,
        markup`<p>The pod <b>${pod.name}</b> with the address <b>${pod.ip}</b> answers.</p>
<form method="post" action="/">
<input name="text" required maxlength="${MAX_TEXT}" aria-label="Text" autofocus> <button>Write</button>
</form>
<p>Entries: <b>${rows[0]?.count ?? 0}</b>. The newest:</p>
<table>
<tr><th>Time (UTC)</th><th>Written by</th><th>Text</th></tr>
${entries}</table>
`,
    );
});

server.post("/", async ({ body }, reply) => {
    const text = (body instanceof URLSearchParams ? body.get("text") : null)?.trim() ?? "";
    const length = [...text].length;
    if (length === 0 || length > MAX_TEXT) {
        const allowed = `write 1 to ${MAX_TEXT} characters into the form's field "text"`;
        throw Object.assign(new Error(`The text has ${length} characters; ${allowed}.`), { statusCode: 400 });
    }
    await query<ResultSetHeader>(master, "INSERT INTO entries (pod, text) VALUES (?, ?)", [pod.name, text]);
    return reply.redirect("/", 303);
});

server.get("/livez", () => "ok\n");

// Without slaves it can write, and without the master it can read.
server.get("/readyz", async () => {
    const reads = [master, slaves].map((each) => query(each, "SELECT 1 FROM entries LIMIT 1"));
    await Promise.any(reads).catch(({ errors }: AggregateError) => Promise.reject(errors[0]));
    return "ok\n";
});

server.setNotFoundHandler(({ method, url }, reply) =>
    send(reply.code(404), markup`<p>There is no ${method} ${url}; the only page is /.</p>\n`),
);

server.setErrorHandler<FastifyError>((error, { log }, reply) => {
    const { code, statusCode = 500, message } = error;
    if (statusCode === 500) {
        log.error(error);
    }
    const known: Readonly<Record<string, string>> = {
        FST_ERR_CTP_BODY_TOO_LARGE: `The form is too large; write at most ${MAX_TEXT} characters.`,
        FST_ERR_CTP_INVALID_MEDIA_TYPE:
            "The body is not a form; send it as application/x-www-form-urlencoded.",
    };
    const said = statusCode === 500 ? "The page failed; look into the pod's log." : (known[code] ?? message);
    return send(reply.code(statusCode), markup`<p>${said}</p>\n`);
});

// Requests that have begun are answered. When their connections are closed, nothing keeps the process.
let closing = false;
server.addHook("onSend", async (_, reply) => void (closing && reply.header("connection", "close")));
server.addHook("onClose", async () => {
    await Promise.all([...new Set([master, slaves])].map((each) => each.end()));
});
const stop = (): void => {
    closing = true;
    void server.close();
};
process.once("SIGTERM", stop).once("SIGINT", stop);

void server.listen({ host: "0.0.0.0", port: 8080 });
void createTable();

/** Creates the table as soon as the master answers. Any number of pods may do so at the same time. */
async function createTable(): Promise<void> {
    while (!closing) {
        try {
            await query(master, TABLE);
            return;
        } catch {
            await pause(1000, undefined, { ref: false });
        }
    }
}

function pool(address: string): Pool {
    const [host, port] = address.split(":");
    return mysql.createPool({
        host,
        port: Number(port),
        database: env("MYSQL_DATABASE"),
        user: env("MYSQL_USER"),
        password: readFileSync(env("MYSQL_PASSWORD_FILE"), "utf8").trim(),
        // The account requires TLS. The server's certificate is self-signed: encrypted, but not verified.
        ssl: { rejectUnauthorized: false },
        connectTimeout: CONNECT_MS,
        connectionLimit: 5,
        queueLimit: 50,
        // Idle connections are closed, so that reads reach slaves that were added later.
        maxIdle: 0,
        idleTimeout: 10_000,
        dateStrings: true,
    });
}

/** Runs a statement. A connection that failed is not used again: nothing may arrive on it any more. */
async function query<T extends RowDataPacket[] | ResultSetHeader>(
    from: Pool,
    sql: string,
    values: readonly string[] = [],
): Promise<T> {
    try {
        const connection = await from.getConnection();
        try {
            const [result] = await connection.query<T>({ sql, values: [...values], timeout: QUERY_MS });
            connection.release();
            return result;
        } catch (error) {
            connection.destroy();
            throw error;
        }
    } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        server.log.warn(`MySQL: ${message}`);
        if (code === "ER_NO_SUCH_TABLE") {
            void createTable();
        }
        const why = `MySQL does not serve this now (${code}); try again in a few seconds.`;
        throw Object.assign(new Error(why), { statusCode: 503 });
    }
}

/** Markup that goes into a page as it is. */
class Markup {
    readonly text: string;
    constructor(text: string) {
        this.text = text;
    }
}

/** Markup in which every value is escaped, unless it is markup itself. */
function markup(texts: TemplateStringsArray, ...values: readonly unknown[]): Markup {
    const escaped = (value: unknown): string => {
        if (Array.isArray(value)) {
            return value.map(escaped).join("");
        }
        const escape = (each: string): string => `&#${each.charCodeAt(0)};`;
        return value instanceof Markup ? value.text : String(value).replace(/[&<>"']/g, escape);
    };
    return new Markup(String.raw({ raw: texts }, ...values.map(escaped)));
}

function send(reply: FastifyReply, content: Markup): FastifyReply {
    const head = markup`<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>myweb</title>\n`;
    return reply.type("text/html; charset=utf-8").send(markup`${head}${content}</html>\n`.text);
}
