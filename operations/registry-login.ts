/** The login that `docker login` left for a registry, wherever Docker's configuration says that it is kept. */
import { execFile } from "child_process";
import { existsSync, readFileSync } from "fs";

import { DockerConfig, dockerConfigFile, dockerLoginOf } from "../components/registry";
import type { StackConfig } from "../config";
import { Refusal } from "./stack-file";

/** How to log in to a registry. */
export interface Login {
    /** {@link IDENTITY_TOKEN}: the password is an identity token. */
    readonly username: string;
    readonly password: string;
    /** Where it comes from, for a user whose login is refused. */
    readonly origin: string;
}

/** What credential helpers give as the name of a user who logged in through a browser. */
export const IDENTITY_TOKEN = "<token>";

/** A helper that opens a window waits for its user. */
const HELPER_MS = 60_000;

/** A stack's login for a registry: its own, where that is the registry of its configuration, else Docker's. */
export async function stackLogin(
    stack: string,
    { registry }: StackConfig,
    repository: string,
): Promise<Login | undefined> {
    const { address, username, password } = registry;
    const [host = ""] = repository.split("/");
    return username !== undefined && password !== undefined && address.split("/")[0] === host
        ? { username, password, origin: `of registry.username in Pulumi.${stack}.yaml` }
        : dockerLogin(host);
}

/**
 * Docker's own login for a registry.
 *
 * @param host host[:port].
 * @returns undefined where there is none.
 * @throws Refusal where Docker's configuration or a credential helper cannot be read.
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
        // What JSON.parse says repeats a part of the file.
        throw new Refusal(`Docker's configuration ${file} is not JSON; correct it, or log in anew.`);
    }
    const helper = config.credHelpers?.[host] ?? config.credsStore;
    return (helper ? await askHelper(helper, host) : undefined) ?? storedLogin(config, host, file);
}

function storedLogin(config: DockerConfig, host: string, file: string): Login | undefined {
    const stored = dockerLoginOf(config, host);
    const origin = `of ${file}`;
    if (stored?.identitytoken) {
        return { username: IDENTITY_TOKEN, password: stored.identitytoken, origin };
    }
    const [, username, password] =
        /^([^:]*):(.*)$/s.exec(Buffer.from(stored?.auth ?? "", "base64").toString()) ?? [];
    return username === undefined || password === undefined ? undefined : { username, password, origin };
}

/** What a helper says is not passed on: nobody knows what is in it. */
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
                resolve({ username: Username, password: Secret, origin: `of ${program}` });
            } catch {
                reject(
                    new Refusal(`${program} gave no credentials for ${host}; try \`docker login ${host}\`.`),
                );
            }
        });
        // A helper that ends without reading closes the pipe early.
        child.stdin?.on("error", () => undefined).end(host);
    });
}
