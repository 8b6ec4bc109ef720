import assert from "assert";
import { execFileSync } from "child_process";
import * as fs from "fs";
import * as path from "path";

import * as pulumi from "@pulumi/pulumi";

import { baseOf } from "../../components/bases";
import { IMAGE_FOLDERS } from "../../components/images";
import { outputsOf, StackOutputs } from "../../outputs";
import { graphOf, recordedChange, replacing, STACKS } from "../support/program";

/** Pulumi's runtime keeps its state in a store; this creates a new one, so that no other test sees it. */
const { withLocalStorage } = require("@pulumi/pulumi/runtime/state") as {
    withLocalStorage<T>(callback: () => Promise<T>): Promise<T>;
};

const IMAGES = Object.keys(IMAGE_FOLDERS);

/** Every output that other programs may rely on. A change to one breaks them. */
const FROZEN = [
    "url",
    "firstAdmin.username",
    "firstAdmin.passwordCommand",
    "namespace",
    "redis.writer",
    "redis.readers",
    "mysql.writer",
    "mysql.readers",
    ...["redis-master", "redis-slave", "mysql-master", "mysql-slave", "dabaweb", "nginx"].map(
        (image) => `images.${image}`,
    ),
    "versions.program",
];
/** Those that can be missing. */
const SOMETIMES = [...IMAGES.map((image) => `versions.bases.${image}`), "images.mysql-backup", "cluster"];

/** Names of all leaves, each of which must be text. */
function leaves(value: unknown, path: readonly string[] = []): string[] {
    if (value !== null && typeof value === "object") {
        return Object.entries(value).flatMap(([key, item]) => leaves(item, [...path, key]));
    }
    assert.strictEqual(typeof value, "string", path.join("."));
    return [path.join(".")];
}

function outputsInGraph(stack: string): Record<string, unknown> {
    return graphOf(stack).resources[`urn:pulumi:${stack}::dabaweb::pulumi:pulumi:Stack::dabaweb-${stack}`]!
        .outputs!;
}

