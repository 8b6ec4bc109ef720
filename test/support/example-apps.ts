/** The images of the examples' web servers, and requests to them. */
import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";

import { npmArguments } from "../../components/npm";
import { images, tagged } from "../../local/pins";
import { PATIENCE } from "./command";
import { baseConfig, build, docker, waitFor } from "./docker";

/** Builds the web server of an example, with the machine's registry and proxy, if the environment names them. */
export async function buildApp(example: string, tag: string): Promise<string> {
    await baseConfig(tagged(images.exampleBases[0].image));
    const { NPM_CONFIG_REGISTRY: mirror, HTTPS_PROXY: proxy } = process.env;
    const context = join(__dirname, "../../examples", example);
    const dockerfile = join(context, "app/Dockerfile");
    return build({
        context,
        dockerfile,
        tag,
        buildArgs: { CONTENT: tag, ...npmArguments({ mirror, proxy }) },
    });
}

/** The address of a container's only published port. */
export async function addressOf(container: string): Promise<string> {
    return `http://${(await docker(["port", container])).split(" -> ")[1]!.split("\n")[0]}`;
}

/** Sends a request; no answer within five seconds on an idle machine is a failure. */
export function call(url: string, options: RequestInit = {}): Promise<Response> {
    const signal = AbortSignal.timeout(PATIENCE * 5000);
    return fetch(url, { redirect: "manual", signal, ...options });
}

/** Sends a request until the answer is no 503: the apps answer so after two or three seconds, however busy the machine is. */
export function served(send: () => Promise<Response>): Promise<Response> {
    return waitFor("an answer other than 503", 60, async () => {
        const response = await send();
        if (response.status !== 503) {
            return response;
        }
        throw new Error(await response.text());
    });
}

/** Waits until a URL answers with a status. */
export function until(url: string, status: number): Promise<Response> {
    return waitFor(`${url} answers ${status}`, 60, async () => {
        const response = await call(url);
        if (response.status === status) {
            return response;
        }
        throw new Error(`${response.status}: ${await response.text()}`);
    });
}

/** The answer to a request that a container had begun with when it was ended, and its exit code. */
interface End {
    readonly status: number;
    readonly answer: string;
    readonly exit: string;
}

/**
 * Ends a container as the kubelet does, while it has received half of a POST request; again if the answer is a 503, see
 * {@link served}.
 */
export async function endDuring(container: string, path: string, type: string, body: string): Promise<End> {
    const end = await waitFor("an answer other than 503", 60, async () => {
        // It is running, unless an attempt has ended it; then it has another address.
        await docker(["start", container]);
        const url = await addressOf(container);
        await until(`${url}/readyz`, 200);
        // A request that is not answered at all is what this looks for.
        const once = await endOnce(container, url + path, type, body).catch((error: Error) => error);
        if (once instanceof Error || once.status !== 503 || once.exit !== "0") {
            return once;
        }
        throw new Error(once.answer);
    });
    if (end instanceof Error) {
        throw end;
    }
    return end;
}

async function endOnce(container: string, url: string, type: string, body: string): Promise<End> {
    const headers = {
        "content-type": type,
        "content-length": Buffer.byteLength(body),
        expect: "100-continue",
    };
    // Clients keep connections open for longer than a container has to end.
    const agent = new Agent({ keepAlive: true });
    const half = request(url, { method: "POST", headers, agent });
    // The server asks for the body: it has begun with the request.
    await once(half, "continue");
    await docker(["kill", "--signal", "TERM", container]);
    await waitFor("the server accepts no more connections", 10, () =>
        call(url).then(
            () => false,
            () => true,
        ),
    );
    const answered = once(half, "response") as Promise<[IncomingMessage]>;
    half.end(body);
    const [response] = await answered;
    const answer = await text(response);
    try {
        const exit = await docker(["wait", container]);
        return { status: response.statusCode!, answer, exit };
    } finally {
        agent.destroy();
    }
}
