/** The last step of `make up`: V1, V2, V6 and V9 of the source on a stack, as `smoke.ts <stack>`. */
import { mysqlReplicates, redisReplicates, siteAnswers } from "../support/checks";
import { System } from "../support/system";

const CHECKS: [string, (system: System) => Promise<void>][] = [
    ["every workload has its pods, all ready", (system) => system.ready()],
    ["what is set on redis-master is read on every redis-slave", redisReplicates],
    ["every mysql-slave replicates, without error and without transactions of its own", mysqlReplicates],
    ["the site answers with the employees, or asks to sign in", siteAnswers],
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
