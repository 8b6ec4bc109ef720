import assert from "assert";

import { type Engine, stepProblem, versionOf } from "../../components/versions";

const DIGEST = `@sha256:${"a".repeat(64)}`;

describe("the version of a base", () => {
    const cases: [string, ReturnType<typeof versionOf>][] = [
        [`mysql:9.7.4${DIGEST}`, [9, 7, 4]],
        ["registry.example.com:5000/hub/redis:8.0.2-trixie", [8, 0, 2]],
        ["registry.example.com/hardened/redis:8", [8, undefined, undefined]],
        [`mysql:8.4${DIGEST}`, [8, 4, undefined]],
        [`registry.example.com:5000/mysql${DIGEST}`, undefined],
        ["registry.example.com:5000/mysql", undefined],
        ["mysql:lts", undefined],
        ["dabaweb/base-mysql:7a0f77068c5b", undefined],
        ["dabaweb/base-mysql:013612345678", undefined],
    ];
    for (const [image, version] of cases) {
        it(`of ${image} is ${version?.join(".") ?? "not known"}`, () => {
            assert.deepStrictEqual(versionOf(image), version);
        });
    }
});

describe("a step of an engine", () => {
    const cases: [Engine, string, string, RegExp | undefined][] = [
        ["mysql", "mysql:9.7.4", "mysql:9.7.4", undefined],
        ["mysql", "mysql:9.7.4", "mysql:9.7.6", undefined],
        ["mysql", "mysql:9.7.6", "mysql:9.7.4", undefined],
        ["mysql", "mysql:8.4.3", "mysql:9.7.4", undefined],
        ["mysql", "mysql:8.4.3", "mysql:9.2.0", undefined],
        ["mysql", "mysql:9.2.0", "mysql:9.7.4", undefined],
        ["mysql", "mysql:9.7.4", "mysql:10.3.0", undefined],
        ["mysql", "mysql:8.0.40", "mysql:8.4.3", undefined],
        [
            "mysql",
            "mysql:8.0.40",
            "mysql:9.7.4",
            /^8\.0\.40 runs and MySQL does not .* 9\.7\.4 .*; upgrade to 8\.4 first/,
        ],
        ["mysql", "mysql:5.7.44", "mysql:9.7.4", /upgrade to 8\.0 first/],
        ["mysql", "mysql:8.4.3", "mysql:10.0.0", /upgrade to 9\.7 first/],
        ["mysql", "mysql:9.2.0", "mysql:10.0.0", /upgrade to 9\.7 first/],
        [
            "mysql",
            "mysql:9.7.4",
            "mysql:8.4.6",
            /^9\.7\.4 runs and 8\.4\.6 may not read its data; set it back to 9\.7\.4/,
        ],
        ["mysql", "mysql:9.2.1", "mysql:9.2.0", /^9\.2\.1 runs and 9\.2\.0 may not read/],
        ["redis", "redis:8.0.2", "redis:8.0.6", undefined],
        ["redis", "redis:8.0.6", "redis:8.0.2", undefined],
        ["redis", "redis:6.2.1", "redis:8.2.0", undefined],
        [
            "redis",
            "redis:8.2.0",
            "redis:8.0.6",
            /^8\.2\.0 runs and 8\.0\.6 may not read its data; set it back to 8\.2\.0/,
        ],
        ["redis", "redis:8.0", "redis:7.4.1", /^8\.0 runs/],
        ["redis", "hub.example.com/redis:8", "redis:8.0.2", undefined],
        ["redis", "hub.example.com/redis:8", "redis:7.4.2", /^8 runs/],
        ["redis", `redis${DIGEST}`, "redis:7.4.2", undefined],
    ];
    for (const [engine, from, to, problem] of cases) {
        it(`from ${from} to ${to} is ${problem === undefined ? "allowed" : "refused"}`, () => {
            const found = stepProblem(engine, from, to);
            assert.match(found ?? "", problem ?? /^$/);
        });
    }
});
