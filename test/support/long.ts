/**
 * What `make test-long` runs in addition to `make test`: more of the same, or what `make test` already proves in another
 * way. Each is in the list of docs/tests.md, with its reason; test/unit/jobs.test.ts checks that list against the tests.
 */

/** Whether this is the long run. */
export const isLong = process.env.TEST_LONG === "yes";

/** How often something is done in this run: more often in `make test-long` than in `make test`. */
export function times(inTest: number, inTestLong: number): number {
    return isLong ? inTestLong : inTest;
}
