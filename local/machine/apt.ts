/** Debian's packages, for what has no other source. */
import * as fs from "node:fs";

import { Refusal } from "../../operations/refusal";
import { say } from "./progress";
import { attempt, run } from "./shell";

export const isRoot = (): boolean => process.getuid?.() === 0;

/** Why no Debian packages can be installed or built into images here; undefined if they can. */
export function noDebianRoot(
    facts = { root: isRoot(), debian: fs.existsSync("/etc/debian_version") },
): string | undefined {
    if (!facts.debian) {
        return "this needs Debian packages, and this machine does not run Debian";
    }
    return facts.root ? undefined : "this needs Debian packages, and you are not root";
}

/** Which of these packages are not installed. */
export async function missing(packages: readonly string[]): Promise<string[]> {
    const { output } = await attempt("dpkg-query", [
        "--show",
        "--showformat=${Package} ${db:Status-Status}\\n",
        ...packages,
    ]);
    const installed = new Set(
        output
            .split("\n")
            .filter((line) => line.endsWith(" installed"))
            .map((line) => line.split(" ")[0]),
    );
    return packages.filter((each) => !installed.has(each));
}

/** Installs those of these packages that are missing. One call at a time, since apt-get locks itself. */
export function install(packages: readonly string[]): Promise<void> {
    const installed = installing.then(() => installNow(packages));
    installing = installed.catch(() => undefined);
    return installed;
}

let installing: Promise<void> = Promise.resolve();

async function installNow(packages: readonly string[]): Promise<void> {
    const wanted = await missing(packages);
    if (wanted.length === 0) {
        return;
    }
    const obstacle = noDebianRoot();
    if (obstacle !== undefined) {
        throw new Refusal(
            `${wanted.join(", ")} must be installed: ${obstacle}. Install what is missing, then run this again.`,
        );
    }
    const env = { DEBIAN_FRONTEND: "noninteractive" };
    const args = ["-o", "DPkg::Lock::Timeout=300", "install", "--yes", "--no-install-recommends", ...wanted];
    say(`apt-get install ${wanted.join(" ")}`);
    // The package lists are refreshed only if the installation fails without that: it takes longer than most packages.
    if ((await attempt("apt-get", args, { env })).code !== 0) {
        await run("apt-get", ["update"], { env });
        await run("apt-get", args, { env });
    }
}

/** The sources of this machine's own Debian packages: the archive, and the security archive if there is one. */
export async function debianMirrors(): Promise<{ readonly main?: string; readonly security?: string }> {
    const format = ["--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"];
    const { output } = await attempt("apt-get", ["indextargets", ...format]);
    const lines = output.split("\n").map((line) => line.split("|"));
    const of = (label: string): string | undefined =>
        lines.find(([origin, name]) => origin === "Debian" && name === label)?.[2];
    return { main: of("Debian"), security: of("Debian-Security") };
}
