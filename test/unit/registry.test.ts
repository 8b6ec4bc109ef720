import assert from "assert";
import * as fs from "fs";
import * as os from "os";
import * as path from "path";

import { hasDockerLogin, registryAuth, repositoryProblem } from "../../components/registry";

describe("the login for a registry", () => {
    const former = process.env.DOCKER_CONFIG;
    let folder: string;
    beforeEach(() => {
        folder = fs.mkdtempSync(path.join(os.tmpdir(), "docker-config-"));
        process.env.DOCKER_CONFIG = folder;
    });
    afterEach(() => {
        fs.rmSync(folder, { recursive: true });
        if (former === undefined) {
            delete process.env.DOCKER_CONFIG;
        } else {
            process.env.DOCKER_CONFIG = former;
        }
    });

    function dockerConfig(content: unknown): void {
        fs.writeFileSync(path.join(folder, "config.json"), JSON.stringify(content));
    }

    it("is the one in the stack, whatever Docker has", () => {
        dockerConfig({ auths: { "registry.example.com": { auth: "eDp5" } } });
        const [login, ...others] = registryAuth({
            address: "registry.example.com/team",
            username: "me",
            password: "secret",
        });
        assert.deepStrictEqual(others, []);
        assert.deepStrictEqual(
            { ...login, password: undefined },
            { address: "https://registry.example.com", username: "me", password: undefined },
        );
    });

    it("is Docker's if the stack has none, even on this machine: the provider looks it up by the address", () => {
        dockerConfig({
            auths: { "https://registry.example.com/v2/": {}, "127.0.0.1:5001": { auth: "eDp5" } },
        });
        assert.deepStrictEqual(registryAuth({ address: "registry.example.com/team" }), [
            { address: "https://registry.example.com" },
        ]);
        assert.deepStrictEqual(registryAuth({ address: "127.0.0.1:5001" }), [
            { address: "http://127.0.0.1:5001" },
        ]);
    });

    it("is disabled if neither has one, so that the provider does not look for it", () => {
        for (const address of ["registry.example.com/team", "localhost:5001"]) {
            assert.deepStrictEqual(
                registryAuth({ address }).map(({ authDisabled }) => authDisabled),
                [true],
            );
        }
    });

    const found: [string, unknown, string, boolean][] = [
        [
            "in an entry whose password is elsewhere",
            { auths: { "r.example.com": {} } },
            "r.example.com/a",
            true,
        ],
        [
            "in a helper for the registry",
            { credHelpers: { "r.example.com": "gcloud" } },
            "r.example.com/a",
            true,
        ],
        ["in a cloud's store", { credsStore: "ecr-login" }, "r.example.com/a", true],
        ["in a desktop's store without an entry", { credsStore: "desktop" }, "localhost:5001", false],
        ["for another registry", { auths: { "r.example.com:5000": {} } }, "r.example.com", false],
        ["in a file without content", null, "r.example.com", false],
    ];
    for (const [what, config, address, expected] of found) {
        it(`is ${expected ? "" : "not "}found ${what}`, () => {
            dockerConfig(config);
            assert.strictEqual(hasDockerLogin(address), expected);
        });
    }

    it("is not found in a file that is not JSON", () => {
        fs.writeFileSync(path.join(folder, "config.json"), "{");
        assert.strictEqual(hasDockerLogin("r.example.com"), false);
    });
});

describe("the repositories of a stack", () => {
    const cases: [string, string, RegExp | undefined][] = [
        ["dev", "r.example.com/team", undefined],
        ["a-1.b_2--c", "localhost:5001", undefined],
        [
            "Prod",
            "r.example.com",
            /^the stack is called Prod, and .*must be lowercase letters and digits, .*; rename the stack with/,
        ],
        ["a..b", "r.example.com", /is called a\.\.b/],
        ["a___b", "r.example.com", /is called a___b/],
        ["-a", "r.example.com", /is called -a/],
        ["a.", "r.example.com", /is called a\./],
        [
            "dev",
            `r.example.com/${"a/".repeat(120)}a`,
            /begin with 253 characters .*, and 230 is the most; shorten/,
        ],
    ];
    for (const [stack, address, problem] of cases) {
        it(`${problem === undefined ? "can" : "cannot"} be named after ${stack} in ${address.slice(0, 30)}`, () => {
            const said = repositoryProblem({ address }, "dabaweb", stack);
            if (problem === undefined) {
                assert.strictEqual(said, undefined);
            } else {
                assert.match(said ?? "", problem);
            }
        });
    }
});
