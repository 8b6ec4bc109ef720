/** Images that are pulled from a public registry if it answers, and built from Debian's packages otherwise. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { inspect, isTakenByAnother, mirrored, nameHere, RECIPE_LABEL } from "../engine/images";
import { baseRecipe, nodeRecipe, Recipe, registryRecipe, source } from "../from-source/image-recipes";
import { build, costOf } from "../from-source/programs";
import { install, missing, noDebianRoot } from "../machine/apt";
import { say } from "../machine/progress";
import { attempt, run, STUCK_MS } from "../machine/shell";
import { images, tagged } from "../pins";
import { ownBases, rememberBase } from "../state/bases";
import { readOrigins, remember } from "../state/origins";
import { choose, type Plan, type Step } from "../steps/step";
import { answers, pull } from "./registry-answers";

/** The images that the product's images are built on. */
export const baseImageSteps = (): Step[] => images.bases.map((base) => new ImageStep(baseRecipe(base)));

/** The images that only the examples' images are built on. */
export const exampleImageSteps = (): Step[] =>
    images.exampleBases.map((base) => new ImageStep(baseRecipe(base)));

/** The bases, the registry, and the cluster's node image, which waits longest for its programs. */
export const imageSteps = (): Step[] => [
    ...baseImageSteps(),
    new ImageStep(registryRecipe()),
    new ImageStep(nodeRecipe()),
];

/** Compiles the programs of the registry and node images in a separate step: other images are built in the meantime. */
export const programsStep = (): Step => new ProgramsStep([registryRecipe(), nodeRecipe()]);

/** The node image that the engine has, built or pulled; undefined if it has none. */
export async function nodeImage(): Promise<string | undefined> {
    return (await inspect(images.builtNode)) === undefined ? nameHere(images.node) : images.builtNode;
}

class ProgramsStep implements Step {
    readonly name = "images' programs";
    readonly lane = "compiler";
    readonly asksEngine = true;

    constructor(private readonly recipes: readonly Recipe[]) {}

    async plan(): Promise<Plan> {
        const plans = await Promise.all(this.recipes.map((each) => new ImageStep(each).plan()));
        const builds = this.recipes
            .filter((_, index) => plans[index]!.way === "build")
            .flatMap(({ tools }) => tools);
        const cost = costOf(builds);
        if (builds.length === 0 && plans.some(({ way }) => way === "start")) {
            return { way: "start", detail: "known once the engine runs", minutes: 0, gigabytes: 0 };
        }
        return cost.minutes === 0
            ? { way: "ready", detail: "no image needs a program", minutes: 0, gigabytes: 0 }
            : {
                  way: "build",
                  detail: builds.join(", "),
                  ...cost,
                  packages: await missing(compilerOfC),
                  builds,
              };
    }

    async run({ builds = [] }: Plan): Promise<void> {
        await install(compilerOfC);
        await build(builds);
    }
}

/** pause is written in C. */
const compilerOfC = ["gcc", "libc6-dev"];

class ImageStep implements Step {
    readonly name: string;
    readonly lane = "engine";
    readonly needs: readonly string[];
    readonly asksEngine = true;

    constructor(private readonly recipe: Recipe) {
        this.name = recipe.name;
        this.needs = recipe.needs;
    }

