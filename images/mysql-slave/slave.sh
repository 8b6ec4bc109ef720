# shellcheck shell=bash
# Shared by the programs of the slave image: how to query its own state, and where to take data from. Sourced after lib.sh or probe.sh.
# shellcheck disable=SC2154 # lib.sh sets asked_identity and similar variables.

# shellcheck source=../mysql/decide-slave.sh
source /opt/dabaweb/lib/decide-slave.sh

# Every transaction that this server could have written itself; a slave writes none.
readonly OWN="CONCAT(@@server_uuid, ':1-9223372036854775806')"
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
# set that it has not executed, and compared_own to what it wrote itself; fails if there is no answer. With "owned", transactions also count
# that are in its binlog and wait to be committed, for example for a semi-synchronous acknowledgement: a slave that received one has not
# diverged. They are read first: one that is committed between the two reads is then in both sets; in the other order, it would be in neither.
compared_identity="" compared_lacks="" compared_own=""
compare() {
    local owned=NULL
    if [[ ${4-} == owned ]]; then owned="NULLIF(REGEXP_REPLACE(@@GLOBAL.gtid_owned, '#[0-9]+', ''), '')"; fi
    compared_identity="" compared_lacks="" compared_own=""
    query_server "$1" "$2" "SELECT CONCAT_WS('|', IFNULL(MAX(id), ''),
        REPLACE(GTID_SUBTRACT('$3', CONCAT_WS(',', $owned, @@GLOBAL.gtid_executed)), '\n', ''), $OWN_EXECUTED) FROM replication.identity" || return 1
    # shellcheck disable=SC2034
    IFS='|' read -r compared_identity compared_lacks compared_own <"$RUN/answer" && [[ $compared_identity =~ $UUID ]]
}

# survey: asks all other slaves and then the master for their state, into the arrays below; the master is last. The order ensures that the
# transactions of a healthy slave are a subset of the master's.
survey_address=() survey_identity=() survey_executed=() survey_receiver=() survey_applier=() survey_age=() survey_why=()
survey() {
    local own addresses address
    own=" ${POD_IP-} $({ getent ahosts "${HOSTNAME-}" || true; } | sed -n 's/ .*STREAM.*//p' | tr '\n' ' ') "
    survey_address=()
    in_background slave_addresses
    mapfile -t addresses <"$RUN/answer"
    for address in "${addresses[@]}"; do
        if [[ $own != *" $address "* ]]; then survey_address+=("$address"); fi
    done
    survey_address+=("$MASTER_HOST")
    survey_identity=() survey_executed=() survey_receiver=() survey_applier=() survey_age=() survey_why=()
    for address in "${survey_address[@]}"; do
        ask_server "$address" "$(port_of "$address")" || true
        survey_identity+=("$asked_identity") survey_executed+=("$asked_executed") survey_receiver+=("$asked_receiver")
        survey_applier+=("$asked_applier") survey_age+=("$(milliseconds "$asked_age")") survey_why+=("$asked_why")
    done
}

port_of() {
    if [[ $1 == "$MASTER_HOST" ]]; then printf '%s' "$MASTER_PORT"; else printf '%s' "${SLAVES_PORT-}"; fi
}

# choose_donor WANTED SET: chooses the first server in the survey whose data has the identity WANTED, is healthy and contains the GTID set; the
# master is last, because it is busy with writes. Sets donor to its address, empty if there is none, and donor_why to one sentence about all
# servers that are not fit.
donor="" donor_why=""
choose_donor() {
    local wanted=$1 set=$2 i last role master=no lacks extra why
    donor="" donor_why=""
    last=$((${#survey_address[@]} - 1))
    if [[ ${survey_identity[last]} == "$wanted" ]]; then master=yes; fi
    for i in "${!survey_address[@]}"; do
        role=slave lacks="" extra=""
        if ((i == last)); then role=master; fi
        if [[ ${survey_identity[i]} == "$wanted" ]]; then
            if compare "${survey_address[i]}" "$(port_of "${survey_address[i]}")" "$set"; then lacks=$compared_lacks; else lacks="an answer"; fi
            # What a slave wrote itself was written by hand. What came with its data, only the master knows.
            if [[ $role == slave ]]; then extra=$compared_own; fi
            if [[ $role == slave && -z $extra && $master == yes ]]; then
                if compare "$MASTER_HOST" "$MASTER_PORT" "${survey_executed[i]}" owned; then extra=$compared_lacks; fi
            fi
        fi
        if why=$(decide_fit "$role" "$wanted" "${survey_identity[i]}" "${survey_receiver[i]}" "${survey_applier[i]}" "${survey_age[i]}" \
            "$MAX_STALE_SECONDS" "$master" "$lacks" "$extra"); then
            # shellcheck disable=SC2034
            donor=${survey_address[i]}
            return 0
        fi
        donor_why+="${donor_why:+, }${survey_address[i]} $why${survey_why[i]:+ (${survey_why[i]})}"
    done
    return 1
}
