/** Generated stack configurations that must be accepted. */
import fc from "fast-check";

/** Values by key, as the parser gets them. */
export type Raw = Record<string, unknown>;

/** Part of every generated password; it must not appear anywhere. */
export const PASSWORD = "hush-Passw0rd";

// Not from a pattern: that takes fast-check a hundred times longer.
const label = fc.nat({ max: 36 ** 5 }).map((number) => number.toString(36).replace(/(.)y(.)/, "$1-$2"));
const dotted = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join("."));
/** Any character at all, including halves of surrogate pairs. */
export const character = fc.oneof(
    fc.nat({ max: 0x24f }).map((code) => String.fromCharCode(code)),
    fc.nat({ max: 0x10ffff }).map((code) => String.fromCodePoint(code)),
);
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 });
const between = (min: number, max: number) => fc.integer({ min, max });

/** Requests and limits, with a memory limit of at least so many MiB. */
function resources(leastMemory: fc.Arbitrary<number>) {
    return fc
        .record({
            cpu: between(1, 8000),
            memory: leastMemory,
            share: fc.double({ min: 0.02, max: 1, noNaN: true }),
        })
        .map(({ cpu, memory, share }) => ({
            requests: { cpu: `${Math.ceil(cpu * share)}m`, memory: `${Math.ceil(memory * share)}Mi` },
            limits: { cpu: cpu % 1000 === 0 ? String(cpu / 1000) : `${cpu}m`, memory: `${memory}Mi` },
        }));
}

/** A field of a cron expression: every value, one of two names, or a range with a step. */
const cronField = (least: number, most: number, ...names: string[]) =>
    fc.oneof(
        fc.constantFrom("*", "*/7", String(most), ...names),
        fc
            .tuple(between(least, most), between(least, most), between(1, 99))
            .map(([a, b, step]) => `${Math.min(a, b)}-${Math.max(a, b)}/${step},${a}`),
    );
const cronSchedule = fc
    .tuple(
        cronField(0, 59),
        cronField(0, 23),
        cronField(1, 31),
        cronField(1, 12, "jan", "Feb-DEC"),
        cronField(0, 6, "sun", "Mon-FRI/2"),
    )
    .map((fields) => fields.join(" "));

const toleration = fc.oneof(
    fc.record({ key: dotted, operator: fc.constant("Exists"), effect: fc.constant("NoSchedule") }),
    fc.record({
        key: dotted,
        value: label,
        effect: fc.constant("NoExecute"),
        tolerationSeconds: between(0, 3600),
    }),
    fc.constant({ operator: "Exists" }),
);

function placement(arch: string) {
    return {
        nodeSelector: optional(
            fc.oneof(
                fc.dictionary(dotted, label, { maxKeys: 3 }),
                fc.constant({ "kubernetes.io/arch": arch }),
            ),
        ),
        podAnnotations: optional(fc.dictionary(dotted, label, { maxKeys: 3 })),
        tolerations: optional(fc.array(toleration, { maxLength: 3 })),
        priorityClassName: optional(dotted),
    };
}

const awaitMinutes = optional(between(1, 120));

/** Master and slaves of a system; the slaves can hold the master's data. */
function system(
    leastMemory: number,
    arch: string,
    storageClass: fc.Arbitrary<string | undefined>,
    slavesOwn: object,
) {
    return fc
        .record({ memory: between(leastMemory, 4096), more: between(0, 512), replicas: between(0, 20) })
        .chain(({ memory, more, replicas }) => {
            const dataset = (memoryHere: number) => ({
                storage: fc.constant(`${memoryHere + 512}Mi`),
                storageClass,
                resources: resources(fc.constant(memoryHere)),
                ...placement(arch),
                awaitMinutes,
            });
            return fc.record({
                master: fc.record({
                    ...dataset(memory),
                    bootstrap: optional(label),
                }),
                slave: fc.record({
                    ...dataset(memory + more),
                    ...slavesOwn,
                    replicas: fc.constant(replicas),
                    maxStaleSeconds: optional(between(5, 86_400)),
                    maxMasterAwaySeconds: optional(between(1, 86_400)),
                }),
            });
        });
}

