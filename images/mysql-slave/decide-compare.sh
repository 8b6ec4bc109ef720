# shellcheck shell=bash
# Decisions of the comparison: functions over plain inputs, without a server or a file. Sourced.

# Milliseconds of processor time that a chunk should take on the master: a query that is ended any time soon, and holds up no change of its table.
readonly CHUNK_MS=50
# A comparison may take this share of one core: in percent of the master's for all slaves together, and of each slave's own.
readonly MASTER_SHARE=1
readonly SLAVE_SHARE=2

# decide_size ROWS MS: how many rows the next chunk has, after one of ROWS rows took MS milliseconds on the master.
decide_size() {
    local rows=$1 ms=$2 size
    if ((ms < 1)); then ms=1; fi
    size=$((rows * CHUNK_MS / ms))
    # A query that took long once, on a busy machine, says little.
    if ((size > rows * 2)); then size=$((rows * 2)); fi
    if ((size < rows / 4)); then size=$((rows / 4)); fi
    if ((size > 50000)); then size=50000; fi
    if ((size < 1)); then size=1; fi
    echo "$size"
}

# decide_first_size ROWS BYTES: how many rows the first chunk of a table has, from estimates: about 1 MiB, at most 1000 rows.
decide_first_size() {
    local rows=$1 bytes=$2 size=1000
    if ((rows > 0 && bytes / rows > 1048)); then size=$((1048576 / (bytes / rows))); fi
    if ((size < 1)); then size=1; fi
    echo "$size"
}

# decide_pause MASTER_MS SLAVE_MS SLAVES: how many milliseconds to pause after work that took so long on either side. All of the master's
# slaves compare, each for itself, and share what the master may spend.
decide_pause() {
    local master=$(($1 * $3 * (100 - MASTER_SHARE) / MASTER_SHARE)) slave=$(($2 * (100 - SLAVE_SHARE) / SLAVE_SHARE))
    if ((slave > master)); then echo "$slave"; else echo "$master"; fi
}

# decide_chunk BEFORE HERE AFTER: what three answers about the same rows say. The master answered BEFORE, the slave HERE, when it had applied
# all that the master had executed by then, and the master AFTER. Prints equal, differs (the rows did not change on the master, so nothing
# that is still under way explains it), or hot (they change all the time).
decide_chunk() {
    if [[ $2 == "$1" || $2 == "$3" ]]; then
        echo equal
    elif [[ $1 == "$3" ]]; then
        echo differs
    else
        echo hot
    fi
}

# name_of HEX[.HEX]: prints a name that the servers gave in hexadecimal.
name_of() {
    local part text="" left
    for part in ${1//./ }; do
        if [[ -n $text ]]; then text+=.; fi
        left=$part
        while [[ -n $left ]]; do
            text+="\\x${left:0:2}"
            left=${left:2}
        done
    done
    printf '%b' "$text"
}

# list_differences BEFORE HERE AFTER: what differs in three answers to structure.sql, as above. Prints one line for each difference: the kind
# and the name as in the answers, a tab, and a sentence. An object that is missing on one side has nothing else to compare.
list_differences() {
    local kind name value key
    local -A master=() slave=() later=() missing=() order=()
    while read -r kind name value; do if [[ -n $name ]]; then master["$kind $name"]=$value order["$kind $name"]=; fi; done <<<"$1"
    while read -r kind name value; do if [[ -n $name ]]; then slave["$kind $name"]=$value order["$kind $name"]=; fi; done <<<"$2"
    while read -r kind name value; do if [[ -n $name ]]; then later["$kind $name"]=$value; fi; done <<<"$3"
    for key in "${!order[@]}"; do
        if [[ $key == ERROR* || ${master[$key]-none} != "${later[$key]-none}" || ${master[$key]-none} == "${slave[$key]-none}" ]]; then
            unset "order[$key]"
        elif [[ -z ${master[$key]-} || -z ${slave[$key]-} ]]; then
            case ${key% *} in database | table | view | account) missing["${key#* }"]=${key% *} ;; esac
        fi
    done
    for key in "${!order[@]}"; do
        kind=${key% *} name=${key#* }
        if [[ $name == *.* && -n ${missing[${name%.*}]-} || ${missing[$name]-$kind} != "$kind" ]]; then continue; fi
        printf '%s\t' "$key"
        case $kind in
            rows) printf 'table %s has %s rows on the master, but %s here\n' "$(name_of "$name")" "${master[$key]-no}" "${slave[$key]-no}" ;;
            columns | indexes | foreign-keys | checks | partitions | grants)
                printf 'the %s of %s differ from those on the master\n' "${kind//-/ }" "$(name_of "$name")"
                ;;
            *)
                if [[ -z ${slave[$key]-} ]]; then
                    printf '%s %s is only on the master\n' "$kind" "$(name_of "$name")"
                elif [[ -z ${master[$key]-} ]]; then
                    printf '%s %s is only here, not on the master\n' "$kind" "$(name_of "$name")"
                elif [[ ${slave[$key]%/*} != "${master[$key]%/*}" && $kind == table ]]; then
                    printf 'table %s has the engine %s on the master, but %s here\n' "$(name_of "$name")" "${master[$key]%/*}" "${slave[$key]%/*}"
                else
                    printf '%s %s is defined in another way than on the master\n' "$kind" "$(name_of "$name")"
                fi
                ;;
        esac
    done | LC_ALL=C sort
}

# duration SECONDS: prints it as people say it.
duration() {
    if (($1 < 120)); then
        echo "$1 s"
    elif (($1 < 7200)); then
        echo "$(($1 / 60)) min"
    else
        echo "$(($1 / 3600)) h"
    fi
}

# describe_comparison NOW: prints the three lines of `status` about the comparison, from the lines that compare left on standard input:
# "checked SECOND", "round SECOND LENGTH", "began SECOND DONE ALL", and any number of "differs TEXT", "uncompared TEXT".
describe_comparison() {
    local now=$1 word rest differs="" uncompared="" said="" table count
    while read -r word rest; do
        case $word in
            checked) said="tables, definitions and row counts $(duration $((now - rest))) ago" ;;
            round)
                said+="; the last round of contents ended $(duration $((now - ${rest% *}))) ago and took $(duration "${rest#* }")"
                ;;
            began)
                read -r rest table count <<<"$rest"
                said+="; the present one is at table $table of $count after $(duration $((now - rest)))"
                ;;
            differs) differs+="${differs:+; }$rest" ;;
            uncompared) uncompared+="${uncompared:+; }$rest" ;;
        esac
    done
    printf 'differs: %s\nuncompared: %s\ncompared: %s\n' "$differs" "$uncompared" "$said"
}
