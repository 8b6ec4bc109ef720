# shellcheck shell=bash
# Decisions over plain inputs: no file, no server, no clock is touched here.
# test/images/redis-decide.test.ts holds the table of cases.

# What a master does with its volume.
#   $1 data   none | partial | whole
#   $2 known  yes | no, whether the system is known to have been initialised before
decide_master() {
    case $1:$2 in
    whole:*) echo verify ;;
    partial:*) echo wait-partial ;;
    none:no) echo initialise ;;
    # An empty master that opened would empty its slaves.
    *) echo wait-lost ;;
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

# The same for a slave; `link-down` alone means that the master is to be asked why.
unready_slave() {
    local info=$'\n'${1//$'\r'/}$'\n'
    case $info in
    *$'\n'loading:1$'\n'*) echo "loading its data" ;;
    *$'\n'role:master$'\n'*) echo "following nobody: role is master" ;;
    *$'\n'master_sync_in_progress:1$'\n'*) echo "taking a full copy from the master" ;;
    *$'\n'master_link_status:up$'\n'*) ;;
    *$'\n'master_link_status:down$'\n'*) echo link-down ;;
    *) echo "redis-server gives no status, its answer is: $(one_line "$1")" ;;
    esac
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

# Why a slave's link is down.
#   $1 its identity   $2 the master's host:port   $3 what the master answers when asked for its identity
explain_link_down() {
    local other
    other=$(identity_in "$3")
    case $other in
    '') echo "no link to the master $2, which answers: $(one_line "$3")" ;;
    "$1") echo "no link to the master $2 yet, which has the same identity $1" ;;
    *)
        echo "the master $2 is of another history: its identity is $other, this slave's is $1." \
            "Nothing was taken from it; bring the right master volume back, or, if this slave's data is" \
            "not wanted, delete its volume and its pod"
        ;;
    esac
}
