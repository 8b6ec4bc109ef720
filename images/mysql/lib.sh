# shellcheck shell=bash
# What the programs of the MySQL images share. Sourced.

# shellcheck source=decide.sh
source /opt/dabaweb/lib/decide.sh
# shellcheck source=sql.sh
source /opt/dabaweb/lib/sql.sh

readonly CONFIG=/opt/dabaweb/etc/my.cnf
readonly RUN=/run/mysqld
readonly DATA=/data/mysql
readonly BESIDE=/data/identity
readonly RECIPIENT=/data/seed
readonly UUID='^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'

# Files hold passwords unless said otherwise.
umask 077

# What an earlier start left: temporary files fill the volume, and the lock of a socket names a process that may exist again as another one.
prepare() {
    rm -rf /data/tmp
    mkdir /data/tmp
    rm -f "$RUN"/*.sock "$RUN"/*.sock.lock "$RUN"/*.pid "$RUN/waiting"
}

say() {
    printf '%s %s\n' "$(date -u +%FT%TZ)" "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

# pause SECONDS: a sleep that SIGTERM ends at once; a shell answers signals only between foreground commands.
pause() {
    sleep "$1" &
    wait "$!"
}

# in_background COMMAND...: its output goes to $RUN/answer, so that SIGTERM is answered while it runs.
in_background() {
    "$@" >"$RUN/answer" 2>&1 &
    wait "$!"
}

# answer_line: what the last command in the background said, in one line.
answer_line() {
    local text
    text=$(<"$RUN/answer")
    printf '%s' "${text//$'\n'/ }"
}

# hold WHY: one turn of a wait without end. Says why when that changes and every 10 s; the probes read it.
held=""
said=0
hold() {
    if [[ $1 != "$held" ]] || ((SECONDS - said >= 10)); then
        say "waiting: $1"
        held=$1 said=$SECONDS
    fi
    printf '%s\n' "$1" >"$RUN/waiting"
    pause 1
}

# setting NAME PATTERN ALLOWED: the value of an environment variable.
setting() {
    local value=${!1-}
    [[ $value =~ $2 ]] || fail "$1 is \"$value\": it must be $3; set it in the pod's environment"
    printf '%s' "$value"
}

# secret NAME: a mounted password. Only letters and digits, so that it needs no quoting in SQL and option files.
secret() {
    local value=""
    read -r value <"/run/secrets/mysql/$1" || [[ -n $value ]] || fail "the password /run/secrets/mysql/$1 is empty or missing"
    [[ $value =~ ^[A-Za-z0-9]{1,32}$ ]] || fail "the password /run/secrets/mysql/$1 must be 1 to 32 letters and digits"
    printf '%s' "$value"
}

has_data() {
    if [[ -d $DATA && -n $(ls -A "$DATA") ]]; then echo yes; else echo no; fi
}

identity_beside() {
    local value=""
    if [[ -e $BESIDE ]]; then read -r value <"$BESIDE" || true; fi
    printf '%s' "$value"
}

# write_identity IDENTITY: in one step, so that a killed start leaves no half line.
write_identity() {
    printf '%s\n' "$1" >"$BESIDE.new"
    chmod 0644 "$BESIDE.new"
    sync "$BESIDE.new"
    mv "$BESIDE.new" "$BESIDE"
}

# put_in_place NEW: makes a complete directory the data. All of it is on disk before the name is.
put_in_place() {
    sync -f "$1"
    if [[ -d $DATA ]]; then rmdir "$DATA"; fi
    mv -T "$1" "$DATA"
    sync -f /data
}

# find_identity DIRECTORY EXPECTED: sets `inside` to the identity in replication.identity of a data directory, empty if there is none.
# The usual case costs no server: the table's file contains what is expected. Everything else is asked of a server that only this script
# reaches.
find_identity() {
    local directory=$1 expected=$2
    inside=""
    if [[ -n $expected ]] && grep -qaF "$expected" "$directory/replication/identity.ibd" 2>/dev/null; then
        inside=$expected
        return 0
    fi
    temporary_server --datadir="$directory" --skip-grant-tables
    inside=$(temporary_client -e 'SELECT id FROM replication.identity' 2>/dev/null) || true
    stop_temporary_server
    if [[ ! $inside =~ $UUID ]]; then inside=""; fi
}

# temporary_server OPTION...: starts a server without network that only this script uses, and waits until it answers.
temporary=""
temporary_server() {
    local began=$SECONDS why
    mysqld --defaults-file="$CONFIG" --server-id=1 --innodb-buffer-pool-size=32M "$@" \
        --skip-networking --socket="$RUN/temporary.sock" --pid-file="$RUN/temporary.pid" >&2 &
    temporary=$!
    until why=$(temporary_client -e 'DO 0' 2>&1); do
        kill -0 "$temporary" 2>/dev/null || fail "the temporary MySQL server has ended, its log is above"
        if ((SECONDS - began < 10)); then pause 0.1; else hold "the temporary MySQL server does not answer yet: $why"; fi
    done
}

temporary_client() {
    mysql --no-defaults --socket="$RUN/temporary.sock" --user=root --batch --skip-column-names "$@"
}

stop_temporary_server() {
    if [[ -z $temporary ]]; then return 0; fi
    kill "$temporary" 2>/dev/null || true
    wait "$temporary" || true
    temporary=""
}

# slave_addresses: the address of every slave pod that exists, ready or not, one per line; nothing when there is none. Ask for it
# in_background: a name server may be slow.
slave_addresses() {
    { timeout 3 getent ahosts "${SLAVES_HOST-}" || true; } | sed -n 's/ .*STREAM.*//p' | sort -u
}

