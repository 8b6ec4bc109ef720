import assert from "assert";
import * as fs from "fs";

import { parse } from "yaml";

import { parseConfig, PROJECT } from "../../config";
import { STACKS } from "../support/program";

function rawConfig(stack: string): Record<string, unknown> {
    const { config } = parse(fs.readFileSync(`Pulumi.${stack}.yaml`, "utf8")) as {
        config: Record<string, unknown>;
    };
    return Object.fromEntries(
        Object.entries(config)
            .filter(([key]) => key.startsWith(`${PROJECT}:`))
            .map(([key, value]) => [key.slice(PROJECT.length + 1), value]),
    );
}

function complaint(changes: Record<string, unknown>): string {
    try {
        parseConfig({ ...rawConfig("dev"), ...changes }, "dev");
    } catch (error) {
        return (error as Error).message;
    }
    throw new Error(`accepted: ${JSON.stringify(changes)}`);
}

describe("stack configuration", () => {
    for (const stack of STACKS) {
        it(`of ${stack} is valid`, () => {
            parseConfig(rawConfig(stack), stack);
        });
    }

    it("fills defaults in", () => {
        const config = parseConfig(rawConfig("dev"), "dev");
        assert.strictEqual(config.platform, "linux/amd64");
        assert.strictEqual(config["redis-master"].storage, "1Gi");
        assert.strictEqual(config.dabacluster.workers, 2);
        assert.strictEqual(
            parseConfig({ ...rawConfig("dev"), storageClass: undefined }, "dev").storageClass,
            undefined,
        );
        assert.strictEqual(parseConfig({ ...rawConfig("dev"), storageClass: "" }, "dev").storageClass, "");
    });

    const refused: [string, Record<string, unknown>, RegExp][] = [
        [
            "a slave count of -1",
            { "redis-slave": { replicas: -1 } },
            /dabaweb:redis-slave\.replicas is -1; it must be 0 or more/,
        ],
        [
            "a slave count of two",
            { "mysql-slave": { replicas: "two" } },
            /dabaweb:mysql-slave\.replicas is "two"; it must be of type (whole )?number/,
        ],
        [
            "a fraction of a slave",
            { "mysql-slave": { replicas: 1.5 } },
            /dabaweb:mysql-slave\.replicas is 1\.5; it must be of type whole number/,
        ],
        [
            "a nodePort of 80",
            { service: { type: "NodePort", nodePort: 80 } },
            /dabaweb:service\.nodePort is 80; it must be 30000 or more/,
        ],
        [
            "an unknown key",
            { publicURL: "http://localhost" },
            /dabaweb:publicURL is an unknown key; did you mean publicUrl\?/,
        ],
        [
            "an unknown nested key",
            { "redis-master": { replicas: 2 } },
            /dabaweb:redis-master\.replicas is an unknown key; known keys are bootstrap, storage/,
        ],
        [
            "an invalid quantity",
            { "redis-master": { storage: "1 gig" } },
            /dabaweb:redis-master\.storage is "1 gig"; must be a Kubernetes quantity/,
        ],
        [
            "commits that wait for a slave where there is none",
            { "mysql-master": { onNoReplica: "wait" }, "mysql-slave": { replicas: 0 } },
            /dabaweb:mysql-master\.onNoReplica is "wait"; with mysql-slave\.replicas 0 every commit would wait for ever/,
        ],
        [
            "an override that is no word",
            { "redis-master": { bootstrap: "go on" } },
            /dabaweb:redis-master\.bootstrap is "go on"; must be a word/,
        ],
        ["a missing key", { kubeContext: undefined }, /dabaweb:kubeContext is missing/],
        [
            "an unknown platform",
            { platform: "windows/amd64" },
            /dabaweb:platform is "windows\/amd64"; allowed is linux\/amd64 or linux\/arm64/,
        ],
        [
            "an unknown service type",
            { service: { type: "LoadBalancer" } },
            /dabaweb:service.* type must be NodePort or ClusterIP/,
        ],
        [
            "a password without a username",
            { registry: { address: "localhost:5001", password: "hush" } },
            /username and password go together/,
        ],
        [
            "a request above its limit",
            {
                dabacluster: {
                    resources: { requests: { cpu: "1", memory: "2Gi" }, limits: { cpu: "1", memory: "1Gi" } },
                },
            },
            /requests\.memory is "2Gi"; 2Gi is above limits\.memory 1Gi/,
        ],
        [
            "an image by tag only",
            { images: { dabaweb: "localhost:5001/dabaweb:1" } },
            /dabaweb:images\.dabaweb is "localhost:5001\/dabaweb:1"; must be pinned by digest/,
        ],
    ];
    for (const [what, changes, message] of refused) {
        it(`refuses ${what} with key, value and remedy`, () => {
            assert.match(complaint(changes), message);
        });
    }

    it("names every problem at once, and never a password", () => {
        const message = complaint({
            platform: "x",
            colour: "red",
            registry: { address: "localhost:5001", password: "hush" },
        });
        assert.match(message, /platform/);
        assert.match(message, /colour/);
        assert.doesNotMatch(message, /hush/);
    });
});
