# shellcheck shell=bash
# Shared by the programs of the MySQL images. Sourced.

# shellcheck source=decide.sh
source /opt/dabaweb/lib/decide.sh
# shellcheck source=decide-data.sh
source /opt/dabaweb/lib/decide-data.sh
# shellcheck source=sql.sh
source /opt/dabaweb/lib/sql.sh

readonly CONFIG=/opt/dabaweb/etc/my.cnf
readonly RUN=/run/mysqld
readonly DATA=/data/mysql
readonly BESIDE=/data/identity
# The words of the operator that were used, one per line.
readonly WORDS=/data/bootstrap
readonly RECIPIENT=/data/seed
readonly COPIED=/data/copied
readonly UUID='^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'

# Files hold passwords unless said otherwise.
umask 077

# Removes what an earlier start left: temporary files fill the volume, and a socket's lock names a process id that another process may have now.
prepare() {
    [[ -w /data ]] || fail "uid $EUID cannot write to the volume /data, which belongs to uid $(stat -c '%u, gid %g, mode %a' /data): a volume whose" \
        "group Kubernetes cannot set (hostPath, many NFS servers) must belong to uid $EUID; correct its owner where it is stored"
    rm -rf /data/tmp
    mkdir /data/tmp
    rm -f "$RUN"/*.sock "$RUN"/*.sock.lock "$RUN"/*.pid "$RUN/waiting" "$RUN/answered"
}

say() {
    printf '%s %s\n' "$(date -u +%FT%TZ)" "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

# keep_time: sets SECONDS to the seconds since the machine started, and uptime_ms to the milliseconds. By itself, SECONDS follows the wall clock,
# which may be set at any moment: then a wait would end at once, or hours later. So what measures time calls this first.
uptime_ms=0
# shellcheck disable=SC2034 # follow reads uptime_ms.
keep_time() {
    local up
    read -r up _ </proc/uptime
    SECONDS=${up%.*} uptime_ms=${up/./}0
}
keep_time

# pause SECONDS: a sleep that SIGTERM ends immediately; a shell handles signals only between foreground commands.
pause() {
    sleep "$1" &
    wait "$!"
    keep_time
}

# in_background COMMAND...: runs it with its output in $RUN/answer, so that SIGTERM is handled meanwhile.
in_background() {
    "$@" >"$RUN/answer" 2>&1 &
    wait "$!"
}

# answer_line: prints the output of the last background command in one line.
answer_line() {
    local text
    text=$(<"$RUN/answer")
    printf '%s' "${text//$'\n'/ }"
}

# hold WHY: one turn of an endless wait. Logs the reason when it changes and every 10 s; the probes read it.
held=""
said=0
hold() {
    keep_time
    if [[ $1 != "$held" ]] || ((SECONDS - said >= 10)); then
        say "waiting: $1"
        held=$1 said=$SECONDS
    fi
    printf '%s\n' "$1" >"$RUN/waiting"
    pause 1
}

# setting NAME PATTERN ALLOWED: prints the value of an environment variable.
setting() {
    local value=${!1-}
    [[ $value =~ $2 ]] || fail "$1 is \"$value\": it must be $3; set it in the pod's environment"
    printf '%s' "$value"
}

# secret NAME: prints a mounted password. Only letters and digits are allowed, so it needs no quoting in SQL and option files.
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

# write_identity IDENTITY: writes the file atomically, so that a killed start leaves no partial line.
write_identity() {
    printf '%s\n' "$1" >"$BESIDE.new"
    chmod 0644 "$BESIDE.new"
    sync "$BESIDE.new"
    mv "$BESIDE.new" "$BESIDE"
}

# put_in_place NEW: makes a complete directory the data. Its contents are on disk before the new name is.
put_in_place() {
    sync -f "$1"
    if [[ -d $DATA ]]; then rmdir "$DATA"; fi
    mv -T "$1" "$DATA"
    sync -f /data
}

# find_identity DIRECTORY EXPECTED: sets `inside` to the identity in replication.identity of a data directory, empty if there is none.
# The usual case needs no server: the table's file contains the expected identity. Otherwise, a temporary server that only this script can
# reach is asked.
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

# time_zones: the statements that fill the server's tables of time zones. Without them, CONVERT_TZ with a name returns NULL. Slaves and clones
# get them from the master.
time_zones() {
    echo "USE mysql;"
    mysql_tzinfo_to_sql /usr/share/zoneinfo 2>/dev/null || say "this image has no time zones: use offsets instead of names"
}

# temporary_server OPTION...: starts a server without network access for this script alone, and waits until it answers.
temporary=""
temporary_server() {
    local began=$SECONDS why
    mysqld --defaults-file="$CONFIG" --server-id=1 --innodb-buffer-pool-size=32M "$@" \
        --skip-networking --socket="$RUN/temporary.sock" --pid-file="$RUN/temporary.pid" >&2 &
    temporary=$!
    until why=$(temporary_client -e 'DO 0' 2>&1); do
        kill -0 "$temporary" 2>/dev/null || fail "the temporary MySQL server has exited; its log is above"
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

# slave_addresses: prints the address of every existing slave pod, ready or not, one per line. Call it in_background: a name server may be
# slow.
slave_addresses() {
    { timeout 3 getent ahosts "${SLAVES_HOST-}" || true; } | sed -n 's/ .*STREAM.*//p' | sort -u
}

