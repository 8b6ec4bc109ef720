/** The forms that texts in the stack configuration may have, each with the words that describe it to the user. */
import { z } from "zod";

import { QUANTITY_PATTERN, quantityValue } from "../components/quantity";

/**
 * Text that fits.
 *
 * @param allowed what fits, in words. docs/config.md shows these words, and so does every refusal of another value.
 */
function fitting(fits: (value: string) => boolean, allowed: string) {
    // Stops checking this value, so that no rule compares anything with it.
    return z.string().refine(fits, { abort: true }).meta({ allowed });
}

function matching(form: RegExp, allowed: string, longest = 253) {
    return fitting((value) => value.length <= longest && form.test(value), allowed);
}

const LABEL = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";
const NAME = `${LABEL}(?:\\.${LABEL})*`;
const LABEL_VALUE = "[A-Za-z0-9](?:[-._A-Za-z0-9]{0,61}[A-Za-z0-9])?";

/** A namespace that does not belong to Kubernetes itself. */
export const namespaceName = matching(
    new RegExp(`^(?!kube-)${LABEL}$`),
    "1 to 63 lowercase letters, digits and dashes, not beginning with kube-, for example dabaweb-dev",
    63,
);

/** Name of any other object. */
export const objectName = matching(
    new RegExp(`^${NAME}$`),
    "an object name of lowercase letters, digits, dashes and dots",
);

/** Unset, "" and a name are three different things. */
export const storageClassName = matching(
    new RegExp(`^(?:${NAME})?$`),
    'the name of a class, "" for no dynamic provisioning, or unset for the cluster\'s default class',
);

/** Key of a label or taint, as Kubernetes accepts it. */
export const labelKey = matching(
    new RegExp(`^(?:${NAME}/)?${LABEL_VALUE}$`),
    "a label key, for example kubernetes.io/hostname",
    317,
);

/** Value of a label or taint, as Kubernetes accepts it. */
export const labelValue = matching(
    new RegExp(`^(?:${LABEL_VALUE})?$`),
    "up to 63 letters, digits, dots, _ and -",
    63,
);

/** A name that someone else chose, with any characters. */
export const anyName = matching(/^(?!\s)[^\p{Cc}\p{Cs}]+(?<!\s)$/u, "a name of 1 to 253 characters");

/** A text that this program only passes on, with any characters. */
export const anyText = matching(/^\P{Cs}*$/u, "up to 10,000 characters", 10_000);

/** A word that the operator makes up. */
export const word = matching(
    /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
    "a word of 1 to 40 letters, digits, dots, _ or -",
    40,
);

/** The fields of a cron expression: their range, and the names that stand for its numbers. */
const CRON_FIELDS: readonly { least: number; most: number; names?: readonly string[] }[] = [
    { least: 0, most: 59 },
    { least: 0, most: 23 },
    { least: 1, most: 31 },
    { least: 1, most: 12, names: "jan feb mar apr may jun jul aug sep oct nov dec".split(" ") },
    { least: 0, most: 6, names: "sun mon tue wed thu fri sat".split(" ") },
];

function isCronField(field: string, { least, most, names = [] }: (typeof CRON_FIELDS)[number]): boolean {
    const valueOf = (text: string): number => {
        const named = names.indexOf(text.toLowerCase());
        return named >= 0 ? least + named : /^\d\d?$/.test(text) ? Number(text) : NaN;
    };
    return field.split(",").every((part) => {
        const match = /^(?:\*|(\w+)(?:-(\w+))?)(?:\/[1-9]\d?)?$/.exec(part);
        const [, first, last = first] = match ?? [];
        if (first === undefined || last === undefined) {
            return match !== null;
        }
        return least <= valueOf(first) && valueOf(first) <= valueOf(last) && valueOf(last) <= most;
    });
}

/** What Kubernetes accepts next to a time zone, but always in five fields: no TZ= in front, no @daily. */
export const cronSchedule = fitting((value) => {
    const fields = value.split(" ");
    return (
        value.length <= 253 &&
        fields.length === CRON_FIELDS.length &&
        fields.every((field, at) => isCronField(field, CRON_FIELDS[at]!))
    );
}, "a cron expression of five fields, the last one 0 (Sunday) to 6, for example 17 3 * * *");

const HOST_LABEL = "[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?";
const HOST = `${HOST_LABEL}(?:\\.${HOST_LABEL})*`;
const PORT = ":(?:[1-9]\\d{0,3}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d\\d|655[0-2]\\d|6553[0-5])";
/** Docker reads a host without a dot or a port as the name of a Docker Hub user. */
const REGISTRY = `(?:localhost|(?=[^/]*[.:])${HOST})(?:${PORT})?`;
const REPOSITORY = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";

/** Where images are stored, without a scheme. */
export const imagePrefix = matching(
    new RegExp(`^${REGISTRY}(?:/${REPOSITORY})*$`),
    "host[:port][/path] without a scheme, for example registry.example.com/team",
);

const TAG = ":[A-Za-z0-9_][-.A-Za-z0-9_]*";
const DIGEST = "@sha256:[0-9a-f]{64}";

