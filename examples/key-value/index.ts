/** A key-value store over HTTP: its pods write to a Redis master and read from the master's slaves. */
import * as pulumi from "@pulumi/pulumi";

import type { BaseSources } from "../../components/bases";
import { Cluster } from "../../components/cluster";
import { Image } from "../../components/image";
import { Images } from "../../components/images";
import { stackNamespace } from "../../components/namespace";
import { npmArguments } from "../../components/npm";
import { Redis } from "../../components/redis";
import { imageProvider } from "../../components/registry";
import { WebApp } from "../../components/web-app";

const config = new pulumi.Config();
const cluster = { provider: new Cluster("kubernetes", { context: config.require("kubeContext") }) };
const registry = { address: config.require("registry") };
const builder = { provider: imageProvider(registry) };
const mirror = config.getObject<{ images?: string; npm?: string; proxy?: string }>("mirror") ?? {};
const bases: BaseSources = { mirror: mirror.images, own: config.getObject("bases") };

const platform = config.get("platform");
const images = new Images(
    "images",
    { names: ["redis-master", "redis-slave"], registry, bases, platform },
    builder,
);
const buildArgs = npmArguments({ mirror: mirror.npm, proxy: mirror.proxy });
const app = new Image("key-value-app", { folders: ["app"], registry, bases, platform, buildArgs }, builder);

const namespace = stackNamespace({ name: config.get("namespace") ?? "key-value", create: true }, cluster);
const slave = { replicas: config.getNumber("slaves") ?? 2 };
const redis = new Redis("redis", { namespace, images: images.pair("redis"), slave }, cluster);
new WebApp(
    "key-value-app",
    {
        namespace,
        image: app.reference,
        platform: app.platform,
        replicas: config.getNumber("replicas") ?? 3,
        port: 8082,
        nodePort: config.getNumber("nodePort") ?? 30003,
        env: { REDIS_WRITER: redis.writer, REDIS_READERS: redis.readers, REDIS_USER: "dabaweb" },
        secrets: { REDIS_PASSWORD: redis.password },
        awaitMinutes: config.getNumber("awaitMinutes"),
        nodeSelector: config.getObject("nodeSelector"),
        tolerations: config.getObject("tolerations"),
    },
    cluster,
);
