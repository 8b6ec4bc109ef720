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
    partial:*) echo put-aside ;;
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
    $'\n'BUSY\ *) echo "a script blocks redis-server: $(one_line "$1")" ;;
    *) echo "redis-server reports no status, its answer is: $(one_line "$1")" ;;
    esac
}

# The same for a slave, by the age of its data.
#   $1 the answer to INFO persistence replication   $2 when its data last moved, or nothing   $3 now, both in ms
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
    $'\n'BUSY\ *) echo "a script blocks redis-server: $(one_line "$1")" ;;
    *) echo "redis-server reports no status, its answer is: $(one_line "$1")" ;;
    esac
}

# When data that has the heartbeat $1 last moved, on a clock that now shows $3 while the wall clock shows $2, all in ms.
# A first guess, until this server has seen the data move: the clocks of two machines differ.
moved_at() {
    local age=$(($2 - $1))
    ((age > 0)) || age=0
    echo $(($3 - age))
}

# Seconds with one decimal between two times in ms; nothing without the first one, 0 if it is later.
age_of() {
    [[ $1 =~ ^-?[0-9]+$ ]] || return 0
    local age=$(($2 - $1))
    ((age > 0)) || age=0
    echo "$((age / 1000)).$((age % 1000 / 100))"
}

# Whether the first time is more than $3 seconds before the second.
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
#   address state identity heartbeat synced offset tail beats openings     with - for missing values
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
        echo "$1 loading ${identity:--} - - - - - -"
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
    local heartbeat synced offset tail beats openings
    heartbeat=$(field heartbeat "$2")
    synced=$(field synced "$2")
    beats=$(field beats "$2")
    openings=$(field openings "$2")
    # What a slave has processed, not what it has received: the rest is lost with its connection.
    offset=$(field slave_repl_offset "$2")
    if [[ $state == master ]]; then offset=$(field master_repl_offset "$2"); fi
    # The engine reports 1 for a slave that has had no link since it was started.
    if [[ $offset == 1 ]]; then offset=; fi
    tail=$(tail_of_priority "$2")
    echo "$1 $state $identity ${heartbeat:--} ${synced:--} ${offset:--} ${tail:--}" \
        "${beats:--} ${openings:--}"
}

# A history is a list of openings: each time that a master opens, it adds one, and it counts its beats from where the
# data had got to. An entry is `name:beats:heartbeat`, the latter two as they were in the data that it opened, or
# `name:beats:heartbeat:word` if an operator's word declared that data correct. Names are random. So servers can find
# out whose data goes on from whose: two copies of one volume that were both opened have different last names. No clock
# is compared, except with data from before there were beats.

# Beats that a declared copy is put ahead of all others: 30 years.
readonly declared_beats=1000000000
# The first opening and this many of the last ones are kept.
readonly openings_kept=200

