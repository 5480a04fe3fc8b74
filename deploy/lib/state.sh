# The state directory: where it is, its ports and its secrets. To be sourced after common.sh.
# shellcheck shell=bash
#
#   KENTONGAN_STATE         the directory; default /var/lib/kentongan for root, ~/.local/state/kentongan for others
#   KENTONGAN_PORT_<NAME>   a port of deploy/lib/ports by its name
#   KENTONGAN_PORT_BASE     all ports from this one on, in the order of deploy/lib/ports
#
# In it: postgres/ redis/ kafka/ sandbox/ (data), log/, run/ (pid files), secrets/ (0600), env/ (what each service
# is started with), ports and settings (choices that outlive a restart).

lib=$(dirname "${BASH_SOURCE[0]}")

state_default() {
    if [ "$(id -u)" = 0 ]; then
        printf '/var/lib/kentongan\n'
    else
        printf '%s\n' "${XDG_STATE_HOME:-$HOME/.local/state}/kentongan"
    fi
}

state=${KENTONGAN_STATE:-$(state_default)}
case $state in
/*) ;;
*) state=$PWD/$state ;;
esac
export KENTONGAN_STATE=$state

# state_open: makes the directory and reads its ports. A marker file shows that it is ours, for --purge.
state_open() {
    umask 022
    mkdir -p "$state" 2>/dev/null || die "cannot make the state directory $state (choose another with KENTONGAN_STATE)"
    [ -w "$state" ] || die "cannot write to the state directory $state (choose another with KENTONGAN_STATE)"
    if [ ! -e "$state/.kentongan" ]; then
        [ -z "$(ls -A "$state")" ] || die "$state is not empty and not a state directory of Kentongan"
        printf 'This folder belongs to Kentongan; deploy/down --purge removes it.\n' >"$state/.kentongan"
    fi
    mkdir -p "$state/log" "$state/run"
    (umask 077 && mkdir -p "$state/env" "$state/secrets")
    load_ports
    make_secrets
}

# state_lock: one up, down or demo at a time.
state_lock() {
    exec 8>"$state/lock"
    flock -n 8 || {
        say 'another deploy command is at work on this state directory; waiting'
        flock -w 300 8 || die "gave up waiting for $state/lock"
    }
}

# port_setting NAME: the environment variable that sets it.
port_setting() {
    printf 'KENTONGAN_PORT_%s\n' "$(tr 'a-z-' 'A-Z_' <<<"$1")"
}

# load_ports: fills the array `port` from, in order of weight: the environment, $state/ports, deploy/lib/ports.
# Instance N of a service with several has its first port + N - 1.
declare -A port=()
load_ports() {
    local name number count setting index=0
    port=()
    while read -r name number count; do
        [ -z "${KENTONGAN_PORT_BASE:-}" ] || number=$((KENTONGAN_PORT_BASE + index))
        port[$name]=$number
        index=$((index + count))
    done < <(grep -v -E '^(#|$)' "$lib/ports")
    if [ -e "$state/ports" ]; then
        while read -r name number; do port[$name]=$number; done <"$state/ports"
    fi
    for name in "${!port[@]}"; do
        setting=$(port_setting "$name")
        port[$name]=${!setting:-${port[$name]}}
        case ${port[$name]} in
        *[!0-9]* | '') die "$setting is not a port number: ${port[$name]}" ;;
        esac
    done
}

# save_ports: keeps the choices, so that the next deploy/up, down and status find the same servers.
save_ports() {
    local name
    for name in "${!port[@]}"; do printf '%s %s\n' "$name" "${port[$name]}"; done | sort >"$state/ports.new"
    mv "$state/ports.new" "$state/ports"
}

# Every secret of a stack and how many random bytes it is made of. Services get only those that they need (env.sh).
declare -A secret_bytes=(
    [postgres_password]=16 [db_ingress]=16 [db_connector]=16 [db_scheduler]=16 [db_tracker]=16 [db_webhooks]=16
    [db_dashboard]=16 [redis_password]=16 [admin_password]=12 [api_key]=24 [jwt_secret]=32 [credentials_key]=32 [webhook_key]=32
)

# make_secrets: hex digits, made once, each in a file that only its owner reads.
make_secrets() {
    local name file
    for name in "${!secret_bytes[@]}"; do
        file=$state/secrets/$name
        [ ! -s "$file" ] || continue
        (umask 077 && random_hex "${secret_bytes[$name]}" >"$file.new" && mv "$file.new" "$file") ||
            die "cannot write the secret $file"
    done
}

secret() {
    cat "$state/secrets/$1"
}
