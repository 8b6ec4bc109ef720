/**
 * `make pins`: asks the servers that users download from whether each pinned file and image is there, for every platform.
 * A pin that is gone breaks every first `make up` and nothing before, so a workflow asks every week.
 */
import * as fs from "node:fs";
import * as path from "node:path";

import { Refusal } from "../../operations/refusal";
import { type Manifest, Repository } from "../../operations/registry-client";
import { mirrored } from "../engine/images";
import { images, type Platform, plugins, tools } from "../pins";
import { CHECKOUT } from "../places";
import { releaseOf, whyMissing } from "../tools/download";

/** Users' own machines; images are for the Linux ones alone. */
const PLATFORMS: readonly Platform[] = (["linux", "darwin"] as const).flatMap((os) =>
    (["amd64", "arm64"] as const).map((arch) => ({ os, arch })),
);

/** Longer than a slow server takes to begin its answer. */
const ANSWER_MS = 30_000;

/** One thing that is pinned, with the place where it is. */
interface Pin {
    readonly name: string;
    /** Why it is not there; undefined where it is. */
    readonly missing: () => Promise<string | undefined>;
}

/** Every image that is pinned, each by tag and digest. */
export const pinnedImages: readonly string[] = [
    images.node,
    images.registry,
    ...images.bases.map(({ image }) => image),
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

/** Node is brought by a script, before anything of this can run. */
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
 * What a registry has under an image's name: its digest where one is given, else its tag.
 *
 * @throws Refusal where the registry does not answer, or gives something else
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
        // What comes after the cause is meant for whoever configures a stack.
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
        return lacks.length === 0 ? undefined : `it is not there for ${lacks.join(" and ")}`;
    } catch (error) {
        return (error as Error).message;
    }
}

/** Asks for all of them; says what is missing, and returns how many are. */
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
    say(`${pins.length - gone} of ${pins.length} pinned files and images are there`);
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
