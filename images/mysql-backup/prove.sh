# shellcheck shell=bash
# How a base is proven: it is restored, the log is replayed on it up to the next base, and all tables of the two are compared. Sourced after replay.sh.
# shellcheck disable=SC2154 # store.sh sets store_why, log.sh sets segments, gaps and end_until, and base sets identity, name and gtid.

# How long the archive may take to upload what the new base holds, in seconds.
readonly ARCHIVE_SECONDS=600

# checksums FILE: writes a line for each table of the data in $DATA.new: its name and its checksum. MySQL's own tables are left out: every server
# writes them by itself.
checksums() {
    local name="CONCAT('\`', REPLACE(table_schema, '\`', '\`\`'), '\`.\`', REPLACE(table_name, '\`', '\`\`'), '\`')"
    in_background temporary_client -e "SELECT CONCAT('CHECKSUM TABLE ', $name, ';') FROM information_schema.tables
        WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
        ORDER BY table_schema, table_name" || fail "the tables cannot be listed: $(answer_line)"
    temporary_client <"$RUN/answer" >"$1" 2>"$RUN/complaints" &
    wait "$!" || fail "the tables cannot be read: $(<"$RUN/complaints")"
}

# predecessor: sets before to the base that the new one can prove, empty if there is none, and says why.
before=""
predecessor() {
    list_files "$identity" || fail "$store_why"
    before=$(decide_complete <"$RUN/answer" | sed "/^$name\$/,\$d" | sed -n '$p')
    if [[ -z $before ]]; then
        say "there is no base before $name to be proven; the next one proves $name"
        return 0
    fi
    list_segments "$identity" || fail "the log in $(place)/mysql/$identity/log: $store_why"
    if ((${#segments[@]} == 0)); then
        say "base $before cannot be proven yet, because the store has no log of identity $identity; the next base proves $name"
        before=""
        return 0
    fi
    read_manifest "$identity" "$before" || fail "$store_why"
    if ! is_beyond_gaps "$identity"; then
        say "base $before cannot be proven, because the log after it has a gap at ${gaps[-1]}; the next base proves $name"
        before=""
    fi
}

# wait_for_log: waits until the log in the store has all that the new base holds.
wait_for_log() {
    local until
    until=$((SECONDS + ARCHIVE_SECONDS))
    while :; do
        keep_time
        list_segments "$identity" || fail "the log in $(place)/mysql/$identity/log: $store_why"
        if ((${#segments[@]} > 0)); then
            read_end "$identity" || fail "the log in $(place)/mysql/$identity/log: $store_why"
            if begins_within "$gtid" "$end_until"; then return 0; fi
        fi
        ((SECONDS < until)) || fail "after $ARCHIVE_SECONDS s the log in the store ends at ${end_until:-its begin}, which is before base $name: $gtid"
        hold "the log in the store ends before base $name"
        pause 3
    done
}

# prove: proves the base before $name, and records that in the store. $RUN/checksums has the tables of $name.
prove() {
    local began fetched differing
    predecessor
    if [[ -z $before ]]; then return 0; fi
    wait_for_log
    began=$SECONDS
    check_room
    say "proving base $before: restoring it, and replaying the log up to base $name"
    fetch_log "$identity" "$before"
    fetch_base "$identity" "$before"
    keep_time
    fetched=$((SECONDS - began))
    replay "" "" "$gtid"
    temporary_server --datadir="$DATA.new" --skip-grant-tables --skip-log-bin
    checksums "$RUN/restored"
    stop_temporary_server
    keep_time
    # What is in both files is there twice.
    differing=$(sort "$RUN/checksums" "$RUN/restored" | uniq -u | sed 's/\t.*//' | sort -u | tr '\n' ' ')
    if [[ -n $differing ]]; then
        fail "base $before with the log after it is not what base $name is: these tables differ: $differing"
    fi
    cat >"$RUN/proof" <<PROOF
proven: $name
tables: $(grep -c . "$RUN/checksums" || true)
fetched: $fetched
restored: $((SECONDS - began))
PROOF
    asked copyto "$RUN/proof" "${STORE}mysql/$identity/$before.proven" --no-traverse || fail "the proof of base $before: $store_why"
    rm -rf "$DATA.new" "$LOG"
    say "base $before is proven: restored with the log after it in $((SECONDS - began)) s, its $(grep -c . "$RUN/checksums" || true) tables are those of base $name"
}
