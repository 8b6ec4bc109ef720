import * as pulumi from "@pulumi/pulumi";

import { baseOf, type BaseSources } from "./bases";
import { Image } from "./image";

/** The six images, each with the folders of the build context that it takes; its own comes first. */
export const IMAGE_FOLDERS = {
    "redis-master": ["redis-master", "redis"],
    "redis-slave": ["redis-slave", "redis"],
    "mysql-master": ["mysql-master", "mysql"],
    "mysql-slave": ["mysql-slave", "mysql"],
    dabaweb: ["dabaweb"],
    nginx: ["nginx"],
} as const;
export type ImageName = keyof typeof IMAGE_FOLDERS;

/** One reference per image. */
export type References = Readonly<Record<ImageName, pulumi.Output<string>>>;

/** `<repository>@sha256:...` of each image that a stack takes as it is. */
export type Pinned = Readonly<Partial<Record<ImageName, string>>>;

/** Arguments of {@link Images}. */
export interface ImagesArgs {
    /** Images that are taken as they are; dabaweb and nginx together or not at all. Default: none, all are built. */
    readonly pinned?: Pinned;
    /** Build context, relative to the program. Default: images. */
    readonly context?: string;
    /** Where the repositories lie: `<prefix>/<image>`, for example localhost:5001/dabaweb/dev. */
    readonly repositoryPrefix: string;
    /** Target platform, for example linux/amd64. */
    readonly platform: string;
    /** false: replaced and destroyed images are deleted from the registry. Default: true. */
    readonly keepRemotely?: boolean;
    /** Where bases come from. Default: Docker Hub, as the Dockerfiles pin them. */
    readonly bases?: BaseSources;
    /** Index URL that replaces PyPI. Default: PyPI. */
    readonly pipMirror?: string;
    /** HTTP proxy on the way to PyPI. Default: none. */
    readonly proxy?: string;
}

/** The six images of the system: built and pushed, or taken as pinned. */
export class Images extends pulumi.ComponentResource {
    /**
     * `<repository>:<content tag>@sha256:...`, in a preview of what is not built yet without the digest; whoever uses it
     * waits for the push. Pinned: the pin.
     */
    readonly references: References;
    /** `<repository>@sha256:...`, known after the push. Pinned: the pin. */
    readonly digests: References;
    /** The image below each that is built, as a rule the official one by tag and digest; none for a pinned one. */
    readonly bases: Readonly<Partial<Record<ImageName, string>>>;

    constructor(name: string, args: ImagesArgs, opts?: pulumi.ComponentResourceOptions) {
        super("dabaweb:index:Images", name, {}, opts);
        const context = args.context ?? "images";
        const pinned = args.pinned ?? {};
        const unpaired = unpairedImage(pinned);
        if (unpaired !== undefined) {
            throw new Error(
                `${unpaired} is not pinned, but the other of nginx and dabaweb is; pin both or neither`,
            );
        }
        const build = (
            image: ImageName,
            extra: { buildArgs?: Record<string, string>; builtOn?: Record<string, Image> } = {},
        ) =>
            pinned[image] === undefined
                ? new Image(
                      image,
                      {
                          context,
                          folders: IMAGE_FOLDERS[image],
                          repository: `${args.repositoryPrefix}/${image}`,
                          platform: args.platform,
                          keepRemotely: args.keepRemotely,
                          buildArgs: extra.buildArgs,
                          bases: args.bases,
                          builtOn: extra.builtOn,
                      },
                      { parent: this },
                  )
                : undefined;
        // The only one that fetches anything.
        const dabaweb = build("dabaweb", { buildArgs: fetching(args) });
        const built: Record<ImageName, Image | undefined> = {
            "redis-master": build("redis-master"),
            "redis-slave": build("redis-slave"),
            "mysql-master": build("mysql-master"),
            "mysql-slave": build("mysql-slave"),
            dabaweb,
            // nginx carries dabaweb's static files, so the two always belong together.
            nginx: build("nginx", { builtOn: dabaweb && { DABAWEB_IMAGE: dabaweb } }),
        };
        this.references = mapImages((image) => built[image]?.reference ?? pulumi.output(pinned[image]!));
        this.digests = mapImages((image) => built[image]?.digest ?? pulumi.output(pinned[image]!));
        this.bases = Object.fromEntries(
            Object.entries(built)
                .filter(([, image]) => image !== undefined)
                .map(([image]) => [image, baseOf(`${context}/${image}/Dockerfile`, args.bases)]),
        );
        this.registerOutputs({ digests: this.digests });
    }
}

/** Docker knows the proxy's arguments by itself: no Dockerfile declares them, and no image holds them. */
function fetching({ pipMirror, proxy }: ImagesArgs): Record<string, string> {
    return {
        ...(pipMirror === undefined ? {} : { PIP_INDEX_URL: pipMirror }),
        ...(proxy === undefined ? {} : { HTTP_PROXY: proxy, HTTPS_PROXY: proxy }),
    };
}

/** A record with one entry per image. */
export function mapImages<T>(value: (image: ImageName) => T): Record<ImageName, T> {
    return Object.fromEntries(
        (Object.keys(IMAGE_FOLDERS) as ImageName[]).map((image) => [image, value(image)]),
    ) as Record<ImageName, T>;
}

/** Whether any image is not pinned, so that Docker is needed. */
export function buildsImages(pinned: Pinned): boolean {
    return Object.values(mapImages((image) => pinned[image])).includes(undefined);
}

/** Of nginx and dabaweb the one without a pin, where the other has one. */
export function unpairedImage(pinned: Pinned): ImageName | undefined {
    const missing = (["dabaweb", "nginx"] as const).filter((image) => pinned[image] === undefined);
    return missing.length === 1 ? missing[0] : undefined;
}
