# shellcheck shell=bash
# The store of the backups, as this image's programs see it. Sourced after lib.sh.

# shellcheck source=decide-backup.sh
source /opt/dabaweb/lib/decide-backup.sh

# What lies where, below the prefix: bases of one history together. A restored system begins another one.
#   owner                                 the stack that writes here
#   mysql/<identity>/<time>.tar.zst       a copy of a data directory
#   mysql/<identity>/<time>.manifest      what is in it; without this file, the copy is not complete
#   mysql/<identity>/<time>.proven        that it was restored, with the log after it, and was what the next base is
#   mysql/<identity>/log/<time>.tar.zst   a segment of the binary log, see log.sh
readonly STORE=vault:

# Few retries and short limits: whoever runs this tries again, and says why.
RCLONE=(rclone --config "$RUN/rclone.conf" --contimeout 10s --timeout 60s --retries 1 --low-level-retries 3 --stats 0 --use-mmap)

# file_of PATH WHAT: prints the one line of a mounted file.
file_of() {
    local value=""
    read -r value <"$1" || [[ -n $value ]] || fail "$2 ($1) is empty or missing"
    printf '%s' "$value"
}

# open_store: writes rclone's configuration from the environment and the mounted secrets. What is in the bucket is encrypted here, so neither the
# store nor who reads the bucket knows it; names are not.
open_store() {
    local endpoint bucket prefix region style access secret password
    endpoint=$(setting STORE_ENDPOINT '^https?://[^[:space:]]+$' 'the http or https address of an S3 store') || exit 1
    bucket=$(setting STORE_BUCKET '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$' 'the name of a bucket') || exit 1
    prefix=$(setting STORE_PREFIX '^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$' 'a path of letters, digits, dots, _ and -') || exit 1
    region=$(setting STORE_REGION '^[A-Za-z0-9-]+$' 'a region') || exit 1
    style=$(setting STORE_PATH_STYLE '^(true|false)$' 'true or false') || exit 1
    access=$(file_of /run/secrets/store/accessKey "the store's access key") || exit 1
    secret=$(file_of /run/secrets/store/secretKey "the store's secret key") || exit 1
    password=$(file_of /run/secrets/encryption/password "the password that backups are encrypted with") || exit 1
    password=$(rclone obscure - <<<"$password")
    cat >"$RUN/rclone.conf" <<CONF
[store]
type = s3
provider = Other
endpoint = $endpoint
region = $region
force_path_style = $style
access_key_id = $access
secret_access_key = $secret
no_check_bucket = true

[vault]
type = crypt
remote = store:$bucket/$prefix
filename_encryption = off
directory_name_encryption = false
suffix = none
password = $password
CONF
}

# asked ARGUMENT...: runs rclone with its output in $RUN/answer. If it fails, sets store_why to the reason, in words and in rclone's.
store_why=""
asked() {
    local last=""
    store_why=""
    "${RCLONE[@]}" "$@" >"$RUN/answer" 2>"$RUN/complaints" &
    if wait "$!"; then return 0; fi
    last=$(grep -v '^$' "$RUN/complaints" | tail -n 1) || true
    store_why="$(decide_store_problem <"$RUN/complaints") ($last)"
    return 1
}

# is_absent: whether the last failure means that there is nothing at that place. Not every store knows an empty one.
is_absent() {
    grep -qE 'object not found|directory not found|NoSuchKey' "$RUN/complaints" && ! grep -q NoSuchBucket "$RUN/complaints"
}

# place: the store in words.
place() {
    printf '%s' "$STORE_ENDPOINT/$STORE_BUCKET/$STORE_PREFIX"
}

# reach_store: whether the bucket can be listed, and what is there can be decrypted. Sets owner to what the place says of itself, or store_why to what
# is wrong.
owner=""
reach_store() {
    owner=""
    # Listing an absent folder of an existing bucket succeeds, or says that there is no such folder; a bucket that is missing says so.
    if ! asked lsf "store:$STORE_BUCKET" --max-depth 1; then
        store_why="the store $STORE_ENDPOINT, bucket $STORE_BUCKET: $store_why"
        return 1
    fi
    if asked cat "${STORE}owner"; then
        owner=$(<"$RUN/answer")
    elif ! is_absent; then
        store_why="$STORE_PREFIX/owner in bucket $STORE_BUCKET: $store_why; backup.encryptionPassword sets the password, backup.store.prefix another place"
        return 1
    fi
}

