import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { baseArguments, type BaseSources } from "./bases";
import { contentTag } from "./content";
import { isLoopback, type Registry, repositoryPrefix } from "./registry";

/** The platform of images for which none is given. */
export const DEFAULT_PLATFORM = "linux/amd64";

/** Arguments of {@link Image}. */
export interface ImageArgs {
    /**
     * Build context, relative to the program: an absolute path would differ on every machine and force a rebuild. Default:
     * the program's folder.
     */
    readonly context?: string;
    /** Folders of the context that the Dockerfile uses. The first is the image's own and contains the Dockerfile. */
    readonly folders: readonly string[];
    /** Where the image is pushed to: the repository is `<address>/<project>/<stack>/<name>`. */
    readonly registry: Registry;
    /** Target platform. Default: linux/amd64. */
    readonly platform?: string;
    /** Build arguments that change what is built. Default: none. */
    readonly buildArgs?: Readonly<Record<string, string>>;
    /** Where its base images come from. Default: Docker Hub, as the Dockerfile pins them. */
    readonly bases?: BaseSources;
    /** The project's own images that this one builds on, keyed by the build argument that carries each. Default: none. */
    readonly builtOn?: Readonly<Record<string, Image>>;
    /**
     * false: the image is deleted from the registry when it is replaced or destroyed. Default: false for a registry on this
     * machine, which no one else uses, otherwise true.
     */
    readonly keepRemotely?: boolean;
}

/** An image that is built from a folder and pushed under a tag that identifies its content. */
export class Image extends pulumi.ComponentResource {
    readonly platform: string;
    /** Hash of everything that goes into the image. */
    readonly tag: string;
    /**
     * `<repository>:<tag>@sha256:...`, which never becomes another image. Its users wait for the push. In a preview of an image
     * that is not built yet, it is `<repository>:<tag>`.
     */
    readonly reference: pulumi.Output<string>;
    /** `<repository>:<tag>`, for images that are built on this one. */
    readonly tagged: pulumi.Output<string>;
    /** `<repository>@sha256:...`, known once the image is pushed. */
    readonly digest: pulumi.Output<string>;

    constructor(name: string, args: ImageArgs, opts?: pulumi.ComponentResourceOptions) {
        super("dabaweb:index:Image", name, {}, opts);
        const builtOn = Object.entries(args.builtOn ?? {});
        const context = args.context ?? ".";
        const dockerfile = `${args.folders[0]}/Dockerfile`;
        const prefix = repositoryPrefix(args.registry, pulumi.getProject(), pulumi.getStack());
        const repository = `${prefix}/${name}`;
        this.platform = args.platform ?? DEFAULT_PLATFORM;
        const bases = baseArguments(`${context}/${dockerfile}`, args.bases ?? {});
        const buildArgs = { ...bases, ...args.buildArgs };
        this.tag = contentTag({
            context,
            folders: args.folders,
            buildArgs,
            platform: this.platform,
            builtOn: builtOn.map(([arg, image]) => `${arg}=${image.tag}`),
        });
        const pushed = new docker.RegistryImage(
            name,
            {
                name: `${repository}:${this.tag}`,
                keepRemotely: args.keepRemotely ?? !isLoopback(args.registry.address),
                build: {
                    context,
                    dockerfile,
                    platform: this.platform,
                    buildArgs: {
                        ...buildArgs,
                        ...Object.fromEntries(builtOn.map(([arg, image]) => [arg, image.tagged])),
                        // Becomes a label. Two tags must never share a digest, because deleting one would delete the other.
                        CONTENT: this.tag,
                    },
                },
                triggers: { content: this.tag },
            },
            // Otherwise the provider would first delete the old image and everything that depends on it: all pods at once.
            { parent: this, deleteBeforeReplace: false },
        );
        this.tagged = pushed.name;
        this.reference = byDigest(pushed);
        this.digest = pulumi.interpolate`${repository}@${pushed.sha256Digest}`;
        this.registerOutputs({ reference: this.reference, digest: this.digest });
    }
}

/**
 * The name of the pushed image, with its digest. Before the push there is no digest, so the name has only the tag. The
 * provider does not send an object with an unknown value, so otherwise the API server could not validate it in a preview.
 */
function byDigest({ name, sha256Digest }: docker.RegistryImage): pulumi.Output<string> {
    const pinned = pulumi
        .all([name, sha256Digest])
        .apply(([tagged, digest]) => (digest ? `${tagged}@${digest}` : tagged));
    // Every output has it, although the types of 3.270 hide it.
    const { isKnown } = pinned as unknown as { readonly isKnown: Promise<boolean> };
    return pulumi.output(isKnown.then((known) => (known ? pinned : name)));
}
