# The services of deploy/services.tsv as processes. To be sourced after state.sh and env.sh.
# shellcheck shell=bash disable=SC2154 # lib, state and port come from state.sh
#
#   KENTONGAN_BUILD   the build folder that the programs come from; default: the one of the last deploy/up
#
# An instance is called <service>-<number>; its pid file, log and member id have that name.

top=$(cd "$lib/../.." && pwd)
build=${KENTONGAN_BUILD:-$(cat "$state/build" 2>/dev/null || printf '%s/build/release\n' "$top")}
services_table=$top/deploy/services.tsv
# extra NAME=VALUE lines for the next start, from ctl --env
extra_env=()

service_names() {
    grep -v -E '^(#|$)' "$services_table" | cut -f1
}

# service_field SERVICE COLUMN
service_field() {
    awk -F'\t' -v name="$1" -v column="$2" '$1 == name {print $column}' "$services_table"
}

service_program() {
    printf '%s/%s\n' "$build" "$(service_field "$1" 2)"
}

# built_services: those whose program is there.
built_services() {
    local name
    while read -r name; do
        [ ! -x "$(service_program "$name")" ] || printf '%s\n' "$name"
    done < <(service_names)
}

# instance_count SERVICE: 1, or what deploy/up --instances said.
instance_count() {
    awk -v name="$1" '$1 == name {n = $2} END {print n ? n : 1}' "$state/instances" 2>/dev/null || echo 1
}

set_instances() {
    local name=${1%%=*} count=${1#*=} most
    most=$(awk -v name="$name" '$1 == name {print $3}' "$lib/ports")
    [ -n "$(service_field "$name" 1)" ] || die_usage "no such service: $name"
    case $count in
    [1-9]) [ "$count" -le "$most" ] || die_usage "at most $most instances of $name" ;;
    *) die_usage "--instances wants SERVICE=NUMBER: $1" ;;
    esac
    { grep -v "^$name " "$state/instances" 2>/dev/null; printf '%s %s\n' "$name" "$count"; } >"$state/instances.new" || true
    mv "$state/instances.new" "$state/instances"
}

instances_of() {
    local number
    for ((number = 1; number <= $(instance_count "$1"); number++)); do printf '%s-%s\n' "$1" "$number"; done
}

# surplus_instances: those that run beyond what deploy/up --instances said.
surplus_instances() {
    local instance
    for instance in $(running_instances); do
        [ "${instance##*-}" -le "$(instance_count "${instance%-*}")" ] || printf '%s\n' "$instance"
    done
}

instance_port() {
    printf '%s\n' $((${port[${1%-*}]} + ${1##*-} - 1))
}

instance_pidfile() {
    printf '%s/run/%s.pid\n' "$state" "$1"
}

# enter_service INSTANCE: in the process that becomes the service; nothing of our own environment reaches it by accident.
enter_service() {
    local instance=$1 variable line
    for variable in $(compgen -e); do
        case $variable in
        PATH | HOME | LANG | LC_* | TZ | TMPDIR | *SAN_OPTIONS) ;;
        *) unset "$variable" ;;
        esac
    done
    while IFS= read -r line; do export "${line?}"; done <"$state/env/${instance%-*}.env"
    export INSTANCE_ID=$instance
    cd "$top" || exit 1
}

# prepare_service INSTANCE: its environment.
prepare_service() {
    local instance=$1 name=${1%-*} line
    enter_service "$instance"
    # these two answer /readyz on the port that they serve anyway, which is in their env file
    case $name in
    ingress | sandbox) ;;
    *)
        HEALTH_PORT=$(instance_port "$instance")
        export HEALTH_PORT
        ;;
    esac
    for line in "${extra_env[@]}"; do export "${line?}"; done
}

become_service() {
    prepare_service "$1"
    exec setsid "$(service_program "${1%-*}")"
}

# exec_service INSTANCE: in the foreground, for who wants its exit status; its output is ours.
exec_service() {
    local pidfile
    pidfile=$(instance_pidfile "$1")
    ! is_running "$pidfile" || die "$1 runs already"
    service_need_ports "$1"
    write_env "${1%-*}"
    note_pid "$pidfile" $$
    close_our_files
    prepare_service "$1"
    exec "$(service_program "${1%-*}")"
}

# run_service NAME ARGUMENT...: its program in the foreground, beside the instances that run.
run_service() {
    local name=$1
    shift
    write_env "$name"
    enter_service "$name-run"
    exec "$(service_program "$name")" "$@"
}

# is_stale INSTANCE: its program was built anew since, or it would get other settings now.
is_stale() {
    local name=${1%-*} exe
    exe=$(readlink "/proc/$(pid_of "$(instance_pidfile "$1")")/exe") || return 1
    case $exe in
    *' (deleted)') return 0 ;;
    esac
    ! service_env "$name" | cmp -s - "$state/env/$name.env"
}

# service_need_ports INSTANCE: dies when somebody else listens where it is to.
service_need_ports() {
    local name=${1%-*}
    need_port "$1" "$(instance_port "$1")" "$(port_setting "$name")"
    [ "$name" != sandbox ] || need_port "the sandbox's websocket" "${port[sandbox-ws]}" KENTONGAN_PORT_SANDBOX_WS
}

service_start() {
    local instance=$1 name=${1%-*} pidfile
    pidfile=$(instance_pidfile "$instance")
    if is_running "$pidfile"; then
        is_stale "$instance" || return 0
        say "$instance is of an older build or older settings: restarting it"
        services_stop "$instance"
    fi
    service_need_ports "$instance"
    need_space "$state" 64
    write_env "$name"
    spawn "$pidfile" "$state/log/$instance.log" become_service "$instance"
}

service_ready() {
    is_running "$(instance_pidfile "$1")" &&
        curl -fsS -m 2 -o /dev/null "http://127.0.0.1:$(instance_port "$1")/readyz" 2>/dev/null
}

service_ready_or_dead() {
    service_ready "$1" || is_gone "$(instance_pidfile "$1")"
}

# service_wait INSTANCE [SECONDS]
service_wait() {
    wait_until "${2:-60}" service_ready_or_dead "$1" || true
    service_ready "$1" || {
        show_log_end "$state/log/$1.log"
        is_running "$(instance_pidfile "$1")" || die "$1 ended while starting"
        die "$1 is not ready: $(curl -s -m 2 "http://127.0.0.1:$(instance_port "$1")/readyz" | head -c 300)"
    }
}

# services_start SERVICE...: in the table's order; what one depends on is ready before it starts, the rest start together.
services_start() {
    local name needed instance
    for name in "$@"; do
        for needed in $(service_field "$name" 3 | tr ',' ' '); do
            case " $* " in
            *" $needed "*) for instance in $(instances_of "$needed"); do service_wait "$instance"; done ;;
            esac
        done
        for instance in $(instances_of "$name"); do service_start "$instance"; done
    done
    for name in "$@"; do
        for instance in $(instances_of "$name"); do service_wait "$instance"; done
    done
}

# running_instances: by their pid files, so that one that the table no longer names is found too.
running_instances() {
    local file
    for file in "$state"/run/*-[1-9].pid; do
        ! is_running "$file" || basename "$file" .pid
    done
}

# services_stop INSTANCE...: all are asked first, because each drains for itself.
services_stop() {
    local instance pid
    for instance in "$@"; do
        ! pid=$(pid_of "$(instance_pidfile "$instance")") || kill -TERM "$pid" 2>/dev/null || true
    done
    # signal 0: a second TERM would end their draining
    for instance in "$@"; do stop_pid "$instance" "$(instance_pidfile "$instance")" 40 0; done
}
