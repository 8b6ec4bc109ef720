/** What the engine has of images, and what they are called there. */
import { attempt } from "../machine/shell";
import { tagged } from "../pins";

/** Marks what is built here, with a hash of what it was built from. */
export const RECIPE_LABEL = "dabaweb.recipe";

/** The recipe's hash that an image was built from; empty for one that was pulled, none where it is absent. */
export async function inspect(image: string): Promise<string | undefined> {
    return told(image, `{{with .Config.Labels}}{{index . "${RECIPE_LABEL}"}}{{end}}`);
}

/** An image's name in another registry that has the same images, as DABAWEB_IMAGES names one. */
export function mirrored(image: string, mirror = process.env.DABAWEB_IMAGES): string {
    const prefix = mirror?.replace(/\/$/, "");
    return prefix === undefined ? image : `${prefix}/${image.includes("/") ? image : `library/${image}`}`;
}

/**
 * The name under which the engine has a pinned image; none where it is absent.
 *
 * @param used what it was called when it was used last; another pin's is no name of it
 */
export async function nameHere(pinned: string, used?: string): Promise<string | undefined> {
    // What is in use comes first: an engine may know it by several names, and another one is another base.
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

/** Whether the engine has something else under the name and tag of a pinned image, which is not ours to move. */
export async function isTakenByAnother(pinned: string, name: string): Promise<boolean> {
    const id = "{{.Id}}";
    const there = await told(tagged(pinned), id);
    return there !== undefined && there !== (await told(name, id));
}

/** What the engine tells of an image; none where that is absent. */
async function told(image: string, format: string): Promise<string | undefined> {
    const { code, output } = await attempt("docker", ["image", "inspect", "--format", format, image]);
    return code === 0 ? output.trim() : undefined;
}
