# shellcheck shell=bash
# Decisions of the MySQL images: functions over plain inputs, without a server or a file. Sourced.

# decide_data ROLE DATA INITIALISED BESIDE INSIDE: what to do with the volume before the server starts.
#   ROLE         master or slave
#   DATA         yes if there is a non-empty data directory, otherwise no
#   INITIALISED  yes if the system was ready once, otherwise no
#   BESIDE       the identity in the file next to the data, or empty
#   INSIDE       the identity in the data, or empty
# Prints one of: initialise, seed (take the data from the slaves: an empty master would discard what they have), start, restore (rewrite
# the file next to the data, then start), or "wait" and a sentence.
decide_data() {
    local role=$1 data=$2 initialised=$3 beside=$4 inside=$5
    if [[ $data == no ]]; then
        if [[ $role == slave ]]; then
            echo "wait /data/mysql has no data and a slave creates none: its init container seeds it from the master;" \
                "delete this pod to run the init container again"
        elif [[ $initialised == yes || -n $beside ]]; then
            echo seed
        else
            echo initialise
        fi
    elif [[ -z $inside ]]; then
        echo "wait the data in /data/mysql has no row in replication.identity: this image did not create the data, or the row was lost;" \
            "restore the volume's own data"
    elif [[ -z $beside ]]; then
        echo restore
    elif [[ $beside != "$inside" ]]; then
        echo "wait the data in /data/mysql has identity $inside, but /data/identity says $beside: one of them came from another" \
            "system; restore the correct data, or delete /data/identity if the data is correct"
    else
        echo start
    fi
}

