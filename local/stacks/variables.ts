/** The environment variables for work on one stack. */
import { readStackFile } from "../../operations/stack-file";
import { dockerChoice, exported, names } from "../places";

/** Whether the stack is on the local environment's cluster. */
export const isLocal = (stack: string): boolean => readStackFile(stack).context === names.context;

/** The local environment's variables. For another cluster, KUBECONFIG stays: cluster and kubeconfig are the user's own. */
export function stackVariables(onLocalCluster: boolean): Record<string, string> {
    const { KUBECONFIG, ...rest } = exported(dockerChoice()?.host);
    return { ...rest, ...(onLocalCluster && KUBECONFIG !== undefined ? { KUBECONFIG } : {}) };
}
