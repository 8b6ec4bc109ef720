import * as crypto from "crypto";
import * as fs from "fs";
import * as path from "path";

import dockerignore from "@balena/dockerignore";

/** What determines whether an image must be built again. */
export interface ContentInputs {
    /** Folder that is the build context. */
    readonly context: string;
    /** Folders in the context that the Dockerfile uses, its own first. */
    readonly folders: readonly string[];
    /** Build arguments, except those that carry the tag itself or a registry. */
    readonly buildArgs: Readonly<Record<string, string>>;
    /** Target platform, for example linux/amd64. */
    readonly platform: string;
    /** Tags of the project's own images that this one builds on. */
    readonly builtOn: readonly string[];
}

/** 80 bits in hex: short enough that you can read part of it aloud, and long enough that no collision is expected. */
const TAG_LENGTH = 20;

/**
 * The tag of an image: a hash of everything that goes into it. It does not depend on a checkout's path, umask, owner or file
 * times, so an unchanged image is never built again and a preview already knows the reference.
 *
 * @throws Error if a folder does not exist.
 */
export function contentTag(inputs: ContentInputs): string {
    const hash = crypto.createHash("sha256");
    const add = (...fields: string[]) => hash.update(fields.map((f) => `${f.length}:${f}`).join("") + "\n");
    for (const file of contentFiles(inputs.context, inputs.folders)) {
        const full = path.join(inputs.context, file);
        const digest = crypto.createHash("sha256").update(fs.readFileSync(full)).digest("hex");
        add("file", file, isExecutable(full) ? "755" : "644", digest);
    }
    for (const [key, value] of Object.entries(inputs.buildArgs).sort(([a], [b]) => (a < b ? -1 : 1))) {
        add("arg", key, value);
    }
    add("platform", inputs.platform);
    inputs.builtOn.forEach((tag) => add("base", tag));
    return hash.digest("hex").slice(0, TAG_LENGTH);
}

/** The files below `folders` that reach the builder, relative to the context, with forward slashes, sorted. */
export function contentFiles(context: string, folders: readonly string[]): string[] {
    const ignore = dockerignore();
    const ignoreFile = path.join(context, ".dockerignore");
    if (fs.existsSync(ignoreFile)) {
        ignore.add(fs.readFileSync(ignoreFile, "utf8"));
    }
    const files = folders.flatMap((folder) =>
        fs
            .readdirSync(path.join(context, folder), { recursive: true, withFileTypes: true })
            .filter((entry) => entry.isFile())
            .map((entry) => path.relative(context, path.join(entry.parentPath, entry.name))),
    );
    return files
        .filter((file) => !ignore.ignores(file))
        .map((file) => file.split(path.sep).join("/"))
        .sort();
}

/** Git keeps only the owner's execute bit. The other bits follow the umask of the user who checked out. */
function isExecutable(file: string): boolean {
    return (fs.statSync(file).mode & 0o100) !== 0;
}
