# Shared by the scripts in deploy/ and tests/: messages, waiting, processes, ports. To be sourced; sets no options.
# shellcheck shell=bash

program=${program:-$(basename "$0")}

say() {
    printf '%s: %s\n' "$program" "$*" >&2
}

# Ends the program with one line: what went wrong, and what to do where that is known.
die() {
    say "error: $*"
    exit 1
}

die_usage() {
    say "$* (--help says more)"
    exit 2
}

# usage FILE: the comment at the head of a script is its help text.
usage() {
    awk 'NR == 1 {next} !/^#/ {exit} {sub(/^# ?/, ""); print}' "$1"
}

# need_space DIR MEGABYTES: dies when the file system of DIR, or of its nearest parent, has less room.
need_space() {
    local dir=$1 want=$2 free
    while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
    free=$(df -Pk "$dir" | awk 'NR == 2 {print int($4 / 1024)}')
    [ "$free" -ge "$want" ] || die "the disk is full: $1 has $free MB free, $want MB are needed"
}

# wait_until SECONDS COMMAND...: tries the command ten times a second; status 1 when the time is up.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

# show_log_end FILE: the last lines of a log, for the reader of an error.
show_log_end() {
    [ -s "$1" ] || return 0
    say "last lines of $1:"
    grep -v -E '^[[:space:]]+(at |\.\.\. [0-9]+ more)' "$1" | tail -n 10 | cut -c1-300 | sed 's/^/    /' >&2
    if tail -n 200 "$1" | grep -q 'No space left on device'; then
        say "the disk is full (df -h $(dirname "$1"))"
    fi
}

# random_hex BYTES
random_hex() {
    od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'
}

# ---- processes: a pid file holds "pid starttime", so that a number used again by another process is not mistaken

# proc_start PID: the start time in clock ticks since boot; nothing for a process that is gone or a zombie.
proc_start() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # shellcheck disable=SC2086 # the fields after the name, which alone may hold spaces, are to be split
    set -- ${stat##*) }
    [ "$1" != Z ] && printf '%s\n' "${20}"
}

# pid_of FILE: prints the pid when the process that the file names still runs.
pid_of() {
    local pid start
    read -r pid start 2>/dev/null <"$1" || return 1
    [ "$(proc_start "$pid")" = "$start" ] && printf '%s\n' "$pid"
}

is_running() {
    pid_of "$1" >/dev/null
}

is_gone() {
    ! is_running "$1"
}

# note_pid FILE PID
note_pid() {
    printf '%s %s\n' "$2" "$(proc_start "$2")" >"$1"
}

# spawn PIDFILE LOGFILE COMMAND...: starts a process of its own session that outlives us and holds none of our files.
# A shell function as COMMAND prepares and then calls exec setsid itself.
spawn() {
    local pidfile=$1 log=$2
    shift 2
    keep_log_small "$log"
    (
        close_our_files
        [ "$(type -t "$1")" = function ] || exec setsid "$@"
        "$@"
    ) </dev/null >>"$log" 2>&1 &
    note_pid "$pidfile" $!
    disown
}

# In a subshell: the descriptors above 2 are locks of ours, and a server that inherited one would hold it for ever.
close_our_files() {
    local fd
    for fd in /proc/self/fd/*; do
        fd=${fd##*/}
        [ "$fd" -le 2 ] || eval "exec $fd>&-"
    done
}

# keep_log_small FILE: past 64 MiB the old log becomes FILE.1, so that restarts do not grow it for ever.
keep_log_small() {
    local size
    size=$(stat -c %s "$1" 2>/dev/null || echo 0)
    [ "$size" -lt 67108864 ] || mv -f "$1" "$1.1"
}

# stop_pid NAME PIDFILE SECONDS [SIGNAL]: asks, waits, and kills what does not listen. The pid file goes with it.
stop_pid() {
    local name=$1 file=$2 seconds=$3 signal=${4:-TERM} pid
    if pid=$(pid_of "$file"); then
        kill -s "$signal" "$pid" 2>/dev/null || true
        if ! wait_until "$seconds" is_gone "$file"; then
            say "$name (pid $pid) did not stop within $seconds s: killing it"
            kill -s KILL "$pid" 2>/dev/null || true
            wait_until 10 is_gone "$file" || die "$name (pid $pid) cannot be killed"
        fi
    fi
    rm -f "$file"
}

# ---- ports

# port_inode PORT: the socket inode of whoever listens on the port, IPv4 or IPv6; nothing when it is free.
port_inode() {
    local hex
    hex=$(printf '%04X' "$1")
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
        awk -v port="$hex" '$4 == "0A" && substr($2, length($2) - 3) == port {print $10; exit}'
}

# port_holder PORT: "name (pid N)" of the listener, where this user may see it.
port_holder() {
    local inode link pid
    inode=$(port_inode "$1")
    link=$(find /proc/[0-9]*/fd -lname "socket:\\[$inode\\]" -print -quit 2>/dev/null) || true
    [ -n "$link" ] || return 0
    pid=${link#/proc/}
    pid=${pid%%/*}
    printf '%s (pid %s)\n' "$(cat "/proc/$pid/comm" 2>/dev/null)" "$pid"
}

port_is_free() {
    [ -z "$(port_inode "$1")" ]
}

# need_port NAME PORT SETTING: dies when somebody listens there already.
need_port() {
    local holder
    # a process that has just ended may hold its sockets for a moment longer than its number
    ! wait_until 2 port_is_free "$2" || return 0
    holder=$(port_holder "$2")
    die "port $2 for $1 is taken${holder:+ by $holder}; free it or choose another with $3=PORT"
}
