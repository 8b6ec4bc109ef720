# shellcheck shell=bash
# What the MySQL images decide: functions over plain inputs, without a server or a file. Sourced.

# decide_data ROLE DATA INITIALISED BESIDE INSIDE: what to do with the volume before the server starts.
#   ROLE         master or slave
#   DATA         yes when there is a data directory with something in it, else no
#   INITIALISED  yes when the system was ready once, else no
#   BESIDE       the identity in the file beside the data, or empty
#   INSIDE       the identity in the data, or empty
# Prints one of: initialise, seed (take the data from the slaves: an empty master would throw away what they have), start, restore (write
# the file beside the data again, then start), or "wait" and a sentence.
decide_data() {
    local role=$1 data=$2 initialised=$3 beside=$4 inside=$5
    if [[ $data == no ]]; then
        if [[ $role == slave ]]; then
            echo "wait /data/mysql holds no data and a slave makes none: its init container seeds it from the master;" \
                "delete this pod, so that it runs again"
        elif [[ $initialised == yes || -n $beside ]]; then
            echo seed
        else
            echo initialise
        fi
    elif [[ -z $inside ]]; then
        echo "wait the data in /data/mysql has no row in replication.identity: it was not made by this image or lost that row;" \
            "put the volume's own data back"
    elif [[ -z $beside ]]; then
        echo restore
    elif [[ $beside != "$inside" ]]; then
        echo "wait the data in /data/mysql has identity $inside, but /data/identity says $beside: one of them came from another" \
            "system; put the right data back, or delete /data/identity if the data is the right one"
    else
        echo start
    fi
}

