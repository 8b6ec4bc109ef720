import assert from "assert";
import * as fs from "fs";

import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";

import { parseConfig, PROJECT, readConfig } from "../../config";
import { stackFile } from "../../operations/stack-file";
import { STACKS } from "../support/program";

const PIN = `registry.example.com/team/x@sha256:${"a".repeat(64)}`;

function rawConfig(stack: string): Record<string, unknown> {
    const { config } = parse(fs.readFileSync(stackFile(stack), "utf8")) as {
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

/** A web tier with these limits. */
function limits(cpu: unknown, memory: unknown) {
    return {
        dabacluster: { resources: { requests: { cpu: "1m", memory: "1Mi" }, limits: { cpu, memory } } },
    };
}

describe("stack configuration", () => {
    for (const stack of STACKS) {
        it(`of ${stack} is valid`, () => {
            parseConfig(rawConfig(stack), stack);
        });
    }

    it("fills in defaults", () => {
        const config = parseConfig({ ...rawConfig("dev"), platform: undefined }, "dev");
        assert.strictEqual(config.platform, "linux/amd64");
        assert.strictEqual(config["redis-master"].storage, "1Gi");
        assert.strictEqual(config.dabacluster.workers, undefined);
        assert.strictEqual(
            parseConfig({ ...rawConfig("dev"), storageClass: undefined }, "dev").storageClass,
            undefined,
        );
        assert.strictEqual(parseConfig({ ...rawConfig("dev"), storageClass: "" }, "dev").storageClass, "");
    });

    it("accepts images pinned one by one, with dabaweb and nginx as a pair", () => {
        for (const images of [{ "mysql-slave": PIN }, { dabaweb: PIN, nginx: PIN }]) {
            assert.deepStrictEqual(parseConfig({ ...rawConfig("dev"), images }, "dev").images, images);
        }
    });

    const scheduled = (schedule: unknown) => ({ dabacluster: { cleanup: { schedule } } });

    for (const schedule of [
        "17 3 * * *",
        "*/15 0-23/2 1,15 JAN,jul-dec sun",
        "59 23 31 12 6",
        "5/10 * * * mon-FRI",
    ]) {
        it(`accepts the schedule ${schedule}`, () => {
            parseConfig({ ...rawConfig("dev"), ...scheduled(schedule) }, "dev");
        });
    }

    // Kubernetes 1.34 refuses these, too, except for "@daily", two spaces, a sign and an empty part, which say nothing new.
    for (const schedule of [
        "",
        "@daily",
        "17 3 * *",
        "17 3 * * * *",
        "17  3 * * *",
        "60 3 * * *",
        "17 24 * * *",
        "17 3 0 * *",
        "17 3 32 * *",
        "17 3 * 13 *",
        "17 3 * * 7",
        "17 3 * * fri-mon",
        "17 3 * tue *",
        "*/0 3 * * *",
        "17 +3 * * *",
        "17 0x3 * * *",
        "17 3,, * * *",
        "17 3 1-2-3 * *",
        "17 3 * * L",
        "TZ=UTC 17 3 * * *",
        "CRON_TZ=UTC 17 3 * *",
    ]) {
        it(`refuses the schedule "${schedule}"`, () => {
            assert.match(
                complaint(scheduled(schedule)),
                /dabaweb:dabacluster\.cleanup\.schedule is ".*"; allowed is a cron expression of five fields, the last one 0 \(Sunday\) to 6, for example 17 3 \* \* \*\./,
            );
        });
    }

    const refused: [string, Record<string, unknown>, RegExp][] = [
        [
            "a cleanup that keeps no log entry",
            { dabacluster: { cleanup: { keepLogDays: 0 } } },
            /dabacluster\.cleanup\.keepLogDays is 0; allowed is a whole number from 1 to 3650; did you mean 1\?/,
        ],
        [
            "a slave count of -1",
            { "redis-slave": { replicas: -1 } },
            /dabaweb:redis-slave\.replicas is -1; allowed is a whole number from 0 to 20; did you mean 0\?/,
        ],
        [
            "a slave count of two",
            { "mysql-slave": { replicas: "two" } },
            /dabaweb:mysql-slave\.replicas is "two"; allowed is a whole number from 0 to 20\./,
        ],
        [
            "a slave count in quotes",
            { "mysql-slave": { replicas: "2" } },
            /dabaweb:mysql-slave\.replicas is "2"; allowed is a whole number from 0 to 20; did you mean 2\?/,
        ],
        [
            "a fraction of a slave",
            { "mysql-slave": { replicas: 1.5 } },
            /dabaweb:mysql-slave\.replicas is 1\.5; allowed is a whole number from 0 to 20; did you mean 2\?/,
        ],
        [
            "a nodePort of 80",
            { service: { type: "NodePort", nodePort: 80 } },
            /dabaweb:service\.nodePort is 80; allowed is a whole number from 30000 to 32767; did you mean 30000\?/,
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
            "a key that belongs to another type",
            { service: { type: "ClusterIP", nodePort: 32000 } },
            /dabaweb:service\.nodePort is an unknown key; it does not apply to type ClusterIP, so remove it or change the type\./,
        ],
        [
            "the key __proto__ among names and texts",
            { dabacluster: JSON.parse('{ "nodeSelector": { "__proto__": "x" } }') },
            /dabaweb:dabacluster\.nodeSelector\.__proto__ is an unknown key; remove it\./,
        ],
        [
            "a size in words",
            { "redis-master": { storage: "1 gig" } },
            /dabaweb:redis-master\.storage is "1 gig"; allowed is 256Mi to 64Ti, for example 20Gi; did you mean "1Gi"\?/,
        ],
        [
            "a volume that MySQL fills within days, without any data",
            { "mysql-master": { storage: "512Mi" } },
            /dabaweb:mysql-master\.storage is "512Mi"; allowed is 1Gi to 64Ti, for example 20Gi; did you mean "1Gi"\?/,
        ],
        [
            "bytes without a unit",
            limits("2", "1073741824"),
            /limits\.memory is "1073741824"; allowed is 192Mi to 4Ti, for example 1Gi\./,
        ],
        [
            "thousandths of a byte",
            limits("2", "512m"),
            /memory is "512m"; allowed .*; did you mean "512Mi"\?/,
        ],
        [
            "a processor in bytes",
            limits("2Gi", "1Gi"),
            /limits\.cpu is "2Gi"; allowed is 1m to 256, for example 250m or 2\./,
        ],
        ["a processor as a number", limits(2, "1Gi"), /limits\.cpu is 2; allowed .*; did you mean "2"\?/],
        [
            "more processors than any node has, as a number",
            limits(1000, "1Gi"),
            /limits\.cpu is 1000; allowed .*; did you mean "256"\?/,
        ],
        [
            "too many slaves, in quotes",
            { "redis-slave": { replicas: "25" } },
            /replicas is "25"; allowed is a whole number from 0 to 20; did you mean 20\?/,
        ],
        [
            "an infinite slave count",
            { "redis-slave": { replicas: Infinity } },
            /replicas is Infinity; allowed is a whole number from 0 to 20\./,
        ],
        [
            "less memory than an engine is tested with",
            { "mysql-slave": limits("1", "256Mi").dabacluster },
            /mysql-slave\.resources\.limits\.memory is "256Mi"; allowed is 512Mi to 4Ti, for example 1Gi; did you mean "512Mi"\?/,
        ],
        [
            "a storage class that is neither unset, empty nor a name",
            { storageClass: null },
            /storageClass is null; allowed is the name of a class, "" for no dynamic provisioning, or unset for the cluster's default class\./,
        ],
        [
            "an override that is not a word",
            { "redis-master": { bootstrap: "go on" } },
            /dabaweb:redis-master\.bootstrap is "go on"; allowed is a word of 1 to 40 .*; did you mean "go-on"\?/,
        ],
        ["a missing key", { kubeContext: undefined }, /dabaweb:kubeContext is missing; allowed is a name/],
        [
            "an unknown platform",
            { platform: "arm64" },
            /dabaweb:platform is "arm64"; allowed is linux\/amd64 or linux\/arm64; did you mean "linux\/arm64"\?/,
        ],
        [
            "an unknown service type",
            { service: { type: "LoadBalancer" } },
            /dabaweb:service\.type is "LoadBalancer"; allowed is NodePort or ClusterIP\./,
        ],
        [
            "an address with a path",
            { publicUrl: "https://example.com/app" },
            /publicUrl is "https:\/\/example\.com\/app"; allowed .*; did you mean "https:\/\/example\.com"\?/,
        ],
        [
            "a registry with a scheme",
            { registry: { address: "https://registry.example.com" } },
            /registry\.address is "https:.*; did you mean "registry\.example\.com"\?/,
        ],
        [
            "a registry that Docker takes for a user of Docker Hub",
            { registry: { address: "team" } },
            /registry\.address is "team"; allowed is host/,
        ],
        [
            "a registry with an impossible port",
            { registry: { address: "localhost:70000/team" } },
            /registry\.address is "localhost:70000\/team"; allowed is host/,
        ],
        [
            "a namespace that belongs to Kubernetes",
            { namespace: { name: "kube-system", create: false } },
            /namespace\.name is "kube-system"; allowed .* not beginning with kube-/,
        ],
        [
            "an ingress next to a NodePort",
            { ingress: { className: "nginx", host: "localhost" } },
            /dabaweb:ingress is .*; a nodePort would bypass it/,
        ],
        [
            "an ingress with another name",
            { service: { type: "ClusterIP" }, ingress: { className: "nginx", host: "example.org" } },
            /dabaweb:ingress\.host is "example\.org"; it must be the host of publicUrl, which is localhost; make/,
        ],
        [
            "a certificate for a site without https",
            {
                service: { type: "ClusterIP" },
                ingress: { className: "nginx", host: "localhost", tlsSecret: "tls" },
            },
            /dabaweb:publicUrl is "http:\/\/localhost:32000"; with ingress\.tlsSecret, the site uses https; begin the/,
        ],
        [
            "a host with a port",
            { dabacluster: { extraHosts: ["10.0.0.1:80/"] } },
            /dabaweb:dabacluster\.extraHosts\.0 is "10\.0\.0\.1:80\/"; allowed is a host name or IP address without/,
        ],
        [
            "an image by tag only",
            { images: { dabaweb: "localhost:5001/dabaweb:1" } },
            /dabaweb:images\.dabaweb is "localhost:5001\/dabaweb:1"; allowed is an image pinned by digest/,
        ],
        [
            "a label's key with a space",
            { dabacluster: { nodeSelector: { "a b": "c" } } },
            /dabacluster\.nodeSelector\."a b" has a name that is not allowed; allowed is a label key/,
        ],
        [
            "a toleration of every taint by accident",
            { dabacluster: { tolerations: [{ value: "x" }] } },
            /dabacluster\.tolerations\.0\.operator is missing; a toleration without a key tolerates every taint/,
        ],
        [
            "dabaweb pinned without nginx",
            { images: { dabaweb: PIN } },
            /dabaweb:images\.nginx is missing; nginx contains the static files .* pin both or neither/,
        ],
        [
            "nginx pinned without dabaweb",
            { images: { nginx: PIN, "redis-master": PIN } },
            /dabaweb:images\.dabaweb is missing; .* pin both or neither/,
        ],
    ];
    for (const [what, changes, message] of refused) {
        it(`refuses ${what}, naming the key, the value and the remedy`, () => {
            assert.match(complaint(changes), message);
        });
    }

    const production = {
        protect: true,
        namespace: { name: "team", create: false },
        publicUrl: "https://dabaweb.example.com",
    };
    const contradictory: [string, Record<string, unknown>, RegExp][] = [
        [
            "a request above its limit",
            {
                dabacluster: {
                    resources: { requests: { cpu: "1", memory: "2Gi" }, limits: { cpu: "1", memory: "1Gi" } },
                },
            },
            /requests\.memory is "2Gi"; it must not exceed limits\.memory, which is 1Gi; lower the request or raise the limit\./,
        ],
        [
            "production without a storage class",
            { ...production, storageClass: undefined, "redis-slave": { replicas: 0 } },
            /dabaweb:storageClass is missing; with protect true, redis-master, mysql-master, mysql-slave must not depend on the/,
        ],
        [
            "production in a namespace that is deleted with the stack",
            { ...production, namespace: { name: "team", create: true } },
            /dabaweb:namespace\.create is true; with protect true, the namespace must outlive the stack/,
        ],
        [
            "production whose users sign in over http",
            { ...production, publicUrl: "http://dabaweb.example.com" },
            /dabaweb:publicUrl is "http:\/\/dabaweb\.example\.com"; with protect true, users must not sign in over plain http/,
        ],
        [
            "an address with another nodePort",
            { publicUrl: "http://localhost:32001" },
            /dabaweb:publicUrl is .*; its port is in the nodePort range, but service\.nodePort is 32000/,
        ],
        [
            "https on the nodePort itself",
            { publicUrl: "https://example.com:32000" },
            /dabaweb:publicUrl is .*; the nodePort itself serves plain http/,
        ],
        [
            "a stack that creates the namespace default",
            { namespace: { name: "default", create: true } },
            /dabaweb:namespace\.create is true; the namespace default always exists and cannot be deleted/,
        ],
        [
            "images on Docker Hub",
            { registry: { address: "docker.io/team" } },
            /dabaweb:registry\.address is "docker\.io\/team"; Docker Hub has no repositories deeper than team\/name/,
        ],
        [
            "a password without a username",
            { registry: { address: "localhost:5001", password: "hush" } },
            /dabaweb:registry\.username is missing; registry\.password is set, and one is of no use without the other/,
        ],
        [
            "more web threads than MySQL has connections for",
            { dabacluster: { replicas: 10, workers: 32 } },
            /dabaweb:dabacluster\.replicas is 10; \(10 web pods \+ 1 while they are replaced\) x 32 workers x \(4 threads \+ 1\) \+ 3 are 1763 connections, but mysql-master has 100 and leaves 47 of them to the site; lower replicas, workers or threads, or set mysql-master\.maxConnections to 1816 or more, or give mysql-master more memory/,
        ],
        [
            "a buffer pool that leaves MySQL too little memory",
            { "mysql-slave": { bufferPool: "512Mi" } },
            /dabaweb:mysql-slave\.bufferPool is "512Mi"; of the memory limit of 640Mi, a buffer pool of 512Mi, 100 connections \(50Mi\) and the server itself leave less than nothing of the 96Mi that statements need/,
        ],
        [
            "more connections than MySQL has memory for",
            { "mysql-master": { maxConnections: 1000 } },
            /dabaweb:mysql-master\.maxConnections is 1000; of the memory limit of 640Mi, a buffer pool of 64Mi, 1000 connections \(500Mi\)/,
        ],
        [
            "a packet that the slaves have no memory for",
            {
                "mysql-master": {
                    maxPacket: "64Mi",
                    resources: { requests: { cpu: "1", memory: "4Gi" }, limits: { cpu: "1", memory: "4Gi" } },
                },
            },
            /dabaweb:mysql-master\.maxPacket is "64Mi"; 64Mi is more than the 14Mi that this stack can replicate/,
        ],
        [
            "a redo log that fills the volume",
            { "mysql-master": { redoLog: "512Mi" } },
            /dabaweb:mysql-master\.redoLog is "512Mi"; 512Mi is more than a quarter of the volume of 1Gi/,
        ],
        [
            "commits that wait for a slave if there is none",
            { "mysql-master": { onNoReplica: "wait" }, "mysql-slave": { replicas: 0 } },
            /dabaweb:mysql-master\.onNoReplica is "wait"; with mysql-slave\.replicas 0, every commit would wait forever/,
        ],
        [
            "a slave's volume that cannot hold the master's data",
            { "mysql-master": { storage: "2Gi" } },
            /dabaweb:mysql-slave\.storage is missing; 1Gi is less than the 2Gi of mysql-master/,
        ],
        [
            "a slave's memory that cannot hold the master's data",
            { "redis-master": limits("1", "512Mi").dabacluster },
            /dabaweb:redis-slave\.resources\.limits\.memory is missing; 192Mi is less than the 512Mi of redis-master/,
        ],
        [
            "a volume that cannot hold what Redis writes",
            {
                "redis-master": { storage: "256Mi", ...limits("1", "512Mi").dabacluster },
                "redis-slave": { replicas: 0 },
            },
            /dabaweb:redis-master\.storage is "256Mi"; 256Mi is less than the memory limit of 512Mi/,
        ],
        [
            "nodes that the images do not run on",
            { platform: "linux/amd64", dabacluster: { nodeSelector: { "kubernetes.io/arch": "arm64" } } },
            /dabacluster\.nodeSelector\.kubernetes\.io\/arch is "arm64"; images for platform linux\/amd64 do not start/,
        ],
        [
            "a toleration that compares with nothing",
            { dabacluster: { tolerations: [{ key: "team", operator: "Exists", value: "x" }] } },
            /tolerations\.0\.value is "x"; the operator Exists compares no value/,
        ],
        [
            "a time for a taint that evicts nothing",
            { dabacluster: { tolerations: [{ key: "team", tolerationSeconds: 5 }] } },
            /tolerations\.0\.tolerationSeconds is 5; it applies only to the effect NoExecute/,
        ],
    ];
    for (const [what, changes, message] of contradictory) {
        it(`refuses ${what}, naming both settings`, () => {
            assert.match(complaint(changes), message);
        });
    }

    it("accepts production with a named class, with none, and with one for each workload", () => {
        const own = { storageClass: "fast" };
        const each = { "redis-master": own, "redis-slave": own, "mysql-master": own, "mysql-slave": own };
        for (const classes of [
            { storageClass: "fast" },
            { storageClass: "" },
            { storageClass: undefined, ...each },
        ]) {
            parseConfig({ ...rawConfig("dev"), ...production, ...classes }, "dev");
        }
    });

    it("names every problem at once, at most ten of them", () => {
        const message = complaint({ platform: "x", colour: "red", protect: 3 });
        assert.match(message, /platform is "x"/);
        assert.match(message, /colour is an unknown key/);
        assert.match(message, /protect is 3/);
        const many = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`key${n}`.repeat(100), n]));
        const long = complaint(many).split("\n");
        assert.strictEqual(long.length, 12);
        assert.match(long.at(-1) ?? "", /and 290 more/);
        long.forEach((line) => assert.ok(line.length < 500, line));
    });

    const leaks: [string, Record<string, unknown>][] = [
        ["under its key", { registry: { address: "localhost:5001", password: "hush\nhush" } }],
        ["without a username", { registry: { address: "localhost:5001", password: "hush" } }],
        ["under a misspelt key", { registry: { address: "localhost:5001", username: "me", passwd: "hush" } }],
        ["under a misspelt label", { dabacluster: { nodeSelector: { pasword: "hush\n" } } }],
        ["next to another mistake", { registry: { address: "?", username: "me", password: "hush" } }],
        ["in place of the whole object", { registry: "hush" }],
        ["in an object in place of a text", { mirror: { images: { token: "hush" } } }],
        ["in two places", { registry: { address: 'a"hush"', username: "me", password: '"hush"\n' } }],
        ["in a registry's address", { registry: { address: "me:hush@example.com" } }],
        ["in a mirror's address", { mirror: { pip: "https://me:hush@example.com/simple" } }],
        ["in the public address", { publicUrl: "https://me:hush@example.com" }],
    ];
    for (const [where, changes] of leaks) {
        it(`shows no password ${where}`, () => {
            assert.doesNotMatch(complaint(changes), /hush/);
        });
    }
});

