import * as path from "path";

/** The files of the stacks that only the tests deploy. */
export const TEST_STACKS = path.resolve(__dirname, "../stacks");

// .mocharc.json loads this file: every program that a test starts finds these stacks.
process.env.DABAWEB_STACKS ??= TEST_STACKS;
