/**
 * How the load gets in: NodePort Services for the same pods as the stack's own Services. They are created here and deleted
 * with its namespace.
 */
import { System } from "../support/system";
import { Doors } from "./load";

const SERVICES = {
    "redis-master": 6379,
    "redis-slave": 6379,
    "mysql-master": 3306,
    "mysql-slave": 3306,
} as const;
type Workload = keyof typeof SERVICES;
const WORKLOADS = Object.keys(SERVICES) as Workload[];

/** @param nodePorts four ports that this machine can reach */
export async function openDoors(system: System, nodePorts: readonly number[]): Promise<Doors> {
    const ports = Object.fromEntries(WORKLOADS.map((workload, i) => [workload, nodePorts[i]!]));
    const items = WORKLOADS.map((workload) => ({
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: `faults-${workload}` },
        spec: {
            type: "NodePort",
            selector: { "app.kubernetes.io/name": workload },
            ports: [{ port: SERVICES[workload], nodePort: ports[workload] }],
        },
    }));
    const list = { apiVersion: "v1", kind: "List", items };
    await system.kubectl(["apply", "--filename", "-"], { input: JSON.stringify(list) });
    const password = async (secret: string): Promise<string> => {
        const encoded = await system.kubectl(["get", "secret", secret, "-o", "jsonpath={.data.dabaweb}"]);
        return Buffer.from(encoded, "base64").toString();
    };
    return {
        host: "127.0.0.1",
        ports: ports as Record<Workload, number>,
        redisPassword: await password("redis-credentials"),
        mysqlPassword: await password("mysql-credentials"),
        page: `${system.url}/User_data`,
    };
}
