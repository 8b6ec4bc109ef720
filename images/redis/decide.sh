# shellcheck shell=bash
# Decisions over plain inputs: no file, no server, no clock is touched here.
# test/unit/redis-decide.test.ts holds the table of cases.

# What a master does with its volume.
#   $1 data   none | partial | whole
#   $2 known  yes | no, whether the system is known to have been initialised before
decide_master() {
    case $1:$2 in
    whole:*) echo verify ;;
    partial:*) echo wait-partial ;;
    none:no) echo initialise ;;
    # An empty master that opened would empty its slaves.
    *) echo recover ;;
    esac
}

# What a slave does with its volume.
#   $1 data    none | partial | whole
#   $2 file    the identity that lies beside the data, or nothing
decide_slave() {
    case $1:${2:+known} in
    whole:*) echo verify ;;
    partial:*) echo wait-partial ;;
    none:known) echo initialise ;;
    *) echo learn ;;
    esac
}

# Whether data belongs to its volume.
#   $1 file     the identity that lies beside the data, or nothing
#   $2 library  the identity in the data, or nothing
decide_identity() {
    case ${1:+known}:${2:+known} in
    :) echo unknown ;;
    :known) echo restore-file ;;
    known:) echo restore-library ;;
    *) if [[ $1 == "$2" ]]; then echo agree; else echo differ; fi ;;
    esac
}

# Why a master is not ready, in one line; nothing when it is.
#   $1 the answer to INFO persistence replication
unready_master() {
    local info=$'\n'${1//$'\r'/}$'\n'
    case $info in
    *$'\n'loading:1$'\n'*) echo "loading its data" ;;
    *$'\n'role:master$'\n'*) ;;
    *$'\n'role:slave$'\n'*) echo "following another server: role is slave" ;;
    *) echo "redis-server gives no status, its answer is: $(one_line "$1")" ;;
    esac
}

# The same for a slave, by the age of its data.
#   $1 the answer to INFO persistence replication   $2 the heartbeat in its data, or nothing   $3 now, both in ms
#   $4 seconds that its data may be old while the link is up   $5 the same while the link is down
# `link-down` instead of a line: ready, unless the master that it finds is of another history. `link-down` before
# a line: unready in any case.
unready_slave() {
    local info=$'\n'${1//$'\r'/}$'\n' age
    age=$(age_of "$2" "$3")
    case $info in
    *$'\n'loading:1$'\n'*) echo "loading its data" ;;
    *$'\n'role:master$'\n'*) echo "following nobody: role is master" ;;
    *$'\n'master_sync_in_progress:1$'\n'*) echo "taking a full copy from the master" ;;
    *$'\n'master_link_status:up$'\n'*)
        # Without a heartbeat there is no age: the master is older than heartbeats, or its data was flushed just now.
        if [[ -n $age ]] && older_than "$2" "$3" "$4"; then
            echo "its data is $age s old although the link to the master is up; $4 s are allowed (MAX_STALE_SECONDS)"
        fi
        ;;
    *$'\n'master_link_status:down$'\n'*)
        if [[ -z $age ]]; then
            echo "link-down its data has no heartbeat of a master"
        elif older_than "$2" "$3" "$5"; then
            echo "link-down its data is $age s old, $5 s are allowed without the master (MAX_MASTER_AWAY_SECONDS)"
        else
            echo link-down
        fi
        ;;
    *) echo "redis-server gives no status, its answer is: $(one_line "$1")" ;;
    esac
}

# Seconds with one decimal between a heartbeat and now, both in ms; nothing without a heartbeat. Clocks of two
# machines differ: what comes from the future is not old.
age_of() {
    [[ $1 =~ ^[0-9]+$ ]] || return 0
    local age=$(($2 - $1))
    ((age > 0)) || age=0
    echo "$((age / 1000)).$((age % 1000 / 100))"
}

# Whether a heartbeat is more than $3 seconds before now.
older_than() {
    (($2 - $1 > $3 * 1000))
}

