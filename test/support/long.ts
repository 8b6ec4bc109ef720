/**
 * What `make test-long` runs beyond `make test`: more of the same, or what is proven in another way there already. Each is
 * in the list of docs/tests.md, with its reason; test/unit/jobs.test.ts holds that list against the tests.
 */

/** Whether this run takes its time. */
export const isLong = process.env.TEST_LONG === "yes";

/** A test that `make test` leaves to `make test-long`, by the same arguments as mocha's `it`. */
export function itTakesLong(title: string, test: Mocha.Func | Mocha.AsyncFunc): void {
    // Not skipped: a run says what it did, and its closing line what it left.
    if (isLong) {
        it(title, test as Mocha.AsyncFunc);
    }
}

/** How often something is done: so often in `make test-long`, less in `make test`. */
export function times(inTest: number, inTestLong: number): number {
    return isLong ? inTestLong : inTest;
}
