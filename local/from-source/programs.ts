/** Programs built from source: what they cost, where they are, and whether they can be built on this machine. */
import * as fs from "node:fs";
import * as path from "node:path";

import { noDebianRoot } from "../machine/apt";
import { say } from "../machine/progress";
import { places } from "../places";
import type { Plan } from "../steps/step";
import { buildGoTool, cacheKey, goTools, hasGo } from "./go-tools";

/** The version that a build reports; a plugin's has `+built`. It is pinned here, not derived from package.json. */
export function builtVersion(build: string): string {
    return goTools.find((tool) => tool.name === build)!.version;
}

export function sameFile(one: string, other: string): boolean {
    return fs.lstatSync(one, { throwIfNoEntry: false })?.ino === fs.statSync(other).ino;
}

export function builtProgram(build: string, program: string): string {
    const tool = goTools.find((each) => each.name === build)!;
    return path.join(places().cache, "go", `${build}-${cacheKey(tool)}`, program);
}

function stands(build: string): boolean {
    const tool = goTools.find((each) => each.name === build)!;
    return tool.binaries.every((program) => fs.existsSync(builtProgram(build, program)));
}

/** Time and disk space that builds from source take. */
export function costOf(builds: readonly string[]): Pick<Plan, "minutes" | "gigabytes" | "builds"> {
    const wanted = goTools.filter((tool) => builds.includes(tool.name) && !stands(tool.name));
    const sum = (numbers: number[]): number => numbers.reduce((total, each) => total + each, 0);
    return {
        minutes: sum(wanted.map((tool) => tool.minutes)),
        gigabytes: sum(wanted.map((tool) => tool.gigabytes)),
        builds,
    };
}

/** Builds Go tools and returns the paths of all their programs. */
export async function build(names: readonly string[]): Promise<Record<string, string>> {
    const programs: Record<string, string> = {};
    for (const name of names) {
        Object.assign(programs, await buildGoTool(name, { cacheDir: places().cache, onProgress: say }));
    }
    return programs;
}

/** Whether the tool in use is the one that was built here. */
export function isBuilt(build: string, program: string): boolean {
    const [link, built] = [path.join(places().bin, program), builtProgram(build, program)];
    return fs.existsSync(link) && fs.existsSync(built) && sameFile(link, built);
}

/** Why no Go tool can be built on this machine; undefined if it can. */
export function cannotBuildGo(
    facts = { os: process.platform as string, go: hasGo(), debianRoot: noDebianRoot() === undefined },
): string | undefined {
    if (facts.os !== "linux") {
        return `from-source/ is tested on Linux only, and this is ${facts.os}`;
    }
    return facts.go || facts.debianRoot
        ? undefined
        : "there is no Go on PATH, and it can only be installed as root on Debian";
}
