/** The page docs/tested-with.md, which a complete and successful run of the tests writes. */
import { execFileSync } from "child_process";
import * as fs from "fs";
import * as path from "path";

import { allSteps } from "../local/environment/up";
import { Part, readOrigins } from "../local/state/origins";

/** How to ask each base image what it really contains: a stand-in has the official name but Debian's build. */
const VERSION_COMMANDS: Record<string, readonly string[]> = {
    redis: ["redis-server", "--version"],
    mysql: ["mysqld", "--version"],
    nginx: ["nginx", "-v"],
    python: ["python3", "--version"],
};

/** The version that the engine inside a base image reports; empty for every other part. */
function insideOf({ part }: Part): string {
    const command = VERSION_COMMANDS[part.split(":")[0] ?? ""];
    if (!part.includes(":") || command === undefined) {
        return "";
    }
    // nginx answers on standard error.
    const shell = [
        "run",
        "--rm",
        "--network",
        "none",
        "--entrypoint",
        "sh",
        part,
        "-c",
        `${command.join(" ")} 2>&1`,
    ];
    const words = execFileSync("docker", shell, { encoding: "utf8" });
    return /\d+\.\d+(\.\d+)?/.exec(words)?.[0] ?? "";
}

/** The parts of the current pins. The record also has those of earlier pins, whose images may be gone. */
function partsNow(): readonly Part[] {
    const known = allSteps().map(({ name }) => name);
    return readOrigins().filter(({ part }) => known.includes(part));
}

/** The page as text: part, version, origin and, for base images, the engine that is really inside. */
function testedWithPage(parts: readonly Part[] = partsNow()): string {
    return [
        "# Tested with",
        "",
        "Written by the last complete run of `make test` on the committer's machine. *release*: downloaded. *built*: built from Go",
        "modules (`local/from-source`). *stand-in*: Debian's build under the official image's name. *found*: already on the machine.",
        "",
        "| part | version | origin | inside |",
        "| --- | --- | --- | --- |",
        ...parts.map((each) => `| ${each.part} | ${each.version} | ${each.origin} | ${insideOf(each)} |`),
        "",
    ].join("\n");
}

/** Writes the page. */
export function writeTestedWith(): void {
    fs.writeFileSync(path.join(__dirname, "tested-with.md"), testedWithPage());
}
