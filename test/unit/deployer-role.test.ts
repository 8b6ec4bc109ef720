import assert from "assert";
import * as fs from "fs";

import { parse } from "yaml";

import { allStacks, prodBehindIngress, recordedStack } from "../support/program";

interface Rule {
    readonly apiGroups: string[];
    readonly resources: string[];
    readonly verbs: string[];
}

const CHANGE = ["get", "list", "watch", "create", "update", "patch", "delete"];

const { kind, rules } = parse(fs.readFileSync("docs/deployer-role.yaml", "utf8")) as {
    kind: string;
    rules: Rule[];
};

describe("the role for deployments to one namespace (docs/deployer-role.yaml)", () => {
    it("reaches no further than that namespace", () => {
        assert.strictEqual(kind, "Role");
        assert.ok(
            rules.every(
                ({ apiGroups, resources, verbs }) => ![apiGroups, resources, verbs].flat().includes("*"),
            ),
        );
    });

    it("allows changes to every kind that the program registers, and to no other", () => {
        const registered = allStacks()
            .flatMap(recordedStack)
            .concat(prodBehindIngress())
            .map(({ type }) => /^kubernetes:([\w.]+)\/\w+:(\w+)$/.exec(type))
            .flatMap((found) => (found === null || found[2] === "Namespace" ? [] : [found]))
            .map(
                ([, group, name]) =>
                    `${group === "core" ? "" : group}/${name!.toLowerCase().replace(/ss$/, "sse")}s`,
            );
        const changeable = rules
            .filter(({ verbs }) => verbs.includes("delete"))
            .flatMap(({ apiGroups, resources, verbs }) => {
                assert.deepStrictEqual(verbs, CHANGE);
                return resources.map((resource) => `${apiGroups[0]}/${resource}`);
            });
        assert.deepStrictEqual(changeable.sort(), [...new Set(registered)].sort());
    });
});
