import assert from "assert";
import * as fs from "fs";
import * as path from "path";

import recorded from "../../local/from-source/built-plugins.json";
import { contractOfPlugins } from "../../local/from-source/plugin-contract";
import { places } from "../../local/places";

describe("the installed Pulumi plugins", () => {
    it("still have the inputs and outputs that were recorded for the built ones", () => {
        const folder = path.join(places().pulumiHome, "plugins");
        const installed = fs.readdirSync(folder);
        const built = ["random", "docker"].map((name) => {
            const version = installed.find((each) =>
                new RegExp(`^resource-${name}-v[^.]+(\\.\\d+)+\\+built$`).test(each),
            );
            // A released plugin comes from the SDK's publisher: there is nothing to compare.
            return version === undefined ? [] : [path.join(folder, version, `pulumi-resource-${name}`)];
        });
        const contract = contractOfPlugins("pulumi", built.flat());
        const released = built.every((each) => each.length === 0);
        assert.deepStrictEqual(contract, released ? {} : recorded);
    });
});
