import assert from "assert";
import { randomBytes } from "crypto";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";
import { parseDocument } from "yaml";

import { registryDirectory, useRegistry } from "../../local/cluster/node-registry";
import { clusterNodes } from "../../local/cluster/nodes";
import { names } from "../../local/places";
import { forThisMachine } from "../../local/stacks/this-machine";
import { QUICKLY_COMPILED } from "../../operations/compiled";
import { command, Result } from "../support/command";
import { copyCheckout } from "../support/copy";
import { docker, Scope, waitFor } from "../support/docker";
import { Registries, Registry } from "../support/registries";
import { parsePage } from "../support/page";
import { RECOVERY_SECONDS } from "../support/system";
import { freeSharedPorts } from "./shared-port";

/** The commands below a heading of a page. */
const linesOf = (page: string, below: string): string[] =>
    parsePage(fs.readFileSync(path.resolve(__dirname, "../..", page), "utf8"))
        .filter(({ heading }) => heading === below)
        .flatMap(({ commands }) => commands.map(({ line }) => line));

const LINES = linesOf("README.md", "Your cluster");
const [RENAME, PREVIEW_RENAMED] = linesOf("docs/deploy.md", "Rename or move a stack");

/** The name that README.md uses. */
const NAMESPACE = "dabaweb-mine";
const CONTEXT = "far-away/team";
const NODE_PORT = 32003;
/** The class of the pre-created volumes, and the mark of everything that this test creates outside the namespace. */
const CLASS = "your-cluster-test";
const DISKS = `/var/lib/${CLASS}`;
const VOLUMES = ["one", "two", "three", "four"];

const SMALL = { requests: { cpu: "10m", memory: "384Mi" }, limits: { cpu: "1", memory: "384Mi" } };

const WALK_SECONDS = 25 * 60;

/**
 * Follows README.md line by line from a clean clone, with a cluster and a registry as a team has them: the registry has a
 * password, the namespace already exists, the account has rights only in it, and root owns the root directory of each disk.
 */
