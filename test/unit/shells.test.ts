import assert from "assert";

import { Shells } from "../support/shells";

/** A bash of this machine stands for one in a container; a place is what it calls itself. */
const shells = new Shells((place) => ["bash", "-c", 'exec -a "$0" bash', place]);

describe("a shell that stays open", () => {
    it("gives what a program says and how it ends, each by itself", async () => {
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

    it("takes arguments and input as they are, whatever a shell would make of them", async () => {
        const odd = 'it\'s "$HOME" \\ `id` *\nsecond line ; exit 1 | & é';
        assert.strictEqual((await shells.run("one", ["printf", "%s", odd])).stdout, odd);
        assert.strictEqual((await shells.run("one", ["cat"], { input: odd })).stdout, odd);
        assert.strictEqual((await shells.run("one", ["cat"])).stdout, "", "without input there is none");
    });

    it("is the same one for one command after the other, and another one for each at the same time", async () => {
        const pid = async () => (await shells.run("two", ["bash", "-c", "echo $PPID"])).stdout;
        const first = await pid();
        assert.strictEqual(await pid(), first);
        const [one, other] = await Promise.all([pid(), pid()]);
        assert.notStrictEqual(one, other);
        shells.forget("two");
        assert.notStrictEqual(await pid(), first);
    });

    it("says so when the place ends under a command, and opens another one for the next", async () => {
        const ended = await shells.run("three", ["bash", "-c", "echo before; kill -9 $PPID"]);
        assert.notStrictEqual(ended.code, 0);
        assert.match(ended.stderr, /ended by SIGKILL/);
        assert.strictEqual((await shells.run("three", ["echo", "again"])).stdout, "again\n");
    });

    it("ends a command that takes longer than it may", async () => {
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
