# shellcheck shell=bash
# Decisions of the slave image: functions over plain inputs, without a server or a file. Sourced.

# seconds MILLISECONDS: prints them as seconds with one decimal.
seconds() {
    printf '%d.%d' "$(($1 / 1000))" "$(($1 % 1000 / 100))"
}

# milliseconds SECONDS: the reverse; prints nothing for an empty input. The clocks of two machines differ slightly, so an age may be negative.
milliseconds() {
    if [[ $1 == -* ]]; then
        echo 0
    elif [[ $1 =~ ^([0-9]+)(\.([0-9]))? ]]; then
        echo $((10#${BASH_REMATCH[1]} * 1000 + 10#${BASH_REMATCH[3]:-0} * 100))
    fi
}

# decide_age NOW BEAT OFFSET CONTAINED DIFFERENCE: how old this slave's data is. All values are in milliseconds; all but NOW may be empty.
#   NOW         time on this machine's clock that is never set
#   BEAT        time of the heartbeat in this data, by the master's clock
#   OFFSET      what the master's clock was ahead of NOW when it was last asked
#   CONTAINED   a time on NOW's clock: this data contains everything that the master had executed then
#   DIFFERENCE  time since BEAT by this server's clock
# Prints the age, or nothing if there is no heartbeat, and "ask" after it if the master's clock seems to have been set since it was asked: then BEAT
# tells nothing, but CONTAINED still tells how old the data is at most.
decide_age() {
    local now=$1 beat=$2 offset=$3 contained=$4 difference=$5 age bound="" ask=""
    if [[ -z $beat ]]; then return 0; fi
    if [[ -n $contained ]]; then bound=$((now - contained)); fi
    if [[ -z $offset ]]; then
        # Until the master has answered once, the clocks of two machines are all there is.
        age=$difference
    else
        age=$((now + offset - beat))
        # A heartbeat is written each second, and an answer takes its time.
        if ((age < -2000)) || [[ -n $bound && $age -gt $((bound + 2000)) ]]; then
            age=${bound:-$difference} ask=" ask"
        fi
    fi
    echo "$((age > 0 ? age : 0))$ask"
}

# decide_ready RECEIVER RECEIVER_ERROR APPLIER APPLIER_ERROR AGE MAX_STALE MAX_AWAY HELD: whether a slave may serve.
#   RECEIVER, APPLIER  state of the thread: ON, CONNECTING, OFF, or empty if replication is not set up
#   ..._ERROR          number and text of its last error, or empty
#   AGE                age of the heartbeat in this slave's data in milliseconds, or empty if there is none
#   MAX_STALE          maximum age of the data in seconds while the link to the master is up
#   MAX_AWAY           the same while the link is down
#   HELD               why follow waits for an operator or a donor, or empty
# If it may not, prints the reason in one line and fails.
decide_ready() {
    local receiver=$1 receiver_error=$2 applier=$3 applier_error=$4 age=$5 max_stale=$6 max_away=$7 held=$8 old=""
    if [[ $age == -* ]]; then age=0; fi
    if [[ -n $age ]]; then old="the data is $(seconds "$age") s old"; fi
    if [[ -z $receiver || -z $applier ]]; then
        echo "replication is not set up"
    elif [[ -n $held ]]; then
        echo "$held"
    elif [[ $applier != ON ]]; then
        echo "the replication applier is $applier${applier_error:+: $applier_error}"
    elif [[ $receiver == ON ]]; then
        if [[ -z $age ]] || ((age <= max_stale * 1000)); then return 0; fi
        echo "$old and the link to the master is up: MAX_STALE_SECONDS allows $max_stale; this slave serves again when it has caught up"
    elif [[ $receiver_error =~ ^(1045|1236|13114)\  ]]; then
        # The master answers and refuses, so this data is certainly behind: the master does not know the login or does not have the log.
        echo "the replication receiver is $receiver: $receiver_error"
    elif [[ -z $age ]]; then
        echo "the replication receiver is $receiver and the data has no heartbeat, so its age is unknown${receiver_error:+: $receiver_error}"
    else
        if ((age <= max_away * 1000)); then return 0; fi
        echo "$old and the replication receiver is $receiver: MAX_MASTER_AWAY_SECONDS allows $max_away; this slave serves again when the" \
            "master is back${receiver_error:+: $receiver_error}"
    fi
    return 1
}

# decide_follow RECEIVER RECEIVER_ERROR RECEIVER_OFF APPLIER APPLIER_ERROR APPLIER_OFF TRIES STARTED ERRANT MASTER: what to do to keep
# replication running.
#   RECEIVER, APPLIER, ..._ERROR  as above
#   ..._OFF                       seconds since the thread was seen stopped or was last started
#   TRIES                         how many times the applier was started since it last ran for long
#   STARTED                       yes if the receiver was started during the life of this pod, otherwise no
#   ERRANT                        transactions in this data that this server made itself, or empty
#   MASTER                        what the master reports: "unknown" (no answer), "ok", "older SET" (it has this data's identity but
#                                 lacks SET), "other IDENTITY", "restored IDENTITY" (it was restored from a backup, in place of this
#                                 data's history)
# Prints one of: none, "start receiver", "stop receiver", "start applier", "reseed WHY", "copy restored", "renew WHY" (a new server_uuid), "hold WHY".
decide_follow() {
    local receiver=$1 receiver_error=$2 receiver_off=$3 applier=$4 applier_error=$5 applier_off=$6 tries=$7 started=$8 errant=$9
    local master=${10} pause=60
    if [[ $receiver != ON && $master == restored* ]]; then
        echo "copy restored"
    elif [[ -n $errant ]]; then
        # A slave applies and never writes, so only someone with root's password can have done this.
        echo "reseed transactions were written on this slave by hand ($errant), or by a start that emptied a MEMORY table, so it has diverged from" \
            "the master"
    elif [[ $receiver == OFF && $receiver_error =~ same\ server_uuid ]]; then
        # Only with volumes that were copied before they had the name of their pod, see data.sh. The one that made the data cannot be told.
        echo "renew another slave has the same identity (server_uuid), because its volume is a copy of this one's or the reverse"
    elif [[ $receiver == OFF && $receiver_error =~ equal\ MySQL\ server\ UUIDs ]]; then
        echo "renew the master has the same identity (server_uuid), because this volume is a copy of its volume"
    elif [[ $receiver == OFF && $receiver_error =~ ^(1236|13114)\ .*purged ]]; then
        echo "reseed the master no longer has the binlogs that this slave needs next"
    elif [[ -z $receiver ]] && ((applier_off >= 15)); then
        # start sets it up before anyone is let in; damaged metadata or a damaged index of relay logs undoes that.
        echo "reseed replication cannot be set up from this data: the server's log has the reason"
    elif [[ $applier == OFF && -n $applier_error ]] && ((tries >= 3)); then
        echo "reseed the applier stopped again after $tries starts: $applier_error"
    else
        # If there is no error, it was stopped on purpose, for example by an empty master that takes this slave's data.
        if [[ -n $applier_error ]]; then pause=5; fi
        if [[ $applier == OFF ]] && ((applier_off >= pause)); then
            echo "start applier"
            return 0
        fi
        pause=60
        if [[ -n $receiver_error ]]; then pause=5; fi
        if [[ $started == no ]]; then
            # It would take up whatever a master with an older copy has written, so one answer that was too slow must not start it.
            pause=10
            if [[ $master != unknown ]]; then pause=0; fi
        fi
        if [[ $receiver != OFF && $master == older* ]]; then
            # The master came back with an older copy while this slave waited for it.
            echo "stop receiver"
        elif [[ $master == older* ]]; then
            echo "hold the master has an older copy of this system's data: it lacks ${master#older }, which this slave has, so replication" \
                "is not started and nothing is dropped; restore the master's correct volume; or delete the master's pod and claim, so that" \
                "it takes the data from its slaves; or, if the master's copy is correct, delete this pod and its claim"
        elif [[ $receiver == OFF ]] && ((receiver_off >= pause)); then
            echo "start receiver"
        elif [[ $receiver != ON && $master == other* ]]; then
            echo "hold the replication receiver is $receiver${receiver_error:+: $receiver_error}; the master belongs to another history" \
                "(identity ${master#other }) and refuses this slave's account, so nothing is dropped; restore the correct master, or delete" \
                "this pod and its claim if you no longer need its data"
        else
            echo none
        fi
    fi
}

# decide_fit ROLE WANTED IDENTITY RECEIVER APPLIER AGE MAX_STALE MASTER LACKS EXTRA PURGED TABLES DIFFERS: whether a server's data may be cloned.
#   ROLE      role of that server: master or slave
#   WANTED    the identity that the data must have
#   IDENTITY  identity of that server, empty if it did not answer; RECEIVER, APPLIER and AGE also describe that server
#   MASTER    yes if the master answered, no if it did not, lost if it answered once and not again
#   LACKS     transactions that this slave has and that server has not executed, or empty
#   EXTRA     transactions that server has and the master does not have, as far as known, or empty
#   PURGED    transactions that server lacks and the master has no binlogs of any more, as far as known, or empty
#   TABLES    why a clone would leave tables of that server empty, as far as known, or empty
#   DIFFERS   how many differences that server has found between what it holds and what the master holds, empty if it has not said
# If it may not, prints the reason in one line and fails.
decide_fit() {
    local role=$1 wanted=$2 identity=$3 receiver=$4 applier=$5 age=$6 max_stale=$7 master=$8 lacks=$9 extra=${10} purged=${11} tables=${12} differs=${13-}
    if [[ -z $identity ]]; then
        echo "does not answer"
    elif [[ $identity != "$wanted" ]]; then
        echo "has identity $identity, not $wanted"
    elif [[ -n $lacks ]]; then
        echo "lacks $lacks"
    elif [[ -n $tables ]]; then
        echo "$tables"
    elif [[ $role == master ]]; then
        return 0
    elif [[ $applier != ON ]]; then
        echo "its applier is ${applier:-not set up}"
    elif [[ -n $extra ]]; then
        echo "has $extra, which the master does not have"
    elif [[ -z $differs ]]; then
        echo "has not said yet whether it holds what the master holds"
    elif ((differs > 0)); then
        echo "does not hold what the master holds"
    elif [[ $master == no ]]; then
        return 0
    elif [[ $receiver != ON ]]; then
        echo "its receiver is ${receiver:-not set up}"
    elif [[ -n $age ]] && ((age > max_stale * 1000)); then
        echo "its data is $(seconds "$age") s old, but MAX_STALE_SECONDS allows $max_stale"
    elif [[ $master == lost ]]; then
        echo "cannot be compared with the master, which no longer answers"
    elif [[ -n $purged ]]; then
        # A copy of it could never attach to the master.
        echo "lacks $purged, which the master no longer has in its binlogs"
    else
        return 0
    fi
    return 1
}

# rank_donors ORDINAL: puts possible donors in the order in which they are to be tried. Standard input has a line for each:
# "INDEX ROLE CLONED FAILED CLONES", where CLONED counts the copies of it that did not help, FAILED the tries that gave no copy, and CLONES
# its clones in progress: a server gives one at a time. Prints the indexes, one per line. A copy that did not help is not taken again from the
# same server while there is another; an idle server comes before a busy one; the master comes last, because it is busy with writes. Of
# equal ones, slaves with different ordinals begin at different ones.
rank_donors() {
    local ordinal=$1 index role cloned failed clones keys=() key least i
    while read -r index role cloned failed clones; do
        if [[ $role == master ]]; then role=1; else role=0; fi
        keys+=("$(printf '%04d %d %04d %d' "$cloned" "$((clones > 0))" "$failed" "$role") $index")
    done
    for i in "${!keys[@]}"; do
        key=${keys[i]% *} index=${keys[i]##* }
        keys[i]="$key $(printf '%04d' "$(((i + ${#keys[@]} - ordinal % ${#keys[@]}) % ${#keys[@]}))") $index"
    done
    while ((${#keys[@]} > 0)); do
        least=""
        for i in "${!keys[@]}"; do
            if [[ -z $least || ${keys[i]} < ${keys[least]} ]]; then least=$i; fi
        done
        echo "${keys[least]##* }"
        unset "keys[$least]"
    done
}

# decide_pause TRIES AGO: seconds to wait before the next copy, if TRIES were begun since replication last ran for long, the last one AGO
# seconds ago: twice as long after each, up to a minute.
decide_pause() {
    local tries=$1 ago=$2 pause=0
    if ((tries > 5)); then pause=60; elif ((tries > 0)); then pause=$((1 << tries)); fi
    if ((ago < 0 || ago >= pause)); then echo 0; else echo $((pause - ago)); fi
}

# describe_copies NOW: prints for people and tools how many copies were begun and completed, if it is NOW (seconds since 1970). Standard input is
# /data/copies, see slave.sh; prints nothing if that has no line.
describe_copies() {
    local now=$1 at word first="" begun=0 cloned=0 since=0
    while read -r at word _; do
        if [[ -z $first && $at =~ ^[0-9]+$ ]]; then first=$at; fi
        case $word in
            begun) begun=$((begun + 1)) since=$((since + 1)) ;;
            cloned) cloned=$((cloned + 1)) since=0 ;;
        esac
    done
    if ((begun > 0)); then
        echo "$begun begun in $(((now - ${first:-$now}) / 60 + 1)) min, $cloned complete, the last $since not"
    fi
}

# decide_identity MASTER SLAVE...: which identity an empty volume may take. MASTER and each SLAVE are the identities that these servers
# returned, empty for no answer. Prints the identity, or "wait" and what is wrong with the slaves.
decide_identity() {
    local master=$1 found="" one
    shift
    if [[ -n $master ]]; then
        echo "$master"
        return 0
    fi
    for one in "$@"; do
        if [[ -z $one ]]; then continue; fi
        if [[ -n $found && $one != "$found" ]]; then
            echo "wait the slaves belong to different histories (identities $found and $one)"
            return 0
        fi
        found=$one
    done
    echo "${found:-wait no slave reports one either}"
}

# decide_directories DATA NEW OLD RESEED: what to do with the directories on the volume. Each input is yes or no: a non-empty /data/mysql,
# /data/mysql.new, /data/mysql.old, /data/reseed. A reseed runs in this order: clone into new, check it, rename data to old, rename new to
# data, delete reseed, delete old. So if old exists and data does not, new is complete. Prints one of:
#   keep     the data is correct and nothing else exists
#   seed     there is no data: clone a donor from scratch
#   reseed   the data must be replaced: clone a donor from scratch, next to the data
#   finish   new is complete and becomes the data
#   restore  only the old data is left: it becomes the data again
#   clean    the data is correct and the rest is left over
decide_directories() {
    case $1$2$3$4 in
        yesnonono) echo keep ;;
        nonoyes*) echo restore ;;
        noyesyes*) echo finish ;;
        yes*noyes) echo reseed ;;
        yes*) echo clean ;;
        *) echo seed ;;
    esac
}
