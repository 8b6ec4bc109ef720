# shellcheck shell=bash
# What the MySQL images decide: functions over plain inputs, without a server or a file. Sourced.

# decide_data ROLE DATA INITIALISED BESIDE INSIDE: what to do with the volume before the server starts.
#   ROLE         master or slave
#   DATA         yes when there is a data directory with something in it, else no
#   INITIALISED  yes when the system was ready once, else no
#   BESIDE       the identity in the file beside the data, or empty
#   INSIDE       the identity in the data, or empty
# Prints one of: initialise, start, restore (write the file beside the data again, then start), or "wait" and a sentence.
decide_data() {
    local role=$1 data=$2 initialised=$3 beside=$4 inside=$5
    if [[ $data == no ]]; then
        if [[ $role == slave ]]; then
            echo "wait /data/mysql holds no data and a slave makes none: its init container seeds it from the master;" \
                "delete this pod, so that it runs again"
        elif [[ $initialised == yes ]]; then
            echo "wait /data/mysql holds no data, but this system was in use before (/run/initialised/initialised is there): an empty" \
                "master would throw away what the slaves have; bring the volume back"
        elif [[ -n $beside ]]; then
            echo "wait /data/mysql holds no data, but /data/identity says that this volume had it (identity $beside): nothing is" \
                "initialised over a loss; bring the data back, or delete /data/identity if this shall be a new system"
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
