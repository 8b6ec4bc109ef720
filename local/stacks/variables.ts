/** The environment variables for work on one stack. */
import { readStackFile } from "../../operations/stack-file";
import { dockerChoice, exported, names } from "../places";

/** Whether the stack is on the local environment's cluster. */
export const isLocal = (stack: string): boolean => readStackFile(stack).context === names.context;

/** The local environment's variables. Another cluster is yours, and so is the kubeconfig that leads to it: KUBECONFIG stays. */
export function stackVariables(onLocalCluster: boolean): Record<string, string> {
    const { KUBECONFIG, ...rest } = exported(dockerChoice()?.host);
    return { ...rest, ...(onLocalCluster && KUBECONFIG !== undefined ? { KUBECONFIG } : {}) };
}
