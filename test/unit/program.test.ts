import assert from "assert";
import * as fs from "fs";

import { quantityValue } from "../../components/quantity";
import { SECRET } from "../../review/graph";
import {
    at,
    changed,
    ofType,
    prodBehindIngress,
    Recorded,
    recordedChange,
    recordedChanges,
    recordedStack,
    replacing,
    Stack,
    STACKS,
} from "../support/program";

interface Container {
    name: string;
    image: string;
    args?: string[];
    env?: { name: string; value?: string }[];
    resources?: { limits?: Record<string, string> };
    volumeMounts?: { name: string }[];
}

interface PodSpec {
    containers: Container[];
    volumes: { name: string }[];
}

const STATEFUL_SET = "kubernetes:apps/v1:StatefulSet";
const DEPLOYMENT = "kubernetes:apps/v1:Deployment";
const JOB = "kubernetes:batch/v1:Job";
const CRON_JOB = "kubernetes:batch/v1:CronJob";
const SECRETS = "kubernetes:core/v1:Secret";
const CLAIM = "kubernetes:core/v1:PersistentVolumeClaim";
const NAMESPACE = "kubernetes:core/v1:Namespace";
const PASSWORD = "random:index/randomPassword:RandomPassword";

const HOLDS_DATA = [STATEFUL_SET, CLAIM, SECRETS, PASSWORD, NAMESPACE];

const COUNTS: Record<Stack, Record<string, number>> = {
    dev: { "redis-master": 1, "redis-slave": 1, "mysql-master": 1, "mysql-slave": 1, dabacluster: 1 },
    prod: { "redis-master": 1, "redis-slave": 2, "mysql-master": 1, "mysql-slave": 2, dabacluster: 3 },
    e2e: { "redis-master": 1, "redis-slave": 2, "mysql-master": 1, "mysql-slave": 2, dabacluster: 3 },
    kept: { "redis-master": 1, "redis-slave": 1, "mysql-master": 1, "mysql-slave": 1, dabacluster: 2 },
};

/** Those whose data outlives them. */
const PROTECTED: readonly Stack[] = ["prod", "kept"];

/** The memory that `make up` may take on a laptop. */
const DEV_MEMORY = 2.5 * 2 ** 30;

function workloads(recorded: readonly Recorded[]): Map<string, Recorded> {
    return new Map([...ofType(recorded, STATEFUL_SET), ...ofType(recorded, DEPLOYMENT)]);
}

/** The path of the template of a workload's pods. */
function template({ type }: Recorded): string {
    return type === CRON_JOB ? "spec.jobTemplate.spec.template" : "spec.template";
}

function containers(workload: Recorded): Container[] {
    const init = at<Container[] | undefined>(workload, `${template(workload)}.spec.initContainers`);
    return [...(init ?? []), ...mainContainers(workload)];
}

function mainContainers(workload: Recorded): Container[] {
    return at<Container[]>(workload, `${template(workload)}.spec.containers`);
}

/** Workloads that end by themselves. */
function jobs(recorded: readonly Recorded[]): Recorded[] {
    return [JOB, CRON_JOB].flatMap((type) => [...ofType(recorded, type).values()]);
}

function everyWorkload(recorded: readonly Recorded[]): Recorded[] {
    return [...workloads(recorded).values(), ...jobs(recorded)];
}

function imagesOfPods(recorded: readonly Recorded[]): Set<string> {
    return new Set(
        everyWorkload(recorded)
            .flatMap(containers)
            .map((container) => container.image),
    );
}