# query_server ADDRESS PORT SQL: what another pod's server answers to the account `seed`, in $RUN/answer. An end is set to each way of not
# answering, and SIGTERM is answered all the while.
query_server() {
    printf '[client]\nuser=seed\npassword=%s\nprotocol=tcp\nssl-mode=REQUIRED\nconnect-timeout=3\n' "$(secret seed)" >"$RUN/seed.cnf"
    in_background timeout "${QUERY_SECONDS:-10}" mysql --defaults-file="$RUN/seed.cnf" --host="$1" --port="$2" \
        --batch --skip-column-names -e "$3" && return 0
    # Ended by timeout, the client says nothing.
    if [[ ! -s $RUN/answer ]]; then echo "no answer in time" >"$RUN/answer"; fi
    return 1
}

# ask_server ADDRESS [PORT]: asks another pod's server for its state; the port is that of the slaves unless said otherwise. Sets
#   asked_identity   of its data
#   asked_executed   GTID set it has executed; of a slave without what was written there by hand
#   asked_received   GTID set its receiver has fetched, executed or not
#   asked_receiver   state of the receiver: ON, CONNECTING, OFF, or empty where replication is not set up
#   asked_applier    state of the applier: ON, OFF, or empty
#   asked_age        seconds since the heartbeat in its data, or empty
#   asked_why        why there is no answer, in one line, else empty
# and fails when there is no answer.
# What was written by hand on a slave (GTIDs with its own uuid) is nothing that a master lacks: a master would stay closed for its sake, and the
# slave, which needs an open one to be cloned again, would never lose it.
readonly STATE_OF_SERVER="$SET_AGE
    SELECT CONCAT_WS('|',
        IFNULL(MAX(identity.id), ''),
        REPLACE(IF(MAX(receiver.service_state) IS NULL, @@GLOBAL.gtid_executed,
            GTID_SUBTRACT(@@GLOBAL.gtid_executed, CONCAT(@@GLOBAL.server_uuid, ':1-9223372036854775806'))), '\n', ''),
        IFNULL(REPLACE(MAX(received_transaction_set), '\n', ''), ''),
        IFNULL(MAX(receiver.service_state), ''),
        IFNULL(MAX(applier.service_state), ''),
        IFNULL(ROUND(@age / 1e6, 1), ''))
    FROM replication.identity
    LEFT JOIN performance_schema.replication_connection_status receiver ON receiver.channel_name = ''
    LEFT JOIN performance_schema.replication_applier_status applier ON applier.channel_name = ''"
asked_identity="" asked_executed="" asked_received="" asked_receiver="" asked_applier="" asked_age="" asked_why=""
# shellcheck disable=SC2034 # Not every program that sources this reads all of it.
ask_server() {
    asked_identity="" asked_executed="" asked_received="" asked_receiver="" asked_applier="" asked_age="" asked_why=""
    if ! query_server "$1" "${2:-${SLAVES_PORT-}}" "$STATE_OF_SERVER"; then
        asked_why=$(answer_line)
        return 1
    fi
    IFS='|' read -r asked_identity asked_executed asked_received asked_receiver asked_applier asked_age <"$RUN/answer" || true
    if [[ ! $asked_identity =~ $UUID ]]; then
        asked_why="its identity is \"$asked_identity\", which is no UUID"
        return 1
    fi
}

# ask_slaves: asks every slave. Sets, for those that answered, the arrays addresses, identities and holdings (GTID set executed or
# received), and for those that did not, the array silent ("ADDRESS - WHY").
addresses=() identities=() holdings=() silent=()
ask_slaves() {
    local found=() address
    addresses=() identities=() holdings=() silent=()
    in_background slave_addresses || true
    mapfile -t found <"$RUN/answer"
    for address in "${found[@]}"; do
        if ask_server "$address"; then
            addresses+=("$address")
            identities+=("$asked_identity")
            holdings+=("$asked_executed${asked_received:+,$asked_received}")
        else
            silent+=("$address - $asked_why")
        fi
    done
}

