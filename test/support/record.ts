/**
 * Runs the program of one stack under mocks and prints what it registers, as JSON on standard output:
 *
 *     node -r ts-node/register/transpile-only test/support/record.ts Pulumi.dev.yaml
 *
 * A process of its own for each stack, because Pulumi's runtime keeps global state between runs
 * (https://github.com/pulumi/pulumi/issues/16042).
 */
import * as fs from "fs";
import * as path from "path";

import * as pulumi from "@pulumi/pulumi";
import type { MockMonitor } from "@pulumi/pulumi/runtime/mocks";
import { parse } from "yaml";

/** One registered resource, with the options that stock mocks hide. */
export interface Recorded {
    urn: string;
    type: string;
    name: string;
    parent: string;
    provider: string;
    protect: boolean;
    dependsOn: string[];
    ignoreChanges: string[];
    retainOnDelete: boolean;
    /** undefined: left to the provider. */
    deleteBeforeReplace: boolean | undefined;
    aliases: number;
    /** Secret values are replaced by {@link SECRET}. */
    inputs: Record<string, unknown>;
}

/** Stands where an input was marked as a secret. */
export const SECRET = "[secret]";

const recorded: Recorded[] = [];

function redact(value: unknown): unknown {
    if (pulumi.runtime.isRpcSecret(value)) {
        return SECRET;
    }
    if (Array.isArray(value)) {
        return value.map(redact);
    }
    if (value !== null && typeof value === "object") {
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redact(item)]));
    }
    return value;
}

async function record(stackFile: string): Promise<void> {
    const stack = path.basename(stackFile).replace(/^Pulumi\.(.*)\.yaml$/, "$1");
    const { config } = parse(fs.readFileSync(stackFile, "utf8")) as { config: Record<string, unknown> };
    pulumi.runtime.setAllConfig(
        Object.fromEntries(
            Object.entries(config).map(([key, value]) => [
                key,
                typeof value === "string" ? value : JSON.stringify(value),
            ]),
        ),
    );
    await pulumi.runtime.setMocks(
        {
            newResource: ({ type, name, inputs, id }) => ({
                id: id ?? `${name}-id`,
                state: {
                    ...inputs,
                    ...(type === "random:index/randomPassword:RandomPassword"
                        ? { result: "x".repeat(32) }
                        : {}),
                    ...(type === "docker:index/registryImage:RegistryImage"
                        ? { sha256Digest: `sha256:${"0".repeat(64)}` }
                        : {}),
                    ...(type === "pulumi:pulumi:StackReference" ? { outputs: {} } : {}),
                },
            }),
            call: ({ inputs }) => inputs,
        },
        "dabaweb",
        stack,
        true,
        "organization",
    );
    // Wrapped, because the mocks pass neither parent nor options on
    // (https://github.com/pulumi/pulumi/issues/14421).
    const monitor = pulumi.runtime.getMonitor() as unknown as {
        newUrn(parent: string, type: string, name: string): string;
        registerResource: MockMonitor["registerResource"];
    };
    const register = monitor.registerResource.bind(monitor);
    monitor.registerResource = async (request, callback) => {
        const provider: string = request.getProvider();
        recorded.push({
            urn: monitor.newUrn(request.getParent(), request.getType(), request.getName()),
            type: request.getType(),
            name: request.getName(),
            parent: request.getParent(),
            // The provider's id after its URN is made by the mocks and says nothing.
            provider: provider.replace(/::[^:]*$/, ""),
            protect: request.getProtect() ?? false,
            dependsOn: [...request.getDependenciesList()].sort(),
            ignoreChanges: request.getIgnorechangesList(),
            retainOnDelete: request.getRetainondelete() ?? false,
            deleteBeforeReplace: request.getDeletebeforereplacedefined()
                ? request.getDeletebeforereplace()
                : undefined,
            aliases: request.getAliasesList().length,
            inputs: redact(
                pulumi.runtime.deserializeProperties(request.getObject(), true),
            ) as Recorded["inputs"],
        });
        return register(request, callback);
    };
    let outputs: unknown;
    const program = require("../../index") as () => Promise<unknown>;
    await pulumi.runtime.runInPulumiStack(async () => {
        outputs = await program();
        return {};
    });
    await pulumi.runtime.disconnect();
    void outputs;
    recorded.sort((a, b) => (a.urn < b.urn ? -1 : 1));
    process.stdout.write(JSON.stringify(recorded, null, 2) + "\n");
}

if (require.main === module) {
    const stackFile = process.argv[2];
    if (stackFile === undefined) {
        throw new Error("usage: record.ts Pulumi.<stack>.yaml");
    }
    record(stackFile).catch((error: Error) => {
        process.stderr.write(`${error.message}\n`);
        process.exit(1);
    });
}
