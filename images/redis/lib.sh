# shellcheck shell=bash
# Shared by the start scripts of redis-master and redis-slave.
# shellcheck source-path=SCRIPTDIR source=decide.sh
. /opt/dabaweb/lib/decide.sh

readonly data=/data/redis
readonly identity_file=/data/identity
# shellcheck disable=SC2034 # for the slave
# Files that redis-server could not load, until a full copy has replaced them.
readonly damaged=$data.damaged
# The last word in `bootstrap` that this volume's data was opened with.
readonly word_file=/data/bootstrap
# shellcheck disable=SC2034 # for the master
# Exists on a master that closed because a slave had data that its own lacks, with the reason.
readonly closed_file=/data/closed
readonly lock_file=/data/lock
readonly secrets=/run/secrets/redis
readonly run=/run/redis
readonly marker=/run/initialised
# Exists while redis-server is not open for clients, with the reason in one line: see `live` and `ready`.
readonly state_file=$run/state
# Exists on a master as long as some slaves have not answered since it opened.
readonly unheard_file=$run/unheard
# When a slave's data last moved, in ms of `uptime_ms`, and what it was then.
readonly moved_file=$run/moved
# What a slave without a link last said about the master: see `decide_follow`.
readonly alone_file=$run/alone

private_pid=
# Lines of the configuration with which a private server loads this volume's data.
load_options=()
said=
said_at=0

say() {
    printf 'start: %s\n' "$*"
}

fail() {
    say "$*" >&2
    exit 1
}

# Waits one second, alive and not ready; logs the reason immediately and then every ten seconds.
wait_saying() {
    printf '%s\n' "$*" >"$state_file"
    keep_time
    if [[ $said != "$*" ]] || ((SECONDS - said_at >= 10)); then
        said=$*
        said_at=$SECONDS
        say "$*"
    fi
    sleep 1
}

# Handles SIGTERM before redis-server is PID 1: bash as PID 1 would ignore it.
stopped() {
    trap - TERM INT
    say "stopped before redis-server was open"
    if [[ -n $private_pid ]]; then private_stop; fi
    exit 143
}

# Whether the operator set a word in `bootstrap` that has not been used yet: yes | no. It was used if the marker says so,
# the volume, or a history.
#   $1 openings, or lines of slaves (see `slave_line`)
override() {
    local used
    used=$(marked bootstrap)
    if [[ -z ${BOOTSTRAP-} || $BOOTSTRAP == "$used" ]]; then echo no && return; fi
    if [[ -r $word_file && $BOOTSTRAP == "$(one_word "$(<"$word_file")")" ]]; then echo no && return; fi
    if [[ $1, =~ :[0-9]+:"$BOOTSTRAP"[,[:space:]] ]]; then echo no; else echo yes; fi
}

# The value of a key in the marker, which the program creates once the system has been ready, or nothing.
marked() {
    if [[ -r $marker/$1 ]]; then one_word "$(<"$marker/$1")"; fi
}

one_word() {
    local word
    read -r word _ <<<"$1" || true
    echo "$word"
}

# Checks an environment variable: name, pattern, what is allowed.
check_env() {
    local value=${!1-}
    [[ $value =~ ^($2)$ ]] || fail "$1 is '$value'; it must be $3: set it in the container's environment"
}

# Prints the password of a role.
password() {
    local text=
    if [[ -r $secrets/$1 ]]; then text=$(<"$secrets/$1"); fi
    [[ $text =~ ^[[:alnum:]]+$ ]] ||
        fail "$secrets/$1 does not contain a password of letters and digits: mount the Secret with the key $1"
    printf %s "$text"
}

# Call this first: checks the environment and removes what an earlier run of this container left.
prepare() {
    trap stopped TERM INT
    umask 0022
    printf 'starting\n' >"$state_file"
    check_env POD_IP '[0-9a-fA-F.:]+' "the pod's address"
    [[ -w /data ]] || fail "uid $EUID cannot write to the volume /data, which belongs to uid $(stat -c '%u, gid %g, mode %a' /data): a volume whose" \
        "group Kubernetes cannot set (hostPath, many NFS servers) must belong to uid $EUID; correct its owner where it is stored"
    local bytes
    for bytes in REDIS_MAXMEMORY REDIS_MAX_VALUE REDIS_BACKLOG REDIS_SLAVE_BUFFER REDIS_CLIENT_BUFFER; do
        check_env "$bytes" '[1-9][0-9]{6,}' "a number of bytes, at least 1000000"
    done
    check_env SLAVES_HOST '[A-Za-z0-9.-]+' "the name under which every slave pod has an address"
    check_env SLAVES_PORT '[1-9][0-9]{0,4}' "the slaves' port"
    lock_volume
    rm -f "$moved_file" "$alone_file" "$unheard_file" "$run/busy"
    # The copy keeps the password that this server was started with, even if the Secret changes: see `redis-cli`.
    local admin
    admin=$(password admin)
    (umask 0077 && printf %s "$admin" >"$run/admin")
    if [[ -e $data.new ]]; then
        say "removing $data.new, which an interrupted start left incomplete"
        rm -rf "$data.new"
    fi
}