# joined SEPARATOR WORD...: the words that are not empty, with the separator between them.
joined() {
    local separator=$1 word all=""
    shift
    for word in "$@"; do
        if [[ -n $word ]]; then all+="${all:+$separator}$word"; fi
    done
    printf '%s' "$all"
}

# marker NAME: what the program left about the system in /run/initialised, or nothing.
marker() {
    local value=""
    if [[ -e /run/initialised/$1 ]]; then read -r value <"/run/initialised/$1" || true; fi
    printf '%s' "$value"
}

# expected_slaves: how many slaves the stack has; nothing where nobody said it.
expected_slaves() {
    local number
    number=$(marker slaves)
    if [[ $number =~ ^[0-9]{1,4}$ ]]; then printf '%s' "$((10#$number))"; fi
}

# overridden: yes when the operator's word counts: it was not used up.
overridden() {
    if [[ -n ${BOOTSTRAP-} && ${BOOTSTRAP-} != "$(marker bootstrap)" ]]; then echo yes; else echo no; fi
}

# clone_from ADDRESS PORT IDENTITY: one try to make $DATA.new a complete copy of a server's data; the caller gives it its name. A server of
# its own receives the clone: it stays up, and what it receives is another directory. Where it fails, clone_why says why in one line, and
# nothing of it is left.
clone_why=""
# shellcheck disable=SC2034 # The caller reads why.
clone_from() {
    local address=$1 port=$2 identity=$3
    local options=(--datadir="$RECIPIENT" --skip-log-bin --super-read-only=OFF --read-only=OFF --innodb-redo-log-capacity=8M)
    clone_why=""
    drop_clone
    say "making a temporary server for the clone"
    in_background mysqld --defaults-file="$CONFIG" "${options[@]}" --initialize-insecure || {
        cat "$RUN/answer" >&2
        fail "MySQL could not initialise $RECIPIENT, its log is above"
    }
    temporary_server "${options[@]}" --plugin-load-add=mysql_clone.so --clone-valid-donor-list="$address:$port" --clone-max-concurrency=4
    say "cloning $address:$port, identity $identity"
    temporary_client >"$RUN/answer" 2>&1 <<SQL &
CLONE INSTANCE FROM 'seed'@'$address':$port IDENTIFIED BY '$(secret seed)' DATA DIRECTORY = '$DATA.new' REQUIRE SSL;
SELECT state FROM performance_schema.clone_status;
SQL
    wait "$!" || true
    stop_temporary_server
    rm -rf "$RECIPIENT"
    if [[ $(<"$RUN/answer") != Completed ]]; then
        clone_why="the clone of $address:$port failed: $(answer_line)"
    else
        find_identity "$DATA.new" "$identity"
        if [[ $inside == "$identity" ]]; then return 0; fi
        clone_why="the clone of $address:$port has identity \"$inside\", but it was to be $identity: it is thrown away"
    fi
    drop_clone
    return 1
}

# release_donor: starts the receiver again of the slave that an empty master took its data from. The address is kept on the volume until
# then, so that a master killed half-way leaves no slave without its receiver.
release_donor() {
    local address=""
    if [[ ! -e /data/donor ]]; then return 0; fi
    read -r address </data/donor || true
    say "starting the receiver of the slave $address again"
    query_server "$address" "$SLAVES_PORT" "START REPLICA IO_THREAD" || say "the slave $address: $(answer_line)"
    rm -f /data/donor
}

# drop_clone: removes what a clone leaves that was ended half-way.
drop_clone() {
    rm -rf "$DATA.new" "$RECIPIENT"
}

# leave_login: `mysql` typed in this container logs in as root by its option file in memory.
leave_login() {
    local password
    password=$(secret root)
    # Newer clients know \G and its like only when told.
    printf '[client]\nuser=root\npassword=%s\nsocket=%s/mysqld.sock\n[mysql]\nloose-commands=ON\n' "$password" "$RUN" >"$RUN/.my.cnf"
}

# become_server SQL_FILE [COMPANION...]: the server takes this process over, so that signals reach it. It runs the file before it lets
# anyone in, and super_read_only holds from there on. The companion runs beside it, ends with it and is not waited for.
become_server() {
    local id pool file=$1
    shift
    id=$(decide_server_id "${MYSQL_SERVER_ID_BASE-}" "${POD_NAME-}") || exit 1
    pool=$(setting MYSQL_BUFFER_POOL_SIZE '^[1-9][0-9]{6,13}$' 'a number of bytes, at least 5242880')
    leave_login
    rm -f "$RUN/waiting"
    if (($# > 0)); then "$@" & fi
    exec mysqld --defaults-file="$CONFIG" --server-id="$id" --report-host="$POD_NAME" --innodb-buffer-pool-size="$pool" --init-file="$file"
}
