/**
 * Runs the program with mocks and prints the resource graph of each stack file as JSON, by file:
 *
 *     node -r ts-node/register/transpile-only review/recorder.ts Pulumi.dev.yaml Pulumi.prod.yaml
 *
 * It runs the program in the working directory. record-graphs.ts starts this with an environment that gives no access to a
 * cluster or Docker; access to the registry is blocked here.
 */
import * as fs from "fs";
import * as path from "path";

import * as pulumi from "@pulumi/pulumi";
import type { RegisterResourceRequest } from "@pulumi/pulumi/proto/resource_pb";
import type { MockResourceArgs, MockResourceResult } from "@pulumi/pulumi/runtime/mocks";

import { PROJECT } from "../config";
import { generatedName, Graph, GraphResource, SECRET, UNKNOWN } from "./graph";
import { withoutSecrets } from "./stack-config";

type Properties = Record<string, unknown>;
type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Fields of a request that are not options: recorded elsewhere, a capability of the SDK, or a path on this machine. */
const NOT_OPTIONS = [
    "type, name, parent, custom, object, provider, dependenciesList, propertydependenciesMap, providersMap",
    "deletebeforereplacedefined, replacementTrigger, packageref",
    "acceptsecrets, acceptresources, acceptsByteString, aliasspecs, supportspartialvalues, supportsresultreporting",
    "sourceposition, stacktrace, parentstacktracehandle, snippetid",
].flatMap((fields) => fields.split(", "));

/** Options by the names that programs use for them; any other option keeps the name it is sent with. */
const OPTION_NAMES: Readonly<Record<string, string>> = {
    additionalsecretoutputsList: "additionalSecretOutputs",
    aliasurnsList: "aliases",
    customtimeouts: "customTimeouts",
    deletebeforereplace: "deleteBeforeReplace",
    deletedwith: "deletedWith",
    hidediffsList: "hideDiffs",
    ignorechangesList: "ignoreChanges",
    importid: "import",
    replaceonchangesList: "replaceOnChanges",
    replaceWithList: "replaceWith",
    retainondelete: "retainOnDelete",
    transformsList: "transforms",
};

/** Pulumi's runtime keeps its state in a store. This gives each run a new one, without which a second run is impossible. */
const { withLocalStorage, getStore } = require("@pulumi/pulumi/runtime/state") as {
    withLocalStorage<T>(callback: () => Promise<T>): Promise<T>;
    getStore(): { supportsAliasSpecs: boolean };
};

/** The parts of the mocks that are replaced. */
interface Monitor {
    newUrn(parent: string, type: string, name: string): string;
    registerResource(request: RegisterResourceRequest, callback: unknown): Promise<void>;
    registerResourceOutputs(request: OutputsRequest, callback: unknown): void;
}

interface OutputsRequest {
    getUrn(): string;
    getOutputs(): Parameters<typeof pulumi.runtime.deserializeProperties>[0];
}

/** What a provider adds to the inputs, limited to what the program reads. */
function stateOf({ type, name, inputs, id }: MockResourceArgs): MockResourceResult {
    const state = { ...(inputs as Properties) };
    if (type === "random:index/randomPassword:RandomPassword") {
        state.result = pulumi.secret("x".repeat(32));
    } else if (type === "pulumi:pulumi:StackReference") {
        state.outputs = {};
    } else if (type.startsWith("kubernetes:")) {
        state.metadata = { name: generatedName(name), ...(inputs as { metadata?: Properties }).metadata };
    }
    return { id: id ?? `${name}-id`, state };
}

/** A URN as the engine builds it; the mocks omit all types except the parent's, and keep the stack's. */
function urnOf(parent: string, type: string, name: string): string {
    const outer = parent.split("::")[2] ?? "";
    const qualified = outer === "" || outer === "pulumi:pulumi:Stack" ? type : `${outer}$${type}`;
    return ["urn:pulumi:" + pulumi.getStack(), pulumi.getProject(), qualified, name].join("::");
}

/** Replaces secret leaves by {@link SECRET}, so that structure and keys remain and are checked. */
function redacted(value: unknown, secret = false): unknown {
    if (pulumi.runtime.isRpcSecret(value)) {
        return redacted(pulumi.runtime.unwrapRpcSecret(value), true);
    }
    if (pulumi.isUnknown(value)) {
        return secret ? SECRET : UNKNOWN;
    }
    if (Array.isArray(value)) {
        return value.map((item) => redacted(item, secret));
    }
    if (value !== null && typeof value === "object") {
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redacted(item, secret)]));
    }
    return secret ? SECRET : value;
}

function propertiesOf(struct: Parameters<typeof pulumi.runtime.deserializeProperties>[0]): Properties {
    return redacted(pulumi.runtime.deserializeProperties(struct, true)) as Properties;
}

/** A reference to a provider is its URN and an id; the mocks' id is meaningless. */
function providerUrn(reference: string): string {
    return reference.replace(/::[^:]*$/, "");
}

