import * as fs from "fs";
import * as path from "path";

import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { contentTag } from "./content";

/** Arguments of {@link Image}. */
export interface ImageArgs {
    /** Build context, relative to the program: an absolute path would differ on every machine and force a rebuild. */
    readonly context: string;
    /** Folders of the context that the Dockerfile takes. The first is the image's own and holds the Dockerfile. */
    readonly folders: readonly string[];
    /** Repository without a tag, for example localhost:5001/dabaweb/dev/redis-master. */
    readonly repository: string;
    /** Target platform, for example linux/amd64. */
    readonly platform: string;
    /** Build arguments that change what is built. Default: none. */
    readonly buildArgs?: Readonly<Record<string, string>>;
    /** The project's own images that this one builds on, by the build argument that carries each. Default: none. */
    readonly builtOn?: Readonly<Record<string, Image>>;
    /** false: the image is deleted from the registry when it is replaced or destroyed. Default: true. */
    readonly keepRemotely?: boolean;
}

/** An image that is built from a folder and pushed, under a tag that says what is in it. */
export class Image extends pulumi.ComponentResource {
    /** Hash of what goes in. */
    readonly tag: string;
    /** `<repository>:<tag>`, known in a preview; whoever uses it waits for the push. */
    readonly reference: pulumi.Output<string>;
    /** `<repository>@sha256:...`, known once the image is pushed. */
    readonly digest: pulumi.Output<string>;

    constructor(name: string, args: ImageArgs, opts?: pulumi.ComponentResourceOptions) {
        super("dabaweb:index:Image", name, {}, opts);
        const builtOn = Object.entries(args.builtOn ?? {});
        this.tag = contentTag({
            context: args.context,
            folders: args.folders,
            buildArgs: args.buildArgs ?? {},
            platform: args.platform,
            builtOn: builtOn.map(([arg, image]) => `${arg}=${image.tag}`),
        });
        const pushed = new docker.RegistryImage(
            name,
            {
                name: `${args.repository}:${this.tag}`,
                keepRemotely: args.keepRemotely ?? true,
                build: {
                    context: args.context,
                    dockerfile: `${args.folders[0]}/Dockerfile`,
                    platform: args.platform,
                    buildArgs: {
                        ...args.buildArgs,
                        ...Object.fromEntries(builtOn.map(([arg, image]) => [arg, image.reference])),
                        // Becomes a label: two tags must never share a digest, because deleting one would take the other.
                        CONTENT: this.tag,
                    },
                },
                triggers: { content: this.tag },
            },
            // The provider would delete first and, with the old image, everything that depends on it: all pods at once.
            { parent: this, deleteBeforeReplace: false },
        );
        this.reference = pushed.name;
        this.digest = pulumi.interpolate`${args.repository}@${pushed.sha256Digest}`;
        this.registerOutputs({ reference: this.reference, digest: this.digest });
    }
}

/**
 * The build arguments that send a Dockerfile's base images to a mirror.
 *
 * @param dockerfile path of the Dockerfile; each base is an `ARG <X>_IMAGE=<official image>` with a default.
 * @param mirror prefix in front of the official name; undefined: Docker Hub, no arguments.
 */
export function mirroredBases(dockerfile: string, mirror: string | undefined): Record<string, string> {
    if (mirror === undefined) {
        return {};
    }
    const defaults = [...officialBases(read(dockerfile))];
    return Object.fromEntries(defaults.map(([arg, image]) => [arg, `${mirror.replace(/\/$/, "")}/${image}`]));
}

/**
 * The official image, with its tag, that a Dockerfile's last stage stands on.
 *
 * @param dockerfile as for {@link mirroredBases}.
 * @throws Error where that stage begins with anything but one of these arguments.
 */
export function baseOf(dockerfile: string): string {
    const text = read(dockerfile);
    const [, arg = ""] = [...text.matchAll(/^FROM \$\{(\w+)\}/gm)].pop() ?? [];
    const base = officialBases(text).get(arg);
    if (base === undefined) {
        throw new Error(
            `${dockerfile} ends in a stage that is not FROM \${<X>_IMAGE} with a default; name its base so`,
        );
    }
    return base;
}

function read(dockerfile: string): string {
    return fs.readFileSync(path.normalize(dockerfile), "utf8");
}

function officialBases(dockerfileText: string): Map<string, string> {
    const defaults = dockerfileText.matchAll(/^ARG (\w+_IMAGE)=(\S+)$/gm);
    return new Map([...defaults].map(([, arg, image]) => [arg!, image!]));
}
