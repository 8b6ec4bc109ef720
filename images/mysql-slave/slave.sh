# shellcheck shell=bash
# Shared by the programs of the slave image: how to query its own state, and where to take data from. Sourced after lib.sh or probe.sh.
# shellcheck disable=SC2154 # lib.sh sets asked_identity and similar variables.

# shellcheck source=../mysql/decide-slave.sh
source /opt/dabaweb/lib/decide-slave.sh

# Every transaction that this server could have written itself, also under a former server_uuid, see data.sh; a slave writes none.
former=""
if [[ -e /data/former ]]; then
    while read -r one; do
        if [[ $one =~ ^[0-9a-f-]{36}$ ]]; then former+=",$one:1-9223372036854775806"; fi
    done </data/former
fi
readonly OWN="CONCAT(@@server_uuid, ':1-9223372036854775806$former')"
# The subset that it did write.
readonly OWN_EXECUTED="REPLACE(GTID_SUBTRACT(@@GLOBAL.gtid_executed, GTID_SUBTRACT(@@GLOBAL.gtid_executed, $OWN)), '\n', '')"

# One line: identity|receiver|applier|age of the heartbeat in ms|errant transactions|error of the receiver|error of the applier.
# shellcheck disable=SC2034
readonly STATE="$SET_AGE
    SELECT CONCAT_WS('|',
        IFNULL((SELECT MAX(id) FROM replication.identity), ''),
        IFNULL(MAX(receiver.service_state), ''),
        IFNULL(MAX(applier.service_state), ''),
        IFNULL(@age DIV 1000, ''),
        $OWN_EXECUTED,
        IFNULL(MAX(IF(receiver.last_error_number = 0, NULL,
            REPLACE(CONCAT_WS(' ', receiver.last_error_number, receiver.last_error_message), '|', '/'))), ''),
        IFNULL(REPLACE(COALESCE(
            ($WORKER_ERROR),
            (SELECT MAX(CONCAT_WS(' ', last_error_number, last_error_message))
                FROM performance_schema.replication_applier_status_by_coordinator WHERE last_error_number <> 0)), '|', '/'), ''))
    FROM performance_schema.replication_connection_status receiver
    JOIN performance_schema.replication_applier_status applier USING (channel_name)
    WHERE channel_name = ''"

# compare ADDRESS PORT SET [owned]: sets compared_identity to the identity of another pod's server, compared_lacks to the part of the GTID
# set that it has not executed, and compared_purged to what its binlogs no longer have of the rest; fails if there is no answer. With "owned",
# transactions also count that are in its binlog and wait to be committed, for example for a semi-synchronous acknowledgement: a slave that
# received one has not diverged. They are read first: one that is committed between the two reads is then in both sets; in the other order, it
# would be in neither.
compared_identity="" compared_lacks="" compared_purged=""
compare() {
    local owned=NULL
    if [[ ${4-} == owned ]]; then owned="NULLIF(REGEXP_REPLACE(@@GLOBAL.gtid_owned, '#[0-9]+', ''), '')"; fi
    compared_identity="" compared_lacks="" compared_purged=""
    query_server "$1" "$2" "SELECT CONCAT_WS('|', IFNULL(MAX(id), ''),
        REPLACE(GTID_SUBTRACT('$3', CONCAT_WS(',', $owned, @@GLOBAL.gtid_executed)), '\n', ''),
        REPLACE(GTID_SUBTRACT(@@GLOBAL.gtid_purged, '$3'), '\n', '')) FROM replication.identity" || return 1
    # shellcheck disable=SC2034
    IFS='|' read -r compared_identity compared_lacks compared_purged <"$RUN/answer" && [[ $compared_identity =~ $UUID ]]
}

