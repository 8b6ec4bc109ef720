/**
 * The contents of the official images that the product is built on, according to their Dockerfiles and package lists. A
 * machine that reaches Docker Hub uses them; a stand-in from local/from-source never contains more. Sources:
 * docker-library/mysql 9.7/Dockerfile.oracle and repo-info's list of 9.7.1, packaging/rpm-docker of mysql-server;
 * redis/docker-library-redis debian/Dockerfile;
 * nginxinc/docker-nginx Dockerfile-debian.template; docker-library/python 3.13/trixie and 3.13/slim-trixie;
 * nodejs/docker-node 24/trixie-slim; rclone/rclone Dockerfile; prometheus/node_exporter Dockerfile, prometheus/busybox glibc.
 */
export interface OfficialImage {
    /** The account that the image has for its server. */
    readonly user?: { readonly name: string; readonly uid: number; readonly gid: number };
    readonly config: {
        readonly Entrypoint?: readonly string[];
        readonly Cmd?: readonly string[];
        readonly WorkingDir?: string;
        readonly StopSignal?: string;
        readonly Volumes?: readonly string[];
        readonly ExposedPorts?: readonly string[];
        /** Names of variables. */
        readonly Env: readonly string[];
    };
    /** Files and folders. */
    readonly present: readonly string[];
    /** Programs that are not on PATH, and files that do not exist. */
    readonly absent: readonly string[];
    /** What the image has and a stand-in does not, with the reason. */
    readonly notInStandIn: Readonly<Record<string, string>>;
    /** Lines of its configuration files. */
    readonly files?: Readonly<Record<string, readonly string[]>>;
    readonly locales?: readonly string[];
}

const paths = (folder: string, ...names: string[]): string[] => names.map((name) => `${folder}/${name}`);

/** Programs that Debian's smallest image lacks and no server image adds. */
const NOT_IN_DEBIAN_SLIM = [
    ...["ps", "pgrep", "pkill", "top", "free", "killall", "less", "file", "nc", "ip", "jq", "vi", "nano"],
    ...["gcc", "make", "wget", "socat", "strace", "python3"],
];

