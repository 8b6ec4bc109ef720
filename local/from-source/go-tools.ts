/**
 * How every Go tool is built if no release can be downloaded: from modules alone, checked against the go.sum files in this
 * folder. Only this file knows how; README.md says who needs it and why.
 *
 * From a shell: node -r ts-node/register/transpile-only local/from-source/go-tools.ts [name...]
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

/** One build: a folder with a go.mod, and what comes out of it. */
export interface GoTool {
    /** Name of the build, and of its folder here (pause is in the folder of kubernetes). */
    readonly name: string;
    /** The version that the binaries report. */
    readonly version: string;
    /** The files in the result's folder. */
    readonly binaries: readonly string[];
    /** Minutes with empty caches on two cores, downloads included. */
    readonly minutes: number;
    /** Disk space that it needs in the Go caches, which are removed afterwards. */
    readonly gigabytes: number;
    /** Where the binaries run: on the machine of the user, or in the images of the cluster. */
    readonly usedBy: "host" | "node";
}

/** Where a build keeps its files and how it reports its progress. */
export interface BuildOptions {
    /** Directory for results (`go/`) and caches (`build/`). */
    readonly cacheDir: string;
    readonly onProgress: (line: string) => void;
}

interface Recipe extends GoTool {
    /** Go variables that the linker sets, for a version. */
    readonly variables?: (version: string) => Readonly<Record<string, string>>;
    /** Puts the files that the package embeds into the copy of its folder. */
    readonly prepare?: (build: Build) => Promise<void>;
    /** Folder with the go.mod, if it belongs to another build. */
    readonly folder?: string;
    /** What is done instead of `go build`. */
    readonly compile?: (build: Build, recipe: Recipe) => Promise<void>;
}

interface Build {
    /** A copy of the tool's folder, in which every command runs. */
    readonly folder: string;
    /** Where the binaries go. */
    readonly output: string;
    readonly go: string;
    readonly run: (command: string, args: readonly string[]) => Promise<string>;
}

const recipes: readonly Recipe[] = [
    { name: "kind", version: "0.30.0", binaries: ["kind"], minutes: 0.5, gigabytes: 1, usedBy: "host" },
    {
        name: "kubernetes",
        version: "1.34.2",
        // One program that acts on the name by which it is called.
        binaries: ["kubernetes"],
        minutes: 5,
        gigabytes: 4,
        usedBy: "node",
        variables: kubernetesVariables,
    },
    {
        name: "pause",
        version: "3.10.1",
        binaries: ["pause"],
        minutes: 0.1,
        gigabytes: 0.1,
        usedBy: "node",
        folder: "kubernetes",
        compile: compilePause,
    },
    { name: "etcd", version: "3.6.5", binaries: ["etcd"], minutes: 0.5, gigabytes: 1, usedBy: "node" },
    { name: "coredns", version: "1.13.2", binaries: ["coredns"], minutes: 0.5, gigabytes: 1, usedBy: "node" },
    {
        name: "local-path-provisioner",
        version: "0.0.30",
        binaries: ["local-path-provisioner"],
        minutes: 0.2,
        gigabytes: 1,
        usedBy: "node",
    },
    {
        name: "cni-plugins",
        version: "1.7.1",
        binaries: ["host-local", "loopback", "portmap", "ptp"],
        minutes: 0.2,
        gigabytes: 1,
        usedBy: "node",
    },
    {
        name: "registry",
        version: "3.1.2",
        binaries: ["registry"],
        minutes: 0.5,
        gigabytes: 1,
        usedBy: "node",
    },
    {
        name: "pulumi",
        version: "3.259.0",
        binaries: ["pulumi"],
        minutes: 2,
        gigabytes: 3,
        usedBy: "host",
        variables: pulumiVariables,
    },
    {
        name: "pulumi-language-nodejs",
        version: "3.68.0",
        binaries: ["pulumi-language-nodejs"],
        minutes: 0.5,
        gigabytes: 1,
        usedBy: "host",
        variables: pulumiVariables,
    },
    {
        name: "pulumi-kubernetes",
        version: "4.25.0+built",
        binaries: ["pulumi-resource-kubernetes"],
        minutes: 2,
        gigabytes: 2,
        usedBy: "host",
        variables: pluginVariables,
        prepare: embedKubernetesSchema,
    },
    {
        name: "pulumi-random",
        version: "4.21.2+built",
        binaries: ["pulumi-resource-random"],
        minutes: 1,
        gigabytes: 1,
        usedBy: "host",
        variables: pluginVariables,
    },
    {
        name: "pulumi-docker",
        version: "5.2.0+built",
        binaries: ["pulumi-resource-docker"],
        minutes: 1,
        gigabytes: 1,
        usedBy: "host",
        variables: pluginVariables,
    },
];

