/** What docs/config.md promises about an accepted configuration, and the form of every refusal. */
import assert from "assert";
import * as fs from "fs";
import * as path from "path";
import { inspect } from "util";

import { quantityValue } from "../../components/quantity";
import { schema, StackConfig } from "../../config";
import { shownKey, UNSAID } from "../../config/refusal";
import { PASSWORD, Raw } from "./valid-configs";

/** Objects that have no rows of their own for what is in them. */
const WHOLES = ["list", "map of strings"];

interface Row {
    readonly path: readonly string[];
    readonly isRequired: boolean;
    /** The allowed forms, each in the words of the page. */
    readonly allowed: string[];
    readonly standard: string | undefined;
}

/** The rows of docs/config.md. A key with several forms has one row with all of them. */
const rows = new Map<string, Row>();
for (const line of fs.readFileSync(path.resolve(__dirname, "../../docs/config.md"), "utf8").split("\n")) {
    const [, bold, key, allowed, standard] =
        /^\| (\*\*)?`([^`]+)`(?:\*\*)? \| (.*?) \| (?:`(.*?)`)? \| .*\|$/.exec(line) ?? [];
    if (key !== undefined && allowed !== undefined) {
        const known = rows.get(key)?.allowed ?? [];
        rows.set(key, {
            path: key.split("."),
            isRequired: bold !== undefined,
            allowed: [...known, allowed],
            standard,
        });
    }
}
assert.ok(rows.size > 80, `docs/config.md has only ${rows.size} keys`);

function at(object: unknown, steps: readonly string[]): unknown {
    return steps.reduce((value, step) => (value as Raw | undefined)?.[step], object);
}

/** Fails unless the configuration is as docs/config.md says. */
export function keepsPromises(config: StackConfig, raw: Raw): void {
    for (const row of rows.values()) {
        const { path: steps, standard } = row;
        const [value, given] = [at(config, steps), at(raw, steps)];
        const name = steps.join(".");
        if (value === undefined) {
            const isThere = at(config, steps.slice(0, -1)) !== undefined;
            assert.ok(
                !row.isRequired || !isThere || row.allowed.length > 1 || name === "service.nodePort",
                name,
            );
            assert.strictEqual(given, undefined, `${name} was dropped`);
            continue;
        }
        assert.ok(
            row.allowed.some((allowed) => isAllowed(value, allowed)),
            // Not with String(), which calls methods of the value: a label may be named toString.
            `${name} is ${inspect(value)}`,
        );
        const isWhole = typeof value !== "object" || row.allowed.some((allowed) => WHOLES.includes(allowed));
        if (isWhole && given !== undefined) {
            assert.deepStrictEqual(value, given, `${name} was changed`);
        } else if (given === undefined && standard !== undefined) {
            assert.deepStrictEqual(value, JSON.parse(standard), `${name} has another default`);
        }
    }
    agrees(config);
}

function isAllowed(value: unknown, allowed: string): boolean {
    const words = [...allowed.matchAll(/`([^`]*)`/g)].map(([, word]) => word);
    if (words.length > 0) {
        return typeof value !== "object" && words.includes(String(value));
    }
    const [, least, most] = /^(\d+\w*) to (\d+\w*)(?:,|$)/.exec(allowed) ?? [];
    if (least === undefined || most === undefined) {
        return typeof value === (allowed === "" || WHOLES.includes(allowed) ? "object" : "string");
    }
    const isNumber = /^\d+$/.test(least) && /^\d+$/.test(most);
    if (typeof value !== (isNumber ? "number" : "string") || (isNumber && !Number.isInteger(value))) {
        return false;
    }
    const amount = quantityValue(String(value));
    return amount >= quantityValue(least) && amount <= quantityValue(most);
}

/** The rules of "Rules across keys" that protect against data loss, stated independently. */
function agrees(config: StackConfig): void {
    const bytes = (quantity: string) => quantityValue(quantity);
    for (const system of ["redis", "mysql"] as const) {
        const [master, slave] = [config[`${system}-master`], config[`${system}-slave`]];
        for (const { resources } of [master, slave]) {
            assert.ok(bytes(resources.requests.memory) <= bytes(resources.limits.memory));
            assert.ok(bytes(resources.requests.cpu) <= bytes(resources.limits.cpu));
        }
        assert.ok(slave.replicas === 0 || bytes(slave.storage) >= bytes(master.storage));
    }
    if (config.protect) {
        assert.strictEqual(config.namespace.create, false);
        assert.ok(/^https:|^http:\/\/localhost/.test(config.publicUrl), config.publicUrl);
        for (const name of ["redis-master", "mysql-master"] as const) {
            assert.notStrictEqual(config[name].storageClass ?? config.storageClass, undefined);
        }
    }
    assert.ok(config["mysql-master"].onNoReplica === "degrade" || config["mysql-slave"].replicas > 0);
}

/**
 * Fails unless a user can work with a refusal: it is bounded and has one sentence for each problem. Each sentence names a
 * setting that exists or is missing, and what to do about it. There is no secret, stack trace or error of the language.
 */
export function isClear(message: string, raw: Raw, touched?: string): void {
    const [first, ...lines] = message.split("\n");
    assert.match(
        first ?? "",
        /^Pulumi\.[a-z]+\.yaml is not valid, nothing was changed \(docs\/config\.md describes every key\):$/,
    );
    assert.ok(lines.length > 0 && lines.length <= 11, `${lines.length} lines`);
    const names = [...new Set([...Object.keys(raw), ...Object.keys(schema.shape)])].map((key) =>
        shownKey([key]),
    );
    const remedies = (schema.safeParse(raw).error?.issues ?? []).flatMap((issue) =>
        issue.code === "custom" && issue.message !== UNSAID ? [issue.message] : [],
    );
    for (const line of lines) {
        assert.ok(line.length < 600, `${line.length} characters`);
        assert.match(line, /^ {2}- (?:and \d+ more\.|dabaweb:.* (?:is|has) .*[.?])$/);
        // eslint-disable-next-line no-control-regex
        assert.doesNotMatch(line, /[\u0000-\u001f\u202e]/);
        const key = line.slice("  - dabaweb:".length);
        assert.ok(
            line.startsWith("  - and ") ||
                names.some((name) => key.startsWith(`${name}.`) || key.startsWith(`${name} `)),
            line,
        );
        assert.ok(
            /^ {2}- and |; allowed is \S| is an unknown key; \S/.test(line) ||
                remedies.some((remedy) => line.endsWith(`; ${remedy}.`)),
            `${line} has no remedy`,
        );
    }
    assert.ok(!message.includes(PASSWORD), "a password is shown");
    if (touched !== undefined) {
        assert.ok(message.includes(shownKey([touched])), `${shownKey([touched])} is not named`);
    }
}
