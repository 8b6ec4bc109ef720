import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { hasSysResource } from "../../local/engine/start";
import type { Result } from "../support/command";
import { copyCheckout } from "../support/copy";
import { docker, tryDocker, waitFor } from "../support/docker";
import { HOSTS, type Internet } from "./internet";

const IMAGE = "dabaweb/machine";
const USER = "dev";
const HOME = `/home/${USER}`;
const NARROW = "runc-without-sys-resource";

/** What a new user's machine has: make, curl, Docker. No Node, no Go, and none of the tools. */
const DOCKERFILE = `
ARG BASE
FROM \${BASE}
RUN apt-get update \\
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates curl docker.io docker-cli iptables make \\
    && rm -rf /var/lib/apt/lists/* \\
    && useradd --create-home --groups docker ${USER}
`;

/** A machine with a clone on it: a container with its own Docker Engine and a simulated internet. */
export class Machine {
    private constructor(
        readonly name: string,
        private readonly environment: Readonly<Record<string, string>>,
    ) {}

    /**
     * @param network the network that the machine is in
     * @param proxy URL of the proxy, if it is the only way out of the network
     */
    static async start(
        name: string,
        internet: Internet,
        { network = "bridge", proxy }: { network?: string; proxy?: string } = {},
    ): Promise<Machine> {
        const proxies = proxy === undefined ? {} : variables(proxy);
        const certificates = "/etc/ssl/certs/ca-certificates.crt";
        const machine = new Machine(name, { ...proxies, NODE_EXTRA_CA_CERTS: certificates });
        const hosts = proxy === undefined ? HOSTS : [];
        await docker([
            ...["run", "--detach", "--init", "--privileged", "--name", name, "--hostname", name],
            // Without nested cgroups: the cgroups of its containers are next to its own.
            ...["--cgroupns", "host", "--network", network],
            ...["--volume", "/var/lib/docker", "--tmpfs", "/run:exec"],
            ...hosts.flatMap((host) => ["--add-host", `${host}:${internet.address}`]),
            ...[IMAGE, "sleep", "infinity"],
        ]);
        try {
            const trusted = "/usr/local/share/ca-certificates/internet.crt";
            await docker(["cp", internet.certificate, `${name}:${trusted}`]);
            await machine.asRoot("update-ca-certificates");
            await machine.startDocker();
        } catch (error) {
            await machine.remove();
            throw error;
        }
        return machine;
    }

    /** Builds the image of the machines. */
    static async build(base: string): Promise<void> {
        await docker(["build", "--tag", IMAGE, "--build-arg", `BASE=${base}`, "-"], {
            input: DOCKERFILE,
            timeoutSeconds: 300,
        });
    }

    /** Removes the image of the machines, if it exists. */
    static async forget(): Promise<void> {
        await tryDocker(["rmi", IMAGE]);
    }

    /** Copies a checkout to the place where a user would clone it. */
    async clone(change: (folder: string) => Promise<void>): Promise<void> {
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "clone-"));
        try {
            copyCheckout(path.join(folder, "clone"));
            await change(path.join(folder, "clone"));
            await docker(["cp", path.join(folder, "clone"), `${this.name}:${HOME}/dabaweb-pulumi`], {
                timeoutSeconds: 300,
            });
        } finally {
            fs.rmSync(folder, { recursive: true });
        }
        await this.asRoot(`chown -R ${USER}:${USER} ${HOME}/dabaweb-pulumi`);
    }

    /** Runs a line in the checkout, as the user. */
    run(line: string, timeoutSeconds = 60): Promise<Result> {
        return this.exec(USER, `cd ${HOME}/dabaweb-pulumi && ${line}`, timeoutSeconds);
    }

    /** Runs a line as root; throws if it fails. */
    async asRoot(line: string): Promise<string> {
        const { code, stdout, stderr } = await this.exec("root", line, 120);
        if (code !== 0) {
            throw new Error(`${line} on ${this.name}: exit code ${code}\n${stdout}${stderr}`);
        }
        return stdout.trim();
    }

    async remove(): Promise<void> {
        await tryDocker(["rm", "--force", "--volumes", this.name], { timeoutSeconds: 120 });
    }

    private exec(user: string, line: string, timeoutSeconds: number): Promise<Result> {
        const env = Object.entries({ ...this.environment, HOME: user === "root" ? "/root" : HOME });
        const options = env.flatMap(([key, value]) => ["--env", `${key}=${value}`]);
        return tryDocker(["exec", "--user", user, ...options, this.name, "sh", "-c", line], {
            timeoutSeconds,
        });
    }

    private async startDocker(): Promise<void> {
        const options = ["--mtu $(cat /sys/class/net/eth0/mtu)"];
        if (!hasSysResource()) {
            const file = path.resolve(__dirname, "../../local/engine", NARROW);
            await docker(["cp", file, `${this.name}:/usr/local/bin/${NARROW}`]);
            options.push(`--add-runtime narrowed=/usr/local/bin/${NARROW} --default-runtime narrowed`);
        }
        await this.asRoot(`dockerd ${options.join(" ")} >/var/log/dockerd.log 2>&1 </dev/null &`);
        await waitFor("the machine's Docker Engine to answer", 60, async () => {
            return (await this.exec("root", "docker version", 30)).code === 0;
        });
    }
}

/** The environment variables of a machine behind a proxy. NO_PROXY is missing on purpose: many users forget to set it. */
function variables(proxy: string): Record<string, string> {
    const names = ["http_proxy", "https_proxy"].flatMap((name) => [name, name.toUpperCase()]);
    return Object.fromEntries(names.map((name) => [name, proxy]));
}
