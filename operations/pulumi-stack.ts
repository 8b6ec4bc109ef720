/** What Pulumi's command line reports about a stack: configuration, what is deployed, what would be deleted with it. */
import { RunError } from "@pulumi/pulumi";
import { execFile } from "child_process";
import { readFileSync } from "fs";
import * as path from "path";
import { parse } from "yaml";

import { parseConfig, parseValue, PROJECT, StackConfig } from "../config";
import { oneLine } from "./facts";
import { Refusal } from "./refusal";
import { stackFile } from "./stack-file";

/** A backend that takes longer counts as unreachable. */
const ANSWER_MS = 120_000;
/** Limit for reading every object of a stack from the cluster. */
const REFRESH_MS = 600_000;

/**
 * The configuration of a stack, as the program would read it. This runs Pulumi only if a value is encrypted or comes from
 * an environment: a stack that was never deployed has a file too.
 *
 * @throws Refusal if it is not valid or cannot be decrypted.
 */
export async function stackConfig(stack: string): Promise<StackConfig> {
    const { config = {}, environment } = (parse(readFileSync(stackFile(stack), "utf8")) ?? {}) as {
        config?: Record<string, unknown>;
        environment?: unknown;
    };
    // Pulumi alone knows the values of an environment.
    const isWhole = !environment && !JSON.stringify(config).includes('"secure":');
    const values = isWhole ? valuesIn(config) : await decrypted(stack);
    try {
        return parseConfig(values, stack);
    } catch (error) {
        throw error instanceof RunError ? new Refusal(error.message) : error;
    }
}

async function decrypted(stack: string): Promise<Record<string, unknown>> {
    const text = await pulumi(["config", "--json", "--show-secrets", "--stack", stack]);
    const values = Object.entries(own(JSON.parse(text) as Record<string, { value: string }>));
    return Object.fromEntries(values.map(([key, { value }]) => [key, parseValue(key, value)]));
}

/** The values that the program reads from a stack file. When Pulumi writes it, a lone `true` or number becomes text. */
export function valuesIn(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
    return Object.fromEntries(
        Object.entries(own(config)).map(([key, value]) => [
            key,
            typeof value === "string" ? parseValue(key, value) : value,
        ]),
    );
}

/** The program's keys, without their prefix. */
function own<T>(config: Readonly<Record<string, T>>): Record<string, T> {
    const prefix = `${PROJECT}:`;
    return Object.fromEntries(
        Object.entries(config)
            .filter(([key]) => key.startsWith(prefix))
            .map(([key, value]) => [key.slice(prefix.length), value]),
    );
}

/**
 * The outputs of a stack's last update; undefined if the backend does not know the stack.
 *
 * @throws Refusal if Pulumi fails.
 */
export async function stackOutputs(stack: string): Promise<Record<string, unknown> | undefined> {
    const text = await ifKnown(pulumi(["stack", "output", "--json", "--stack", stack]));
    return text === undefined ? undefined : (JSON.parse(text) as Record<string, unknown>);
}

/**
 * Images, `<repository>@sha256:...`, that a stack built and will delete from their registry when it no longer builds them.
 *
 * @throws Refusal if Pulumi fails.
 */
export async function imagesDeletedWith(stack: string): Promise<readonly string[]> {
    const text = await ifKnown(pulumi(["stack", "export", "--stack", stack]));
    const { deployment } = JSON.parse(text ?? '{ "deployment": {} }') as {
        deployment: { resources?: PushedImage[] };
    };
    return (deployment.resources ?? [])
        .filter(
            ({ type, inputs }) =>
                type === "docker:index/registryImage:RegistryImage" && !inputs?.keepRemotely,
        )
        .map(({ outputs }) => `${outputs?.name?.replace(/:[^:/]*$/, "")}@${outputs?.sha256Digest}`);
}

/**
 * What differs between a stack's state and what is deployed, as reported by `pulumi refresh --preview-only --json`;
 * undefined if the backend does not know the stack. Images are excluded: if a registry refuses access, their provider
 * reports that the images no longer exist.
 *
 * @throws Refusal if Pulumi fails, for example because the cluster does not answer.
 */
export async function refreshPreview(stack: string): Promise<unknown> {
    const args = ["refresh", "--preview-only", "--json", "--exclude", "**RegistryImage**", "--stack", stack];
    const text = await ifKnown(pulumi(args, REFRESH_MS));
    return text === undefined ? undefined : JSON.parse(text);
}

interface PushedImage {
    readonly type: string;
    readonly inputs?: { readonly keepRemotely?: boolean };
    readonly outputs?: { readonly name?: string; readonly sha256Digest?: string };
}

/** @throws Refusal with the last line of Pulumi's error output. */
function pulumi(args: readonly string[], limit = ANSWER_MS): Promise<string> {
    const options = {
        cwd: path.dirname(__dirname),
        timeout: limit,
        // Large enough for the state of any stack; the default of 1 MiB is not.
        maxBuffer: 256 * 2 ** 20,
    };
    return new Promise((resolve, reject) => {
        const child = execFile("pulumi", [...args, "--non-interactive"], options, (error, stdout, stderr) => {
            if (error === null) {
                resolve(stdout);
                return;
            }
            const last =
                oneLine(stderr.trim().split("\n").at(-1) ?? "") || `no answer within ${limit / 1000} s`;
            reject(
                new Refusal(
                    error.code === "ENOENT"
                        ? "pulumi is not on PATH; install it, or run `make local-up` to get the local one."
                        : `\`pulumi ${args.join(" ")}\` failed: ${last}; log in to the backend that has the stack ` +
                              `(\`pulumi login\`) and use its passphrase.`,
                ),
            );
        });
        child.stdin?.end();
    });
}

async function ifKnown(answer: Promise<string>): Promise<string | undefined> {
    try {
        return await answer;
    } catch (error) {
        if (error instanceof Refusal && error.message.includes("no stack named")) {
            return undefined;
        }
        throw error;
    }
}
