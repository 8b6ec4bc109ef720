import assert from "assert";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { pinnedImages } from "../../local/pin-upkeep/check";
import { digestNow, movePins, moves, pinFiles } from "../../local/pin-upkeep/move";
import { plugins, tagged, tools } from "../../local/pins";
import { table } from "../../operations/table";
import type { Result } from "../support/command";
import { docker, Scope } from "../support/docker";
import { isLong } from "../support/long";
import { Registries, type Registry } from "../support/registries";
import { Internet } from "./internet";
import { Machine } from "./machine";
import { publishFiles, publishImages, rebuild } from "./published";

/** Timeout of a first `make up` on a busy machine. */
const UP_SECONDS = 25 * 60;
const MINUTES = 60_000;

/** Possible base images of the machine: the stand-in for Debian, or the official image. */
const DEBIAN = ["dabaweb/debian:trixie", "debian:trixie-slim"];

/**
 * What almost every new user finds: servers with the pinned releases, and Docker Hub. Here, simulated servers with the same
 * names serve the files of the local environment. The machine has make, curl and Docker, and its user is not root.
 */
describe("a first `make up` with access to the releases", function () {
    this.timeout(30 * MINUTES);

    const scope = new Scope("release");
    const registries = new Registries(new Scope("release-hub"));
    const files = fs.mkdtempSync(path.join(os.tmpdir(), "published-"));
    let hub: Registry;
    let sizes: ReadonlyMap<string, number>;
    const opened: Internet[] = [];
    const machines: Machine[] = [];

    before("publish files and images", async function () {
        if (!isLong) {
            console.log("      skipped: `make test-long` runs it, see docs/tests.md");
            this.skip();
        }
        const here = await Promise.all(
            DEBIAN.map(async (image) => ((await docker(["images", "--quiet", image])) === "" ? [] : [image])),
        );
        await Machine.build(here.flat()[0] ?? DEBIAN.at(-1)!);
        hub = await registries.open("hub");
        sizes = await publishFiles(files);
        await publishImages(hub.host);
    });

    afterEach(async () => {
        await Promise.all(machines.splice(0).map((machine) => machine.remove()));
        await Promise.all(opened.splice(0).map((internet) => internet.close()));
    });

    after(async () => {
        await registries.close();
        await scope.close();
        await Machine.forget();
        fs.rmSync(files, { recursive: true });
    });

    /** Opens the simulated internet for a network of this Docker Engine. */
    async function connect(network: string): Promise<Internet> {
        const any = scope.named(`in-${network}`);
        await docker([
            "run",
            "--detach",
            "--name",
            any,
            "--network",
            network,
            "--entrypoint",
            "sleep",
            "dabaweb/machine",
            "60",
        ]);
        const format = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}";
        const gateway = await docker(["inspect", "--format", format, any]);
        await docker(["rm", "--force", any]);
        const internet = new Internet(gateway, files, hub.host);
        await internet.open();
        opened.push(internet);
        return internet;
    }

    async function machine(
        name: string,
        internet: Internet,
        more: { network?: string; proxy?: string } = {},
    ): Promise<Machine> {
        const made = await Machine.start(scope.named(name), internet, more);
        machines.push(made);
        // The simulated Docker Hub cannot have the same digests: its own digests are pinned, as a user would pin them.
        await made.clone(async (folder) => {
            const digest = (image: string): Promise<string> => digestNow(image, { DABAWEB_IMAGES: hub.host });
            await movePins(moves(pinnedImages.map(tagged)), digest, pinFiles(folder));
        });
        return made;
    }

    it("downloads everything, serves, reuses everything, and removes everything at the end", async () => {
        const internet = await connect("bridge");
        const laptop = await machine("laptop", internet);
        // Official images are rebuilt when their own base gets a fix; the pinned image stays available by its digest.
        await rebuild("redis", hub.host);
        const untouched = await leftOn(laptop);

        const began = Date.now();
        const up = await laptop.run("make up", UP_SECONDS);
        const seconds = Math.round((Date.now() - began) / 1000);
        assert.strictEqual(up.code, 0, up.stdout + up.stderr);
        const [plan, took] = [section(up.stdout, "part"), section(up.stdout, "step")];
        const bytes = [...sizes.values()].reduce((sum, each) => sum + each, 0);
        console.log(plan.join("\n"), "\n", took.join("\n"));
        console.log(
            table(
                ["published file", "MB"],
                [...sizes].map(([name, size]) => [name, (size / 1e6).toFixed(1)]),
            ),
        );
        console.log(
            `${(bytes / 1e6).toFixed(0)} MB of files, and the images; ${seconds} s to the first page.`,
        );

        const ways = plan.slice(1).map((row) => row.split(/\s{2,}/)[1]);
        assert.ok(
            ways.filter((way) => way === "download").length >=
                Object.keys({ ...tools, ...plugins }).length + 7,
        );
        assert.deepStrictEqual(
            ways.filter((way) => !["found", "download", "start", "ready"].includes(way!)),
            [],
        );
        for (const name of sizes.keys()) {
            const given = internet.asked.filter(
                (each) => each.path.endsWith(`/${name}`) && each.status === 200,
            );
            assert.strictEqual(given.length, 1, name);
        }
        assert.match((await laptop.run("curl -sS localhost:32000/User_data")).stdout, /sam[^]*10000/);

        internet.asked.length = 0;
        const again = await laptop.run("make up", 300);
        assert.strictEqual(again.code, 0, again.stdout + again.stderr);
        assert.match(again.stdout, /^\s+\d+ unchanged$/m);
        assert.deepStrictEqual(internet.asked, []);

        const down = await laptop.run("make down", 300);
        assert.strictEqual(down.code, 0, down.stdout + down.stderr);
        assert.match(down.stdout, /^Nothing is left of the stack\.$/m);
        const purge = await laptop.run("make local-purge", 300);
        assert.strictEqual(purge.code, 0, purge.stdout + purge.stderr);
        assert.deepStrictEqual(await leftOn(laptop), untouched);
    });

    it("serves behind a proxy that is the only way out", async () => {
        const network = scope.named("inside");
        await docker(["network", "create", "--internal", network]);
        try {
            const internet = await connect(network);
            const office = await machine("office", internet, { network, proxy: await internet.openProxy() });
            const up = await office.run("make up", UP_SECONDS);
            assert.strictEqual(up.code, 0, up.stdout + up.stderr);
            const page = await office.run("curl -sS --noproxy localhost localhost:32000/User_data");
            assert.match(page.stdout, /sam[^]*10000/);
        } finally {
            await Promise.all(machines.splice(0).map((each) => each.remove()));
            await docker(["network", "rm", network]);
        }
    });

    it("says what is wrong with the internet, leaves nothing incomplete, and continues when it is repaired", async () => {
        const internet = await connect("bridge");
        const unlucky = await machine("unlucky", internet);
        const refused = async (
            line: string,
            trouble: Internet["trouble"],
            message: RegExp,
        ): Promise<void> => {
            internet.trouble = trouble;
            const { code, stdout, stderr } = await unlucky.run(line, 300);
            console.log(
                `      ${JSON.stringify(trouble)}\n        ${stderr.trim().split("\n").join("\n        ")}`,
            );
            assert.notStrictEqual(code, 0, stdout + stderr);
            assert.match(stderr, message);
        };
        const node = /^node-v/;
        const nodeFile = [...sizes.keys()].find((name) => node.test(name))!;

        await refused(
            "make tools",
            { away: ["nodejs.org"] },
            /its release cannot be reached, and there is no npm/,
        );
        await refused("make tools", { spoiled: [nodeFile] }, /does not have the checksum in SHASUMS256\.txt/);
        await refused(
            "make local-up",
            { away: ["get.pulumi.com"], broken: [nodeFile] },
            /^pulumi is not on this machine, its release cannot be reached, .*\.$/m,
        );
        await refused(
            "make local-up",
            { away: ["github.com"] },
            /^(kind|pulumi-resource-\w+) is not on this machine, its release cannot be reached, .*\.$/m,
        );
        internet.trouble = { away: ["dl.k8s.io"] };
        const plan = await unlucky.run("local/run local/environment/main.ts plan", 300);
        assert.match(plan.stdout, /^kubectl +download .* from the npm registry$/m);
        await refused(
            "make local-up",
            { hub: "too many requests" },
            /^Docker Hub sends this machine no more images for now/m,
        );
        await refused(
            "make local-up",
            { hub: "login wanted" },
            /^Docker Hub does not let you pull \S+; run `docker login` /m,
        );
        await refused(
            "make tools",
            { spoiled: ["linux-x64.tar.gz"] },
            /has SHA-256 [0-9a-f]{64}, but \S+ says [0-9a-f]{64}; the file was deleted/,
        );
        const half = await unlucky.run(
            "find ~/.cache/dabaweb-pulumi -path '*/node' -prune -o -type f -print",
        );
        assert.strictEqual(half.stdout, "");

        internet.trouble = { broken: ["linux-x64.tar.gz"] };
        const mended: Result = await unlucky.run("make tools", 300);
        assert.strictEqual(mended.code, 0, mended.stdout + mended.stderr);
        assert.match(mended.stdout, /interrupted after [\d.]+ MB \(.*\); resuming$/m);
        assert.ok(internet.asked.some(({ path, from }) => path.endsWith("linux-x64.tar.gz") && from > 0));
    });
});

/** The lines of a table in a command's output, from its header, found by the first column's name, to its last row. */
function section(text: string, head: string): string[] {
    const lines = text.split("\n");
    const from = lines.findIndex((line) => line.startsWith(`${head} `));
    const to = lines.findIndex((line, index) => index > from && !/\s{2,}/.test(line));
    return lines.slice(from, to);
}

/** Containers, images, volumes, networks and files on the machine, except the files of npm, Docker's client and the clone. */
async function leftOn(laptop: Machine): Promise<readonly string[]> {
    const questions = [
        "docker ps --all --quiet",
        "docker images --all --quiet",
        "docker volume ls --quiet",
        "docker network ls --format '{{.Name}}' | sort",
        "find ~ -mindepth 1 -not -path '*/dabaweb-pulumi/*' -not -path '*/.npm*' -not -path '*/.docker*' -type f | sort",
    ];
    return Promise.all(questions.map(async (line) => `${line}: ${(await laptop.run(line)).stdout}`));
}
