/** The rooms of the project and the imports between them, as data: the table in docs/architecture.md. */
import * as fs from "fs";
import * as path from "path";

/** One row of the table. */
export interface Room {
    /** A folder, or one file at the top. */
    readonly room: string;
    /** The rooms that its files may import from. */
    readonly imports: readonly string[];
}

/**
 * Reads the rooms from top to bottom.
 *
 * @throws Error if a room may import from one that is not further down.
 */
export function readRooms(page = fs.readFileSync(path.join(__dirname, "architecture.md"), "utf8")): Room[] {
    const rows = page
        .split("\n")
        .filter((line) => line.startsWith("| `"))
        .map((line) => line.split("|").map((cell) => cell.trim()));
    const names = rows.map(([, room]) => room!.replaceAll("`", ""));
    return rows.map(([, , , imports], index) => {
        const room = names[index]!;
        const below = names.slice(index + 1);
        const listed = [...imports!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
        for (const other of listed.filter((each) => !below.includes(each))) {
            throw new Error(
                `docs/architecture.md lets ${room} import from ${other}, which is not a room further down; ` +
                    "move the row or the code.",
            );
        }
        return { room, imports: imports === "everything below" ? below : listed };
    });
}

/** A regular expression for the files of a room; a folder inside it that is a room itself does not belong to it. */
export function filesOf(room: string, rooms: readonly Room[]): string {
    if (room.endsWith(".ts")) {
        return `^${room.replaceAll(".", "\\.")}$`;
    }
    const inner = rooms
        .filter((each) => each.room.startsWith(`${room}/`))
        .map((each) => each.room.slice(room.length + 1));
    return inner.length === 0 ? `^${room}/` : `^${room}/(?!(?:${inner.join("|")})/)`;
}