for (const stack of STACKS) {
    describe(`the program of stack ${stack}`, () => {
        let recorded: readonly Recorded[];
        before(() => {
            recorded = recordedStack(stack);
        });

        it("keeps the identifier of its cluster if the stack is renamed, since another one replaces every object", () => {
            const provider = ofType(recordedStack(stack), "pulumi:providers:kubernetes").get("kubernetes");
            assert.deepStrictEqual(provider?.options.ignoreChanges, ["clusterIdentifier"]);
        });

        it("runs as many pods of each workload as the source did", () => {
            const counts = [...workloads(recorded)].map(([name, w]) => [
                name,
                at<number>(w, "spec.replicas"),
            ]);
            assert.deepStrictEqual(Object.fromEntries(counts), COUNTS[stack]);
        });

        it("declares one volume for each data pod, with the stack's storage class", () => {
            const expected = Object.entries(COUNTS[stack])
                .filter(([name]) => name !== "dabacluster")
                .flatMap(([name, count]) => Array.from({ length: count }, (_, n) => `data-${name}-${n}`));
            const claims = ofType(recorded, CLAIM);
            assert.deepStrictEqual([...claims.keys()].sort(), expected.sort());
            for (const claim of claims.values()) {
                assert.strictEqual(
                    at(claim, "spec.storageClassName"),
                    PROTECTED.includes(stack) ? "retained" : "standard",
                );
            }
        });

        it("protects volumes and passwords only if the stack says so", () => {
            const guarded = [
                ...ofType(recorded, CLAIM).values(),
                ...[...ofType(recorded, PASSWORD).values()].filter((p) => /^(mysql|redis)-/.test(p.name)),
            ];
            assert.ok(guarded.length > 6);
            for (const resource of guarded) {
                assert.strictEqual(
                    resource.options.protect ?? false,
                    PROTECTED.includes(stack),
                    resource.name,
                );
            }
        });

        it("lets volumes and markers outlive the stack only if the stack says so", () => {
            const kept = [
                ...ofType(recorded, CLAIM).values(),
                ...[...ofType(recorded, "kubernetes:core/v1:ConfigMap").values()].filter(({ name }) =>
                    name.endsWith("-initialised"),
                ),
            ];
            assert.ok(kept.length >= 6);
            for (const resource of kept) {
                assert.strictEqual(
                    resource.options.retainOnDelete ?? false,
                    PROTECTED.includes(stack),
                    resource.name,
                );
            }
        });

        it("marks every value of every Secret as secret", () => {
            const secrets = [...ofType(recorded, SECRETS).values()];
            assert.strictEqual(secrets.length, 5);
            for (const secret of secrets) {
                const values = Object.values(at<Record<string, unknown>>(secret, "stringData"));
                assert.ok(values.length > 0 && values.every((value) => value === SECRET), secret.name);
            }
        });

        it("puts no password into any other input", () => {
            const others = recorded.filter((r) => r.type !== PASSWORD && r.type !== SECRETS);
            assert.doesNotMatch(JSON.stringify(others), /xxxxxxxx|\[secret\]/);
        });

        it("makes the pages public only if the stack says so", () => {
            const app = mainContainers(ofType(recorded, DEPLOYMENT).get("dabacluster")!)[0];
            const value = app?.env?.find(({ name }) => name === "PUBLIC_PAGES")?.value;
            assert.strictEqual(value, String(stack !== "prod"));
        });

        it("uses every image from the stack's own repositories, by content tag or, if promoted, by digest", () => {
            const images = imagesOfPods(recorded);
            const pattern = new RegExp(
                `^localhost:5001/dabaweb/${stack}/[a-z-]+(:[0-9a-f]{20}|@sha256:[0-9a-f]{64})$`,
            );
            images.forEach((image) => assert.match(image, pattern));
            assert.strictEqual(images.size, 6);
        });

        it("replaces an image before it deletes the old one, so that pods are rolled and never deleted", () => {
            const images = [...ofType(recorded, "docker:index/registryImage:RegistryImage").values()];
            const promoted = [...imagesOfPods(recorded)].filter((image) => image.includes("@"));
            assert.strictEqual(images.length, 7 - promoted.length);
            images.forEach((image) =>
                assert.strictEqual(image.options.deleteBeforeReplace, false, image.name),
            );
        });

        it("gives the first admin's password only to the migration", () => {
            const knows = (container: Container) => JSON.stringify(container).includes("dabaweb-admin");
            const all = everyWorkload(recorded).flatMap(containers);
            assert.deepStrictEqual(
                all.filter(knows).map(({ name }) => name),
                ["migrate"],
            );
        });

        it("hands passwords over as files, never as environment or arguments", () => {
            for (const container of everyWorkload(recorded).flatMap(containers)) {
                for (const { name, value } of container.env ?? []) {
                    assert.ok(!/PASSWORD$|SECRET$|TOKEN$/.test(name), `${container.name} has ${name}`);
                    assert.notStrictEqual(value, SECRET);
                }
            }
        });

        it("sends every Kubernetes object through the stack's explicit provider", () => {
            for (const resource of recorded.filter((r) => r.type.startsWith("kubernetes:"))) {
                assert.match(
                    resource.provider ?? "",
                    /pulumi:providers:kubernetes::kubernetes$/,
                    resource.name,
                );
            }
        });

        it("lets the migration finish before the web pods are changed", () => {
            const deployment = ofType(recorded, DEPLOYMENT).get("dabacluster");
            assert.ok(deployment?.dependencies.some((urn) => urn.endsWith("::dabacluster-migrate")));
        });

        it("changes the cleanup in place, after the migration, and keeps its pods out of the Service", () => {
            const cleanup = ofType(recorded, CRON_JOB).get("dabacluster-cleanup")!;
            assert.strictEqual(at(cleanup, "metadata.name"), "dabacluster-cleanup");
            assert.ok(cleanup.dependencies.some((urn) => urn.endsWith("::dabacluster-migrate")));
            const own = at<Record<string, string>>(cleanup, `${template(cleanup)}.metadata.labels`);
            const selectors = [
                ...[...workloads(recorded).values()].map((each) =>
                    at<object>(each, "spec.selector.matchLabels"),
                ),
                ...[...ofType(recorded, "kubernetes:core/v1:Service").values()].map((each) =>
                    at<object>(each, "spec.selector"),
                ),
            ];
            assert.ok(selectors.length > 10);
            for (const each of selectors) {
                assert.ok(!Object.entries(each).every(([key, value]) => own[key] === value));
            }
        });

        it("gives the cleanup the pods of the migration, without what only the migration may know", () => {
            const [migration, cleanup] = jobs(recorded).map((job) => {
                const { volumes, containers: all, ...rest } = at<PodSpec>(job, `${template(job)}.spec`);
                const isShared = ({ name }: { name: string }) =>
                    !/^(admin|ADMIN_PASSWORD_FILE|migration|MYSQL_(USER|PASSWORD_FILE))$/.test(name);
                const shared = all.map((container) => ({
                    ...container,
                    name: "",
                    args: [],
                    env: container.env?.filter(isShared),
                    volumeMounts: container.volumeMounts?.filter(isShared),
                }));
                return { ...rest, volumes: volumes.filter(isShared), containers: shared };
            });
            assert.ok(migration);
            assert.deepStrictEqual(cleanup, migration);
        });

        it("records in a master's marker how many slaves there are and which override was used", () => {
            for (const system of ["redis", "mysql"]) {
                const marker = ofType(recorded, "kubernetes:core/v1:ConfigMap").get(`${system}-initialised`);
                assert.strictEqual(at(marker, "data.slaves"), String(COUNTS[stack][`${system}-slave`]));
                assert.strictEqual(at(marker, "data.bootstrap"), "");
            }
        });

        it("creates the markers after the masters", () => {
            for (const system of ["redis", "mysql"]) {
                const marker = ofType(recorded, "kubernetes:core/v1:ConfigMap").get(`${system}-initialised`);
                assert.ok(marker?.dependencies.some((urn) => urn.endsWith(`StatefulSet::${system}-master`)));
            }
        });
    });
}

