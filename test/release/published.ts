import { createHash } from "crypto";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { mirrored, RECIPE_LABEL } from "../../local/engine/images";
import { nodeImage } from "../../local/images/images";
import { nodeVersion } from "../../local/pin-upkeep/check";
import { images, plugins, type ReleasedTool, tagged, thisPlatform, tools } from "../../local/pins";
import { places } from "../../local/places";
import { releaseOf } from "../../local/tools/download";
import { command } from "../support/command";
import { docker } from "../support/docker";
import { SENT_ON } from "./internet";

/** A file as its project publishes it: its URL, and the URL of its list of checksums. */
interface Release {
    readonly file: string;
    readonly checksums: string;
    /** Whether the list contains file names. */
    readonly named: boolean;
}

/**
 * Publishes the programs of the local environment as their projects do, in a folder with one folder per server.
 *
 * @returns the size of each file in bytes
 */
export async function publishFiles(folder: string): Promise<ReadonlyMap<string, number>> {
    const platform = thisPlatform()!;
    const place = places();
    const at = (tool: ReleasedTool, named: boolean): Release => ({ ...releaseOf(tool, platform, {}), named });
    const node = `https://nodejs.org/dist/v${nodeVersion()}`;
    const nodeName = `node-v${nodeVersion()}-${platform.os}-${process.arch}`;

    const work = fs.mkdtempSync(path.join(os.tmpdir(), "published-"));
    const sizes = new Map<string, number>();
    try {
        await publish(
            { file: `${node}/${nodeName}.tar.gz`, checksums: `${node}/SHASUMS256.txt`, named: true },
            () => {
                const target = path.join(work, nodeName);
                // Node's folder, with its npm.
                const source = path.dirname(path.dirname(process.execPath));
                for (const each of ["bin/node", "bin/npm", "bin/npx", "lib/node_modules/npm"]) {
                    fs.cpSync(path.join(source, each), path.join(target, each), {
                        recursive: true,
                        verbatimSymlinks: true,
                    });
                }
                return [work, nodeName];
            },
        );
        await publish(at(tools.pulumi, true), () => {
            for (const program of ["pulumi", "pulumi-language-nodejs"]) {
                fs.cpSync(path.join(place.bin, program), path.join(work, "pulumi", program));
            }
            return [work, "pulumi"];
        });
        await publish(at(tools.kind, true), () => path.join(place.bin, "kind"));
        await publish(at(tools.kubectl, false), () => path.join(place.bin, "kubectl"));
        for (const [name, plugin] of Object.entries(plugins)) {
            await publish(at(plugin, true), () => {
                // A plugin that was built here carries build metadata after the version.
                const folders = path.join(place.pulumiHome, "plugins");
                const installed = fs
                    .readdirSync(folders)
                    .find((each) => each.split("+")[0] === `resource-${name}-v${plugin.version}`)!;
                return [path.join(folders, installed), `pulumi-resource-${name}`];
            });
        }
    } finally {
        fs.rmSync(work, { recursive: true });
    }
    return sizes;

    /** @param content a file, or a folder and the entry in it to archive */
    async function publish(release: Release, content: () => string | [string, string]): Promise<void> {
        const target = inFolder(release.file);
        fs.mkdirSync(path.dirname(target), { recursive: true });
        const source = content();
        if (typeof source === "string") {
            fs.copyFileSync(source, target);
        } else {
            const [from, what] = source;
            await sure("tar", ["-czf", target, "-C", from, what]);
        }
        const sum = createHash("sha256").update(fs.readFileSync(target)).digest("hex");
        const list = inFolder(release.checksums);
        fs.appendFileSync(list, release.named ? `${sum}  ${path.basename(target)}\n` : sum);
        sizes.set(path.basename(target), fs.statSync(target).size);
    }

    function inFolder(url: string): string {
        const { host, pathname } = new URL(url);
        // If a server redirects, the file is in the folder of the target server.
        return path.join(folder, SENT_ON[host] ?? host, pathname);
    }
}

async function sure(file: string, args: readonly string[]): Promise<void> {
    const { code, stderr } = await command(file, args, { timeoutSeconds: 300 });
    if (code !== 0) {
        throw new Error(`${file} ${args.join(" ")}: exit code ${code}\n${stderr}`);
    }
}

/**
 * Pushes the images that users pull to a registry, under their names on Docker Hub. They look like pulled images: nothing
 * shows that they were built here.
 *
 * @param hub host:port
 */
export async function publishImages(hub: string): Promise<void> {
    const node = await nodeImage();
    const all = new Map<string, string>([
        [node!, images.node],
        ...[images.registry, ...[...images.bases, ...images.exampleBases].map(({ image }) => image)].map(
            (each): [string, string] => [tagged(each), each],
        ),
    ]);
    for (const [here, name] of all) {
        await push(here, tagged(mirrored(name, hub)), `${RECIPE_LABEL}=`);
    }
}

/** Pushes another image under the tag of a base. */
export async function rebuild(name: (typeof images.bases)[number]["name"], hub: string): Promise<void> {
    const image = tagged(images.bases.find((each) => each.name === name)!.image);
    await push(image, mirrored(image, hub), "rebuilt=yes");
}

async function push(here: string, there: string, label: string): Promise<void> {
    const args = ["build", "--quiet", "--tag", there, "--label", label, "-"];
    await docker(args, { input: `FROM ${here}\n`, timeoutSeconds: 120 });
    try {
        await docker(["push", "--quiet", there], { timeoutSeconds: 600 });
    } finally {
        await docker(["rmi", there]);
    }
}
