/** The base of the change under review: the golden graph of a stack at the merge base with the default branch. */
import { execFile } from "child_process";
import { promisify } from "util";

import { type Graph, parseGraph } from "./graph";

/** The graph at the base, or why there is nothing to compare with. */
export type Base =
    | { readonly name: string; readonly graph: Graph }
    | { readonly missing: string; readonly graph?: undefined };

/**
 * Reads the golden graph of a stack at the merge base of the working tree's commit and a ref.
 *
 * @param checkout root of the project; it may be a subfolder of a larger repository.
 * @param ref default: the default branch of the remote origin, or a branch named main or master.
 */
export async function baseGraph(checkout: string, stack: string, ref?: string): Promise<Base> {
    const git = async (...args: string[]): Promise<string | undefined> => {
        try {
            const options = { cwd: checkout, maxBuffer: 64 * 2 ** 20 };
            return (await promisify(execFile)("git", args, options)).stdout.trimEnd();
        } catch {
            return undefined;
        }
    };
    const commitOf = (name: string) => git("rev-parse", "--verify", "--quiet", `${name}^{commit}`);
    if ((await commitOf("HEAD")) === undefined) {
        return {
            missing: `${checkout} is not a git checkout with a commit, so there is nothing to compare with`,
        };
    }
    const head = await git("rev-parse", "--abbrev-ref", "origin/HEAD");
    const candidates = ref === undefined ? [head, "origin/main", "main", "origin/master", "master"] : [ref];
    for (const candidate of candidates) {
        const commit = candidate === undefined ? undefined : await commitOf(candidate);
        if (commit === undefined) {
            continue;
        }
        const base = await git("merge-base", commit, "HEAD");
        if (base === undefined) {
            return {
                missing:
                    `${candidate} and HEAD have no common commit here, so there is nothing to compare with; in a ` +
                    "shallow clone, run git fetch --unshallow",
            };
        }
        const name = `merge base ${base.slice(0, 12)} with ${ref === undefined ? candidate : candidate?.slice(0, 40)}`;
        const file = `test/golden/${stack}.json`;
        const text = await git("show", `${base}:./${file}`);
        return text === undefined
            ? { missing: `${file} is not in ${name}: stack ${stack} is new, or has no golden graph` }
            : readable(name, () => parseGraph(text, `${file} in ${name}`));
    }
    return {
        missing: `${ref === undefined ? "there is no default branch" : `${ref} is not a commit here`}, so there is nothing to compare with; name a branch, tag or commit: PREVIEW="--base <ref>"`,
    };
}

/** A graph in an older format does not fail the preview: the rest of the preview is still valid. */
function readable(name: string, read: () => Graph): Base {
    try {
        return { name, graph: read() };
    } catch (error) {
        return { missing: (error as Error).message };
    }
}
