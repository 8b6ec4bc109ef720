import * as pulumi from "@pulumi/pulumi";

import { BackupStore, MySQLArchive, MySQLBases } from "./components/backup";
import { Cluster } from "./components/cluster";
import { Dabaweb } from "./components/dabaweb";
import { Images } from "./components/images";
import { MySQL } from "./components/mysql";
import { stackNamespace } from "./components/namespace";
import { Redis } from "./components/redis";
import { pullSecret } from "./components/registry";
import { shellWord } from "./components/shell";
import { baseSources, PROJECT, readConfig, StackConfig } from "./config";
import { imageNames } from "./config/contradictions";
import type { Provided, StackOutputs } from "./outputs";
import { version } from "./package.json";
import { lastUpdate, preflight } from "./preflight";

/** The program: configuration, preflight, images, systems, outputs. */
async function main(): Promise<Provided<StackOutputs>> {
    const config = readConfig();
    const cluster = await preflight(config, await lastUpdate());

    const provider = new Cluster(
        "kubernetes",
        {
            context: config.kubeContext,
            // Fixed, so that another kubeconfig path or user makes no difference. The preflight tells clusters apart.
            clusterIdentifier: `${PROJECT}-${pulumi.getStack()}`,
            // A changed password is an update of the Secret in place, not a new Secret under another name.
            enableSecretMutable: true,
            // A changed marker is updated in place, too. A replaced marker would be missing for a moment, and a master without
            // data would then start empty.
            enableConfigMapMutable: true,
        },
        // A stack that is renamed keeps it: another identifier would replace every object, and the volumes with their data.
        { ignoreChanges: ["clusterIdentifier"] },
    );

    const images = imagesOf(config);
    const namespace = stackNamespace(config.namespace, { provider });
    const shared = {
        namespace,
        pullSecret: pullSecret(config.registry, namespace, { provider }),
        protect: config.protect,
        rollout: config.rollout,
    };

    const redis = new Redis(
        "redis",
        {
            ...shared,
            images: images.pair("redis"),
            spread: cluster.spread.redis,
            master: withStorageClass(config, "redis-master"),
            slave: withStorageClass(config, "redis-slave"),
        },
        { provider },
    );

    const backup = backupOf(config, namespace, images, { provider });
    const mysql = new MySQL(
        "mysql",
        {
            ...shared,
            images: images.pair("mysql"),
            spread: cluster.spread.mysql,
            master: withStorageClass(config, "mysql-master"),
            slave: withStorageClass(config, "mysql-slave"),
            restore: config.restore && backup?.restore(config.restore, config["mysql-master"].resources),
            database: "form",
        },
        { provider },
    );
    if (config.backup !== undefined && backup !== undefined) {
        new MySQLArchive(
            "mysql-archive",
            {
                ...shared,
                ...config.backup.archive,
                store: backup,
                credentials: mysql.credentials,
                storageClass: config.backup.archive.storageClass ?? config.storageClass,
            },
            { provider },
        );
        new MySQLBases(
            "mysql-base",
            {
                ...config.backup.mysql,
                ...shared,
                store: backup,
                credentials: mysql.credentials,
                maxStaleSeconds: config["mysql-slave"].maxStaleSeconds,
                keepDays: config.backup.keepDays,
                storage: config["mysql-master"].storage,
                storageClass: config["mysql-master"].storageClass ?? config.storageClass,
            },
            { provider },
        );
    }

    new Dabaweb(
        "dabacluster",
        {
            ...shared,
            ...config.dabacluster,
            images: images.references,
            platform: images.platform,
            mysql: {
                writer: mysql.writer,
                readers: mysql.readers,
                password: mysql.password,
                migrationPassword: mysql.migrationPassword,
                master: mysql.master,
                database: "form",
            },
            redis: { writer: redis.writer, readers: redis.readers, password: redis.password },
            publicUrl: config.publicUrl,
            service: config.service,
            ingress: config.ingress,
        },
        { provider },
    );

    return {
        url: config.publicUrl,
        firstAdmin: {
            username: "admin",
            // A command, not the password: outputs are printed.
            passwordCommand:
                `kubectl --context ${shellWord(config.kubeContext)} --namespace ${config.namespace.name} get secret dabacluster-admin ` +
                "-o jsonpath='{.data.password}' | base64 -d",
        },
        namespace,
        ...(cluster.fingerprint === undefined ? {} : { cluster: cluster.fingerprint }),
        redis: { writer: redis.writer, readers: redis.readers },
        mysql: { writer: mysql.writer, readers: mysql.readers },
        images: images.digests,
        versions: { program: version, bases: images.bases },
    };
}

/** The images as the pods use them, and by digest: pinned by the stack, or built and pushed by it. */
function imagesOf(config: StackConfig): Images {
    return new Images("images", {
        names: imageNames(config),
        pinned: config.images,
        registry: config.registry,
        platform: config.platform,
        keepRemotely: config.registry.keepImages,
        bases: baseSources(config),
        pipMirror: config.mirror.pip,
        proxy: config.mirror.proxy,
    });
}

/** Where backups are kept; undefined if there are none. */
function backupOf(
    { backup, protect }: StackConfig,
    namespace: pulumi.Input<string>,
    images: Images,
    opts: pulumi.ComponentResourceOptions,
): BackupStore | undefined {
    if (backup === undefined) {
        return undefined;
    }
    const { accessKey, secretKey, credentialsSecret, prefix, ...store } = backup.store;
    return new BackupStore(
        "backup",
        {
            namespace,
            store: {
                ...store,
                prefix: prefix ?? `${PROJECT}/${pulumi.getStack()}`,
                keys: credentialsSecret ?? { accessKey: accessKey!, secretKey: secretKey! },
            },
            encryptionPassword: backup.encryptionPassword,
            protect,
            images: { mysql: images.references["mysql-backup"], platform: images.platform },
        },
        opts,
    );
}

/** The settings of a workload, with the stack's storage class if it sets none of its own. */
function withStorageClass<T extends "redis-master" | "redis-slave" | "mysql-master" | "mysql-slave">(
    config: StackConfig,
    workload: T,
): StackConfig[T] {
    return { ...config[workload], storageClass: config[workload].storageClass ?? config.storageClass };
}

export = main;
