/**
 * `make pins`: asks the servers that users download from whether each pinned file and image exists, for every platform.
 * A missing pin breaks every first `make up` and nothing before that, so a workflow checks every week.
 */
import * as fs from "node:fs";
import * as path from "node:path";

import { Refusal } from "../../operations/refusal";
import { type Manifest, Repository } from "../../operations/registry-client";
import { mirrored } from "../engine/images";
import { images, type Platform, plugins, tools } from "../pins";
import { CHECKOUT } from "../places";
import { releaseOf, whyMissing } from "../tools/download";

/** The platforms of users' machines; images are for Linux only. */
const PLATFORMS: readonly Platform[] = (["linux", "darwin"] as const).flatMap((os) =>
    (["amd64", "arm64"] as const).map((arch) => ({ os, arch })),
);

/** Longer than a slow server takes to start its response. */
const ANSWER_MS = 30_000;

/** One pinned thing, with its location. */
interface Pin {
    readonly name: string;
    /** Why it is missing; undefined if it exists. */
    readonly missing: () => Promise<string | undefined>;
}

/** Every pinned image, each by tag and digest. */
export const pinnedImages: readonly string[] = [
    images.node,
    images.registry,
    ...[...images.bases, ...images.exampleBases].map(({ image }) => image),
];

/** Every pin. `env` may name mirrors, as for `make up`. */
export function allPins(env: NodeJS.ProcessEnv = process.env, pinned = pinnedImages): readonly Pin[] {
    const files = Object.entries({ ...tools, ...plugins }).flatMap(([name, tool]) =>
        PLATFORMS.flatMap((platform) => {
            const { file, checksums } = releaseOf(tool, platform, env);
            return [file, checksums].map((url) => ({ name: `${name} ${tool.version}`, url }));
        }),
    );
    const names = new Map([...files, ...nodeFiles(env)].map(({ name, url }) => [url, name]));
    return [
        ...[...names].map(([url, name]) => ({
            name: `${name}: ${url}`,
            missing: () => whyMissing(url, ANSWER_MS),
        })),
        ...pinned.map((image) => ({ name: image, missing: () => missingImage(image, env) })),
    ];
}

/** A script installs Node, before any of this can run. */
export function nodeVersion(): string {
    const script = fs.readFileSync(path.join(CHECKOUT, "local", "node"), "utf8");
    return /^version=(\S+)$/m.exec(script)![1]!;
}

function nodeFiles(env: NodeJS.ProcessEnv): { name: string; url: string }[] {
    const version = nodeVersion();
    const base = `${env.DABAWEB_NODE_RELEASES ?? "https://nodejs.org/dist"}/v${version}`;
    const archives = PLATFORMS.map(
        ({ os, arch }) => `node-v${version}-${os}-${arch === "amd64" ? "x64" : arch}.tar.gz`,
    );
    return ["SHASUMS256.txt", ...archives].map((file) => ({
        name: `node ${version}`,
        url: `${base}/${file}`,
    }));
}

/**
 * The manifest that a registry has for an image: by its digest if one is given, else by its tag.
 *
 * @throws Refusal if the registry does not answer, or returns something else
 */
export function manifestOf(
    image: string,
    env: NodeJS.ProcessEnv = process.env,
): Promise<Manifest | undefined> {
    const full = mirrored(image, env.DABAWEB_IMAGES ?? "registry-1.docker.io");
    const [name = "", digest] = full.split("@");
    const colon = name.lastIndexOf(":");
    const repository = new Repository(name.slice(0, colon), undefined);
    return repository.manifest(digest ?? name.slice(colon + 1)).catch((error: Error) => {
        // The text after the cause is meant for a user who configures a stack.
        throw new Refusal(error.message.split("; ")[0]!);
    });
}

async function missingImage(image: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
    try {
        const manifest = await manifestOf(image, env);
        if (manifest === undefined) {
            return "its registry has no such image";
        }
        const has = manifest.children.map(({ platform }) => `${platform?.os}/${platform?.architecture}`);
        const lacks = ["linux/amd64", "linux/arm64"].filter((platform) => !has.includes(platform));
        return lacks.length === 0 ? undefined : `it does not exist for ${lacks.join(" and ")}`;
    } catch (error) {
        return (error as Error).message;
    }
}

/** Checks all of them, reports what is missing, and returns how many are missing. */
export async function checkPins(pins: readonly Pin[], say = console.log): Promise<number> {
    let gone = 0;
    for (const { name, missing } of pins) {
        const why = await missing();
        if (why !== undefined) {
            gone += 1;
            say(
                `MISSING ${name}: ${why}; pin another in local/pins.ts (Node in local/node, an image with \`make pins-move\`)`,
            );
        }
    }
    say(`${pins.length - gone} of ${pins.length} pinned files and images exist`);
    return gone;
}

if (require.main === module) {
    checkPins(allPins()).then(
        (gone) => (process.exitCode = gone > 0 ? 1 : 0),
        (error: Error) => {
            console.error(error.message);
            process.exitCode = 1;
        },
    );
}