# Two servers must never write to one volume: the successor of a pod that was deleted by force may run beside it on the
# same node. redis-server inherits the lock, so the kernel drops it when that ends.
lock_volume() {
    local code
    if ! type -P flock >/dev/null; then
        say "this image has no flock: nothing keeps a second server off this volume"
        return
    fi
    exec 8>>"$lock_file"
    while :; do
        code=0
        flock -n -E 75 8 || code=$?
        case $code in
        0) return ;;
        75) wait_saying "another server still runs on this volume (it holds $lock_file): waiting until it has ended" ;;
        *)
            say "the file system of $lock_file cannot lock: nothing keeps a second server off this volume"
            return
            ;;
        esac
    done
}

# Sets SECONDS to the seconds since the machine started. By itself, it follows the wall clock, which may be set at any
# moment: then a wait would end at once, or hours later. So what measures time calls this first.
keep_time() {
    local up
    read -r up _ </proc/uptime
    SECONDS=${up%.*}
}

# Milliseconds on a clock that is never set.
uptime_ms() {
    local up
    read -r up _ </proc/uptime
    echo "${up/./}0"
}

# none | partial | whole
data_state() {
    if [[ -s $data/appendonlydir/appendonly.aof.manifest ]]; then
        echo whole
    elif [[ -e $data ]]; then
        echo partial
    else
        echo none
    fi
}

# The identity in the file next to the data, or nothing.
known_identity() {
    if [[ -r $identity_file ]]; then identity_in "$(<"$identity_file")"; fi
}

write_identity() {
    printf '%s\n' "$1" >"$identity_file.new"
    sync "$identity_file.new"
    mv -f "$identity_file.new" "$identity_file"
    sync -f "$identity_file"
}

# The engine's own client: the wrapper in /opt/dabaweb/bin would log in, but a private server has no users.
private_cli() {
    REDIS_CLI_PLAIN=yes redis-cli -s "$run/private.sock" "$@"
}

# Starts a server on the given directory that only this script can reach, and waits until it has loaded; fails if it
# cannot. Further arguments are lines of its configuration.
private_try() {
    (umask 0077 && : >"$run/private.conf")
    cat >"$run/private.conf" <<CONF
include /opt/dabaweb/etc/redis.conf
port 0
unixsocket $run/private.sock
unixsocketperm 700
dir $1
loglevel warning
auto-aof-rewrite-percentage 0
$(printf '%s\n' "${@:2}")
CONF
    redis-server "$run/private.conf" >"$run/private.log" 2>&1 &
    private_pid=$!
    until [[ $(private_cli PING 2>/dev/null) == PONG ]]; do
        if ! kill -0 "$private_pid" 2>/dev/null; then
            private_pid=
            return 1
        fi
        printf 'loading %s privately, before clients may connect\n' "$1" >"$state_file"
        sleep 0.05
    done
}

private_start() {
    private_try "$@" || fail "redis-server cannot load $1; its log says: $(<"$run/private.log")"
}

# Stops it; everything it wrote is then on disk.
private_stop() {
    kill -TERM "$private_pid" 2>/dev/null || true
    wait "$private_pid" || true
    private_pid=
}

# What a key has if that is a string, otherwise nothing: an application may have put something else in the place of the heartbeat.
readonly STRING="local value = redis.pcall('GET', KEYS[1]) return type(value) == 'string' and value or ''"
# A key of the heartbeat in the data of the private server: heartbeat, ~beats or ~openings.
private_beat() {
    private_cli -n 15 EVAL "$STRING" 1 "$1"
}

