# shellcheck shell=bash
# Decisions about backups: functions over plain inputs, without a server, a store or a file. Sourced.

# A base is named after the time at which its copy was complete, in UTC, so that names sort by time.
readonly BASE_NAME='^[0-9]{8}T[0-9]{6}Z$'

# decide_complete: standard input lists the files of bases, one per line. Prints the names of complete bases, the oldest first: a base counts if it
# has both its data and its manifest, which is written last.
decide_complete() {
    local file name data=" " manifests=()
    while read -r file; do
        name=${file%%.*}
        if [[ ! $name =~ $BASE_NAME ]]; then continue; fi
        case $file in
            "$name.tar.zst") data+="$name " ;;
            "$name.manifest") manifests+=("$name") ;;
        esac
    done
    for name in "${manifests[@]}"; do
        if [[ $data == *" $name "* ]]; then echo "$name"; fi
    done | sort
}

# decide_retired CUTOFF: which files are deleted after a base was taken. CUTOFF has the form of a base's name; what is older is old enough.
# Standard input lists the files of bases. Prints the files, of each base the manifest first: a base that is half deleted does not count. The newest
# complete base always stays, and the newest that is proven, with whatever came later.
decide_retired() {
    local cutoff=$1 file name newest proven files=()
    mapfile -t files
    newest=$(printf '%s\n' "${files[@]}" | decide_complete | tail -n 1)
    if [[ -z $newest ]]; then return 0; fi
    proven=$(printf '%s\n' "${files[@]}" | sed -n 's/\.proven$//p' | sort | tail -n 1)
    if [[ -n $proven && $proven < $newest ]]; then newest=$proven; fi
    for file in "${files[@]}"; do
        name=${file%%.*}
        if [[ $name =~ $BASE_NAME && $name < $cutoff && $name < $newest ]]; then echo "$file"; fi
    done | sort
}

# decide_due NEWEST GAP: whether a history needs a base now, without waiting for the schedule. NEWEST is its newest base, GAP a gap of its log whose
# transactions that base lacks, each empty if there is none. Prints the reason, or nothing.
decide_due() {
    local newest=$1 gap=$2
    if [[ -z $newest ]]; then
        echo "it has no base yet, so nothing of it can be restored"
    elif [[ -n $gap ]]; then
        echo "its log has a gap at $gap, and no base follows it"
    fi
}

# decide_retired_log CUTOFF: which files of a history's log are deleted: those named before CUTOFF. Standard input lists them. The newest segment
# stays, and tells where the log ends.
decide_retired_log() {
    local cutoff=$1 file newest files=()
    mapfile -t files
    newest=$(printf '%s\n' "${files[@]}" | grep '\.tar\.zst$' | sort | tail -n 1) || true
    for file in "${files[@]}"; do
        if [[ ${file%%.*} =~ $BASE_NAME && ${file%%.*} < $cutoff && $file != "$newest" ]]; then echo "$file"; fi
    done | sort
}

# decide_base WANTED BEFORE: which base is restored. WANTED is "latest" or a name. If BEFORE, which has the form of a name, is not empty, latest
# is the latest that is not later. Standard input has a line for each complete base: "NAME IDENTITY". Prints its line, or "none" and why there is
# none.
decide_base() {
    local wanted=$1 before=${2-} name identity found="" oldest="" newest="" fit=""
    while read -r name identity; do
        if [[ -z $oldest || $name < $oldest ]]; then oldest=$name; fi
        if [[ -z $newest || $name > $newest ]]; then newest=$name; fi
        if [[ $name == "$wanted" ]]; then found="$name $identity"; fi
        if [[ $wanted == latest && (-z $before || ! $name > $before) && (-z $fit || $name > $fit) ]]; then
            fit=$name found="$name $identity"
        fi
    done
    if [[ -n $found ]]; then
        echo "$found"
    elif [[ -z $newest ]]; then
        echo "none the store has no complete base"
    elif [[ $wanted == latest ]]; then
        echo "none the oldest base, $oldest, is later than restore.at: set it to a time after that"
    else
        echo "none the store has no complete base $wanted: the oldest is $oldest, the newest $newest; set restore.base to one that" \
            "\`make backups\` lists, or to latest"
    fi
}