describe("the configuration that Pulumi passes", () => {
    const config = (values: Record<string, unknown>) => {
        const texts = Object.entries({ ...rawConfig("dev"), ...values }).map(([key, value]) => [
            key.includes(":") ? key : `${PROJECT}:${key}`,
            typeof value === "string" ? value : JSON.stringify(value),
        ]);
        pulumi.runtime.setAllConfig(Object.fromEntries(texts));
        return readConfig();
    };

    after(() => pulumi.runtime.setAllConfig({}));

    it("is read as the stack file has it, including a text that looks like a number", () => {
        const read = config({ kubeContext: "2024", storageClass: "", "pulumi:tags": { team: "data" } });
        assert.strictEqual(read.kubeContext, "2024");
        assert.strictEqual(read.storageClass, "");
        assert.strictEqual(read["redis-slave"].replicas, 1);
    });

    it("is refused if a key is for a provider, which would not read it", () => {
        assert.throws(
            () => config({ "kubernetes:context": "other" }),
            /kubernetes:context has no effect; this program only reads keys that begin with dabaweb:\./,
        );
    });

    it("is refused if an object is in place of a text, without showing what is in it", () => {
        assert.throws(
            () => config({ platform: { password: "hush" } }),
            /dabaweb:platform is an object; allowed is linux\/amd64 or linux\/arm64\./,
        );
    });

    it("is refused if a value that must be JSON is not", () => {
        assert.throws(
            () => config({ registry: "{ address: localhost:5001" }),
            /dabaweb:registry is \[secret\]; allowed is an object with address/,
        );
    });
});