/** An image that someone else maintains. */
export const taggedImage = matching(
    new RegExp(`^(?:${REGISTRY}/)?${REPOSITORY}(?:/${REPOSITORY})*(?:${TAG}(?:${DIGEST})?|${DIGEST})$`),
    "an image by tag, by digest or by both, for example registry.example.com/base/redis:8@sha256:<64 hex digits>",
    512,
);

/** An image that can never become another one. */
export const pinnedImage = matching(
    new RegExp(`^(?:${REGISTRY}/)?${REPOSITORY}(?:/${REPOSITORY})*(?:${TAG})?${DIGEST}$`),
    "an image pinned by digest, <repository>@sha256:<64 hex digits>",
    512,
);

/** A site's host name, as an Ingress accepts it: not an IP address. */
export const hostName = matching(
    new RegExp(`^(?!\\d+(?:\\.\\d+){3}$)${NAME}$`),
    "a lowercase host name, for example dabaweb.example.com",
);

const ANY_HOST = `(?:${HOST}|\\[[0-9a-f:.]+\\])`;

/** A host that a browser may request, as Django reads it. */
export const siteHost = matching(
    new RegExp(`^${ANY_HOST}$`),
    "a host name or IP address without scheme or port, for example 10.0.0.1 or [fd00::1]",
);

const ORIGIN = new RegExp(`^https?://${ANY_HOST}(?:${PORT})?/?$`);

/** Scheme, host and port, as strictly as Django reads them. */
export const origin = fitting(
    (value) => value.length <= 253 && ORIGIN.test(value) && URL.canParse(value),
    "http(s)://host[:port] without a path, for example https://dabaweb.example.com",
);

/** An address without credentials, because Pulumi's state stores it in plain text. */
export const openUrl = fitting(
    (value) => value.length <= 1000 && /^https?:\/\/[!-?A-~]+$/.test(value) && URL.canParse(value),
    "an http or https address without user name and password",
);

/** A bucket as every S3 store accepts it. */
export const bucketName = matching(
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
    "3 to 63 lowercase letters, digits, dots and dashes",
    63,
);

/** A place in a bucket. */
export const storePath = matching(
    /^(?!.*\.\.)[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/,
    "a path of letters, digits, dots, _ and -, without a slash at either end, for example team/prod",
    200,
);

/** A region of a store. */
export const regionName = matching(/^[A-Za-z0-9-]+$/, "a region, for example eu-central-1", 63);

/** The public half of a pair of keys. */
export const accessKey = matching(/^[!-~]+$/, "an access key without spaces", 256);

/** Name of a base, or the newest one's. */
export const baseName = matching(
    /^(?:latest|\d{8}T\d{6}Z)$/,
    "latest, or the name of a base, for example 20260102T013700Z",
    16,
);

/** A time to restore to. */
export const pointInTime = matching(
    /^(?:latest|\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?Z)$/,
    "latest, or a time in UTC, for example 2026-01-02T03:04:05Z",
    27,
);

/** One transaction of MySQL. */
export const transaction = matching(
    /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[1-9]\d{0,18}$/,
    "a transaction as a UUID and a number, for example 3e11fa47-71ca-11e1-9e33-c80aa9429562:23",
    56,
);

/** What an operator makes up once for each restore. */
export const restoreWord = matching(
    /^[A-Za-z0-9._-]{1,64}$/,
    "up to 64 letters, digits, dots, _ and -, for example 2026-01-02-dropped-table",
    64,
);

/** Name of an account. A colon would end it. */
export const userName = matching(/^[^\s:\p{Cc}\p{Cs}]+$/u, "a user name without spaces and colons");

/** Never shown in a message, whatever is wrong with it. */
export const password = matching(/^[^\p{Cc}\p{Cs}]+$/u, "the password or token", 65_536).meta({
    secret: true,
});

/** For each form of quantity, the amount in its range that is nearest to a text; undefined if the text is no such quantity. */
export const nearestAmounts = z.registry<{ readonly nearest: (text: string) => string | undefined }>();

function quantity(units: RegExp, least: string, most: string, examples: string) {
    const nearest = (text: string): string | undefined => {
        // No one needs more digits than that, and Kubernetes would round them.
        if (text.length > 20 || !QUANTITY_PATTERN.test(text) || !units.test(text)) {
            return undefined;
        }
        const amount = quantityValue(text);
        return amount < quantityValue(least) ? least : amount > quantityValue(most) ? most : text;
    };
    return fitting(
        (value) => nearest(value) === value,
        `${least} to ${most}, for example ${examples}`,
    ).register(nearestAmounts, { nearest });
}

/** CPU cores. */
export const cores = quantity(/\dm?$/, "1m", "256", "250m or 2");

/** Bytes, always with a unit: no one means 256 bytes by "256", or a quarter of a byte by "250m". */
export function bytes(least: string, most: string, examples: string) {
    return quantity(/(?:k|[MGTP]|[KMGTP]i)$/, least, most, examples);
}
