/**
 * `make pins-move [PINS="<name>:<tag>..."]`: pins images by the digests that their registry has now. Without a name, it asks
 * for the tags that are pinned: official images are rebuilt under the same tag when something below them gets a fix. It then
 * leaves out kind's node image, since each release of kind names the digest that fits it.
 */
import * as fs from "node:fs";
import * as path from "node:path";

import { Refusal } from "../../operations/refusal";
import { images, tagged } from "../pins";
import { CHECKOUT } from "../places";
import { manifestOf, pinnedImages } from "./check";

/** The files of a checkout that pin images. */
export function pinFiles(checkout = CHECKOUT): string[] {
    const dockerfiles = ["images", "examples"].flatMap((folder) =>
        fs
            .readdirSync(path.join(checkout, folder), { recursive: true, encoding: "utf8" })
            .filter((file) => /^(?!.*node_modules).*\bDockerfile$/.test(file))
            .map((file) => path.join(checkout, folder, file)),
    );
    return [path.join(checkout, "local", "pins.ts"), ...dockerfiles];
}

/**
 * Which image replaces which pin: an image, by name and tag, replaces the one with the same name and variant.
 *
 * @param wanted images as the user names them, such as python:3.13.15-slim-trixie
 * @returns tagged image by pinned image
 * @throws Refusal if one of them is not a version of a pinned image
 */
export function moves(wanted: readonly string[], pinned = pinnedImages): ReadonlyMap<string, string> {
    if (wanted.length === 0) {
        return new Map(
            pinned.filter((image) => image !== images.node).map((image) => [image, tagged(image)]),
        );
    }
    // python:3.13-slim and python:3.13 are two images.
    const kind = (image: string): string => tagged(image).replace(/:v?\d+(\.\d+)*/, ":");
    return new Map(
        wanted.map((image) => {
            const old = pinned.find((each) => kind(each) === kind(image));
            if (old === undefined || image.includes("@")) {
                const allowed = pinned.map((each) => tagged(each)).join(", ");
                throw new Refusal(
                    `${image} does not name a version of a pinned image by its tag; the pinned images are ${allowed}.`,
                );
            }
            return [old, image];
        }),
    );
}

/**
 * Writes new digests into the files, all of them or none.
 *
 * @param digestOf returns the digest that a registry has for an image's tag now
 * @returns a line for each pin
 */
export async function movePins(
    pins: ReadonlyMap<string, string>,
    digestOf: (image: string) => Promise<string>,
    files = pinFiles(),
): Promise<string[]> {
    const moved = new Map<string, string>();
    for (const [old, image] of pins) {
        moved.set(old, `${image}@${await digestOf(image)}`);
    }
    for (const file of files) {
        let text = fs.readFileSync(file, "utf8");
        for (const [old, image] of moved) {
            text = text.replaceAll(old, image);
        }
        fs.writeFileSync(file, text);
    }
    return [...moved].map(([old, image]) => (old === image ? `${old} is unchanged` : `${old} -> ${image}`));
}

/** The digest that a registry has for a tag now. `env` may name a mirror of Docker Hub, as for `make up`. */
export async function digestNow(image: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
    const manifest = await manifestOf(image, env);
    if (manifest === undefined) {
        throw new Refusal(`The registry of ${image} has no such image; nothing was changed.`);
    }
    return manifest.digest;
}

if (require.main === module) {
    Promise.resolve(process.argv.slice(2))
        .then((wanted) => movePins(moves(wanted), (image) => digestNow(image)))
        .then(
            (lines) =>
                console.log([...lines, "Next: run `make golden` and review the difference."].join("\n")),
            (error: Error) => {
                console.error(error.message);
                process.exitCode = 1;
            },
        );
}
