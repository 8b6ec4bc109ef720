import assert from "assert";
import { createServer } from "http";
import type { AddressInfo } from "net";

import { checkImages, driftsIn, RefreshPreview, told } from "../../operations/drift";

const urn = (type: string, name: string): string =>
    `urn:pulumi:dev::dabaweb::dabaweb:index:MySQL$dabaweb:index:Dataset$kubernetes:${type}::${name}`;

/** As `pulumi refresh --preview-only --json` prints it, without the parts that do not matter here. */
const PREVIEW: RefreshPreview = {
    steps: [
        {
            op: "refresh",
            urn: urn("core/v1:Service", "mysql-slave"),
            oldState: { inputs: { spec: {} } },
            newState: { inputs: { spec: {} } },
            detailedDiff: null,
        },
        {
            op: "update",
            urn: urn("apps/v1:StatefulSet", "mysql-slave"),
            oldState: {
                inputs: {
                    spec: { replicas: 2, template: { spec: { containers: [{ image: "a:1" }] } } },
                    metadata: { annotations: {} },
                },
            },
            newState: {
                inputs: {
                    spec: { replicas: 5, template: { spec: { containers: [{ image: "a:2" }] } } },
                    metadata: { annotations: { "team.example.com/owner": "x" } },
                },
            },
            detailedDiff: {
                "spec.replicas": { kind: "update" },
                "spec.template.spec.containers[0].image": { kind: "update" },
                'metadata.annotations["team.example.com/owner"]': { kind: "add" },
            },
        },
        {
            op: "delete",
            urn: urn("core/v1:ConfigMap", "mysql-initialised"),
            oldState: { inputs: {} },
        },
    ],
};

describe("drift", () => {
    it("is reported by resource and property, with the deployed value and the current one", () => {
        assert.deepStrictEqual(driftsIn(PREVIEW).flatMap(told), [
            "StatefulSet mysql-slave: spec.replicas is 5, but was 2 after the last update",
            'StatefulSet mysql-slave: spec.template.spec.containers[0].image is "a:2", but was "a:1" after the last update',
            'StatefulSet mysql-slave: metadata.annotations["team.example.com/owner"] is "x", but was not set after the last update',
            "ConfigMap mysql-initialised is gone",
        ]);
    });

    it("is empty if nothing differs", () => {
        assert.deepStrictEqual(driftsIn({ steps: PREVIEW.steps!.slice(0, 1) }), []);
        assert.deepStrictEqual(driftsIn({}), []);
    });

    it("of a Secret is reported without any value, no matter who set it", () => {
        const applied = 'metadata.annotations["kubectl.kubernetes.io/last-applied-configuration"]';
        const state = (root: string, annotations = {}) => ({
            inputs: { data: { root }, metadata: { annotations } },
        });
        const sentences = ["core/v1:Secret", "core/v1:ConfigMap"].map((type) =>
            driftsIn({
                steps: [
                    {
                        op: "update",
                        urn: urn(type, "mysql-credentials"),
                        oldState: state("b2xk"),
                        newState: state("bmV3", {
                            "kubectl.kubernetes.io/last-applied-configuration": "bmV3",
                        }),
                        detailedDiff: { "data.root": {}, [applied]: {} },
                    },
                ],
            }).flatMap(told),
        );
        assert.deepStrictEqual(sentences, [
            [
                'Secret mysql-credentials: data.root is "[secret]", but was "[secret]" after the last update',
                `Secret mysql-credentials: ${applied} is "[secret]", but was not set after the last update`,
            ],
            [
                'ConfigMap mysql-credentials: data.root is "bmV3", but was "b2xk" after the last update',
                `ConfigMap mysql-credentials: ${applied} is "bmV3", but was not set after the last update`,
            ],
        ]);
    });

    it("falls back to what the cluster added, and cuts long values", () => {
        const [sentence] = driftsIn({
            steps: [
                {
                    op: "update",
                    urn: urn("core/v1:Service", "mysql-slave"),
                    oldState: { outputs: { spec: { clusterIP: "10.0.0.1" } } },
                    newState: { outputs: { spec: { clusterIP: "x".repeat(200) } } },
                    detailedDiff: { "spec.clusterIP": {} },
                },
            ],
        }).flatMap(told);
        assert.match(
            sentence!,
            /^Service mysql-slave: spec\.clusterIP is "x{118}…, but was "10\.0\.0\.1" after the last update$/,
        );
    });
});

describe("drift of images", () => {
    const digest = `sha256:${"a".repeat(64)}`;

    it("is reported only for images that a registry says it no longer has", async () => {
        const server = createServer((request, response) => {
            response.statusCode = request.url?.includes("/refused/") ? 401 : 404;
            response.end();
        }).listen(0, "127.0.0.1");
        await new Promise((resolve) => server.once("listening", resolve));
        try {
            const host = `localhost:${(server.address() as AddressInfo).port}`;
            const images = {
                nginx: `${host}/gone/nginx:1@${digest}`,
                dabaweb: `${host}/refused/dabaweb:1@${digest}`,
            };
            const { gone, unchecked } = await checkImages(images, () => Promise.resolve(undefined));
            assert.deepStrictEqual(gone, [
                `image nginx, ${host}/gone/nginx@${digest}, is no longer in its registry`,
            ]);
            assert.strictEqual(unchecked.length, 1);
            assert.match(
                unchecked[0]!,
                /^not checked: image dabaweb: Registry localhost:\d+ requires a login to pull/,
            );
        } finally {
            server.close();
        }
    });

    it("is unknown, not present, if the registry does not answer", async () => {
        // Nothing listens on port 1.
        const images = { nginx: `localhost:1/x/nginx:1@${digest}` };
        const { gone, unchecked } = await checkImages(images, () => Promise.resolve(undefined));
        assert.deepStrictEqual(gone, []);
        assert.match(unchecked[0]!, /^not checked: image nginx: Registry localhost:1 does not answer/);
    });
});
