/**
 * Writes docs/memory.md from the formulas in components/mysql-sizes.ts: `npm run docs`. A unit test compares the two.
 */
import * as fs from "fs";
import * as path from "path";

import { DATASET_DEFAULTS } from "../components/dataset";
import { intakeOf, RESERVED_CONNECTIONS, sizesOf } from "../components/mysql-sizes";

const LIMITS = ["512Mi", "640Mi", "1Gi", "2Gi", "4Gi", "8Gi", "16Gi", "64Gi"];

/** The page as text. */
export function memoryPage(): string {
    const template = fs.readFileSync(path.join(__dirname, "memory-page.md.in"), "utf8");
    const table = [
        "| memory limit | connections | of them for the site | buffer pool | workspace | largest statement or value | largest row |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        ...LIMITS.map((limit) => {
            const sizes = sizesOf(limit);
            const { largestRow, maxPacket } = intakeOf([{ ...sizes, storage: DATASET_DEFAULTS.storage }]);
            const cells = [
                limit,
                String(sizes.maxConnections),
                String(sizes.maxConnections - RESERVED_CONNECTIONS),
                ...[sizes.bufferPool, sizes.workspace, maxPacket, largestRow].map(mebibytes),
            ];
            return `| ${cells.join(" | ")} |`;
        }),
    ].join("\n");
    return template.replace("@TABLE@", table);
}

function mebibytes(bytes: number): string {
    return `${Math.floor(bytes / 2 ** 20)}Mi`;
}

if (require.main === module) {
    fs.writeFileSync(path.join(__dirname, "memory.md"), memoryPage());
}