/** Every tool, in the order in which `make up` builds them: the parts of a cluster first, since its start takes time too. */
export const goTools: readonly GoTool[] = recipes;

/**
 * Names the result of a build by everything that goes into it. Equal keys mean equal binaries, so every checkout with the same
 * inputs reuses a result, and none does after an input has changed.
 */
export function cacheKey(tool: GoTool): string {
    const recipe = recipeOf(tool.name);
    const hash = createHash("sha256");
    hash.update(JSON.stringify([goPlatform, recipe.version, recipe.binaries, buildArguments(recipe)]));
    // The go line of go.mod is the Go version that counts: any newer compiler makes a binary that behaves the same.
    const folder = folderOf(recipe);
    for (const file of fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
        if (fs.statSync(path.join(folder, file)).isFile()) {
            hash.update(JSON.stringify([file, fs.readFileSync(path.join(folder, file), "utf8")]));
        }
    }
    return hash.digest("hex").slice(0, 12);
}

/**
 * Builds a tool unless its result exists. A result appears complete or not at all: an interrupted build leaves files only
 * among the caches.
 *
 * @returns the path of each binary by its name
 */
export async function buildGoTool(name: string, options: BuildOptions): Promise<Record<string, string>> {
    const tool = recipeOf(name);
    const result = resultOf(tool, options);
    if (!fs.existsSync(result)) {
        const go = await ensureGo({ ...options, atLeast: goVersionNeeded(tool) });
        options.onProgress(
            `${name} ${tool.version}: building from source, about ${tool.minutes} min on two cores, ` +
                `${tool.gigabytes} GB during the build`,
        );
        const started = Date.now();
        const seconds = (): number => Math.round((Date.now() - started) / 1000);
        const sign = setInterval(() => options.onProgress(`${name}: building for ${seconds()} s`), 60_000);
        try {
            await buildInto(result, tool, go, options);
        } finally {
            clearInterval(sign);
        }
        options.onProgress(`${name} ${tool.version}: built in ${seconds()} s`);
    }
    return Object.fromEntries(tool.binaries.map((binary) => [binary, path.join(result, binary)]));
}

/**
 * Finds a Go that is new enough: the one on PATH, else a newer one as a module, fetched with whatever Go there is. If there
 * is none, Debian's is installed for that.
 *
 * @returns the path of the go command
 */
export function ensureGo(options: BuildOptions & { readonly atLeast?: string }): Promise<string> {
    // One at a time: two calls would install and unpack the same.
    const found = lookingForGo.then(() => findGo(options));
    lookingForGo = found.catch(() => undefined);
    return found;
}

let lookingForGo: Promise<unknown> = Promise.resolve();

/** Whether there is any Go, which can fetch a newer one if needed. */
export const hasGo = (): boolean => goVersion("go") !== undefined;

