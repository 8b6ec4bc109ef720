import assert from "assert";
import { setTimeout as pause } from "timers/promises";

import { System } from "../support/system";

/** A site with public pages, and its first admin's password. */
export interface Site {
    readonly url: string;
    readonly adminPassword: () => Promise<string>;
}

/** The site of a deployed stack; reads the password the way that `make up` explains. */
export function siteOf(system: System): Site {
    return {
        url: system.url,
        adminPassword: async () => {
            const field = ["-o", "jsonpath={.data.password}"];
            const encoded = await system.kubectl(["get", "secret", "dabacluster-admin", ...field]);
            return Buffer.from(encoded, "base64").toString();
        },
    };
}

/**
 * Opens a page. If a database is slow once, the answer is a 503 that says when to ask again (docs/web.md): the page is opened
 * again then, once.
 *
 * @param said the status and the header Retry-After of an answer.
 */
export async function openAgain<T>(
    open: () => Promise<T>,
    said: (answer: T) => { readonly status: number; readonly after: string | null | undefined },
): Promise<T> {
    const answer = await open();
    const { status, after } = said(answer);
    if (status !== 503 || !after) {
        return answer;
    }
    await pause(Number(after) * 1000);
    return open();
}

/** A minimal browser that keeps cookies. */
export class Client {
    private readonly cookies = new Map<string, string>();

    /**
     * @param headers sent with every request.
     * @param refused whether a page that is answered with a 503 is opened {@link openAgain}; a form is sent once in any case.
     */
    constructor(
        private readonly url: string,
        private readonly headers: Readonly<Record<string, string>> = {},
        private readonly refused: "open again" | "fail" = "open again",
    ) {}

    /** Returns the response's text and origin; throws if it does not have the expected status. */
    async ask(path: string, form?: Record<string, string>, expected = 200) {
        const once = () => this.request(path, form);
        const response =
            form === undefined && this.refused === "open again"
                ? await openAgain(once, ({ status, headers }) => ({
                      status,
                      after: headers.get("retry-after"),
                  }))
                : await once();
        const text = await response.text();
        assert.strictEqual(response.status, expected, `${path}: ${text.slice(0, 500)}`);
        return { text, origin: response.headers.get("x-page-from") ?? "" };
    }

    /** Sends one request with the cookies, and keeps those of the answer. */
    private async request(path: string, form: Record<string, string> | undefined): Promise<Response> {
        const response = await fetch(`${this.url}${path}`, {
            redirect: "manual",
            signal: AbortSignal.timeout(60_000),
            headers: {
                ...this.headers,
                Origin: this.url,
                Cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; "),
            },
            ...(form === undefined ? {} : { method: "POST", body: new URLSearchParams(form) }),
        });
        for (const cookie of response.headers.getSetCookie()) {
            const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
            this.cookies.set(name, value);
        }
        return response;
    }

    /** Opens a form and submits it with these fields. */
    async send(path: string, fields: Readonly<Record<string, string>>): Promise<void> {
        const { text } = await this.ask(path);
        const csrf = { csrfmiddlewaretoken: field(text, "csrfmiddlewaretoken") };
        const inlines = { "user_set-TOTAL_FORMS": "0", "user_set-INITIAL_FORMS": "0" };
        await this.ask(path, { seen: field(text, "seen"), ...csrf, ...inlines, ...fields }, 302);
    }

    /** Signs in as the first admin. */
    async signIn(password: string): Promise<void> {
        await this.send("/admin/login/", { username: "admin", password, next: "/admin/" });
    }
}

function field(text: string, name: string): string {
    return new RegExp(`name="${name}" value="([^"]*)"`).exec(text)?.[1] ?? "";
}
