import * as pulumi from "@pulumi/pulumi";

import { Image, mirroredBases } from "./image";

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

/** Arguments of {@link Images}. */
export interface ImagesArgs {
    /** Build context, relative to the program. Default: images. */
    readonly context?: string;
    /** Where the repositories lie: `<prefix>/<image>`, for example localhost:5001/dabaweb/dev. */
    readonly repositoryPrefix: string;
    /** Target platform, for example linux/amd64. */
    readonly platform: string;
    /** false: replaced and destroyed images are deleted from the registry. Default: true. */
    readonly keepRemotely?: boolean;
    /** Prefix that replaces Docker Hub for the base images. Default: Docker Hub. */
    readonly imageMirror?: string;
    /** Index URL that replaces PyPI. Default: PyPI. */
    readonly pipMirror?: string;
}

/** The six images of the system, built and pushed. */
export class Images extends pulumi.ComponentResource {
    /** `<repository>:<content tag>`; known in a preview, and whoever uses it waits for the push. */
    readonly references: References;
    /** `<repository>@sha256:...`, known after the push. */
    readonly digests: References;

    constructor(name: string, args: ImagesArgs, opts?: pulumi.ComponentResourceOptions) {
        super("dabaweb:index:Images", name, {}, opts);
        const context = args.context ?? "images";
        const build = (image: ImageName, extra: { pip?: string; builtOn?: Record<string, Image> } = {}) =>
            new Image(
                image,
                {
                    context,
                    folders: IMAGE_FOLDERS[image],
                    repository: `${args.repositoryPrefix}/${image}`,
                    platform: args.platform,
                    keepRemotely: args.keepRemotely,
                    buildArgs: {
                        ...mirroredBases(`${context}/${image}/Dockerfile`, args.imageMirror),
                        ...(extra.pip === undefined ? {} : { PIP_INDEX_URL: extra.pip }),
                    },
                    builtOn: extra.builtOn,
                },
                { parent: this },
            );
        const dabaweb = build("dabaweb", { pip: args.pipMirror });
        const images: Record<ImageName, Image> = {
            "redis-master": build("redis-master"),
            "redis-slave": build("redis-slave"),
            "mysql-master": build("mysql-master"),
            "mysql-slave": build("mysql-slave"),
            dabaweb,
            // nginx carries dabaweb's static files, so the two always belong together.
            nginx: build("nginx", { builtOn: { DABAWEB_IMAGE: dabaweb } }),
        };
        this.references = mapImages((image) => images[image].reference);
        this.digests = mapImages((image) => images[image].digest);
        this.registerOutputs({ digests: this.digests });
    }
}

/** A record with one entry per image. */
export function mapImages<T>(value: (image: ImageName) => T): Record<ImageName, T> {
    return Object.fromEntries(
        (Object.keys(IMAGE_FOLDERS) as ImageName[]).map((image) => [image, value(image)]),
    ) as Record<ImageName, T>;
}
