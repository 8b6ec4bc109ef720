/** What a deployed stack tells other programs. docs/outputs.md has it as a page. */
import * as pulumi from "@pulumi/pulumi";

import type { ImageName } from "./components/images";

/** host:port of a system, inside the cluster. */
export interface Addresses {
    /** For writes, and for reads that have to see them: the master. */
    readonly writer: string;
    /** For reads: the ready slaves; empty text when there are none. */
    readonly readers: string;
}

/** The outputs of a stack. */
export interface StackOutputs {
    /** The address that browsers use, without a path. */
    readonly url: string;
    /** Who signs in first. */
    readonly firstAdmin: {
        readonly username: string;
        /** Shell command that prints the password: outputs are printed, so it is none of them. */
        readonly passwordCommand: string;
    };
    /** Namespace of everything in the stack. */
    readonly namespace: string;
    /**
     * What the cluster is known by: the UID of its namespace kube-system or, where that may not be read, "with namespace "
     * and the UID of the stack's; absent where no cluster has answered yet.
     */
    readonly cluster?: string;
    readonly redis: Addresses;
    readonly mysql: Addresses;
    /** `<repository>@sha256:...` of each image. */
    readonly images: Readonly<Record<ImageName, string>>;
    readonly versions: {
        /** Version of this program. */
        readonly program: string;
        /** The image, as a rule the official one by tag and digest, below each image that the stack builds; none for a pinned one. */
        readonly bases: Readonly<Partial<Record<ImageName, string>>>;
    };
}

/** The same while an update still makes it. */
export type Provided<T> = T extends string ? pulumi.Input<T> : { readonly [K in keyof T]: Provided<T[K]> };

const ALWAYS_THERE = ["url", "firstAdmin", "namespace", "redis", "mysql", "images", "versions"] as const;

/**
 * The outputs of another stack, for a program that works with it.
 *
 * @param stack for example `new pulumi.StackReference("organization/dabaweb/prod")`.
 * @returns fails with the stack's name and the output's where the stack is not deployed.
 */
export function outputsOf(stack: pulumi.StackReference): pulumi.Output<StackOutputs> {
    const required = ALWAYS_THERE.map((name) => [name, stack.requireOutput(name)] as const);
    return pulumi.output({
        ...Object.fromEntries(required),
        cluster: stack.getOutput("cluster"),
    }) as pulumi.Output<StackOutputs>;
}