describe("the outputs of a stack", () => {
    for (const stack of STACKS) {
        it(`of ${stack} are those that other programs rely on, all of them text`, () => {
            const names = leaves(outputsInGraph(stack));
            assert.deepStrictEqual(
                names.filter((name) => !SOMETIMES.includes(name)).sort(),
                [...FROZEN].sort(),
            );
        });
    }

    it("quote a context in the command that prints the password, whatever its name is", () => {
        const name = "team's (odd) context $HOME";
        const recorded = recordedChange("dev", replacing(["kind-dabaweb", JSON.stringify(name)]));
        const { outputs } = recorded.find(({ type }) => type === "pulumi:pulumi:Stack")!;
        const { passwordCommand } = outputs!.firstAdmin as StackOutputs["firstAdmin"];
        const script = `kubectl() { printf %s "$2"; }; base64() { cat; }; ${passwordCommand}`;
        assert.strictEqual(execFileSync("sh", ["-c", script], { encoding: "utf8" }), name);
    });

    it("are listed in docs/outputs.md, and no others are", () => {
        // The other tables of the page are about accounts.
        const rows = [...fs.readFileSync("docs/outputs.md", "utf8").matchAll(/^\| `([^`]+)` +\| text/gm)].map(
            ([, name]) => name!,
        );
        const documented = rows.flatMap((row) =>
            row.includes("<image>") ? IMAGES.map((image) => row.replace("<image>", image)) : [row],
        );
        assert.deepStrictEqual(documented.sort(), [...FROZEN, ...SOMETIMES].sort());
    });

    it("name the version of this program, and the base of every image that is built", () => {
        const { versions } = outputsInGraph("dev") as unknown as StackOutputs;
        const { version } = JSON.parse(fs.readFileSync("package.json", "utf8")) as { version: string };
        assert.deepStrictEqual(versions, {
            program: version,
            bases: Object.fromEntries(IMAGES.map((image) => [image, baseOf(`images/${image}/Dockerfile`)])),
        });
        assert.match(versions.bases.dabaweb ?? "", /^python:3\.[\d.]+-slim-/);
        assert.match(versions.bases["mysql-slave"] ?? "", /^mysql:\d/);
    });
});

describe("another program", () => {
    const outputs: StackOutputs = {
        url: "https://dabaweb.example.com",
        firstAdmin: { username: "admin", passwordCommand: "kubectl get secret" },
        namespace: "team",
        redis: { writer: "redis-master.team.svc:6379", readers: "" },
        mysql: { writer: "mysql-master.team.svc:3306", readers: "mysql-slave.team.svc:3306" },
        images: {
            "redis-master": "r/redis-master@sha256:1",
            "redis-slave": "r/redis-slave@sha256:2",
            "mysql-master": "r/mysql-master@sha256:3",
            "mysql-slave": "r/mysql-slave@sha256:4",
            dabaweb: "r/dabaweb@sha256:5",
            nginx: "r/nginx@sha256:6",
            "mysql-backup": "r/mysql-backup@sha256:7",
        },
        versions: { program: "1.2.3", bases: { nginx: "nginx:1" } },
    };

    /** Runs `work` in another program, whose StackReferences find these outputs; returns what it registers. */
    async function inConsumer(
        found: Partial<StackOutputs>,
        work: () => Promise<void>,
    ): Promise<pulumi.runtime.MockResourceArgs[]> {
        const registered: pulumi.runtime.MockResourceArgs[] = [];
        await withLocalStorage(async () => {
            pulumi.runtime.setAllConfig({
                "consumer:dabaweb": "organization/dabaweb/prod",
                "consumer:kubeContext": "team",
                "consumer:namespace": "shop",
            });
            const newResource = (args: pulumi.runtime.MockResourceArgs) => {
                registered.push(args);
                const own = args.type === "pulumi:pulumi:StackReference" ? { outputs: found } : {};
                return { id: args.name, state: { ...(args.inputs as object), ...own } };
            };
            await pulumi.runtime.setMocks({ newResource, call: () => ({}) }, "consumer", "test");
            await work();
            await pulumi.runtime.disconnect();
        });
        return registered;
    }

    /** The value of an output, or what it fails with. */
    function valueOf<T>(output: pulumi.Output<T>): Promise<T> {
        return (output as unknown as { promise(): Promise<T> }).promise();
    }

    it("reads addresses, url and digests through a StackReference (examples/consumer)", async () => {
        const registered = await inConsumer(outputs, async () => {
            const program = require("../../examples/consumer") as typeof import("../../examples/consumer");
            assert.strictEqual(await valueOf(program.site), outputs.url);
            assert.strictEqual(await valueOf(program.nginx), outputs.images.nginx);
        });
        const { inputs } = registered.find(({ name }) => name === "addresses")!;
        assert.deepStrictEqual((inputs as { data: unknown }).data, {
            REDIS_WRITER: outputs.redis.writer,
            REDIS_READERS: "",
            MYSQL_WRITER: outputs.mysql.writer,
            MYSQL_READERS: outputs.mysql.readers,
        });
    });

    it("is run as itself: without its own package.json, Pulumi would run the one above it", () => {
        const { main } = JSON.parse(fs.readFileSync("examples/consumer/package.json", "utf8")) as {
            main: string;
        };
        assert.strictEqual(
            require.resolve("../../examples/consumer"),
            path.resolve("examples/consumer", main),
        );
    });

    it("reads all outputs, and the cluster only if it is known", async () => {
        for (const found of [outputs, { ...outputs, cluster: "uid" }]) {
            await inConsumer(found, async () => {
                const all = await valueOf(outputsOf(new pulumi.StackReference("organization/dabaweb/prod")));
                assert.deepStrictEqual(JSON.parse(JSON.stringify(all)), found);
            });
        }
    });

    it("learns which output of which stack is missing if the stack is not deployed", async () => {
        await inConsumer({}, async () => {
            await assert.rejects(
                valueOf(outputsOf(new pulumi.StackReference("organization/dabaweb/prod"))),
                /'url' does not exist on stack 'organization\/dabaweb\/prod'/,
            );
        });
    });
});