# claim_place: makes the place this stack's, unless it is another's; then, or if it cannot be written, store_why is set. reach_store comes first.
claim_place() {
    local decision
    decision=$(decide_owner "$STORE_OWNER" "$owner")
    case $decision in
        own) return 0 ;;
        take)
            if put_line owner "$STORE_OWNER"; then
                say "$(place) is from now on the place of $STORE_OWNER"
                return 0
            fi
            store_why="the store $(place) cannot be written: $store_why"
            ;;
        refused*) store_why="$(place) is not used: ${decision#refused }" ;;
    esac
    return 1
}

# put_line PATH TEXT: writes a small file.
put_line() {
    printf '%s\n' "$2" >"$RUN/line"
    asked copyto "$RUN/line" "$STORE$1" --no-traverse
}

# name_at SECONDS: the name of what was written then, in seconds since 1970.
name_at() {
    TZ=UTC printf '%(%Y%m%dT%H%M%SZ)T' "$1"
}

# list_histories: sets histories to the identities that have a folder of bases.
histories=()
list_histories() {
    histories=()
    if asked lsf "${STORE}mysql" --dirs-only; then
        mapfile -t histories < <(sed -n 's|/$||p' "$RUN/answer")
    elif ! is_absent; then
        store_why="the bases in $(place): $store_why"
        return 1
    fi
}

# list_files IDENTITY: puts the files of a history's bases into $RUN/answer, one per line.
list_files() {
    if ! asked lsf "${STORE}mysql/$1" --files-only; then
        store_why="the bases in $(place)/mysql/$1: $store_why"
        return 1
    fi
}

# list_bases: sets bases to a line "NAME IDENTITY" for each complete base.
bases=()
list_bases() {
    local identity name
    bases=()
    list_histories || return 1
    for identity in "${histories[@]}"; do
        list_files "$identity" || return 1
        while read -r name; do bases+=("$name $identity"); done < <(decide_complete <"$RUN/answer")
    done
}

# fact NAME: prints a fact of the manifest in $RUN/manifest.
fact() {
    sed -n "s/^$1: //p" "$RUN/manifest"
}

# read_manifest IDENTITY NAME: puts the manifest into $RUN/manifest.
read_manifest() {
    if ! asked cat "${STORE}mysql/$1/$2.manifest"; then
        store_why="the manifest of base $2: $store_why"
        return 1
    fi
    mv "$RUN/answer" "$RUN/manifest"
    if [[ $(fact version) != 1 || $(fact identity) != "$1" || ! $(fact sha256) =~ ^[0-9a-f]{64}$ ]]; then
        store_why="the manifest of base $2 is not one of this program's: restore another base"
        return 1
    fi
}

# check_room: fails if the volume has no room for the base whose manifest was read.
check_room() {
    local free needed
    free=$(df --output=avail -B 1 /data | sed '1d; s/ //g')
    needed=$(($(fact bytes) + $(fact bytes) / 10))
    ((free >= needed)) || fail "base $(fact base) has $(fact bytes) bytes, and the volume has room for $free: raise mysql-master.storage"
}

# fetch_base IDENTITY NAME: unpacks a base into $DATA.new and compares its checksum with the manifest's.
fetch_base() {
    local summer status=0 sum
    rm -f "$RUN/to-sum"
    mkfifo "$RUN/to-sum"
    # shellcheck disable=SC2153 # lib.sh sets DATA.
    mkdir "$DATA.new"
    sha256sum <"$RUN/to-sum" >"$RUN/sum" &
    summer=$!
    {
        "${RCLONE[@]}" cat "${STORE}mysql/$1/$2.tar.zst" 2>"$RUN/complaints" | tee "$RUN/to-sum" | zstd -q -d -c | tar -C "$DATA.new" -xf -
    } &
    wait "$!" || status=$?
    wait "$summer"
    read -r sum _ <"$RUN/sum"
    if [[ -s $RUN/complaints ]]; then
        fail "base $2 cannot be read: $(decide_store_problem <"$RUN/complaints") ($(tail -n 1 "$RUN/complaints"))"
    fi
    if [[ $sum != "$(fact sha256)" ]]; then
        fail "base $2 is damaged: its checksum is $sum, but its manifest says $(fact sha256); set restore.base to another one"
    fi
    ((status == 0)) || fail "base $2 cannot be unpacked; its checksum is right, so look for the reason above: is there room on the volume?"
}
