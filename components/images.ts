import * as path from "path";

import * as pulumi from "@pulumi/pulumi";

import { baseOf, type BaseSources } from "./bases";
import { DEFAULT_PLATFORM, Image } from "./image";
import { proxyArguments } from "./proxy";
import { imageProvider, type Registry } from "./registry";

/** The images, each with the folders of the build context that it uses, its own first. */
export const IMAGE_FOLDERS = {
    "redis-master": ["redis-master", "redis"],
    "redis-slave": ["redis-slave", "redis"],
    "mysql-master": ["mysql-master", "mysql"],
    "mysql-slave": ["mysql-slave", "mysql"],
    dabaweb: ["dabaweb"],
    nginx: ["nginx"],
    "mysql-backup": ["mysql-backup", "mysql", "mysql-slave"],
} as const;
export type ImageName = keyof typeof IMAGE_FOLDERS;
const IMAGE_NAMES = Object.keys(IMAGE_FOLDERS) as readonly ImageName[];

/** One reference per image. */
export type References<Name extends ImageName = ImageName> = Readonly<Record<Name, pulumi.Output<string>>>;

/** The images of a master and its slaves. */
interface Pair {
    readonly master: pulumi.Output<string>;
    readonly slave: pulumi.Output<string>;
    /** What each is built on; absent for a pinned image. */
    readonly bases: { readonly master?: string; readonly slave?: string };
    readonly platform: string;
}

/** `<repository>@sha256:...` of each image that a stack uses without building it. */
export type Pinned = Readonly<Partial<Record<ImageName, string>>>;

/** Arguments of {@link Images}. */
export interface ImagesArgs<Name extends ImageName = ImageName> {
    /** The images that are used; nginx only with dabaweb. Default: all. */
    readonly names?: readonly Name[];
    /** Images that are used without building them; dabaweb and nginx both or neither. Default: none, all are built. */
    readonly pinned?: Pinned;
    /** Where images are pushed to and pulled from. */
    readonly registry: Registry;
    /** Target platform. Default: linux/amd64. */
    readonly platform?: string;
    /** As for {@link Image}. */
    readonly keepRemotely?: boolean;
    /** Where base images come from. Default: Docker Hub, as the Dockerfiles pin them. */
    readonly bases?: BaseSources;
    /** Index URL that replaces PyPI. Default: PyPI. */
    readonly pipMirror?: string;
    /** HTTP proxy for access to PyPI. Default: none. */
    readonly proxy?: string;
}

/** The folder images/ of this project. Relative, because an absolute path would differ on every machine. */
const context = () => path.relative(process.cwd(), path.resolve(__dirname, "../images"));

/** The images of the system: built and pushed, or pinned. */
export class Images<Name extends ImageName = ImageName> extends pulumi.ComponentResource {
    /**
     * `<repository>:<content tag>@sha256:...`, without the digest in a preview of an image that is not built yet. Its users
     * wait for the push. For a pinned image: the pin.
     */
    readonly references: References<Name>;
    /** `<repository>@sha256:...`, known after the push. For a pinned image: the pin. */
    readonly digests: References<Name>;
    /** The base of each image that is built, usually the official image by tag and digest; none for a pinned image. */
    readonly bases: Readonly<Partial<Record<ImageName, string>>>;

    /** Platform of the images. */
    readonly platform: string;