describe('README.md, "Your cluster", with nothing but Node.js, Pulumi and Docker', () => {
    const registries = new Registries(new Scope(CLASS));
    let folder: string;
    let clone: string;
    let registry: Registry;
    let node: string;
    let walked = false;

    before("prepare a cluster that someone else administers", async () => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), `${CLASS}-`));
        clone = path.join(folder, "clone");
        copyCheckout(clone);
        makeTools();
        registry = await registries.locked("registry", names.network);
        await clear();
        await freeSharedPorts();
        const found = await kubectl(["get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "name"]);
        assert.strictEqual(
            found,
            "",
            `namespace ${NAMESPACE} belongs to someone else; this test creates and removes its own`,
        );
        const nodes = await clusterNodes();
        for (const { name } of nodes) {
            await useRegistry(name, registry.host, registries.scope.named("registry"));
        }
        node = nodes[0]!.name;
        await makeDisks();
    });

    after("remove everything", async () => {
        // After a complete run there is nothing left to destroy.
        await deploying("pulumi state unprotect --all; pulumi destroy");
        await clear();
        for (const { name } of await clusterNodes()) {
            await docker(["exec", name, "rm", "-rf", `${await registryDirectory(name)}/${registry.host}`]);
        }
        const filter = ["--filter", `reference=${registry.host}/*/*/*/*`];
        const pushed = await docker(["images", ...filter, "--format", "{{.Repository}}:{{.Tag}}"]);
        if (pushed !== "") {
            await docker(["rmi", ...pushed.split("\n")]);
        }
        await registries.close();
        fs.rmSync(folder, { recursive: true, force: true });
    });

    /** Removes what this run or a killed one created, if the class exists: no one else has this class. */
    async function clear(): Promise<void> {
        if ((await kubectl(["get", "storageclass", CLASS, "--ignore-not-found", "-o", "name"])) === "") {
            return;
        }
        await kubectl(["delete", "namespace", NAMESPACE, "--ignore-not-found"]);
        await kubectl(["delete", "persistentvolumes", "-l", `made-by=${CLASS}`]);
        for (const { name } of await clusterNodes()) {
            await docker(["exec", name, "rm", "-rf", DISKS]);
        }
        await kubectl(["delete", "storageclass", CLASS]);
    }

    /** Creates disks on a node, in the state that mkfs and mount leave. */
    async function makeDisks(): Promise<void> {
        const metadata = { name: CLASS };
        const binding = {
            provisioner: "kubernetes.io/no-provisioner",
            volumeBindingMode: "WaitForFirstConsumer",
        };
        await apply({ apiVersion: "storage.k8s.io/v1", kind: "StorageClass", metadata, ...binding });
        for (const name of VOLUMES) {
            const disk = `${DISKS}/${name}`;
            await docker(["exec", node, "mkdir", "-p", "-m", "0755", disk]);
            await docker(["exec", node, "mkdir", "-m", "0700", `${disk}/lost+found`]);
            const where = { key: "kubernetes.io/hostname", operator: "In", values: [node] };
            await apply({
                apiVersion: "v1",
                kind: "PersistentVolume",
                metadata: { name: `${CLASS}-${name}`, labels: { "made-by": CLASS } },
                spec: {
                    capacity: { storage: "1Gi" },
                    accessModes: ["ReadWriteOnce"],
                    persistentVolumeReclaimPolicy: "Retain",
                    storageClassName: CLASS,
                    local: { path: disk },
                    nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [where] }] } },
                },
            });
        }
    }

    /** Creates a folder with only the three programs, a shell and `cp`, and a Pulumi home without stacks. */
    function makeTools(): void {
        fs.mkdirSync(path.join(folder, "bin"));
        for (const tool of ["node", "npm", "npx", "pulumi", "docker", "sh", "cp"]) {
            fs.symlinkSync(onPath(tool), path.join(folder, "bin", tool));
        }
        fs.mkdirSync(path.join(folder, "backend"));
        fs.mkdirSync(path.join(folder, "docker"));
        fs.mkdirSync(path.join(folder, "pulumi"));
        const plugins = path.join(process.env.PULUMI_HOME ?? path.join(os.homedir(), ".pulumi"), "plugins");
        fs.symlinkSync(plugins, path.join(folder, "pulumi", "plugins"));
    }

    /** Creates the deployer: an account with the rights of docs/deployer-role.yaml, behind a context with another name. */
    async function makeAccount(): Promise<void> {
        const inNamespace = ["--namespace", NAMESPACE];
        await kubectl([...inNamespace, "create", "serviceaccount", "deployer"]);
        const account = `--serviceaccount=${NAMESPACE}:deployer`;
        await kubectl([
            ...inNamespace,
            "create",
            "rolebinding",
            "deployer",
            "--role=dabaweb-deployer",
            account,
        ]);
        const token = await kubectl([...inNamespace, "create", "token", "deployer", "--duration=3h"]);
        const { clusters } = JSON.parse(
            await kubectl(["config", "view", "--raw", "--minify", "--output", "json"]),
        ) as { clusters: { cluster: object }[] };
        const kubeconfig = {
            apiVersion: "v1",
            kind: "Config",
            clusters: [{ name: "theirs", cluster: clusters[0]!.cluster }],
            users: [{ name: "deployer", user: { token } }],
            contexts: [{ name: CONTEXT, context: { cluster: "theirs", user: "deployer" } }],
        };
        fs.writeFileSync(path.join(folder, "kubeconfig"), JSON.stringify(kubeconfig), { mode: 0o600 });
    }

    /** Edits a stack file as README.md says. */
    function edit(stack: string, changes: Readonly<Record<string, unknown>>): void {
        const file = path.join(clone, `Pulumi.${stack}.yaml`);
        const document = parseDocument(fs.readFileSync(file, "utf8"));
        for (const [key, value] of Object.entries(changes)) {
            const steps = ["config", ...`dabaweb:${key}`.split(".")];
            if (value === undefined) {
                document.deleteIn(steps);
            } else {
                document.setIn(steps, document.createNode(value));
            }
        }
        fs.writeFileSync(file, forThisMachine(document.toString()));
    }

    function editMine(): void {
        edit("mine", {
            kubeContext: CONTEXT,
            namespace: { name: NAMESPACE, create: false },
            registry: { address: `${registry.host}/team`, username: registry.login!.username },
            publicUrl: `http://localhost:${NODE_PORT}`,
            service: { type: "NodePort", nodePort: NODE_PORT },
            storageClass: CLASS,
            "redis-master": undefined,
            "redis-slave": undefined,
            "mysql-master": { onNoReplica: "wait" },
            "mysql-slave": undefined,
            // Other workloads run on the same cluster.
            dabacluster: { replicas: 2, publicPages: true, resources: SMALL },
        });
    }

    async function run(line: string, env: Readonly<Record<string, string>>, input?: string): Promise<Result> {
        const set = Object.entries(env).map(([name, value]) => `${name}=${value}`);
        const unset = ["PULUMI_CONFIG_PASSPHRASE_FILE", ...Object.keys(QUICKLY_COMPILED)].map(
            (name) => `--unset=${name}`,
        );
        const args = ["-C", clone, ...unset, ...set, "/bin/sh", "-c", line];
        const result = await command("env", args, { timeoutSeconds: WALK_SECONDS, input });
        const { username, password } = registry.login!;
        const said = result.stdout + result.stderr;
        for (const secret of [password, WRONG]) {
            // In plain text, and as it is sent over the network.
            for (const form of [secret, Buffer.from(`${username}:${secret}`).toString("base64")]) {
                assert.ok(!said.includes(form), `a password is in the output of ${line}`);
            }
        }
        return result;
    }

    /** Runs a line as the deployer: with the tools of {@link makeTools}, and without confirmation prompts. */
    function deploying(line: string, input?: string, more: Record<string, string> = {}): Promise<Result> {
        const env = {
            PATH: path.join(folder, "bin"),
            PULUMI_HOME: path.join(folder, "pulumi"),
            PULUMI_BACKEND_URL: `file://${folder}/backend`,
            PULUMI_CONFIG_PASSPHRASE: "walked",
            PULUMI_SKIP_CONFIRMATIONS: "true",
            KUBECONFIG: path.join(folder, "kubeconfig"),
            DOCKER_CONFIG: path.join(folder, "docker"),
            // README.md's own lines check the program's types, as they do for its reader; later lines run the same program.
            ...(walked ? { PULUMI_NODEJS_TRANSPILE_ONLY: "true" } : {}),
            ...more,
        };
        return run(line, env, input);
    }

    async function succeeds(line: string): Promise<void> {
        const status = line.includes("operations/status.ts");
        const withKubectl = { PATH: `${path.join(folder, "bin")}:${path.dirname(onPath("kubectl"))}` };
        const once = async () => {
            const result = line.startsWith("kubectl ")
                ? await run(line, { PATH: process.env.PATH! })
                : await deploying(line, `${registry.login!.password}\n`, status ? withKubectl : {});
            assert.strictEqual(result.code, 0, `${line}\n${result.stdout}\n${result.stderr}`);
            return true;
        };
        // A pod that an `up` replaced may still be terminating.
        await (status ? waitFor("everything to be healthy", RECOVERY_SECONDS, once) : once());
    }

    async function pages(): Promise<void> {
        await waitFor("the page", RECOVERY_SECONDS, async () => {
            const page = await fetch(`http://localhost:${NODE_PORT}/User_data`, {
                signal: AbortSignal.timeout(30_000),
            });
            return page.status === 200 && /james.*20000.*sam.*10000/s.test(await page.text());
        });
    }

    /** Changes a source file of one image. */
    function touch(): void {
        fs.appendFileSync(
            path.join(clone, "images/redis-slave/ready"),
            `# ${randomBytes(4).toString("hex")}\n`,
        );
    }

    const slave = (field: string) =>
        kubectl(["--namespace", NAMESPACE, "get", "pod", "redis-slave-0", "-o", `jsonpath={${field}}`]);

    const STATUS = LINES.find((line) => line.includes("operations/status.ts"))!;
    const UP = /^pulumi up\b/;

    for (const line of LINES) {
        if (UP.test(line)) {
            describeQuota();
        }
        it(line, async () => {
            walked = false;
            await succeeds(line);
            walked = true;
            if (line.startsWith("kubectl apply ")) {
                await makeAccount();
            }
            if (line.startsWith("cp ")) {
                editMine();
            }
        });
        if (UP.test(line)) {
            describeMine();
        }
    }

    function describeQuota(): void {
        it("is refused as a whole by a quota that is too small for it", async () => {
            const quota = ["--namespace", NAMESPACE, "quota", "tight"];
            await kubectl(["create", ...quota, "--hard=pods=5"]);
            try {
                const { code, stdout, stderr } = await deploying("pulumi up --skip-preview");
                assert.notStrictEqual(code, 0, stdout);
                assert.match(
                    stdout + stderr,
                    /quota tight allows pods: 5, of which 5 is left for the stack, but it needs 6; ask for a larger quota/,
                );
            } finally {
                await kubectl(["delete", ...quota]);
            }
            const kinds = "pods,statefulsets,deployments,jobs,services,secrets,persistentvolumeclaims";
            const found = await kubectl(["--namespace", NAMESPACE, "get", kinds, "-o", "name"]);
            assert.strictEqual(found, "", "something was created");
        });
    }

    function describeMine(): void {
        it("shows the seed's rows", pages);

        it("has its data next to lost+found, on disks that root owns", async () => {
            for (const name of VOLUMES) {
                const disk = `${DISKS}/${name}`;
                const entries = (await docker(["exec", node, "ls", "-A", disk])).split("\n");
                assert.ok(entries.includes("lost+found"), name);
                assert.ok(entries.includes("mysql") || entries.includes("redis"), entries.join());
                assert.strictEqual(await docker(["exec", node, "stat", "-c", "%U", disk]), "root");
            }
        });

        it("has nothing to do in a preview", async () => {
            const { code, stdout } = await deploying("pulumi preview --expect-no-changes");
            assert.strictEqual(code, 0, stdout);
        });

        it("keeps its data and passwords when it is renamed, and names its former name", async () => {
            const renamed = await deploying(RENAME!);
            assert.strictEqual(renamed.code, 0, renamed.stderr);
            try {
                // In place of the comment at its end.
                const preview = `${PREVIEW_RENAMED!.split(" #")[0]} --json --show-sames`;
                const { code, stdout, stderr } = await deploying(preview);
                assert.strictEqual(code, 0, stdout + stderr);
                assert.match(
                    stdout + stderr,
                    /this stack was deployed as organization\/dabaweb\/mine and is now organization\/dabaweb\/live;/,
                );
                const { steps } = JSON.parse(stdout) as { steps: { op: string; urn: string }[] };
                const kept = steps.filter(({ urn }) =>
                    /:(StatefulSet|PersistentVolumeClaim|Secret|RandomPassword)::/.test(urn),
                );
                const changed = kept.filter(({ op }) => op !== "same" && op !== "update");
                assert.deepStrictEqual(changed, []);
                const count = (kind: string) => kept.filter(({ urn }) => urn.includes(`:${kind}::`)).length;
                assert.deepStrictEqual([count("StatefulSet"), count("PersistentVolumeClaim")], [4, 4]);
            } finally {
                const restored = await deploying("pulumi stack rename mine --stack live");
                assert.strictEqual(restored.code, 0, restored.stderr);
            }
        });

        it("keeps another stack out of its namespace, and names the owner", async () => {
            fs.copyFileSync(path.join(clone, "Pulumi.mine.yaml"), path.join(clone, "Pulumi.other.yaml"));
            edit("other", { "registry.username": undefined, "registry.password": undefined });
            const line = "pulumi stack init other --no-select && pulumi preview --stack other";
            const { code, stdout, stderr } = await deploying(line);
            assert.notStrictEqual(code, 0);
            assert.match(
                stdout + stderr,
                /namespace dabaweb-mine belongs to stack organization\/dabaweb\/mine, whose objects have the same names/,
            );
            fs.rmSync(path.join(clone, "Pulumi.other.yaml"));
        });

        it("does not reveal a password that the registry refuses", async () => {
            touch();
            const set = await deploying("pulumi config set --secret --path registry.password", `${WRONG}\n`);
            assert.strictEqual(set.code, 0, set.stderr);
            const { code, stdout, stderr } = await deploying("pulumi up");
            assert.notStrictEqual(code, 0);
            assert.match(stdout + stderr, /unauthorized|authentication required|401/i);
        });

        it("uses Docker's login and an existing pull secret of the namespace instead of its own", async () => {
            const { username, password } = registry.login!;
            edit("mine", { registry: { address: `${registry.host}/team`, pullSecret: "team-login" } });
            const early = await deploying("pulumi up");
            assert.notStrictEqual(early.code, 0);
            const said = early.stdout + early.stderr;
            assert.match(
                said,
                /registry \S+\/team requires a login and there is none; run `docker login 127\.0\.0\.1:\d+`/,
            );
            assert.match(
                said,
                /registry\.pullSecret is team-login, but namespace dabaweb-mine has no such Secret/,
            );

            const login = `docker login --username ${username} --password-stdin ${registry.host}`;
            const logged = await deploying(login, password);
            assert.strictEqual(logged.code, 0, logged.stderr);
            await kubectl([
                ...["--namespace", NAMESPACE, "create", "secret", "docker-registry", "team-login"],
                ...[`--docker-server=${registry.host}`, `--docker-username=${username}`],
                `--docker-password=${password}`,
            ]);
            const before = await slave(".spec.containers[0].image");
            await succeeds("pulumi up");
            await succeeds(STATUS);
            assert.notStrictEqual(await slave(".spec.containers[0].image"), before);
            assert.strictEqual(await slave(".spec.imagePullSecrets[*].name"), "team-login");
            await pages();
        });

        it("cannot be destroyed while it is protected", async () => {
            const { code, stdout, stderr } = await deploying("pulumi destroy");
            assert.notStrictEqual(code, 0);
            assert.match(stdout + stderr, /protected/);
            await succeeds(STATUS);
        });
    }
});

/** A password that the registry does not know. */
const WRONG = "wrong-password-of-nobody";

/** Runs kubectl as the administrator of the cluster. */
async function kubectl(args: readonly string[], input?: string): Promise<string> {
    const result = await command("kubectl", ["--context", names.context, ...args], {
        timeoutSeconds: 2 * RECOVERY_SECONDS,
        input,
    });
    assert.strictEqual(result.code, 0, `kubectl ${args[0]} ${args[1]}: ${result.stderr}`);
    return result.stdout.trim();
}

async function apply(object: object): Promise<void> {
    await kubectl(["apply", "--filename", "-"], JSON.stringify(object));
}

/** The path of a program on PATH. */
function onPath(program: string): string {
    const found = (process.env.PATH ?? "")
        .split(path.delimiter)
        .map((each) => path.join(each, program))
        .find((each) => fs.existsSync(each));
    assert.ok(found, `${program} is not on PATH`);
    return found;
}
