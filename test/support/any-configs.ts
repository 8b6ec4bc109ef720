/** Generated stack configurations of every kind: valid ones, valid ones with slips, and anything that YAML can hold. */
import fc from "fast-check";

import { schema } from "../../config";
import { character, PASSWORD, plain, Raw, validConfig } from "./valid-configs";

export interface Generated {
    readonly kind: "valid" | "slipped" | "garbage";
    readonly raw: Raw;
    /** The key that was changed, if there is only one. */
    readonly touched?: string;
}

const KEYS = Object.keys(schema.shape);

const oddText = fc.oneof(
    fc.constantFrom(
        "",
        " ",
        "null",
        "true",
        "0",
        "-1",
        "NaN",
        "__proto__",
        "../..",
        "${HOME}",
        "a\u0000b",
        "a\nb",
        "\u202e",
    ),
    fc.constantFrom("1e400", "9".repeat(400), "x".repeat(20_000), "😀", "名前", "1 Gi", "2GB", "100 %"),
    fc.string({ unit: character, maxLength: 40 }),
);

/** Anything that a stack file can hold in place of something else. */
const oddValue: fc.Arbitrary<unknown> = fc.oneof(
    fc.constantFrom(null, true, false, 0, -1, 1.5, 21, 101, 32_768, 2 ** 53, 1e21, -0, Infinity),
    fc.double({ noNaN: true }),
    oddText,
    fc.constantFrom<unknown>([], {}, [[]], [null], JSON.parse('{ "__proto__": { "replicas": 1 } }'), {
        password: PASSWORD,
    }),
    fc.jsonValue({ maxDepth: 4 }),
);

const oddKey = fc.oneof(
    fc.constantFrom(
        "__proto__",
        "constructor",
        "toString",
        "hasOwnProperty",
        "",
        ".",
        "a.b",
        "Replicas",
        "replica",
        "image",
    ),
    fc.string({ unit: character, maxLength: 20 }),
    fc.constant("k".repeat(5000)),
);

const DATASETS = ["redis-master", "redis-slave", "mysql-master", "mysql-slave"] as const;
const SLIPS = ["replace", "remove", "rename", "add", "unit", "number", "address", "secret", "pair"] as const;

interface Slip {
    readonly what: (typeof SLIPS)[number];
    /** Which of all the settings. */
    readonly where: number;
    readonly value: unknown;
    readonly key: string;
    /** Which of some small changes. */
    readonly how: number;
}

const slip: fc.Arbitrary<Slip> = fc.record({
    what: fc.constantFrom(...SLIPS),
    where: fc.nat(),
    value: oddValue,
    key: oddKey,
    how: fc.nat(),
});

const slipped: fc.Arbitrary<Generated> = fc
    .tuple(validConfig, fc.array(slip, { minLength: 1, maxLength: 3 }))
    .map(([config, slips]) => {
        const changed = structuredClone(config);
        const touched = slips.map((each) => makeSlip(changed, each));
        // A slip may leave what YAML cannot hold: a list with a key, or with a hole.
        return {
            kind: "slipped",
            raw: plain(changed),
            ...(touched.length === 1 ? { touched: touched[0] } : {}),
        };
    });

const garbage: fc.Arbitrary<Generated> = fc
    .array(fc.tuple(fc.oneof(fc.constantFrom(...KEYS), oddKey), oddValue), { maxLength: 20 })
    // Not by assignment, which would change the prototype.
    .map((entries) => ({ kind: "garbage", raw: Object.fromEntries(entries) }));

/** Configurations of every kind. */
export const anyConfig: fc.Arbitrary<Generated> = fc.oneof(
    { weight: 4, arbitrary: validConfig.map((raw) => ({ kind: "valid" as const, raw })) },
    { weight: 5, arbitrary: slipped },
    { weight: 1, arbitrary: garbage },
);