describe("the dev stack", () => {
    it("annotates the pods of a workload with `podAnnotations`, and no other pods", () => {
        const annotations = '{ "linkerd.io/inject": enabled }';
        const annotated = changed(
            "dev",
            ["mysql-slave: { replicas: 1", `mysql-slave: { replicas: 1, podAnnotations: ${annotations}`],
            ["dabacluster: { replicas: 1", `dabacluster: { replicas: 1, podAnnotations: ${annotations}`],
        );
        const pods = annotated.flatMap((each) => {
            const metadata = at<{ annotations?: object } | undefined>(each, `${template(each)}.metadata`);
            return metadata?.annotations === undefined ? [] : [[each.name, metadata.annotations]];
        });
        assert.deepStrictEqual(pods.sort(), [
            ["dabacluster", { "linkerd.io/inject": "enabled" }],
            ["dabacluster-cleanup", { "linkerd.io/inject": "enabled" }],
            ["dabacluster-migrate", { "linkerd.io/inject": "enabled" }],
            ["mysql-slave", { "linkerd.io/inject": "enabled" }],
        ]);
    });

    it("cleans up when and what the stack file says, and in UTC", () => {
        const cleanup = '{ schedule: "0 */6 * * 1-5", suspend: true, keepLogDays: 30 }';
        const job = ofType(
            changed("dev", ["dabacluster: { replicas: 1", `dabacluster: { cleanup: ${cleanup}, replicas: 1`]),
            CRON_JOB,
        ).get("dabacluster-cleanup")!;
        const { schedule, timeZone, suspend } = at<Record<string, unknown>>(job, "spec");
        assert.deepStrictEqual([schedule, timeZone, suspend], ["0 */6 * * 1-5", "Etc/UTC", true]);
        assert.deepStrictEqual(mainContainers(job)[0]?.args, ["cleanup", "--keep-log-days", "30"]);
    });

    it("passes a word in `bootstrap` to the master, and records it as used", () => {
        const systems = ["redis", "mysql"];
        const changed = recordedChange("dev", (file) => {
            const lines = systems.map((system) => `  dabaweb:${system}-master: { bootstrap: newest }\n`);
            return `${file.trimEnd()}\n${lines.join("")}`;
        });
        for (const system of systems) {
            const marker = ofType(changed, "kubernetes:core/v1:ConfigMap").get(`${system}-initialised`);
            assert.strictEqual(at(marker, "data.bootstrap"), "newest");
            const master = ofType(changed, STATEFUL_SET).get(`${system}-master`);
            assert.match(JSON.stringify(master?.inputs), /"name":"BOOTSTRAP","value":"newest"/);
        }
    });

    it("has memory limits of at most 2.5 GiB in total", () => {
        const total = [...workloads(recordedStack("dev")).values()]
            .flatMap((w) =>
                mainContainers(w).map(
                    (c) => quantityValue(c.resources?.limits?.memory ?? "") * at<number>(w, "spec.replicas"),
                ),
            )
            .reduce((sum, bytes) => sum + bytes, 0);
        assert.ok(total > 0 && total <= DEV_MEMORY, `${total / 2 ** 20} MiB`);
    });

    it("creates its namespace, which enforces Pod Security restricted", () => {
        const namespace = ofType(recordedStack("dev"), NAMESPACE).get("namespace");
        assert.strictEqual(at(namespace, "metadata.name"), "dabaweb-dev");
        assert.deepStrictEqual(at(namespace, "metadata.labels"), {
            "pod-security.kubernetes.io/enforce": "restricted",
        });
    });
});

