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
    /** Whether it is reached over plain http. Default: only if it is on this machine. */
    readonly plainHttp?: boolean;
}

/** Whether the registry is on this machine: Docker uses plain http for such a registry, and for no other. */
export function isLoopback(address: string): boolean {
    return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?(\/|$)/.test(address);
}

/** Scheme and host of a registry. */
export function registryUrl(address: string, plainHttp = false): string {
    return `${plainHttp || isLoopback(address) ? "http" : "https"}://${address.split("/")[0]}`;
}

/** The provider's login for exactly this registry: the given one, otherwise Docker's own, otherwise none. */
export function registryAuth({
    address,
    username,
    password,
    plainHttp,
}: Registry): docker.types.input.ProviderRegistryAuth[] {
    const entry = { address: registryUrl(address, plainHttp) };
    if (username !== undefined && password !== undefined) {
        return [{ ...entry, username, password: pulumi.secret(password) }];
    }
    if (!hasDockerLogin(address)) {
        return [{ ...entry, authDisabled: true }];
    }
    // The provider looks up an entry without a name in Docker's configuration, and fails if there is no such file.
    return [fs.existsSync(dockerConfigFile()) ? entry : { ...entry, configFileContent: "{}" }];
}

/** Where a stack's images are: `<prefix>/<image>`. */
export function repositoryPrefix({ address }: Registry, project: string, stack: string): string {
    return `${address}/${project}/${stack}`;
}

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests */
const REPOSITORY_PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
/** The longest name that registries take, without the image's own name. */
const LONGEST_PREFIX = 230;

/** Why a stack's repositories cannot have their names. */
export function repositoryProblem(registry: Registry, project: string, stack: string): string | undefined {
    const [, ...path] = repositoryPrefix(registry, project, stack).split("/");
    if (!REPOSITORY_PART.test(stack)) {
        return (
            `the stack is called ${stack}, and its images' repositories are named after it, which must be lowercase letters and ` +
            "digits, with single dots or underscores, or dashes, between them; rename the stack with `pulumi stack rename`"
        );
    }
    const length = path.join("/").length;
    return length > LONGEST_PREFIX
        ? `the images' repositories begin with ${length} characters (registry.address, ${project}, ${stack}), and ${LONGEST_PREFIX} is ` +
              "the most; shorten registry.address or the stack's name"
        : undefined;
}

/** The provider that builds images and pushes them to this registry. */
export function imageProvider(registry: Registry): docker.Provider {
    return new docker.Provider("docker", { registryAuth: registryAuth(registry) });
}

/** What one login stores in {@link DockerConfig}. */
export interface DockerLogin {
    /** User name and password; without it, they are in the two fields. */
    readonly auth?: string;
    readonly username?: string;
    readonly password?: string;
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
    return path.join(process.env.DOCKER_CONFIG || path.join(os.homedir(), ".docker"), "config.json");
}

/**
 * Docker's own configuration; what DOCKER_AUTH_CONFIG contains comes before it.
 *
 * @throws Error that names what is not JSON, without its content.
 */
export function dockerConfig(): DockerConfig {
    const file = dockerConfigFile();
    const config = fs.existsSync(file) ? parsed(fs.readFileSync(file, "utf8"), file) : {};
    const { DOCKER_AUTH_CONFIG: text } = process.env;
    const { auths } = text ? parsed(text, "DOCKER_AUTH_CONFIG") : {};
    return {
        ...config,
        auths: { ...config.auths, ...auths },
        // No store is asked for these.
        credHelpers: { ...config.credHelpers, ...mapValues(auths ?? {}, () => "") },
    };
}

function mapValues<T>(from: object, value: () => T): Record<string, T> {
    return Object.fromEntries(Object.keys(from).map((key) => [key, value()]));
}

function parsed(text: string, origin: string): DockerConfig {
    try {
        return (JSON.parse(text.trim() || "{}") ?? {}) as DockerConfig;
    } catch {
        // The message of JSON.parse repeats a part of the text.
        throw new Error(`Docker's configuration ${origin} is not JSON`);
    }
}

/**
 * What `docker login` stored for a registry; empty if a credential store keeps it. As in Docker, an entry for the host comes
 * before those for its paths; of these Docker takes any, and this the one that fits best.
 *
 * @param address host[:port][/path].
 */
export function dockerLoginOf(config: DockerConfig, address: string): DockerLogin | undefined {
    const [host = ""] = address.split("/");
    const entries = Object.entries(config.auths ?? {})
        .map(([key, login]) => ({ place: key.replace(/^https?:\/\//, "").replace(/\/+$/, ""), login }))
        .filter(({ place }) => place.split("/")[0] === host);
    const fits = (place: string) => (`${address}/`.startsWith(`${place}/`) ? place.length : 0);
    return (
        config.auths?.[host] ?? entries.sort((one, other) => fits(other.place) - fits(one.place))[0]?.login
    );
}

/** Whether Docker has a login for a registry, wherever it is stored. */
export function hasDockerLogin(address: string): boolean {
    const [host = ""] = address.split("/");
    let config: DockerConfig;
    try {
        config = dockerConfig();
    } catch {
        return false;
    }
    return (
        dockerLoginOf(config, address) !== undefined ||
        Boolean(config.credHelpers?.[host]) ||
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