# client_of_seed ADDRESS PORT SQL: queries another pod's server as the account `seed`; log_in_as_seed comes first. Every way of not answering
# has a timeout.
client_of_seed() {
    timeout "${QUERY_SECONDS:-10}" mysql --defaults-file="$RUN/seed.cnf" --host="$1" --port="$2" --batch --skip-column-names -e "$3"
}

log_in_as_seed() {
    printf '[client]\nuser=seed\npassword=%s\nprotocol=tcp\nssl-mode=REQUIRED\nconnect-timeout=3\n' "$(secret seed)" >"$RUN/seed.cnf"
}

# query_server ADDRESS PORT SQL: queries one server, with the answer in $RUN/answer. SIGTERM is handled throughout.
query_server() {
    log_in_as_seed
    in_background client_of_seed "$@" && return 0
    # A client that timeout ended prints nothing.
    if [[ ! -s $RUN/answer ]]; then echo "no answer in time" >"$RUN/answer"; fi
    return 1
}

# query_all SQL SERVER...: asks servers, each "ADDRESS PORT", side by side, so that those that do not answer cost their timeout once. At most
# eight at a time: each client takes memory that the server of this pod may need. Sets for each server, in the same order, answered to yes or
# no, and answers to the answer, or to the reason why there is none, in one line.
answered=() answers=()
query_all() {
    local sql=$1 server address port i text pids=()
    shift
    answered=() answers=()
    log_in_as_seed
    while (($# > 0)); do
        pids=()
        for server in "${@:1:8}"; do
            read -r address port <<<"$server"
            client_of_seed "$address" "$port" "$sql" >"$RUN/answer.${#pids[@]}" 2>&1 &
            pids+=("$!")
        done
        for i in "${!pids[@]}"; do
            if wait "${pids[i]}"; then answered+=(yes); else answered+=(no); fi
            text=$(<"$RUN/answer.$i")
            if [[ -z $text && ${answered[-1]} == no ]]; then text="no answer in time"; fi
            answers+=("${text//$'\n'/ }")
            rm -f "$RUN/answer.$i"
        done
        shift "${#pids[@]}"
    done
}

# What a server says of itself: identity, GTID set executed, GTID set received, state of receiver and applier (ON, CONNECTING, OFF, or empty if
# replication is not set up), seconds since the heartbeat in its data or empty, server id, number of differences from its master that it has found
# or empty. What was written by hand on a slave (GTIDs with its own uuid) does not count as lacking on a master. Otherwise the master would stay closed
# because of it, and the slave, which needs an open master to be cloned again, would never get rid of it.
readonly STATE_OF_SERVER="$SET_AGE
    SELECT CONCAT_WS('|',
        IFNULL(MAX(identity.id), ''),
        REPLACE(IF(MAX(receiver.service_state) IS NULL, @@GLOBAL.gtid_executed,
            GTID_SUBTRACT(@@GLOBAL.gtid_executed, CONCAT(@@GLOBAL.server_uuid, ':1-9223372036854775806'))), '\n', ''),
        IFNULL(REPLACE(MAX(received_transaction_set), '\n', ''), ''),
        IFNULL(MAX(receiver.service_state), ''),
        IFNULL(MAX(applier.service_state), ''),
        IFNULL(ROUND(@age / 1e6, 1), ''),
        @@GLOBAL.server_id,
        $DIFFERENCES)
    FROM replication.identity
    LEFT JOIN performance_schema.replication_connection_status receiver ON receiver.channel_name = ''
    LEFT JOIN performance_schema.replication_applier_status applier ON applier.channel_name = ''"
asked_identity="" asked_executed="" asked_received="" asked_receiver="" asked_applier="" asked_age="" asked_id="" asked_differs="" asked_why=""

# understand OK ANSWER: sets the variables above to what a server answered, and asked_why to the reason why it has no answer. OK is no if it did
# not answer; then ANSWER is the reason. Fails if there is no answer.
# shellcheck disable=SC2034 # Not every program that sources this reads all of it.
understand() {
    asked_identity="" asked_executed="" asked_received="" asked_receiver="" asked_applier="" asked_age="" asked_id="" asked_differs="" asked_why=""
    if [[ $1 == no ]]; then
        asked_why=$2
        return 1
    fi
    IFS='|' read -r asked_identity asked_executed asked_received asked_receiver asked_applier asked_age asked_id asked_differs <<<"$2" || true
    if [[ ! $asked_identity =~ $UUID ]]; then
        asked_why="its identity is \"$asked_identity\", which is not a UUID"
        return 1
    fi
}

# ask_slaves: asks every slave, side by side, for about ten seconds in total, however many do not answer. Sets the arrays addresses, ids (server
# id, which tells a pod from its predecessors' addresses), identities, holdings (GTID set executed or received) and differences (how many it has
# found from its master, empty if it has not said) for those that answered, and the array silent ("ADDRESS - WHY") for those that did not.
addresses=() ids=() identities=() holdings=() differences=() silent=()
ask_slaves() {
    local found=() servers=() i QUERY_SECONDS
    addresses=() ids=() identities=() holdings=() differences=() silent=()
    in_background slave_addresses || true
    mapfile -t found <"$RUN/answer"
    servers=("${found[@]/%/ ${SLAVES_PORT-}}")
    # query_all asks eight at a time.
    QUERY_SECONDS=$((10 / (${#found[@]} / 8 + 1)))
    if ((QUERY_SECONDS < 1)); then QUERY_SECONDS=1; fi
    query_all "$STATE_OF_SERVER" "${servers[@]}"
    for i in "${!found[@]}"; do
        if understand "${answered[i]}" "${answers[i]}"; then
            addresses+=("${found[i]}")
            ids+=("$asked_id")
            identities+=("$asked_identity")
            holdings+=("$asked_executed${asked_received:+,$asked_received}")
            differences+=("$asked_differs")
        else
            silent+=("${found[i]} - $asked_why")
        fi
    done
}

# joined SEPARATOR WORD...: prints the non-empty words with the separator between them.
joined() {
    local separator=$1 word all=""
    shift
    for word in "$@"; do
        if [[ -n $word ]]; then all+="${all:+$separator}$word"; fi
    done
    printf '%s' "$all"
}

# marker NAME: prints what the program recorded about the system in /run/initialised, or nothing.
marker() {
    local value=""
    if [[ -e /run/initialised/$1 ]]; then read -r value <"/run/initialised/$1" || true; fi
    printf '%s' "$value"
}

# expected_slaves: prints how many slaves the stack has, or nothing if that is unknown.
expected_slaves() {
    local number
    number=$(marker slaves)
    if [[ $number =~ ^[0-9]{1,4}$ ]]; then printf '%s' "$((10#$number))"; fi
}

# overridden: prints yes if the operator's word counts, that is, if it has not been used yet. The program records it only after an update that
# succeeded, so the master records it beside its data, too.
overridden() {
    if [[ -z ${BOOTSTRAP-} || ${BOOTSTRAP-} == "$(marker bootstrap)" ]] || grep -qxF -e "${BOOTSTRAP-}" "$WORDS" 2>/dev/null; then
        echo no
    else
        echo yes
    fi
}

# use_word: records that the operator's word was used, atomically.
use_word() {
    if [[ $(overridden) == no ]]; then return 0; fi
    { cat "$WORDS" 2>/dev/null || true; printf '%s\n' "$BOOTSTRAP"; } >"$WORDS.new"
    sync "$WORDS.new"
    mv "$WORDS.new" "$WORDS"
    sync -f /data
}

# clone_from ADDRESS PORT IDENTITY [SET]: one attempt to make $DATA.new a complete copy of a server's data that contains the GTID set; the caller
# renames it. A temporary server receives the clone: it keeps running, because the clone goes to another directory. On failure, clone_why has
# the reason in one line, and nothing of the clone is left. If this program is killed while it checks a clone, that clone is checked again by
# the next attempt, three times at most: to copy everything anew takes hours for large data.
clone_why=""
# shellcheck disable=SC2034 # The caller reads clone_why.
clone_from() {
    local address=$1 port=$2 identity=$3 set=${4-} tables
    local options=(--datadir="$RECIPIENT" --skip-log-bin --super-read-only=OFF --read-only=OFF --innodb-redo-log-capacity=8M)
    clone_why=""
    if has_copy; then
        say "checking the copy that an earlier attempt made"
        check_copy "$(sed -n 's/^from: //p' "$COPIED")" "$identity" "$set"
        return
    fi
    drop_clone
    if query_server "$address" "$port" "SELECT $NOT_INNODB"; then
        tables=$(left_empty "$(answer_line)")
        if [[ -n $tables ]]; then
            clone_why="$address:$port $tables"
            return 1
        fi
    fi
    say "creating a temporary server for the clone"
    in_background mysqld --defaults-file="$CONFIG" "${options[@]}" --initialize-insecure || {
        cat "$RUN/answer" >&2
        drop_clone
        clone_why="MySQL could not initialise $RECIPIENT for the clone; its log is above"
        return 1
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
        drop_clone
        return 1
    fi
    sync -f "$DATA.new"
    printf 'from: %s:%s\n' "$address" "$port" >"$COPIED"
    check_copy "$address:$port" "$identity" "$set"
}

# has_copy: whether there is a complete clone that has yet to be checked, and that was not checked too often.
has_copy() {
    [[ -e $DATA.new && -e $COPIED ]] && (($(grep -c '^check$' "$COPIED") < 3))
}

# check_copy FROM IDENTITY SET: starts a server on the clone, which completes it, and checks what it holds. The clone of a slave includes that
# slave's replication settings, which name a relay log that does not exist here.
# shellcheck disable=SC2034 # The caller of clone_from reads clone_why.
check_copy() {
    local from=$1 identity=$2 set=$3 found tables lacks
    echo check >>"$COPIED"
    temporary_server --datadir="$DATA.new" --skip-grant-tables --skip-log-bin --super-read-only=OFF --read-only=OFF
    in_background temporary_client -e "RESET REPLICA ALL; SELECT CONCAT_WS('|', (SELECT MAX(id) FROM replication.identity),
        REPLACE(GTID_SUBTRACT('$set', @@GLOBAL.gtid_executed), '\n', ''), $NOT_INNODB)" || true
    stop_temporary_server
    IFS='|' read -r found lacks tables <"$RUN/answer" || true
    if [[ ! $found =~ $UUID ]]; then
        clone_why="the clone of $from does not report what it holds and is discarded: $(answer_line)"
    elif [[ $found != "$identity" ]]; then
        clone_why="the clone of $from has identity \"$found\" instead of $identity and is discarded"
    elif [[ -n $lacks ]]; then
        clone_why="the clone of $from lacks $lacks and is discarded"
    elif [[ -n $tables ]]; then
        clone_why="the clone is discarded: $from $(left_empty "$tables")"
    else
        rm -f "$COPIED"
        return 0
    fi
    drop_clone
    return 1
}

# release_donor: restarts the receiver of the slave that an empty master took its data from. The address stays on the volume until then,
# so that a master that is killed half-way does not leave a slave without its receiver.
release_donor() {
    local address=""
    if [[ ! -e /data/donor ]]; then return 0; fi
    read -r address </data/donor || true
    say "starting the receiver of the slave $address again"
    query_server "$address" "$SLAVES_PORT" "START REPLICA IO_THREAD" || say "the slave $address: $(answer_line)"
    rm -f /data/donor
}

# drop_clone: removes what an interrupted clone left.
drop_clone() {
    rm -rf "$DATA.new" "$RECIPIENT" "$COPIED"
}

# leave_login: writes an option file in memory, so that `mysql` in this container logs in as root.
leave_login() {
    local password
    password=$(secret root)
    # Newer clients accept \G and similar commands only with this option.
    printf '[client]\nuser=root\npassword=%s\nsocket=%s/mysqld.sock\n[mysql]\nloose-commands=ON\n' "$password" "$RUN" >"$RUN/.my.cnf"
}

# server_options SQL_FILE: sets options to what differs from pod to pod. The server runs the file before it lets anyone in.
options=()
server_options() {
    local id pool settings
    id=$(decide_server_id "${MYSQL_SERVER_ID_BASE-}" "${POD_NAME-}") || exit 1
    pool=$(setting MYSQL_BUFFER_POOL_SIZE '^[1-9][0-9]{6,13}$' 'a number of bytes, at least 5242880') || exit 1
    settings=$(setting MYSQL_SETTINGS '^([a-z_]+=[0-9]+( |$))*$' 'options of mysqld as name=number, with one space between them') || exit 1
    read -ra options <<<"$settings"
    options=(--server-id="$id" --report-host="$POD_NAME" --innodb-buffer-pool-size="$pool" "${options[@]/#/--}" --init-file="$1")
}

# become_server SQL_FILE [COMPANION...]: replaces this process with the server, so that signals reach it. super_read_only applies once the file
# has run. The companion runs in parallel, ends with the server and is not waited for.
become_server() {
    server_options "$1"
    shift
    leave_login
    rm -f "$RUN/waiting"
    if (($# > 0)); then "$@" & fi
    exec mysqld --defaults-file="$CONFIG" "${options[@]}"
}
