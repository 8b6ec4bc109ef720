import assert from "assert";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { attempt } from "../../local/machine/shell";
import { policyPack } from "../../local/tools/plugins";
import { rules } from "../../policy/rules";
import { copyProgram } from "../support/copy";

const ROOT = path.resolve(__dirname, "../..");
const IMAGES = ["redis-master", "redis-slave", "mysql-master", "mysql-slave", "dabaweb", "nginx"];

/** One change of the program for each rule; it breaks that rule in the plan of prod. */
const BREAKS: readonly [string, string, string][] = [
    ["components/dabaweb.ts", "image: args.images.nginx", 'image: "nginx:latest"'],
    ["components/pod.ts", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"],
    ["components/dabaweb.ts", 'livenessProbe: httpProbe("/nginx-health", NGINX_PORT, 10, 6),', ""],
    [
        "components/dabaweb.ts",
        "const env: Record<string, pulumi.Input<string>> = {",
        "$& TOKEN: args.mysql.password,",
    ],
    ["components/volume.ts", "...keptWith(args.protect)", "...{}"],
    ["components/dataset.ts", "spec: { selector: selector(name), ports: [{", "$& nodePort: 32002,"],
    ["components/pod.ts", "if (replicas < 2) {", "if (replicas < 200) {"],
];

/** The real engine with the real pack, on a throw-away backend: no cluster, no Docker, none of the user's state. */
describe("a preview with the policy pack", () => {
    let folder: string;
    const env = () => ({
        PULUMI_BACKEND_URL: `file://${folder}/backend`,
        PULUMI_CONFIG_PASSPHRASE: "none",
        PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
        KUBECONFIG: "/nonexistent",
        DOCKER_HOST: "unix:///nonexistent",
    });
    const pulumi = (cwd: string, ...args: string[]) =>
        attempt("pulumi", [...args, "--cwd", cwd, "--non-interactive"], { env: env(), timeout: 5 * 60_000 });
    const preview = async (program: string) =>
        pulumi(
            program,
            "preview",
            "--stack",
            "prod",
            "--config-file",
            path.join(folder, "Pulumi.prod.yaml"),
            "--policy-pack",
            await policyPack(),
        );

    before(async () => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "policy-"));
        fs.mkdirSync(path.join(folder, "backend"));
        fs.copyFileSync(path.join(ROOT, "Pulumi.yaml"), path.join(folder, "Pulumi.yaml"));
        const pinned = IMAGES.map(
            (image) => `    ${image}: localhost:5001/${image}@sha256:${"0".repeat(64)}\n`,
        );
        const prod = fs.readFileSync(path.join(ROOT, "Pulumi.prod.yaml"), "utf8");
        fs.writeFileSync(
            path.join(folder, "Pulumi.prod.yaml"),
            `${prod}  dabaweb:images:\n${pinned.join("")}`,
        );
        const { code, complaints } = await pulumi(folder, "stack", "init", "prod", "--no-select");
        assert.strictEqual(code, 0, complaints);
    });

    after(() => fs.rmSync(folder, { recursive: true }));

    it("passes a production plan that follows every rule", async () => {
        const { code, output, complaints } = await preview(ROOT);
        assert.strictEqual(code, 0, output + complaints);
        assert.match(output, /dabaweb@v\d.* \(local: /);
        assert.doesNotMatch(output, /\[(mandatory|advisory)\]/);
    });

    it("fails on a plan that breaks every rule, and names each rule", async () => {
        const broken = path.join(folder, "broken");
        fs.mkdirSync(broken);
        copyProgram(broken);
        for (const [file, text, instead] of BREAKS) {
            const before = fs.readFileSync(path.join(broken, file), "utf8");
            assert.ok(before.includes(text), `${file} does not contain ${text}`);
            fs.writeFileSync(path.join(broken, file), before.replace(text, instead));
        }
        const { code, output } = await preview(broken);
        assert.notStrictEqual(code, 0, output);
        const named = [...output.matchAll(/\[mandatory\] +([a-z-]+) /g)].map(([, rule]) => rule);
        assert.deepStrictEqual([...new Set(named)].sort(), rules.map(({ name }) => name).sort(), output);
    });
});
