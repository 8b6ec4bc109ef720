/** Images whose wall clock a test steps: nodes and containers share the host's clock, so a library of their own answers instead. */
import * as fs from "node:fs";
import * as path from "node:path";

/** Where a pod reads by how many seconds its clock is wrong; its volume survives every restart. */
export const CLOCK_FILE = "/data/stepped-clock";

/**
 * Changes the image of a workload, in a copy of the folder of images, so that its clock can be stepped.
 *
 * @param images the copy.
 */
export function withSteppedClock(images: string, workload: string): void {
    const [own, app] = [workload, "dabaweb"].map((each) => path.join(images, each, "Dockerfile"));
    const text = clockDockerfile(fs.readFileSync(own!, "utf8"), fs.readFileSync(app!, "utf8"), workload);
    fs.writeFileSync(own!, text);
    fs.copyFileSync(path.join(__dirname, "clock.c"), path.join(images, workload, "clock.c"));
}

/**
 * An image's Dockerfile, with a stage in front that compiles clock.c.
 *
 * @param app the Dockerfile of the application, whose packages are compiled on a base that has a compiler.
 */
export function clockDockerfile(own: string, app: string, workload: string): string {
    const compiler = /^ARG PYTHON_BUILD_IMAGE=.*$/m.exec(app)![0];
    const stage = [
        compiler,
        "FROM ${PYTHON_BUILD_IMAGE} AS clock",
        `COPY ${workload}/clock.c /`,
        "RUN gcc -shared -fPIC -O2 -o /clock.so /clock.c",
    ];
    const preload = [
        "COPY --from=clock /clock.so /opt/dabaweb/lib/",
        `ENV LD_PRELOAD=/opt/dabaweb/lib/clock.so STEPPED_CLOCK=${CLOCK_FILE}`,
    ];
    // The arguments of the first stage are declared above it, and so are those of all others.
    return own.replace(/^FROM .*$/m, (from) => [...stage, from, ...preload].join("\n"));
}
