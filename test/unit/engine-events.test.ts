import assert from "assert";
import * as fs from "fs";
import * as path from "path";

import { readEvents } from "../../review/engine-events";
import { report } from "../../review/report";

/**
 * Event logs of `pulumi preview` 3.259.0 with the kubernetes plugin 4.25.0, without the debug messages and the
 * contents of the outputs. In dev, a Redis slave is removed and a web pod is added. In prod, the storage class changes,
 * and the volumes are protected. In both, the passwords are new, too.
 */
function recorded(stack: string): string {
    return fs.readFileSync(path.join(__dirname, "recorded", `preview-events-${stack}.jsonl`), "utf8");
}

describe("the events of a preview", () => {
    for (const stack of ["dev", "prod"]) {
        it(`of ${stack} are counted as the engine counts them`, () => {
            const summary = recorded(stack)
                .split("\n")
                .filter((line) => line.includes('"summaryEvent"'))
                .map((line) => JSON.parse(line) as { summaryEvent: { resourceChanges: object } });
            const none = { create: 0, update: 0, replace: 0, delete: 0, same: 0 };
            assert.deepStrictEqual(readEvents(stack, recorded(stack)).comparison.counts, {
                ...none,
                ...summary[0]?.summaryEvent.resourceChanges,
            });
        });
    }

    it("report each change once, the dangers first", () => {
        const { changes } = readEvents("dev", recorded("dev")).comparison;
        assert.deepStrictEqual(
            changes.map(({ action, name, danger }) => `${action}${danger ? "!" : ""} ${name}`),
            [
                "replace! dabacluster-credentials",
                "delete! data-redis-slave-0",
                "update dabacluster",
                "replace dabacluster-migrate",
                "create dabacluster",
                "update mysql-credentials",
                "update redis-slave",
                "replace redis-initialised",
                "update redis-credentials",
                "update kubernetes",
            ],
        );
    });

    it("report what differs and why it is not changed in place", () => {
        const { changes } = readEvents("prod", recorded("prod")).comparison;
        const volume = changes.find(({ name }) => name === "data-mysql-master-0");
        assert.deepStrictEqual(volume?.properties, [
            { path: "spec.storageClassName", before: "retained", after: "standard" },
        ]);
        assert.deepStrictEqual(volume.causes, [
            { reason: "spec.storageClassName cannot be changed in place" },
        ]);
        assert.ok(volume.danger && volume.protected && volume.retained);
    });

    it("show neither a secret nor that one is unknown", () => {
        const text = report(readEvents("dev", recorded("dev")).comparison);
        assert.match(text, /Secret mysql-credentials\n\s+stringData: "\[secret\]" -> "\[secret\]"/);
        assert.ok(!/ciphertext|4dabf18193072939515e22adb298388d/.test(text), text);
    });

    it("name what the program registers, but not what is deleted or what only the engine has", () => {
        const { resources } = readEvents("dev", recorded("dev"));
        assert.ok(resources.includes("kubernetes:policy/v1:PodDisruptionBudget dabacluster"));
        assert.ok(!resources.some((each) => /data-redis-slave-0|default_|StackReference/.test(each)));
    });

    it("contain each warning and error once, but not that the preview failed", () => {
        const { warnings, errors } = readEvents("prod", recorded("prod"));
        assert.strictEqual(warnings.length, 1);
        assert.match(
            warnings[0] ?? "",
            /^not checked: the cluster of context kind-dabaweb .* does not answer/,
        );
        assert.strictEqual(errors.length, 6);
        errors.forEach((error) => assert.match(error, /^unable to replace resource .*\nas it is currently/));
    });

    it("are read as far as they go if the run was killed in the middle of a line", () => {
        const [first = "", second = ""] = recorded("dev").split("\n");
        const { counts } = readEvents("dev", `${first}\n${second.slice(0, 100)}`).comparison;
        assert.strictEqual(counts.same, 1);
    });

    it("report what a mandatory policy refuses", () => {
        const policy = (enforcementLevel: string) =>
            JSON.stringify({
                policyEvent: { policyName: "no-root", message: "runs as root\n", enforcementLevel },
            });
        const { errors } = readEvents("dev", [policy("mandatory"), policy("advisory")].join("\n"));
        assert.deepStrictEqual(errors, ["no-root: runs as root"]);
    });

    it("show values that are not known yet as such", () => {
        const state = (digest: string) => ({ inputs: { images: [{ digest }] } });
        const step = {
            op: "update",
            urn: "urn:pulumi:s::p::t::n",
            type: "t",
            old: state("sha256:a"),
            new: state("04da6b54-80e4-46f7-96ec-b56ff0331ba9"),
            detailedDiff: { "images[0].digest": { diffKind: "update" } },
        };
        const { changes } = readEvents(
            "s",
            JSON.stringify({ resourcePreEvent: { metadata: step } }),
        ).comparison;
        assert.deepStrictEqual(changes[0]?.properties, [
            { path: "images[0].digest", before: "sha256:a", after: "[known after the update]" },
        ]);
    });
});
