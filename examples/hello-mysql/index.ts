import { Config } from "@pulumi/pulumi";
import { Cluster } from "../../components/cluster";
import { Images } from "../../components/images";
import { MySQL } from "../../components/mysql";
const config = new Config();
const provider = new Cluster("kubernetes", { context: config.require("kubeContext") });
const images = new Images("images", {
    names: ["mysql-master", "mysql-slave"],
    registry: { address: config.require("registry") },
    platform: config.get("platform"),
    bases: { own: config.getObject("bases") },
}).pair("mysql");
const own = { namespace: config.require("namespace"), slave: { replicas: 2 }, database: "hello" };
const db = new MySQL("mysql", { ...own, images, master: { applicationChangesTables: true } }, { provider });
export const { writer, readers, password } = db;
