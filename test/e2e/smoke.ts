/** The last step of `make up`: runs the source's checks V1, V2, V6 and V9 on a stack. Usage: `smoke.ts <stack>`. */
import { mysqlReplicates, redisReplicates, siteAnswers } from "../support/checks";
import { System } from "../support/system";

const CHECKS: [string, (system: System) => Promise<void>][] = [
    ["every workload has its pods, all ready", (system) => system.ready()],
    ["every redis-slave returns what was set on redis-master", redisReplicates],
    ["every mysql-slave replicates, without errors and without its own transactions", mysqlReplicates],
    ["the site answers with the employees or with the sign-in page", siteAnswers],
];

async function main(stack: string): Promise<void> {
    const system = new System(stack);
    for (const [claim, check] of CHECKS) {
        await check(system);
        process.stdout.write(`ok: ${claim}\n`);
    }
    process.stdout.write(`${system.url}\n`);
}

main(process.argv[2] ?? "dev").catch((error: Error) => {
    process.stderr.write(`The stack is deployed, but a check failed: ${error.message}\n`);
    process.exit(1);
});
