import * as assert from "assert";
import * as fs from "fs";
import * as net from "net";
import * as os from "os";
import * as path from "path";
import { gzipSync } from "zlib";

import { decide as decideCluster, wantedNodes } from "../../local/cluster/decide";
import { kindConfig } from "../../local/cluster/kind-config";
import { registryDirectoryOf } from "../../local/cluster/node-registry";
import { reportReady } from "../../local/cluster/nodes";
import { decide as decideEngine } from "../../local/engine/find";
import { hasSysResource, silenceContainers } from "../../local/engine/start";
import { allSteps } from "../../local/environment/up";
import { cacheKey, goTools } from "../../local/from-source/go-tools";
import { unzip } from "../../local/from-source/npm-kubectl";
import { checkDisk, checkPorts, freeGigabytes, gigabytesNeeded } from "../../local/machine/disk-and-ports";
import { attempt, until } from "../../local/machine/shell";
import { images, isAtLeast, tagged, thisPlatform } from "../../local/pins";
import { directories, exported, exportLines, places } from "../../local/places";
import { Stack } from "../../local/stacks/stack";
import { whatStays } from "../../local/state/deployed";
import { birthOf, takeLock, takeLockInTurn } from "../../local/state/lock";
import { setAside } from "../../local/state/lost-stacks";
import { announcement, type Planned } from "../../local/steps/announcement";
import { runAll } from "../../local/steps/run";
import { choose, type Plan, type Step } from "../../local/steps/step";
import { policyPack } from "../../local/tools/plugins";

const made: string[] = [];

function temporary(): string {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "local-test-"));
    made.push(directory);
    return directory;
}

after(() => made.splice(0).forEach((directory) => fs.rmSync(directory, { recursive: true })));

describe("local: where the environment is stored", () => {
    it("follows the XDG directories, and ignores relative ones as their specification requires", () => {
        const env = { HOME: "/home/me", XDG_CACHE_HOME: "/big/cache", XDG_STATE_HOME: "state" };
        assert.deepStrictEqual(directories(env), {
            cache: "/big/cache/dabaweb-pulumi",
            state: "/home/me/.local/state/dabaweb-pulumi",
        });
    });

    it("exports nothing that belongs to the user", () => {
        const variables = exported(undefined, { HOME: "/home/me", PATH: "/usr/bin" });
        assert.deepStrictEqual(Object.keys(variables).sort(), [
            "KUBECACHEDIR",
            "KUBECONFIG",
            "PATH",
            "PULUMI_BACKEND_URL",
            "PULUMI_CONFIG_PASSPHRASE_FILE",
            "PULUMI_HOME",
            "PULUMI_NODEJS_TRANSPILE_ONLY",
            "PULUMI_NODEJS_TSCONFIG_PATH",
            "PULUMI_SKIP_UPDATE_CHECK",
        ]);
        for (const [name, value] of Object.entries(variables).filter(([name]) =>
            /KUBE|HOME|BACKEND/.test(name),
        )) {
            assert.match(value, /dabaweb-pulumi/, name);
        }
    });

    it("puts its tools first on PATH once, however often it is evaluated", () => {
        const first = exported(undefined, { HOME: "/home/me", PATH: "/usr/bin" }).PATH!;
        assert.strictEqual(first.split(":")[0], "/home/me/.cache/dabaweb-pulumi/bin");
        assert.strictEqual(exported(undefined, { HOME: "/home/me", PATH: first }).PATH, first);
    });

    it("names the engine only if it is not Docker's default one", () => {
        assert.strictEqual(exported("unix:///run/it.sock", {}).DOCKER_HOST, "unix:///run/it.sock");
        assert.ok(!("DOCKER_HOST" in exported(undefined, {})));
    });

    it("prints exports that a shell reads back, whatever they contain", async () => {
        const value = 'it\'s $HOME `x` "y" \\ z';
        const { output } = await attempt("sh", ["-c", `${exportLines({ ODD: value })}printf %s "$ODD"`]);
        assert.strictEqual(output, value);
    });
});

