/** A failure that the user can do something about: they need to see only its message. */
export class Refusal extends Error {}

/**
 * Reports how a command ended: a refusal with its sentence, any other error with its stack trace, because that one is our fault.
 * Both set the exit code to 1.
 *
 * @param ended what the command's main function returned.
 */
export function reportFailure(ended: Promise<unknown>): void {
    ended.catch((error: unknown) => {
        console.error(error instanceof Refusal ? error.message : error);
        process.exitCode = 1;
    });
}
