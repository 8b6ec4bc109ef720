/** Every version that the local environment uses, in one table. Parts that are built instead of downloaded are pinned in from-source/. */
import * as path from "node:path";

import { type BaseName, BASES, officialBases } from "../components/bases";
import { dependencies } from "../package.json";

/** A tool that is released as one file or archive with a published checksum. */
export interface ReleasedTool {
    readonly version: string;
    /** The oldest version that is accepted from PATH. */
    readonly atLeast: string;
    /** The environment variable that replaces `base` with a mirror. */
    readonly mirror: string;
    readonly base: string;
    /** Path of the file below the base. */
    readonly file: (platform: Platform) => string;
    /** Path of the checksums below the base, as published with the release. */
    readonly checksums: (platform: Platform) => string;
    readonly gigabytes: number;
}

/** A machine's platform, in Go's names. */
export interface Platform {
    readonly os: "linux" | "darwin";
    readonly arch: "amd64" | "arm64";
}

export const tools = {
    pulumi: {
        version: "3.259.0",
        atLeast: "3.230.0",
        mirror: "DABAWEB_PULUMI_RELEASES",
        base: "https://get.pulumi.com/releases/sdk",
        file: ({ os, arch }) => `pulumi-v3.259.0-${os}-${arch === "amd64" ? "x64" : arch}.tar.gz`,
        checksums: () => "pulumi-3.259.0-checksums.txt",
        gigabytes: 0.5,
    },
    kind: {
        version: "0.30.0",
        atLeast: "0.30.0",
        mirror: "DABAWEB_KIND_RELEASES",
        base: "https://github.com/kubernetes-sigs/kind/releases/download",
        file: ({ os, arch }) => `v0.30.0/kind-${os}-${arch}`,
        checksums: ({ os, arch }) => `v0.30.0/kind-${os}-${arch}.sha256sum`,
        gigabytes: 0.1,
    },
    kubectl: {
        version: "1.34.2",
        // Kubernetes allows a client one minor version older than the cluster.
        atLeast: "1.33.0",
        mirror: "DABAWEB_KUBECTL_RELEASES",
        base: "https://dl.k8s.io/release",
        file: ({ os, arch }) => `v1.34.2/bin/${os}/${arch}/kubectl`,
        checksums: ({ os, arch }) => `v1.34.2/bin/${os}/${arch}/kubectl.sha256`,
        gigabytes: 0.1,
    },
} as const satisfies Record<string, ReleasedTool>;

/** Pulumi's providers, in the versions of their SDKs in package.json. */
export const plugins = {
    kubernetes: provider("kubernetes"),
    random: provider("random"),
    docker: provider("docker"),
} as const;

/** The oldest Docker Engine that all of this was tested with. */
export const dockerAtLeast = "20.10.0";

/** The Kubernetes version of the node image that is built here; the released image has the same minor version. */
export const kubernetes = { built: "1.34.2" } as const;

export const images = {
    /** The default of kind 0.30, with the digest from its release notes. */
    node: "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a",
    builtNode: "dabaweb/node:v1.34.2",
    registry: "registry:3.1.2@sha256:ddf754342cfc8acc51a56d5d0ab6af06826461864460636d8bd5c546dab2a7b8",
    /** Base images of the product's images, as their Dockerfiles pin them. */
    bases: [
        { name: "redis", image: pinnedBase("images/redis-master", "redis") },
        { name: "nginx", image: pinnedBase("images/nginx", "nginx") },
        { name: "mysql", image: pinnedBase("images/mysql-master", "mysql") },
        { name: "python", image: pinnedBase("images/dabaweb", "python") },
        { name: "python-build", image: pinnedBase("images/dabaweb", "python-build") },
        { name: "rclone", image: pinnedBase("images/mysql-backup", "rclone") },
    ],
    /** Base images of the examples' images, which only those who run an example need. */
    exampleBases: [
        { name: "node", image: pinnedBase("examples/key-value/app", "node") },
        { name: "node-exporter", image: pinnedBase("examples/node-exporter/image", "node-exporter") },
    ],
} as const;

/** A base image as a Dockerfile pins it. */
export interface PinnedBase {
    readonly name: BaseName;
    /** With tag and digest. */
    readonly image: string;
}

function pinnedBase(folder: string, name: BaseName): string {
    return officialBases(path.join(__dirname, "..", folder, "Dockerfile")).get(BASES[name])!;
}

/** An image's name and tag, without a digest. */
export const tagged = (image: string): string => image.split("@")[0]!;

/** Compares versions by their numbers; anything after a plus sign is ignored. */
export function isAtLeast(version: string, wanted: string): boolean {
    const numbers = (text: string): number[] => text.split("+")[0]!.split(/[.-]/).slice(0, 3).map(Number);
    const [have, want] = [numbers(version), numbers(wanted)];
    for (const [index, number] of want.entries()) {
        const mine = have[index] ?? 0;
        if (mine !== number) {
            return mine > number;
        }
    }
    return true;
}

/** This machine's platform; undefined if it is not supported. */
export function thisPlatform(
    os: string = process.platform,
    arch: string = process.arch,
): Platform | undefined {
    const known = { x64: "amd64", arm64: "arm64" } as const;
    return (os === "linux" || os === "darwin") && (arch === "x64" || arch === "arm64")
        ? { os, arch: known[arch] }
        : undefined;
}

function provider(name: "kubernetes" | "random" | "docker"): ReleasedTool {
    const version = dependencies[`@pulumi/${name}` as const];
    const release = `pulumi-${name}/releases/download/v${version}`;
    return {
        version,
        // Users get exactly the version that is tested.
        atLeast: version,
        mirror: "DABAWEB_PLUGIN_RELEASES",
        base: "https://github.com/pulumi",
        file: ({ os, arch }) => `${release}/pulumi-resource-${name}-v${version}-${os}-${arch}.tar.gz`,
        checksums: () => `${release}/pulumi-${name}_${version}_checksums.txt`,
        gigabytes: 0.2,
    };
}
