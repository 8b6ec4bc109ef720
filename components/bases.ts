import * as fs from "fs";
import * as path from "path";

/** The images that the project's own are built on, and the build argument that carries each. */
export const BASES = {
    redis: "REDIS_IMAGE",
    mysql: "MYSQL_IMAGE",
    python: "PYTHON_IMAGE",
    "python-build": "PYTHON_BUILD_IMAGE",
    nginx: "NGINX_IMAGE",
} as const;
export type BaseName = keyof typeof BASES;

/** Where bases come from, if not from Docker Hub. */
export interface BaseSources {
    /** Prefix that replaces Docker Hub. Default: Docker Hub. */
    readonly mirror?: string;
    /** Images in the place of official ones; no mirror is asked for these. Default: none. */
    readonly own?: Readonly<Partial<Record<BaseName, string>>>;
}

/**
 * The build arguments that give a Dockerfile other bases than the official ones.
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
 * The image, by tag and digest, that a Dockerfile's last stage stands on.
 *
 * @param dockerfile as for {@link baseArguments}.
 * @throws Error where that stage begins with anything but one of these arguments.
 */
export function baseOf(dockerfile: string, sources: BaseSources = {}): string {
    const [, arg = ""] = [...read(dockerfile).matchAll(/^FROM \$\{(\w+)\}/gm)].pop() ?? [];
    const base = basesOf(dockerfile, sources).get(arg);
    if (base === undefined) {
        throw new Error(
            `${dockerfile} ends in a stage that is not FROM \${<X>_IMAGE} with a default; name its base so`,
        );
    }
    return base;
}

/** The official images that a Dockerfile names, by tag and digest, by the argument that carries each. */
export function officialBases(dockerfile: string): ReadonlyMap<string, string> {
    const defaults = read(dockerfile).matchAll(/^ARG (\w+_IMAGE)=(\S+)$/gm);
    return new Map([...defaults].map(([, arg, image]) => [arg!, image!]));
}

/**
 * A name that registries are asked for: Docker's client asks for the tag where both are named, and calls an image that was
 * rebuilt under its tag a failure, though the pinned one is still there.
 */
export function askedName(image: string): string {
    const [name = "", digest] = image.split("@");
    return digest === undefined ? image : `${name.replace(/:[^:/]*$/, "")}@${digest}`;
}

/** How long Docker's client may take to ask a registry, in milliseconds: behind a proxy it waits for a name server first. */
export const REGISTRY_ANSWER_MS = 30_000;

/**
 * Why a registry that answers does not give an image: it has none of that name, gives this machine no more for now, or wants a
 * login.
 *
 * @param complaints what Docker's client says of it.
 * @returns undefined where they say something else.
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

/** A record with one entry per base. */
export function mapBases<T>(value: (name: BaseName) => T): Record<BaseName, T> {
    return Object.fromEntries(
        (Object.keys(BASES) as BaseName[]).map((name) => [name, value(name)]),
    ) as Record<BaseName, T>;
}

/** What a Dockerfile's images are built on, by the argument that carries each. */
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