describe("the prod stack", () => {
    it("does not own its namespace", () => {
        assert.strictEqual(ofType(recordedStack("prod"), NAMESPACE).size, 0);
    });
});

describe("the names and places of resources that hold data", () => {
    const file = "test/unit/frozen-names.txt";
    const frozen = fs
        .readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#"));

    for (const stack of STACKS) {
        it(`are in stack ${stack} as they were on the first day`, () => {
            const resources = recordedStack(stack).filter((r) => HOLDS_DATA.includes(r.type));
            const names = resources.map((r) =>
                `${r.urn.split("::").slice(2).join("::")} ${at<string>(r, "metadata.name") ?? ""}`
                    .trim()
                    // One line for all volumes of a workload, and for all stacks.
                    .replaceAll(/(data-[a-z-]+)-\d+/g, "$1-<n>")
                    .replaceAll(`dabaweb-${stack}`, "dabaweb-<stack>"),
            );
            const ownsNamespace = resources.some((r) => r.type === NAMESPACE);
            const gone = frozen.filter(
                (line) => !names.includes(line) && (ownsNamespace || !line.includes(NAMESPACE)),
            );
            const unknown = names.filter((name) => !frozen.includes(name));
            assert.ok(
                gone.length + unknown.length === 0,
                `Pulumi would delete, with their data:\n${gone.join("\n")}\nand create:\n${unknown.join("\n")}\n` +
                    `If a stack is deployed, give the renamed resources an alias; edit ${file} by hand, with care.`,
            );
        });
    }
});

