import { execFile } from "child_process";

import {
    type Configuration,
    CoreV1Api,
    createConfiguration,
    KubeConfig,
    ResponseContext,
    SelfDecodingBody,
    ServerConfiguration,
    type User,
    wrapHttpLibrary,
} from "@kubernetes/client-node";

import { type Credential, isValid, LOGIN_MINUTES, logIn } from "./cluster-login";
import { type Context, readContext } from "./kubeconfig";

/** How long one answer may take, in milliseconds. By default, kubectl waits forever. */
export const ANSWER_MS = 10_000;

/** An API of the client, for example AppsV1Api. */
type Api<T> = new (configuration: Configuration) => T;

/** Asks the cluster of a context, and logs in first where the kubeconfig says that a program does that. */
export class ClusterClient {
    private constructor(
        private readonly make: <T>(type: Api<T>) => T,
        private readonly login: Login | undefined,
        private readonly limit: number,
    ) {}

    /**
     * Finds a way to the cluster: this client's own, otherwise kubectl, which can reach what Pulumi's provider can.
     *
     * @param answerMs how long one answer may take, without a login.
     * @throws Error that says why the cluster cannot be asked.
     */
    static async connect(context: string, answerMs: number = ANSWER_MS): Promise<ClusterClient> {
        const known = readContext(context);
        const login = known.login && new Login({ ...known, login: known.login });
        // A login that fails would fail again for kubectl.
        await login?.credential();
        const own = new ClusterClient(
            <T>(type: Api<T>) => known.config.makeApiClient(type as never) as T,
            login,
            answerMs,
        );
        login?.applyTo(known.config);
        try {
            await own.probe();
            return own;
        } catch (error) {
            // kubectl logs in by itself, each time.
            const limit = answerMs + (login === undefined ? 0 : LOGIN_MINUTES * 60_000);
            const other = new ClusterClient(
                (type) => new type(throughKubectl(context, limit)),
                undefined,
                limit,
            );
            try {
                await other.probe();
                return other;
            } catch (second) {
                const isAbsent = (second as NodeJS.ErrnoException).code === "ENOENT";
                throw isAbsent ? error : second;
            }
        }
    }

    /** Throws if nobody answers, or not to this user. */
    private async probe(): Promise<void> {
        const api = this.api(CoreV1Api);
        await this.ask(() => api.readNamespace({ name: "kube-system" })).catch((error: unknown) => {
            if (![403, 404].includes((error as { code?: number }).code ?? 0)) {
                throw error;
            }
        });
    }

    /** One of the client's APIs. */
    api<T>(type: Api<T>): T {
        return this.make(type);
    }

    /** Asks a question within a time limit, which a login does not count towards. */
    async ask<T>(question: () => Promise<T>): Promise<T> {
        await this.login?.credential();
        try {
            return await withTimeout(question(), this.limit);
        } catch (error) {
            if (this.login === undefined || (error as { code?: unknown }).code !== 401) {
                throw error;
            }
            // The server may end a login before its time.
            this.login.forget();
            await this.login.credential();
            return withTimeout(question(), this.limit);
        }
    }
}

/** One login for all questions. */
class Login {
    private current: Promise<Credential> | undefined;

    constructor(private readonly context: Context & { login: NonNullable<Context["login"]> }) {}

    async credential(): Promise<Credential> {
        const known = await this.current;
        if (known !== undefined && isValid(known)) {
            return known;
        }
        this.current = logIn(this.context);
        // The next question tries again.
        this.current.catch(() => this.forget());
        return this.current;
    }

    forget(): void {
        this.current = undefined;
    }

    applyTo(config: KubeConfig): void {
        config.addAuthenticator({
            isAuthProvider: (user: User) => user === config.getCurrentUser(),
            applyAuthentication: async (_user, options) => {
                const { token, clientCertificateData, clientKeyData } = await this.credential();
                Object.assign(options, {
                    ...(clientCertificateData ? { cert: clientCertificateData } : {}),
                    ...(clientKeyData ? { key: clientKeyData } : {}),
                    ...(token ? { headers: { ...options.headers, Authorization: `Bearer ${token}` } } : {}),
                });
            },
        });
    }
}

/** The client's questions, asked by kubectl. */
function throughKubectl(context: string, limit: number): Configuration {
    return createConfiguration({
        baseServer: new ServerConfiguration("http://kubectl", {}),
        httpApi: wrapHttpLibrary({
            send: async (request) => {
                const { pathname, search } = new URL(request.getUrl());
                const { status, body } = await kubectl(context, pathname + search, limit);
                const bytes = new SelfDecodingBody(Promise.resolve(Buffer.from(body)));
                return new ResponseContext(status, { "content-type": "application/json" }, bytes);
            },
        }),
    });
}

const STATUSES: Readonly<Record<string, number>> = { Unauthorized: 401, Forbidden: 403, NotFound: 404 };

function kubectl(context: string, path: string, timeout: number): Promise<{ status: number; body: string }> {
    const args = ["--context", context, "get", "--raw", path, `--request-timeout=${ANSWER_MS / 1000}s`];
    const options = { timeout, maxBuffer: 256 * 2 ** 20 };
    return new Promise((resolve, reject) => {
        const child = execFile("kubectl", args, options, (error, stdout, stderr) => {
            const [, reason = ""] = /^Error from server \((\w+)\)/m.exec(stderr) ?? [];
            const status = error === null ? 200 : STATUSES[reason];
            if (status !== undefined) {
                resolve({ status, body: error === null ? stdout : "{}" });
            } else if (error?.code === "ENOENT") {
                reject(error);
            } else {
                reject(new Error(`kubectl says: ${stderr.trim().split("\n").at(-1) || "nothing"}`));
            }
        });
        child.stdin?.end();
    });
}

async function withTimeout<T>(question: Promise<T>, limit: number): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${limit / 1000} s`)), limit);
    });
    try {
        return await Promise.race([question, deadline]);
    } finally {
        clearTimeout(timer);
    }
}
