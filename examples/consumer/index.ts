/** A separate program that uses a deployed stack: it tells its own pods where Redis and MySQL are. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

import { outputsOf } from "../../outputs";

const config = new pulumi.Config();
const dabaweb = outputsOf(new pulumi.StackReference(config.require("dabaweb")));
const provider = new k8s.Provider("kubernetes", { context: config.require("kubeContext") });

new k8s.core.v1.ConfigMap(
    "addresses",
    {
        metadata: { name: "addresses", namespace: config.require("namespace") },
        data: {
            REDIS_WRITER: dabaweb.redis.writer,
            REDIS_READERS: dabaweb.redis.readers,
            MYSQL_WRITER: dabaweb.mysql.writer,
            MYSQL_READERS: dabaweb.mysql.readers,
        },
    },
    { provider },
);

export const site = dabaweb.url;
export const nginx = dabaweb.images.nginx;