/** The containers of the web pods, and the environment of the first. */
function web(recorded: readonly Recorded[]): {
    containers: Container[];
    env: Record<string, string | undefined>;
} {
    const all = mainContainers(ofType(recorded, DEPLOYMENT).get("dabacluster")!);
    return { containers: all, env: Object.fromEntries((all[0]?.env ?? []).map((v) => [v.name, v.value])) };
}

describe("the web tier", () => {
    const INGRESS = "kubernetes:networking.k8s.io/v1:Ingress";
    const SERVICE = "kubernetes:core/v1:Service";
    const NODE_PORT = "{ type: NodePort, nodePort: 32002 }";

    it("is behind an Ingress if the stack says so, and then trusts its word on the client's address", () => {
        const recorded = prodBehindIngress();
        const ingress = ofType(recorded, INGRESS).get("dabacluster");
        assert.deepStrictEqual(at(ingress, "spec"), {
            ingressClassName: "nginx",
            rules: [
                {
                    host: "example.org",
                    http: {
                        paths: [
                            {
                                path: "/",
                                pathType: "Prefix",
                                backend: { service: { name: "dabacluster", port: { name: "http" } } },
                            },
                        ],
                    },
                },
            ],
            tls: [{ hosts: ["example.org"], secretName: "tls" }],
        });
        // If no controller writes an address, `up` would wait for one until it fails.
        assert.deepStrictEqual(at(ingress, "metadata.annotations"), { "pulumi.com/skipAwait": "true" });
        assert.strictEqual(at(ofType(recorded, SERVICE).get("dabacluster"), "spec.type"), "ClusterIP");
        const { containers: pod, env } = web(recorded);
        assert.strictEqual(env.PUBLIC_URL, "https://example.org");
        assert.match(JSON.stringify(pod[1]), /\/opt\/dabaweb\/proxies/);
        const proxies = ofType(recorded, "kubernetes:core/v1:ConfigMap").get("dabacluster-proxies");
        assert.match(
            Object.values(at<Record<string, string>>(proxies, "data")).join(),
            /^set_real_ip_from 10/,
        );
    });

    it("trusts no one's word on the client's address at a NodePort", () => {
        for (const stack of STACKS) {
            const recorded = recordedStack(stack);
            assert.strictEqual(ofType(recorded, INGRESS).size, 0);
            assert.doesNotMatch(JSON.stringify(web(recorded).containers), /proxies/);
        }
    });

    it("keeps the client's address at a NodePort only if the stack says so", () => {
        const policy = (recorded: readonly Recorded[]) =>
            at(ofType(recorded, SERVICE).get("dabacluster"), "spec.externalTrafficPolicy");
        assert.strictEqual(policy(recordedStack("prod")), "Cluster");
        const local = NODE_PORT.replace(" }", ", externalTrafficPolicy: Local }");
        assert.strictEqual(policy(changed("prod", [NODE_PORT, local])), "Local");
    });

    it("has as many processes as its limits allow, unless the stack says how many", () => {
        const limits = (cpu: string, memory: string) =>
            `{ requests: { cpu: 10m, memory: 32Mi }, limits: { cpu: "${cpu}", memory: ${memory} } }`;
        const one = "-g daemon off; worker_processes 1;";
        const expected: [settings: string, workers: string, nginx: string][] = [
            ["extraHosts: []", "2", one],
            [`resources: ${limits("4", "1Gi")}`, "5", one],
            [`resources: ${limits("500m", "2Gi")}`, "1", one],
            [`resources: ${limits("2", "192Mi")}`, "1", one],
            [
                `workers: 7, threads: 2, nginxResources: ${limits("1500m", "64Mi")}`,
                "7",
                "-g daemon off; worker_processes 2;",
            ],
        ];
        const few = "dabacluster: { replicas: 3";
        const recorded = recordedChanges(
            "prod",
            expected.map(([settings]) => replacing([few, `${few}, ${settings}`])),
        );
        const seen = recorded.map((each, index) => {
            const { containers: pod, env } = web(each);
            return [expected[index]![0], env.WEB_WORKERS, pod[1]?.args?.join(" ")];
        });
        assert.deepStrictEqual(seen, expected);
    });

    it("lets a terminating pod finish the longest request that nginx waits for", () => {
        const seconds = (file: string, pattern: RegExp) =>
            [...fs.readFileSync(file, "utf8").matchAll(pattern)].map(([, number]) => Number(number));
        const conf = "images/nginx/etc/nginx.conf";
        const longest = Math.max(...seconds(conf, /proxy_read_timeout (\d+)s/g));
        const stops = {
            nginx: seconds(conf, /worker_shutdown_timeout (\d+)s/g)[0]!,
            dabaweb: seconds("images/dabaweb/app/gunicorn.conf.py", /graceful_timeout = (\d+)/g)[0]!,
        };
        const pod = at<{
            terminationGracePeriodSeconds: number;
            containers: {
                name: keyof typeof stops;
                lifecycle: { preStop: { sleep: { seconds: number } } };
            }[];
        }>(ofType(recordedStack("prod"), DEPLOYMENT).get("dabacluster"), "spec.template.spec");
        for (const { name, lifecycle } of pod.containers) {
            assert.ok(stops[name] > longest, `${name} waits ${stops[name]} s for ${longest} s`);
            const end = lifecycle.preStop.sleep.seconds + stops[name];
            assert.ok(end < pod.terminationGracePeriodSeconds, `${name} ends after ${end} s`);
        }
    });

    it("gives what may change tables to the migration alone", () => {
        const recorded = recordedStack("prod");
        const user = (container: Container) =>
            container.env?.find(({ name }) => name === "MYSQL_USER")?.value;
        const mounts = (container: Container) => container.volumeMounts?.map(({ name }) => name) ?? [];
        const pods = [
            ...ofType(recorded, JOB).values(),
            ...ofType(recorded, DEPLOYMENT).values(),
            ...ofType(recorded, CRON_JOB).values(),
        ].flatMap(mainContainers);
        assert.deepStrictEqual(
            pods.filter((each) => mounts(each).includes("migration")).map(({ name }) => name),
            ["migrate"],
        );
        assert.deepStrictEqual(
            pods.map((each) => [each.name, user(each)]).filter(([, account]) => account === "migration"),
            [["migrate", "migration"]],
        );
    });

    it("accepts what the former key signed as soon as there is one, and keeps both keys of the step before", () => {
        const few = "dabacluster: { replicas: 3";
        const versions = [1, 2, 3].map((version) => `${few}, secretKeyVersion: ${version}`);
        const seen = recordedChanges(
            "prod",
            versions.map((text) => replacing([few, text])),
        ).map((each) => [
            [...ofType(each, PASSWORD).keys()].filter((name) => name.includes("secret-key")),
            web(each).env.FORMER_SECRET_KEY_FILE,
        ]);
        const former = "/run/secrets/dabaweb/former-secret-key";
        assert.deepStrictEqual(seen, [
            [["dabacluster-secret-key"], undefined],
            [["dabacluster-secret-key", "dabacluster-secret-key-2"], former],
            [["dabacluster-secret-key-2", "dabacluster-secret-key-3"], former],
        ]);
    });

    it("answers to additional hosts if the stack names them", () => {
        const hosts = changed("prod", [
            "{ replicas: 3",
            '{ replicas: 3, extraHosts: [10.0.0.1, "[fd00::1]"]',
        ]);
        assert.strictEqual(web(hosts).env.EXTRA_HOSTS, "10.0.0.1,[fd00::1]");
        assert.strictEqual(web(recordedStack("prod")).env.EXTRA_HOSTS, "");
    });
});

