# shellcheck shell=bash
# Decisions about the data of a MySQL pod: functions over plain inputs, without a server or a file. Sourced.

# left_empty TABLES: what is wrong with a server that has tables that are not InnoDB, and the way out; nothing if it has none. The clone plugin
# copies InnoDB alone and leaves other tables without their rows: https://dev.mysql.com/doc/refman/8.4/en/clone-plugin-limitations.html
left_empty() {
    if [[ -z $1 ]]; then return 0; fi
    echo "has tables that a copy would leave empty, because they are not InnoDB ($1): run ALTER TABLE ... ENGINE=InnoDB for each of them on the" \
        "master; if the master has lost its data, on that slave, with super_read_only and sql_log_bin off"
}

# decide_broken STATUS: why a server ended before it answered. STATUS is its exit status, standard input its log. Prints "data WHY" if it cannot
# start from its data, and "other WHY" if the data is not known to be the cause, so that nothing may be replaced: no space, no memory, a wrong
# setting, another version, a volume that cannot be read or written. One hint of the second kind is enough.
decide_broken() {
    local status=$1 line="" first="" fatal=""
    local other='No space left|[Dd]isk (is )?full|(errno:?|number|error:) (5|12|13|24|28|30)[^0-9]|Invalid MySQL server (down|up)grade'
    other+='|[Cc]annot (down|up)grade|[Uu]nknown (variable|option|suffix|character set|collation)|ambiguous option|unknown-suffix|defaults? file'
    other+='|Permission denied|Read-only file system|Input/output error|[Cc]annot allocate|[Oo]ut of memory|Too many open files|Unable to lock'
    other+='|[Aa]nother (mysqld|process|instance)|lower_case_table_names|innodb[-_]page[-_]size|shared library|Bind on|run mysqld as root'
    while IFS= read -r line; do
        if [[ ! $line =~ \[ERROR\]|[Aa]ssertion\ failure|got\ signal ]]; then continue; fi
        line=${line##*\[Server\] } line=${line##*\[InnoDB\] } line=${line##*\[Repl\] }
        if [[ $line =~ $other ]]; then
            echo "other ${line:0:300}"
            return 0
        fi
        first=${first:-${line:0:300}}
    done
    case $status in
        137) fatal="it was killed, as by the kernel if memory runs out" ;;
        143) fatal="it was stopped" ;;
        126 | 127) fatal="the image has no program mysqld that runs here" ;;
    esac
    if [[ -n $fatal ]]; then
        echo "other $fatal"
    elif [[ -n $first ]]; then
        echo "data $first"
    elif ((status > 128)); then
        echo "data it crashed with signal $((status - 128))"
    else
        echo "other it ended with exit code $status and no error in its log"
    fi
}
