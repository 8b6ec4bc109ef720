# shellcheck shell=bash
# The data on this pod's volume: which pod made it, and whether the server can start from it. Sourced by start, after lib.sh.

# The name of the pod that last started from this data.
readonly STARTED_BY=/data/pod
# A line for each start since the server last answered.
readonly STARTS=/data/starts
# Starts without an answer after which the data is examined: a single one may have been killed with its node.
readonly ENOUGH=2

# take_over: gives the server a new server_uuid if another pod made the data. Otherwise a volume that was copied or restored under another name
# would make two servers of one identity, and each would throw the other off the master. What the other pod, if it was a slave as well, wrote
# under the former one still counts as written by hand: /data/former has it. Old volumes do not have the name; they get it here.
take_over() {
    local maker="" former
    if [[ -e $STARTED_BY ]]; then read -r maker <"$STARTED_BY" || true; fi
    if [[ -n $maker && $maker != "$POD_NAME" && -e $DATA/auto.cnf ]]; then
        former=$(sed -n 's/^server[-_]uuid *= *//p' "$DATA/auto.cnf")
        say "this data was made by $maker: this server gets an identity (server_uuid) of its own instead of $former"
        if [[ ${maker%-*} == "${POD_NAME%-*}" ]]; then printf '%s\n' "$former" >>/data/former; fi
        rm -f "$DATA/auto.cnf"
    fi
    if [[ -e /data/renew ]]; then
        rm -f "$DATA/auto.cnf"
        rm /data/renew
    fi
    if [[ $maker != "$POD_NAME" ]]; then
        printf '%s\n' "$POD_NAME" >"$STARTED_BY.new"
        sync "$STARTED_BY.new"
        mv "$STARTED_BY.new" "$STARTED_BY"
    fi
}

# note_start: counts this start; whoever first gets an answer from the server deletes the file. A full volume must not end the start.
note_start() {
    if [[ $(has_data) == yes ]]; then echo "$EPOCHSECONDS" 2>/dev/null >>"$STARTS" || true; fi
}

starts_without_answer() {
    grep -c '' "$STARTS" 2>/dev/null || true
}

# unusable_file: prints the first part of the data that this user cannot both read and write. The server's messages do not always say so: for
# ibdata1 it says "must be writable", for binlog.index nothing.
unusable_file() (
    shopt -s globstar dotglob nullglob
    for file in "$DATA" "$DATA"/**; do
        if [[ ! -r $file || ! -w $file ]]; then
            printf '%s' "$file"
            break
        fi
    done
)

# examine OPTION...: if several starts in a row did not get to an answer, starts the server once where its log can be read. Sets broken to the
# decision of decide_broken, or to nothing if the server answers. It runs with the options that it will be started with, but without the
# network.
broken=""
examine() {
    local starts answer unusable status=0
    broken=""
    starts=$(starts_without_answer)
    if [[ $(has_data) == no ]] || ((${starts:-0} < ENOUGH)); then return 0; fi
    say "$starts starts in a row ended before MySQL answered: examining the data in /data/mysql"
    unusable=$(unusable_file)
    if [[ -n $unusable ]]; then
        broken="other uid $EUID cannot both read and write $unusable; correct its owner or its mode on the volume"
        return 0
    fi
    mysqld --defaults-file="$CONFIG" "$@" --skip-networking --socket="$RUN/temporary.sock" --pid-file="$RUN/temporary.pid" \
        >/data/tmp/examine.log 2>&1 &
    temporary=$!
    until answer=$(temporary_client --connect-timeout=2 -e 'DO 0' 2>&1) || [[ $answer =~ ERROR\ 1[0-9]{3} ]]; do
        if ! kill -0 "$temporary" 2>/dev/null; then
            wait "$temporary" || status=$?
            temporary=""
            # InnoDB prints damaged pages in full, again and again.
            sed -n '/\[ERROR\]\|ssertion failure\|got signal/p' /data/tmp/examine.log | sed -n '1,50p' >"$RUN/examine.log"
            cat "$RUN/examine.log" >&2
            broken=$(decide_broken "$status" <"$RUN/examine.log")
            break
        fi
        hold "MySQL recovers the data in /data/mysql; the $starts starts before this one ended before it answered"
    done
    stop_temporary_server
    rm -f /data/tmp/examine.log "$RUN/examine.log" "$RUN/waiting"
    if [[ -z $broken ]]; then
        say "MySQL starts from this data, so it is not the data that ended the starts before: see the pod's last state and its memory limit"
    fi
}
