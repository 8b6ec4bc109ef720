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
# complete base always stays, with whatever came later.
decide_retired() {
    local cutoff=$1 file name newest files=()
    mapfile -t files
    newest=$(printf '%s\n' "${files[@]}" | decide_complete | tail -n 1)
    if [[ -z $newest ]]; then return 0; fi
    for file in "${files[@]}"; do
        name=${file%%.*}
        if [[ $name =~ $BASE_NAME && $name < $cutoff && $name < $newest ]]; then echo "$file"; fi
    done | sort
}

# decide_base WANTED: which base is restored. WANTED is "latest" or a name. Standard input has a line for each complete base: "NAME IDENTITY".
# Prints its line, or "none" and why there is none.
decide_base() {
    local wanted=$1 name identity found="" oldest="" newest=""
    while read -r name identity; do
        if [[ -z $oldest || $name < $oldest ]]; then oldest=$name; fi
        if [[ -z $newest || $name > $newest ]]; then newest=$name; fi
        if [[ $name == "$wanted" || ($wanted == latest && $name == "$newest") ]]; then found="$name $identity"; fi
    done
    if [[ -n $found ]]; then
        echo "$found"
    elif [[ -z $newest ]]; then
        echo "none the store has no complete base"
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
        *"no such host"* | *"connection refused"* | *"i/o timeout"* | *"deadline exceeded"* | *"network is unreachable"* | *"EOF"* | *"connection reset"*)
            echo "the store does not answer: check backup.store.endpoint, and whether pods reach it" ;;
        *) echo "rclone failed" ;;
    esac
}
