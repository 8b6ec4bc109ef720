import { Config } from "@pulumi/pulumi";
import { Cluster } from "../../components/cluster";
import { Images } from "../../components/images";
import { Redis } from "../../components/redis";
const config = new Config();
const provider = new Cluster("kubernetes", { context: config.require("kubeContext") });
const images = new Images("images", {
    names: ["redis-master", "redis-slave"],
    registry: { address: config.require("registry") },
    platform: config.get("platform"),
    bases: { own: config.getObject("bases") },
}).pair("redis");
const namespace = config.require("namespace");
const redis = new Redis("redis", { namespace, images, slave: { replicas: 2 } }, { provider });
export const { writer, readers, password } = redis;
