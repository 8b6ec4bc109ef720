import assert from "node:assert/strict";

import { refusalOf } from "../../local/images";

/** As Docker 20.10 to 29 write them. */
const SAID: readonly [what: string, image: string, complaints: string, answer: RegExp | undefined][] = [
    [
        "a tag that is not there",
        "mysql:9.9.9",
        "no such manifest: docker.io/library/mysql:9.9.9",
        /^Docker Hub has no image mysql:9\.9\.9; pin one that it has in local\/pins\.ts \(.*images\/\*\/Dockerfile, too\), or /,
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
        /^Docker Hub gives this machine no more images for now, redis:8\.0\.4 among them; run `docker login`, wait /,
    ],
    [
        "a login that Docker Hub wants",
        "kindest/node:v1.34.0",
        "errors:\ndenied: requested access to the resource is denied\nunauthorized: authentication required",
        /^Docker Hub does not give kindest\/node:v1\.34\.0 to whoever asks here; run `docker login` as a user who may pull it, /,
    ],
    [
        "a login that a mirror wants",
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
    ["nothing", "redis:8.0.4", "", undefined],
];

describe("local: what a registry answers when an image is asked for", () => {
    for (const [what, image, complaints, answer] of SAID) {
        it(`${what}: ${answer === undefined ? "is no refusal" : "says what to do, in one sentence"}`, () => {
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