/** Without everything that means the same as its absence. */
function withoutDefaults(value: unknown): unknown {
    if (value === null || typeof value !== "object" || Array.isArray(value)) {
        return value === "" || value === false || (Array.isArray(value) && value.length === 0)
            ? undefined
            : value;
    }
    const entries = Object.entries(value)
        .map(([key, item]) => [key, withoutDefaults(item)] as const)
        .filter(([, item]) => item !== undefined);
    return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

function optionsOf(request: RegisterResourceRequest): Properties {
    const sent = Object.entries(request.toObject() as Properties)
        .filter(([key]) => !NOT_OPTIONS.includes(key))
        .map(([key, value]) => [OPTION_NAMES[key] ?? key, withoutDefaults(value)] as const);
    const options: Properties = Object.fromEntries(sent);
    if (request.getDeletebeforereplacedefined()) {
        // false is not the default: the provider decides that.
        options.deleteBeforeReplace = request.getDeletebeforereplace();
    }
    if (request.getProvider() !== "") {
        // The provider already has the plugin's version.
        delete options.version;
    }
    const trigger = request.getReplacementTrigger();
    if (trigger !== undefined) {
        // It may be a secret.
        options.replacementTrigger = redacted(trigger.toJavaScript());
    }
    const providers = [...request.getProvidersMap().entries()] as [string, string][];
    if (providers.length > 0) {
        options.providers = Object.fromEntries(providers.map(([pkg, ref]) => [pkg, providerUrn(ref)]));
    }
    return options;
}

function resourceOf(request: RegisterResourceRequest): GraphResource {
    const provider = request.getProvider();
    const byProperty = [...request.getPropertydependenciesMap().entries()] as [
        string,
        { getUrnsList(): string[] },
    ][];
    return {
        type: request.getType(),
        name: request.getName(),
        ...(request.getCustom() ? {} : { component: true }),
        ...(request.getParent() === "" ? {} : { parent: request.getParent() }),
        ...(provider === "" ? {} : { provider: providerUrn(provider) }),
        dependencies: [...request.getDependenciesList()].sort(),
        propertyDependencies: Object.fromEntries(
            byProperty
                .map(([key, urns]) => [key, [...urns.getUrnsList()].sort()] as const)
                .filter(([, urns]) => urns.length > 0),
        ),
        options: optionsOf(request),
        inputs: propertiesOf(request.getObject()!),
    };
}

/** The configuration as the CLI passes it: everything that is not text is JSON. */
export function handedOver(config: Properties): Record<string, string> {
    return Object.fromEntries(
        Object.entries(config).map(([key, value]) => [
            key,
            typeof value === "string" ? value : JSON.stringify(value),
        ]),
    );
}

/**
 * Runs the program in the working directory with mocks. A process can do several runs one after another, but not two at the
 * same time.
 *
 * @param config values by full key, as in a stack file.
 * @param resources receives what is registered, by URN, even if the program fails.
 * @throws what the program throws.
 */
export function record(
    config: Properties,
    stack: string,
    resources: Record<string, Writable<GraphResource>> = {},
): Promise<Graph> {
    return withLocalStorage(() => run(config, stack, resources));
}

async function run(
    config: Properties,
    stack: string,
    resources: Record<string, Writable<GraphResource>>,
): Promise<Graph> {
    pulumi.runtime.setAllConfig(handedOver(config));
    const mocks = { newResource: stateOf, call: ({ inputs }: { inputs: Properties }) => inputs };
    await pulumi.runtime.setMocks(mocks, PROJECT, stack, true, "organization");
    // Wrapped because the mocks do not pass on parent and options (https://github.com/pulumi/pulumi/issues/14421).
    const monitor = pulumi.runtime.getMonitor() as unknown as Monitor;
    monitor.newUrn = urnOf;
    const register = monitor.registerResource.bind(monitor);
    monitor.registerResource = (request, callback) => {
        const urn = urnOf(request.getParent(), request.getType(), request.getName());
        resources[urn] = resourceOf(request);
        return register(request, callback);
    };
    const registerOutputs = monitor.registerResourceOutputs.bind(monitor);
    monitor.registerResourceOutputs = (request, callback) => {
        const made = resources[request.getUrn()];
        if (made?.type === "pulumi:pulumi:Stack") {
            made.outputs = propertiesOf(request.getOutputs());
        }
        registerOutputs(request, callback);
    };
    const program = require(path.resolve("index")) as () => Promise<pulumi.Inputs>;
    try {
        await pulumi.runtime.runInPulumiStack(() => {
            // The SDK then resolves all aliases itself, including those inherited from a parent, as the engine would.
            getStore().supportsAliasSpecs = false;
            return program();
        });
    } finally {
        // Registration continues after the program ends, even if it fails.
        await pulumi.runtime.disconnect();
    }
    return { stack, resources };
}

async function main(stackFiles: readonly string[]): Promise<void> {
    globalThis.fetch = () => Promise.reject(new Error("no requests are allowed while a graph is recorded"));
    const graphs: Record<string, Graph> = {};
    for (const file of stackFiles) {
        const stack = path.basename(file).replace(/^Pulumi\.(.*)\.yaml$/, "$1");
        graphs[file] = await record(withoutSecrets(fs.readFileSync(file, "utf8")), stack);
    }
    process.stdout.write(JSON.stringify(graphs));
}

if (require.main === module) {
    main(process.argv.slice(2)).catch((error: Error) => {
        process.stderr.write(`${error.message}\n`);
        process.exit(1);
    });
}
