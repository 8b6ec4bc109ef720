# shellcheck shell=bash
# Decisions over plain inputs: nothing here reads a file, a server or a clock.
# test/unit/redis-decide.test.ts has the table of cases.

# What a master does with its volume.
#   $1 data   none | partial | whole
#   $2 known  yes | no, whether the system is known to have been initialised before
decide_master() {
    case $1:$2 in
    whole:*) echo verify ;;
    partial:*) echo wait-partial ;;
    none:no) echo initialise ;;
    # If an empty master opened, it would empty its slaves.
    *) echo recover ;;
    esac
}

# What a slave does with its volume.
#   $1 data    none | partial | whole
#   $2 file    the identity in the file next to the data, or nothing
decide_slave() {
    case $1:${2:+known} in
    whole:*) echo verify ;;
    partial:*) echo wait-partial ;;
    none:known) echo initialise ;;
    *) echo learn ;;
    esac
}

# Whether data belongs to its volume.
#   $1 file     the identity in the file next to the data, or nothing
#   $2 library  the identity in the data, or nothing
decide_identity() {
    case ${1:+known}:${2:+known} in
    :) echo unknown ;;
    :known) echo restore-file ;;
    known:) echo restore-library ;;
    *) if [[ $1 == "$2" ]]; then echo agree; else echo differ; fi ;;
    esac
}

# Why a master is not ready, in one line; nothing if it is ready.
#   $1 the answer to INFO persistence replication
unready_master() {
    local info=$'\n'${1//$'\r'/}$'\n'
    case $info in
    *$'\n'loading:1$'\n'*) echo "loading its data" ;;
    *$'\n'role:master$'\n'*) ;;
    *$'\n'role:slave$'\n'*) echo "following another server: role is slave" ;;
    *) echo "redis-server reports no status, its answer is: $(one_line "$1")" ;;
    esac
}

# The same for a slave, by the age of its data.
#   $1 the answer to INFO persistence replication   $2 the heartbeat in its data, or nothing   $3 now, both in ms
#   $4 maximum age of its data in seconds while the link is up   $5 the same while the link is down
# `link-down` alone: ready, unless the master that it finds belongs to another history. `link-down` before a
# reason: not ready in any case.
unready_slave() {
    local info=$'\n'${1//$'\r'/}$'\n' age
    age=$(age_of "$2" "$3")
    case $info in
    *$'\n'loading:1$'\n'*) echo "loading its data" ;;
    *$'\n'role:master$'\n'*) echo "following no master: role is master" ;;
    *$'\n'master_sync_in_progress:1$'\n'*) echo "taking a full copy from the master" ;;
    *$'\n'master_link_status:up$'\n'*)
        # Without a heartbeat there is no age: the master's version has no heartbeats yet, or its data was just flushed.
        if [[ -n $age ]] && older_than "$2" "$3" "$4"; then
            echo "its data is $age s old although the link to the master is up; MAX_STALE_SECONDS allows $4 s"
        fi
        ;;
    *$'\n'master_link_status:down$'\n'*)
        if [[ -z $age ]]; then
            echo "link-down its data has no heartbeat from a master"
        elif older_than "$2" "$3" "$5"; then
            echo "link-down its data is $age s old; without the master, MAX_MASTER_AWAY_SECONDS allows $5 s"
        else
            echo link-down
        fi
        ;;
    *) echo "redis-server reports no status, its answer is: $(one_line "$1")" ;;
    esac
}

# Seconds with one decimal between a heartbeat and now, both in ms; nothing without a heartbeat. The clocks of two
# machines differ: a heartbeat from the future has age 0.
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

# The value of the line `name:value` in an answer, or nothing.
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
#   address state identity heartbeat synced offset tail     with - for missing values
#   address silent WORDS...                             if the answer says nothing about its data
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
    # What a slave has processed, not what it has received: the rest is lost with its connection.
    offset=$(field slave_repl_offset "$2")
    if [[ $state == master ]]; then offset=$(field master_repl_offset "$2"); fi
    # The engine reports 1 for a slave that has had no link since it was started.
    if [[ $offset == 1 ]]; then offset=; fi
    tail=$(tail_of_priority "$2")
    echo "$1 $state $identity ${heartbeat:--} ${synced:--} ${offset:--} ${tail:--}"
}

