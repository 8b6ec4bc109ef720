import assert from "assert";
import { randomUUID } from "crypto";

import { Stack } from "../../local/stacks/stack";
import { mysqlReplicates, redisReplicates } from "../support/checks";
import { waitFor } from "../support/docker";
import { RECOVERY_SECONDS, System } from "../support/system";
import { freeSharedPorts } from "./shared-port";
import { configure, deploy, destroy, pulumi } from "./stack";

const system = new System("kept");
const CLASS = "retained";

interface Claim {
    readonly name: string;
    readonly uid: string;
    readonly phase: string;
    readonly asked: string;
    readonly volume: string;
}

async function claims(): Promise<Claim[]> {
    const { items } = JSON.parse(await system.kubectl(["get", "persistentvolumeclaims", "-o", "json"])) as {
        items: {
            metadata: { name: string; uid: string };
            spec: { volumeName: string; resources: { requests: { storage: string } } };
            status: { phase: string };
        }[];
    };
    return items.map(({ metadata, spec, status }) => ({
        name: metadata.name,
        uid: metadata.uid,
        phase: status.phase,
        asked: spec.resources.requests.storage,
        volume: spec.volumeName,
    }));
}

/** A password that the program stored in a Secret. */
async function password(secret: string, key: string): Promise<string> {
    const text = await system.kubectl(["get", "secret", secret, "-o", `jsonpath={.data.${key}}`]);
    return Buffer.from(text, "base64").toString();
}

/** Whether the application can log in to MySQL over the network with this password. */
async function opens(secret: string): Promise<boolean> {
    const login =
        "read -r MYSQL_PWD; export MYSQL_PWD; exec mysql --no-defaults -h mysql-master -u dabaweb -e 'SELECT 1'";
    const input = `${secret}\n`;
    return (await system.tryExec("mysql-master-0", "mysql", ["bash", "-c", login], { input })).code === 0;
}

/** Sets whether volumes of the class may grow; in the local cluster they may not by default. */
function allowExpansion(yes: boolean): Promise<string> {
    const change = JSON.stringify({ allowVolumeExpansion: yes });
    return system.kubectl(["patch", "storageclass", CLASS, "-p", change]);
}

/** Removes what this run or a killed one made: the class's volume expansion, stack, claims, volumes and their disks, namespace. */
async function giveUp(): Promise<void> {
    await allowExpansion(false);
    const stack = new Stack("kept");
    if (stack.exists) {
        // This also removes the lock of a killed run.
        await stack.select();
        await pulumi("kept", ["state", "unprotect", "--all", "--yes"]);
        await destroy("kept");
    }
    // If a run was killed early, its claims may have no volume yet.
    for (const { volume } of (await claims()).filter(({ phase }) => phase === "Bound")) {
        const policy = { spec: { persistentVolumeReclaimPolicy: "Delete" } };
        await system.kubectl(["patch", "persistentvolume", volume, "-p", JSON.stringify(policy)]);
    }
    await system.kubectl(["delete", "namespace", system.namespace, "--ignore-not-found"]);
    await waitFor("its volumes to be gone", RECOVERY_SECONDS, async () => {
        const path = "jsonpath={.items[*].spec.claimRef.namespace}";
        const owners = await system.kubectl(["get", "persistentvolumes", "-o", path]);
        return !owners.split(" ").includes(system.namespace);
    });
}