describe("a stack with pinned images", () => {
    const pins = (names: readonly string[]) =>
        names.map((name) => `${name}: "registry.example.com/${name}@sha256:${"a".repeat(64)}"`).join(", ");
    const withPins = (...names: string[]) =>
        recordedChange("dev", (dev) => `${dev.trimEnd()}\n  dabaweb:images: { ${pins(names)} }\n`);
    const ALL = ["redis-master", "redis-slave", "mysql-master", "mysql-slave", "dabaweb", "nginx"];

    it("registers no Docker resources and uses every image by digest if all are pinned", () => {
        const recorded = withPins(...ALL);
        const ofDocker = recorded.filter((r) => /^(docker|pulumi:providers:docker)\b/.test(r.type));
        assert.deepStrictEqual(ofDocker, []);
        assert.ok(recorded.every((r) => !r.provider?.includes("providers:docker")));
        assert.deepStrictEqual(
            [...imagesOfPods(recorded)].sort(),
            ALL.map((name) => `registry.example.com/${name}@sha256:${"a".repeat(64)}`).sort(),
        );
    });

    it("changes nothing but the images and what builds them", () => {
        const unpinned = new Map(recordedStack("dev").map((r) => [r.urn, r]));
        const pinned = withPins(...ALL);
        const gone = [...unpinned.keys()].filter((urn) => !pinned.some((r) => r.urn === urn));
        assert.strictEqual(
            gone.length,
            15,
            "six images, six pushes, one provider; and the image for backups, which a stack that pins its images does not offer",
        );
        assert.ok(gone.every((urn) => /dabaweb:index:Image|registryImage|providers:docker/.test(urn)));
        // The base of a pinned image is unknown, so it is not recorded.
        const withoutImages = (r: Recorded | undefined) =>
            JSON.stringify(r?.inputs)
                .replace(/"image":"[^"]*"/g, "")
                .replace(/"annotations":\{"dabaweb\/base":"[^"]*"\},/g, "");
        for (const resource of pinned) {
            assert.strictEqual(withoutImages(resource), withoutImages(unpinned.get(resource.urn)));
        }
    });

    it("builds the others, with nginx on the dabaweb that it builds", () => {
        const recorded = withPins("redis-master", "mysql-slave");
        const built = ofType(recorded, "docker:index/registryImage:RegistryImage");
        assert.deepStrictEqual([...built.keys()].sort(), ["dabaweb", "mysql-master", "nginx", "redis-slave"]);
        const references = [...imagesOfPods(recorded)];
        assert.strictEqual(references.filter((each) => each.startsWith("registry.example.com/")).length, 2);
        assert.strictEqual(references.filter((each) => each.startsWith("localhost:5001/")).length, 4);
        assert.strictEqual(
            at(built.get("nginx"), "build.buildArgs.DABAWEB_IMAGE"),
            at(built.get("dabaweb"), "name"),
        );
    });

    it("builds neither dabaweb nor nginx if the pair is pinned", () => {
        const built = ofType(withPins("dabaweb", "nginx"), "docker:index/registryImage:RegistryImage");
        assert.deepStrictEqual([...built.keys()].sort(), [
            "mysql-master",
            "mysql-slave",
            "redis-master",
            "redis-slave",
        ]);
    });
});
