# shellcheck shell=bash
# Shared by the probes of the MySQL images. Sourced.

# shellcheck source=decide.sh
source /opt/dabaweb/lib/decide.sh
# shellcheck source=sql.sh
source /opt/dabaweb/lib/sql.sh

readonly RUN=/run/mysqld

# ask SQL: prints the answer of this pod's server, or the client's error message. On a master, by the account whose connections nobody else
# can use up.
ask() {
    local login=()
    if [[ -e $RUN/companion.cnf ]]; then login=("--defaults-file=$RUN/companion.cnf"); fi
    mysql "${login[@]}" --connect-timeout=2 --batch --skip-column-names -e "$1" 2>&1
}

# stop_if_waiting: reports what start waits for, and exits unready.
stop_if_waiting() {
    if [[ -e $RUN/waiting ]]; then
        echo "waiting: $(<"$RUN/waiting")"
        exit 1
    fi
}

# stop_unless_identity ANSWER: exits unready unless the served data belongs to this volume.
stop_unless_identity() {
    local beside=""
    read -r beside </data/identity || true
    if [[ $1 != "$beside" ]]; then
        echo "replication.identity says \"$1\", but /data/identity says \"$beside\": this is not the data of this volume"
        exit 1
    fi
}
