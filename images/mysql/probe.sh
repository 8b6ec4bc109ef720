# shellcheck shell=bash
# What the probes of the MySQL images share. Sourced.

# shellcheck source=decide.sh
source /opt/dabaweb/lib/decide.sh
# shellcheck source=sql.sh
source /opt/dabaweb/lib/sql.sh

readonly RUN=/run/mysqld

# ask SQL: the answer of this pod's server; on failure what the client said about it.
ask() {
    mysql --connect-timeout=2 --batch --skip-column-names -e "$1" 2>&1
}

# stop_if_waiting: an unready pod says what its start waits for.
stop_if_waiting() {
    if [[ -e $RUN/waiting ]]; then
        echo "waiting: $(<"$RUN/waiting")"
        exit 1
    fi
}

# stop_unless_identity ANSWER: the data that is served must be the data that belongs to this volume.
stop_unless_identity() {
    local beside=""
    read -r beside </data/identity || true
    if [[ $1 != "$beside" ]]; then
        echo "replication.identity says \"$1\", but /data/identity says \"$beside\": this is not the data of this volume"
        exit 1
    fi
}