/** Changes one setting, and returns the key that it is below. */
function makeSlip(raw: Raw, { what, where, value, key, how }: Slip): string {
    const fits: Partial<Record<Slip["what"], (setting: Setting) => boolean>> = {
        unit: ({ object, name }) =>
            typeof object[name] === "string" && /^[\d.]+(m|[KMG]i)$/.test(object[name]),
        number: ({ object, name }) => typeof object[name] === "number",
        address: ({ name }) => ["publicUrl", "address", "images", "pip"].includes(name),
        secret: ({ name }) => ["registry", "address", "password"].includes(name),
    };
    const all = settings(raw);
    const fit = all.filter(fits[what] ?? (() => true));
    const chosen = fit[where % fit.length];
    if (chosen === undefined) {
        raw.kubeContext = value;
        return "kubeContext";
    }
    const { object, name, top } = chosen;
    // The next slip may be inside it, and generated values are reused.
    const own = structuredClone(value);
    switch (what) {
        case "remove":
            delete object[name];
            return top;
        case "rename": {
            const renamed = nearMiss(name, how);
            set(object, renamed, object[name]);
            delete object[name];
            return object === raw ? renamed : top;
        }
        case "add":
            set(object, key, own);
            return object === raw ? key : top;
        case "unit":
            set(object, name, unitSlip(String(object[name]), how));
            return top;
        case "number": {
            const number = Number(object[name]);
            const beyond = [21, 33, 101, 121, 29_999, 32_768, 86_401];
            set(object, name, [String(number), -number - 1, number + 0.5, `${number} `, ...beyond][how % 11]);
            return top;
        }
        case "address":
            set(object, name, ADDRESSES[how % ADDRESSES.length]);
            return top;
        case "pair": {
            const key = PAIRED_KEYS[how % PAIRED_KEYS.length]!;
            raw[key] = paired(key, raw[key], where);
            return key;
        }
        case "secret":
            set(object, name, pasted(name, how));
            return top;
        case "replace":
            set(object, name, own);
            return top;
    }
}

interface Setting {
    readonly object: Raw;
    readonly name: string;
    /** The key of the stack file that it is below. */
    readonly top: string;
}

/** Every setting, including those inside others. */
function settings(object: Raw, top?: string): Setting[] {
    return Object.entries(object).flatMap(([name, value]) => [
        { object, name, top: top ?? name },
        ...(value !== null && typeof value === "object" ? settings(value as Raw, top ?? name) : []),
    ]);
}

/** Not by assignment, which would change the prototype if the name is __proto__. */
function set(object: Raw, name: string, value: unknown): void {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

function nearMiss(name: string, how: number): string {
    const at = how % Math.max(name.length, 1);
    const misses = [
        name.slice(0, at) + name.slice(at + 1),
        name.slice(0, at) + (name[at] ?? "") + name.slice(at),
        name.toUpperCase() === name ? `${name}s` : name.toUpperCase(),
        name.includes("-") ? name.replaceAll("-", "_") : `${name}s`,
        ` ${name}`,
    ];
    return misses[how % misses.length]!;
}

const PAIRED_KEYS = [
    "protect",
    "namespace",
    "service",
    "platform",
    "storageClass",
    ...DATASETS,
    "dabacluster",
] as const;

/** A value that is allowed, but may contradict others. */
function paired(key: (typeof PAIRED_KEYS)[number], value: unknown, which: number): unknown {
    const object = value !== null && typeof value === "object" ? value : {};
    switch (key) {
        case "protect":
            return value !== true;
        case "namespace":
            return { name: which % 2 === 0 ? "default" : "team", create: true };
        case "service":
            return { type: "NodePort", nodePort: 30_000 + (which % 2768) };
        case "platform":
            return value === "linux/arm64" ? "linux/amd64" : "linux/arm64";
        case "storageClass":
            return value === undefined ? "" : undefined;
        case "dabacluster":
            return {
                ...object,
                nodeSelector: JSON.parse('{ "kubernetes.io/arch": "s390x", "__proto__": "x" }'),
            };
        case "redis-slave":
        case "mysql-slave":
            return { ...object, replicas: which % 3 };
        default:
            return { ...object, storage: "64Ti", onNoReplica: "wait" };
    }
}

/** A password in the wrong place, or with something in it that does not belong there. */
function pasted(name: string, how: number): unknown {
    if (name === "address") {
        return [`me:${PASSWORD}@example.com`, `//${PASSWORD}@example.com`][how % 2];
    }
    return [name === "registry" ? PASSWORD : `${PASSWORD}\n`, { passwd: PASSWORD }, [PASSWORD]][how % 3];
}

const ADDRESSES = [
    "http://1.2.3.999",
    "http://[:::1]",
    "https://[::1",
    "http://a..b",
    "http://localhost:99999",
    "http://localhost:0",
    "https://localhost:32000/",
    "http://exämple.com",
    "http:example.com",
    "ftp://example.com",
    "https://example.com/a?b#c",
    "Registry.example.com/Team",
    "registry.example.com/",
    "registry",
    "http://registry.example.com",
    `https://me:${PASSWORD}@example.com`,
    `//${PASSWORD}@example.com:5000/a`,
    "javascript:alert(1)",
];

function unitSlip(text: string, how: number): string {
    const amount = /^[\d.]+/.exec(text)?.[0] ?? "7";
    const units = [
        "",
        "B",
        "b",
        "MB",
        "GB",
        "Mib",
        " Gi",
        "gi",
        "m",
        "K",
        "Ei",
        "e3",
        "%",
        "Mi Mi",
        "GiB",
        "k",
        "cores",
    ];
    return `${amount}${units[how % units.length]}`;
}
