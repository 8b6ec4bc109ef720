import { System } from "../support/system";

/** A site whose pages are public, and its first admin. */
export interface Site {
    readonly url: string;
    readonly adminPassword: () => Promise<string>;
}

/** The site of a deployed stack, whose password is read as `make up` says. */
export function siteOf(system: System): Site {
    return {
        url: system.url,
        adminPassword: async () => {
            const field = ["-o", "jsonpath={.data.password}"];
            const encoded = await system.kubectl(["get", "secret", "dabacluster-admin", ...field]);
            return Buffer.from(encoded, "base64").toString();
        },
    };
}
