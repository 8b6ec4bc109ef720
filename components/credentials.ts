import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

/**
 * A generated password: 32 characters, the longest that MySQL accepts for a replication account (error 3056). Letters and
 * digits only, because it passes through SQL, configuration files and URLs.
 */
export function generatedPassword(
    name: string,
    opts: pulumi.CustomResourceOptions,
    length = 32,
): pulumi.Output<string> {
    return new random.RandomPassword(name, { length, special: false }, opts).result;
}
