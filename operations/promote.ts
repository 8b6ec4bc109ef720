/**
 * Build once, promote: `promote.ts FROM TO` copies the images that stack FROM has deployed to the repositories of stack TO,
 * keeps their digests, and pins them in TO's stack file. It writes the file only if all of them can be pulled from there.
 * `make promote` calls it with the local environment's variables.
 */
import { readFileSync, renameSync, writeFileSync } from "fs";
import * as path from "path";

import { type ImageName, namesFor } from "../components/images";
import { repositoryPrefix, repositoryProblem } from "../components/registry";
import { PROJECT, StackConfig } from "../config";
import { copyImage, isPullable, manifestsOf, platformsOf } from "./image-copy";
import { imagesDeletedWith, stackConfig, stackOutputs } from "./pulumi-stack";
import { Refusal, reportFailure } from "./refusal";
import { Manifest, Repository } from "./registry-client";
import { isPlainHttp, Login, stackLogin } from "./registry-login";
import { stackFile, withPinnedImages } from "./stack-file";

/** One image to promote. */
interface Move {
    readonly image: string;
    readonly digest: string;
    readonly source: Repository;
    readonly manifests: readonly Manifest[];
    /** Repository without tag and digest. */
    readonly target: string;
}

/**
 * Promotes what `from` has deployed to `to`. It does not copy what already exists, so you can repeat an interrupted
 * promotion, and repeating a complete one changes nothing.
 *
 * @throws Refusal if something would not be pullable afterwards; the stack file is then unchanged.
 */
export async function promote(from: string, to: string): Promise<void> {
    stackFile(from, "FROM");
    const file = stackFile(to, "TO");
    if (from === to) {
        throw new Refusal(`FROM and TO are both "${to}"; name two stacks.`);
    }
    const [config, doomed] = await Promise.all([stackConfig(to), imagesDeletedWith(to)]);
    const deployed = await deployedImages(from, config.backup !== undefined);
    const name = repositoryProblem(config.registry, PROJECT, to);
    if (name !== undefined) {
        throw new Refusal(`TO is "${to}": ${name}.`);
    }
    const moves = await planMoves(from, to, config, deployed);
    const pins = Object.fromEntries(moves.map(({ image, target, digest }) => [image, `${target}@${digest}`]));
    const lost = Object.values(pins).find((pin) => doomed.includes(pin));
    if (lost !== undefined) {
        throw new Refusal(
            `Stack ${to} has built ${lost} itself with registry.keepImages false, and would delete it from the registry ` +
                `once it is pinned; set keepImages to true in Pulumi.${to}.yaml, deploy ${to}, then promote again.`,
        );
    }
    const login = await stackLogin(to, config, config.registry.address);
    await copyAll(moves, login, config.registry.plainHttp);
    await verifyAll(moves, login, to, config.registry.plainHttp);

    const before = readFileSync(file, "utf8");
    const after = withPinnedImages(before, pins);
    if (after === before) {
        say(`${path.basename(file)} already pins them; nothing was changed.`);
        return;
    }
    // Write the whole file or nothing.
    writeFileSync(`${file}.partial`, after);
    renameSync(`${file}.partial`, file);
    say(
        `${path.basename(file)} now pins them: review it with \`git diff\`, commit it, then deploy ${to}. ` +
            `To roll back, revert that commit.`,
    );
}

/** What a stack has deployed, according to its outputs: the working copy may have changed since. */
async function deployedImages(stack: string, withBackup: boolean): Promise<Record<string, string>> {
    const { images } = ((await stackOutputs(stack)) ?? {}) as { images?: Record<string, unknown> };
    if (images === undefined) {
        throw new Refusal(
            `FROM is ${stack}, which is not deployed: it has no images to promote; deploy it, test it, then promote it.`,
        );
    }
    const referenceOf = (image: ImageName): string => {
        const reference = images[image];
        if (typeof reference !== "string" || !/^[^\s@]+@sha256:[0-9a-f]{64}$/.test(reference)) {
            throw new Refusal(
                `FROM is ${stack}, whose output images.${image} is ${JSON.stringify(reference) ?? "missing"}, not a reference ` +
                    `with a digest; deploy it with this version of the program, then promote it.`,
            );
        }
        return reference;
    };
    return Object.fromEntries(namesFor(images, withBackup).map((image) => [image, referenceOf(image)]));
}

