import assert from "assert";
import * as fs from "fs";
import { createServer } from "http";
import * as os from "os";
import * as path from "path";

import { mapImages } from "../../components/images";
import { command, Result } from "../support/command";
import { copyProgram } from "../support/copy";
import { Scope } from "../support/docker";
import { layer, pushImage, Registries, Registry } from "../support/registries";

const ROOT = path.resolve(__dirname, "../..");

/**
 * The promotion of images as its user sees it: another checkout, its own registries, and a throw-away backend with an
 * imported stack "tested" in the state that an update leaves behind. Every test has its own target. No cluster.
 */
describe("promote", () => {
    const registries = new Registries(new Scope("promote-test"));
    let folder: string;
    let open: Registry;
    let locked: Registry;
    /** References of the deployed images, by name. */
    let deployed: Record<string, string>;

    before(async () => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "promote-"));
        copyProgram(folder);
        fs.cpSync(path.join(ROOT, "operations"), path.join(folder, "operations"), { recursive: true });
        fs.mkdirSync(path.join(folder, "backend"));
        [open, locked] = await Promise.all([registries.open("open"), registries.locked("locked")]);
        const shared = layer();
        deployed = {};
        for (const image of Object.keys(mapImages(() => ""))) {
            const repository = `${open.host}/team/dabaweb/tested/${image}`;
            deployed[image] = `${repository}@${(await pushImage(repository, [shared, layer()])).digest}`;
        }
        await deploy("tested", deployed);
    });
    after(async () => {
        fs.rmSync(folder, { recursive: true });
        await registries.close();
    });

    function stackPath(stack: string): string {
        return path.join(folder, `Pulumi.${stack}.yaml`);
    }

    function stackText(stack: string): string {
        return fs.readFileSync(stackPath(stack), "utf8");
    }

    function stackFile(stack: string, ...keys: string[]): void {
        const all = [
            "kubeContext: here",
            `namespace: { name: ${stack}, create: true }`,
            "publicUrl: http://localhost:32000",
            "service: { type: ClusterIP } # no access from outside",
            ...keys,
        ];
        fs.writeFileSync(stackPath(stack), `config:\n${all.map((key) => `  dabaweb:${key}\n`).join("")}`);
    }

    function run(file: string, args: readonly string[], changes = {}): Promise<Result> {
        const env = {
            PULUMI_BACKEND_URL: `file://${folder}/backend`,
            PULUMI_CONFIG_PASSPHRASE: "throw-away",
            // No one is logged in.
            DOCKER_CONFIG: path.join(folder, "docker"),
            ...changes,
        };
        const set = Object.entries(env).map(([name, value]) => `${name}=${value}`);
        return command("env", ["-C", folder, ...set, file, ...args], { timeoutSeconds: 120 });
    }

    async function pulumi(...args: string[]): Promise<string> {
        const { code, stdout, stderr } = await run("pulumi", [...args, "--non-interactive"]);
        assert.strictEqual(code, 0, stderr);
        return stdout;
    }

    /** Leaves behind what an update would: the images as outputs, and the resources of the built images. */
    async function deploy(stack: string, images: unknown, built: readonly string[] = []): Promise<void> {
        const urn = (type: string, name: string) => `urn:pulumi:${stack}::dabaweb::${type}::${name}`;
        const root = { type: "pulumi:pulumi:Stack", custom: false, outputs: { images } };
        const provider = { type: "pulumi:providers:docker", custom: true, id: "p" };
        const providerUrn = urn(provider.type, "docker");
        const pushed = built.map((reference) => {
            const [repository, sha256Digest] = reference.split("@");
            const type = "docker:index/registryImage:RegistryImage";
            const inputs = { name: `${repository}:tag`, keepRemotely: false };
            return {
                urn: urn(type, path.basename(repository ?? "")),
                type,
                custom: true,
                id: sha256Digest,
                provider: `${providerUrn}::${provider.id}`,
                inputs,
                outputs: { ...inputs, sha256Digest },
            };
        });
        const resources = [
            { ...root, urn: urn(root.type, `dabaweb-${stack}`) },
            { ...provider, urn: providerUrn },
            ...pushed,
        ];
        const manifest = { time: new Date().toISOString(), magic: "", version: "" };
        const file = path.join(folder, `${stack}.json`);
        fs.writeFileSync(file, JSON.stringify({ version: 3, deployment: { manifest, resources } }));
        stackFile(stack, `registry: { address: "${open.host}/team", keepImages: false }`);
        await pulumi("stack", "init", stack, "--no-select");
        await pulumi("stack", "import", "--stack", stack, "--file", file);
    }

    /** A stack whose registry requires a login; the stack file has the encrypted password. */
    async function lockedTarget(stack: string, password: string): Promise<void> {
        stackFile(stack, `registry: { address: "${locked.host}", username: docker }`);
        await pulumi("stack", "init", stack, "--no-select");
        const key = ["--secret", "--path", "dabaweb:registry.password"];
        await pulumi("config", "set", "--stack", stack, ...key, password);
    }

    async function promote(from: string, to: string, changes = {}): Promise<Result> {
        const args = ["-r", "ts-node/register/transpile-only", "operations/promote.ts", from, to];
        const result = await run(process.execPath, args, changes);
        const { username, password } = locked.login!;
        for (const secret of [password, "wrong-password"]) {
            // In plain text, and as it is sent over the network.
            for (const form of [secret, Buffer.from(`${username}:${secret}`).toString("base64")]) {
                assert.ok(!(result.stdout + result.stderr).includes(form), "a password is in the output");
            }
        }
        return result;
    }

    async function refused(sentence: RegExp, from: string, to: string, changes = {}): Promise<void> {
        const before = stackText(to);
        const { code, stderr } = await promote(from, to, changes);
        assert.match(stderr, sentence);
        assert.strictEqual(code, 1);
        assert.strictEqual(stackText(to), before);
    }

    /** The lines of a stack file that pin the deployed images. */
    function pins(prefix: string): string {
        const lines = Object.entries(deployed).map(
            ([image, reference]) => `    ${image}: ${prefix}/${image}@${reference.split("@")[1]}\n`,
        );
        return `  dabaweb:images:\n${lines.join("")}`;
    }

    it("copies all images with an encrypted login and pins them; a second run changes nothing", async () => {
        await lockedTarget("live", locked.login!.password);
        const before = stackText("live");
        const first = await promote("tested", "live");
        assert.strictEqual(first.code, 0, first.stderr);
        assert.strictEqual(first.stdout.match(/ copied: \d+\.\d MB, \d+\.\d MB of it sent, in /g)?.length, 7);
        const after = before.replace(
            "encryptionsalt:",
            `${pins(`${locked.host}/dabaweb/live`)}encryptionsalt:`,
        );
        assert.strictEqual(stackText("live"), after);

        const second = await promote("tested", "live");
        assert.strictEqual(second.code, 0, second.stderr);
        assert.strictEqual(second.stdout.match(/ already there$/gm)?.length, 7);
        assert.match(second.stdout, /^Pulumi\.live\.yaml already pins them; nothing was changed\.$/m);
        assert.strictEqual(stackText("live"), after);
    });

    it("promotes from a stack with pinned images to the next one, with Docker's own login", async () => {
        stackFile("stage", `registry: { address: "${open.host}" }`);
        assert.strictEqual((await promote("tested", "stage")).code, 0);
        assert.ok(stackText("stage").endsWith(pins(`${open.host}/dabaweb/stage`)));

        const text = pins(`${open.host}/dabaweb/stage`).split("\n").slice(1, -1);
        await deploy("stage", Object.fromEntries(text.map((line) => line.trim().split(": "))));
        stackFile("last", `registry: { address: "${locked.host}/deep/er" }`);
        await refused(/requires a login to push to deep\/er\/dabaweb\/last\/redis-master/, "stage", "last");
        const { username, password } = locked.login!;
        const auth = Buffer.from(`${username}:${password}`).toString("base64");
        const DOCKER_CONFIG = path.join(folder, "logged-in");
        fs.mkdirSync(DOCKER_CONFIG);
        const config = JSON.stringify({ auths: { [locked.host]: { auth } } });
        fs.writeFileSync(path.join(DOCKER_CONFIG, "config.json"), config);
        const { code, stderr } = await promote("stage", "last", { DOCKER_CONFIG });
        assert.strictEqual(code, 0, stderr);
        assert.ok(stackText("last").endsWith(pins(`${locked.host}/deep/er/dabaweb/last`)));
    });

    it("promotes what is deployed, and refuses by name an image that is no longer in its registry", async () => {
        stackFile("late", `registry: { address: "${open.host}" }`);
        const [repository = "", digest = ""] = deployed.nginx?.split("@") ?? [];
        const gone = `${repository}@sha256:${"0".repeat(64)}`;
        await deploy("changed", { ...deployed, nginx: gone });
        await refused(
            new RegExp(`^${gone}, the nginx of changed, is no longer in its registry`),
            "changed",
            "late",
        );
        await pushImage(repository);
        assert.strictEqual((await promote("tested", "late")).code, 0);
        assert.ok(stackText("late").includes(`nginx@${digest}`));
    });

    it("names the user when the registry refuses the login", async () => {
        await lockedTarget("wrong", "wrong-password");
        const sentence =
            /does not let user docker \(from registry\.username in Pulumi\.wrong\.yaml\) push .*HTTP 401/;
        await refused(sentence, "tested", "wrong");
    });

    it("refuses a password that it cannot decrypt", async () => {
        await lockedTarget("sealed", "wrong-password");
        const other = { PULUMI_CONFIG_PASSPHRASE: "another" };
        await refused(/^`pulumi config .*` failed: .*incorrect passphrase/, "tested", "sealed", other);
    });

    it("refuses a registry that does not answer or has no address", async () => {
        const server = createServer();
        const nobody = await registries.serve(server);
        await new Promise((resolve) => server.close(resolve));
        stackFile("nobody", `registry: { address: "${nobody}" }`);
        const sentence = new RegExp(
            `^Registry ${nobody} does not answer \\(ECONNREFUSED\\); start it, or correct`,
        );
        await refused(sentence, "tested", "nobody");
        stackFile("nobody");
        await refused(
            /^Pulumi\.nobody\.yaml is not valid.*\n.*dabaweb:registry is missing/,
            "tested",
            "nobody",
        );
    });

    it("refuses images for a platform other than the target's", async () => {
        stackFile("arm", `registry: { address: "${open.host}" }`, "platform: linux/arm64");
        const sentence =
            /the redis-master of tested, is built for linux\/amd64, but platform of arm is linux\/arm64/;
        await refused(sentence, "tested", "arm");
    });

    it("refuses to pin images that the target would then delete from the registry", async () => {
        const doomed = `${open.host}/team/dabaweb/doomed/dabaweb@${deployed.dabaweb?.split("@")[1]}`;
        await deploy("doomed", {}, [doomed]);
        const sentence = new RegExp(
            `^Stack doomed has built ${doomed} itself with registry.keepImages false`,
        );
        await refused(sentence, "tested", "doomed");
    });
});