# The value of a line `name:value` in an answer, or nothing.
field() {
    local lines=$'\n'${2//$'\r'/}$'\n'
    [[ $lines == *$'\n'"$1":* ]] || return 0
    lines=${lines#*$'\n'"$1":}
    echo "${lines%%$'\n'*}"
}

# A number, or 0 for anything else.
number() {
    if [[ $1 =~ ^[0-9]{1,18}$ ]]; then echo "$((10#$1))"; else echo 0; fi
}

# What a slave answered (see `ask`), as one line of words:
#   address state identity heartbeat synced offset tail     with - for what it does not have
#   address silent WORDS...                             when the answer tells nothing about its data
# state is loading (also while it takes a full copy), linked (has a master), slave (has none) or master (promoted).
#   $1 address   $2 answer
slave_line() {
    local line identity='' state
    while read -r line; do
        identity=$(identity_in "$line")
        if [[ -n $identity ]]; then break; fi
    done <<<"${2//$'\r'/}"
    case $(field loading "$2"):$(field async_loading "$2"):$(field master_sync_in_progress "$2") in
    1:* | *:1:* | *:1)
        echo "$1 loading ${identity:--} - - - -"
        return
        ;;
    esac
    case $(field role "$2"):$(field master_link_status "$2") in
    master:*) state=master ;;
    slave:up) state=linked ;;
    slave:*) state=slave ;;
    *)
        echo "$1 silent $(one_line "$2")"
        return
        ;;
    esac
    if [[ -z $identity ]]; then
        echo "$1 silent its data has no identity"
        return
    fi
    local heartbeat synced offset tail
    heartbeat=$(field heartbeat "$2")
    synced=$(field synced "$2")
    # What a slave has worked off, not what it has received: the rest dies with its connection.
    offset=$(field slave_repl_offset "$2")
    if [[ $state == master ]]; then offset=$(field master_repl_offset "$2"); fi
    # 1 is what the engine says of a slave that had no link since it was started.
    if [[ $offset == 1 ]]; then offset=; fi
    tail=$(tail_of_priority "$2")
    echo "$1 $state $identity ${heartbeat:--} ${synced:--} ${offset:--} ${tail:--}"
}

# A slave keeps the bytes that its append-only files had behind the last heartbeat when it was started where every
# server can ask for it and where the best slave has the least: in its `replica-priority`.
readonly priority_max=2147483647
readonly tail_max=1073741824

#   $1 bytes
priority_of_tail() {
    echo $((priority_max - ($1 < tail_max ? $1 : tail_max)))
}

# The reverse; nothing for a priority that is not made so.
#   $1 an answer with CONFIG GET replica-priority
tail_of_priority() {
    local tail
    [[ ${1//$'\r'/} =~ (^|$'\n')replica-priority$'\n'([0-9]{1,10})($|$'\n') ]] || return 0
    tail=$((priority_max - BASH_REMATCH[2]))
    if ((tail >= 0 && tail <= tail_max)); then echo "$tail"; fi
}

# Such lines as part of a sentence.
describe_slaves() {
    local address state identity heartbeat rest parts=()
    while read -r address state identity heartbeat rest; do
        case $state in
        '') ;;
        silent) parts+=("$address does not tell ($(one_line "$identity $heartbeat $rest"))") ;;
        loading) parts+=("$address is loading its data") ;;
        *) parts+=("$address has identity $identity, data of $(utc "$heartbeat")") ;;
        esac
    done <<<"$1"
    if ((${#parts[@]} == 0)); then parts=("no slave pod has an address"); fi
    local text
    printf -v text '; %s' "${parts[@]}"
    echo "${text#; }"
}

# A heartbeat for people.
utc() {
    if (($(number "$1") == 0)); then
        echo "no time, as it has no heartbeat"
    else
        TZ=UTC printf '%(%Y-%m-%d %H:%M:%S)T.%03d UTC\n' $(($1 / 1000)) $(($1 % 1000))
    fi
}

# How long slaves that may be starting are waited for where the master could go on without them.
readonly patience=10

# What a master without data does in a system that was in use.
#   $1 how many slaves the system has, or nothing   $2 yes | no, an unused override   $3 seconds waited so far
#   $4 the identity beside the data, or nothing     $5 the slaves (lines of slave_line)
# take ADDRESS IDENTITY | initialise | wait SENTENCE
# The heartbeat decides, then the offset. A slave that was restarted has no offset any more, as all have none after
# all pods were killed at once; then it is the bytes behind the heartbeat, as all slaves write the same.
decide_donor() {
    local need answers=0 identities=' ' best='' best_rank=() rank
    local address state identity heartbeat synced offset tail
    need=$(number "$1")
    ((need > 0)) || need=1
    if [[ -n $4 ]]; then identities+="$4 "; fi
    while read -r address state identity heartbeat synced offset tail; do
        case $state in
        '' | silent) continue ;;
        loading)
            echo "wait the slave $address is still loading its data"
            return
            ;;
        linked)
            echo "wait the slave $address still has a link to a master of the identity $identity; a dead one is" \
                "noticed within 10 s, a living one is to be ended first"
            return
            ;;
        esac
        answers=$((answers + 1))
        [[ $identities == *" $identity "* ]] || identities+="$identity "
        # Of equals the one that an earlier try has promoted.
        rank=("$(number "$heartbeat")" "$(number "$offset")" "$(number "$tail")" "$([[ $state == slave ]] || echo 1)")
        if [[ -z $best ]] || ranks_above "${rank[*]}" "${best_rank[*]}"; then
            best="$address $identity"
            best_rank=("${rank[@]}")
        fi
    done <<<"$5"

    local who
    who=$(describe_slaves "$5")
    if ((answers < need)); then
        if [[ $2 == no || $3 -lt patience ]]; then
            echo "wait $answers of $need slaves tell what they have: $who. Bring the missing back, or the master's" \
                "volume; or set a new word as \`bootstrap\` to go on with the most advanced of those that" \
                "answer, and with a new, empty system where none does"
        elif ((answers == 0)); then
            echo initialise
        else
            echo "take $best"
        fi
    elif [[ $2 == yes ]]; then
        echo "take $best"
    elif [[ $identities == *' '*' '*' ' ]]; then
        echo "wait two histories:${4:+ /data/identity says $4;} $who. Delete the volumes and pods of the one that is" \
            "not wanted, or set a new word as \`bootstrap\` to take the newest data"
    elif ((best_rank[0] == 0)); then
        echo "wait no slave has data of a master: $who. Bring the master's volume back, or set a new word as" \
            "\`bootstrap\` to go on with what they have"
    else
        echo "take $best"
    fi
}

