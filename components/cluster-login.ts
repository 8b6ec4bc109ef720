import { spawn } from "child_process";
import * as fs from "fs";

import * as pulumi from "@pulumi/pulumi";

import type { Context, LoginProgram } from "./kubeconfig";

/** What a login program returned. */
export interface Credential {
    readonly token?: string;
    readonly clientCertificateData?: string;
    readonly clientKeyData?: string;
    readonly expirationTimestamp?: string;
}

/** How long a login may take: somebody may have to open a page and enter a code. */
export const LOGIN_MINUTES = 5;

/**
 * Runs the program that logs a kubeconfig's user in, as kubectl runs it. What it says reaches the terminal while it runs.
 *
 * @param say what passes on a line of it.
 * @throws Error that names the program, and what to do.
 */
export async function logIn(
    { login, cluster }: { login: LoginProgram; cluster: Context["cluster"] },
    say: (line: string) => void = (line) => void pulumi.log.info(line),
    minutes: number = LOGIN_MINUTES,
): Promise<Credential> {
    const { command = "", args = [], env = [], installHint, interactiveMode } = login;
    const program = `${command}, which logs in to the cluster,`;
    if (interactiveMode === "Always") {
        // Pulumi's provider has no terminal either, and refuses such a user.
        throw new Error(
            `${program} has interactiveMode Always in the kubeconfig, and Pulumi has no terminal for it; set it to IfAvailable`,
        );
    }
    const child = spawn(command, args, {
        env: {
            ...process.env,
            ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
            KUBERNETES_EXEC_INFO: JSON.stringify(execInfo(login, cluster)),
        },
        stdio: ["ignore", "pipe", "pipe"],
    });
    let [answer, last, rest] = ["", "", ""];
    child.stdout.setEncoding("utf8").on("data", (data: string) => (answer += data));
    child.stderr.setEncoding("utf8").on("data", (data: string) => {
        const lines = (rest + data).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines.filter((each) => each.trim() !== "")) {
            last = line.trim();
            say(`${command}: ${last}`);
        }
    });
    const code = await new Promise<number | string>((resolve, reject) => {
        const late = setTimeout(() => {
            child.kill("SIGKILL");
            // What it started may keep its output open.
            child.stdout.destroy();
            child.stderr.destroy();
            reject(
                new Error(
                    `${program} did not end within ${minutes} minutes; run it by hand, or correct the kubeconfig`,
                ),
            );
        }, minutes * 60_000);
        child.on("error", ({ code: why, message }: NodeJS.ErrnoException) => {
            clearTimeout(late);
            const hint = installHint === undefined ? "" : `: ${installHint.trim().replace(/\s+/g, " ")}`;
            reject(
                new Error(
                    why === "ENOENT"
                        ? `${program} is not on this machine; install it${hint}`
                        : `${program} cannot be run (${why ?? message}); correct the kubeconfig`,
                ),
            );
        });
        child.on("close", (exit, signal) => {
            clearTimeout(late);
            resolve(exit ?? signal ?? "");
        });
    });
    if (code !== 0) {
        const said = rest.trim() || last;
        throw new Error(
            `${program} failed (${code}${said && `: ${said}`}); log in, or correct the kubeconfig`,
        );
    }
    const credential = credentialIn(answer);
    if (credential === undefined) {
        throw new Error(`${program} returned no credentials; log in, or correct the kubeconfig`);
    }
    return credential;
}

/** @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#input-and-output-formats */
function execInfo({ apiVersion, provideClusterInfo }: LoginProgram, cluster: Context["cluster"]): object {
    const { extensions, "certificate-authority": file, ...known } = cluster;
    const own = (Array.isArray(extensions) ? extensions : []).find(
        (each: { name?: unknown }) => each.name === "client.authentication.k8s.io/exec",
    ) as { extension?: unknown } | undefined;
    const authority =
        typeof file === "string" && file !== ""
            ? { "certificate-authority-data": fs.readFileSync(file).toString("base64") }
            : {};
    return {
        kind: "ExecCredential",
        apiVersion: apiVersion ?? "client.authentication.k8s.io/v1",
        spec: {
            interactive: false,
            ...(provideClusterInfo === true
                ? {
                      cluster: {
                          ...known,
                          ...authority,
                          ...(own === undefined ? {} : { config: own.extension }),
                      },
                  }
                : {}),
        },
    };
}

function credentialIn(answer: string): Credential | undefined {
    try {
        const { status } = JSON.parse(answer) as { status?: Credential };
        return status?.token || status?.clientCertificateData ? status : undefined;
    } catch {
        return undefined;
    }
}

/** Whether a credential can still be used. */
export function isValid({ expirationTimestamp }: Credential, now: number = Date.now()): boolean {
    return expirationTimestamp === undefined || Date.parse(expirationTimestamp) > now;
}
