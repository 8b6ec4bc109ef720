/** Pulumi's providers, installed into the environment's own PULUMI_HOME. */
import * as fs from "node:fs";
import * as path from "node:path";

import { exported, places } from "./environment";
import { download, reachable, releaseOf } from "./download";
import { remember } from "./origins";
import { isAtLeast, plugins } from "./pins";
import { say } from "./progress";
import { run } from "./shell";
import { choose, type Plan, type Step } from "./step";
import { build, cannotBuildGo, costOf, platform } from "./tools";

export type PluginName = keyof typeof plugins;

export const allPlugins = Object.keys(plugins) as readonly PluginName[];

export const pluginSteps = (names = allPlugins): Step[] => names.map((name) => new PluginStep(name));

class PluginStep implements Step {
    readonly name: string;

    constructor(private readonly plugin: PluginName) {
        this.name = `pulumi-resource-${plugin}`;
    }

    async plan(): Promise<Plan> {
        const { version, built, atLeast, gigabytes } = plugins[this.plugin];
        for (const each of [version, built]) {
            if (this.isInstalled(each)) {
                return { way: "stands", detail: each, minutes: 0, gigabytes: 0 };
            }
        }
        const way = await choose(
            {
                name: this.name,
                atLeast,
                release: () => reachable(releaseOf(plugins[this.plugin], platform()).checksums),
                cannotBuild: cannotBuildGo(),
            },
            isAtLeast,
        );
        return way === "download"
            ? { way, detail: version, minutes: 1, gigabytes }
            : { way, detail: built, ...costOf([`pulumi-${this.plugin}`]) };
    }

    async run({ way }: Plan): Promise<void> {
        const { version, built } = plugins[this.plugin];
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

    private async install(version: string, file: string): Promise<void> {
        const args = ["plugin", "install", "resource", this.plugin, version, "--file", file, "--reinstall"];
        await run("pulumi", args, { env: exported(undefined) });
    }

    /** Pulumi marks a plugin that it has not finished installing with a file beside it. */
    private isInstalled(version: string): boolean {
        const directory = path.join(places().pulumiHome, "plugins", `resource-${this.plugin}-v${version}`);
        return fs.existsSync(path.join(directory, this.name)) && !fs.existsSync(`${directory}.partial`);
    }
}
