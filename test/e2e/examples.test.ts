import { RECOVERY_SECONDS } from "../support/system";
import { Example } from "./example";
import { freeSharedPorts } from "./shared-port";

describe("the examples", function () {
    this.timeout(4 * RECOVERY_SECONDS * 1000);

    before("free the nodePort that a killed run may hold", freeSharedPorts);

    for (const [name, namespace] of [
        ["hello-redis", "hello"],
        ["hello-mysql", "hello"],
        ["myweb", "myweb"],
        ["node-exporter", "node-exporter"],
    ] as const) {
        describe(name, () => {
            const example = new Example(name, namespace);

            before("clear what a killed run left", () => example.clear());

            after("remove it", () => example.remove());

            it("does what its README.md says, and is destroyed without a trace", async () => {
                await example.run();
                await example.isGone();
            });
        });
    }
});
