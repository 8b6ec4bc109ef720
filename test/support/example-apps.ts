/** The images of the examples' web servers, and requests to them. */
import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";

import { npmArguments } from "../../components/npm";
import { images, tagged } from "../../local/pins";
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

/** Sends a request; no answer within five seconds is a failure. */
export function call(url: string, options: RequestInit = {}): Promise<Response> {
    return fetch(url, { redirect: "manual", signal: AbortSignal.timeout(5000), ...options });
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

/**
 * Ends a container as the kubelet does, while it has received half of a POST request.
 *
 * @returns the answer to that request, and the container's exit code
 */
export async function endDuring(
    container: string,
    url: string,
    type: string,
    body: string,
): Promise<{ status: number; answer: string; exit: string }> {
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
