/** What a public registry says when Docker asks it for an image, and what you can do about it. */
import { askedName, REGISTRY_ANSWER_MS, whyNotGiven } from "../../components/bases";
import { Refusal } from "../../operations/refusal";
import { mirrored } from "../engine/images";
import { type Attempt, attempt } from "../machine/shell";

/**
 * What the user can do about the answer of an image's registry; undefined if the registry was not reached.
 *
 * @param complaints the error output of Docker's client
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
            `${registry} sends this machine no more images for now, so ${image} cannot be pulled; run \`docker login\`, wait for an hour, or ` +
            `name another registry in DABAWEB_IMAGES.`
        );
    }
    if (why === "login") {
        const login = registry === "Docker Hub" ? "docker login" : `docker login ${registry}`;
        return (
            `${registry} does not let you pull ${image}; run \`${login}\` as a user who may pull it, or name another ` +
            `registry in DABAWEB_IMAGES.`
        );
    }
    return undefined;
}

/** Lets Docker ask a registry for an image; throws if the registry answers and refuses. */
async function askRegistry(image: string, args: readonly string[], timeout?: number): Promise<Attempt> {
    const asked = await attempt("docker", args, { timeout });
    const why = asked.code === 0 ? undefined : refusalOf(image, asked.complaints);
    if (why !== undefined) {
        throw new Refusal(why);
    }
    return asked;
}

export async function answers(image: string): Promise<boolean> {
    const name = mirrored(image);
    const question = ["manifest", "inspect", askedName(name)];
    return (await askRegistry(name, question, REGISTRY_ANSWER_MS)).code === 0;
}

export async function pull(image: string): Promise<void> {
    const { code, complaints } = await askRegistry(image, ["pull", "--quiet", image]);
    if (code !== 0) {
        throw new Refusal(
            `\`docker pull ${image}\` failed: ${complaints.trim()}\nRun the same command again; complete layers are kept.`,
        );
    }
}
