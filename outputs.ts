/** What a deployed stack offers to other programs. docs/outputs.md documents it. */
import * as pulumi from "@pulumi/pulumi";

import type { ImageName } from "./components/images";

/** host:port of a system, inside the cluster. */
export interface Addresses {
    /** The master: for writes, and for reads that must see them. */
    readonly writer: string;
    /** The ready slaves, for reads; an empty string if there are none. */
    readonly readers: string;
}

/** Only a stack that pins its images and has no backup lacks that one. */
type DeployedImages = Readonly<Record<Exclude<ImageName, "mysql-backup">, string>> & {
    readonly "mysql-backup"?: string;
};

/** The outputs of a stack. */
export interface StackOutputs {
    /** The address that browsers use, without a path. */
    readonly url: string;
    /** The account for the first sign-in. */
    readonly firstAdmin: {
        readonly username: string;
        /** Shell command that prints the password. Outputs are printed, so the password itself is not an output. */
        readonly passwordCommand: string;
    };
    /** Namespace of everything in the stack. */
    readonly namespace: string;
    /**
     * What identifies the cluster: the UID of its namespace kube-system or, if that may not be read, "with namespace " and the
     * UID of the stack's namespace. Absent if no cluster has answered yet.
     */
    readonly cluster?: string;
    readonly redis: Addresses;
    readonly mysql: Addresses;
    /** `<repository>@sha256:...` of each image. */
    readonly images: DeployedImages;
    readonly versions: {
        /** Version of this program. */
        readonly program: string;
        /** The base of each image that the stack builds, usually the official image by tag and digest; none for a pinned image. */
        readonly bases: Readonly<Partial<Record<ImageName, string>>>;
    };
}

/** The same type while an update is still producing the values. */
export type Provided<T> = T extends string ? pulumi.Input<T> : { readonly [K in keyof T]: Provided<T[K]> };

const ALWAYS_THERE = ["url", "firstAdmin", "namespace", "redis", "mysql", "images", "versions"] as const;

/**
 * The outputs of another stack, for a program that uses it.
 *
 * @param stack for example `new pulumi.StackReference("organization/dabaweb/prod")`.
 * @returns the outputs; fails with the names of the stack and the output if the stack is not deployed.
 */
export function outputsOf(stack: pulumi.StackReference): pulumi.Output<StackOutputs> {
    const required = ALWAYS_THERE.map((name) => [name, stack.requireOutput(name)] as const);
    return pulumi.output({
        ...Object.fromEntries(required),
        cluster: stack.getOutput("cluster"),
    }) as pulumi.Output<StackOutputs>;
}