# decide_owner OWNER FOUND: whether this stack may write to a place in the store. OWNER is this stack, FOUND what the place says, empty if it
# says nothing. Prints "take" (nobody has it), "own", or "refused" and why.
decide_owner() {
    local owner=$1 found=$2
    if [[ -z $found ]]; then
        echo take
    elif [[ $found == "$owner" ]]; then
        echo own
    else
        echo "refused it has the backups of $found, and this is $owner: set backup.store.prefix to a place of its own"
    fi
}

# decide_store_problem: what is wrong, in words, if rclone failed. Standard input is what it printed.
decide_store_problem() {
    local text
    text=$(cat)
    case $text in
        *"bad magic"* | *"not an encrypted file"* | *"ailed to authenticate"* | *"bad password"*)
            echo "it cannot be decrypted: it was encrypted with another password, or changed since" ;;
        *InvalidAccessKeyId* | *SignatureDoesNotMatch* | *"StatusCode: 401"*)
            echo "the store refuses the keys: correct backup.store.accessKey and secretKey, or the Secret that credentialsSecret names" ;;
        *NoSuchBucket* | *"bucket does not exist"* | *"directory not found"*)
            echo "the store has no such bucket: create it, or correct backup.store.bucket" ;;
        *AccessDenied* | *"StatusCode: 403"*)
            echo "the store does not allow it: grant these keys the right to list, read, write and delete in the bucket" ;;
        *"no space left"* | *QuotaExceeded* | *StorageFull* | *"StatusCode: 507"*)
            echo "the store is full: make room, or lower backup.keepDays" ;;
        *"object not found"* | *NoSuchKey*)
            echo "the store does not have it" ;;
        *"x509"* | *"certificate"*)
            echo "the store's certificate is not trusted" ;;
        *"no such host"* | *"connection refused"* | *"i/o timeout"* | *"deadline exceeded"* | *"network is unreachable"* | *"EOF"* | *"connection reset"* | \
            *"StatusCode: 0,"*)
            echo "the store does not answer: check backup.store.endpoint, and whether pods reach it" ;;
        *) echo "rclone failed" ;;
    esac
}

# How long ago the store may have been complete, in seconds, before the archive counts as failing.
readonly ARCHIVE_LATE=60

# decide_archived NOW COMPLETE WHY: whether the log in the store is recent enough. NOW and COMPLETE are seconds on the same clock; COMPLETE is when
# the store last had everything, empty if nobody knows. WHY is what is wrong, or empty. Prints one line, and fails if it is not.
decide_archived() {
    local now=$1 complete=$2 why=$3 age
    if [[ -z $complete ]]; then
        echo "the archive has not begun"
        return 1
    fi
    age=$((now - complete))
    if ((age <= ARCHIVE_LATE)); then return 0; fi
    echo "the store lacks what was written in the last $age s${why:+: $why}"
    return 1
}

# decide_contains SET GTID: whether a GTID set has a transaction. Prints yes or no.
decide_contains() {
    local uuid=${2%:*} number=${2##*:} part interval
    local IFS=,
    for part in ${1// /}; do
        if [[ ${part%%:*} != "$uuid" ]]; then continue; fi
        IFS=:
        for interval in ${part#*:}; do
            if ((number >= ${interval%-*} && number <= ${interval#*-})); then
                echo yes
                return 0
            fi
        done
        IFS=,
    done
    echo no
}

# seconds_of NAME: prints the time that a name says, in seconds since 1970.
seconds_of() {
    local text="${1:0:4}-${1:4:2}-${1:6:2} ${1:9:2}:${1:11:2}:${1:13:2}"
    date -u +%s -d "$text"
}

# microseconds TIME: prints a time in UTC, with up to six decimals, in microseconds since 1970.
microseconds() {
    local fraction="" whole=${1%Z}
    if [[ $whole == *.* ]]; then fraction=${whole#*.} whole=${whole%%.*}; fi
    fraction=${fraction}000000 whole=${whole/T/ }
    echo "$(date -u +%s -d "$whole")${fraction:0:6}"
}

# spelled MICROSECONDS: the reverse.
spelled() {
    local fraction
    printf -v fraction '%06d' "$(($1 % 1000000))"
    TZ=UTC printf "%(%Y-%m-%dT%H:%M:%S)T.%sZ" "$(($1 / 1000000))" "$fraction"
}