/** Backups, and perhaps a restore from them. */
function backups(arch: string) {
    const keys = fc.oneof(
        fc.record({
            accessKey: fc.constant("AKIA0"),
            secretKey: fc.string().map((text) => `${PASSWORD}${text}`),
        }),
        fc.record({ credentialsSecret: dotted }),
    );
    const store = fc
        .tuple(
            keys,
            fc.record({
                endpoint: fc.constantFrom("https://s3.example.com", "http://10.0.0.1:9000"),
                bucket: fc.constantFrom("backups", "a.b-c"),
                prefix: optional(fc.constantFrom("prod", "team/prod_1")),
                region: optional(fc.constant("eu-central-1")),
                pathStyle: optional(fc.boolean()),
            }),
        )
        .map(([given, place]) => ({ ...given, ...place }));
    const backup = fc.record({
        store,
        encryptionPassword: optional(fc.string().map((text) => `${PASSWORD}${text}`)),
        keepDays: optional(between(1, 3650)),
        mysql: optional(
            fc.record({
                schedule: optional(cronSchedule),
                resources: optional(resources(between(384, 4096))),
                ...placement(arch),
            }),
        ),
    });
    const word = fc.constantFrom("one", "2026-01-02_b.c");
    const base = fc.constantFrom("latest", "20260102T013700Z");
    const what = fc.oneof(
        fc.record({ base, word: optional(word) }),
        fc.record({ base: optional(base), at: fc.constant("2026-01-02T03:04:05.6Z"), word: optional(word) }),
        fc.record({ gtid: fc.constant("3e11fa47-71ca-11e1-9e33-c80aa9429562:23") }),
        fc.record({ undo: fc.constant(true), word }),
    );
    const from = fc.record({
        prefix: optional(fc.constant("prod")),
        encryptionPassword: optional(fc.constant(PASSWORD)),
    });
    const restore = fc.tuple(what, from).map(([point, place]) => ({ ...point, ...place }));
    return { withBackup: optional(fc.tuple(backup, optional(restore))) };
}

const image = fc
    .nat()
    .map((number) => `registry.example.com/team/image@sha256:${number.toString(16).padStart(64, "0")}`);

/** A name that no one would choose, but that is allowed. */
const anyName = fc
    .oneof(
        fc.constantFrom("kind-dabaweb", "名前", "naïve 👩‍💻", "2024"),
        fc.string({ unit: character, maxLength: 60 }),
    )
    .map((name) => `a${name.replace(/[\p{Cc}\p{Cs}]/gu, "")}z`);

