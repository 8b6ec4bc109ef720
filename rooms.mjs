/** The rooms of the project and the imports that they may have: the table in docs/architecture.md, as data. */
import * as fs from "node:fs";

/**
 * @returns the rooms from top to bottom, each with the rooms that it may import from.
 * @throws Error if a room may import from one that is not further down, or from one that does not exist.
 */
export function readRooms(page = new URL("docs/architecture.md", import.meta.url)) {
    const rows = fs
        .readFileSync(page, "utf8")
        .split("\n")
        .filter((line) => line.startsWith("| `"))
        .map((line) => line.split("|").map((cell) => cell.trim()));
    const names = rows.map(([, room]) => room.replaceAll("`", ""));
    return rows.map(([, , , imports], index) => {
        const below = names.slice(index + 1);
        const listed = [...imports.matchAll(/`([^`]+)`/g)].map(([, room]) => room);
        for (const room of listed.filter((each) => !below.includes(each))) {
            throw new Error(
                `docs/architecture.md lets ${names[index]} import from ${room}, which is not a room further down; ` +
                    "move the row or the code.",
            );
        }
        return { room: names[index], imports: imports === "everything below" ? below : listed };
    });
}

/** A regular expression for the files of a room: one file, or those directly in a folder and in its folders that are no rooms. */
export function filesOf(room, rooms) {
    if (room.endsWith(".ts")) {
        return `^${room.replaceAll(".", "\\.")}$`;
    }
    const inner = rooms.map((each) => each.room).filter((each) => each.startsWith(`${room}/`));
    const others = inner.map((each) => each.slice(room.length + 1)).join("|");
    return others === "" ? `^${room}/` : `^${room}/(?!(?:${others})/)`;
}
