/** How users reach the site: at every node's address, and behind an ingress. */
import assert from "assert";
import { randomUUID } from "crypto";
import { get } from "http";

import { pageShowsSeedRows } from "../support/checks";
import { waitFor } from "../support/docker";
import { RECOVERY_SECONDS, System } from "../support/system";
import { configure, pulumi } from "./stack";

const HOST = "people.example.org";
/** No controller serves it. */
const CLASS = "nobodys";

/** What an ingress controller would send to a pod, and what the pod answers: status, then headers. */
const AS_CONTROLLER = `
import socket, sys, urllib.request
headers = {"Host": sys.argv[1], "X-Forwarded-Proto": "https", "X-Forwarded-For": "9.9.9.9, 203.0.113.7"}
address = socket.gethostbyname(socket.gethostname())
answer = urllib.request.urlopen(urllib.request.Request(f"http://{address}:8080{sys.argv[2]}", headers=headers))
print(answer.status, answer.headers)
`;

/** Call this after a stack with a nodePort is deployed. It restores the stack's settings. */
export function describeAddresses(system: System): void {
    const { stack } = system;
    const { host, port } = new URL(system.url);
    const up = () => pulumi(stack, ["up", "--yes", "--skip-preview"]);
    const unset = (key: string) => pulumi(stack, ["config", "rm", "--path", `dabaweb:${key}`]);

    /** Sends a request to a node as a browser would that resolves the site's name; returns the status and the client's address. */
    function askNode(address: string, path: string): Promise<{ status: number; client: string }> {
        return new Promise((resolve, reject) => {
            const options = {
                host: address,
                port,
                path,
                headers: { Host: host },
                timeout: 10_000,
                agent: false,
            };
            const sent = get(options, (answer) => {
                const client = answer.socket.localAddress ?? "";
                answer.resume().on("end", () => resolve({ status: answer.statusCode ?? 0, client }));
            });
            sent.on("timeout", () => sent.destroy(new Error(`${address}: no answer within 10 s`)));
            sent.on("error", reject);
        });
    }

    async function nodeAddresses(): Promise<string[]> {
        const path = '{.items[*].status.addresses[?(@.type=="InternalIP")].address}';
        return (await system.kubectl(["get", "nodes", "-o", `jsonpath=${path}`])).split(/\s+/);
    }

    /** The client's address that nginx logged for the request with this mark. */
    async function loggedClient(mark: string): Promise<string> {
        const of = ["-l", "app.kubernetes.io/name=dabacluster", "-c", "nginx"];
        const line = await waitFor(`an nginx log line with ${mark}`, RECOVERY_SECONDS, async () => {
            const log = await system.kubectl(["logs", ...of, "--since=5m", "--tail=-1"]);
            return log.split("\n").find((each) => each.includes(mark)) ?? false;
        });
        return (JSON.parse(line) as { client: string }).client;
    }

    it("answers at every node's address", async () => {
        const addresses = await nodeAddresses();
        assert.ok(addresses.length > 0);
        for (const address of addresses) {
            await waitFor(`the page from ${address}`, RECOVERY_SECONDS, async () => {
                assert.strictEqual((await askNode(address, "/User_data")).status, 200);
                return true;
            });
        }
    });

    it("sees the client's own address with externalTrafficPolicy Local", async () => {
        await configure(stack, { "service.externalTrafficPolicy": "Local" });
        try {
            await up();
            const mark = randomUUID();
            // Web pods may be on other nodes than the first one: any node may answer.
            const client = await waitFor("an answer", RECOVERY_SECONDS, async () => {
                const asked = (await nodeAddresses()).map((address) => askNode(address, `/home?${mark}`));
                return (await Promise.any(asked)).client;
            });
            assert.strictEqual(await loggedClient(mark), client);
        } finally {
            // The update in the next test applies this.
            await unset("service.externalTrafficPolicy");
        }
    });

    it("works behind an ingress, and up does not wait for a controller", async () => {
        await system.kubectl(["apply", "--filename", "-"], {
            input: JSON.stringify({
                apiVersion: "networking.k8s.io/v1",
                kind: "IngressClass",
                metadata: { name: CLASS },
                spec: { controller: "example.org/nobody" },
            }),
        });
        try {
            await unset("service.nodePort");
            await configure(stack, {
                "service.type": "ClusterIP",
                publicUrl: `https://${HOST}`,
                "ingress.host": HOST,
                "ingress.tlsSecret": "people-tls",
                "ingress.className": "typo",
            });
            await assert.rejects(up(), /ingress\.className is typo, but the cluster has .*nobodys/);
            await configure(stack, { "ingress.className": CLASS });
            await up();
            const { spec } = JSON.parse(
                await system.kubectl(["get", "ingress", "dabacluster", "-o", "json"]),
            ) as {
                spec: { ingressClassName: string; rules: { host: string }[]; tls: object[] };
            };
            assert.strictEqual(spec.ingressClassName, CLASS);
            assert.deepStrictEqual(
                spec.rules.map((rule) => rule.host),
                [HOST],
            );
            assert.deepStrictEqual(spec.tls, [{ hosts: [HOST], secretName: "people-tls" }]);

            const mark = randomUUID();
            const exec = [
                "exec",
                "deployment/dabacluster",
                "-c",
                "dabaweb",
                "--",
                "python",
                "-c",
                AS_CONTROLLER,
            ];
            const answer = await waitFor("an answer behind the ingress", RECOVERY_SECONDS, () =>
                system.kubectl([...exec, HOST, `/admin/login/?${mark}`]),
            );
            assert.match(answer, /^200 /);
            assert.match(answer, /^Set-Cookie: __Host-csrftoken_\w+=.*; Secure$/im);
            assert.match(answer, /^Strict-Transport-Security: max-age=604800$/im);
            assert.strictEqual(await loggedClient(mark), "203.0.113.7");
        } finally {
            await unset("ingress");
            await configure(stack, {
                "service.type": "NodePort",
                "service.nodePort": port,
                publicUrl: system.url,
            });
            await up();
            await system.kubectl(["delete", "ingressclass", CLASS]);
        }
        await system.ready();
        await pageShowsSeedRows(system);
    });
}