    async plan(): Promise<Plan> {
        const { image, built, minutes, gigabytes, packages, version } = this.recipe;
        const mine = await inspect(built);
        const remembered = readOrigins().some((each) => each.part === this.name);
        if (mine === this.hash()) {
            const known = remembered && this.isUsed(this.standIn());
            return { way: known ? "ready" : "found", detail: this.recipe.origin, minutes: 0, gigabytes: 0 };
        }
        if (mine === undefined && remembered && !(await engineAnswers())) {
            return { way: "start", detail: "known once the engine runs", minutes: 0, gigabytes: 0 };
        }
        const pulled = await this.pulled();
        if (pulled !== undefined) {
            const known = remembered && this.isUsed(pulled);
            return { way: known ? "ready" : "found", detail: pulled, minutes: 0, gigabytes: 0 };
        }
        const way = await choose(
            {
                name: `The image ${image}`,
                atLeast: version,
                release: () => answers(image),
                cannotBuild: noDebianRoot() ?? this.recipe.cannotBuild,
                remedy: "Let Docker reach its registry, name a mirror in DABAWEB_IMAGES, or run this as root on Debian.",
            },
            () => false,
        );
        if (way === "download") {
            return { way, detail: mirrored(image), minutes: 1, gigabytes };
        }
        return {
            way: "build",
            detail: mine === undefined ? this.recipe.origin : "its recipe has changed",
            minutes,
            gigabytes,
            packages: await missing(packages),
        };
    }

    async run({ way, detail }: Plan): Promise<void> {
        const { version, built, origin, packages, make } = this.recipe;
        const known = readOrigins().find(({ part }) => part === this.name);
        if (way === "found" && detail !== origin) {
            await this.use(detail);
            // An image that we pulled before is still ours when it is used under another name.
            return known?.origin === "release" ? undefined : remember(this.name, version, "found");
        }
        if (way === "download") {
            say(`${this.name}: docker pull ${detail}`);
            await pull(detail);
            const names = await this.use(detail);
            return remember(this.name, version, "release", names);
        }
        // An image from an earlier run still counts as built, even if the state of that run is lost.
        if (way === "build") {
            await install(packages);
            await make(`${RECIPE_LABEL}=${this.hash()}`);
        }
        await this.useStandIn();
        return remember(this.name, version, origin, [built]);
    }

    /** The name under which the engine has the pinned image, if it was pulled. */
    private pulled(): Promise<string | undefined> {
        const { image, base } = this.recipe;
        return nameHere(image, base && ownBases()[base]);
    }

    /** A name that always refers to the same stand-in. */
    private standIn(): string {
        return `dabaweb/base-${this.recipe.base}:${this.hash()}`;
    }

    /** Whether the product's images are built on this image; true if it is not a base. */
    private isUsed(image: string): boolean {
        const { base } = this.recipe;
        return base === undefined || (ownBases()[base] ?? this.recipe.image) === image;
    }

    /**
     * Makes a pulled image the base of the product's images, and lets tests find it by name and tag, unless another image has
     * that tag.
     *
     * @returns its names
     */
    private async use(image: string): Promise<string[]> {
        const { base, image: pinned } = this.recipe;
        if (base !== undefined) {
            rememberBase(base, image === pinned ? undefined : image);
        }
        if (await isTakenByAnother(pinned, image)) {
            return [image];
        }
        await run("docker", ["tag", image, tagged(pinned)]);
        return [image, tagged(pinned)];
    }

    private async useStandIn(): Promise<void> {
        const { base, built } = this.recipe;
        if (base !== undefined) {
            await run("docker", ["tag", built, this.standIn()]);
            rememberBase(base, this.standIn());
        }
    }

    private hash(): string {
        const hash = createHash("sha256").update(this.recipe.built);
        for (const file of this.recipe.inputs.flatMap(filesOf)) {
            hash.update(JSON.stringify([path.relative(source, file), fs.readFileSync(file, "utf8")]));
        }
        return hash.digest("hex").slice(0, 12);
    }
}

function filesOf(input: string): string[] {
    if (fs.statSync(input).isFile()) {
        return [input];
    }
    const names = fs.readdirSync(input, { recursive: true, encoding: "utf8" }).sort();
    return names.map((each) => path.join(input, each)).filter((each) => fs.statSync(each).isFile());
}

async function engineAnswers(): Promise<boolean> {
    const { code } = await attempt("docker", ["version", "--format", "{{.Server.Version}}"], {
        timeout: STUCK_MS,
    });
    return code === 0;
}
