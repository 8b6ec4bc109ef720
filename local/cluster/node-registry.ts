/** How the cluster's nodes reach the registry on this machine. */
import { Refusal } from "../../operations/refusal";
import { run } from "../machine/shell";
import { tools } from "../pins";
import { names, registryAddress } from "../places";

/** Sends a node's pulls from a loopback registry to the registry's container. */
export async function useRegistry(
    node: string,
    address: string = registryAddress,
    container: string = names.registry,
): Promise<void> {
    const directory = `${await registryDirectory(node)}/${address}`;
    const script = `mkdir -p ${directory} && cat >${directory}/hosts.toml`;
    const input = `[host."http://${container}:5000"]\n`;
    await run("docker", ["exec", "--interactive", node, "sh", "-c", script], { input });
}

/** The folder in which a node's containerd looks for registries. */
export async function registryDirectory(node: string): Promise<string> {
    const directory = registryDirectoryOf(
        await run("docker", ["exec", node, "containerd", "config", "dump"]),
    );
    if (directory === undefined) {
        throw new Refusal(
            `containerd on ${node} has no config_path, so no registry can be configured; pin a node image of kind ` +
                `${tools.kind.atLeast} or newer with \`make pins-move\`, then run \`make local-purge\` and \`make up\`.`,
        );
    }
    return directory;
}

/**
 * @param dump containerd's configuration as it prints it; 1.x and 2.x differ in quotes and plugin names
 * @returns the first folder that it names; undefined if it names none
 */
export function registryDirectoryOf(dump: string): string | undefined {
    const found = /^\s*config_path\s*=\s*["']([^"':]+)/m.exec(dump);
    return found?.[1];
}
