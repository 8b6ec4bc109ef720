/** Base images in the local registry, so that the first push of the product's images finds their layers there. */
import { inspect } from "../engine/images";
import { run } from "../machine/shell";
import { images, tagged } from "../pins";
import { registryAddress } from "../places";
import { isPushed } from "../registry/images";
import type { Plan, Step } from "../steps/step";

/** The bases of what is pushed; with the other one Python's packages are compiled. */
const pushedBases = images.bases
    .filter(({ name }) => name !== "python-build")
    .map(({ image }) => tagged(image));
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
