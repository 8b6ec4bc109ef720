/**
 * `npm run pins`: asks the servers that users download from whether each pinned file and image is there, for every platform.
 * A pin that is gone breaks every first `make up` and nothing before, so a workflow asks every week.
 */
import * as fs from "node:fs";
import * as path from "node:path";

import { Repository } from "../operations/registry-client";
import { releaseOf, whyMissing } from "./download";
import { mirrored } from "./images";
import { images, type Platform, plugins, tools } from "./pins";

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

/** Every pin. `env` may name mirrors, as for `make up`. */
export function allPins(env: NodeJS.ProcessEnv = process.env): readonly Pin[] {
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
        ...[images.node, images.registry, ...images.bases.map(({ image }) => image)].map((image) => ({
            name: image,
            missing: () => missingImage(mirrored(image, env.DABAWEB_IMAGES ?? "registry-1.docker.io")),
        })),
    ];
}

/** Node is brought by a script, before anything of this can run. */
export function nodeVersion(): string {
    const script = fs.readFileSync(path.join(__dirname, "node"), "utf8");
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

/** @param image with its registry and tag, and a digest where one is pinned. */
async function missingImage(image: string): Promise<string | undefined> {
    const [tagged = "", digest] = image.split("@");
    const colon = tagged.lastIndexOf(":");
    const repository = new Repository(tagged.slice(0, colon), undefined);
    try {
        const manifest = await repository.manifest(digest ?? tagged.slice(colon + 1));
        if (manifest === undefined) {
            return `${repository.host} has no such image`;
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
                `MISSING ${name}: ${why}; pin another in local/pins.ts (Node in local/node, bases in images/*/Dockerfile, too)`,
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
