/**
 * What a stack file has to say on this machine alone: what stands in for official images, and the proxy. It goes into the
 * copy of a stack of the local cluster; the committed file is everybody's.
 */
import { isMap, parseDocument } from "yaml";

import { ownBases } from "../state/bases";

/**
 * A stack file's text with what this machine adds; a file that says something about a matter itself keeps that.
 *
 * @param prefix of the program's keys
 */
export function forThisMachine(
    text: string,
    prefix = "dabaweb",
    bases = ownBases(),
    env: NodeJS.ProcessEnv = process.env,
): string {
    const document = parseDocument(text);
    const config = document.errors.length === 0 ? document.get("config") : undefined;
    if (!isMap(config)) {
        return text;
    }
    const part = (key: string): unknown => config.get(key) ?? document.createNode({});
    const [own, mirror] = [part(`${prefix}:bases`), part(`${prefix}:mirror`)];
    // Whatever is wrong with a file, the program tells better.
    if (!isMap(own) || !isMap(mirror)) {
        return text;
    }
    const added = mirror.has("images") ? [] : Object.entries(bases).filter(([name]) => !own.has(name));
    added.forEach(([name, image]) => own.set(name, image));
    const proxy = mirror.has("proxy") || mirror.has("pip") ? undefined : usableProxy(env);
    if (proxy !== undefined) {
        mirror.set("proxy", proxy);
    }
    if (added.length > 0) {
        config.set(`${prefix}:bases`, own);
    }
    if (proxy !== undefined) {
        config.set(`${prefix}:mirror`, mirror);
    }
    return added.length > 0 || proxy !== undefined ? document.toString({ lineWidth: 0 }) : text;
}

/**
 * The proxy of this machine, where builds can use it: their containers have a loopback of their own, and what a stack file says
 * is in plain in Pulumi's state, so one that wants a login stays out of it.
 */
function usableProxy(env: NodeJS.ProcessEnv): string | undefined {
    const proxy = env.HTTPS_PROXY || env.https_proxy || env.HTTP_PROXY || env.http_proxy || "";
    // What curl and Go take without a scheme.
    const url = /^\w+:\/\//.test(proxy) ? proxy : `http://${proxy}`;
    if (!/^https?:/.test(url) || !URL.canParse(url)) {
        return undefined;
    }
    const { username, hostname } = new URL(url);
    return username === "" && !/^(localhost|127\..*|\[::1\])$/.test(hostname) ? url : undefined;
}
