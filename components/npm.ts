import { proxyArguments } from "./proxy";

/** Where a build gets npm packages. */
export interface NpmSources {
    /** URL of a registry that replaces npm's own. Default: none. */
    readonly mirror?: string;
    /** HTTP proxy for access to the registry. Default: none. */
    readonly proxy?: string;
}

/** The build arguments for a Dockerfile that runs npm and declares `ARG NPM_CONFIG_REGISTRY=`. */
export function npmArguments({ mirror, proxy }: NpmSources): Record<string, string> {
    return {
        ...(mirror === undefined ? {} : { NPM_CONFIG_REGISTRY: mirror }),
        ...proxyArguments(proxy),
    };
}