describe("local: how a tool is obtained", () => {
    const base = { name: "kind", atLeast: "0.30.0", release: async () => false };
    const never = (): Promise<boolean> => assert.fail("the release was requested");

    it("uses the one on PATH if it is new enough, without looking for a release", async () => {
        assert.strictEqual(await choose({ ...base, found: "0.30.0", release: never }, isAtLeast), "found");
        assert.strictEqual(await choose({ ...base, found: "1.0.0", release: never }, isAtLeast), "found");
    });

    it("uses the release if the one on PATH is too old", async () => {
        const old = { ...base, found: "0.29.9", release: async () => true };
        assert.strictEqual(await choose(old, isAtLeast), "download");
    });

    it("builds a tool that is neither here nor within reach", async () => {
        assert.strictEqual(await choose(base, isAtLeast), "build");
    });

    it("says what to do if it cannot be obtained at all", async () => {
        const stuck = { ...base, found: "0.20.0", cannotBuild: "this is darwin" };
        await assert.rejects(choose(stuck, isAtLeast), {
            message:
                "kind on PATH is 0.20.0, its release cannot be reached, and it cannot be built here: this is darwin. " +
                "Install kind 0.30.0 or newer, or let this machine reach its releases.",
        });
    });

    it("passes Pulumi the policy pack itself, or a stand-in if the language host is the one built here", async () => {
        const before = process.env.XDG_CACHE_HOME;
        process.env.XDG_CACHE_HOME = temporary();
        try {
            assert.strictEqual(await policyPack(), path.resolve("policy"));
            const host = "pulumi-language-nodejs";
            const key = cacheKey(goTools.find(({ name }) => name === host)!);
            const { bin, cache, pulumiHome } = places();
            const built = path.join(cache, "go", `${host}-${key}`, host);
            const standIn = path.resolve("local/from-source/policy-pack");
            const program = "pulumi-analyzer-policy-npm";
            const installed = path.join(pulumiHome, "plugins", "analyzer-policy-npm-v1.0.0", program);
            [built, path.join(bin, host), installed].forEach((file) =>
                fs.mkdirSync(path.dirname(file), { recursive: true }),
            );
            fs.writeFileSync(built, "");
            fs.linkSync(built, path.join(bin, host));
            fs.copyFileSync(path.join(standIn, program), installed);
            assert.strictEqual(await policyPack(), standIn);
        } finally {
            if (before === undefined) {
                delete process.env.XDG_CACHE_HOME;
            } else {
                process.env.XDG_CACHE_HOME = before;
            }
        }
    });

    it("compares versions by number", () => {
        assert.ok(isAtLeast("20.10.24+dfsg1", "20.10.0"));
        assert.ok(isAtLeast("3.259.0", "3.230.0"));
        assert.ok(!isAtLeast("1.9.0", "1.33.0"));
        assert.ok(!isAtLeast("3.67.1", "3.230.0"));
    });

    it("knows four platforms and no others", () => {
        assert.deepStrictEqual(thisPlatform("linux", "x64"), { os: "linux", arch: "amd64" });
        assert.deepStrictEqual(thisPlatform("darwin", "arm64"), { os: "darwin", arch: "arm64" });
        assert.strictEqual(thisPlatform("win32", "x64"), undefined);
        assert.strictEqual(thisPlatform("linux", "s390x"), undefined);
    });
});

describe("local: which Docker Engine", () => {
    const ownSocket = "unix:///state/docker.sock";

    it("uses the active one if there is no environment yet", () => {
        const active = { host: "ssh://there", version: "28.0.0" };
        assert.deepStrictEqual(decideEngine({ active, ownSocket }), {
            way: "use",
            engine: active,
            startedBy: undefined,
        });
    });

    it("recognises its own after a lost state", () => {
        const active = { host: ownSocket, version: "28.0.0" };
        const decision = decideEngine({ active, ownSocket });
        assert.strictEqual(decision.way === "use" && decision.startedBy, "hand");
    });

    it("stays with the one that holds the environment", () => {
        const chosenAnswers = { host: ownSocket, version: "28.0.0" };
        const active = { version: "29.0.0" };
        const facts = {
            chosen: { host: ownSocket, startedBy: "hand" as const },
            chosenAnswers,
            active,
            ownSocket,
        };
        const decision = decideEngine(facts);
        assert.strictEqual(decision.way === "use" && decision.engine, chosenAnswers);
    });

    it("starts its own again, but never the user's", () => {
        const own = decideEngine({ chosen: { host: ownSocket, startedBy: "hand" }, ownSocket });
        assert.strictEqual(own.way, "start");
        assert.throws(
            () => decideEngine({ chosen: { host: "unix:///home/me/.colima/docker.sock" }, ownSocket }),
            /The Docker Engine at unix:\/\/\/home\/me\/\.colima\/docker\.sock .* does not answer; start it/,
        );
    });

    it("refuses one that is too old by its version", () => {
        assert.throws(
            () => decideEngine({ active: { version: "19.3.1" }, ownSocket }),
            /19\.3\.1, but 20\.10\.0/,
        );
    });

    it("reads from the bounding set whether containers can be privileged", () => {
        assert.ok(hasSysResource("Name:\tx\nCapBnd:\t000001ffffffffff\n"));
        assert.ok(!hasSysResource("Name:\tx\nCapBnd:\t000001fffeffffff\n"));
    });
});