# The history with one more opening.
#   $1 the openings so far   $2 the beats and   $3 the heartbeat in the data   $4 the new name   $5 the word, or nothing
add_opening() {
    local all beats=$(($(number "$2") + (${#5} ? declared_beats : 0)))
    split_openings "$1"
    all=("${openings[@]}" "$4:$beats:$(number "$3")${5:+:$5}")
    if ((${#all[@]} > openings_kept + 1)); then all=("${all[0]}" "${all[@]: -openings_kept}"); fi
    local IFS=,
    echo "${all[*]}"
}

# Puts the entries of a history into the array $openings.
split_openings() {
    openings=()
    if [[ -n $1 && $1 != - ]]; then IFS=, read -r -a openings <<<"$1"; fi
}

# The name of the last opening, or nothing.
last_opening() {
    local last=${1##*,}
    if [[ -n $last && $last != - ]]; then echo "${last%%:*}"; fi
}

# Whether data contains everything of another server's data: yes | no.
#   $1 its openings   $2 its beats   $3 its heartbeat      $4 openings   $5 beats   $6 `synced` of the other
# What counts of the other is the beat before its last one. What reaches a slave is nearly always on the master's disk,
# but if a slave's connection is congested, new data can be sent to it before it is written. The beat before the last is
# certainly on disk: the next one is written only after it was acknowledged.
contains() {
    local openings beats before name entry i
    beats=$(number "$5")
    before=$((beats - 1))
    split_openings "$1"
    for entry in "${openings[@]}"; do
        if [[ $entry == *:*:*:* ]] && ((before < $(number "$(second "$entry")"))); then echo yes && return; fi
    done
    if ((beats == 0)); then
        # The other has no beats: it stopped before the first opening, or only times can be compared.
        local latest=$3
        if ((${#openings[@]})); then latest=${openings[0]##*:}; fi
        if (($(number "$6") <= $(number "$latest"))); then echo yes; else echo no; fi
        return
    fi
    name=$(last_opening "$4")
    for i in "${!openings[@]}"; do
        if [[ ${openings[i]%%:*} != "$name" ]]; then continue; fi
        entry=${openings[i + 1]-}
        if [[ -n $entry ]]; then
            if ((before <= $(number "$(second "$entry")"))); then echo yes; else echo no; fi
        # With equal beats, times differ only if a version that does not count beats wrote them.
        elif ((before > $(number "$2"))) || ((beats == $(number "$2") && $(number "$6") > $(number "$3"))); then
            echo no
        else
            echo yes
        fi
        return
    done
    echo no
}

second() {
    local rest=${1#*:}
    echo "${rest%%:*}"
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
    local address state identity heartbeat rest beats parts=()
    while read -r address state identity heartbeat rest; do
        case $state in
        '') ;;
        silent) parts+=("$address does not report its data ($(one_line "$identity $heartbeat $rest"))") ;;
        loading) parts+=("$address is loading its data") ;;
        *)
            read -r _ _ _ beats _ <<<"$rest"
            parts+=("$address has identity $identity and data from $(point "$heartbeat" "$beats")")
            ;;
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

# How far data has got, for people: the time, and the beat, which decides.
point() {
    echo "$(utc "$1")$( (($(number "$2") == 0)) || echo ", beat $(number "$2")")"
}

# How many seconds a master waits for slaves if it could continue without them: for those that may not exist, for those
# whose pod refuses connections and so is starting, and for those that load their data, which ends by itself. The last
# is as long as a pod may take to start.
readonly patience=10
readonly starting_patience=60
readonly loading_patience=600

# What a master without data does in a system that was in use.
#   $1 how many slaves the system has, or nothing        $2 yes | no, an unused override   $3 seconds waited so far
#   $4 the identity in the file next to the data, or nothing   $5 the slaves (lines of slave_line)
#   $6 seconds since a slave last answered, if one has
# take ADDRESS IDENTITY | initialise | wait SENTENCE
# The beat decides, or in data from before there were beats, the heartbeat; then the offset. A restarted slave has no
# offset, and after all pods were killed at once, no slave has one. Then the bytes after the heartbeat decide, because
# all slaves write the same.
decide_donor() {
    local need answers=0 identities=' ' best='' best_rank=() best_data=() rank other=''
    local address state identity heartbeat synced offset tail beats history
    need=$(number "$1")
    ((need > 0)) || need=1
    if [[ -n $4 ]]; then identities+="$4 "; fi
    while read -r address state identity heartbeat synced offset tail beats history; do
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
        rank=("$(number "$beats")" "$(number "$heartbeat")" "$(number "$offset")" "$(number "$tail")"
            "$([[ $state == slave ]] || echo 1)")
        if [[ -z $best ]] || ranks_above "${rank[*]}" "${best_rank[*]}"; then
            best="$address $identity"
            best_rank=("${rank[@]}")
            best_data=("$history" "$beats" "$heartbeat")
        fi
    done <<<"$5"
    while read -r address state identity heartbeat synced offset tail beats history; do
        case $state in
        '' | silent | loading | linked) continue ;;
        esac
        if [[ $(contains "${best_data[@]}" "$history" "$beats" "$synced") == no ]]; then other=$address; fi
    done <<<"$5"

    local who
    who=$(describe_slaves "$5")
    if ((answers < need)); then
        if [[ $2 == no || $3 -lt patience ]] || ((answers == 0 && ${6-$3} < patience)); then
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
    elif [[ -n $other ]]; then
        echo "wait each slave has something that another lacks, ${best% *} and $other: $who. Delete the claim and the" \
            "pod of the one that you do not need, or set \`bootstrap\` to a new word to take the newest data"
    elif ((best_rank[0] == 0 && best_rank[1] == 0)); then
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
#   $7 the beats in its data   $8 its openings   $9 yes | no, whether it closed because a slave had more
# open | open SENTENCE | wait SENTENCE | close SENTENCE (wait, for the same reason as in the future)
decide_open() {
    local answers=0 loading=0 starting=0 limit=$patience address state identity heartbeat synced beats history
    while read -r address state identity heartbeat synced _ _ beats history; do
        case $state in
        '') continue ;;
        loading)
            loading=1
            continue
            ;;
        silent)
            if [[ "$identity $heartbeat $synced $beats $history" == *refused* ]]; then starting=1; fi
            continue
            ;;
        esac
        answers=$((answers + 1))
        if [[ $identity == "$2" && $(contains "${8-}" "${7-}" "$1" "$history" "$beats" "$synced") == no ]]; then
            if [[ $4 == yes ]]; then
                echo "open although the slave $address has data from $(point "$heartbeat" "$beats") and this data is" \
                    "from $(point "$1" "${7-}"), because the new word in \`bootstrap\` says so"
            else
                echo "close this data is from $(point "$1" "${7-}"), but the slave $address has data from" \
                    "$(point "$heartbeat" "$beats") that this data lacks: an older copy of the volume would overwrite" \
                    "that on the slaves, so it is not opened. Delete this pod and its claim, so that it takes the" \
                    "data from the slaves; or restore the correct volume; or set \`bootstrap\` to a new word to" \
                    "declare this copy correct"
            fi
            return
        fi
    done <<<"$6"
    if ((starting)); then limit=$starting_patience; fi
    if ((loading)); then limit=$loading_patience; fi
    if ((answers >= $(number "$3"))) && [[ ${9-no} == no || $answers -gt 0 ]]; then
        echo open
    elif [[ ${9-no} == yes && $4 == no ]]; then
        echo "wait $answers of $3 slaves report what they have, and one of them had data that this data lacks:" \
            "$(describe_slaves "$6"). Restore the missing slaves; or set \`bootstrap\` to a new word to declare this" \
            "copy correct"
    elif (($5 >= limit)); then
        echo "open although only $answers of $3 slaves report what they have: $(describe_slaves "$6")"
    else
        echo "wait $answers of $3 slaves report what they have; it opens without the others in" \
            "$((limit - $5)) s: $(describe_slaves "$6")"
    fi
}

# Whether a slave without a link follows the master that it finds.
#   $1 its identity   $2 what it has   $3 what the master has (lines of slave_line)   $4 the master's host:port
# follow ACCOUNT | refuse SENTENCE | wait WORDS
# Each opening has its own replication account. So redis-server, which reconnects by itself and would take a full copy
# from whatever it finds, gets in only where this function has compared the data.
decide_follow() {
    local state identity heartbeat beats history own=()
    read -r -a own <<<"$2"
    read -r _ state identity heartbeat _ _ _ beats history <<<"$3"
    case $state in
    '') echo "wait whose name has no address" && return ;;
    silent) echo "wait which answers: $(one_line "${3#* silent}")" && return ;;
    loading) echo "wait which is loading its data" && return ;;
    esac
    if [[ $identity != "$1" ]]; then
        echo "refuse the master $4 belongs to another history: its identity is $identity, this slave's is $1." \
            "Nothing was taken from it; restore the correct master volume, or, if you do not need this slave's data," \
            "delete its volume and its pod"
    elif [[ ${own[1]-} == silent || ${own[1]-} == loading || ${#own[@]} -lt 9 ]]; then
        echo "wait which has the same identity $1, but this slave does not report its own data yet"
    elif [[ $(contains "$history" "$beats" "$heartbeat" "${own[8]}" "${own[7]}" "${own[4]}") == no ]]; then
        echo "refuse the master $4 lacks what this slave has up to $(point "${own[3]}" "${own[7]}"): an older copy of" \
            "its volume was opened. Nothing was taken from it. Delete the master's pod and its claim, so that it takes" \
            "the data from the slaves; or, if you do not need this slave's data, delete its claim and its pod"
    else
        echo "follow $(replication_account "$1" "$(last_opening "$history")")"
    fi
}

# The name of the account for replication from a master that opened under the name $2.
replication_account() {
    echo "repl_${1:0:8}${2:+_$2}"
}

# The file that is damaged, the last byte that is valid and its size; nothing if that is not known.
#   $1 what redis-check-aof prints
damage_in() {
    local line
    while read -r line; do
        if [[ $line =~ filename=([^,/]+),\ size=([0-9]+),\ ok_up_to=([0-9]+),.*diff=[1-9] ]]; then
            echo "${BASH_REMATCH[1]} ${BASH_REMATCH[3]} ${BASH_REMATCH[2]}"
            return
        fi
    done <<<"$1"
}

# Damage for people.
#   $1 what redis-check-aof prints   $2 the log of redis-server
describe_damage() {
    local file bytes size line words
    read -r file bytes size <<<"$(damage_in "$1")" || true
    if [[ -n $file ]]; then
        echo "$file is not valid after byte $bytes of $size"
        return
    fi
    words=$(one_line "$2")
    while read -r line; do
        case $line in
        *'Cannot open'* | *'Unexpected EOF'* | *rror*) words=$line ;;
        esac
    done <<<"$1"
    one_line "$words"
}

# What a master does about what follows the last valid command of its append-only file: torn (cut it off) | damaged
#   $1 its first byte, and then the lines in it that begin a command, MULTI or EXEC
# A kill or a power cut leaves at most one command or transaction incomplete at the end, and with `appendfsync always`
# nothing of it was acknowledged. If more commands follow, something in the middle is damaged: the engine would call
# that truncated, too, and drop all of them.
decide_damage() {
    local first words
    read -r first words <<<"$1" || true
    case $first:$words in
    \*:'*1 MULTI'*) if [[ $words == *EXEC* ]]; then echo damaged; else echo torn; fi ;;
    \*:*) if [[ $words =~ ^(nothing|\*[0-9]*)$ ]]; then echo torn; else echo damaged; fi ;;
    *) echo damaged ;;
    esac
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
#   $1 the heartbeat in the master's data   $2 its identity   $3 the slave (line of slave_line)   $4 the master's beats
#   $5 its openings
decide_turn_back() {
    local state identity synced beats history
    read -r _ state identity _ synced _ _ beats history <<<"$3"
    if [[ $state:$identity == "master:$2" &&
        $(contains "${5-}" "${4-}" "$1" "$history" "$beats" "$synced") == yes ]]; then
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
#   $1 what decide_follow last said   $2 the master's host:port   $3 why its data is too old, or nothing
unready_alone() {
    case $1 in
    refuse\ *) echo "${1#refuse }" ;;
    *)
        if [[ -z $3 ]]; then return; fi
        case $1 in
        follow\ *) echo "$3: no link yet to the master $2, which has the same history" ;;
        wait\ *) echo "$3: no link to the master $2, ${1#wait }" ;;
        *) echo "$3: no link to the master $2" ;;
        esac
        ;;
    esac
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

# Why a master that answers takes no writes, for people; nothing if it takes them, or if what it says is told elsewhere.
#   $1 the answer to a script that might write
describe_refusal() {
    case $1 in
    OOM* | MISCONF* | NOREPLICAS*) echo "; refuses writes: $(one_line "$1")" ;;
    esac
}

# A slave's replication, for people.
#   $1 the answer to INFO persistence replication   $2 the master's host:port
describe_slave_replication() {
    local master=$2
    case $(field role "$1"):$(field master_link_status "$1"):$(field master_sync_in_progress "$1") in
    master:*) echo "promoted: it provides its data to a master, or waits to follow one again" ;;
    slave:*:1) echo "taking a full copy from $master" ;;
    slave:up:*) echo "link to $master up, last heard $(field master_last_io_seconds_ago "$1") s ago" ;;
    slave:*) echo "link to $master down for $(field master_link_down_since_seconds "$1") s" ;;
    *) echo "redis-server reports no status" ;;
    esac
}