# state_of_donor SET: prints the query for everything that a server says of itself as a possible donor, if its data must contain the GTID set.
# What it has executed is without what was written there by hand, which comes separately. Old data gives the account no privilege to see the
# user's tables: then only the finished copy shows which of them are empty.
state_of_donor() {
    printf '%s' "$SET_AGE
    SELECT CONCAT_WS('|',
        IFNULL(MAX(identity.id), ''),
        IFNULL(@@GLOBAL.report_host, ''),
        REPLACE(GTID_SUBTRACT(@@GLOBAL.gtid_executed, $OWN), '\n', ''),
        IFNULL(MAX(receiver.service_state), ''),
        IFNULL(MAX(applier.service_state), ''),
        IFNULL(ROUND(@age / 1e6, 1), ''),
        $OWN_EXECUTED,
        REPLACE(GTID_SUBTRACT('$1', @@GLOBAL.gtid_executed), '\n', ''),
        (SELECT COUNT(*) FROM performance_schema.threads WHERE processlist_command = 'clone'),
        $DIFFERENCES,
        $NOT_INNODB)
    FROM replication.identity
    LEFT JOIN performance_schema.replication_connection_status receiver ON receiver.channel_name = ''
    LEFT JOIN performance_schema.replication_applier_status applier ON applier.channel_name = ''"
}