# decide_donor EXPECTED OVERRIDE BESIDE: which slave a master without data takes its data from.
#   EXPECTED  how many slaves must answer, at least 1: a missing slave may be the one that has the most
#   OVERRIDE  yes if the operator allows the master to continue without them, otherwise no
#   BESIDE    the identity in the file next to the data, or empty
# Standard input has a line for each slave: "ADDRESS IDENTITY ALL DIFFERS", where ALL is yes if the slave has executed or received everything that
# any of them has, otherwise no, and DIFFERS is how many differences it had found from what the master held, or empty while it has not said; or
# "ADDRESS - WHY" for a slave that did not answer. Positions do not show such a difference: a slave that has one, or has not said, is a source only
# if the operator says so.
# Prints one of: "donor ADDRESS IDENTITY", initialise, or "wait" and a sentence.
decide_donor() {
    local expected=$1 override=$2 beside=$3 address identity rest
    local answers=0 identities=" " donor="" unsaid="" waiting="" other="" differing="" all differs said="" silent="" lost="/data/mysql has no data, but this system was in use before"
    while read -r address identity rest; do
        if [[ $identity == - ]]; then
            silent+=", $address does not answer ($rest)"
            continue
        fi
        answers=$((answers + 1))
        said+=", $address has identity $identity"
        if [[ $identities != *" $identity "* ]]; then identities+="$identity "; fi
        read -r all differs <<<"$rest"
        if [[ $all != yes ]]; then continue; fi
        if [[ -z $differs ]]; then
            waiting+=", $address"
            unsaid=${unsaid:-$address $identity}
        elif ((differs > 0)); then
            differing+=", $address"
            other=${other:-$address $identity}
        else
            donor=${donor:-$address $identity}
        fi
    done
    local list=$said$silent
    list=${list#, }
    if [[ -n $beside ]]; then lost+=" (identity $beside)"; fi
    identity=${identities# } identity=${identity% }
    if ((answers == 0)) && [[ $override == yes ]]; then
        echo initialise
    elif ((answers < expected)) && [[ $override != yes ]]; then
        echo "wait $lost: $answers of the $expected slaves that could provide it answer${list:+ ($list)};" \
            "restore the others or the volume, or set bootstrap to a new word in the stack's config to continue without them"
    elif [[ $identity == *" "* ]]; then
        echo "wait $lost, and the slaves belong to different systems ($list): delete the pods and claims of those that do not belong here"
    elif [[ -n $beside && $identity != "$beside" && $override != yes ]]; then
        echo "wait $lost, and the slaves belong to another system ($list): restore the correct slaves or the volume, or set bootstrap to a" \
            "new word in the stack's config to take the slaves' data"
    elif [[ -z $donor && -n $unsaid$other && $override == yes ]]; then
        echo "donor ${unsaid:-$other}"
    elif [[ -z $donor && -n $unsaid ]]; then
        echo "wait $lost, and no slave that has all transactions has said that it held what the master held (${waiting#, } not yet); wait, or set" \
            "bootstrap to a new word in the stack's config to take the slaves' data"
    elif [[ -n $other && -z $donor ]]; then
        echo "wait $lost, and every slave that has all transactions (${differing#, }) did not hold what the master held: its /opt/dabaweb/bin/status" \
            "says what differs; restore the volume, or set bootstrap to a new word in the stack's config to take the slaves' data"
    elif [[ -z $donor ]]; then
        echo "wait $lost, and each slave lacks something that another has ($list): delete the pods and claims of those whose data you do" \
            "not need"
    else
        echo "donor $donor"
    fi
}

# decide_open ANSWERS EXPECTED PATIENCE LACKING HOLDERS OVERRIDE: whether a master with data lets clients in.
#   ANSWERS   how many slaves have answered
#   EXPECTED  how many there should be
#   PATIENCE  seconds left to wait for the others, 0 or less when the time is over
#   LACKING   GTID set that slaves of the same identity have and this data lacks, or empty
#   HOLDERS   addresses of the slaves that have it
#   OVERRIDE  yes if the operator has declared this data correct, otherwise no
# Prints one of: open, declare (open as a new history, which no slave follows by itself), or "wait" and a sentence.
decide_open() {
    local answers=$1 expected=$2 patience=$3 lacking=$4 holders=$5 override=$6
    if [[ -n $lacking && $override == yes ]]; then
        echo declare
    elif [[ -n $lacking ]]; then
        echo "wait the data in /data/mysql lacks transactions that $holders has ($lacking): an older copy of the volume was restored, so" \
            "no client is let in; delete this pod and its claim, so that it takes the data from the slaves; or restore the correct volume; or" \
            "set bootstrap to a new word in the stack's config to declare this copy correct"
    elif ((answers < expected && patience > 0)); then
        echo "wait $answers of $expected slaves have confirmed that they hold nothing this data lacks; opens without the others in $patience s"
    else
        echo open
    fi
}

# decide_late ANSWERS EXPECTED LACKING HOLDERS: what a master does that opened although slaves had not answered.
#   ANSWERS   how many slaves have answered since it started
#   EXPECTED  how many there should be
#   LACKING   GTID set that slaves of the same identity have and this data lacks, or empty
#   HOLDERS   addresses of the slaves that have it
# Prints one of: enough (all have answered), ask (again), or "close" and a sentence.
decide_late() {
    local answers=$1 expected=$2 lacking=$3 holders=$4
    if [[ -n $lacking ]]; then
        echo "close $holders has answered only now and has transactions that this data lacks ($lacking)"
    elif ((answers < expected)); then
        echo ask
    else
        echo enough
    fi
}

# decide_uuid ANSWERS EXPECTED: whether a master with data continues to number its transactions as before. An older copy would use numbers
# again that its slaves have for other transactions, and nobody could tell the two apart.
#   ANSWERS   how many slaves have answered, so that what they have is known
#   EXPECTED  how many there should be
# Prints keep, or renew (take a new server UUID).
decide_uuid() {
    if (($1 < $2)); then echo renew; else echo keep; fi
}

# decide_point ON_NO_REPLICA FOLLOWERS: the point at which commits wait for a slave when the server opens. FOLLOWERS is how many slaves have
# answered that have this data: if none has, the first one may yet have to be cloned, see decide_semi_sync. Prints AFTER_SYNC or AFTER_COMMIT.
decide_point() {
    local mode=$1 followers=$2
    if [[ $mode == wait ]] && ((followers == 0)); then echo AFTER_COMMIT; else echo AFTER_SYNC; fi
}

# decide_semi_sync ON_NO_REPLICA POINT CLIENTS HANGING CLONES: what to do about commits that wait for a slave.
#   POINT    AFTER_SYNC (a commit waits before anyone sees it) or AFTER_COMMIT
#   CLIENTS  slaves that acknowledge
#   HANGING  sessions whose commit waits
#   CLONES   clones of this server in progress
# A commit that waits before it is complete blocks every clone. If the only slave has yet to be cloned, that would never end, so while no
# slave is attached and one is cloned, commits must wait afterwards instead. Prints one of: keep, after_commit (let later commits wait
# afterwards), release (the same, and disconnect the clients whose commits block the clone), after_sync (let them wait before again).
decide_semi_sync() {
    local mode=$1 point=$2 clients=$3 hanging=$4 clones=$5
    if [[ $mode != wait ]]; then
        echo keep
    elif ((clients > 0)) && [[ $point == AFTER_COMMIT ]]; then
        echo after_sync
    elif ((clients == 0 && clones > 0)) && [[ $point == AFTER_SYNC ]]; then
        if ((hanging > 0)); then echo release; else echo after_commit; fi
    else
        echo keep
    fi
}

# How many connections the accounts of a server may have. Those of the application get what the others leave, so however often its clients try
# again, slaves can attach and be seeded, and the operator, the probes and the companion get in.
#   replication  the receivers of 20 slaves; two more, so that one whose former link the server does not know to be dead can replace it
#   seed         the questions of slaves and masters, and one clone, which takes up to five
#   root         the operator
#   companion    the programs in the master's own container; on a slave they are root's
#   migration    one that runs, and what is left of one that was ended
#   others       every account without a limit of its own (max_user_connections in my.cnf)
readonly REPLICATION_CONNECTIONS=22 SEED_CONNECTIONS=10 ROOT_CONNECTIONS=8 COMPANION_CONNECTIONS=5 MIGRATION_CONNECTIONS=3 OTHER_CONNECTIONS=5
readonly RESERVED_CONNECTIONS=$((REPLICATION_CONNECTIONS + SEED_CONNECTIONS + ROOT_CONNECTIONS + COMPANION_CONNECTIONS +
    MIGRATION_CONNECTIONS + OTHER_CONNECTIONS))

# decide_connections MAX: prints how many of the server's MAX connections the application's account may have, at least 1.
decide_connections() {
    if (($1 > RESERVED_CONNECTIONS)); then echo $(($1 - RESERVED_CONNECTIONS)); else echo 1; fi
}

# decide_alive WAITING SOCKET ANSWER: liveness. WAITING is yes if start waits on purpose; SOCKET is yes if the server has created its
# socket; ANSWER is the client's output, empty on success. Only a server that listens and does not answer is dead. A server that refuses
# (too many connections, wrong password) is alive, and a server that is recovering from a crash must not be killed for taking its time.
decide_alive() {
    local waiting=$1 socket=$2 answer=$3
    [[ $waiting == yes || $socket == no || -z $answer ]] && return 0
    # Errors 2000 to 2999 are the client's own: no connection, connection lost. All others come from the server.
    [[ ! $answer =~ ERROR\ 2[0-9]{3} ]] && return 0
    echo "the server does not answer: $answer"
    return 1
}

# decide_server_id BASE POD: prints the server id, BASE plus the ordinal at the end of the pod's name. If an input is invalid, prints a
# sentence and fails.
decide_server_id() {
    local base=$1 pod=$2
    if [[ ! $base =~ ^[1-9][0-9]{0,8}$ ]]; then
        echo "MYSQL_SERVER_ID_BASE is \"$base\": it must be a number from 1 to 999999999" >&2
        return 1
    fi
    if [[ ! $pod =~ -(0|[1-9][0-9]{0,5})$ ]]; then
        echo "POD_NAME is \"$pod\": it must end in the pod's ordinal, as in mysql-slave-0" >&2
        return 1
    fi
    echo $((base + BASH_REMATCH[1]))
}
