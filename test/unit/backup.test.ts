import assert from "node:assert/strict";
import * as fs from "node:fs";
import { withRestore } from "../../local/stacks/restore";
import { resolve } from "node:path";

import { parse } from "yaml";

import { names, ports } from "../../local/places";
import { localStore } from "../../local/store/store";
import { listing, renderBases } from "../../operations/backup";
import { at, ofType, recordedChange, type Recorded } from "../support/program";
import { callFunction, declaredIn } from "../support/shell-functions";

const functions = resolve(__dirname, "../../images/mysql-backup/decide-backup.sh");

const call = (name: string, input: readonly string[], ...args: string[]): string => {
    const text = input.map((line) => `${line}\n`).join("");
    const { code, stdout, stderr } = callFunction(functions, name, args, text);
    assert.equal(code, 0, stderr);
    return stdout.trim();
};

const [OLD, MIDDLE, NEW] = ["20260101T000000Z", "20260201T000000Z", "20260301T000000Z"] as const;
const complete = (...bases: string[]) => bases.flatMap((base) => [`${base}.manifest`, `${base}.tar.zst`]);

describe("backup decisions", () => {
    it("are tested in this file, each of them", () => {
        assert.deepEqual(declaredIn(functions).sort(), [
            "decide_archived",
            "decide_base",
            "decide_complete",
            "decide_contains",
            "decide_due",
            "decide_owner",
            "decide_retired",
            "decide_retired_log",
            "decide_store_problem",
            "microseconds",
            "seconds_of",
            "spelled",
        ]);
    });

    it("count a base only with both its data and its manifest, the oldest first", () => {
        const files = [...complete(NEW, OLD), `${MIDDLE}.tar.zst`, "20260401T000000Z.manifest", "notes.txt"];
        assert.equal(call("decide_complete", files), `${OLD}\n${NEW}`);
        assert.equal(call("decide_complete", []), "");
    });

    const retired: [what: string, files: string[], cutoff: string, deleted: string[]][] = [
        ["nothing is old", complete(OLD, NEW), OLD, []],
        ["a base is old: its manifest first", complete(OLD, NEW), MIDDLE, complete(OLD)],
        [
            "all are old: the newest stays",
            complete(OLD, MIDDLE, NEW),
            "20270101T000000Z",
            complete(OLD, MIDDLE),
        ],
        ["an old one is incomplete", [`${OLD}.tar.zst`, ...complete(NEW)], MIDDLE, [`${OLD}.tar.zst`]],
        [
            "a run after the newest complete one goes on",
            [...complete(OLD), `${NEW}.tar.zst`],
            "20270101T000000Z",
            [],
        ],
        ["none is complete", [`${OLD}.tar.zst`, `${NEW}.tar.zst`], "20270101T000000Z", []],
        [
            "the newest that is proven is old, too: it stays",
            [...complete(OLD, MIDDLE, NEW), `${OLD}.proven`, `${MIDDLE}.proven`],
            "20270101T000000Z",
            [`${OLD}.manifest`, `${OLD}.proven`, `${OLD}.tar.zst`],
        ],
        ["there is something else", ["20250101.txt", "owner", ...complete(NEW)], MIDDLE, []],
    ];
    for (const [what, files, cutoff, deleted] of retired) {
        it(`delete ${deleted.length === 0 ? "nothing" : deleted.join(", ")} if ${what}`, () => {
            assert.equal(call("decide_retired", files, cutoff), deleted.join("\n"));
        });
    }

    it("are due without a base, and after a gap that none follows", () => {
        assert.match(call("decide_due", [], "", ""), /no base yet/);
        assert.match(call("decide_due", [], "", NEW), /no base yet/);
        // The segment with the gap may have begun before the base.
        assert.match(call("decide_due", [], MIDDLE, OLD), new RegExp(`gap at ${OLD}`));
        assert.equal(call("decide_due", [], OLD, ""), "");
    });

    it("delete the log before a time, but never the newest segment", () => {
        const log = [`${OLD}.tar.zst`, `${OLD}.gap`, `${MIDDLE}.tar.zst`, "notes.txt"];
        assert.equal(call("decide_retired_log", log, OLD), "");
        assert.equal(call("decide_retired_log", log, MIDDLE), `${OLD}.gap\n${OLD}.tar.zst`);
        assert.equal(call("decide_retired_log", log, NEW), `${OLD}.gap\n${OLD}.tar.zst`);
        assert.equal(call("decide_retired_log", [], NEW), "");
    });

    it("restore the newest base of all histories, or the one that is named", () => {
        const bases = [`${NEW} one`, `${OLD} two`, `${MIDDLE} one`];
        assert.equal(call("decide_base", bases, "latest"), `${NEW} one`);
        assert.equal(call("decide_base", bases, OLD), `${OLD} two`);
        assert.match(
            call("decide_base", bases, "20200101T000000Z"),
            new RegExp(
                `^none .*no complete base 20200101T000000Z: the oldest is ${OLD}, the newest ${NEW}; set `,
            ),
        );
        assert.equal(call("decide_base", [], "latest"), "none the store has no complete base");
    });

    it("restore the newest base before a time, if the log after it is wanted until then", () => {
        const bases = [`${NEW} one`, `${OLD} two`, `${MIDDLE} one`];
        assert.equal(call("decide_base", bases, "latest", "20260215T000000Z"), `${MIDDLE} one`);
        assert.equal(call("decide_base", bases, "latest", MIDDLE), `${MIDDLE} one`);
        assert.equal(call("decide_base", bases, OLD, "20260215T000000Z"), `${OLD} two`);
        assert.match(
            call("decide_base", bases, "latest", "20250101T000000Z"),
            new RegExp(`^none the oldest base, ${OLD}, is later than restore.at: set it to a time after`),
        );
    });

    const [A, B] = ["3e11fa47-71ca-11e1-9e33-c80aa9429562", "5f22ab58-71ca-11e1-9e33-c80aa9429562"];
    const contained: [set: string, gtid: string, answer: "yes" | "no"][] = [
        [`${A}:1-5`, `${A}:5`, "yes"],
        [`${A}:1-5`, `${A}:6`, "no"],
        [`${A}:1-5:8:10-12`, `${A}:8`, "yes"],
        [`${A}:1-5:8:10-12`, `${A}:9`, "no"],
        [`${A}:1-5,${B}:7`, `${B}:7`, "yes"],
        [`${A}:1-5,${B}:7`, `${B}:5`, "no"],
        [`${A}:1-5, ${B}:7`, `${B}:7`, "yes"],
        ["", `${A}:1`, "no"],
    ];
    for (const [set, gtid, answer] of contained) {
        it(`find ${gtid.slice(-2)} ${answer === "yes" ? "in" : "not in"} "${set}"`, () => {
            assert.equal(call("decide_contains", [], set, gtid), answer);
        });
    }

    it("read a time to the microsecond, and spell it in the same way", () => {
        for (const [text, value] of [
            ["2026-01-02T03:04:05Z", "1767323045000000"],
            ["2026-01-02T03:04:05.5Z", "1767323045500000"],
            ["2026-01-02T03:04:05.000009Z", "1767323045000009"],
        ] as const) {
            assert.equal(call("microseconds", [], text), value);
            assert.equal(Date.parse(text), Math.floor(Number(value) / 1000));
            assert.equal(
                call("spelled", [], value),
                text.replace(/(?:\.(\d+))?Z$/, (_, digits: string = "") => `.${digits.padEnd(6, "0")}Z`),
            );
        }
        assert.equal(call("seconds_of", [], "20260102T030405Z"), "1767323045");
    });

    it("call the archive late when the store lacks more than a minute", () => {
        const { code, stdout } = callFunction(functions, "decide_archived", [
            "1000",
            "930",
            "the store is full",
        ]);
        assert.equal(code, 1);
        assert.equal(stdout.trim(), "the store lacks what was written in the last 70 s: the store is full");
        assert.equal(callFunction(functions, "decide_archived", ["1000", "941", "not yet"]).code, 0);
        assert.match(callFunction(functions, "decide_archived", ["1000", "", ""]).stdout, /has not begun/);
    });

    it("leave a place to the stack that has it", () => {
        assert.equal(call("decide_owner", [], "dabaweb/prod", ""), "take");
        assert.equal(call("decide_owner", [], "dabaweb/prod", "dabaweb/prod"), "own");
        assert.match(
            call("decide_owner", [], "dabaweb/dev", "dabaweb/prod"),
            /^refused .*dabaweb\/prod, .*prefix/,
        );
    });

    // As rclone 1.75.1 prints them.
    const problems: [printed: string, words: RegExp][] = [
        [
            "api error InvalidAccessKeyId: The Access Key Id you provided does not exist",
            /refuses the keys: correct/,
        ],
        [
            "https response error StatusCode: 403, RequestID: x, api error SignatureDoesNotMatch",
            /refuses the keys/,
        ],
        [
            "https response error StatusCode: 403, api error AccessDenied: Access Denied",
            /does not allow it: grant/,
        ],
        ["api error NoSuchBucket: The specified bucket does not exist", /no such bucket: create it/],
        ["not an encrypted file - bad magic string", /encrypted with another password, or changed since/],
        ["failed to authenticate decrypted block - bad password?", /encrypted with another password/],
        ["dial tcp: lookup s3.example.com: no such host", /does not answer: check backup\.store\.endpoint/],
        ["dial tcp 10.0.0.1:9000: connect: connection refused", /does not answer/],
        ["https response error StatusCode: 0, RequestID: , request send failed", /does not answer/],
        [
            "api error XMinioStorageFull: Storage backend has reached its minimum free drive",
            /is full: make room/,
        ],
        [
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            /is not trusted/,
        ],
        ["object not found", /does not have it/],
        ["something new", /^rclone failed$/],
    ];
    for (const [printed, words] of problems) {
        it(`say in words what "${printed}" means`, () => {
            assert.match(call("decide_store_problem", [`NOTICE: something`, `ERROR : ${printed}`]), words);
        });
    }
});