# survey SET: asks all other slaves side by side, and then the master, for their state, into the arrays below; the master is last. The order
# ensures that the transactions of a healthy slave are a subset of the master's. If a name server gives no addresses in time, those that it gave
# last are asked. survey_lacks is what the server lacks of the GTID set.
survey_address=() survey_identity=() survey_name=() survey_executed=() survey_receiver=() survey_applier=() survey_age=() survey_own=()
survey_lacks=() survey_clones=() survey_differs=() survey_tables=() survey_why=()
known_addresses=()
survey() {
    local own addresses address servers=() query identity name executed receiver applier age written lacks clones differs tables why i
    in_background timeout 3 getent ahosts "${HOSTNAME-}" || true
    own=" ${POD_IP-} $(sed -n 's/ .*STREAM.*//p' "$RUN/answer" | tr '\n' ' ') "
    in_background slave_addresses || true
    mapfile -t addresses <"$RUN/answer"
    if ((${#addresses[@]} > 0)); then known_addresses=("${addresses[@]}"); fi
    survey_address=()
    for address in "${known_addresses[@]}"; do
        if [[ $own != *" $address "* ]]; then survey_address+=("$address") servers+=("$address ${SLAVES_PORT-}"); fi
    done
    query=$(state_of_donor "$1")
    survey_identity=() survey_name=() survey_executed=() survey_receiver=() survey_applier=() survey_age=() survey_own=()
    survey_lacks=() survey_clones=() survey_differs=() survey_tables=() survey_why=()
    query_all "$query" "${servers[@]}"
    local all_answered=("${answered[@]}") all_answers=("${answers[@]}")
    query_all "$query" "$MASTER_HOST $MASTER_PORT"
    # Without its answer nothing can be compared with it: one answer that was too slow must not decide that.
    if [[ ${answered[0]} == no ]]; then query_all "$query" "$MASTER_HOST $MASTER_PORT"; fi
    survey_address+=("$MASTER_HOST") all_answered+=("${answered[0]}") all_answers+=("${answers[0]}")
    for i in "${!survey_address[@]}"; do
        identity="" name="" executed="" receiver="" applier="" age="" written="" lacks="" clones="" differs="" tables="" why=""
        if [[ ${all_answered[i]} == yes ]]; then
            IFS='|' read -r identity name executed receiver applier age written lacks clones differs tables <<<"${all_answers[i]}"
            if [[ ! $identity =~ $UUID ]]; then why="its identity is \"$identity\", which is not a UUID" identity=""; fi
        else
            why=${all_answers[i]}
        fi
        survey_identity+=("$identity") survey_name+=("${name:-${survey_address[i]}}") survey_executed+=("$executed") survey_receiver+=("$receiver")
        survey_applier+=("$applier") survey_age+=("$(milliseconds "$age")") survey_own+=("$written") survey_lacks+=("$lacks")
        survey_clones+=("${clones:-0}") survey_differs+=("$differs") survey_tables+=("$tables") survey_why+=("$why")
    done
}

port_of() {
    if [[ $1 == "$MASTER_HOST" ]]; then printf '%s' "$MASTER_PORT"; else printf '%s' "${SLAVES_PORT-}"; fi
}

# The copies that were begun since replication last ran for long. One line for each step: "SECONDS_SINCE_1970 begun|cloned NAME_OF_DONOR". It lies
# on the volume, because neither a restarted container nor a new pod may begin to count anew.
readonly COPIES=/data/copies

# count_copies WORD [NAME]: how many lines have the word, and the donor.
count_copies() {
    local count=0 at word name
    if [[ -e $COPIES ]]; then
        while read -r at word name; do
            if [[ $word == "$1" && (-z ${2-} || $name == "$2") ]]; then count=$((count + 1)); fi
        done <"$COPIES"
    fi
    echo "$count"
}

# note_copy WORD NAME
note_copy() {
    printf '%s %s %s\n' "$EPOCHSECONDS" "$1" "$2" >>"$COPIES"
    sync "$COPIES"
}

# pause_left: seconds until the next copy may begin.
pause_left() {
    local at=0 line=""
    while read -r line; do at=${line%% *}; done < <(cat "$COPIES" 2>/dev/null)
    [[ $at =~ ^[0-9]+$ ]] || at=0
    decide_pause "$(count_copies begun)" "$((EPOCHSECONDS - at))"
}

# tell_copies: a few words about copies that did not help, or nothing.
tell_copies() {
    local cloned first
    cloned=$(count_copies cloned)
    if ((cloned == 0)); then return 0; fi
    read -r first _ <"$COPIES" || true
    if [[ ! $first =~ ^[0-9]+$ ]]; then first=$EPOCHSECONDS; fi
    printf '%s' "this is copy $((cloned + 1)) in $(((EPOCHSECONDS - first) / 60 + 1)) min: those before did not help"
}

# choose_donor WANTED: chooses the first server in the survey, in the order of rank_donors, whose data has the identity WANTED, is healthy and
# contains what the survey asked for. Sets donor to its address, empty if there is none, donor_name to its name, donor_busy to yes if it is giving
# a clone to another pod, and donor_why to one sentence about all servers that are not fit.
donor="" donor_name="" donor_busy=no donor_why=""
choose_donor() {
    local wanted=$1 i last role master=no extra purged why order
    donor="" donor_name="" donor_busy=no donor_why=""
    last=$((${#survey_address[@]} - 1))
    if [[ ${survey_identity[last]} == "$wanted" ]]; then master=yes; fi
    order=$(for i in "${!survey_address[@]}"; do
        role=slave
        if ((i == last)); then role=master; fi
        local cloned begun
        cloned=$(count_copies cloned "${survey_name[i]}") begun=$(count_copies begun "${survey_name[i]}")
        echo "$i $role $cloned $((begun - cloned)) ${survey_clones[i]}"
    done | rank_donors "${POD_NAME##*-}")
    for i in $order; do
        role=slave extra="" purged=""
        if ((i == last)); then role=master; fi
        # What a slave wrote itself was written by hand. What came with its data, only the master knows.
        if [[ $role == slave ]]; then extra=${survey_own[i]}; fi
        if [[ $role == slave && ${survey_identity[i]} == "$wanted" && $master == yes ]]; then
            if compare "$MASTER_HOST" "$MASTER_PORT" "${survey_executed[i]}" owned ||
                compare "$MASTER_HOST" "$MASTER_PORT" "${survey_executed[i]}" owned; then
                extra=$(joined , "$extra" "$compared_lacks") purged=$compared_purged
            else
                master=lost
            fi
        fi
        if why=$(decide_fit "$role" "$wanted" "${survey_identity[i]}" "${survey_receiver[i]}" "${survey_applier[i]}" "${survey_age[i]}" \
            "$MAX_STALE_SECONDS" "$master" "${survey_lacks[i]}" "$extra" "$purged" "$(left_empty "${survey_tables[i]}")" \
            "${survey_differs[i]}"); then
            # shellcheck disable=SC2034
            donor=${survey_address[i]} donor_name=${survey_name[i]}
            # shellcheck disable=SC2034
            if ((survey_clones[i] > 0)); then donor_busy=yes; fi
            return 0
        fi
        donor_why+="${donor_why:+, }${survey_address[i]} $why${survey_why[i]:+ (${survey_why[i]})}"
    done
    return 1
}
