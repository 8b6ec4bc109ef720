# shellcheck shell=bash
# The connection of a companion to redis-server, for which it needs no client process per second: redis-server is
# process 1 and does not reap children. And the end of scripts that block redis-server.

# A connection that redis-server closed fails one write; it does not end the companion.
trap '' PIPE
export LC_ALL=C

# Exists while a script that cannot be ended blocks redis-server, with the reason in one line.
# shellcheck disable=SC2154 # from lib.sh
readonly busy_file=$run/busy
# Seconds after which a script that has written is ended together with redis-server. `busy-reply-threshold` (redis.conf)
# says after how many one is ended that has not.
readonly busy_seconds=20

reply=
busy=
busy_at=
complained=
command=()

# Sends one command on the connection and reads its answer of one line; succeeds if that is no error.
send() {
    local word text
    printf -v text '*%d\r\n' $#
    for word; do
        printf -v word '$%d\r\n%s\r\n' ${#word} "$word"
        text+=$word
    done
    reply="no answer within 7 s"
    printf %s "$text" >&3 2>/dev/null && read -r -t 7 reply <&3 && reply=${reply%$'\r'} && [[ $reply == [+:]* ]]
}

# Logs in, which redis-server allows even while a script runs.
login() {
    local admin
    read -r admin <"$run/admin" || true
    send AUTH "$admin"
}

# Waits about one second; redis-server sends nothing meanwhile, unless it has closed the connection.
pause() {
    read -r -t 1 _ <&3 || (($? > 128))
}

# Sends a command to the database of the heartbeats each second until the connection is no longer usable, and calls a
# function after each answer. A script that blocks redis-server, possibly since before this connection, gets every
# command the answer -BUSY, and SELECT, too.
#   $1 the function; `next` puts the command into the array $command
beats() {
    local selected=
    while :; do
        next
        if [[ -z $selected ]] && send SELECT 15; then selected=yes; fi
        if [[ -n $selected ]] && send "${command[@]}"; then
            not_busy
            complained=
            "$1"
        elif [[ $reply == -BUSY* ]]; then
            end_script
        else
            return 0
        fi
        pause || return 0
    done
}

not_busy() {
    if [[ -n $busy_at ]]; then
        busy_at=
        rm -f "$busy_file"
        say "redis-server answers again"
    fi
}

# Ends the script that blocks redis-server. What a script wrote is neither on disk nor acknowledged until it ends.
end_script() {
    local now since
    keep_time
    now=$SECONDS
    if [[ -z $busy_at ]]; then
        # That long it had run when the first command was refused.
        busy_at=$((now - 5))
        printf -v since '%(%Y-%m-%d %H:%M:%S)T UTC' $((EPOCHSECONDS - 5))
        busy="a script has been running since $since and blocks redis-server"
        printf '%s\n' "$busy" >"$busy_file"
        say "$busy"
    fi
    if send SCRIPT KILL || { [[ $reply == -BUSY* ]] && send FUNCTION KILL; }; then
        say "ended the script: it had written nothing"
    elif [[ $reply == -UNKILLABLE* ]]; then
        if ((now - busy_at < busy_seconds)); then
            printf '%s; it has written something, so redis-server is stopped with it after %d s\n' \
                "$busy" "$busy_seconds" >"$busy_file"
        else
            say "the script has written something and cannot be ended alone, so redis-server is stopped with it: what" \
                "was acknowledged is on disk, what the script wrote is dropped"
            send SHUTDOWN NOSAVE NOW FORCE || true
        fi
    fi
}

# Keeps a companion connected and logs each new reason why it is not.
#   $1 what the companion does, in case of an error   $2 the function for `beats`
stay_connected() {
    while :; do
        if { exec 3<>/dev/tcp/127.0.0.1/6379; } 2>/dev/null; then
            if login; then beats "$2"; fi
            exec 3>&-
            if [[ $reply != [+:]* && $reply != -LOADING* && $reply != "$complained" ]]; then
                complained=$reply
                say "$1: $reply" >&2
            fi
            sleep 1
        else
            # It is about to open: slaves wait for the first beat.
            sleep 0.2
        fi
    done
}