async function findGo(options: BuildOptions & { readonly atLeast?: string }): Promise<string> {
    const atLeast = options.atLeast ?? recipes.map(goVersionNeeded).sort(compareVersions).at(-1)!;
    const fetched = path.join(options.cacheDir, "build", "go", "bin", "go");
    for (const go of ["go", fetched]) {
        const version = goVersion(go);
        if (version !== undefined && compareVersions(version, atLeast) >= 0) {
            return go;
        }
    }
    const found = goVersion("go");
    if (found === undefined) {
        await installDebianGo(atLeast, options);
    }
    options.onProgress(
        `Go ${fetchedGo}: fetching, because ${atLeast} is needed and ${found ?? "none"} is here`,
    );
    const module = `golang.org/toolchain@v0.0.1-go${fetchedGo}.${goPlatform}`;
    const answer = await run("go", ["mod", "download", "-json", module], os.tmpdir(), goEnvironment(options));
    const directory = (JSON.parse(answer) as { Dir: string }).Dir;
    // Modules carry no file modes, so the toolchain's programs must be made executable.
    for (const programs of ["bin", path.join("pkg", "tool", goPlatform.replace("-", "_"))]) {
        for (const program of fs.readdirSync(path.join(directory, programs))) {
            fs.chmodSync(path.join(directory, programs, program), 0o755);
        }
    }
    const link = path.join(options.cacheDir, "build", "go");
    fs.mkdirSync(path.dirname(link), { recursive: true });
    fs.rmSync(link, { force: true });
    fs.symlinkSync(directory, link);
    return fetched;
}

/**
 * Fetches the modules that builds need, one build after the other, before the compiler needs them: network and unpacking are
 * slow enough to run in parallel with it. If a module cannot be fetched, the build reports it.
 */
export async function fetchModules(names: readonly string[], options: BuildOptions): Promise<void> {
    const wanted = names.map(recipeOf).filter((tool) => !fs.existsSync(resultOf(tool, options)));
    for (const tool of wanted) {
        const go = await ensureGo({ ...options, atLeast: goVersionNeeded(tool) });
        // Lists every package of the program, which unpacks their modules and no others. -e: some embed files that only the
        // build creates.
        const list = ["list", "-e", "-deps", packagesOf(folderOf(tool))];
        await run(go, list, folderOf(tool), goEnvironment(options)).catch(() => undefined);
    }
}

/** Whether something was built since the caches were removed. */
export const hasBuildCaches = (cacheDir: string): boolean => fs.existsSync(path.join(cacheDir, "build"));

/** Removes sources, compiler caches and a fetched Go (up to 22 GB): nothing reads them once all binaries exist. */
export async function removeBuildCaches(cacheDir: string): Promise<void> {
    const caches = path.join(cacheDir, "build");
    const parts = hasBuildCaches(cacheDir) ? fs.readdirSync(caches) : [];
    // There are a great many small files: every processor helps to remove them, and no extra pass makes them writable first.
    await Promise.all(
        parts.map((part) => run("rm", ["-rf", path.join(caches, part)], os.tmpdir(), process.env)),
    );
    fs.rmSync(caches, { recursive: true, force: true });
}

/** The source folder of a module that a tool is built with, fetched and checked as for the build itself. */
export async function moduleOf(name: string, module: string, options: BuildOptions): Promise<string> {
    const folder = folderOf(recipeOf(name));
    const inTool = (file: string, args: readonly string[]) => run(file, args, folder, goEnvironment(options));
    return moduleDirectory(await ensureGo(options), inTool, module);
}

