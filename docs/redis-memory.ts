/** Writes the table of docs/data.md that says how Redis uses its memory: `npm run docs`. A unit test compares the two. */
import * as fs from "fs";
import * as path from "path";

import { redisMemory } from "../components/redis";

const PAGE = path.join(__dirname, "data.md");
/** From the smallest that a stack file allows. */
const LIMITS_MI = [128, 192, 512, 1024, 4096];
const TITLES = [
    "memory limit",
    "data, at most",
    "one value",
    "all clients' requests and answers",
    "a slave may lag behind by",
    "backlog",
];

/** A page with the table as it is calculated now. */
export function withMemoryTable(page: string): string {
    const rows = LIMITS_MI.map((limit) => {
        const { data, value, clientBuffer, slaveBuffer, backlog } = redisMemory(limit * 2 ** 20);
        return [`${limit}Mi`, ...[data, value, clientBuffer, slaveBuffer, backlog].map(mebibytes)];
    });
    const widths = TITLES.map((title, n) =>
        Math.max(title.length, ...rows.map((row) => (row[n] ?? "").length)),
    );
    const line = (cells: readonly string[]) =>
        `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
    const table = [TITLES, widths.map((width) => "-".repeat(width)), ...rows].map(line).join("\n");
    return page.replace(/(?<=<!-- calculated -->\n\n)[^]*?(?=\n\n<!-- end -->)/, () => table);
}

function mebibytes(bytes: number): string {
    return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

if (require.main === module) {
    fs.writeFileSync(PAGE, withMemoryTable(fs.readFileSync(PAGE, "utf8")));
}
