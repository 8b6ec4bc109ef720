/** Base images in the local registry, so that the first push of the product's images finds their layers there. */
import { inspect } from "../engine/images";
import { run } from "../machine/shell";
import { images, tagged } from "../pins";
import { registryAddress } from "../places";
import { isPushed } from "../registry/images";
import type { Plan, Step } from "../steps/step";

/** The bases whose layers the product's images have; the others only give them files. */
export const basesInRegistry = (): Step =>
    new PushedBasesStep(
        "bases in the registry",
        images.bases
            .filter(({ name }) => name !== "python-build" && name !== "rclone")
            .map(({ image }) => tagged(image)),
    );

/** The same for the examples' images. */
export const exampleBasesInRegistry = (): Step =>
    new PushedBasesStep(
        "examples' bases in the registry",
        images.exampleBases.map(({ image }) => tagged(image)),
    );

/**
 * Pushes the bases that were built here to the local registry. The engine compresses every layer that it has not pushed to a
 * registry yet, again for each image; a layer that it has pushed to any repository there is mounted at once. Done in parallel
 * with the compiler, this saves most of the time of the first push of the product's images.
 */
class PushedBasesStep implements Step {
    readonly lane = "engine";
    readonly needs: readonly string[];
    readonly asksEngine = true;

    /** @param bases names and tags of the images */
    constructor(
        readonly name: string,
        private readonly bases: readonly string[],
    ) {
        this.needs = ["registry", ...bases];
    }

    async plan(): Promise<Plan> {
        const missing = await this.missing();
        // A missing base may still be built in this run.
        const absent = await Promise.all(
            this.bases.map(async (image) => (await inspect(image)) === undefined),
        );
        return missing.length === 0 && !absent.includes(true)
            ? { way: "ready", detail: registryAddress, minutes: 0, gigabytes: 0 }
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

    /** The bases built here that the registry lacks, with their names there; a base that was pulled has no hash. */
    private async missing(): Promise<[string, string][]> {
        const all = await Promise.all(
            this.bases.map(async (image): Promise<[string, string][]> => {
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