# decide_donor EXPECTED OVERRIDE BESIDE: from which slave a master without data takes it.
#   EXPECTED  how many slaves must answer, at least 1: one that is missing may be the one that has most
#   OVERRIDE  yes when the operator has said to go on without them, else no
#   BESIDE    the identity in the file beside the data, or empty
# Standard input has a line for each slave: "ADDRESS IDENTITY ALL", ALL being yes when it has executed or received everything that any of
# them has, else no; or "ADDRESS - WHY" for one that gave no answer.
# Prints one of: "donor ADDRESS IDENTITY", initialise, or "wait" and a sentence.
decide_donor() {
    local expected=$1 override=$2 beside=$3 address identity rest
    local answers=0 identities=" " donor="" said="" silent="" lost="/data/mysql holds no data, but this system was in use before"
    while read -r address identity rest; do
        if [[ $identity == - ]]; then
            silent+=", $address gives no answer ($rest)"
            continue
        fi
        answers=$((answers + 1))
        said+=", $address has identity $identity"
        if [[ $identities != *" $identity "* ]]; then identities+="$identity "; fi
        if [[ $rest == yes && -z $donor ]]; then donor="$address $identity"; fi
    done
    local list=$said$silent
    list=${list#, }
    if [[ -n $beside ]]; then lost+=" (identity $beside)"; fi
    identity=${identities# } identity=${identity% }
    if ((answers == 0)) && [[ $override == yes ]]; then
        echo initialise
    elif ((answers < expected)) && [[ $override != yes ]]; then
        echo "wait $lost: $answers of the $expected slaves it would be taken from answer${list:+ ($list)};" \
            "bring the others or the volume back, or set a new word as bootstrap in the stack's config to go on without them"
    elif [[ $identity == *" "* ]]; then
        echo "wait $lost, and the slaves are of different systems ($list): delete the pods and claims of those that do not belong here"
    elif [[ -n $beside && $identity != "$beside" && $override != yes ]]; then
        echo "wait $lost, and the slaves are of another system ($list): bring the right slaves or the volume back, or set a new word as" \
            "bootstrap in the stack's config to take theirs"
    elif [[ -z $donor ]]; then
        echo "wait $lost, and each slave lacks something that another has ($list): delete the pods and claims of those whose data is not" \
            "wanted"
    else
        echo "donor $donor"
    fi
}

# decide_open ANSWERS EXPECTED PATIENCE LACKING HOLDERS OVERRIDE: whether a master with data lets clients in.
#   ANSWERS   how many slaves have answered
#   EXPECTED  how many there should be
#   PATIENCE  seconds that are left to wait for the others, 0 or less when it is over
#   LACKING   GTID set that slaves of the same identity hold and this data lacks, or empty
#   HOLDERS   addresses of the slaves that hold it
#   OVERRIDE  yes when the operator has said that this data is the right one, else no
# Prints one of: open, declare (open as a new history, which no slave follows by itself), or "wait" and a sentence.
decide_open() {
    local answers=$1 expected=$2 patience=$3 lacking=$4 holders=$5 override=$6
    if [[ -n $lacking && $override == yes ]]; then
        echo declare
    elif [[ -n $lacking ]]; then
        echo "wait the data in /data/mysql lacks transactions that $holders has ($lacking): an older copy of the volume was brought back, and" \
            "nobody is let in; delete this pod and its claim, then it takes the data from the slaves, or bring the right volume back, or set" \
            "a new word as bootstrap in the stack's config to declare this copy the right one"
    elif ((answers < expected && patience > 0)); then
        echo "wait $answers of $expected slaves have said that they hold nothing that this data lacks; opens without the others in $patience s"
    else
        echo open
    fi
}

# decide_semi_sync ON_NO_REPLICA POINT CLIENTS HANGING CLONES: what to do about commits that wait for a slave.
#   POINT    AFTER_SYNC (a commit waits before anyone sees it) or AFTER_COMMIT
#   CLIENTS  slaves that acknowledge
#   HANGING  sessions whose commit waits
#   CLONES   clones that are being made of this server
# A commit that waits before it is complete holds up every clone, and where the only slave is yet to be cloned, nothing would ever end
# that: while nobody is attached, commits have to wait afterwards. Prints one of: keep, after_sync, or release (cut off the clients whose
# commits hold up a clone, and let later ones wait afterwards).
decide_semi_sync() {
    local mode=$1 point=$2 clients=$3 hanging=$4 clones=$5
    if [[ $mode != wait ]]; then
        echo keep
    elif ((clients > 0)) && [[ $point == AFTER_COMMIT ]]; then
        echo after_sync
    elif ((clients == 0 && hanging > 0 && clones > 0)) && [[ $point == AFTER_SYNC ]]; then
        echo release
    else
        echo keep
    fi
}

# decide_replicating RECEIVER APPLIER ERROR: whether a slave replicates, from the state of its two threads (ON, CONNECTING, OFF, or empty
# where replication is not set up) and the last error. Prints one line saying why not, and fails, when it does not.
decide_replicating() {
    local receiver=$1 applier=$2 error=$3
    if [[ -z $receiver || -z $applier ]]; then
        echo "replication is not set up"
    elif [[ $receiver != ON ]]; then
        echo "the receiver of replication is $receiver${error:+: $error}"
    elif [[ $applier != ON ]]; then
        echo "the applier of replication is $applier${error:+: $error}"
    else
        return 0
    fi
    return 1
}

# decide_alive WAITING SOCKET ANSWER: liveness. WAITING is yes when start waits on purpose; SOCKET is yes when the server has made its
# socket; ANSWER is what the client said, empty after success. Only a server that listens and does not answer is dead: one that refuses
# (too many connections, wrong password) is alive, and one that recovers after a crash must not be killed for taking its time.
decide_alive() {
    local waiting=$1 socket=$2 answer=$3
    [[ $waiting == yes || $socket == no || -z $answer ]] && return 0
    # Numbers from 2000 to 2999 are the client's own: no connection, connection lost. All others come from the server.
    [[ ! $answer =~ ERROR\ 2[0-9]{3} ]] && return 0
    echo "the server does not answer: $answer"
    return 1
}

# decide_server_id BASE POD: the server id, BASE plus the ordinal at the end of the pod's name. Fails with a sentence.
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
