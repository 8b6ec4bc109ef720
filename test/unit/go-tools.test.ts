import { strict as assert } from "node:assert";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as goTools from "../../local/from-source/go-tools";
import { builtVersion } from "../../local/from-source/programs";
import { isAtLeast, plugins } from "../../local/pins";

const fromSource = path.join(__dirname, "../../local/from-source");

describe("Go tools from source", () => {
    let directory: string;
    let lines: string[];
    let options: goTools.BuildOptions;
    const oldPath = process.env.PATH;

    beforeEach(() => {
        directory = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "go-tools-")));
        lines = [];
        options = { cacheDir: path.join(directory, "cache"), onProgress: (line) => lines.push(line) };
    });

    afterEach(() => {
        process.env.PATH = oldPath;
        fs.rmSync(directory, { recursive: true });
    });

    /** Puts a stand-in for Go first on PATH; `atBuild` is what it does for "build". */
    function standIn(version: string, atBuild: string): void {
        const script = `#!/bin/sh\ncase "$1" in env) echo go${version} ;; build) ${atBuild} ;; esac\n`;
        fs.writeFileSync(path.join(directory, "go"), script, { mode: 0o755 });
        process.env.PATH = `${directory}:${oldPath}`;
    }

    it("have a go.mod whose go line any Go 1.26 satisfies, and a go.sum", () => {
        for (const tool of goTools.goTools.filter(({ name }) => name !== "pause")) {
            const goMod = fs.readFileSync(path.join(fromSource, tool.name, "go.mod"), "utf8");
            assert.match(goMod, /^go 1\.(24\.\d+|25\.\d+|26\.0)$/m, tool.name);
            assert.doesNotMatch(goMod, /^toolchain /m, tool.name);
            assert.ok(fs.existsSync(path.join(fromSource, tool.name, "go.sum")), tool.name);
        }
    });

    it("use the same version of every module, so that a package is compiled once", () => {
        // One tool requires a version of these that another program cannot use.
        const apart = [
            "github.com/olekukonko/tablewriter",
            "github.com/pulumi/pulumi/pkg/v3",
            "github.com/pulumi/pulumi/sdk/v3",
        ];
        const versions = new Map<string, Set<string>>();
        for (const { name } of goTools.goTools.filter((tool) => tool.name !== "pause")) {
            const goMod = fs.readFileSync(path.join(fromSource, name, "go.mod"), "utf8");
            for (const [, module, version] of goMod.matchAll(
                /^(?:require |\t)(\S+) (v\S+)(?: \/\/ indirect)?$/gm,
            )) {
                versions.set(module!, (versions.get(module!) ?? new Set()).add(version!));
            }
        }
        assert.ok(versions.size > 300);
        const several = [...versions].filter(([, each]) => each.size > 1).map(([module]) => module);
        assert.deepEqual(several.sort(), apart);
    });

    it("mark plugins as built, with the versions of the SDKs that package.json pins", () => {
        for (const [name, { version }] of Object.entries(plugins)) {
            const built = builtVersion(`pulumi-${name}`);
            if (process.env.RELEASE_ONLY === name) {
                console.log(
                    `      RELEASE_ONLY=${name}: its release ${version} is tested, ${built} need not match`,
                );
                assert.ok(isAtLeast(version, built), `${version} is older than ${built}`);
            } else {
                assert.equal(built, `${version}+built`);
            }
        }
    });

    it("have keys that change with their inputs, and with nothing else", () => {
        const copy = path.join(directory, "copy");
        fs.cpSync(path.join(fromSource, "kind"), path.join(copy, "kind"), { recursive: true });
        fs.cpSync(path.join(fromSource, "go-tools.ts"), path.join(copy, "go-tools.ts"));
        const { cacheKey } = require(path.join(copy, "go-tools.ts")) as typeof goTools;
        const kind = goTools.goTools.find((tool) => tool.name === "kind")!;
        const before = goTools.cacheKey(kind);
        assert.match(before, /^[0-9a-f]{12}$/);
        assert.equal(cacheKey(kind), before);
        fs.appendFileSync(path.join(copy, "kind", "go.sum"), "\n");
        const changed = cacheKey(kind);
        assert.notEqual(changed, before);
        fs.mkdirSync(path.join(copy, "kind", "own"));
        fs.writeFileSync(path.join(copy, "kind", "own", "own.go"), "package own\n");
        assert.notEqual(cacheKey(kind), changed);
    });

    it("are built once, and stored under their key", async () => {
        standIn(
            "1.99.0",
            `echo "$GOMODCACHE $*" >> ${directory}/calls; for a; do case "$a" in */) d=$a ;; esac; done
            for b in host-local loopback portmap ptp; do cp "$0" "$d$b"; done`,
        );
        const tool = goTools.goTools.find(({ name }) => name === "cni-plugins")!;
        const first = await goTools.buildGoTool("cni-plugins", options);
        const second = await goTools.buildGoTool("cni-plugins", options);
        assert.deepEqual(first, second);
        assert.equal(
            first.ptp,
            path.join(options.cacheDir, "go", `cni-plugins-${goTools.cacheKey(tool)}`, "ptp"),
        );
        assert.ok(Object.values(first).every((file) => fs.existsSync(file)));
        const calls = fs.readFileSync(path.join(directory, "calls"), "utf8").trimEnd().split("\n");
        assert.equal(calls.length, 1);
        assert.match(calls[0]!, /^\S+\/cache\/build\/go-mod build -trimpath .*-s -w.* tool$/);
        assert.match(lines[0]!, /^cni-plugins 1\.7\.1: building from source, about 0.2 min/);
        await goTools.removeBuildCaches(options.cacheDir);
        assert.deepEqual(fs.readdirSync(options.cacheDir), ["go"]);
        await goTools.removeBuildCaches(options.cacheDir);
    });

    it("have their modules fetched by package name, except for tools that are already built", async () => {
        standIn("1.99.0", "false");
        fs.appendFileSync(
            path.join(directory, "go"),
            `[ "$1" = list ] && echo "$PWD $*" >> ${directory}/calls\n`,
        );
        const kind = goTools.goTools.find(({ name }) => name === "kind")!;
        fs.mkdirSync(path.join(options.cacheDir, "go", `kind-${goTools.cacheKey(kind)}`), {
            recursive: true,
        });
        await goTools.fetchModules(["kind", "kubernetes", "etcd"], options);
        const calls = fs.readFileSync(path.join(directory, "calls"), "utf8").trimEnd().split("\n");
        assert.deepEqual(calls, [
            `${path.join(fromSource, "kubernetes")} list -e -deps .`,
            `${path.join(fromSource, "etcd")} list -e -deps tool`,
        ]);
    });

    it("are compiled without garbage collection if there is enough memory for every processor", () => {
        assert.deepEqual(goTools.compilerMemory(16 * 2 ** 30, 2), { GOGC: "off", GOMEMLIMIT: "4096MiB" });
        assert.deepEqual(goTools.compilerMemory(3.9 * 2 ** 30, 2), {});
        assert.deepEqual(goTools.compilerMemory(16 * 2 ** 30, 16), {});
    });

    it("leave nothing that looks like a result if a build fails, and say why", async () => {
        standIn("1.99.0", "echo 'no such module' >&2; exit 1");
        await assert.rejects(goTools.buildGoTool("kind", options), /ended with code 1:\nno such module$/);
        assert.deepEqual(fs.readdirSync(path.join(options.cacheDir, "go")), []);
    });

    it("are refused if a binary is missing after the build", async () => {
        standIn("1.99.0", "true");
        await assert.rejects(goTools.buildGoTool("kind", options), /ENOENT.*kind/);
    });

    it("are built with the Go on PATH if it is new enough", async () => {
        standIn("1.25.11", "true");
        assert.equal(await goTools.ensureGo({ ...options, atLeast: "1.25.9" }), "go");
        assert.deepEqual(lines, []);
    });

    it("fetch a Go if the one on PATH is too old", async () => {
        const module = path.join(directory, "module");
        standIn("1.19.8", "true");
        fs.appendFileSync(
            path.join(directory, "go"),
            `[ "$1" = mod ] && { echo "$4" > ${directory}/asked; echo '{"Dir": "${module}"}'; }\n`,
        );
        for (const each of ["bin/go", `pkg/tool/${process.platform}_${goArch()}/compile`]) {
            fs.mkdirSync(path.dirname(path.join(module, each)), { recursive: true });
            fs.writeFileSync(path.join(module, each), "#!/bin/sh\necho go1.26.8\n", { mode: 0o644 });
        }
        const go = await goTools.ensureGo({ ...options, atLeast: "1.26.0" });
        assert.equal(fs.realpathSync(go), path.join(module, "bin", "go"));
        fs.accessSync(go, fs.constants.X_OK);
        assert.equal(await goTools.ensureGo({ ...options, atLeast: "1.26.0" }), go);
        assert.deepEqual(lines, ["Go 1.26.8: fetching, because 1.26.0 is needed and 1.19.8 is here"]);
        const asked = fs.readFileSync(path.join(directory, "asked"), "utf8");
        assert.equal(asked, `golang.org/toolchain@v0.0.1-go1.26.8.${process.platform}-${goArch()}\n`);
    });

    it("refuse an unknown name and list the known ones", async () => {
        await assert.rejects(
            goTools.buildGoTool("helm", options),
            /^Error: No Go tool is called "helm"; the tools are /,
        );
    });
});

function goArch(): string {
    return process.arch === "x64" ? "amd64" : process.arch;
}
