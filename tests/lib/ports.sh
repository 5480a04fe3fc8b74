# Ports for a private stack of a test. To be sourced after deploy/lib/common.sh.
# shellcheck shell=bash

# take_ports: sets KENTONGAN_PORT_BASE to the first of 40 ports that nobody uses, and keeps them from other test runs
# of this machine for as long as the process lives. They lie below the ports that the kernel gives out by itself.
take_ports() {
    local folder try base
    folder=/tmp/kentongan-ports-$(id -u)
    mkdir -p "$folder"
    for ((try = 0; try < 100; try++)); do
        base=$((20000 + RANDOM % 300 * 40))
        exec 7>"$folder/$base"
        if flock -n 7 && ports_are_free "$base" 40; then
            export KENTONGAN_PORT_BASE=$base
            return 0
        fi
        exec 7>&-
    done
    die 'found no free range of 40 ports between 20000 and 32000'
}

# ports_are_free FIRST COUNT: nobody listens on any of them.
ports_are_free() {
    ! cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk 'NR > 1 && $4 == "0A" {print substr($2, length($2) - 3)}' |
        while read -r hex; do printf '%d\n' "0x$hex"; done |
        awk -v first="$1" -v count="$2" '$1 >= first && $1 < first + count {found = 1} END {exit !found}'
}
