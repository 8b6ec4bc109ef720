/** What this machine's processors do. */
import * as os from "node:os";

/** Seconds that all of them together have worked and idled since the machine started; both 0 where it does not say. */
export function processorSeconds(): { readonly busy: number; readonly idle: number } {
    const times = os.cpus().map((cpu) => cpu.times);
    const idle = times.reduce((sum, each) => sum + each.idle, 0) / 1000;
    const busy = times.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, 0) / 1000;
    return { busy, idle };
}
