import * as fs from "fs";
import * as os from "os";
import * as path from "path";

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

/** Whether the registry is on this machine: Docker uses plain http for such a registry, and for no other. */
export function isLoopback(address: string): boolean {
    return /^(localhost|127\.\d+\.\d+\.\d+)(:\d+)?(\/|$)/.test(address);
}

/** Scheme and host of a registry. */
export function registryUrl(address: string): string {
    return `${isLoopback(address) ? "http" : "https"}://${address.split("/")[0]}`;
}

/** The provider's login for exactly this registry: the given one, otherwise Docker's own, otherwise none. */
export function registryAuth({
    address,
    username,
    password,
}: Registry): docker.types.input.ProviderRegistryAuth[] {
    const entry = { address: registryUrl(address) };
    if (username !== undefined && password !== undefined) {
        return [{ ...entry, username, password: pulumi.secret(password) }];
    }
    // The provider looks up an entry without a name in Docker's configuration, and fails if there is no such file.
    return [hasDockerLogin(address) ? entry : { ...entry, authDisabled: true }];
}

/** Where a stack's images are: `<prefix>/<image>`. */
export function repositoryPrefix({ address }: Registry, project: string, stack: string): string {
    return `${address}/${project}/${stack}`;
}

/** The provider that builds images and pushes them to this registry. */
export function imageProvider(registry: Registry): docker.Provider {
    return new docker.Provider("docker", { registryAuth: registryAuth(registry) });
}

/** What one login stores in {@link DockerConfig}. */
export interface DockerLogin {
    readonly auth?: string;
    readonly identitytoken?: string;
}

/**
 * The part of Docker's own configuration that concerns logins.
 * @see https://docs.docker.com/reference/cli/docker/login/#credential-stores
 */
export interface DockerConfig {
    readonly auths?: Readonly<Record<string, DockerLogin>>;
    readonly credsStore?: string;
    readonly credHelpers?: Readonly<Record<string, string>>;
}

/** Path of Docker's own configuration, which may not exist. */
export function dockerConfigFile(): string {
    return path.join(process.env.DOCKER_CONFIG ?? path.join(os.homedir(), ".docker"), "config.json");
}

/** What `docker login` stored for a host; empty if a credential store keeps it. */
export function dockerLoginOf(config: DockerConfig, host: string): DockerLogin | undefined {
    return Object.entries(config.auths ?? {}).find(
        ([key]) => key.replace(/^https?:\/\//, "").split("/")[0] === host,
    )?.[1];
}

/** Whether Docker has a login for a registry, wherever it is stored. */
export function hasDockerLogin(address: string): boolean {
    const [host = ""] = address.split("/");
    let config: DockerConfig;
    try {
        config = (JSON.parse(fs.readFileSync(dockerConfigFile(), "utf8")) ?? {}) as DockerConfig;
    } catch {
        return false;
    }
    return (
        dockerLoginOf(config, host) !== undefined ||
        config.credHelpers?.[host] !== undefined ||
        // A cloud's store knows its registries without an entry. A desktop's store exists even without any login.
        (config.credsStore !== undefined && !isLoopback(address))
    );
}

/**
 * The pull secret for the pods: the named one, or one created from username and password.
 *
 * @returns its name; undefined if neither is set.
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