export const OFFICIAL: Readonly<Record<string, OfficialImage>> = {
    redis: {
        user: { name: "redis", uid: 999, gid: 999 },
        config: {
            Entrypoint: ["docker-entrypoint.sh"],
            Cmd: ["redis-server"],
            WorkingDir: "/data",
            Volumes: ["/data"],
            ExposedPorts: ["6379/tcp"],
            Env: ["REDIS_VERSION"],
        },
        present: [
            ...paths(
                "/usr/local/bin",
                ...["docker-entrypoint.sh", "redis-benchmark", "redis-check-aof", "redis-check-rdb"],
                ...["redis-cli", "redis-sentinel", "redis-server"],
            ),
            "/usr/share/zoneinfo/UTC",
        ],
        absent: [...NOT_IN_DEBIAN_SLIM, "openssl", "curl", "/usr/bin/redis-server", "/etc/redis"],
        notInStandIn: {
            "/usr/local/lib/redis/modules":
                "Debian does not package them, and only the official entrypoint loads them",
        },
    },
    nginx: {
        user: { name: "nginx", uid: 101, gid: 101 },
        config: {
            Entrypoint: ["/docker-entrypoint.sh"],
            Cmd: ["nginx", "-g", "daemon off;"],
            StopSignal: "SIGQUIT",
            ExposedPorts: ["80/tcp"],
            Env: ["NGINX_VERSION"],
        },
        present: [
            ...["/usr/sbin/nginx", "/usr/bin/curl", "/usr/bin/envsubst", "/docker-entrypoint.sh"],
            ...["/docker-entrypoint.d", "/etc/nginx/nginx.conf", "/etc/nginx/conf.d", "/var/cache/nginx"],
        ],
        absent: NOT_IN_DEBIAN_SLIM,
        notInStandIn: Object.fromEntries(
            ["xslt_filter", "geoip", "image_filter", "js"].map((module) => [
                `/usr/lib/nginx/modules/ngx_http_${module}_module.so`,
                "the product loads no module, and this one needs additional libraries",
            ]),
        ),
    },
    mysql: {
        user: { name: "mysql", uid: 999, gid: 999 },
        config: {
            Entrypoint: ["docker-entrypoint.sh"],
            Cmd: ["mysqld"],
            Volumes: ["/var/lib/mysql"],
            ExposedPorts: ["3306/tcp", "33060/tcp"],
            Env: ["MYSQL_MAJOR", "MYSQL_VERSION"],
        },
        present: [
            ...paths("/usr/sbin", "mysqld"),
            ...paths(
                "/usr/bin",
                ...["mysql", "mysqladmin", "mysqldump", "mysql_tzinfo_to_sql", "mysql_migrate_keyring"],
                ...[
                    "my_print_defaults",
                    "awk",
                    "bash",
                    "bzip2",
                    "curl",
                    "find",
                    "gawk",
                    "getent",
                    "gpg",
                    "grep",
                ],
                ...["gzip", "locale", "openssl", "sed", "sh", "tar", "timeout", "xargs", "xz", "zstd"],
            ),
            ...paths("/usr/local/bin", "docker-entrypoint.sh", "gosu"),
            ...["/etc/my.cnf", "/etc/mysql/conf.d", "/docker-entrypoint-initdb.d", "/var/lib/mysql-files"],
        ],
        absent: [
            // util-linux
            ...[
                "flock",
                "setpriv",
                "lsblk",
                "unshare",
                "nsenter",
                "mount",
                "umount",
                "findmnt",
                "more",
                "su",
                "logger",
            ],
            ...[
                "rev",
                "script",
                "taskset",
                "kill",
                "hexdump",
                "column",
                "getopt",
                "ionice",
                "prlimit",
                "setsid",
            ],
            // procps and other programs that a shell user expects
            ...[
                "ps",
                "pgrep",
                "pkill",
                "top",
                "free",
                "vmstat",
                "watch",
                "hostname",
                "which",
                "less",
                "diff",
                "cmp",
            ],
            ...[
                "file",
                "perl",
                "python3",
                "nc",
                "ip",
                "jq",
                "envsubst",
                "dash",
                "vi",
                "gcc",
                "apt-get",
                "dpkg",
            ],
            // from MySQL, removed by the package's own spec
            ...["mysqlbinlog", "mysqlcheck", "mysqlimport", "mysqlshow", "mysqlslap", "mysql_config_editor"],
            ...["mysql_secure_installation", "mysqldumpslow", "mysqld_safe", "mysqld_multi", "innochecksum"],
            ...["ibd2sdi", "perror", "myisamchk", "myisam_ftdump", "myisamlog", "myisampack", "mysqlpump"],
            // from the commercial edition, whatever Debian builds
            ...paths(
                "/usr/lib/mysql/plugin",
                "component_group_replication_elect_prefers_most_updated.so",
                "component_group_replication_flow_control_stats.so",
                "component_group_replication_resource_manager.so",
                "component_replication_applier_metrics.so",
                "thread_pool.so",
            ),
        ],
        notInStandIn: {
            "/usr/bin/mysqlsh": "Debian does not package MySQL Shell",
            "/usr/bin/mysql_config": "Debian has it with the headers, which nothing here compiles against",
            "/usr/bin/microdnf": "it belongs to Oracle Linux",
            "/usr/bin/rpm": "it belongs to Oracle Linux",
        },
        files: {
            "/etc/my.cnf": [
                ...["[mysqld]", "skip-name-resolve", "datadir=/var/lib/mysql", "user=mysql"],
                ...[
                    "secure-file-priv=/var/lib/mysql-files",
                    "[client]",
                    "socket=/var/run/mysqld/mysqld.sock",
                ],
                "!includedir /etc/mysql/conf.d/",
            ],
        },
        locales: ["C", "C.utf8", "POSIX"],
    },
    python: {
        config: { Cmd: ["python3"], Env: ["PATH", "PYTHON_VERSION"] },
        present: [
            ...paths("/usr/local/bin", "pip", "pip3", "pydoc", "pydoc3", "python", "python3", "python3.13"),
            ...["/etc/ssl/certs/ca-certificates.crt", "/etc/protocols", "/usr/share/zoneinfo/UTC"],
        ],
        absent: [
            ...NOT_IN_DEBIAN_SLIM.filter((name) => name !== "python3"),
            ...["curl", "/usr/bin/python3", "/usr/lib/python3.13/EXTERNALLY-MANAGED"],
        ],
        notInStandIn: { "/usr/local/bin/idle": "Debian has it with Tk, which no server needs" },
    },
    "python-build": {
        config: { Cmd: ["python3"], Env: ["PATH", "PYTHON_VERSION"] },
        present: [
            ...paths("/usr/local/bin", "pip", "python", "python3", "python3-config"),
            ...paths("/usr/bin", "gcc", "make", "pkg-config"),
        ],
        // Mercurial adds another python3 in /usr/bin, which comes after the image's own on PATH.
        absent: [],
        notInStandIn: Object.fromEntries(
            ["g++", "git", "hg", "svn", "wget"].map((program) => [
                `/usr/bin/${program}`,
                "buildpack-deps has it, and the build of the product does not need it",
            ]),
        ),
    },
    node: {
        user: { name: "node", uid: 1000, gid: 1000 },
        config: { Entrypoint: ["docker-entrypoint.sh"], Cmd: ["node"], Env: ["NODE_VERSION"] },
        present: [
            ...paths("/usr/local/bin", "docker-entrypoint.sh", "node", "nodejs", "npm", "npx"),
            ...["/usr/local/lib/node_modules/npm/package.json", "/home/node"],
        ],
        absent: [
            ...NOT_IN_DEBIAN_SLIM,
            ...["curl", "git", "g++", "openssl", "update-ca-certificates", "/usr/share/ca-certificates"],
        ],
        notInStandIn: Object.fromEntries(
            ["corepack", "yarn", "yarnpkg"].map((program) => [
                `/usr/local/bin/${program}`,
                "the examples' images are built with npm",
            ]),
        ),
    },
    rclone: {
        config: { Entrypoint: ["rclone"], WorkingDir: "/data", Env: ["XDG_CONFIG_HOME"] },
        present: [
            "/usr/local/bin/rclone",
            ...paths("/bin", "busybox", "cat", "sh", "sleep"),
            "/etc/ssl/certs/ca-certificates.crt",
        ],
        absent: [
            "bash",
            "perl",
            "python3",
            "curl",
            "openssl",
            "apt-get",
            "jq",
            "gcc",
            "make",
            "strace",
            "zstd",
        ],
        notInStandIn: {
            "/usr/bin/fusermount3": "the product mounts nothing",
            "/usr/share/zoneinfo/UTC": "the product's times are in UTC, which needs no file",
        },
    },
    "node-exporter": {
        user: { name: "nobody", uid: 65534, gid: 65534 },
        config: { Entrypoint: ["/bin/node_exporter"], ExposedPorts: ["9100/tcp"], Env: [] },
        present: paths("/bin", "busybox", "cat", "node_exporter", "sh", "sleep", "wget"),
        absent: [
            ...["bash", "perl", "python3", "curl", "openssl", "apt-get", "jq", "gcc", "make", "strace"],
            ...["/usr/bin/prometheus-node-exporter", "/etc/ssl/certs"],
        ],
        notInStandIn: { "/license/LICENSE": "Debian's package has it in another place" },
    },
};
