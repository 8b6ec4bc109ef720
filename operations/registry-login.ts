/** The login that `docker login` stored for a registry, wherever Docker's configuration says that it is. */
import { execFile } from "child_process";
import { existsSync, readFileSync } from "fs";

import { DockerConfig, dockerConfigFile, dockerLoginOf } from "../components/registry";
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
        : dockerLogin(host);
}

/**
 * Docker's own login for a registry.
 *
 * @param host host[:port].
 * @returns undefined if there is none.
 * @throws Refusal if Docker's configuration cannot be read or a credential helper fails.
 */
export async function dockerLogin(host: string): Promise<Login | undefined> {
    const file = dockerConfigFile();
    if (!existsSync(file)) {
        return undefined;
    }
    let config: DockerConfig;
    try {
        config = JSON.parse(readFileSync(file, "utf8")) as DockerConfig;
    } catch {
        // The message of JSON.parse repeats a part of the file.
        throw new Refusal(`Docker's configuration ${file} is not JSON; correct it, or log in again.`);
    }
    const helper = config.credHelpers?.[host] ?? config.credsStore;
    return (helper ? await askHelper(helper, host) : undefined) ?? storedLogin(config, host, file);
}

function storedLogin(config: DockerConfig, host: string, file: string): Login | undefined {
    const stored = dockerLoginOf(config, host);
    const origin = `from ${file}`;
    if (stored?.identitytoken) {
        return { username: IDENTITY_TOKEN, password: stored.identitytoken, origin };
    }
    const [, username, password] =
        /^([^:]*):(.*)$/s.exec(Buffer.from(stored?.auth ?? "", "base64").toString()) ?? [];
    return username === undefined || password === undefined ? undefined : { username, password, origin };
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