# The identity in the data of the private server, or nothing.
private_identity() {
    local hex
    hex=$(private_cli FUNCTION LIST LIBRARYNAME 'identity_*' | grep -oE '^identity_[0-9a-f]{32}$') || return 0
    hex=${hex#identity_}
    echo "${hex:0:8}-${hex:8:4}-${hex:12:4}-${hex:16:4}-${hex:20:12}"
}

# Puts an identity into the data of the private server. A function library survives FLUSHALL and is copied to
# slaves. The function's name is always the same, so data cannot have two identities.
private_identify() {
    local answer
    answer=$(private_cli FUNCTION LOAD "#!lua name=identity_${1//-/}
redis.register_function{function_name='identity', callback=function() return '$1' end, flags={'no-writes'}}")
    [[ $answer == "identity_${1//-/}" ]] || fail "redis-server did not accept the identity $1: $answer"
}

# Creates empty data with the given identity; the data exists from the rename on.
initialise() {
    say "initialising $data with the identity $1"
    mkdir "$data.new"
    private_start "$data.new"
    private_identify "$1"
    private_stop
    sync -f "$data.new"
    mv -T "$data.new" "$data"
    write_identity "$1"
}

# Asks another redis server for everything that decisions about it need; any failure is part of the answer. The
# password is the first line of the client's input: see `redis-cli`.
ask() {
    timeout 2 redis-cli --askpass -h "$1" -p "$2" -n 15 2>&1 <<ASK || true
$(<"$run/admin")
INFO persistence replication
FCALL_RO identity 0
EVAL_RO "local all = {} for _, k in ipairs({'heartbeat', 'heartbeat:synced', '~beats', '~openings'}) do local v = redis.pcall('GET', k) table.insert(all, k:gsub('.*[:~]', '') .. ':' .. (type(v) == 'string' and v or '')) end return all" 0
CONFIG GET replica-priority
ASK
}

# Asks all slave pods in parallel and prints a line for each, see `slave_line`. It runs in a subshell, so that `wait`
# waits for these processes only. It always waits: process 1 would inherit a process that outlives its parent.
ask_slaves() (
    addresses=$(timeout 3 getent ahosts "$SLAVES_HOST" | sed -n 's/ *STREAM.*//p' | sort -u) || true
    {
        for address in $addresses; do
            slave_line "$address" "$(ask "$address" "$SLAVES_PORT")" &
        done
        wait
    } | sort
)

# Returns when the data and the file next to it have the same identity; waits forever if they contradict each other.
# Stores the heartbeat in the data in $own_heartbeat, $own_beats and $own_openings. Calls `damaged_data` as long as the
# data cannot be loaded.
verify_identity() {
    local library
    until private_try "$data" "${load_options[@]}"; do damaged_data; done
    library=$(private_identity)
    # shellcheck disable=SC2034 # for the start scripts
    own_heartbeat=$(private_beat heartbeat) own_beats=$(private_beat ~beats) \
        own_openings=$(private_beat ~openings)
    private_stop
    while :; do
        case $(decide_identity "$(known_identity)" "$library") in
        agree) return ;;
        restore-file)
            say "$identity_file was lost: restored from the data, $library"
            write_identity "$library"
            ;;
        restore-library)
            say "the data has lost its identity: restored from $identity_file, $(known_identity)"
            private_start "$data"
            private_identify "$(known_identity)"
            library=$(private_identity)
            private_stop
            ;;
        differ)
            wait_saying "$data has the identity $library, but $identity_file says $(known_identity): two" \
                "histories are mixed on this volume, so it is not opened. Restore the correct data, or, if" \
                "this data is correct, delete $identity_file"
            ;;
        unknown)
            wait_saying "$data has no identity, neither inside nor in $identity_file, so it is not opened." \
                "If this data is correct, write the identity of its system (from a slave's $identity_file) to that file"
            ;;
        esac
    done
}

wait_partial() {
    wait_saying "$data exists but has no append-only file, so no data is created there." \
        "Restore the data, or move $data away"
}

sha256() {
    local sum
    sum=$(printf %s "$1" | sha256sum)
    echo "${sum%% *}"
}

# Writes users and configuration to memory; the caller appends its own lines to $run/redis.conf. Users are created
# from the mounted passwords at every start, so that kept data never needs an old password.
#   $1 the account for replication from this server
# Keys that begin with ~ are the history's, in database 15: they are nobody else's to write, in any way.
render() {
    local identity admin dabaweb replication
    identity=$(known_identity)
    admin=$(<"$run/admin")
    dabaweb=$(password dabaweb)
    replication=$(password replication)
    umask 0077
    cat >"$run/users.acl" <<ACL
user default on #$(sha256 "$admin") ~* &* +@all
user dabaweb on #$(sha256 "$dabaweb") resetchannels ~[^~]* +@read +@write +@connection +@transaction +@scripting -@admin -@dangerous -function -script +script|load +script|exists +info
user $1 on #$(sha256 "$replication") resetchannels +psync +replconf +ping
ACL
    cat >"$run/redis.conf" <<CONF
include /opt/dabaweb/etc/redis.conf
dir $data
aclfile $run/users.acl
maxmemory $REDIS_MAXMEMORY
proto-max-bulk-len $REDIS_MAX_VALUE
client-query-buffer-limit $((REDIS_MAX_VALUE + (1 << 20)))
maxmemory-clients $REDIS_CLIENT_BUFFER
client-output-buffer-limit normal $REDIS_CLIENT_BUFFER 0 0
client-output-buffer-limit replica $REDIS_SLAVE_BUFFER $((REDIS_SLAVE_BUFFER / 2)) 60
repl-backlog-size $REDIS_BACKLOG
replica-announce-ip $POD_IP
masteruser $(replication_account "$identity" none)
masterauth $replication
CONF
    umask 0022
}

# Runs a companion beside redis-server, which replaces this script, until that ends.
keep() {
    while :; do
        "/opt/dabaweb/bin/$1" || true
        sleep 1
    done
}

# Becomes redis-server, which receives the signals from then on.
#   $1 its companion
open_for_clients() {
    say "opening $data with the identity $(known_identity)"
    rm -f "$state_file"
    # It does not hold the lock: that is redis-server's.
    keep "$1" 8>&- &
    exec redis-server "$run/redis.conf"
}
