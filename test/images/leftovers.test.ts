import { deepStrictEqual } from "node:assert";

import { removeImages } from "../../local/registry/images";
import { Repository } from "../../operations/registry-client";
import { Scope } from "../support/docker";
import { pushImage, Registries } from "../support/registries";

const registries = new Registries(new Scope("leftovers-test"));

describe("images of a stack that can no longer be destroyed", () => {
    after(() => registries.close());

    it("are removed from the registry, each one that still exists, and no others", async () => {
        const { host } = await registries.open("leftovers");
        const mine = new Repository(`${host}/dabaweb/dev/nginx`, undefined, "push");
        const promoted = new Repository(`${host}/dabaweb/prod/nginx`, undefined, "push");
        for (const [repository, tag] of [
            [mine, "first"],
            [mine, "second"],
            [promoted, "first"],
        ] as const) {
            const { digest } = await pushImage(repository.name);
            await repository.putManifest(tag, (await repository.manifest(digest))!);
        }
        const image = `${mine.name}:first`;

        await removeImages([image, `${mine.name}:never-pushed`, image, `${host}/dabaweb/dev/redis:first`]);

        const left = [mine.manifest("first"), mine.manifest("second"), promoted.manifest("first")];
        const there = (await Promise.all(left)).map((manifest) => manifest !== undefined);
        deepStrictEqual(there, [false, true, true]);
    });
});
