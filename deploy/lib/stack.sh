# Everything that a stack is made of, for the scripts that start, stop and show it. To be sourced after common.sh.
# shellcheck shell=bash

stack_lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/lib/state.sh
. "$stack_lib/state.sh"
# shellcheck source=deploy/lib/postgres.sh
. "$stack_lib/postgres.sh"
# shellcheck source=deploy/lib/redis.sh
. "$stack_lib/redis.sh"
# shellcheck source=deploy/lib/kafka.sh
. "$stack_lib/kafka.sh"
# shellcheck source=deploy/lib/env.sh
. "$stack_lib/env.sh"
# shellcheck source=deploy/lib/services.sh
. "$stack_lib/services.sh"

is_server() {
    case $1 in
    postgres | redis | kafka) ;;
    *) return 1 ;;
    esac
}

# servers_start NAME...: Kafka first, because its Java machine takes seconds in which the others start.
servers_start() {
    case " $* " in *' kafka '*) kafka_start ;; esac
    case " $* " in *' postgres '*) pg_start ;; esac
    case " $* " in *' redis '*) redis_start ;; esac
    case " $* " in *' kafka '*) kafka_wait ;; esac
}

servers_stop() {
    case " $* " in *' kafka '*) kafka_stop ;; esac
    case " $* " in *' redis '*) redis_stop ;; esac
    case " $* " in *' postgres '*) pg_stop ;; esac
}

part_healthy() {
    case $1 in
    postgres) pg_healthy ;;
    redis) redis_healthy ;;
    kafka) kafka_healthy ;;
    *) service_ready "$1" ;;
    esac
}

# running_parts: servers and instances, by their pid files.
running_parts() {
    ! pg_pid >/dev/null || printf 'postgres\n'
    ! is_running "$state/run/redis.pid" || printf 'redis\n'
    ! is_running "$state/run/kafka.pid" || printf 'kafka\n'
    running_instances
}

# parts_stop PART...: services drain before the servers go that they drain into.
parts_stop() {
    local part instances=()
    for part in "$@"; do
        is_server "$part" || instances+=("$part")
    done
    services_stop "${instances[@]}"
    servers_stop "$@"
}

part_port() {
    if is_server "$1"; then
        printf '%s\n' "${port[$1]}"
    else
        instance_port "$1"
    fi
}