/** Every image with its manifests, before anything is written. */
async function planMoves(
    from: string,
    to: string,
    config: StackConfig,
    deployed: Readonly<Record<string, string>>,
): Promise<Move[]> {
    const fromConfig = await stackConfig(from);
    const moves: Move[] = [];
    for (const [image, reference] of Object.entries(deployed)) {
        const [tagged = "", digest = ""] = reference.split("@");
        const name = tagged.replace(/:[^:/]*$/, "");
        const plain = isPlainHttp(fromConfig, name);
        const source = new Repository(name, await stackLogin(from, fromConfig, name), "pull", [], plain);
        const manifests = await manifestsOf(source, digest);
        if (manifests === undefined) {
            throw new Refusal(
                `${reference}, the ${image} of ${from}, is no longer in its registry, or is incomplete; deploy ${from} again, ` +
                    `test it, then promote it.`,
            );
        }
        const platforms = await platformsOf(source, manifests);
        if (!platforms.includes(config.platform)) {
            throw new Refusal(
                `${reference}, the ${image} of ${from}, is built for ${platforms.join(", ")}, but platform of ${to} is ` +
                    `${config.platform}; build it for that platform, or correct platform in Pulumi.${to}.yaml.`,
            );
        }
        moves.push({
            image,
            digest,
            source,
            manifests,
            target: `${repositoryPrefix(config.registry, PROJECT, to)}/${image}`,
        });
    }
    return moves;
}

async function copyAll(moves: readonly Move[], login: Login | undefined, plainHttp: boolean): Promise<void> {
    const neighbours = moves.flatMap(({ source, target }) => [source.name, target]);
    const known = new Map<string, string>();
    for (const { image, digest, source, manifests, target } of moves) {
        const start = performance.now();
        const repository = new Repository(target, login, "push", neighbours, plainHttp);
        // Registries remove untagged manifests as garbage. This tag is derived from the digest, so it never moves.
        const tag = `promoted-${digest.slice("sha256:".length, "sha256:".length + 12)}`;
        if ((await repository.manifest(tag))?.digest === digest && (await isPullable(repository, digest))) {
            say(`${image.padEnd(WIDTH)} already there`);
            continue;
        }
        const { bytes, sent } = await copyImage(source, repository, manifests, tag, known);
        const seconds = ((performance.now() - start) / 1000).toFixed(1);
        say(
            `${image.padEnd(WIDTH)} copied: ${megabytes(bytes)}, ${megabytes(sent)} of it sent, in ${seconds} s`,
        );
    }
}

/** Checks again, with pull access only. */
async function verifyAll(
    moves: readonly Move[],
    login: Login | undefined,
    to: string,
    plainHttp: boolean,
): Promise<void> {
    for (const { target, digest } of moves) {
        if (!(await isPullable(new Repository(target, login, "pull", [], plainHttp), digest))) {
            throw new Refusal(
                `${target}@${digest} was copied but cannot be pulled; Pulumi.${to}.yaml is unchanged: check the registry, ` +
                    `then promote again.`,
            );
        }
    }
}

/** Length of the longest image name. */
const WIDTH = "redis-master".length;

function megabytes(bytes: number): string {
    return `${(bytes / 1e6).toFixed(1)} MB`;
}

function say(line: string): void {
    process.stdout.write(`${line}\n`);
}

if (require.main === module) {
    const [from = "", to = ""] = process.argv.slice(2);
    reportFailure(promote(from, to));
}
