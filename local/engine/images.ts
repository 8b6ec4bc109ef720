/** Which images the engine has, and under which names. */
import { attempt } from "../machine/shell";
import { tagged } from "../pins";

/** Marks an image that was built here with a hash of its inputs. */
export const RECIPE_LABEL = "dabaweb.recipe";

/** The hash of the recipe that an image was built from; empty if it was pulled, undefined if it does not exist. */
export async function inspect(image: string): Promise<string | undefined> {
    return told(image, `{{with .Config.Labels}}{{index . "${RECIPE_LABEL}"}}{{end}}`);
}

/** An image's name in another registry that has the same images, such as the one that DABAWEB_IMAGES names. */
export function mirrored(image: string, mirror = process.env.DABAWEB_IMAGES): string {
    const prefix = mirror?.replace(/\/$/, "");
    return prefix === undefined ? image : `${prefix}/${image.includes("/") ? image : `library/${image}`}`;
}

/**
 * The name under which the engine has a pinned image; undefined if it does not exist.
 *
 * @param used its name when it was last used; ignored if it is the name of another pin
 */
export async function nameHere(pinned: string, used?: string): Promise<string | undefined> {
    // The name in use is first: an engine may know the image by several names, and another name counts as another base.
    for (const each of namesOf(pinned, used)) {
        if ((await inspect(each)) === "") {
            return each;
        }
    }
    return undefined;
}

/** The names that a pinned image may have, the one in use first. */
export function namesOf(pinned: string, used?: string): readonly string[] {
    const sure = used !== undefined && used.endsWith(pinned) ? [used] : [];
    return [...new Set([...sure, pinned, mirrored(pinned)])];
}

/** Whether the engine has another image under the name and tag of a pinned image; we must not move that tag. */
export async function isTakenByAnother(pinned: string, name: string): Promise<boolean> {
    const id = "{{.Id}}";
    const there = await told(tagged(pinned), id);
    return there !== undefined && there !== (await told(name, id));
}

/** What the engine reports about an image; undefined if it does not exist. */
async function told(image: string, format: string): Promise<string | undefined> {
    const { code, output } = await attempt("docker", ["image", "inspect", "--format", format, image]);
    return code === 0 ? output.trim() : undefined;
}
