import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { generatedPassword } from "./credentials";
import {
    Dataset,
    DATASET_DEFAULTS,
    FirstContainer,
    masterEnv,
    MasterOptions,
    SLAVE_DEFAULTS,
    slaveEnv,
    SlaveOptions,
} from "./dataset";
import { initialisedMarker } from "./marker";
import { labels, Resources } from "./pod";
import { type RolloutOrder, slavesGoFirst } from "./rollout";
import type { Spread } from "./spread";

/** Arguments of every master with slaves. */
export interface ReplicatedArgs {
    readonly namespace: pulumi.Input<string>;
    /** The images of the pair. */
    readonly images: {
        /** Image references. */
        readonly master: pulumi.Input<string>;
        readonly slave: pulumi.Input<string>;
        /** What each is built on, by tag, for example mysql:9.7.4@sha256:.... Default: not known. */
        readonly bases?: { readonly master?: string; readonly slave?: string };
        /** Platform of the images: the pods run on no other node. Default: any node. */
        readonly platform?: string;
    };
    /** Default: every default of {@link MasterOptions}. */
    readonly master?: MasterOptions;
    /** Default: every default of {@link SlaveOptions}. */
    readonly slave?: SlaveOptions;
    /** Image pull secret. Default: none. */
    readonly pullSecret?: pulumi.Input<string>;
    /**
     * true: volumes and passwords cannot be deleted until they are unprotected. Even then the volumes outlive the stack, and
     * the next deployment uses them again. Default: false.
     */
    readonly protect?: boolean;
    /**
     * slavesFirst: in an update, the master's pod is not replaced before every slave runs its new revision and is ready. If the
     * master is not ready when the update begins, it does not wait. together: it never waits. Default: slavesFirst.
     */
    readonly rollout?: RolloutOrder;
    /**
     * How the pods of the system, master and slaves together, are spread over the nodes. required: two never share a node while
     * another one is free. Do not require it if existing volumes tie two of them to one node. Default: preferred.
     */
    readonly spread?: Spread;
}

/** Environment variables. */
export type Env = Readonly<Record<string, string>>;

/** What an engine adds to the pods of one role. */
interface Role {
    /** The environment of its containers, made of what every engine gets and of the containers' resources. */
    readonly env: (common: Env, resources: Resources) => Env;
    /** Command of an init container that fills an empty volume. Default: none. */
    readonly seedCommand?: string;
    /** An init container that runs before everything else. Default: none. */
    readonly first?: FirstContainer;
    /** Command that runs before the engine is stopped (preStop). Default: none. */
    readonly closeCommand?: string;
}

/** What distinguishes one engine from another. */
export interface Engine {
    /** Port that the engine listens on. */
    readonly port: number;
    /** Name of the folder below /run for sockets and rendered configuration, for example redis. */
    readonly runDirectory: string;
    /** Resources of a container whose options set none. */
    readonly resources: Resources;
    /** Accounts in addition to `dabaweb`; each gets a generated password. */
    readonly accounts: readonly string[];
    readonly master: Role;
    readonly slave: Role;
}

/** A master with slaves, their accounts, and the marker that keeps a master without data from starting empty. */
export abstract class Replicated extends pulumi.ComponentResource {
    /** host:port for writes: the master. */
    readonly writer: pulumi.Output<string>;
    /** host:port for reads: the ready slaves; an empty string if the stack has none. */
    readonly readers: pulumi.Output<string>;
    /** Password of the account `dabaweb`, which applications use. */
    readonly password: pulumi.Output<string>;
    /** The master's StatefulSet. What needs the master of this release depends on it: an update reaches it after the slaves. */
    readonly master: k8s.apps.v1.StatefulSet;
    /** Name of the Secret with the password of each account. */
    readonly credentials: pulumi.Output<string>;
    private readonly passwords: Readonly<Record<string, pulumi.Output<string>>>;

    protected constructor(
        type: string,
        name: string,
        args: ReplicatedArgs,
        engine: Engine,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        super(type, name, {}, opts);
        const secretOptions = { parent: this, protect: args.protect };
        this.passwords = Object.fromEntries(
            [...engine.accounts, "dabaweb"].map((each) => [
                each,
                generatedPassword(`${name}-${each}`, secretOptions),
            ]),
        );
        this.password = this.passwordOf("dabaweb");
        const credentials = new k8s.core.v1.Secret(
            `${name}-credentials`,
            {
                metadata: {
                    name: `${name}-credentials`,
                    namespace: args.namespace,
                    labels: labels(name, name),
                },
                stringData: this.passwords,
            },
            { parent: this },
        );
        this.credentials = credentials.metadata.name;
        const shared = {
            system: name,
            namespace: args.namespace,
            port: engine.port,
            runDirectory: engine.runDirectory,
            credentials: credentials.metadata.name,
            pullSecret: args.pullSecret,
            protect: args.protect,
            platform: args.images.platform,
            spread: args.spread,
        };
        const defaults = { ...DATASET_DEFAULTS, resources: engine.resources };
        const masterOptions = withDefaults(defaults, args.master);
        const slaveOptions = withDefaults({ ...defaults, ...SLAVE_DEFAULTS }, args.slave);
        const slaves = `${name}-slave`;
        const order = args.rollout ?? "slavesFirst";
        const marker = `${name}-initialised`;
        const slave = new Dataset(
            slaves,
            {
                ...shared,
                ...slaveOptions,
                ...engine.slave,
                image: args.images.slave,
                base: args.images.bases?.slave,
                // Otherwise the master waits for nothing.
                remedy:
                    order === "slavesFirst"
                        ? `${name}-master, if it was ready, is updated after that (if the slaves need its update to become ready, ` +
                          "set rollout to together and update again)"
                        : undefined,
                env: engine.slave.env(
                    slaveEnv(slaveOptions, `${name}-master`, slaves, engine.port),
                    slaveOptions.resources,
                ),
            },
            { parent: this },
        );
        const master = new Dataset(
            `${name}-master`,
            {
                ...shared,
                ...masterOptions,
                ...engine.master,
                image: args.images.master,
                base: args.images.bases?.master,
                replicas: 1,
                env: engine.master.env(
                    masterEnv(masterOptions, slaves, engine.port),
                    masterOptions.resources,
                ),
                initialisedMarker: marker,
                after: async (before) =>
                    slavesGoFirst(order, before, await slave.before, slaveOptions.replicas)
                        ? [await slave.rolledOut]
                        : [],
            },
            { parent: this },
        );
        initialisedMarker(
            marker,
            name,
            args.namespace,
            { slaves: slaveOptions.replicas, bootstrap: masterOptions.bootstrap ?? "" },
            master.rolledOut,
            { parent: this, protect: args.protect },
        );
        this.master = master.statefulSet;
        this.writer = master.address;
        this.readers = slaveOptions.replicas > 0 ? slave.address : pulumi.output("");
        this.registerOutputs({ writer: this.writer, readers: this.readers });
    }

    /** The generated password of one of the engine's accounts. */
    protected passwordOf(account: string): pulumi.Output<string> {
        const found = this.passwords[account];
        if (found === undefined) {
            throw new Error(`there is no account ${account}`);
        }
        return found;
    }
}

/** An option that is undefined, such as a setting that a stack file does not have, is not given: its default applies. */
function withDefaults<Defaults extends object, Options extends object>(
    defaults: Defaults,
    options: Options = {} as Options,
): Defaults & Options {
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    return { ...defaults, ...(given as Options) };
}
