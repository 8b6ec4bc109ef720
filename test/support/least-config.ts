import { parseConfig, type StackConfig } from "../../config";

/** The configuration of a stack file with no more than it must have, and these changes. */
export function leastConfig(changes: Readonly<Record<string, unknown>> = {}): StackConfig {
    return parseConfig(
        {
            kubeContext: "here",
            namespace: { name: "team", create: true },
            registry: { address: "localhost:5001" },
            publicUrl: "http://localhost:32000",
            service: { type: "NodePort", nodePort: 32000 },
            ...changes,
        },
        "test",
    );
}
