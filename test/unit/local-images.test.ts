import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { gzipSync } from "node:zlib";

import { askedName } from "../../components/bases";
import { mirrored, namesOf } from "../../local/engine/images";
import { broughtImages } from "../../local/environment/down";
import { cannotBuildGo } from "../../local/from-source/programs";
import { refusalOf } from "../../local/images/registry-answers";
import { names } from "../../local/places";
import { refuseOtherClusters } from "../../local/state/lost-stacks";

/** Complaints as Docker 20.10 to 29 print them. */
const SAID: readonly [what: string, image: string, complaints: string, answer: RegExp | undefined][] = [
    [
        "a tag that does not exist",
        "mysql:9.9.9",
        "no such manifest: docker.io/library/mysql:9.9.9",
        /^Docker Hub has no image mysql:9\.9\.9; pin one that it has with `make pins-move`, or name another registry in DABAWEB_IMAGES\.$/,
    ],
    [
        "a tag that is gone when it is pulled",
        "mirror.example:5000/library/redis:8.0.4",
        "Error response from daemon: manifest for mirror.example:5000/library/redis:8.0.4 not found: manifest unknown: manifest unknown",
        /^mirror\.example:5000 has no image mirror\.example:5000\/library\/redis:8\.0\.4; pin /,
    ],
    [
        "Docker Hub's limit",
        "redis:8.0.4",
        "toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit",
        /^Docker Hub sends this machine no more images for now, so redis:8\.0\.4 cannot be pulled; run `docker login`, wait /,
    ],
    [
        "a login that Docker Hub requires",
        "kindest/node:v1.34.0",
        "errors:\ndenied: requested access to the resource is denied\nunauthorized: authentication required",
        /^Docker Hub does not let you pull kindest\/node:v1\.34\.0; run `docker login` as a user who may pull it, /,
    ],
    [
        "a login that a mirror requires",
        "mirror.example/library/redis:8.0.4",
        'Error response from daemon: Head "https://mirror.example/v2/library/redis/manifests/8.0.4": no basic auth credentials',
        /; run `docker login mirror\.example` as a user who may pull it, /,
    ],
    [
        "a registry that cannot be reached",
        "redis:8.0.4",
        "dial tcp: lookup registry-1.docker.io: no such host",
        undefined,
    ],
    [
        "an image that is gone, from an engine with containerd's store",
        "redis:8.0.4",
        'Error response from daemon: failed to resolve reference "docker.io/library/redis@sha256:0": docker.io/library/redis@sha256:0: not found',
        /^Docker Hub has no image redis:8\.0\.4; /,
    ],
    ["nothing", "redis:8.0.4", "", undefined],
];

describe("local: a registry's answer to a request for an image", () => {
    for (const [what, image, complaints, answer] of SAID) {
        it(`${what}: ${answer === undefined ? "is not a refusal" : "says what to do, in one sentence"}`, () => {
            const told = refusalOf(image, complaints);
            if (answer === undefined) {
                assert.equal(told, undefined);
            } else {
                assert.match(told ?? "", answer);
                assert.match(told ?? "", /^[^\n]+\.$/);
            }
        });
    }
});

const DIGEST = `sha256:${"d".repeat(64)}`;
const PINNED = `redis:8.2.10@${DIGEST}`;

describe("local: the name of a pinned image", () => {
    const { DABAWEB_IMAGES } = process.env;
    before("forget the user's mirror", () => delete process.env.DABAWEB_IMAGES);
    after("remember it", () => {
        if (DABAWEB_IMAGES !== undefined) {
            process.env.DABAWEB_IMAGES = DABAWEB_IMAGES;
        }
    });

    it("has only the digest in a request, because the tag may have moved", () => {
        assert.equal(askedName(PINNED), `redis@${DIGEST}`);
        assert.equal(askedName(`host:5000/a/b:1@${DIGEST}`), `host:5000/a/b@${DIGEST}`);
        assert.equal(askedName("host:5000/a/b:1"), "host:5000/a/b:1");
    });

    it("is first the one in use, and never that of another pin", () => {
        const used = `mirror.example/library/${PINNED}`;
        assert.deepEqual(namesOf(PINNED), [PINNED]);
        assert.deepEqual(namesOf(PINNED, used), [used, PINNED]);
        assert.deepEqual(namesOf(PINNED, used.replaceAll("d", "e")), [PINNED]);
        assert.equal(mirrored(PINNED, "mirror.example"), used);
    });
});

