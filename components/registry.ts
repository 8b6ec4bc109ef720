import * as docker from "@pulumi/docker";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

/** A registry and how to log in to it. */
export interface Registry {
    /** host[:port][/path]. */
    readonly address: string;
    /** Default: the login of the Docker CLI. */
    readonly username?: string;
    readonly password?: pulumi.Input<string>;
    /** Name of an existing image pull secret. */
    readonly pullSecret?: string;
}

/** Whether the registry is on this machine: Docker speaks plain http to such a one, and only to such a one. */
export function isLoopback(address: string): boolean {
    return /^(localhost|127\.\d+\.\d+\.\d+)(:\d+)?(\/|$)/.test(address);
}

/** Scheme and host of a registry. */
export function registryUrl(address: string): string {
    return `${isLoopback(address) ? "http" : "https"}://${address.split("/")[0]}`;
}

/** The provider's login for exactly this registry. */
export function registryAuth({
    address,
    username,
    password,
}: Registry): docker.types.input.ProviderRegistryAuth[] {
    if (username !== undefined && password !== undefined) {
        return [{ address: registryUrl(address), username, password: pulumi.secret(password) }];
    }
    return isLoopback(address) ? [{ address: registryUrl(address), authDisabled: true }] : [];
}

/**
 * The pull secret that pods get: the one named, or one made from username and password.
 *
 * @returns its name; undefined when the registry needs none.
 */
export function pullSecret(
    registry: Registry,
    namespace: pulumi.Input<string>,
    opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> | undefined {
    const { username, password } = registry;
    if (registry.pullSecret !== undefined) {
        return pulumi.output(registry.pullSecret);
    }
    if (username === undefined || password === undefined) {
        return undefined;
    }
    const host = registry.address.split("/")[0] ?? registry.address;
    const login = pulumi.secret(password).apply((secret) =>
        JSON.stringify({
            auths: { [host]: { auth: Buffer.from(`${username}:${secret}`).toString("base64") } },
        }),
    );
    return new k8s.core.v1.Secret(
        "registry-credentials",
        {
            metadata: { name: "registry-credentials", namespace },
            type: "kubernetes.io/dockerconfigjson",
            stringData: { ".dockerconfigjson": login },
        },
        opts,
    ).metadata.name;
}