# Whether the first of two lists of numbers is above the second: the first number decides, then the next.
ranks_above() {
    local a b i
    read -r -a a <<<"$1"
    read -r -a b <<<"$2"
    for i in "${!a[@]}"; do
        if ((${a[i]:-0} != ${b[i]:-0})); then
            ((${a[i]:-0} > ${b[i]:-0}))
            return
        fi
    done
    return 1
}

# Whether a master's data is what its slaves have, or more: an older copy of its volume would make them older too.
#   $1 the heartbeat in its data, or nothing   $2 its identity   $3 how many slaves the system has, or nothing
#   $4 yes | no, an unused override   $5 seconds waited so far   $6 the slaves (lines of slave_line)
# open | open SENTENCE | wait SENTENCE
# A slave's `synced` is compared, the beat before its last one. What reaches a slave is nearly always on the master's
# disk, but where a slave's connection is congested, what is new can be sent to it before it is written. The beat
# before the last is on disk for sure: the next is made only after it was acknowledged.
decide_open() {
    local answers=0 address state identity heartbeat synced rest
    while read -r address state identity heartbeat synced rest; do
        case $state in
        '' | silent | loading) continue ;;
        esac
        answers=$((answers + 1))
        if [[ $identity == "$2" ]] && (($(number "$synced") > $(number "$1"))); then
            if [[ $4 == yes ]]; then
                echo "open although the slave $address has data of $(utc "$synced") and this is of $(utc "$1"): the" \
                    "new word in \`bootstrap\` says so"
            else
                echo "wait this data is of $(utc "$1"), but the slave $address has data of $(utc "$synced"): an" \
                    "older copy of the volume would take that from the slaves, so it is not opened. Delete this pod" \
                    "and its claim, then it takes the data from the slaves; or bring the right volume back; or set" \
                    "a new word as \`bootstrap\` to declare this copy the right one"
            fi
            return
        fi
    done <<<"$6"
    if ((answers >= $(number "$3"))); then
        echo open
    elif (($5 >= patience)); then
        echo "open although only $answers of $3 slaves tell what they have: $(describe_slaves "$6")"
    else
        echo "wait $answers of $3 slaves tell what they have; it is opened without the others in" \
            "$((patience - $5)) s: $(describe_slaves "$6")"
    fi
}

