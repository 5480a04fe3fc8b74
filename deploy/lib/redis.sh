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
requirepass $(secret redis_password)
END
}

# redis_url: as programs take it, redis-cli among them, which wants a user. It holds the password: into files and standard output, not onto a command line.
redis_url() {
    printf 'redis://default:%s@127.0.0.1:%s\n' "$(secret redis_password)" "${port[redis]}"
}

redis_start() {
    if is_running "$redis_pidfile" && ! redis_config | cmp -s - "$state/redis/redis.conf"; then
        say 'Redis runs with older settings: restarting it'
        redis_stop
    fi
    if is_gone "$redis_pidfile"; then
        need_port Redis "${port[redis]}" KENTONGAN_PORT_REDIS
        need_space "$state" 16
        mkdir -p "$state/redis"
        rm -f "$state/redis/redis.conf"
        (umask 077 && redis_config >"$state/redis/redis.conf")
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
    is_running "$redis_pidfile" && [ "$(redis_ask ping)" = PONG ]
}

redis_ask() {
    REDISCLI_AUTH=$(secret redis_password) redis-cli -h 127.0.0.1 -p "${port[redis]}" "$@" 2>/dev/null
}

redis_stop() {
    stop_pid Redis "$redis_pidfile" 20
}