describe("local: what is removed with the environment", () => {
    const there = [
        "mysql:9.7.2",
        "redis:8.2.10",
        "dabaweb/base-redis:0",
        "localhost:5001/dabaweb/dev/nginx:1",
    ];
    const made = there.slice(2);

    it("includes the images that came with it, under the names that they got, for this pin and earlier ones", () => {
        const parts = [
            { part: "redis:8.2.10", version: "8.2.10", origin: "release", images: [PINNED, "redis:8.2.10"] },
            { part: "mysql:9.7.1", version: "9.7.1", origin: "stand-in" },
            { part: "pulumi", version: "3.259.0", origin: "release" },
        ] as const;
        assert.deepEqual(broughtImages(there, parts), [...made, PINNED, "redis:8.2.10", "mysql:9.7.1"]);
    });

    it("includes neither images that were there before nor unknown ones", () => {
        const found = { part: "mysql:9.7.2", version: "9.7.2", origin: "found" } as const;
        assert.deepEqual(broughtImages(there, [found]), made);
        assert.deepEqual(broughtImages(there, []), made);
    });
});

describe("local: removing the environment", () => {
    let backend: string;
    beforeEach(() => (backend = fs.mkdtempSync(path.join(os.tmpdir(), "backend-"))));
    afterEach(() => fs.rmSync(backend, { recursive: true }));

    /** Writes the state of a stack as Pulumi's file backend does. */
    function write(name: string, ...contexts: readonly (string | undefined)[]): void {
        const resources = contexts.map((context) => ({
            type: "pulumi:providers:kubernetes",
            inputs: { context },
        }));
        const latest = resources.length > 0 ? { resources } : {};
        const text = JSON.stringify({ version: 3, checkpoint: { latest } });
        const file = path.join(backend, ".pulumi/stacks", name);
        fs.mkdirSync(path.dirname(file), { recursive: true });
        fs.writeFileSync(file, name.endsWith(".gz") ? gzipSync(text) : text);
    }

    it("is refused while a stack is on another cluster, with the stack and its state by name", () => {
        write("dabaweb/dev.json", names.context);
        for (const [name, context] of [
            ["prod.json", "team"],
            ["prod.json.gz", "team"],
            ["prod.json", undefined],
        ] as const) {
            write(`dabaweb/${name}`, names.context, context);
            assert.throws(() => refuseOtherClusters(backend), {
                message: new RegExp(
                    `^Stack prod of dabaweb is deployed to the cluster of context ${context ?? "\\(the current"}.* only state is in .*/${name}; destroy`,
                ),
            });
            fs.rmSync(path.join(backend, ".pulumi/stacks/dabaweb", name));
        }
    });

    it("is not refused without stacks, or with local, destroyed and unreadable ones", () => {
        refuseOtherClusters(backend);
        write("dabaweb/dev.json", names.context);
        write("key-value/gone.json");
        fs.writeFileSync(path.join(backend, ".pulumi/stacks/dabaweb/broken.json"), "");
        refuseOtherClusters(backend);
    });
});

describe("local: where Go tools can be built", () => {
    const facts = { os: "linux", go: true, debianRoot: false };

    it("is Linux with a Go, or where root can install one", () => {
        assert.equal(cannotBuildGo(facts), undefined);
        assert.equal(cannotBuildGo({ ...facts, go: false, debianRoot: true }), undefined);
    });

    it("is nowhere else, and the reason is given", () => {
        assert.match(
            cannotBuildGo({ ...facts, go: false }) ?? "",
            /no Go on PATH, and it can only be installed as root on Debian/,
        );
        assert.match(cannotBuildGo({ ...facts, os: "darwin" }) ?? "", /this is darwin/);
    });
});
