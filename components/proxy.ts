import { BlockList, isIP } from "net";

/**
 * The build arguments that lead a build's downloads through an HTTP proxy. Docker itself knows them: no Dockerfile declares
 * them, and no image contains them.
 */
export function proxyArguments(proxy: string | undefined): Record<string, string> {
    return proxy === undefined ? {} : { HTTP_PROXY: proxy, HTTPS_PROXY: proxy };
}

/**
 * The proxy through which Docker, kubectl and Pulumi's providers reach an address, as Go's programs read it from the
 * environment: never for this machine itself, nor for what NO_PROXY names (hosts, domains, addresses, ranges, with a port or
 * without).
 * @see https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config
 */
export function proxyFor(address: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
    const { protocol, hostname, port } = new URL(address);
    const isHttps = protocol === "https:";
    const proxy = isHttps ? env.HTTPS_PROXY || env.https_proxy : env.HTTP_PROXY || env.http_proxy;
    const host = hostname.replace(/^\[|\]$/g, "").toLowerCase();
    if (!proxy || host === "localhost" || isIn(host, "127.0.0.0/8") || host === "::1") {
        return undefined;
    }
    const exceptions = (env.NO_PROXY || env.no_proxy || "")
        .split(",")
        .map((each) => each.trim().toLowerCase());
    const own = port || (isHttps ? "443" : "80");
    return exceptions.some((each) => each === "*" || isException(host, own, each))
        ? undefined
        : /^\w+:\/\//.test(proxy)
          ? proxy
          : `http://${proxy}`;
}

function isException(host: string, port: string, exception: string): boolean {
    if (exception.includes("/")) {
        return isIn(host, exception);
    }
    const [, name = "", only] = /^(?:\*?(?=\.))?(\[.*\]|[^:]*|[0-9a-f:]+)(?::(\d+))?$/.exec(exception) ?? [];
    const plain = name.replace(/^\[|\]$/g, "");
    if (plain === "" || (only !== undefined && only !== port)) {
        return false;
    }
    return plain.startsWith(".") ? host.endsWith(plain) : host === plain || host.endsWith(`.${plain}`);
}

/** Whether a host is an address in a range. */
function isIn(host: string, range: string): boolean {
    const [network = "", bits = ""] = range.split("/");
    const family = isIP(host);
    if (family === 0 || family !== isIP(network) || !/^\d+$/.test(bits)) {
        return false;
    }
    const list = new BlockList();
    const kind = family === 6 ? "ipv6" : "ipv4";
    try {
        list.addSubnet(network, Number(bits), kind);
    } catch {
        return false;
    }
    return list.check(host, kind);
}