describe("local: what to do with the cluster", () => {
    const state = { id: "uid", nodes: 1 };
    const running = [{ name: "dabaweb-control-plane", running: true }];
    const stopped = [{ name: "dabaweb-control-plane", running: false }];
    const action = (facts: Parameters<typeof decideCluster>[0]): string => decideCluster(facts).action;

    it("creates one if there is none", () => {
        assert.strictEqual(action({ nodes: [], kubeconfig: false }), "create");
        assert.strictEqual(action({ nodes: [], state, kubeconfig: true }), "create");
    });

    it("leaves a running one alone", () => {
        assert.strictEqual(action({ nodes: running, state, kubeconfig: true }), "nothing");
    });

    it("starts stopped nodes and writes a lost kubeconfig", () => {
        assert.strictEqual(action({ nodes: stopped, state, kubeconfig: true }), "start");
        assert.strictEqual(action({ nodes: running, state, kubeconfig: false }), "export");
    });

    it("replaces one without its state, because no stack can reach what is in it", () => {
        assert.strictEqual(action({ nodes: running, kubeconfig: true }), "replace");
    });

    it("refuses a number of nodes other than the cluster's", () => {
        assert.throws(
            () => decideCluster({ nodes: running, state, kubeconfig: true, wanted: 3 }),
            /NODES=3, but the local cluster has 1/,
        );
        assert.strictEqual(action({ nodes: running, state, kubeconfig: true, wanted: 1 }), "nothing");
    });

    it("accepts NODES from 1 to 9 and names any other value", () => {
        assert.strictEqual(wantedNodes("3"), 3);
        assert.strictEqual(wantedNodes(""), undefined);
        for (const bad of ["0", "-1", "two", "1.5", "10"]) {
            assert.throws(() => wantedNodes(bad), new RegExp(`NODES is "${bad}"`));
        }
    });

    it("opens API and nodePorts on loopback only", () => {
        const { networking, nodes } = JSON.parse(kindConfig(3)) as {
            networking: { apiServerAddress: string };
            nodes: { role: string; extraPortMappings?: { listenAddress: string; hostPort: number }[] }[];
        };
        assert.strictEqual(networking.apiServerAddress, "127.0.0.1");
        assert.deepStrictEqual(
            nodes.map((node) => node.role),
            ["control-plane", "worker", "worker"],
        );
        const mappings = nodes.flatMap((node) => node.extraPortMappings ?? []);
        assert.ok(mappings.every((mapping) => mapping.listenAddress === "127.0.0.1"));
        assert.deepStrictEqual([mappings[0]!.hostPort, mappings.at(-1)!.hostPort], [32000, 32009]);
    });
});

describe("local: containers of a daemon that died", () => {
    it("are removed from Docker's bridges, and nothing else is", () => {
        const net = temporary();
        const flags = (device: string) => path.join(net, device, "flags");
        const devices = { docker0: ["veth1"], "br-0123456789ab": ["veth2"], "br-lan": ["eth1"] };
        for (const [bridge, ports] of Object.entries(devices)) {
            for (const port of ports) {
                fs.mkdirSync(path.join(net, bridge, "brif", port), { recursive: true });
                fs.mkdirSync(path.join(net, port));
                fs.writeFileSync(flags(port), "0x1003\n");
            }
        }
        // One that the kernel has just removed.
        fs.mkdirSync(path.join(net, "docker0", "brif", "veth9"));
        silenceContainers(net);
        const left = ["veth1", "veth2", "eth1"].map((port) => fs.readFileSync(flags(port), "utf8").trim());
        assert.deepStrictEqual(left, ["0x1002", "0x1002", "0x1003"]);
    });
});

describe("local: whether nodes are ready", () => {
    const starts = new Map([
        ["one", new Date("2026-01-01T10:00:00.9Z")],
        ["two", new Date("2026-01-01T10:00:00.9Z")],
    ]);
    const one = "one True 2026-01-01T10:00:00Z";
    const cases: [string, string, boolean][] = [
        ["all reported it since their start", `${one}\ntwo True 2026-01-01T10:05:00Z\n`, true],
        ["one reported it before its start", `${one}\ntwo True 2026-01-01T09:59:59Z\n`, false],
        ["one reports that it is not", `${one}\ntwo False 2026-01-01T10:05:00Z\n`, false],
        ["one reports nothing", `${one}\ntwo  \n`, false],
        ["one is absent", `${one}\n`, false],
        ["there is none", "", false],
    ];
    for (const [what, told, ready] of cases) {
        it(`${ready ? "they are" : "they are not"} when ${what}`, () => {
            assert.strictEqual(reportReady(told, starts), ready);
        });
    }
});

