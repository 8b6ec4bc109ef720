import { Resource, rules } from "../../policy/rules";
import type { Recorded } from "./program";

/** A recorded resource as a rule sees it. */
export function asSeen({ type, name, urn, inputs, options }: Recorded): Resource {
    return {
        type,
        name,
        urn,
        props: inputs,
        protect: options.protect === true,
        secretOutputs: (options.additionalSecretOutputs ?? []) as readonly string[],
    };
}

/** The violations of all rules in a stack, as `<rule>: <message>`. */
export function violations(resources: readonly Resource[], isProduction: boolean): string[] {
    return rules.flatMap(({ name, resource, stack }) =>
        [
            ...resources.flatMap((each) => resource?.(each) ?? []),
            ...(stack?.(resources, isProduction) ?? []).map(({ message }) => message),
        ].map((message) => `${name}: ${message}`),
    );
}
