import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { exec, waitFor } from "../support/docker";
import { MysqlPods, Pod } from "../support/mysql-pods";
import { CLOCK_FILE, withSteppedClock } from "../support/stepped-clock";

const HOUR = 3600;

describe("mysql images on machines whose clocks are wrong", () => {
    const pods = new MysqlPods("mysql-clock");
    const images = fs.mkdtempSync(path.join(os.tmpdir(), "images-"));
    let master: Pod;
    let slave: Pod;

    before("start a master and a slave whose clocks can be stepped", async () => {
        fs.cpSync(path.resolve(__dirname, "../../images"), images, { recursive: true });
        for (const workload of ["mysql-master", "mysql-slave"]) {
            withSteppedClock(images, workload);
        }
        await pods.setUp(images);
        [master, slave] = await pods.startPair();
    });

    after("remove everything", async () => {
        await pods.tearDown();
        fs.rmSync(images, { recursive: true });
    });

    /** Steps a pod's clock, and waits until its server tells that time. */
    async function step(pod: Pod, seconds: number): Promise<void> {
        await exec(pods.running(pod), ["bash", "-c", `echo ${seconds} >${CLOCK_FILE}`]);
        await waitFor(`the clock of ${pod.name} to be wrong by ${seconds} s`, 10, async () => {
            const now = Number(await pods.sql(pod, "SELECT UNIX_TIMESTAMP()"));
            return Math.abs(now - Date.now() / 1000 - seconds) < 60;
        });
    }

    /** The slave's own correction, in seconds, as everyone can read it who asks for the age of its data. */
    const correction = async (): Promise<number> =>
        Number(
            await pods.sql(
                slave,
                "SELECT IFNULL(MAX(CAST(CONVERT(variable_value USING utf8mb4) AS SIGNED)) / 1e6, 0) " +
                    "FROM performance_schema.user_variables_by_thread WHERE variable_name = 'dabaweb_ahead'",
            ),
        );

    /** What `status` says about the age of the slave's data, in seconds. */
    async function age(): Promise<number> {
        const { stdout } = await pods.probe(slave, "status");
        return Number(/^stale: ([0-9.-]+)$/m.exec(stdout)?.[1]);
    }

    /** Waits until the slave has corrected a difference of so many seconds, and is ready with fresh data. */
    async function corrected(seconds: number): Promise<void> {
        await waitFor(`the slave to correct ${seconds} s`, 60, async () => {
            return Math.abs((await correction()) - seconds) < 5 && (await age()) < 5;
        });
        await pods.ready(slave);
    }

    for (const seconds of [HOUR, -HOUR, 0]) {
        it(`know the age of a slave's data if the slave's clock is wrong by ${seconds} s`, async () => {
            await step(slave, seconds);
            await corrected(seconds);
        });
    }

    for (const seconds of [HOUR, -HOUR, 0]) {
        it(`know the age of a slave's data if the master's clock is wrong by ${seconds} s`, async () => {
            await step(master, seconds);
            await corrected(-seconds);
        });
    }

    it("do not pass for fresh because the slave's clock is behind", async () => {
        await step(slave, -HOUR);
        await corrected(-HOUR);
        await pods.outdate(slave, 10);
        await corrected(-HOUR);
    });

    it("know the age again after a restart of a slave whose clock is ahead", async () => {
        await step(slave, HOUR);
        await pods.restart(slave);
        await corrected(HOUR);
    });
});
