import * as fs from "fs";
import * as path from "path";

const PRODUCT_BASES = {
    redis: "REDIS_IMAGE",
    mysql: "MYSQL_IMAGE",
    python: "PYTHON_IMAGE",
    "python-build": "PYTHON_BUILD_IMAGE",
    nginx: "NGINX_IMAGE",
    rclone: "RCLONE_IMAGE",
} as const;
/** A base of the product's own images: only these are keys of its stack files. */
export type ProductBase = keyof typeof PRODUCT_BASES;

/** The images that images are built on, and the build argument that carries each; the last two are for the examples. */
export const BASES = {
    ...PRODUCT_BASES,
    node: "NODE_IMAGE",
    "node-exporter": "NODE_EXPORTER_IMAGE",
} as const;
export type BaseName = keyof typeof BASES;

/** Where bases come from, if not from Docker Hub. */
export interface BaseSources {
    /** Prefix that replaces Docker Hub. Default: Docker Hub. */
    readonly mirror?: string;
    /** Images that replace official ones; the mirror does not apply to these. Default: none. */
    readonly own?: Readonly<Partial<Record<BaseName, string>>>;
}

/**
 * The build arguments that replace a Dockerfile's official bases.
 *
 * @param dockerfile path of the Dockerfile; each base is an `ARG <X>_IMAGE=<official image>` with a default.
 */
export function baseArguments(dockerfile: string, sources: BaseSources): Record<string, string> {
    const official = officialBases(dockerfile);
    return Object.fromEntries(
        [...basesOf(dockerfile, sources)].filter(([arg, image]) => image !== official.get(arg)),
    );
}

/**
 * The image, by tag and digest, that a Dockerfile's last stage is built on.
 *
 * @param dockerfile as for {@link baseArguments}.
 * @throws Error if that stage begins with anything but one of these arguments.
 */
export function baseOf(dockerfile: string, sources: BaseSources = {}): string {
    const [, arg = ""] = [...read(dockerfile).matchAll(/^FROM \$\{(\w+)\}/gm)].pop() ?? [];
    const base = basesOf(dockerfile, sources).get(arg);
    if (base === undefined) {
        throw new Error(
            `${dockerfile} ends in a stage that is not FROM \${<X>_IMAGE} with a default; name its base that way`,
        );
    }
    return base;
}

/** The official images that a Dockerfile names, with tag and digest, keyed by the argument that carries each. */
export function officialBases(dockerfile: string): ReadonlyMap<string, string> {
    const defaults = read(dockerfile).matchAll(/^ARG (\w+_IMAGE)=(\S+)$/gm);
    return new Map([...defaults].map(([, arg, image]) => [arg!, image!]));
}

/**
 * The name under which to look up an image in its registry. Given both tag and digest, Docker's client looks up the tag. It
 * then fails for an image that was rebuilt under its tag, although the pinned one still exists.
 */
export function askedName(image: string): string {
    const [name = "", digest] = image.split("@");
    return digest === undefined ? image : `${name.replace(/:[^:/]*$/, "")}@${digest}`;
}

/** How long Docker's client may take to query a registry, in milliseconds. Behind a proxy it first waits for a name server. */
export const REGISTRY_ANSWER_MS = 30_000;

/**
 * Why a registry that answers does not serve an image: it has no such image, serves no more to this machine for now, or requires
 * a login.
 *
 * @param complaints what Docker's client printed.
 * @returns undefined if the reason is another one.
 */
export function whyNotGiven(complaints: string): "absent" | "limited" | "login" | undefined {
    if (/toomanyrequests|too many requests/i.test(complaints)) {
        return "limited";
    }
    if (/unauthorized|denied|authentication required|no basic auth/i.test(complaints)) {
        return "login";
    }
    return /no such manifest|manifest unknown|failed to resolve reference .*: not found/i.test(complaints)
        ? "absent"
        : undefined;
}

/** The base that a build argument carries. */
export function baseName(arg: string): BaseName | undefined {
    return (Object.keys(BASES) as BaseName[]).find((name) => BASES[name] === arg);
}

/** Whether the product's own images are built on a base. */
export function isProductBase(name: string): name is ProductBase {
    return Object.hasOwn(PRODUCT_BASES, name);
}

/** A record with one entry per base of the product's own images. */
export function mapProductBases<T>(value: (name: ProductBase) => T): Record<ProductBase, T> {
    return Object.fromEntries(
        Object.keys(PRODUCT_BASES)
            .filter(isProductBase)
            .map((name) => [name, value(name)]),
    ) as Record<ProductBase, T>;
}

/** The bases of a Dockerfile, keyed by the argument that carries each. */
export function basesOf(dockerfile: string, { mirror, own = {} }: BaseSources): ReadonlyMap<string, string> {
    const prefix = mirror === undefined ? "" : `${mirror.replace(/\/$/, "")}/`;
    return new Map(
        [...officialBases(dockerfile)].map(([arg, image]) => {
            const name = baseName(arg);
            return [arg, (name && own[name]) ?? `${prefix}${image}`];
        }),
    );
}

function read(dockerfile: string): string {
    return fs.readFileSync(path.normalize(dockerfile), "utf8");
}
