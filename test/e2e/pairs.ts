/** One who writes and reads again and again, while others read the same page. */
import assert from "assert";
import { randomBytes } from "crypto";

import type { Site } from "./site";

/** Within this time everybody else sees a write, while Redis replicates (docs/web.md). */
const BOUND_SECONDS = 1;
const READERS = 8;
const PAGE = "/User_data";

/** What was seen. */
export interface Pairs {
    /** Reads of the writer that did not show what he had just written. */
    readonly staleForWriter: number;
    /** Reads of others that began a second or more after the bound, and showed something older. */
    readonly staleForOthers: number;
    /** Answers by where the page came from: cache, replica, default. */
    readonly origins: Readonly<Record<string, number>>;
    /** Reads of all others. */
    readonly reads: number;
}

/** A browser without a window: it keeps cookies. */
class Client {
    private readonly cookies = new Map<string, string>();

    constructor(private readonly url: string) {}

    /** The answer's text; throws unless it has one of these states. */
    async ask(path: string, form?: Record<string, string>, expected = 200) {
        const response = await fetch(`${this.url}${path}`, {
            redirect: "manual",
            signal: AbortSignal.timeout(60_000),
            headers: {
                Origin: this.url,
                Cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; "),
            },
            ...(form === undefined ? {} : { method: "POST", body: new URLSearchParams(form) }),
        });
        for (const cookie of response.headers.getSetCookie()) {
            const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
            this.cookies.set(name, value);
        }
        const text = await response.text();
        assert.strictEqual(response.status, expected, `${path}: ${text.slice(0, 500)}`);
        return { text, origin: response.headers.get("x-page-from") ?? "" };
    }
}

function field(text: string, name: string): string {
    return new RegExp(`name="${name}" value="([^"]*)"`).exec(text)?.[1] ?? "";
}

/**
 * Changes one employee and reads the page, so many times, with {@link READERS} others reading the page all the while.
 * The employee is removed afterwards.
 */
export async function writeAndRead(site: Site, pairs: number): Promise<Pairs> {
    // First on the page.
    const name = `0-${randomBytes(4).toString("hex")}`;
    const shown = (text: string) =>
        Number(new RegExp(`<bdi>${name}</bdi></td><td class="number">(\\d+)<`).exec(text)?.[1]);
    const writer = new Client(site.url);
    /** Opens a form and sends it with these fields. */
    const send = async (path: string, fields: Record<string, string>) => {
        const { text } = await writer.ask(path);
        const csrf = { csrfmiddlewaretoken: field(text, "csrfmiddlewaretoken") };
        const inlines = { "user_set-TOTAL_FORMS": "0", "user_set-INITIAL_FORMS": "0" };
        await writer.ask(path, { seen: field(text, "seen"), ...csrf, ...inlines, ...fields }, 302);
    };
    const password = await site.adminPassword();
    await send("/admin/login/", { username: "admin", password, next: "/admin/" });
    await send("/admin/form/userdata/add/", { name, money: "0" });
    const list = await writer.ask(`/admin/form/userdata/?q=${name}`);
    const employee = /\/admin\/form\/userdata\/\d+\//.exec(list.text)?.[0] ?? "";

    /** When each value was acknowledged, by value. */
    const acknowledged = [Date.now()];
    const origins: Record<string, number> = {};
    let [staleForWriter, staleForOthers, reads, isOver] = [0, 0, 0, false];
    const readsUntilOver = async () => {
        const reader = new Client(site.url);
        while (!isOver) {
            const due = Date.now() - (BOUND_SECONDS + 1) * 1000;
            const wanted = acknowledged.filter((time) => time <= due).length - 1;
            const { text, origin } = await reader.ask(PAGE);
            origins[origin] = (origins[origin] ?? 0) + 1;
            reads += 1;
            staleForOthers += wanted >= 0 && !(shown(text) >= wanted) ? 1 : 0;
        }
    };
    // A failure of theirs is told at the end, not while nobody waits for it.
    const others = Promise.allSettled(Array.from({ length: READERS }, readsUntilOver));
    try {
        for (let value = 1; value <= pairs; value++) {
            await send(`${employee}change/`, { name, money: String(value) });
            acknowledged.push(Date.now());
            const { text, origin } = await writer.ask(PAGE);
            origins[origin] = (origins[origin] ?? 0) + 1;
            staleForWriter += shown(text) === value ? 0 : 1;
        }
    } finally {
        isOver = true;
        await others;
        await send(`${employee}delete/`, { post: "yes" });
    }
    const failed = (await others).find((reader) => reader.status === "rejected");
    assert.strictEqual(failed?.reason, undefined);
    return { staleForWriter, staleForOthers, origins, reads };
}
