/** The login that `docker login` stored for a registry, wherever Docker's configuration says that it is. */
import { execFile } from "child_process";

import { DockerConfig, dockerConfig, dockerConfigFile, dockerLoginOf } from "../components/registry";
import type { StackConfig } from "../config";
import { Refusal } from "./refusal";

/** How to log in to a registry. */
export interface Login {
    /** {@link IDENTITY_TOKEN}: the password is an identity token. */
    readonly username: string;
    readonly password: string;
    /** Where it comes from, for the message if the login is refused. */
    readonly origin: string;
}

/** The user name that credential helpers return for a user who logged in through a browser. */
export const IDENTITY_TOKEN = "<token>";

/** A helper that opens a window waits for its user. */
const HELPER_MS = 60_000;

/** A stack's login for a registry: its own if the registry is the one in its configuration, otherwise Docker's. */
export async function stackLogin(
    stack: string,
    { registry }: StackConfig,
    repository: string,
): Promise<Login | undefined> {
    const { address, username, password } = registry;
    const [host = ""] = repository.split("/");
    return username !== undefined && password !== undefined && address.split("/")[0] === host
        ? { username, password, origin: `from registry.username in Pulumi.${stack}.yaml` }
        : dockerLogin(repository);
}

/**
 * Docker's own login for a registry.
 *
 * @param address host[:port][/path].
 * @returns undefined if there is none.
 * @throws Refusal if Docker's configuration cannot be read or a credential helper fails.
 */
export async function dockerLogin(address: string): Promise<Login | undefined> {
    const [host = ""] = address.split("/");
    let config: DockerConfig;
    try {
        config = dockerConfig();
    } catch (error) {
        throw new Refusal(`${(error as Error).message}; correct it, or log in again.`);
    }
    const helper = config.credHelpers?.[host] ?? config.credsStore;
    return (helper ? await askHelper(helper, host) : undefined) ?? storedLogin(config, address);
}

function storedLogin(config: DockerConfig, address: string): Login | undefined {
    const { identitytoken, auth, ...fields } = dockerLoginOf(config, address) ?? {};
    const origin = `from ${process.env.DOCKER_AUTH_CONFIG ? "DOCKER_AUTH_CONFIG or " : ""}${dockerConfigFile()}`;
    if (identitytoken) {
        return { username: IDENTITY_TOKEN, password: identitytoken, origin };
    }
    const [, username, password] = auth
        ? (/^([^:]+):(.*)$/s.exec(Buffer.from(auth, "base64").toString()) ?? [])
        : [undefined, fields.username, fields.password];
    return username && password !== undefined
        ? { username, password: password.replace(/\0+$/, ""), origin }
        : undefined;
}

/** The output of a helper is not passed on: it may contain anything. */
function askHelper(helper: string, host: string): Promise<Login | undefined> {
    const program = `docker-credential-${helper}`;
    return new Promise((resolve, reject) => {
        const child = execFile(program, ["get"], { timeout: HELPER_MS }, (error, stdout) => {
            if (error !== null) {
                const why =
                    error.code === "ENOENT" ? "is not on PATH" : `failed (${error.code ?? error.signal})`;
                if (/credentials not found/i.test(stdout)) {
                    resolve(undefined);
                } else {
                    reject(
                        new Refusal(
                            `${program}, which Docker's configuration names for ${host}, ${why}; try \`docker login ${host}\`.`,
                        ),
                    );
                }
                return;
            }
            try {
                const { Username, Secret } = JSON.parse(stdout) as { Username: string; Secret: string };
                resolve({ username: Username, password: Secret, origin: `from ${program}` });
            } catch {
                reject(
                    new Refusal(
                        `${program} returned no credentials for ${host}; try \`docker login ${host}\`.`,
                    ),
                );
            }
        });
        // A helper that exits without reading its input closes the pipe early.
        child.stdin?.on("error", () => undefined).end(host);
    });
}

/** Whether a stack reaches the registry of a repository over plain http although it is not on this machine. */
export function isPlainHttp({ registry }: StackConfig, repository: string): boolean {
    return registry.plainHttp && registry.address.split("/")[0] === repository.split("/")[0];
}