describe("local: one run at a time", () => {
    it("refuses a second run and names the first", () => {
        const directory = temporary();
        const release = takeLock("it", "make up", directory);
        assert.throws(
            () => takeLock("it", "make down", directory),
            (error: Error) => {
                assert.match(
                    error.message,
                    new RegExp(`\`make up\` \\(process ${process.pid}, since .*\`kill ${process.pid}\``),
                );
                return true;
            },
        );
        release();
        takeLock("it", "make down", directory)();
    });

    it("lets a second run of the same command wait for the first, and says so once", async () => {
        const directory = temporary();
        const first = takeLock("it", "make local-up", directory);
        const said: string[] = [];
        let ended = false;
        const turn = takeLockInTurn("it", "make local-up", directory, (line) => {
            said.push(line);
            // It asks again before the lock is free.
            setTimeout(() => {
                ended = true;
                first();
            }, 600);
        });
        const second = await turn;
        assert.ok(ended, "it did not wait for the first");
        assert.strictEqual(said.length, 1);
        assert.match(
            said[0]!,
            new RegExp(`^Waiting for \`make local-up\` \\(process ${process.pid}, since .*\\)`),
        );
        assert.throws(() => takeLock("it", "make local-up", directory), /is running/);
        second();
    });

    it("lets runs proceed one after another, even if several find the lock of a dead run", async () => {
        const directory = temporary();
        const dead = { pid: 0x7ffffff0, born: "1", what: "make local-up", since: "then" };
        fs.writeFileSync(path.join(directory, "it"), JSON.stringify(dead));
        const log = path.join(directory, "log");
        const script = `
            const fs = require("fs");
            const { takeLockInTurn } = require("./local/state/lock");
            takeLockInTurn("it", "make local-up", ${JSON.stringify(directory)}, () => undefined).then((release) => {
                fs.appendFileSync(${JSON.stringify(log)}, "in ");
                setTimeout(() => {
                    fs.appendFileSync(${JSON.stringify(log)}, "out\\n");
                    release();
                }, 20);
            });`;
        const run = () => attempt(process.execPath, ["-r", "ts-node/register/transpile-only", "-e", script]);
        const ends = await Promise.all(Array.from({ length: 5 }, run));
        assert.deepStrictEqual(
            ends.map(({ code, complaints }) => [code, complaints]),
            ends.map(() => [0, ""]),
        );
        assert.strictEqual(fs.readFileSync(log, "utf8"), "in out\n".repeat(5));
        assert.ok(!fs.existsSync(path.join(directory, "it")));
    });

    it("does not wait for a run of another command", async () => {
        const directory = temporary();
        takeLock("it", "make local-purge", directory);
        await assert.rejects(
            takeLockInTurn("it", "make local-up", directory),
            /`make local-purge`.*is running/,
        );
    });

    it("takes over from a dead run, and says so", async () => {
        const directory = temporary();
        const { output } = await attempt("sh", ["-c", "echo $$"]);
        const dead = { pid: Number(output), born: "1", what: "make up", since: "then" };
        fs.writeFileSync(path.join(directory, "it"), JSON.stringify(dead));
        const said: string[] = [];
        takeLock("it", "make up", directory, (line) => said.push(line))();
        assert.deepStrictEqual(said, [
            `\`make up\` (process ${dead.pid}) died while it held the lock; the lock was removed.`,
        ]);
    });

    it("goes to one run alone if several find a dead holder's, whatever the order of their steps", () => {
        const directory = temporary();
        const steps = [
            "readFileSync",
            "existsSync",
            "linkSync",
            "renameSync",
            "rmSync",
            "writeFileSync",
        ] as const;
        const real = Object.fromEntries(steps.map((step) => [step, fs[step]]));
        const shared = require("node:fs") as Record<string, (...args: unknown[]) => unknown>;
        let most = 0;
        /** Runs another run at a step of the first one, and a third at a later step of either; returns who got the lock. */
        const race = (at: readonly number[]): { holders: number; steps: number } => {
            fs.rmSync(directory, { recursive: true, force: true });
            fs.mkdirSync(directory, { recursive: true });
            const dead = { pid: 2 ** 22 + 1, born: "1", what: "make up", since: "then" };
            fs.writeFileSync(path.join(directory, "it"), JSON.stringify(dead));
            let [step, holders] = [0, 0];
            const attempt = (): void => {
                try {
                    takeLock("it", "make up", directory, () => undefined);
                    holders += 1;
                } catch (error) {
                    assert.match(String(error), /is running/);
                }
            };
            for (const name of steps) {
                shared[name] = (...args) => {
                    if (String(args[0]).startsWith(directory)) {
                        step += 1;
                        if (at.includes(step)) {
                            attempt();
                        }
                    }
                    return (real[name] as (...all: unknown[]) => unknown)(...args);
                };
            }
            try {
                attempt();
            } finally {
                Object.assign(shared, real);
            }
            return { holders, steps: step };
        };
        const { steps: alone } = race([]);
        for (let first = 1; first <= alone; first += 1) {
            for (let second = first + 1; second <= 2 * alone; second += 1) {
                const { holders } = race([first, second]);
                most = Math.max(most, holders);
                assert.ok(holders <= 1, `${holders} runs hold the lock, at steps ${first} and ${second}`);
            }
        }
        assert.strictEqual(most, 1);
        assert.deepStrictEqual(fs.readdirSync(directory), ["it"], "nothing is left behind");
    });

    it("is taken from a run that died while it removed a dead holder's lock", () => {
        const directory = temporary();
        const dead = (what: string) => ({ pid: 2 ** 22 + 1, born: "1", what, since: "then" });
        fs.mkdirSync(directory, { recursive: true });
        fs.writeFileSync(path.join(directory, "it"), JSON.stringify(dead("make up")));
        const former = fs.rmSync;
        const shared = require("node:fs") as { rmSync: typeof fs.rmSync };
        // It dies before it removes anything but its draft.
        shared.rmSync = (file, options) => {
            if (!/\.[-0-9a-f]{36}$/.test(String(file))) {
                throw new Error("killed");
            }
            former(file, options);
        };
        try {
            assert.throws(() => takeLock("it", "make down", directory), /killed/);
        } finally {
            shared.rmSync = former;
        }
        const [claim = ""] = fs.readdirSync(directory).filter((each) => each.endsWith(".claim"));
        fs.writeFileSync(path.join(directory, claim), JSON.stringify(dead("make down")));
        takeLock("it", "make up", directory, () => undefined)();
        assert.deepStrictEqual(fs.readdirSync(directory), []);
    });

    it("does not mistake another process with the same pid for the holder", () => {
        const directory = temporary();
        const other = { pid: process.pid, born: "another birth", what: "make up", since: "then" };
        fs.writeFileSync(path.join(directory, "it"), JSON.stringify(other));
        takeLock("it", "make up", directory, () => undefined)();
    });

    it("takes over from a lock file that was not finished", () => {
        const directory = temporary();
        fs.writeFileSync(path.join(directory, "it"), "");
        takeLock("it", "make up", directory)();
    });

    it("knows its own birth, and none if there is no such process", () => {
        assert.ok(birthOf(process.pid));
        assert.strictEqual(birthOf(0x7ffffff0), undefined);
    });
});