    /** @param opts default of its provider: one that builds with the local Docker and pushes to the registry. */
    constructor(name: string, args: ImagesArgs<Name>, opts?: pulumi.ComponentResourceOptions) {
        const names: readonly ImageName[] = args.names ?? IMAGE_NAMES;
        const pinned = args.pinned ?? {};
        // The provider contacts Docker even in a preview, so a program that builds nothing has none.
        const provider =
            opts?.provider ?? (buildsImages(pinned, names) ? imageProvider(args.registry) : undefined);
        super("dabaweb:index:Images", name, {}, { ...opts, provider });
        if (names.includes("nginx") && !names.includes("dabaweb")) {
            throw new Error("names have nginx without dabaweb, whose static files it contains; add dabaweb");
        }
        const unpaired = unpairedImage(pinned);
        if (unpaired !== undefined) {
            throw new Error(
                `${unpaired} is not pinned, but its counterpart is; pin both dabaweb and nginx or neither`,
            );
        }
        this.platform = args.platform ?? DEFAULT_PLATFORM;
        const build = (
            image: ImageName,
            extra: { buildArgs?: Record<string, string>; builtOn?: Record<string, Image> } = {},
        ) =>
            names.includes(image) && pinned[image] === undefined
                ? new Image(
                      image,
                      {
                          context: context(),
                          folders: IMAGE_FOLDERS[image],
                          registry: args.registry,
                          platform: args.platform,
                          keepRemotely: args.keepRemotely,
                          buildArgs: extra.buildArgs,
                          bases: args.bases,
                          builtOn: extra.builtOn,
                      },
                      { parent: this },
                  )
                : undefined;
        // The only image whose build downloads anything.
        const dabaweb = build("dabaweb", { buildArgs: fetching(args) });
        const built: Record<ImageName, Image | undefined> = {
            "redis-master": build("redis-master"),
            "redis-slave": build("redis-slave"),
            "mysql-master": build("mysql-master"),
            "mysql-slave": build("mysql-slave"),
            dabaweb,
            // nginx contains dabaweb's static files, so the two always belong together.
            nginx: build("nginx", { builtOn: dabaweb && { DABAWEB_IMAGE: dabaweb } }),
            "mysql-backup": build("mysql-backup"),
        };
        const each = (value: (image: Image) => pulumi.Output<string>) =>
            Object.fromEntries(
                names.map((image) => [
                    image,
                    built[image] === undefined ? pulumi.output(pinned[image]!) : value(built[image]),
                ]),
            ) as References<Name>;
        this.references = each(({ reference }) => reference);
        this.digests = each(({ digest }) => digest);
        this.bases = Object.fromEntries(
            Object.entries(built)
                .filter(([, image]) => image !== undefined)
                .map(([image]) => [image, baseOf(`${context()}/${image}/Dockerfile`, args.bases)]),
        );
        this.registerOutputs({ digests: this.digests });
    }

    /**
     * The images of a master and its slaves.
     *
     * @throws Error if they are not among the names.
     */
    pair(system: "redis" | "mysql"): Pair {
        const of = (role: "master" | "slave") => {
            const image: ImageName = `${system}-${role}`;
            const reference = (this.references as Partial<References>)[image];
            if (reference === undefined) {
                throw new Error(`images have no ${image}; add it to names`);
            }
            return reference;
        };
        const bases = { master: this.bases[`${system}-master`], slave: this.bases[`${system}-slave`] };
        return { master: of("master"), slave: of("slave"), bases, platform: this.platform };
    }
}

function fetching({ pipMirror, proxy }: Pick<ImagesArgs, "pipMirror" | "proxy">): Record<string, string> {
    return {
        ...(pipMirror === undefined ? {} : { PIP_INDEX_URL: pipMirror }),
        ...proxyArguments(proxy),
    };
}

/** A record with one entry per image. */
export function mapImages<T>(value: (image: ImageName) => T): Record<ImageName, T> {
    return Object.fromEntries(IMAGE_NAMES.map((image) => [image, value(image)])) as Record<ImageName, T>;
}

/**
 * The images that a stack uses, or builds for others to promote. Without backups, a stack that pins its images does not build one
 * for them, so that it needs no Docker.
 */
export function namesFor(
    pinned: Readonly<Partial<Record<ImageName, unknown>>>,
    hasBackup: boolean,
): readonly ImageName[] {
    const pinsSome = Object.values(pinned).some((pin) => pin !== undefined);
    return IMAGE_NAMES.filter(
        (image) => image !== "mysql-backup" || hasBackup || !pinsSome || pinned[image] !== undefined,
    );
}

/** Whether any of these images is not pinned, and Docker is therefore needed. */
export function buildsImages(pinned: Pinned, names: readonly ImageName[] = IMAGE_NAMES): boolean {
    return names.some((image) => pinned[image] === undefined);
}

/** The unpinned one of nginx and dabaweb, if only the other is pinned. */
export function unpairedImage(pinned: Pinned): ImageName | undefined {
    const missing = (["dabaweb", "nginx"] as const).filter((image) => pinned[image] === undefined);
    return missing.length === 1 ? missing[0] : undefined;
}
