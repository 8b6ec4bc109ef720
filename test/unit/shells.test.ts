import assert from "assert";

import { Shells } from "../support/shells";

/** A bash on this machine stands in for one in a container; it runs under the name of the place. */
const shells = new Shells((place) => ["bash", "-c", 'exec -a "$0" bash', place]);

describe("a shell that stays open", () => {
    it("returns what a program prints on each stream and its exit code", async () => {
        const script = "echo out; echo err >&2; exit 3";
        assert.deepStrictEqual(await shells.run("one", ["bash", "-c", script]), {
            code: 3,
            stdout: "out\n",
            stderr: "err\n",
        });
        assert.deepStrictEqual(await shells.run("one", ["printf", "no line break"]), {
            code: 0,
            stdout: "no line break",
            stderr: "",
        });
    });

    it("passes arguments and input on unchanged, whatever a shell would make of them", async () => {
        const odd = 'it\'s "$HOME" \\ `id` *\nsecond line ; exit 1 | & é';
        assert.strictEqual((await shells.run("one", ["printf", "%s", odd])).stdout, odd);
        assert.strictEqual((await shells.run("one", ["cat"], { input: odd })).stdout, odd);
        assert.strictEqual((await shells.run("one", ["cat"])).stdout, "", "without input there is none");
    });

    it("is reused for one command after another, but not for commands at the same time", async () => {
        const pid = async () => (await shells.run("two", ["bash", "-c", "echo $PPID"])).stdout;
        const first = await pid();
        assert.strictEqual(await pid(), first);
        const [one, other] = await Promise.all([pid(), pid()]);
        assert.notStrictEqual(one, other);
        shells.forget("two");
        assert.notStrictEqual(await pid(), first);
    });

    it("says so if the place ends during a command, and opens another shell for the next", async () => {
        const ended = await shells.run("three", ["bash", "-c", "echo before; kill -9 $PPID"]);
        assert.notStrictEqual(ended.code, 0);
        assert.match(ended.stderr, /ended by SIGKILL/);
        assert.strictEqual((await shells.run("three", ["echo", "again"])).stdout, "again\n");
    });

    it("ends a command that takes longer than its limit", async () => {
        const { code, stderr } = await shells.run("four", ["sleep", "5"], { timeoutSeconds: 0.2 });
        assert.strictEqual(code, 128);
        assert.match(stderr, /its limit was 0\.2 s/);
    });

    it("says why it cannot be opened", async () => {
        const none = new Shells(() => ["bash", "-c", "echo there is no such place >&2; exit 1"]);
        const { code, stderr } = await none.run("five", ["true"]);
        assert.strictEqual(code, 1);
        assert.match(stderr, /there is no such place/);
    });
});