describe("local: checks before anything is changed", () => {
    it("refuses a disk that is too full, with figures and a way out", () => {
        checkDisk("/somewhere", gigabytesNeeded.toBuild, 25);
        checkDisk("/somewhere", gigabytesNeeded.toDownload, 10);
        assert.throws(() => checkDisk("/somewhere", gigabytesNeeded.toBuild, 24.94), {
            message:
                "/somewhere has 24.9 GB free, but the local environment needs 25 GB; free some space, or point " +
                "XDG_CACHE_HOME and XDG_STATE_HOME to directories on a larger disk.",
        });
    });

    it("measures a directory that does not exist yet", () => {
        assert.ok(freeGigabytes(path.join(temporary(), "not", "yet")) > 0);
    });

    it("names a port that is taken and who needs it", async () => {
        const server = net.createServer();
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        const { port } = server.address() as net.AddressInfo;
        await assert.rejects(checkPorts([port], "the local registry"), (error: Error) => {
            assert.match(
                error.message,
                new RegExp(`^Port ${port} of 127.0.0.1 is taken .* the local registry needs it`),
            );
            return true;
        });
        await new Promise((resolve) => server.close(resolve));
        await checkPorts([port], "the local registry");
    });

    it("waits for a condition no longer than it was told", async () => {
        await assert.rejects(
            until("the moon", 0.3, async () => false, "Look up."),
            { message: "Waited 0.3 s for the moon. Look up." },
        );
    });
});

describe("local: the announcement", () => {
    const step = (name: string) => ({ name, plan: () => assert.fail(), run: () => assert.fail() });
    const planned: Planned[] = [
        {
            step: step("Docker Engine"),
            plan: {
                way: "start",
                detail: "",
                minutes: 1,
                gigabytes: 0.4,
                packages: ["docker.io"],
                asRoot: ["dockerd"],
            },
        },
        {
            step: step("kind"),
            plan: { way: "build", detail: "0.30.0", minutes: 3, gigabytes: 2, packages: ["gcc"] },
        },
        { step: step("kubectl"), plan: { way: "ready", detail: "1.34.2", minutes: 0, gigabytes: 0 } },
    ];

    it("lists the way, minutes and GB of every part, and what root does", () => {
        const text = announcement(planned, true);
        assert.match(text, /^Docker Engine +start +1 +0\.4/m);
        assert.match(text, /^kind +build +3 +2 +0\.30\.0$/m);
        assert.match(text, /About 4 minutes on two cores and 3 GB/);
        assert.match(text, /^As root: apt-get install docker\.io gcc; dockerd\.$/m);
    });

    it("says so if there is nothing to do", () => {
        assert.strictEqual(announcement([planned[2]!]), "Everything is up to date.");
    });
});

