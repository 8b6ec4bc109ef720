/** How busy this machine's processors are. */
import * as os from "node:os";

/** Seconds that all of them together were busy and idle since the machine started; both 0 if it does not report them. */
export function processorSeconds(): { readonly busy: number; readonly idle: number } {
    const times = os.cpus().map((cpu) => cpu.times);
    const idle = times.reduce((sum, each) => sum + each.idle, 0) / 1000;
    const busy = times.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, 0) / 1000;
    return { busy, idle };
}