# How far the copy is that an empty master takes.
#   $1 what the promoted slave answered   $2 what the own server answers, asked afterwards
# whole | copying | gone (the slave is not promoted any more)
decide_copy() {
    if [[ $(field role "$1") != master ]]; then
        echo gone
    elif [[ $(field role "$2"):$(field master_link_status "$2"):$(field loading "$2") == slave:up:0 &&
        $(field master_sync_in_progress "$2"):$(field aof_enabled "$2") == 0:1 &&
        $(field aof_rewrite_in_progress "$2"):$(field aof_rewrite_scheduled "$2") == 0:0 &&
        $(field aof_last_bgrewrite_status "$2") == ok ]] &&
        (($(number "$(field slave_repl_offset "$2")") >= $(number "$(field master_repl_offset "$1")"))); then
        echo whole
    else
        echo copying
    fi
}

# Whether an open master makes a slave follow it again: yes | no.
#   $1 the heartbeat in the master's data   $2 its identity   $3 the slave (line of slave_line)
decide_turn_back() {
    local state identity heartbeat
    read -r _ state identity heartbeat _ <<<"$3"
    if [[ $state:$identity == "master:$2" ]] && (($(number "$heartbeat") <= $(number "$1"))); then
        echo yes
    else
        echo no
    fi
}

# The one identity that all slaves that answer have, or nothing.
#   $1 the slaves (lines of slave_line)
common_identity() {
    local state identity common=''
    while read -r _ state identity _; do
        case $state in
        '' | silent | loading) continue ;;
        esac
        if [[ -n $common && $identity != "$common" ]]; then return; fi
        common=$identity
    done <<<"$1"
    echo "$common"
}

# Whether an answer of a server is an identity: prints it, or nothing.
identity_in() {
    local hex='[0-9a-f]'
    if [[ $1 =~ ^$hex{8}(-$hex{4}){3}-$hex{12}$ ]]; then echo "$1"; fi
}

# An answer, perhaps of several lines or empty, as part of a sentence.
one_line() {
    local words
    read -r -d '' -a words <<<"${1//$'\r'/}" || true
    echo "${words[*]:-nothing}"
}

# Why a slave without a link to its master is not ready, in one line; nothing when it is.
#   $1 its identity   $2 the master's host:port   $3 what the master answers when asked for its identity
#   $4 why its data is too old, or nothing
unready_alone() {
    local other
    other=$(identity_in "$3")
    if [[ -n $other && $other != "$1" ]]; then
        echo "the master $2 is of another history: its identity is $other, this slave's is $1." \
            "Nothing was taken from it; bring the right master volume back, or, if this slave's data is" \
            "not wanted, delete its volume and its pod"
    elif [[ -z $4 ]]; then
        return
    elif [[ -n $other ]]; then
        echo "$4: no link yet to the master $2, which has the same identity $1"
    else
        echo "$4: no link to the master $2, which answers: $(one_line "$3")"
    fi
}

# A master's replication for people.
#   $1 the answer to INFO persistence replication
describe_master_replication() {
    local line each=''
    if [[ -z $(field role "$1") ]]; then
        echo "redis-server gives no status"
    elif [[ $(field role "$1") != master ]]; then
        echo "following another server: role is $(field role "$1")"
    else
        while read -r line; do
            if [[ $line =~ ^slave[0-9]+:ip=([^,]+),.*state=([^,]+),.*lag=([0-9]+) ]]; then
                each+="${each:+, }${BASH_REMATCH[1]} ${BASH_REMATCH[2]} ${BASH_REMATCH[3]} s ago"
            fi
        done <<<"${1//$'\r'/}"
        echo "asynchronous, slaves: $(field connected_slaves "$1")${each:+ ($each)}"
    fi
}

# A slave's replication for people.
describe_slave_replication() {
    local master
    master="$(field master_host "$1"):$(field master_port "$1")"
    case $(field role "$1"):$(field master_link_status "$1"):$(field master_sync_in_progress "$1") in
    master:*) echo "promoted: it gives its data to a master, or waits to follow one again" ;;
    slave:*:1) echo "taking a full copy from $master" ;;
    slave:up:*) echo "link to $master up, last heard $(field master_last_io_seconds_ago "$1") s ago" ;;
    slave:*) echo "link to $master down for $(field master_link_down_since_seconds "$1") s" ;;
    *) echo "redis-server gives no status" ;;
    esac
}
