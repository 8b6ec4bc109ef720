// mocha's spec reporter, which also writes its counts, the failures and the time by kind to the file that MOCHA_COUNTS
// names, for test/run.ts.
const fs = require("fs");

const { Spec } = require("mocha").reporters;

const { spent } = require("./spent");

module.exports = class CountingSpec extends Spec {
    constructor(runner, options) {
        super(runner, options);
        runner.once("end", () => {
            const { passes, failures, pending } = runner.stats;
            if (process.env.MOCHA_COUNTS) {
                const failed = this.failures.map((test) => `${test.fullTitle()}: ${test.err.message}`);
                fs.writeFileSync(
                    process.env.MOCHA_COUNTS,
                    JSON.stringify({ passes, failures, pending, failed, spent: spent() }),
                );
            }
        });
    }
};
