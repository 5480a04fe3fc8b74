# An own Redis 7 in $state/redis. It holds caches only: nothing is saved, and nothing is evicted behind our back.
# To be sourced after state.sh.
# shellcheck shell=bash disable=SC2154 # state and port come from state.sh

redis_pidfile=$state/run/redis.pid
redis_log=$state/log/redis.log

redis_config() {
    cat <<END
bind 127.0.0.1
port ${port[redis]}
dir $state/redis
daemonize no
save ""
appendonly no
maxmemory 256mb
maxmemory-policy noeviction
END
}

redis_start() {
    if is_gone "$redis_pidfile"; then
        need_port Redis "${port[redis]}" KENTONGAN_PORT_REDIS
        need_space "$state" 16
        mkdir -p "$state/redis"
        redis_config >"$state/redis/redis.conf"
        spawn "$redis_pidfile" "$redis_log" redis-server "$state/redis/redis.conf"
    fi
    wait_until 20 redis_answers_or_died || true
    redis_healthy || {
        show_log_end "$redis_log"
        die "Redis does not answer on port ${port[redis]}"
    }
}

redis_answers_or_died() {
    redis_healthy || is_gone "$redis_pidfile"
}

redis_healthy() {
    is_running "$redis_pidfile" && [ "$(redis-cli -h 127.0.0.1 -p "${port[redis]}" ping 2>/dev/null)" = PONG ]
}

redis_stop() {
    stop_pid Redis "$redis_pidfile" 20
}
