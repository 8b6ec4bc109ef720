/**
 * Makes the pictures of README.md and docs/: `make pictures`. The drawings come from the recorded graph and from a table, the
 * screenshots from the stack dev as it runs.
 */
import { spawnSync } from "child_process";
import * as fs from "fs";
import * as path from "path";

import { startChromium } from "../local/machine/chromium";
import { Refusal, reportFailure } from "../operations/refusal";
import { readStackFile } from "../operations/stack-file";
import { readGraph } from "../review/graph";
import { architecturePicture } from "./architecture-picture";
import { readRooms } from "./rooms";
import { topologyPicture } from "./topology";

const ROOT = path.dirname(__dirname);
const PICTURES = path.join(__dirname, "pictures");

/** Every drawing, by the name of its file. Its text depends on nothing but files of this checkout. */
export async function drawings(): Promise<ReadonlyMap<string, string>> {
    return new Map([
        ["topology.svg", await topologyPicture(readGraph(path.join(ROOT, "test", "golden", "prod.json")))],
        ["architecture.svg", await architecturePicture(readRooms())],
    ]);
}

async function screenshots(): Promise<void> {
    const { url } = readStackFile("dev");
    const answer = await fetch(`${url}/User_data`).catch((error: Error) => {
        throw new Refusal(
            `The drawings are written. For the screenshots the stack dev has to run, and ${url} does not answer ` +
                `(${error.message}); run \`make up\`, then this again.`,
        );
    });
    if (!answer.ok) {
        throw new Refusal(`${url}/User_data answers ${answer.status}; \`make status\` shows what is wrong.`);
    }
    const status = spawnSync("make", ["-s", "status"], { cwd: ROOT, encoding: "utf8" });
    if (status.status !== 0) {
        throw new Refusal(`\`make status\` failed:\n${status.stdout}${status.stderr}`);
    }
    const browser = await startChromium();
    try {
        const site = await browser.newPage({ viewport: { width: 960, height: 370 } });
        await site.goto(`${url}/User_data`);
        await site.screenshot({ path: path.join(PICTURES, "site.png") });
        const page = await browser.newPage({ viewport: { width: 1600, height: 400 } });
        await page.setContent(terminal(`$ make status\n${status.stdout}`));
        await page.locator("pre").screenshot({ path: path.join(PICTURES, "status.png") });
    } finally {
        await browser.close();
    }
}

/** Text as a terminal shows it. */
function terminal(text: string): string {
    const escaped = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    const style =
        "margin: 0; padding: 12px; display: inline-block; background: #0d1117; color: #e6edf3; font-size: 12px";
    return `<body style="margin: 0"><pre style="${style}">${escaped}</pre></body>`;
}

async function main(): Promise<void> {
    fs.mkdirSync(PICTURES, { recursive: true });
    for (const [name, text] of await drawings()) {
        fs.writeFileSync(path.join(PICTURES, name), text);
    }
    await screenshots();
    console.log(`docs/pictures: ${fs.readdirSync(PICTURES).join(", ")}`);
}

if (require.main === module) {
    reportFailure(main());
}
