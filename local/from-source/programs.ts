/** Programs built from source: what they cost, where they are, and whether they can be built on this machine. */
import * as fs from "node:fs";
import * as path from "node:path";

import { noDebianRoot } from "../machine/apt";
import { sameFile } from "../machine/files";
import { say } from "../machine/progress";
import { places } from "../places";
import type { Plan } from "../steps/step";
import { buildGoTool, cacheKey, type GoTool, goTools, hasGo } from "./go-tools";

/** The version that a build reports; a plugin's has `+built`. It is pinned here, not derived from package.json. */
export function builtVersion(build: string): string {
    return toolOf(build).version;
}

/** Whether a program is a result of a build. */
export function yields(build: string, program: string): boolean {
    return toolOf(build).binaries.includes(program);
}

/** The path of a program that a build yields, whether it is built or not. */
export function builtProgram(build: string, program: string): string {
    return path.join(places().cache, "go", `${build}-${cacheKey(toolOf(build))}`, program);
}

function toolOf(build: string): GoTool {
    return goTools.find(({ name }) => name === build)!;
}

function isComplete({ name, binaries }: GoTool): boolean {
    return binaries.every((program) => fs.existsSync(builtProgram(name, program)));
}

/** Time and disk space that builds from source take. */
export function costOf(builds: readonly string[]): Pick<Plan, "minutes" | "gigabytes" | "builds"> {
    const wanted = goTools.filter((tool) => builds.includes(tool.name) && !isComplete(tool));
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
