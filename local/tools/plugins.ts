/** Pulumi's providers, and what runs the policy pack: installed into the environment's own PULUMI_HOME. */
import * as fs from "node:fs";
import * as path from "node:path";

import { build, builtVersion, cannotBuildGo, costOf, isBuilt } from "../from-source/programs";
import { say } from "../machine/progress";
import { run } from "../machine/shell";
import { isAtLeast, plugins } from "../pins";
import { CHECKOUT, exported, places } from "../places";
import { remember } from "../state/origins";
import { choose, type Plan, type Step } from "../steps/step";
import { download, reachable, releaseOf } from "./download";
import { platform } from "./tools";

export type PluginName = keyof typeof plugins;

export const allPlugins = Object.keys(plugins) as readonly PluginName[];

export const pluginSteps = (names = allPlugins): Step[] => names.map((name) => new PluginStep(name));

/**
 * The folder for `--policy-pack`. The language host that is built here cannot run packs, so Pulumi gets a stand-in for the
 * pack. Pulumi knows no host for the stand-in's runtime, and starts the plugin that is installed here instead.
 */
export async function policyPack(): Promise<string> {
    if (!isBuilt("pulumi-language-nodejs", "pulumi-language-nodejs")) {
        return path.join(CHECKOUT, "policy");
    }
    const folder = path.join(CHECKOUT, "local", "from-source", "policy-pack");
    const [name, version] = ["policy-npm", "1.0.0"];
    const program = `pulumi-analyzer-${name}`;
    const installed = path.join(places().pulumiHome, "plugins", `analyzer-${name}-v${version}`, program);
    const wanted = fs.readFileSync(path.join(folder, program));
    if (!fs.existsSync(installed) || !fs.readFileSync(installed).equals(wanted)) {
        const args = ["plugin", "install", "analyzer", name, version, "--file", path.join(folder, program)];
        await run("pulumi", [...args, "--reinstall"], { env: exported(undefined) });
    }
    return folder;
}

class PluginStep implements Step {
    readonly name: string;
    readonly lane = "compiler";
    readonly needs = ["pulumi"];

    constructor(private readonly plugin: PluginName) {
        this.name = `pulumi-resource-${plugin}`;
    }

    async plan(): Promise<Plan> {
        const { version, atLeast, gigabytes } = plugins[this.plugin];
        const built = this.built();
        // If package.json is ahead of from-source/, only the release has the right version.
        const canBuild = built === `${version}+built`;
        for (const each of canBuild ? [version, built] : [version]) {
            if (this.isInstalled(each)) {
                return { way: "ready", detail: each, minutes: 0, gigabytes: 0 };
            }
        }
        const way = await choose(
            {
                name: this.name,
                atLeast,
                release: () => reachable(releaseOf(plugins[this.plugin], platform()).checksums),
                cannotBuild: canBuild
                    ? cannotBuildGo()
                    : `from-source/ builds ${built}, but package.json pins ${version}`,
            },
            isAtLeast,
        );
        return way === "download"
            ? { way, detail: version, minutes: 1, gigabytes }
            : { way, detail: built, ...costOf([`pulumi-${this.plugin}`]) };
    }

    async run({ way }: Plan): Promise<void> {
        const { version } = plugins[this.plugin];
        const built = this.built();
        if (way === "download") {
            const { file, checksums } = releaseOf(plugins[this.plugin], platform());
            const archive = path.join(places().downloads, path.posix.basename(file));
            say(`${this.name}: downloading ${file}`);
            await download(file, checksums, archive);
            await this.install(version, archive);
            fs.rmSync(archive);
            return remember(this.name, version, "release");
        }
        const programs = await build([`pulumi-${this.plugin}`]);
        await this.install(built, programs[this.name]!);
        return remember(this.name, built, "built");
    }

    private built(): string {
        return builtVersion(`pulumi-${this.plugin}`);
    }

    private async install(version: string, file: string): Promise<void> {
        const args = ["plugin", "install", "resource", this.plugin, version, "--file", file, "--reinstall"];
        await run("pulumi", args, { env: exported(undefined) });
    }

    /** Pulumi marks a plugin that it has not finished installing with a file next to it. */
    private isInstalled(version: string): boolean {
        const directory = path.join(places().pulumiHome, "plugins", `resource-${this.plugin}-v${version}`);
        return fs.existsSync(path.join(directory, this.name)) && !fs.existsSync(`${directory}.partial`);
    }
}
