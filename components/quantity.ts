const BINARY: Record<string, number> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50 };
const DECIMAL: Record<string, number> = { m: 1e-3, "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 };

/**
 * What this project accepts as a Kubernetes quantity: a plain decimal number with an optional suffix. Kubernetes also allows
 * the exponent form ("1e3"), but reviewers misread it.
 */
export const QUANTITY_PATTERN = /^(\d+(?:\.\d+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/;

/**
 * The value of a Kubernetes quantity in its base unit: bytes for memory and storage, cores for CPU.
 *
 * @throws Error if `quantity` does not match {@link QUANTITY_PATTERN}.
 */
export function quantityValue(quantity: string): number {
    const match = QUANTITY_PATTERN.exec(quantity);
    if (!match) {
        throw new Error(
            `"${quantity}" is not a Kubernetes quantity; write a number with m, k, M, G, Ki, Mi or Gi.`,
        );
    }
    const suffix = match[2] ?? "";
    return Number(match[1]) * (BINARY[suffix] ?? DECIMAL[suffix] ?? 1);
}
