import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { shellWord } from "./shell";

/** What `docker context inspect` says about the context in use, as far as it matters here. */
export interface DockerContext {
    readonly Name: string;
    readonly Endpoints?: { readonly docker?: { readonly Host?: string } };
    readonly TLSMaterial?: Readonly<Record<string, unknown>>;
    readonly Storage?: { readonly TLSPath?: string };
}

/** The engine that Docker uses if neither a variable nor a context names one. */
const DEFAULT_HOST = "unix:///var/run/docker.sock";

/**
 * The engine that Pulumi's Docker provider uses. It follows DOCKER_CONTEXT before DOCKER_HOST, the reverse of what the CLI
 * does, and knows neither the context that `docker context use` chose nor a DOCKER_CONFIG.
 *
 * @returns undefined if it finds no such context, and fails.
 */
export function providerHost(
    env: NodeJS.ProcessEnv = process.env,
    home: string = os.homedir(),
): string | undefined {
    const { DOCKER_CONTEXT: name, DOCKER_HOST: host } = env;
    return name ? contextHost(name, path.join(home, ".docker", "contexts", "meta")) : host || DEFAULT_HOST;
}

function contextHost(name: string, folder: string): string | undefined {
    const folders = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
    return folders
        .map((each) => {
            try {
                return JSON.parse(
                    fs.readFileSync(path.join(folder, each, "meta.json"), "utf8"),
                ) as DockerContext;
            } catch {
                return undefined;
            }
        })
        .find((each) => each?.Name === name)?.Endpoints?.docker?.Host;
}

/**
 * What to do where the CLI and the provider use different engines: nothing if it is the same one.
 *
 * @param context the CLI's.
 * @param provider the provider's engine, see {@link providerHost}.
 * @param env the environment that both have.
 */
export function engineRemedy(
    context: DockerContext,
    provider: string | undefined,
    env: NodeJS.ProcessEnv = process.env,
): string | undefined {
    const host = context.Endpoints?.docker?.Host || DEFAULT_HOST;
    const isTls = Object.keys(context.TLSMaterial ?? {}).length > 0 && !env.DOCKER_CERT_PATH;
    if (provider !== undefined && realHost(host) === realHost(provider) && !isTls) {
        return undefined;
    }
    const commands = [
        ...(env.DOCKER_CONTEXT ? ["unset DOCKER_CONTEXT"] : []),
        `export DOCKER_HOST=${shellWord(host)}`,
        ...(isTls
            ? [`export DOCKER_CERT_PATH=${shellWord(path.join(context.Storage?.TLSPath ?? "", "docker"))}`]
            : []),
    ];
    return (
        `docker uses context ${context.Name} at ${host}, but Pulumi's provider ` +
        `${provider === undefined ? `finds no context ${env.DOCKER_CONTEXT}` : `uses ${provider}`}; run ` +
        `\`${commands.join("; ")}\``
    );
}

/** One socket may have two names. */
function realHost(host: string): string {
    const [, file] = /^unix:\/\/(.*)$/.exec(host) ?? [];
    try {
        return file === undefined ? host : `unix://${fs.realpathSync(file)}`;
    } catch {
        return host;
    }
}
