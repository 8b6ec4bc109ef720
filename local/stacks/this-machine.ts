/**
 * The settings that a stack file needs on this machine only: the stand-ins for official images, and the proxy. They are
 * written to the copy of the stack file if the stack is on the local cluster; the committed file is shared by everyone.
 */
import { isMap, parseDocument } from "yaml";

import { ownBases, productBases } from "../state/bases";

const PRODUCT = "dabaweb";

/**
 * A stack file's text with this machine's additions; settings that the file already has are kept.
 *
 * @param prefix of the program's keys: its project's name. The product has no keys for the examples' bases.
 */
export function forThisMachine(
    text: string,
    prefix = PRODUCT,
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
    // The program itself explains better what is wrong with a file.
    if (!isMap(own) || !isMap(mirror)) {
        return text;
    }
    const usable = Object.entries(prefix === PRODUCT ? productBases(bases) : bases);
    const added = mirror.has("images") ? [] : usable.filter(([name]) => !own.has(name));
    added.forEach(([name, image]) => own.set(name, image));
    const proxy = ["proxy", "pip", "npm"].some((key) => mirror.has(key)) ? undefined : usableProxy(env);
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
 * This machine's proxy, if builds can use it. A proxy on loopback is left out, since build containers have their own loopback.
 * So is a proxy that requires a login, since a stack file's settings are in plain text in Pulumi's state.
 */
function usableProxy(env: NodeJS.ProcessEnv): string | undefined {
    const proxy = env.HTTPS_PROXY || env.https_proxy || env.HTTP_PROXY || env.http_proxy || "";
    // curl and Go accept a proxy without a scheme.
    const url = /^\w+:\/\//.test(proxy) ? proxy : `http://${proxy}`;
    if (!/^https?:/.test(url) || !URL.canParse(url)) {
        return undefined;
    }
    const { username, hostname } = new URL(url);
    return username === "" && !/^(localhost|127\..*|\[::1\])$/.test(hostname) ? url : undefined;
}
