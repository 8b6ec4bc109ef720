/** Five web pods that share a table of one MySQL server. */
import * as pulumi from "@pulumi/pulumi";

import type { BaseSources } from "../../components/bases";
import { Cluster } from "../../components/cluster";
import { Image } from "../../components/image";
import { Images } from "../../components/images";
import { MySQL } from "../../components/mysql";
import { stackNamespace } from "../../components/namespace";
import { npmArguments } from "../../components/npm";
import { imageProvider } from "../../components/registry";
import { WebApp } from "../../components/web-app";

const config = new pulumi.Config();
const cluster = { provider: new Cluster("kubernetes", { context: config.require("kubeContext") }) };
const registry = { address: config.require("registry") };
const builder = { provider: imageProvider(registry) };
const mirror = config.getObject<{ images?: string; npm?: string; proxy?: string }>("mirror") ?? {};
const bases: BaseSources = { mirror: mirror.images, own: config.getObject("bases") };
const database = "myweb";

const platform = config.get("platform");
const images = new Images(
    "images",
    { names: ["mysql-master", "mysql-slave"], registry, bases, platform },
    builder,
);
const buildArgs = npmArguments({ mirror: mirror.npm, proxy: mirror.proxy });
const app = new Image("myweb", { folders: ["app"], registry, bases, platform, buildArgs }, builder);

const namespace = stackNamespace({ name: config.get("namespace") ?? "myweb", create: true }, cluster);
const storageClass = config.get("storageClass");
// The pods create their table themselves.
const master = { storageClass, applicationChangesTables: true };
const slave = { storageClass, replicas: config.getNumber("slaves") ?? 0 };
const mysql = new MySQL(
    "mysql",
    { namespace, images: images.pair("mysql"), master, slave, database },
    cluster,
);
new WebApp(
    "myweb",
    {
        namespace,
        image: app.reference,
        platform: app.platform,
        replicas: config.getNumber("replicas") ?? 5,
        port: 8080,
        nodePort: config.getNumber("nodePort") ?? 30001,
        env: {
            MYSQL_WRITER: mysql.writer,
            MYSQL_READERS: mysql.readers,
            MYSQL_USER: "dabaweb",
            MYSQL_DATABASE: database,
        },
        secrets: { MYSQL_PASSWORD: mysql.password },
    },
    cluster,
);
