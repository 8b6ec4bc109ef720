/**
 * The build arguments that lead a build's downloads through an HTTP proxy. Docker itself knows them: no Dockerfile declares
 * them, and no image contains them.
 */
export function proxyArguments(proxy: string | undefined): Record<string, string> {
    return proxy === undefined ? {} : { HTTP_PROXY: proxy, HTTPS_PROXY: proxy };
}
