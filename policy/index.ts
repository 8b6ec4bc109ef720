/** The policy pack that Pulumi's engine loads: `pulumi preview --policy-pack policy`. The rules are in rules.ts. */
import { PolicyPack, PolicyResource, ResourceValidationArgs } from "@pulumi/policy";
import * as pulumi from "@pulumi/pulumi";

import { isProduction, Resource, rules } from "./rules";

function asSeen({ type, name, urn, props, opts }: PolicyResource | ResourceValidationArgs): Resource {
    return { type, name, urn, props, protect: opts.protect, secretOutputs: opts.additionalSecretOutputs };
}

new PolicyPack("dabaweb", {
    enforcementLevel: "mandatory",
    policies: rules.map(({ name, description, resource, stack }) => ({
        name,
        description,
        ...(resource && {
            validateResource: (args, report) => resource(asSeen(args)).forEach((message) => report(message)),
        }),
        ...(stack && {
            validateStack: ({ resources }, report) => {
                const all = resources.map(asSeen);
                stack(all, isProduction(all, pulumi.runtime.allConfig())).forEach(({ urn, message }) =>
                    report(message, urn),
                );
            },
        }),
    })),
});
