/** What `make restore` writes into a stack file. */
import * as fs from "node:fs";
import * as path from "node:path";

import { parse } from "yaml";

import { Refusal } from "../../operations/refusal";
import { withSetting } from "./copy";

const KEY = "dabaweb:restore";

/** The point to restore to, by the variables of make; empty ones are not given. */
export type Point = Readonly<Record<"AT" | "GTID" | "BASE" | "UNDO", string>>;

/**
 * A stack file's text that restores in place. Of the key that it has, another place and its password stay.
 *
 * @param word makes the restore happen once.
 * @throws Refusal unless exactly one thing is to be restored.
 */
export function withRestore(text: string, { AT, GTID, BASE, UNDO }: Point, word: string): string {
    const points = [AT && "AT", GTID && "GTID", UNDO && "UNDO"].filter((each) => each !== "");
    if (points.length > 1 || (UNDO !== "" && BASE !== "")) {
        const both = [...points, BASE && "BASE"].filter((each) => each !== "");
        throw new Refusal(
            `${both.join(" and ")} are set, and only one thing can be restored; set one of them.`,
        );
    }
    if (points.length === 0 && BASE === "") {
        throw new Refusal(
            "Nothing says what to restore; set AT to latest or a time in UTC, GTID to a transaction, BASE to a base that `make backups` " +
                "lists, or UNDO=1 to bring back what the last restore replaced.",
        );
    }
    const { config } = parse(text) as { config?: { [KEY]?: Record<string, unknown> } };
    const { prefix, encryptionPassword } = config?.[KEY] ?? {};
    const asked = {
        at: AT || undefined,
        gtid: GTID || undefined,
        base: BASE || undefined,
        undo: UNDO === "" ? undefined : true,
        word,
        ...{ prefix, encryptionPassword },
    };
    const value = Object.fromEntries(Object.entries(asked).filter(([, each]) => each !== undefined));
    return withSetting(text, KEY, value);
}

/** Writes it into the committed file, and says what it has written. */
export function askForRestore(file: string, point: Point): void {
    const word = `make-${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}`;
    fs.writeFileSync(file, withRestore(fs.readFileSync(file, "utf8"), point, word));
    console.log(
        `${path.basename(file)} has the key restore, with the word ${word}; commit it, or remove it after the update.`,
    );
}
