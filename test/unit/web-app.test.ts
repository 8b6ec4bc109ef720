import assert from "assert";

import { WebApp } from "../../components/web-app";

describe("a web application", () => {
    for (const [what, value, allowed] of [
        ["replicas", 0, "1 to 100"],
        ["replicas", 1.5, "1 to 100"],
        ["nodePort", 80, "30000 to 32767"],
    ] as const) {
        it(`is refused before anything is registered if ${what} is ${value}`, () => {
            const args = { namespace: "team", image: "app:1", port: 8080, replicas: 1, nodePort: 30000 };
            assert.throws(
                () => new WebApp("shop", { ...args, [what]: value }),
                new Error(`${what} of shop is ${value}; set a whole number from ${allowed}`),
            );
        });
    }
});