/** The Go that is fetched if the available one is too old for a tool, as the go lines of the go.mod files say. */
const fetchedGo = "1.26.8";
const goPlatform = `${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;

function recipeOf(name: string): Recipe {
    const recipe = recipes.find((candidate) => candidate.name === name);
    if (recipe === undefined) {
        throw new Error(
            `No Go tool is called "${name}"; the tools are ${recipes.map((each) => each.name).join(", ")}.`,
        );
    }
    return recipe;
}

function folderOf(recipe: Recipe): string {
    return path.join(__dirname, recipe.folder ?? recipe.name);
}

function resultOf(tool: Recipe, { cacheDir }: BuildOptions): string {
    return path.join(cacheDir, "go", `${tool.name}-${cacheKey(tool)}`);
}

function packagesOf(folder: string): string {
    return fs.existsSync(path.join(folder, "main.go")) ? "." : "tool";
}

function buildArguments(recipe: Recipe): string[] {
    const variables = Object.entries(recipe.variables?.(recipe.version) ?? {}).map(
        ([name, value]) => `-X ${name}=${value}`,
    );
    return [
        ...["-trimpath", "-buildvcs=false"],
        // -w leaves debug information out of the binary; with this flag, it is not even compiled.
        "-gcflags=all=-dwarf=false",
        ...["-ldflags", ["-s", "-w", ...variables].join(" ")],
    ];
}

async function buildInto(result: string, recipe: Recipe, go: string, options: BuildOptions): Promise<void> {
    const environment = goEnvironment(options);
    fs.mkdirSync(path.join(options.cacheDir, "build"), { recursive: true });
    fs.mkdirSync(path.dirname(result), { recursive: true });
    // Next to the caches, so that what an interrupted build leaves is removed with them; renamed once it is complete.
    const work = fs.mkdtempSync(path.join(options.cacheDir, "build", `${recipe.name}-`));
    const folder = path.join(work, "source");
    const output = path.join(work, "result");
    fs.mkdirSync(output);
    fs.cpSync(folderOf(recipe), folder, { recursive: true });
    const build: Build = {
        folder,
        output,
        go,
        run: (command, args) => run(command, args, folder, environment),
    };
    await recipe.prepare?.(build);
    await (recipe.compile ?? compileGo)(build, recipe);
    for (const binary of recipe.binaries) {
        fs.accessSync(path.join(output, binary), fs.constants.X_OK);
    }
    try {
        fs.renameSync(output, result);
    } catch (error) {
        // Another run was faster; its result is just as good.
        if (!fs.existsSync(result)) {
            throw error;
        }
    }
    fs.rmSync(work, { recursive: true });
}

async function compileGo({ folder, output, go, run }: Build, recipe: Recipe): Promise<void> {
    const target = recipe.binaries.length === 1 ? path.join(output, recipe.binaries[0]!) : `${output}/`;
    await run(go, ["build", ...buildArguments(recipe), "-o", target, packagesOf(folder)]);
}

/** The provider embeds two files that its repository leaves out: its schema with the version in it, and a mapping. */
async function embedKubernetesSchema({ folder, go, run }: Build): Promise<void> {
    const module = await moduleDirectory(go, run, "github.com/pulumi/pulumi-kubernetes/provider/v4");
    const read = (file: string): Record<string, unknown> =>
        JSON.parse(fs.readFileSync(path.join(module, "cmd", "pulumi-resource-kubernetes", file), "utf8"));
    const write = (file: string, content: unknown): void =>
        fs.writeFileSync(path.join(folder, file), JSON.stringify(content));
    write("schema-embed.json", { ...read("schema.json"), version: recipeOf("pulumi-kubernetes").version });
    write("terraform-mapping-embed.json", read("terraform-mapping.json"));
}

/** The sandbox container's only program is written in C, and is in the module of Kubernetes. */
async function compilePause({ output, go, run }: Build, { version }: Recipe): Promise<void> {
    if (spawnSync("cc", ["--version"]).error !== undefined) {
        throw new Error("pause is written in C and no cc is on PATH; install gcc and libc6-dev.");
    }
    const module = await moduleDirectory(go, run, "k8s.io/kubernetes");
    const source = path.join(module, "build", "pause", "linux", "pause.c");
    const flags = ["-Os", "-Wall", "-Werror", "-static", "-s", `-DVERSION=v${version}`];
    await run("cc", [...flags, "-o", path.join(output, "pause"), source]);
}

function pulumiVariables(version: string): Record<string, string> {
    return { "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": `v${version}` };
}

function pluginVariables(version: string): Record<string, string> {
    return { "main.version": version };
}

function kubernetesVariables(version: string): Record<string, string> {
    const [major, minor] = version.split(".");
    const values = {
        gitVersion: `v${version}`,
        gitMajor: major!,
        gitMinor: minor!,
        gitTreeState: "clean",
        gitCommit: "unknown",
        buildDate: "1970-01-01T00:00:00Z",
    };
    // The binaries' own version, and the one that their clients send as user agent.
    const packages = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];
    return Object.fromEntries(
        packages.flatMap((each) => Object.entries(values).map(([name, value]) => [`${each}.${name}`, value])),
    );
}

async function moduleDirectory(go: string, run: Build["run"], module: string): Promise<string> {
    return (JSON.parse(await run(go, ["mod", "download", "-json", module])) as { Dir: string }).Dir;
}

/** The toolchain's own caches, and none of the user's Go settings except how to reach the module proxy. */
function goEnvironment({ cacheDir }: BuildOptions): NodeJS.ProcessEnv {
    return {
        ...process.env,
        CGO_ENABLED: "0",
        GOCACHE: path.join(cacheDir, "build", "go-build"),
        GOMODCACHE: path.join(cacheDir, "build", "go-mod"),
        // By default, Go makes a module cache that only root can remove.
        GOFLAGS: "-mod=readonly -modcacherw",
        GOTOOLCHAIN: "local",
        GOWORK: "off",
        ...compilerMemory(),
    };
}

/**
 * Compilers live for a second or two: if there is enough memory, they save the time for collecting garbage. `go build` runs
 * one per processor; together they get half of the free memory, and collect as usual if that is little.
 */
export function compilerMemory(
    free = process.availableMemory(),
    processors = os.availableParallelism(),
): NodeJS.ProcessEnv {
    const mebibytes = Math.floor(free / 2 / processors / 2 ** 20);
    return mebibytes < 1024 ? {} : { GOGC: "off", GOMEMLIMIT: `${mebibytes}MiB` };
}

function goVersionNeeded(recipe: Recipe): string {
    const goMod = fs.readFileSync(path.join(folderOf(recipe), "go.mod"), "utf8");
    return /^go (\S+)$/m.exec(goMod)![1]!;
}

function goVersion(go: string): string | undefined {
    const answer = spawnSync(go, ["env", "GOVERSION"], {
        encoding: "utf8",
        cwd: os.tmpdir(),
        env: { ...process.env, GOTOOLCHAIN: "local" },
    });
    return /^go([\d.]+)/.exec(answer.stdout ?? "")?.[1];
}

function compareVersions(left: string, right: string): number {
    return left.localeCompare(right, "en", { numeric: true });
}

async function installDebianGo(atLeast: string, options: BuildOptions): Promise<void> {
    if (process.getuid?.() !== 0 || spawnSync("apt-get", ["--version"]).error !== undefined) {
        throw new Error(
            `Go ${atLeast} or newer is needed, but there is no Go on PATH; install any Go from 1.19 on.`,
        );
    }
    options.onProgress("Go: installing Debian's golang-go");
    const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    // Another step may install something at the same time.
    const install = [
        "-o",
        "DPkg::Lock::Timeout=300",
        "install",
        "--yes",
        "--no-install-recommends",
        "golang-go",
    ];
    await run("apt-get", install, os.tmpdir(), environment);
}

/**
 * Runs a command to its end and returns its standard output; an error contains the end of its output. It runs at a lower
 * priority: compilers keep all processors busy for minutes, and a cluster may start at the same time.
 */
function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<string> {
    return new Promise((resolve, reject) => {
        const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
        if (child.pid !== undefined) {
            os.setPriority(child.pid, os.constants.priority.PRIORITY_BELOW_NORMAL);
        }
        let output = "";
        let complaints = "";
        child.stdout.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
        child.stderr.setEncoding("utf8").on("data", (chunk: string) => (complaints += chunk));
        child.on("error", reject);
        child.on("close", (code, signal) => {
            if (code === 0) {
                resolve(output);
            } else {
                const last = (complaints + output).trimEnd().split("\n").slice(-20).join("\n");
                reject(
                    new Error(
                        `${command} ${args.join(" ")} ended with ${signal ?? `code ${code}`}:\n${last}`,
                    ),
                );
            }
        });
    });
}

async function main(names: readonly string[]): Promise<void> {
    const cacheDir = path.join(
        process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"),
        "dabaweb-pulumi",
    );
    for (const name of names.length > 0 ? names : goTools.map((tool) => tool.name)) {
        const binaries = await buildGoTool(name, { cacheDir, onProgress: (line) => console.error(line) });
        Object.values(binaries).forEach((binary) => console.log(binary));
    }
}

if (require.main === module) {
    main(process.argv.slice(2)).catch((error: Error) => {
        console.error(error.message);
        process.exitCode = 1;
    });
}