# At its start, a slave stores how many bytes its append-only files have after the last heartbeat. It stores them in its
# `replica-priority`, where every server can query them and the best slave has the lowest value.
readonly priority_max=2147483647
readonly tail_max=1073741824

#   $1 bytes
priority_of_tail() {
    echo $((priority_max - ($1 < tail_max ? $1 : tail_max)))
}

# The reverse; nothing for a priority that was not computed this way.
#   $1 an answer that contains CONFIG GET replica-priority
tail_of_priority() {
    local tail
    [[ ${1//$'\r'/} =~ (^|$'\n')replica-priority$'\n'([0-9]{1,10})($|$'\n') ]] || return 0
    tail=$((priority_max - BASH_REMATCH[2]))
    if ((tail >= 0 && tail <= tail_max)); then echo "$tail"; fi
}

# The lines of slave_line as part of a sentence.
describe_slaves() {
    local address state identity heartbeat rest parts=()
    while read -r address state identity heartbeat rest; do
        case $state in
        '') ;;
        silent) parts+=("$address does not report its data ($(one_line "$identity $heartbeat $rest"))") ;;
        loading) parts+=("$address is loading its data") ;;
        *) parts+=("$address has identity $identity and data from $(utc "$heartbeat")") ;;
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
        echo "an unknown time (no heartbeat)"
    else
        TZ=UTC printf '%(%Y-%m-%d %H:%M:%S)T.%03d UTC\n' $(($1 / 1000)) $(($1 % 1000))
    fi
}

# How many seconds a master waits for slaves that may be starting, if it could continue without them.
readonly patience=10

# What a master without data does in a system that was in use.
#   $1 how many slaves the system has, or nothing        $2 yes | no, an unused override   $3 seconds waited so far
#   $4 the identity in the file next to the data, or nothing   $5 the slaves (lines of slave_line)
# take ADDRESS IDENTITY | initialise | wait SENTENCE
# The heartbeat decides, then the offset. A restarted slave has no offset, and after all pods were killed at once, no
# slave has one. Then the bytes after the heartbeat decide, because all slaves write the same.
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
            echo "wait the slave $address still has a link to a master with the identity $identity; if that master is" \
                "dead, the slave notices within 10 s; if it is alive, stop it first"
            return
            ;;
        esac
        answers=$((answers + 1))
        [[ $identities == *" $identity "* ]] || identities+="$identity "
        # Among equals, the one that an earlier attempt promoted.
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
            echo "wait $answers of $need slaves report what they have: $who. Restore the missing slaves or the" \
                "master's volume; or set \`bootstrap\` to a new word to continue with the most advanced of those that" \
                "answer, or with a new, empty system if none does"
        elif ((answers == 0)); then
            echo initialise
        else
            echo "take $best"
        fi
    elif [[ $2 == yes ]]; then
        echo "take $best"
    elif [[ $identities == *' '*' '*' ' ]]; then
        echo "wait two histories:${4:+ /data/identity says $4;} $who. Delete the volumes and pods of the one that you" \
            "do not need, or set \`bootstrap\` to a new word to take the newest data"
    elif ((best_rank[0] == 0)); then
        echo "wait no slave has data from a master: $who. Restore the master's volume, or set \`bootstrap\` to a new" \
            "word to continue with what they have"
    else
        echo "take $best"
    fi
}

# Whether the first of two lists of numbers ranks above the second: the first number decides, then the next.
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

