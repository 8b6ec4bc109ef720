import * as fs from "fs";
import * as path from "path";
import { Browser, chromium } from "playwright-core";

import { install, isRoot } from "./apt";

/** The names that different packagers give the browser. */
const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const ON_A_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";

function found(): string | undefined {
    const folders = (process.env.PATH ?? "").split(path.delimiter);
    const programs = NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name)));
    return [...programs, ON_A_MAC].find((program) => fs.existsSync(program));
}

/**
 * Starts this machine's Chromium or Chrome without a window. If there is none, installs Debian's, with a font for Chinese.
 * The browser connects only to the pages that it is sent to.
 */
export async function startChromium(): Promise<Browser> {
    if (found() === undefined) {
        await install(["chromium", "fonts-noto-cjk"]);
    }
    const silent = ["--disable-background-networking", "--disable-component-update", "--disable-sync"];
    return chromium.launch({
        executablePath: found(),
        // Root cannot set up its sandbox.
        args: [...silent, "--disable-gpu", ...(isRoot() ? ["--no-sandbox"] : [])],
    });
}
