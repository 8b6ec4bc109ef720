/** Removes from texts what must not be shown. The engine hides what it knows is secret; errors from providers do not always. */
import * as fs from "fs";

import { SECRET } from "./graph";

const SECRET_VARIABLE = /TOKEN|PASSWORD|PASSPHRASE|SECRET|CREDENTIAL|_KEY(_|$)/i;

/** A shorter value is not a secret worth hiding, and would occur inside many words. */
const SHORTEST = 6;

/** What credentials look like, wherever they come from. */
const PATTERNS: ReadonlyArray<readonly [RegExp, string]> = [
    [/(\w:\/\/)[^/\s@"']+@/g, `$1${SECRET}@`],
    [/\b(Basic|Bearer) +[A-Za-z0-9._~+/=-]{6,}/g, `$1 ${SECRET}`],
    [/("?(?:auth|password|token|identitytoken)"?\s*[:=]\s*)"[^"]+"/gi, `$1"${SECRET}"`],
];

/**
 * A function that hides the values of the environment's secret variables, the contents of the files that `*_FILE` variables
 * name, and the logins in URLs.
 */
export function redactor(env: NodeJS.ProcessEnv): (text: string) => string {
    const values = Object.entries(env)
        .flatMap(([name, value = ""]) => [
            ...(SECRET_VARIABLE.test(name) ? [value] : []),
            ...(SECRET_VARIABLE.test(name) && name.endsWith("_FILE") ? [contentOf(value)] : []),
            ...(/:\/\/([^/@\s]+)@/.exec(value)?.slice(1) ?? []),
        ])
        .filter((value) => value.length >= SHORTEST)
        // A value may begin with another one.
        .sort((a, b) => b.length - a.length);
    return (text) => {
        const known = values.reduce((rest, value) => rest.replaceAll(value, SECRET), text);
        return PATTERNS.reduce((rest, [pattern, to]) => rest.replace(pattern, to), known);
    };
}

function contentOf(file: string): string {
    try {
        return fs.readFileSync(file, "utf8").trim();
    } catch {
        return "";
    }
}