describe("local: a run of several steps", () => {
    let said: string[];
    let log: typeof console.log;
    beforeEach(() => {
        log = console.log;
        console.log = () => undefined;
        said = [];
    });
    afterEach(() => (console.log = log));

    /** A step that records its start and its end, and takes some milliseconds, or as long as something else. */
    function step(
        name: string,
        how: Partial<Step> & { milliseconds?: number; lasts?: Promise<unknown>; fails?: boolean } = {},
    ): Planned {
        const { milliseconds = 5, lasts, fails, ...rest } = how;
        const plan: Plan = { way: "start", detail: "", minutes: 0, gigabytes: 0 };
        const run = async (): Promise<void> => {
            said.push(`${name} begins`);
            await (lasts ?? new Promise((resolve) => setTimeout(resolve, milliseconds)));
            said.push(`${name} ends`);
            if (fails) {
                throw new Error(`${name} failed`);
            }
        };
        return { step: { name, plan: async () => plan, run, ...rest }, plan };
    }

    const order = (): string => said.join(", ");

    it("runs lanes in parallel, and the steps of one lane one after another", async () => {
        const took = await runAll([
            step("a", { lane: "compiler", milliseconds: 40 }),
            step("b", { lane: "compiler" }),
            step("c", { lane: "engine" }),
        ]);
        assert.strictEqual(order(), "a begins, c begins, c ends, a ends, b begins, b ends");
        assert.deepStrictEqual(
            took.map(([name]) => name),
            ["c", "a", "b"],
        );
    });

    it("makes a step wait for what it needs, if that is part of the run, and for the engine that it asks", async () => {
        const b = step("b", { needs: ["a"] });
        let ended: () => void = () => undefined;
        const lasts = new Promise<void>((resolve) => (ended = resolve));
        const run: Step["run"] = async (...args) => {
            await b.step.run(...args);
            ended();
        };
        await runAll([
            step("Docker Engine", { lasts }),
            step("a", { needs: ["not here"] }),
            { ...b, step: { ...b.step, run } },
            step("c", { asksEngine: true }),
        ]);
        assert.strictEqual(
            order(),
            "Docker Engine begins, a begins, a ends, b begins, b ends, Docker Engine ends, c begins, c ends",
        );
    });

    it("skips what a running engine turns out to have", async () => {
        const ready: Plan = { way: "ready", detail: "", minutes: 0, gigabytes: 0 };
        assert.deepStrictEqual(await runAll([step("a", { asksEngine: true, plan: async () => ready })]), []);
        assert.strictEqual(order(), "");
    });

    it("ends with the first failure, after the steps that are already running", async () => {
        const failed = runAll([
            step("a", { fails: true }),
            step("b", { milliseconds: 30 }),
            step("c", { needs: ["a"] }),
            step("d", { needs: ["b"] }),
        ]);
        await assert.rejects(failed, { message: "a failed" });
        assert.strictEqual(order(), "a begins, b begins, a ends, b ends");
    });

    it("leave out what only the examples need", () => {
        const names = allSteps().map(({ name }) => name);
        const ofExamples = images.exampleBases.map(({ image }) => tagged(image));
        assert.deepStrictEqual(
            names.filter((name) => ofExamples.includes(name)),
            [],
        );
    });

    it("has no step that needs a later one", () => {
        const names = allSteps().map(({ name }) => name);
        for (const [index, { name, needs = [] }] of allSteps().entries()) {
            for (const each of needs) {
                const place = names.indexOf(each);
                assert.ok(place >= 0 && place < index, `${name} needs ${each}`);
            }
        }
        assert.strictEqual(names[0], "Docker Engine");
    });
});

describe("local: a file in a zip archive", () => {
    it("is found by its name, deflated or not", () => {
        // As Python's zipfile writes it: a folder, a stored and a deflated file.
        const archive = Buffer.from(
            "UEsDBBQAAAAAAAAAIQAAAAAAAAAAAAAAAAACAAAAZi9QSwMEFAAAAAAAAAAhAAZqKPsEAAAABAAAAAgAAABmL3N0b3JlZGtlcHRQSwMEFAAAAAgAAAAhAGR6cK8GAAAAZAAAAAoAAABmL2RlZmxhdGVkS0ykPQAAUEsBAhQDFAAAAAAAAAAhAAAAAAAAAAAAAAAAAAIAAAAAAAAAAAAAAIABAAAAAGYvUEsBAhQDFAAAAAAAAAAhAAZqKPsEAAAABAAAAAgAAAAAAAAAAAAAAIABIAAAAGYvc3RvcmVkUEsBAhQDFAAAAAgAAAAhAGR6cK8GAAAAZAAAAAoAAAAAAAAAAAAAAIABSgAAAGYvZGVmbGF0ZWRQSwUGAAAAAAMAAwCeAAAAeAAAAAAA",
            "base64",
        );
        assert.strictEqual(unzip(archive, "f/stored")?.toString(), "kept");
        assert.strictEqual(unzip(archive, "f/deflated")?.toString(), "a".repeat(100));
        assert.strictEqual(unzip(archive, "f/none"), undefined);
        assert.strictEqual(unzip(Buffer.from("no archive"), "f/stored"), undefined);
    });
});