/** A configuration that must be accepted. */
export const validConfig: fc.Arbitrary<Raw> = fc
    .record({
        protect: fc.boolean(),
        arch: fc.constantFrom("amd64", "arm64"),
        nodePort: fc.option(between(30_000, 32_767), { nil: undefined }),
        classes: fc.constantFrom("top", "own", "none"),
    })
    .chain(({ protect, arch, nodePort, classes }) => {
        const className = fc.oneof(fc.constant(""), dotted);
        const own =
            classes === "own" ? className : classes === "top" ? optional(className) : fc.constant(undefined);
        const isTop = classes === "top" || (classes === "none" && protect);
        const urls = [
            label.map((name) => `https://${name}.example.com`),
            fc.constant(`http://localhost:${nodePort ?? 8080}`),
            ...(protect
                ? []
                : [fc.constant("http://10.1.2.3/"), dotted.map((name) => `http://a.${name}.example:8080`)]),
        ];
        return fc.record({
            raw: fc.record({
                kubeContext: anyName,
                namespace: fc.record({
                    name: label.filter((name) => !name.startsWith("kube-") && name !== "default"),
                    create: protect ? fc.constant(false) : fc.boolean(),
                }),
                registry: fc.oneof(
                    fc.record({
                        address: fc.constantFrom(
                            "localhost:5001",
                            "registry.example.com/team/a",
                            "10.0.0.1:5000",
                        ),
                        keepImages: optional(fc.boolean()),
                        pullSecret: optional(dotted),
                    }),
                    fc.record({
                        address: fc.constant("registry.example.com"),
                        username: fc.constantFrom("team", "me@example.com", "$name"),
                        password: fc.string().map((text) => `${PASSWORD}${text}`),
                    }),
                ),
                mirror: optional(
                    fc.record({
                        images: optional(fc.constant("mirror.example.com/hub")),
                        pip: optional(fc.constant("https://pypi.example.com/simple")),
                        proxy: optional(fc.constant("http://proxy.example.com:3128")),
                    }),
                ),
                bases: optional(
                    fc.record({
                        redis: optional(fc.constant("registry.example.com/hardened/redis:8")),
                        "python-build": optional(fc.constant(`python@sha256:${"c".repeat(64)}`)),
                    }),
                ),
                platform:
                    arch === "amd64" ? optional(fc.constant("linux/amd64")) : fc.constant("linux/arm64"),
                images: optional(
                    fc
                        .tuple(
                            fc.record(
                                {
                                    "redis-master": image,
                                    "redis-slave": image,
                                    "mysql-master": image,
                                    "mysql-slave": image,
                                },
                                { requiredKeys: [] },
                            ),
                            optional(fc.record({ dabaweb: image, nginx: image })),
                        )
                        .map(([others, pair]) => ({ ...others, ...pair })),
                ),
                publicUrl: fc.oneof(...urls).filter((url) => URL.canParse(url)),
                service:
                    nodePort === undefined
                        ? fc.constant({ type: "ClusterIP" })
                        : fc.record({
                              type: fc.constant("NodePort"),
                              nodePort: fc.constant(nodePort),
                              externalTrafficPolicy: optional(fc.constantFrom("Cluster", "Local")),
                          }),
                protect: protect ? fc.constant(true) : optional(fc.constant(false)),
                spread: optional(fc.constantFrom("required", "preferred")),
                rollout: optional(fc.constantFrom("slavesFirst", "together")),
                storageClass: isTop ? className : fc.constant(undefined),
                ...backups(arch),
                dabacluster: optional(
                    fc.record({
                        replicas: optional(between(1, 100)),
                        workers: between(1, 32),
                        threads: optional(between(1, 32)),
                        extraHosts: optional(
                            fc.array(fc.oneof(dotted, fc.constantFrom("10.0.0.1", "[fd00::1]")), {
                                maxLength: 3,
                            }),
                        ),
                        publicPages: optional(fc.boolean()),
                        resources: optional(resources(between(192, 4096))),
                        nginxResources: optional(resources(between(64, 512))),
                        cleanup: optional(
                            fc.record({
                                schedule: optional(cronSchedule),
                                suspend: optional(fc.boolean()),
                                keepLogDays: optional(between(1, 3650)),
                            }),
                        ),
                        ...placement(arch),
                        awaitMinutes,
                    }),
                ),
            }),
            ingress: optional(
                fc.record({
                    className: dotted,
                    tlsSecret: optional(dotted),
                    annotations: optional(fc.dictionary(dotted, fc.string(), { maxKeys: 3 })),
                }),
            ),
            redis: optional(system(128, arch, own, {})),
            mysql: optional(system(512, arch, own, { autoReseed: optional(fc.boolean()) })),
            onNoReplica: optional(fc.constantFrom("wait", "degrade")),
        });
    })
    .filter(
        ({ raw, redis, mysql }) => !raw.protect || raw.storageClass !== undefined || Boolean(redis && mysql),
    )
    .map(({ raw, ingress, redis, mysql, onNoReplica }) => {
        const { withBackup, ...rest } = raw;
        const [backup, restore] = withBackup ?? [];
        const { hostname, protocol } = new URL(raw.publicUrl);
        const canWait = mysql === undefined || mysql.slave.replicas > 0;
        const memory = Math.min(...[mysql?.master, mysql?.slave].map((each) => mebibytes(each)));
        return plain({
            ...rest,
            backup,
            restore,
            ...(raw.dabacluster === undefined ? {} : { dabacluster: served(raw.dabacluster, memory) }),
            ...(raw.service.type === "ClusterIP" && ingress !== undefined && !/^\d/.test(hostname)
                ? {
                      ingress: {
                          ...ingress,
                          host: hostname,
                          tlsSecret: protocol === "https:" ? ingress.tlsSecret : undefined,
                      },
                  }
                : {}),
            ...(redis === undefined ? {} : { "redis-master": redis.master, "redis-slave": redis.slave }),
            ...(mysql === undefined
                ? {}
                : {
                      "mysql-master": { ...mysql.master, onNoReplica: canWait ? onNoReplica : "degrade" },
                      "mysql-slave": mysql.slave,
                  }),
        });
    });

function mebibytes(dataset: { resources: { limits: { memory: string } } } | undefined): number {
    return dataset === undefined ? 640 : parseInt(dataset.resources.limits.memory);
}

/** The same site, with as few pods, workers and threads as a MySQL server with so many MiB has connections for. */
function served<T extends { replicas: number | undefined; workers: number; threads: number | undefined }>(
    site: T,
    memory: number,
): T {
    const { replicas = 1, workers, threads = 4 } = site;
    const most = Math.max(80, Math.min(2000, Math.floor(memory / 6.4))) - 53 - 3;
    const fewer = Math.min(workers, Math.max(1, Math.floor(most / 2 / (threads + 1))));
    const shorter = Math.min(threads, Math.floor(most / 2 / fewer) - 1);
    const pods = Math.min(replicas, Math.floor(most / (fewer * (shorter + 1))) - 1);
    return { ...site, replicas: pods, workers: fewer, threads: shorter };
}

/** Without the keys that are undefined, as YAML has it. */
export function plain(value: object): Raw {
    return JSON.parse(JSON.stringify(value)) as Raw;
}
