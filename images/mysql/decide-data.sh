# shellcheck shell=bash
# Decisions about the data of a MySQL pod: functions over plain inputs, without a server or a file. Sourced.

# left_empty TABLES: what is wrong with a server that has tables that are not InnoDB, and the way out; nothing if it has none. The clone plugin
# copies InnoDB alone and leaves other tables without their rows: https://dev.mysql.com/doc/refman/8.4/en/clone-plugin-limitations.html
left_empty() {
    if [[ -z $1 ]]; then return 0; fi
    echo "has tables that a copy would leave empty, because they are not InnoDB ($1): run ALTER TABLE ... ENGINE=InnoDB for each of them on the" \
        "master; if the master has lost its data, on that slave, with super_read_only and sql_log_bin off"
}