describe("local: what must be gone after a stack is destroyed", () => {
    it("is its namespace and its images in the local registry, but nothing that is kept or elsewhere", () => {
        const image = (name: string, keepRemotely = false) => ({
            type: "docker:index/registryImage:RegistryImage",
            inputs: { name, keepRemotely },
        });
        const claim = (name: string, retainOnDelete: boolean) => ({
            type: "kubernetes:core/v1:PersistentVolumeClaim",
            inputs: { metadata: { namespace: "dabaweb-dev", name } },
            retainOnDelete,
        });
        const resources = [
            claim("data-redis-master-0", true),
            claim("data-redis-slave-0", false),
            image("localhost:5001/dabaweb/dev/dabaweb:0123", true),
            { type: "kubernetes:core/v1:Namespace", inputs: { metadata: { name: "dabaweb-dev" } } },
            image("localhost:5001/dabaweb/dev/nginx:0123"),
            image("registry.example.com/dabaweb/prod/nginx:0123"),
            { type: "kubernetes:core/v1:Service", inputs: { metadata: { name: "x" } } },
        ];
        assert.deepStrictEqual(whatStays(resources), {
            namespaces: ["dabaweb-dev"],
            images: ["localhost:5001/dabaweb/dev/nginx:0123"],
            kept: ["dabaweb-dev/data-redis-master-0"],
        });
    });
});

describe("local: the stacks of a cluster that is gone", () => {
    let backend: string;
    let aside: string;
    beforeEach(() => {
        backend = path.join(temporary(), "pulumi");
        aside = `${backend}.lost`;
        fs.mkdirSync(path.join(backend, ".pulumi/stacks/dabaweb"), { recursive: true });
        fs.writeFileSync(path.join(backend, ".pulumi/meta.yaml"), "version: 1\n");
    });

    const files = (folder: string): string[] =>
        fs.existsSync(folder) ? fs.readdirSync(path.join(folder, ".pulumi/stacks/dabaweb")).sort() : [];

    /** Writes a file of the backend. */
    function write(name: string, content: string | Buffer): void {
        fs.writeFileSync(path.join(backend, ".pulumi/stacks/dabaweb", name), content);
    }

    /** A state as Pulumi writes it, of a stack that pushed an image and runs in a cluster. */
    function state(stack: string, context?: string): string {
        const image = `localhost:5001/dabaweb/${stack}/nginx:0123`;
        const provider = { type: "pulumi:providers:kubernetes", inputs: { context } };
        const resources = [
            ...(context === undefined ? [] : [provider]),
            { type: "docker:index/registryImage:RegistryImage", inputs: { name: image } },
        ];
        return JSON.stringify({ version: 3, checkpoint: { stack, latest: { resources } } });
    }

    it("are moved into their own backend, and their images are listed", () => {
        write("dev.json", state("dev", "kind-dabaweb"));
        write("dev.json.bak", "{}");
        write("e2e.json.gz", gzipSync(state("e2e", "kind-dabaweb")));
        assert.deepStrictEqual(setAside(backend, aside), {
            stacks: ["dev", "e2e"],
            images: ["localhost:5001/dabaweb/dev/nginx:0123", "localhost:5001/dabaweb/e2e/nginx:0123"],
        });
        assert.deepStrictEqual(files(aside), ["dev.json", "dev.json.bak", "e2e.json.gz"]);
        assert.ok(fs.existsSync(path.join(aside, ".pulumi/meta.yaml")));
        assert.deepStrictEqual(files(backend), []);
    });

    it("are distinguished from those of other clusters and of none, which stay", () => {
        write("mine.json", state("mine", "somewhere-else"));
        write("begun.json", state("begun"));
        write("empty.json", JSON.stringify({ version: 3, checkpoint: { stack: "empty" } }));
        assert.deepStrictEqual(setAside(backend, aside), { stacks: [], images: [] });
        assert.deepStrictEqual(files(backend), ["begun.json", "empty.json", "mine.json"]);
        assert.ok(!fs.existsSync(aside));
    });

    it("include a state that cannot be read", () => {
        write("broken.json", "");
        assert.deepStrictEqual(setAside(backend, aside), { stacks: ["broken"], images: [] });
        assert.deepStrictEqual(files(aside), ["broken.json"]);
    });

    it("are none if nothing was ever deployed", () => {
        assert.deepStrictEqual(setAside(path.join(backend, "none"), aside), { stacks: [], images: [] });
    });
});

describe("local: places", () => {
    it("keeps what cannot be created again out of the cache", () => {
        const place = places({ cache: "/c", state: "/s" });
        for (const file of [place.passphrase, place.backend, place.kubeconfig, place.registryData]) {
            assert.ok(file.startsWith("/s/"), file);
        }
    });
});

describe("local: a stack of an example", () => {
    it("has its own program and stack file", () => {
        const { folder, copy, isLocal } = new Stack("dev", "key-value");
        assert.strictEqual(folder, path.resolve("examples/key-value"));
        assert.ok(copy.endsWith("/key-value/Pulumi.dev.yaml"), copy);
        assert.ok(isLocal);
    });

    for (const example of ["README.md", "consumer", "keyvalue", ".."]) {
        it(`is refused, with the names of the examples: ${example}`, () => {
            assert.throws(
                () => new Stack("dev", example),
                new RegExp(
                    `EXAMPLE is "${example}"; the examples are hello-mysql, hello-redis, key-value, myweb, node-exporter\\.$`,
                ),
            );
        });
    }

    it("is refused if the example has no such stack file", () => {
        assert.throws(
            () => new Stack("nosuch", "key-value"),
            /STACK is "nosuch", and there is no examples\/key-value\/Pulumi\.nosuch\.yaml; create it, or unset STACK\./,
        );
    });
});

