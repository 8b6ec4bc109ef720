/** How the tools and tests let Pulumi compile the program. */
import * as path from "node:path";

/**
 * Variables with which Pulumi's Node.js runtime compiles a program with swc, in half the processor time, and does not check its types:
 * `npm run types` does, and plain `pulumi` without `make env`.
 */
export const QUICKLY_COMPILED = {
    PULUMI_NODEJS_TRANSPILE_ONLY: "true",
    PULUMI_NODEJS_TSCONFIG_PATH: path.resolve(__dirname, "../tsconfig.swc.json"),
};