describe("a stack in the shape of production", () => {
    const row = `row-${randomUUID().slice(0, 8)}`;

    before("create a namespace outside the stack, then up", async () => {
        await giveUp();
        await freeSharedPorts();
        const namespace = {
            apiVersion: "v1",
            kind: "Namespace",
            metadata: {
                name: system.namespace,
                labels: { "pod-security.kubernetes.io/enforce": "restricted" },
            },
        };
        await system.kubectl(["apply", "-f", "-"], { input: JSON.stringify(namespace) });
        await deploy("kept");
    });

    after("remove everything", giveUp);

    it("refuses to be destroyed while it is protected, and keeps running", async () => {
        const pods = await system.restarts();
        await assert.rejects(
            destroy("kept"),
            /is protected and was not touched.*pulumi state unprotect --all --stack kept/s,
        );
        assert.deepStrictEqual(await system.restarts(), pods);
        await system.ready();
    });

    const refused: [string, string, string, string, RegExp][] = [
        [
            "a smaller volume",
            "redis-master.storage",
            "500Mi",
            "1Gi",
            /volume data-redis-master-0 has 1Gi and cannot shrink to 500Mi/,
        ],
        [
            "another class",
            "redis-master.storageClass",
            "standard",
            CLASS,
            /volume data-redis-master-0 has storageClass retained and cannot become standard/,
        ],
        [
            "an expansion that the class does not allow",
            "redis-slave.storage",
            "2Gi",
            "1Gi",
            /volume data-redis-slave-0 cannot grow from 1Gi to 2Gi, because storageClass retained does not allow expansion/,
        ],
    ];
    for (const [what, key, bad, good, message] of refused) {
        it(`refuses ${what} by name, before it changes anything`, async () => {
            const before = await claims();
            await configure("kept", { [key]: bad });
            try {
                await assert.rejects(pulumi("kept", ["up", "--yes", "--skip-preview"]), message);
            } finally {
                await configure("kept", { [key]: good });
            }
            assert.deepStrictEqual(await claims(), before);
        });
    }

    it("keeps every claim bound when it is unprotected and destroyed twice, and reuses the claims with new passwords", async () => {
        await system.sql(
            "mysql-master-0",
            `INSERT INTO form.form_user_data (name, money) VALUES ('${row}', 1)`,
        );
        assert.strictEqual(await system.redis("redis-master-0", "SET", row, "kept"), "OK");
        const secrets: [string, string][] = [
            ["mysql-credentials", "dabaweb"],
            ["mysql-credentials", "root"],
            ["redis-credentials", "admin"],
        ];
        const old = await Promise.all(secrets.map(([secret, key]) => password(secret, key)));
        const before = await claims();
        assert.strictEqual(before.length, 4);

        await pulumi("kept", ["state", "unprotect", "--all", "--yes"]);
        await destroy("kept");
        assert.deepStrictEqual(await system.restarts(), {});
        const between = await claims();
        assert.deepStrictEqual(between, before);
        between.forEach(({ name, phase }) => assert.strictEqual(phase, "Bound", name));

        // A second time, once with make and once with Pulumi: nothing is left to do, and the claims stay.
        await destroy("kept");
        await pulumi("kept", ["destroy", "--yes"]);
        assert.deepStrictEqual(await claims(), before);

        await deploy("kept");
        await system.ready();
        assert.deepStrictEqual(await claims(), before);
        const fresh = await Promise.all(secrets.map(([secret, key]) => password(secret, key)));
        fresh.forEach((each, index) => assert.notStrictEqual(each, old[index]));
        assert.ok(await opens(fresh[0] ?? ""), "the new password does not open MySQL");
        assert.strictEqual(
            await system.sql("mysql-master-0", `SELECT money FROM form.form_user_data WHERE name = '${row}'`),
            "1",
        );
        assert.strictEqual(await system.redis("redis-master-0", "GET", row), "kept");
        await mysqlReplicates(system);
        await redisReplicates(system);
    });

    // local-path cannot expand volumes: this asserts only the request, which a capable class would carry out.
    it("requests a larger volume in place, without touching a pod, if the class allows it", async () => {
        const pods = await system.restarts();
        const before = await claims();
        await allowExpansion(true);
        try {
            await configure("kept", { "redis-slave.storage": "2Gi" });
            const output = await pulumi("kept", ["up", "--yes", "--skip-preview"]);
            assert.match(output, /PersistentVolumeClaim data-redis-slave-0 updated/);
            assert.doesNotMatch(output, /replaced/);
        } finally {
            await allowExpansion(false);
        }
        const expected = before.map((claim) =>
            claim.name === "data-redis-slave-0" ? { ...claim, asked: "2Gi" } : claim,
        );
        assert.deepStrictEqual(await claims(), expected);
        assert.deepStrictEqual(await system.restarts(), pods);
    });
});
