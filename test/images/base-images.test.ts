import assert from "node:assert/strict";

import { images, tagged } from "../../local/pins";
import { baseConfig, docker, Scope } from "../support/docker";
import { OFFICIAL } from "../support/official-images";

/** The format of `docker image inspect`. */
interface Config {
    readonly Entrypoint?: readonly string[] | null;
    readonly Cmd?: readonly string[] | null;
    readonly WorkingDir?: string;
    readonly StopSignal?: string;
    readonly Volumes?: object | null;
    readonly ExposedPorts?: object | null;
    readonly Env?: readonly string[] | null;
    readonly Labels?: Readonly<Record<string, string>> | null;
}

/** Stand-ins, or the official images themselves if they can be pulled. */
describe("the base images of the product's and the examples' images", () => {
    for (const { image: pinned, name } of [...images.bases, ...images.exampleBases]) {
        const image = tagged(pinned);
        describe(image, () => {
            const official = OFFICIAL[name]!;
            const scope = new Scope(`base-${name}`);
            let config: Config;
            let container: string;

            before(async () => {
                config = (await baseConfig(image)) as Config;
                const options = ["--network", "none", "--entrypoint", "sleep"];
                container = await scope.run({ image, name: "open", options, args: ["infinity"] });
            });

            after(() => scope.close());

            const said = async (...command: string[]): Promise<string[]> =>
                (await docker(["exec", container, ...command])).split("\n");

            /** The subset of these paths that exist, and of these names that are on PATH. */
            const found = async (names: readonly string[]): Promise<string[]> => {
                // BusyBox has no bash, and `command -v` also finds what is built into a shell.
                const script =
                    'IFS=:; for name; do case $name in /*) set "" ;; *) set $PATH ;; esac; ' +
                    'for folder; do if [ -e "$folder/$name" ]; then echo "$name"; break; fi; done; done; echo end';
                return (await said("sh", "-c", script, "sh", ...names)).slice(0, -1);
            };

            it("is configured like the official image", () => {
                const keys = (set: object | null | undefined) => Object.keys(set ?? {}).sort();
                const {
                    Entrypoint = [],
                    Cmd = [],
                    WorkingDir = "",
                    StopSignal = "",
                    ...more
                } = official.config;
                assert.deepEqual(config.Entrypoint ?? [], Entrypoint);
                assert.deepEqual(config.Cmd ?? [], Cmd);
                assert.equal(config.WorkingDir ?? "", WorkingDir);
                assert.equal(config.StopSignal ?? "", StopSignal);
                assert.deepEqual(keys(config.Volumes), more.Volumes ?? []);
                assert.deepEqual(keys(config.ExposedPorts), more.ExposedPorts ?? []);
                const names = (config.Env ?? []).map((each) => each.split("=")[0]!);
                assert.deepEqual(
                    more.Env.filter((name) => !names.includes(name)),
                    [],
                );
            });

            it("has what the official image has, in the same places", async () => {
                assert.deepEqual(await found(official.present), official.present);
            });

            it("has nothing that the official image lacks", async () => {
                assert.deepEqual(await found(official.absent), []);
            });

            it("lacks, as a stand-in, exactly what is listed as missing; the official image lacks none of it", async () => {
                const isStandIn = config.Labels?.["dabaweb.recipe"] !== undefined;
                const names = Object.keys(official.notInStandIn);
                assert.deepEqual(await found(names), isStandIn ? [] : names);
            });

            const { user, files, locales } = official;
            if (user !== undefined) {
                it(`has the user ${user.name} with the official image's ids`, async () => {
                    const { name, uid, gid } = user;
                    const passwd = (await said("cat", "/etc/passwd")).map((line) => line.split(":"));
                    const [, , ...ids] = passwd.find(([each]) => each === name) ?? [];
                    assert.deepEqual(ids.slice(0, 2).map(Number), [uid, gid]);
                });
            }
            for (const [file, lines] of Object.entries(files ?? {})) {
                it(`has the lines of ${file}`, async () => {
                    const there = await said("cat", file);
                    assert.deepEqual(
                        lines.filter((line) => !there.includes(line)),
                        [],
                    );
                });
            }
            if (locales !== undefined) {
                it(`has only the locales ${locales.join(", ")}`, async () => {
                    assert.deepEqual((await said("locale", "-a")).sort(), locales);
                });
            }
        });
    }
});
