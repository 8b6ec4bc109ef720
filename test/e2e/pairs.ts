/** A user who writes and reads repeatedly, while others read the same page. */
import assert from "assert";
import { randomBytes } from "crypto";

import { PATIENCE } from "../support/command";
import { Client, Site } from "./site";

/** While Redis replicates, all other users see a write within this time (docs/web.md), on a machine that is not busy. */
const BOUND_SECONDS = 1;
const READERS = 8;
const PAGE = "/User_data";

/** What was seen. */
export interface Pairs {
    /** Reads by the writer that did not show their latest write. */
    readonly staleForWriter: number;
    /** Reads by others that started a second or more after {@link PATIENCE} times the bound and showed something older. */
    readonly staleForOthers: number;
    /** Number of answers by the page's origin: cache, replica, default. */
    readonly origins: Readonly<Record<string, number>>;
    /** Number of reads by all others. */
    readonly reads: number;
}

/**
 * Changes one employee and reads the page, this many times, while {@link READERS} others read the page. Deletes the
 * employee afterwards.
 */
export async function writeAndRead(site: Site, pairs: number): Promise<Pairs> {
    // This name sorts first on the page.
    const name = `0-${randomBytes(4).toString("hex")}`;
    const shown = (text: string) =>
        Number(new RegExp(`<bdi>${name}</bdi></td><td class="number">(\\d+)<`).exec(text)?.[1]);
    const writer = new Client(site.url);
    await writer.signIn(await site.adminPassword());
    await writer.send("/admin/form/userdata/add/", { name, money: "0" });
    const list = await writer.ask(`/admin/form/userdata/?q=${name}`);
    const employee = /\/admin\/form\/userdata\/\d+\//.exec(list.text)?.[0] ?? "";

    /** The time when each value was acknowledged, by value. */
    const acknowledged = [Date.now()];
    const origins: Record<string, number> = {};
    let [staleForWriter, staleForOthers, reads, isOver] = [0, 0, 0, false];
    const readsUntilOver = async () => {
        const reader = new Client(site.url);
        let wanted = -1;
        // Until the last write is due, too: all of them may take less time than the bound.
        while (!isOver || wanted < acknowledged.length - 1) {
            const due = Date.now() - (PATIENCE * BOUND_SECONDS + 1) * 1000;
            wanted = acknowledged.filter((time) => time <= due).length - 1;
            const { text, origin } = await reader.ask(PAGE);
            origins[origin] = (origins[origin] ?? 0) + 1;
            reads += 1;
            staleForOthers += wanted >= 0 && !(shown(text) >= wanted) ? 1 : 0;
        }
    };
    // A reader's failure is reported at the end, not as an unhandled rejection.
    const others = Promise.allSettled(Array.from({ length: READERS }, readsUntilOver));
    try {
        for (let value = 1; value <= pairs; value++) {
            await writer.send(`${employee}change/`, { name, money: String(value) });
            acknowledged.push(Date.now());
            const { text, origin } = await writer.ask(PAGE);
            origins[origin] = (origins[origin] ?? 0) + 1;
            staleForWriter += shown(text) === value ? 0 : 1;
        }
    } finally {
        isOver = true;
        await others;
        await writer.send(`${employee}delete/`, { post: "yes" });
    }
    const failed = (await others).find((reader) => reader.status === "rejected");
    assert.strictEqual(failed?.reason, undefined);
    return { staleForWriter, staleForOthers, origins, reads };
}