const CRON_JOB = "kubernetes:batch/v1:CronJob";
const STORE = 'store: { endpoint: "http://store:9000", bucket: backups, accessKey: me, secretKey: hush }';
const withKeys =
    (...lines: string[]) =>
    (dev: string) =>
        `${dev.trimEnd()}\n${lines.map((line) => `  dabaweb:${line}\n`).join("")}`;

describe("a stack with backups", () => {
    let recorded: readonly Recorded[];
    before(() => (recorded = recordedChange("dev", withKeys(`backup: { ${STORE} }`))));

    it("has two CronJobs, an archive, a password and two Secrets more than one without, and differs in nothing else", () => {
        const without = recordedChange("dev", (dev) => `${dev}\n`);
        const known = new Map(without.map((each) => [each.urn, JSON.stringify(each)]));
        const other = recorded.filter((each) => known.get(each.urn) !== JSON.stringify(each));
        assert.deepEqual(other.map(({ type, name }) => `${type.split(":").at(-1)} ${name}`).sort(), [
            "BackupStore backup",
            "CronJob mysql-base",
            "CronJob mysql-base-due",
            "MySQLArchive mysql-archive",
            "MySQLBases mysql-base",
            "PersistentVolumeClaim data-mysql-archive-0",
            "RandomPassword backup-encryption",
            "Secret backup-encryption",
            "Secret backup-store",
            "StatefulSet mysql-archive",
        ]);
        assert.equal(recorded.length, without.length + 10);
    });

    it("keeps the store's keys from the container that has passwords of MySQL, and the reverse", () => {
        const archive = ofType(recorded, "kubernetes:apps/v1:StatefulSet").get("mysql-archive");
        const mounts = at<{ name: string; volumeMounts: { mountPath: string }[] }[]>(
            archive,
            "spec.template.spec.containers",
        ).map(({ name, volumeMounts }) => [
            name,
            volumeMounts.map(({ mountPath }) => mountPath).filter((each) => each.startsWith("/run/secrets")),
        ]);
        assert.deepEqual(mounts, [
            ["receive", ["/run/secrets/mysql"]],
            ["ship", ["/run/secrets/store", "/run/secrets/encryption"]],
        ]);
    });

    it("mounts of MySQL's passwords only the one of the account that may clone", () => {
        const job = ofType(recorded, CRON_JOB).get("mysql-base");
        const volumes = at<{ name: string; secret?: object }[]>(
            job,
            "spec.jobTemplate.spec.template.spec.volumes",
        );
        assert.deepEqual(volumes.find(({ name }) => name === "credentials")?.secret, {
            secretName: "mysql-credentials",
            defaultMode: 0o440,
            items: [{ key: "seed", path: "seed" }],
        });
    });

    it("gives the master an init container that restores, before everything else, only with the key", () => {
        const masterOf = (all: readonly Recorded[]) =>
            ofType(all, "kubernetes:apps/v1:StatefulSet").get("mysql-master");
        assert.equal(at(masterOf(recorded), "spec.template.spec.initContainers"), undefined);
        const restoring = recordedChange(
            "dev",
            withKeys(
                `backup: { ${STORE} }`,
                "restore: { base: latest, prefix: dabaweb/prod, encryptionPassword: theirs }",
            ),
        );
        const [first] = at<
            {
                name: string;
                env: { name: string; value?: string }[];
                volumeMounts: { name: string; mountPath: string }[];
            }[]
        >(masterOf(restoring), "spec.template.spec.initContainers");
        assert.equal(first?.name, "restore");
        const env = Object.fromEntries(first.env.map(({ name, value }) => [name, value]));
        assert.equal(env.STORE_PREFIX, "dabaweb/prod");
        assert.equal(env.RESTORE_BASE, "latest");
        // Without it, a volume that is lost later would be filled from an old base.
        assert.ok(first.volumeMounts.some(({ mountPath }) => mountPath === "/run/initialised"));
        const job = ofType(restoring, CRON_JOB).get("mysql-base");
        const own = at<{ env: { name: string; value?: string }[] }[]>(
            job,
            "spec.jobTemplate.spec.template.spec.containers",
        );
        assert.equal(own[0]?.env.find(({ name }) => name === "STORE_PREFIX")?.value, "dabaweb/dev");
    });
});

