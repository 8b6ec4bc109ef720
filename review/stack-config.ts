/** The part of a stack's configuration that is readable without its passphrase. */
import { parse } from "yaml";

import { SECRET } from "./graph";

/** Values by full key, for example dabaweb:registry. */
export type Config = Readonly<Record<string, unknown>>;

/**
 * The configuration of a stack file without what only its passphrase can decrypt: encrypted values look as they do in the
 * golden graphs, and the salt is left out.
 *
 * @param stackFile the text of the file.
 */
export function withoutSecrets(stackFile: string): Config {
    const { config = {} } = (parse(stackFile) ?? {}) as { config?: Config };
    return hidden(config) as Config;
}

function hidden(value: unknown): unknown {
    if (Array.isArray(value)) {
        return value.map(hidden);
    }
    if (typeof value !== "object" || value === null) {
        return value;
    }
    const entries = Object.entries(value);
    return entries.length === 1 && typeof (value as Config).secure === "string"
        ? SECRET
        : Object.fromEntries(entries.map(([key, item]) => [key, hidden(item)]));
}
