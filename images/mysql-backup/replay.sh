# shellcheck shell=bash
# How the log is replayed on a base: as relay logs, by the server's own appliers. Sourced after log.sh.
# shellcheck disable=SC2154 # store.sh sets store_why, and log.sh sets segments.
# shellcheck disable=SC2034 # The program that sources this reads reached_why.

# Where the log lies until it is replayed, beside the data.
readonly LOG=/data/log

# The entries of the log that was fetched, in its order: the folder of each, and its facts.
entry=() entry_after=() entry_until=() entry_first=() entry_last=() entry_gap=()

# fetch_log IDENTITY BASE: fetches the log of a history that may follow a base, into $LOG. Its segments are named after the time of their upload, so
# nothing that a base lacks is in one of a day before the base; a minute is the usual time, and is tried first.
fetch_log() {
    local identity=$1 base=$2 name from
    list_segments "$identity" || fail "the log in $(place)/mysql/$identity/log: $store_why"
    ((${#segments[@]} > 0)) || fail "the store $(place) has no log of identity $identity: only whole bases can be restored, with restore.base alone"
    for from in "$(earlier "$base" 600)" "$(earlier "$base" 86400)" ""; do
        rm -rf "$LOG"
        mkdir -p "$LOG/packed"
        : >"$LOG/names"
        for name in "${segments[@]}"; do
            if [[ $name > $from ]]; then printf '%s.tar.zst\n' "$name" >>"$LOG/names"; fi
        done
        say "fetching the log after base $base: $(grep -c . "$LOG/names" || true) segments"
        # Many small files: the time of each is mostly the store's answer.
        asked copy "${STORE}mysql/$identity/log" "$LOG/packed" --files-from-raw "$LOG/names" --no-traverse --transfers 16 --low-level-retries 10 ||
            fail "the log in $(place)/mysql/$identity/log: $store_why"
        while read -r name; do
            unpack_segment "$LOG/packed/$name" "$LOG/${name%%.*}" ||
                fail "segment ${name%%.*} of the log is damaged: $(tail -n 1 "$RUN/complaints"); restore to a time before it, or only a base"
            rm "$LOG/packed/$name"
        done <"$LOG/names"
        read_entries
        if ((${#entry[@]} > 0)) && begins_within "${entry_after[0]}" "$(fact gtid)"; then return 0; fi
    done
}

# earlier NAME SECONDS: prints the name of what was written so much earlier.
earlier() {
    name_at $(($(seconds_of "$1") - $2))
}

read_entries() {
    local folder number after until first last gap
    entry=() entry_after=() entry_until=() entry_first=() entry_last=() entry_gap=()
    for folder in "$LOG"/[0-9]*/; do
        if [[ ! -e $folder/index ]]; then continue; fi
        while IFS='|' read -r number after until first last gap; do
            entry+=("$folder$number") entry_after+=("$after") entry_until+=("$until") entry_first+=("$first") entry_last+=("$last")
            entry_gap+=("$gap")
        done <"$folder/index"
    done
}

# questions GTID SET: prints the statements that follow the entries by their sets: for each one that does not continue what came before, its number
# and what is lacking; for each gap that the data is not beyond, its number; and the numbers of those that have the transaction GTID, or all of SET.
questions() {
    local i
    echo "SET @have = @@GLOBAL.gtid_executed;"
    for i in "${!entry[@]}"; do
        if [[ -n ${entry_gap[i]} ]]; then
            echo "SELECT $i, 'gap', '' FROM DUAL WHERE NOT GTID_SUBSET('${entry_until[i]}', @have);"
            continue
        fi
        echo "SELECT $i, 'lacks', REPLACE(GTID_SUBTRACT('${entry_after[i]}', @have), CHAR(10), '') FROM DUAL
            WHERE NOT GTID_SUBSET('${entry_after[i]}', @have);"
        if [[ -n $1 ]]; then
            echo "SELECT $i, 'has', '' FROM DUAL WHERE GTID_SUBSET('$1', '${entry_until[i]}') AND NOT GTID_SUBSET('$1', '${entry_after[i]}');"
        fi
        echo "SET @have = GTID_SUBTRACT(CONCAT_WS(',', @have, '${entry_until[i]}'), '');"
        if [[ -n $2 ]]; then echo "SELECT $i, 'has', '' FROM DUAL WHERE GTID_SUBSET('$2', @have);"; fi
    done
}

# choose_end TIME GTID SET: sets count to how many entries are replayed, and partly to yes if only the begin of the last one is: up to TIME, in
# microseconds since 1970 or latest, up to the transaction GTID, or up to all of SET. Fails if the log does not lead there.
count=0 partly=no
choose_end() {
    local at=$1 gtid=$2 set=$3 usable=${#entry[@]} broken="" i what lacks found=-1 newest=0
    questions "$gtid" "$set" >"$LOG/questions.sql"
    temporary_client <"$LOG/questions.sql" >"$LOG/answers" 2>&1 || fail "the log cannot be followed: $(tail -n 1 "$LOG/answers")"
    while IFS=$'\t' read -r i what lacks; do
        case $what in
            lacks) broken="it lacks $lacks there" ;;
            gap) broken="it has a gap there: ${entry_gap[i]}" ;;
            has)
                if ((found < 0)); then found=$i; fi
                continue
                ;;
            *) fail "the log cannot be followed: $i $what $lacks" ;;
        esac
        usable=$i
        break
    done <"$LOG/answers"
    for ((i = usable - 1; i >= 0 && newest == 0; i--)); do newest=${entry_last[i]}; done
    count=$usable partly=no
    if [[ -n $gtid$set ]]; then
        ((found >= 0)) || fail "the log after base $(fact base) does not have ${gtid:+the transaction $gtid}${set:+all of $set}; it ends at $(spelled "$newest")${broken:+, because $broken}"
        count=$((found + 1)) partly=yes
    elif [[ $at == latest ]]; then
        if [[ -n $broken ]]; then
            fail "the log after base $(fact base) ends at $(spelled "$newest"), because $broken; set restore.at to that time, or take a later base"
        fi
    else
        for ((i = 0; i < usable; i++)); do
            if ((entry_last[i] > at)); then
                count=$((i + 1)) partly=yes
                return 0
            fi
        done
        if ((newest == at)); then return 0; fi
        fail "the log after base $(fact base) ends at $(spelled "$newest")${broken:+, because $broken}: set restore.at to that time or an earlier" \
            "one, or to latest"
    fi
}

# first_left_out FILE TIME GTID: sets left_out to the first transaction in a relay log that is not replayed, empty if all are, and kept to the one before
# it, empty if there is none. Times of commit rise within a log, so a few of them are read.
left_out="" kept=""
first_left_out() {
    local file=$1 at=$2 gtid=$3 positions=() gtids=() low=0 high middle position name
    left_out="" kept=""
    while IFS=$'\t' read -r position name; do
        positions+=("$position") gtids+=("$name")
    done < <(temporary_client -e "SHOW RELAYLOG EVENTS IN '$file'" |
        sed -n "s/^[^\t]*\t\([0-9]*\)\tGtid\t.*GTID_NEXT= '\([^']*\)'.*/\1\t\2/p")
    high=${#gtids[@]}
    if [[ -n $gtid ]]; then
        for ((low = 0; low < high; low++)); do
            if [[ ${gtids[low]} == "$gtid" ]]; then break; fi
        done
        low=$((low + 1))
    else
        while ((low < high)); do
            middle=$(((low + high) / 2))
            if (($(commit_time "$DATA.new/$file" "${positions[middle]}") > at)); then high=$middle; else low=$((middle + 1)); fi
        done
    fi
    if ((low < ${#gtids[@]})); then left_out=${gtids[low]}; fi
    if ((low > 0)); then kept=${gtids[low - 1]}; fi
}

# replay TIME GTID SET: applies the log to $DATA.new, see choose_end. Sets reached_why to how far, in words.
reached_why=""
replay() {
    local at=$1 gtid=$2 set=$3 i number=0 file="" goal until="" executed began=$SECONDS told=$SECONDS running=yes
    # The account's password is the stack's again when the master starts. Nothing of this is kept if it is interrupted, so nothing waits for the disk.
    printf "ALTER USER 'root'@'localhost' IDENTIFIED BY '';\n" >"$RUN/replay.sql"
    temporary_server --datadir="$DATA.new" --skip-log-bin --init-file="$RUN/replay.sql" --innodb-buffer-pool-size="${REPLAY_BUFFER_POOL_SIZE:-128M}" \
        --innodb-flush-log-at-trx-commit=0 --replica-parallel-workers="${REPLAY_WORKERS:-4}"
    choose_end "$at" "$gtid" "$set"
    for ((i = 0; i < count; i++)); do
        if [[ -n ${entry_gap[i]} ]]; then continue; fi
        number=$((number + 1))
        printf -v file 'relay.%06d' "$number"
        mv "${entry[i]}/relay" "$DATA.new/$file"
        printf './%s\n' "$file" >>"$LOG/relay.index"
    done
    if ((number == 0)); then
        stop_temporary_server
        reached_why="with nothing after it"
        return 0
    fi
    mv "$LOG/relay.index" "$DATA.new/relay.index"
    in_background temporary_client -e "CHANGE REPLICATION SOURCE TO RELAY_LOG_FILE = 'relay.000001', RELAY_LOG_POS = 4, SOURCE_HOST = 'none',
        SOURCE_USER = 'none'" || fail "the log cannot be replayed: $(answer_line)"
    goal=${entry_until[count - 1]}
    if [[ -n $set ]]; then
        until=" UNTIL SQL_AFTER_GTIDS = '$set'" goal=$set
    elif [[ $partly == yes ]]; then
        first_left_out "$file" "$at" "$gtid"
        if [[ -n $left_out ]]; then
            until=" UNTIL SQL_BEFORE_GTIDS = '$left_out'"
            goal=$(joined , "${entry_after[count - 1]}" "$kept")
            in_background temporary_client -e "SELECT GTID_SUBSET('$left_out', @@GLOBAL.gtid_executed)"
            [[ $(answer_line) == 0 ]] || fail "base $(fact base) has the transaction $left_out, which is later than the point to restore to, because" \
                "clocks differ: set restore.base to an older one"
        fi
    fi
    say "replaying the log: $number files"
    in_background temporary_client -e "START REPLICA SQL_THREAD$until" || fail "the log cannot be replayed: $(answer_line)"
    while :; do
        in_background temporary_client -e "SELECT CONCAT_WS('|', GTID_SUBSET('$goal', @@GLOBAL.gtid_executed), (SELECT service_state
            FROM performance_schema.replication_applier_status WHERE channel_name = ''), REPLACE(IFNULL(($WORKER_ERROR), ''), '|', '/'),
            REPLACE(@@GLOBAL.gtid_executed, '\n', ''))" || fail "the server that replays the log does not answer: $(answer_line)"
        IFS='|' read -r is_done running why executed <"$RUN/answer" || true
        if [[ $is_done == 1 && (-z $until || $running == OFF) ]]; then break; fi
        [[ $running == ON ]] || fail "the log cannot be replayed beyond $executed: ${why:-the applier stopped; the log above may say why}"
        keep_time
        if ((SECONDS - told >= 10)); then
            say "replaying the log: up to $executed"
            told=$SECONDS
        fi
        pause 0.2
    done
    in_background temporary_client -e "STOP REPLICA; RESET REPLICA ALL" || fail "the replayed log cannot be put away: $(answer_line)"
    stop_temporary_server
    keep_time
    reached_why="and the log after it ($number files in $((SECONDS - began)) s)"
}
