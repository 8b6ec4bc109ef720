# shellcheck shell=bash
# What the slave's image decides: functions over plain inputs, without a server or a file. Sourced.

# seconds MILLISECONDS: as seconds with one decimal.
seconds() {
    printf '%d.%d' "$(($1 / 1000))" "$(($1 % 1000 / 100))"
}

# milliseconds SECONDS: the reverse; nothing of nothing. Clocks of two machines differ a little, so that an age may be negative.
milliseconds() {
    if [[ $1 == -* ]]; then
        echo 0
    elif [[ $1 =~ ^([0-9]+)(\.([0-9]))? ]]; then
        echo $((10#${BASH_REMATCH[1]} * 1000 + 10#${BASH_REMATCH[3]:-0} * 100))
    fi
}

# decide_ready RECEIVER RECEIVER_ERROR APPLIER APPLIER_ERROR AGE MAX_STALE MAX_AWAY HELD: whether a slave may serve.
#   RECEIVER, APPLIER  state of the thread: ON, CONNECTING, OFF, or empty where replication is not set up
#   ..._ERROR          number and text of its last error, or empty
#   AGE                age of the heartbeat in this slave's data in milliseconds, or empty where there is none
#   MAX_STALE          seconds that the data may be old while the link to the master is up
#   MAX_AWAY           the same while the link is down
#   HELD               why follow waits for an operator or a donor, or empty
# Prints one line saying why not, and fails, when it may not.
decide_ready() {
    local receiver=$1 receiver_error=$2 applier=$3 applier_error=$4 age=$5 max_stale=$6 max_away=$7 held=$8 old=""
    if [[ $age == -* ]]; then age=0; fi
    if [[ -n $age ]]; then old="the data is $(seconds "$age") s old"; fi
    if [[ -z $receiver || -z $applier ]]; then
        echo "replication is not set up"
    elif [[ -n $held ]]; then
        echo "$held"
    elif [[ $applier != ON ]]; then
        echo "the applier of replication is $applier${applier_error:+: $applier_error}"
    elif [[ $receiver == ON ]]; then
        if [[ -z $age ]] || ((age <= max_stale * 1000)); then return 0; fi
        echo "$old and the link to the master is up: MAX_STALE_SECONDS allows $max_stale; it serves again when it has caught up"
    elif [[ $receiver_error =~ ^(1045|1236|13114)\  ]]; then
        # The master is there and says no, so this data is behind for certain: a login that it does not know, or a log that it does not have.
        echo "the receiver of replication is $receiver: $receiver_error"
    elif [[ -z $age ]]; then
        echo "the receiver of replication is $receiver and the data holds no heartbeat, so its age is not known${receiver_error:+: $receiver_error}"
    else
        if ((age <= max_away * 1000)); then return 0; fi
        echo "$old and the receiver of replication is $receiver: MAX_MASTER_AWAY_SECONDS allows $max_away; it serves again when the" \
            "master is back${receiver_error:+: $receiver_error}"
    fi
    return 1
}

# decide_follow RECEIVER RECEIVER_ERROR RECEIVER_OFF APPLIER APPLIER_ERROR APPLIER_OFF TRIES STARTED ERRANT MASTER: what keeps replication going.
#   RECEIVER, APPLIER, ..._ERROR  as above
#   ..._OFF                       seconds since the thread was seen to stop or was last told to start
#   TRIES                         how often the applier was started since it last ran for long
#   STARTED                       yes when the receiver was started in this life of the pod, else no
#   ERRANT                        transactions in this data that this server itself made, or empty
#   MASTER                        what it says: "unknown" (no answer), "ok", "older SET" (it has this data's identity but lacks SET),
#                                 "other IDENTITY"
# Prints one of: none, "start receiver", "stop receiver", "start applier", "reseed WHY", "hold WHY".
decide_follow() {
    local receiver=$1 receiver_error=$2 receiver_off=$3 applier=$4 applier_error=$5 applier_off=$6 tries=$7 started=$8 errant=$9
    local master=${10} pause=60
    if [[ -n $errant ]]; then
        # A slave applies, it never writes: only someone with root's password can have done this.
        echo "reseed transactions were written on this slave by hand ($errant), so it has parted from the master"
    elif [[ $receiver == OFF && $receiver_error =~ ^(1236|13114)\ .*purged ]]; then
        echo "reseed the master no longer has the binlogs that this slave needs next"
    elif [[ $applier == OFF && -n $applier_error ]] && ((tries >= 3)); then
        echo "reseed the applier stopped again after $tries starts: $applier_error"
    else
        # Without an error someone stopped it on purpose, an empty master for example that takes this slave's data.
        if [[ -n $applier_error ]]; then pause=5; fi
        if [[ $applier == OFF ]] && ((applier_off >= pause)); then
            echo "start applier"
            return 0
        fi
        pause=60
        if [[ -n $receiver_error ]]; then pause=5; fi
        if [[ $started == no ]]; then pause=0; fi
        if [[ $receiver != OFF && $master == older* ]]; then
            # It came up as an older copy while this slave only waited for it to come back.
            echo "stop receiver"
        elif [[ $master == older* ]]; then
            echo "hold the master has an older copy of this system's data: it lacks ${master#older } of what this slave has, so replication" \
                "is not started and nothing is dropped; bring the master's right volume back, or let the master take the data from its" \
                "slaves by deleting its pod and claim, or, if its copy is the right one, delete this pod and its claim"
        elif [[ $receiver == OFF ]] && ((receiver_off >= pause)); then
            echo "start receiver"
        elif [[ $receiver != ON && $master == other* ]]; then
            echo "hold the receiver of replication is $receiver${receiver_error:+: $receiver_error}; the master is of another history" \
                "(identity ${master#other }) and refuses this slave's account, nothing is dropped; bring the right master back, or delete this" \
                "pod and its claim if its data is not needed any more"
        else
            echo none
        fi
    fi
}

# decide_fit ROLE WANTED IDENTITY RECEIVER APPLIER AGE MAX_STALE MASTER LACKS EXTRA: whether a server's data may be taken.
#   ROLE      of that server: master or slave
#   WANTED    the identity that the data must have
#   IDENTITY  its identity, empty when it did not answer; RECEIVER, APPLIER, AGE are its own
#   MASTER    yes when the master answered, else no
#   LACKS     what it has not executed of that which this slave has, or empty
#   EXTRA     what it has and the master has not, as far as that is known, or empty
# Prints one line saying why not, and fails, when it may not.
decide_fit() {
    local role=$1 wanted=$2 identity=$3 receiver=$4 applier=$5 age=$6 max_stale=$7 master=$8 lacks=$9 extra=${10}
    if [[ -z $identity ]]; then
        echo "does not answer"
    elif [[ $identity != "$wanted" ]]; then
        echo "has identity $identity, not $wanted"
    elif [[ -n $lacks ]]; then
        echo "lacks $lacks"
    elif [[ $role == master ]]; then
        return 0
    elif [[ $applier != ON ]]; then
        echo "its applier is ${applier:-not set up}"
    elif [[ -n $extra ]]; then
        echo "has $extra, which the master has not"
    elif [[ $master == no ]]; then
        return 0
    elif [[ $receiver != ON ]]; then
        echo "its receiver is ${receiver:-not set up}"
    elif [[ -n $age ]] && ((age > max_stale * 1000)); then
        echo "its data is $(seconds "$age") s old, MAX_STALE_SECONDS allows $max_stale"
    else
        return 0
    fi
    return 1
}

# decide_identity MASTER SLAVE...: which identity an empty volume may take. MASTER and each SLAVE are the identities that were answered, empty
# for no answer. Prints it, or "wait" and what is with the slaves.
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
            echo "wait the slaves are of different histories (identities $found and $one)"
            return 0
        fi
        found=$one
    done
    echo "${found:-wait no slave tells one either}"
}

# decide_directories DATA NEW OLD RESEED: what a start finds on the volume, each yes or no: /data/mysql with something in it, /data/mysql.new,
# /data/mysql.old, /data/reseed. The order of a reseed is: clone into new, check it, data becomes old, new becomes data, reseed goes, old goes. So
# data is absent beside old only when new is complete. Prints one of:
#   keep     the data is right, nothing else is there
#   seed     there is no data: take it from a donor, and begin afresh
#   reseed   the data is to be replaced: take it from a donor beside, and begin afresh
#   finish   new is complete and becomes the data
#   restore  only the old data is left: it becomes the data again
#   clean    the data is right, the rest is left over
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