# Whether a master has at least the data of its slaves: an older copy of its volume would make them older too.
#   $1 the heartbeat in its data, or nothing   $2 its identity   $3 how many slaves the system has, or nothing
#   $4 yes | no, an unused override   $5 seconds waited so far   $6 the slaves (lines of slave_line)
# open | open SENTENCE | wait SENTENCE
# This compares a slave's `synced`, the beat before its last one. What reaches a slave is nearly always on the master's
# disk, but if a slave's connection is congested, new data can be sent to it before it is written. The beat before the
# last is certainly on disk: the next one is written only after it was acknowledged.
decide_open() {
    local answers=0 address state identity heartbeat synced rest
    while read -r address state identity heartbeat synced rest; do
        case $state in
        '' | silent | loading) continue ;;
        esac
        answers=$((answers + 1))
        if [[ $identity == "$2" ]] && (($(number "$synced") > $(number "$1"))); then
            if [[ $4 == yes ]]; then
                echo "open although the slave $address has data from $(utc "$synced") and this data is from" \
                    "$(utc "$1"), because the new word in \`bootstrap\` says so"
            else
                echo "wait this data is from $(utc "$1"), but the slave $address has data from $(utc "$synced"): an" \
                    "older copy of the volume would overwrite that on the slaves, so it is not opened. Delete this pod" \
                    "and its claim, so that it takes the data from the slaves; or restore the correct volume; or set" \
                    "\`bootstrap\` to a new word to declare this copy correct"
            fi
            return
        fi
    done <<<"$6"
    if ((answers >= $(number "$3"))); then
        echo open
    elif (($5 >= patience)); then
        echo "open although only $answers of $3 slaves report what they have: $(describe_slaves "$6")"
    else
        echo "wait $answers of $3 slaves report what they have; it opens without the others in" \
            "$((patience - $5)) s: $(describe_slaves "$6")"
    fi
}

# How far an empty master has copied its data.
#   $1 what the promoted slave answered   $2 what this pod's server answered afterwards
# whole | copying | gone (the slave is no longer promoted)
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

# The identity that all answering slaves share, or nothing.
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

# Prints a server's answer if it is an identity, otherwise nothing.
identity_in() {
    local hex='[0-9a-f]'
    if [[ $1 =~ ^$hex{8}(-$hex{4}){3}-$hex{12}$ ]]; then echo "$1"; fi
}

# An answer, which may be empty or have several lines, as part of a sentence.
one_line() {
    local words
    read -r -d '' -a words <<<"${1//$'\r'/}" || true
    echo "${words[*]:-nothing}"
}

# Why a slave without a link to its master is not ready, in one line; nothing if it is ready.
#   $1 its identity   $2 the master's host:port   $3 what the master answers when asked for its identity
#   $4 why its data is too old, or nothing
unready_alone() {
    local other
    other=$(identity_in "$3")
    if [[ -n $other && $other != "$1" ]]; then
        echo "the master $2 belongs to another history: its identity is $other, this slave's is $1." \
            "Nothing was taken from it; restore the correct master volume, or, if you do not need this slave's data," \
            "delete its volume and its pod"
    elif [[ -z $4 ]]; then
        return
    elif [[ -n $other ]]; then
        echo "$4: no link yet to the master $2, which has the same identity $1"
    else
        echo "$4: no link to the master $2, which answers: $(one_line "$3")"
    fi
}

# A master's replication, for people.
#   $1 the answer to INFO persistence replication
describe_master_replication() {
    local line each=''
    if [[ -z $(field role "$1") ]]; then
        echo "redis-server reports no status"
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

# A slave's replication, for people.
describe_slave_replication() {
    local master
    master="$(field master_host "$1"):$(field master_port "$1")"
    case $(field role "$1"):$(field master_link_status "$1"):$(field master_sync_in_progress "$1") in
    master:*) echo "promoted: it provides its data to a master, or waits to follow one again" ;;
    slave:*:1) echo "taking a full copy from $master" ;;
    slave:up:*) echo "link to $master up, last heard $(field master_last_io_seconds_ago "$1") s ago" ;;
    slave:*) echo "link to $master down for $(field master_link_down_since_seconds "$1") s" ;;
    *) echo "redis-server reports no status" ;;
    esac
}
