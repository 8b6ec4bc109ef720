/**
 * What `make test-long` runs beyond `make test`: more of the same, or what is proven in another way there already. Each is
 * in the list of docs/tests.md, with its reason; test/unit/jobs.test.ts holds that list against the tests.
 */

/** Whether this run takes its time. */
export const isLong = process.env.TEST_LONG === "yes";

/** How often something is done: so often in `make test-long`, less in `make test`. */
export function times(inTest: number, inTestLong: number): number {
    return isLong ? inTestLong : inTest;
}
