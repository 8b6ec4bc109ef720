# shellcheck shell=bash
# What start and seed of the MySQL images share. Sourced.

# shellcheck source=decide.sh
source /opt/dabaweb/lib/decide.sh

readonly CONFIG=/opt/dabaweb/etc/my.cnf
readonly RUN=/run/mysqld
readonly DATA=/data/mysql
readonly BESIDE=/data/identity
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

# leave_login: `mysql` typed in this container logs in as root by its option file in memory.
leave_login() {
    local password
    password=$(secret root)
    # Newer clients know \G and its like only when told.
    printf '[client]\nuser=root\npassword=%s\nsocket=%s/mysqld.sock\n[mysql]\nloose-commands=ON\n' "$password" "$RUN" >"$RUN/.my.cnf"
}

# become_server SQL_FILE: the server takes this process over, so that signals reach it. It runs the file before it lets anyone in, and
# super_read_only holds from there on.
become_server() {
    local id pool
    id=$(decide_server_id "${MYSQL_SERVER_ID_BASE-}" "${POD_NAME-}") || exit 1
    pool=$(setting MYSQL_BUFFER_POOL_SIZE '^[1-9][0-9]{6,13}$' 'a number of bytes, at least 5242880')
    leave_login
    rm -f "$RUN/waiting"
    exec mysqld --defaults-file="$CONFIG" --server-id="$id" --report-host="$POD_NAME" --innodb-buffer-pool-size="$pool" --init-file="$1"
}