describe("the local store", () => {
    it("is what the commented line of Pulumi.dev.yaml names, and what the tests use", () => {
        const [dev, tests] = ["Pulumi.dev.yaml", "test/stacks/Pulumi.backup.yaml"].map((file) =>
            fs.readFileSync(file, "utf8"),
        ) as [string, string];
        for (const text of [dev.replace(/^( *)# (?=dabaweb:backup:)/m, "$1"), tests]) {
            const { config } = parse(text) as { config: Record<string, unknown> };
            const endpoint = `http://${names.store}:${ports.store}`;
            assert.deepEqual(config["dabaweb:backup"], { store: { endpoint, ...localStore } });
        }
    });
});

describe("the list of bases", () => {
    it("has a line for each, the newest last", () => {
        const manifest = (base: string) =>
            `version: 1\nbase: ${base}\nidentity: one\ngtid: uuid:1-5\nmysql: 9.7.2\nfrom: mysql-slave-0\nbytes: 200000000\n` +
            `packed: 2500000\nsha256: x\nseconds: 41\n`;
        const lines = renderBases(`${manifest(NEW)}\n${manifest(OLD)}\n`).split("\n");
        assert.match(lines[0]!, /^base +MB +packed +seconds +mysql +copy of +history +proven +up to$/);
        assert.match(
            lines[1]!,
            new RegExp(`^${OLD} +200 +2\\.5 +41 +9\\.7\\.2 +mysql-slave-0 +one +no +uuid:1-5$`),
        );
        assert.match(lines[2]!, new RegExp(`^${NEW} `));
        assert.equal(lines.length, 3);
        assert.match(renderBases(""), /no bases yet, so nothing can be restored; `make backup` takes one/);
    });

    it("says between which times each history can be restored", () => {
        const base = `base: ${NEW}\nidentity: one\nbytes: 1\npacked: 1\n`;
        const log = (identity: string, gaps: string) =>
            `log: ${identity}\nbegin: ${OLD}\nend: 2026-06-01T02:03:04.000005Z\nuntil: uuid:1-9\ngaps: ${gaps}\n`;
        const printed = renderBases(`${base}\n${log("one", "20260301T010203Z")}\n${log("two", "none")}\n`);
        const [header, ...rows] = printed.split("\n\n")[1]!.split("\n");
        assert.match(header!, /^history +restorable from +to its last write +gaps, until the next base$/);
        const time = NEW.replace(/^(....)(..)(.....)(..)/, "$1-$2-$3:$4:");
        assert.match(
            rows[0]!,
            new RegExp(`^one +${time} +2026-06-01T02:03:04\\.000005Z +2026-03-01T01:02:03Z$`),
        );
        assert.match(rows[1]!, /^two +no base yet +2026-06-01T02:03:04\.000005Z +none$/);
        assert.equal(rows.length, 2);
    });

    it("is asked for by the same pod without a volume for data", () => {
        const template = {
            spec: {
                template: {
                    spec: {
                        containers: [{ name: "base" }] as const,
                        volumes: [{ name: "data", ephemeral: {} }, { name: "store" }],
                    },
                },
            },
        };
        assert.deepEqual(listing(template).spec.template.spec, {
            containers: [{ name: "base", command: ["/opt/dabaweb/bin/list"] }],
            volumes: [{ name: "data", emptyDir: {} }, { name: "store" }],
        });
    });
});

describe("make restore", () => {
    const none = { AT: "", GTID: "", BASE: "", UNDO: "" };
    const FILE = "# ours\nconfig:\n  dabaweb:namespace: { name: shop } # the shop's\n";

    it("writes one point with a new word, and leaves everything else as it is", () => {
        const text = withRestore(FILE, { ...none, AT: "latest" }, "one");
        assert.equal(text, `${FILE}  dabaweb:restore:\n    at: latest\n    word: one\n`);
        const again = withRestore(text, { ...none, UNDO: "1" }, "two");
        assert.equal(again, `${FILE}  dabaweb:restore:\n    word: two\n    undo: true\n`);
    });

    it("keeps whose backups they are, and the password as it is encrypted", () => {
        const from = "    prefix: dabaweb/prod\n    encryptionPassword:\n      secure: v1:abc\n";
        const text = withRestore(
            `${FILE}  dabaweb:restore:\n    at: latest\n${from}`,
            { ...none, BASE: "latest", GTID: "uuid:1" },
            "one",
        );
        assert.equal(
            text,
            `${FILE}  dabaweb:restore:\n${from}    gtid: uuid:1\n    base: latest\n    word: one\n`,
        );
    });

    for (const [given, said] of [
        [none, /^Error: Nothing says what to restore; set AT to latest/],
        [{ ...none, AT: "latest", GTID: "uuid:1" }, /^Error: AT and GTID are set/],
        [{ ...none, UNDO: "1", BASE: "latest" }, /^Error: UNDO and BASE are set/],
    ] as const) {
        it(`refuses ${JSON.stringify(given)}`, () => {
            assert.throws(() => withRestore(FILE, given, "one"), said);
        });
    }
});