describe("local: a stack whose update was interrupted", () => {
    const former = { ...process.env };
    let state: string;
    beforeEach(() => {
        state = temporary();
        const script = `#!/bin/sh\necho "$*" >>"${state}/calls"\n`;
        fs.writeFileSync(path.join(state, "pulumi"), script, { mode: 0o755 });
        Object.assign(process.env, {
            XDG_STATE_HOME: state,
            XDG_CACHE_HOME: state,
            PATH: `${state}:${process.env.PATH}`,
        });
    });
    afterEach(() => {
        ["XDG_STATE_HOME", "XDG_CACHE_HOME"].forEach((name) => delete process.env[name]);
        Object.assign(process.env, former);
    });

    /** Selects stack dev, which Pulumi left locked by a process; returns the commands that Pulumi got. */
    async function selected(lock: { pid: number; hostname: string }): Promise<string> {
        const locks = path.join(places().backend, ".pulumi/locks/organization/dabaweb/dev");
        fs.mkdirSync(locks, { recursive: true });
        fs.writeFileSync(path.join(locks, "a.json"), JSON.stringify({ ...lock, username: "me" }));
        await new Stack("dev").select();
        return fs.readFileSync(path.join(state, "calls"), "utf8");
    }

    // Above every pid that is given out.
    const dead = 2 ** 22 + 1;

    it("is unlocked if that process is dead", async () => {
        const calls = await selected({ pid: dead, hostname: os.hostname() });
        assert.match(calls, /^--cwd \S+ cancel --yes --stack dev$/m);
    });

    it("stays locked by a live process, or by one on another machine, and names it", async () => {
        for (const lock of [
            { pid: process.pid, hostname: os.hostname() },
            { pid: dead, hostname: "elsewhere.example" },
        ]) {
            await assert.rejects(
                selected(lock),
                new RegExp(`Stack dev is locked by process ${lock.pid} of me on ${lock.hostname}; `),
            );
        }
        // That process may be using the copy of the stack file.
        assert.ok(!fs.existsSync(new Stack("dev").copy));
        assert.ok(!fs.existsSync(path.join(state, "calls")));
    });
});

describe("local: the runtime of machines without CAP_SYS_RESOURCE", () => {
    const wrapper = path.resolve(__dirname, "../../local/engine/runc-without-sys-resource");
    const capabilities = {
        bounding: ["CAP_CHOWN", "CAP_SYS_RESOURCE"],
        effective: ["CAP_SYS_RESOURCE", "CAP_KILL"],
    };
    const without = { bounding: ["CAP_CHOWN"], effective: ["CAP_KILL"] };

    for (const [what, file, args] of [
        ["a container", "config.json", ["create", "--bundle", "DIR", "id"]],
        ["an exec", "process.json", ["exec", "--process", "DIR/process.json", "id"]],
        ["an exec with an equals sign", "process.json", ["exec", "--process=DIR/process.json", "id"]],
    ] as const) {
        it(`removes that capability, and only that one, from ${what}, and passes it on to runc`, async () => {
            const directory = temporary();
            fs.writeFileSync(path.join(directory, file), JSON.stringify({ capabilities }));
            fs.writeFileSync(path.join(directory, "runc"), '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
            const given = args.map((each) => each.replace("DIR", directory));
            const { output } = await attempt(wrapper, given, {
                env: { PATH: `${directory}:${process.env.PATH}` },
            });
            assert.strictEqual(output.trim(), given.join(" "));
            const left = JSON.parse(fs.readFileSync(path.join(directory, file), "utf8")) as unknown;
            assert.deepStrictEqual(left, { capabilities: without });
        });
    }
});

describe("local: where a node's containerd looks for registries", () => {
    const folder = "/etc/containerd/certs.d";

    it("is read from its configuration, of 1.x and 2.x", () => {
        const one = `      [plugins."io.containerd.grpc.v1.cri".registry]\n        config_path = "${folder}"\n`;
        const two = `    config_path = ''\n  [plugins.'io.containerd.cri.v1.images'.registry]\n      config_path = '${folder}:/etc/docker/certs.d'\n`;
        assert.strictEqual(registryDirectoryOf(one), folder);
        assert.strictEqual(registryDirectoryOf(two), folder);
    });

    it("is nowhere if that names no folder", () => {
        assert.strictEqual(registryDirectoryOf('config_path = ""\n'), undefined);
        assert.strictEqual(registryDirectoryOf(""), undefined);
    });
});
