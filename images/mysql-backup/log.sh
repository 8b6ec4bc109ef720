# shellcheck shell=bash
# The binary log of a stack as `receive` lays it out, `ship` uploads it and `restore` replays it. Sourced after store.sh.

# An entry is a finished relay log: in the binary log's format, whole transactions in the order in which the source committed them. What is in it is one
# line of facts:
#   AFTER|UNTIL|FIRST|LAST|GAP
#   AFTER, UNTIL  GTID sets: all that was received before it, and with it. So what follows what is told by sets, whatever clocks and names say
#   FIRST, LAST   when its first and last transactions were committed, in microseconds since 1970, by the source's clock
#   GAP           why what is between AFTER and UNTIL is not in the log, instead of a relay log; empty otherwise
# Before they are uploaded, entries lie in $SPOOL/<identity>/<number>/relay and .../facts. In the store, the entries of about a minute are one
# segment, a tar archive of such folders that begins with `index`: a line "NUMBER|facts" for each. A segment with a gap has a small file beside it,
# with the gap's UNTIL, so that whoever lists the log knows of the gap.
# shellcheck disable=SC2034 # Not every program needs all of it.
readonly SPOOL=/data/spool

# What a program writes whenever it gets on, for `alive`.
readonly TURN=/run/mysqld/turn

# commit_time FILE POSITION: prints the time of commit, in microseconds since 1970, of the Gtid event at a position in a relay log. It follows the
# common header of 19 bytes and the event's own of 42, in 7 bytes, the lowest first; the highest bit says whether the time at which the transaction
# was first committed follows, if it came through another server:
# https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Gtid__event.html
commit_time() {
    local octets value=0 i from=0
    read -ra octets < <(od -A n -v -t u1 -j $(($2 + 61)) -N 14 "$1")
    ((${#octets[@]} >= 7)) || return 1
    if ((octets[6] >> 7)); then from=7; fi
    ((${#octets[@]} >= from + 7)) || return 1
    for i in 6 5 4 3 2 1 0; do value=$(((value << 8) | octets[from + i])); done
    echo $((value & ((1 << 55) - 1)))
}

# list_segments IDENTITY: sets segments to the names of the log's segments in the store, the oldest first, and gaps to those that have a gap.
segments=() gaps=()
list_segments() {
    segments=() gaps=()
    if asked lsf "${STORE}mysql/$1/log" --files-only; then
        mapfile -t segments < <(sed -n 's/\.tar\.zst$//p' "$RUN/answer" | sort)
        mapfile -t gaps < <(sed -n 's/\.gap$//p' "$RUN/answer" | sort)
    else
        is_absent || return 1
    fi
}

# read_end IDENTITY: sets end_until and end_last to the last facts of the newest of segments, in the terms above. list_segments comes first.
end_until="" end_last=0
read_end() {
    local newest=${segments[-1]} until last
    end_until="" end_last=0
    asked copyto "${STORE}mysql/$1/log/$newest.tar.zst" /data/packed || return 1
    rm -rf /data/unpacked
    if ! unpack_segment /data/packed /data/unpacked; then
        store_why="the newest segment $newest of the log is damaged: $(tail -n 1 "$RUN/complaints")"
        return 1
    fi
    while IFS='|' read -r _ _ until _ last _; do
        end_until=$until
        if ((last > 0)); then end_last=$last; fi
    done </data/unpacked/index
    rm -rf /data/unpacked /data/packed
}

# is_beyond_gaps IDENTITY: whether the base whose manifest was read has what the log lacks at its newest gap. By sets: a segment is named after its
# begin, which a base may follow that the gap follows. list_segments comes first.
is_beyond_gaps() {
    if ((${#gaps[@]} == 0)); then return 0; fi
    asked cat "${STORE}mysql/$1/log/${gaps[-1]}.gap" || fail "the gap of the log at ${gaps[-1]}: $store_why"
    begins_within "$(<"$RUN/answer")" "$(fact gtid)"
}

# begins_within SET OTHER: whether a GTID set is contained in another one, by the end of each of its intervals.
begins_within() {
    local part interval uuid IFS=,
    for part in ${1// /}; do
        uuid=${part%%:*}
        IFS=:
        for interval in ${part#*:}; do
            if [[ $(decide_contains "$2" "$uuid:${interval#*-}") == no ]]; then return 1; fi
        done
        IFS=,
    done
}

# unpack_segment FILE DIRECTORY: unpacks a segment; fails if it was cut or changed.
unpack_segment() {
    mkdir -p "$2"
    { zstd -q -d -c "$1" | tar -C "$2" -xf -; } 2>"$RUN/complaints"
}
