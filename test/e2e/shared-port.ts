import { kubectl } from "./side-by-side";

/** NodePorts that several test files use, one at a time (HOLDS in test/jobs.ts), and the benchmark. */
const PORTS = [32003, 32009];
const NAMESPACES = ["dabaweb-mine", "dabaweb-kept", "side-by-side-dev", "side-by-side-prod", "dabaweb-bench"];

interface Service {
    readonly metadata: { readonly name: string; readonly namespace: string };
    readonly spec: { readonly ports: readonly { readonly nodePort?: number }[] };
}

/** Frees these nodePorts after a killed run; the test that made the other leftovers removes them when it runs again. */
export async function freeSharedPorts(): Promise<void> {
    const { items } = JSON.parse(await kubectl(["get", "services", "--all-namespaces", "-o", "json"])) as {
        items: Service[];
    };
    const left = items.filter(
        ({ metadata, spec }) =>
            NAMESPACES.includes(metadata.namespace) &&
            spec.ports.some(({ nodePort }) => nodePort !== undefined && PORTS.includes(nodePort)),
    );
    for (const { metadata } of left) {
        await kubectl(["--namespace", metadata.namespace, "delete", "service", metadata.name]);
    }
}
