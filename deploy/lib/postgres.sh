# An own PostgreSQL 15 in $state/postgres. To be sourced after state.sh.
# shellcheck shell=bash disable=SC2154 # state and port come from state.sh

pg_bin=/usr/lib/postgresql/15/bin
pg_data=$state/postgres
pg_log=$state/log/postgres.log

# PostgreSQL refuses to run as root: then it runs as the user that Debian's package made for it.
pg_run() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --init-groups env -i PATH="$PATH" LANG=C.UTF-8 "$@"
    else
        env LANG=C.UTF-8 "$@"
    fi
}

# psql and sqitch find the superuser's password in a file, never on a command line. In containers the server is
# another machine, which KENTONGAN_POSTGRES_HOST names.
pg_client_env() {
    PGPASSFILE=$state/secrets/pgpass
    export PGPASSFILE PGHOST=${KENTONGAN_POSTGRES_HOST:-127.0.0.1} PGPORT=${port[postgres]} PGUSER=postgres PGCONNECT_TIMEOUT=5
    if [ "$(cat "$PGPASSFILE" 2>/dev/null)" != "$(pg_pass_line)" ]; then
        (umask 077 && pg_pass_line >"$PGPASSFILE")
    fi
}

pg_pass_line() {
    printf '%s:%s:*:postgres:%s\n' "$PGHOST" "${port[postgres]}" "$(secret postgres_password)"
}

pg_pid() {
    local pid
    pid=$(head -n 1 "$pg_data/postmaster.pid" 2>/dev/null) && [ -n "$(proc_start "$pid")" ] &&
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = postgres ] && printf '%s\n' "$pid"
}

pg_is_gone() {
    ! pg_pid >/dev/null
}

# A killed postmaster that nobody reaps (a container without an init) keeps its number, and PostgreSQL takes its lock
# files for those of a living one. They go when no process is attached to the shared memory that they name.
pg_drop_stale_lock() {
    local pid
    pid=$(head -n 1 "$pg_data/postmaster.pid" 2>/dev/null) || return 0
    [ -e "/proc/$pid" ] || return 0
    wait_until 20 pg_memory_is_free || die "processes of a killed PostgreSQL (pid $pid) are still there"
    rm -f "$pg_data/postmaster.pid" "$pg_data"/.s.PGSQL.*
}

pg_memory_is_free() {
    local id
    id=$(awk 'NR == 7 {print $2}' "$pg_data/postmaster.pid")
    ! awk -v id="$id" '$2 == id && $7 > 0 {found = 1} END {exit !found}' /proc/sysvipc/shm
}

pg_initdb() {
    local owner pwfile
    [ ! -e "$pg_data/PG_VERSION" ] || return 0
    need_space "$state" 512
    owner=$(if [ "$(id -u)" = 0 ]; then echo postgres; else id -un; fi)
    # a folder that lacks PG_VERSION is what an interrupted initdb left
    rm -rf "${pg_data:?}"
    install -d -m 700 -o "$owner" "$pg_data" || die "cannot make $pg_data for user $owner"
    pg_run test -w "$pg_data" || die "user $owner cannot reach $pg_data: a folder above it is closed (choose another with KENTONGAN_STATE)"
    pwfile=$pg_data.password
    (umask 077 && secret postgres_password >"$pwfile" && chown "$owner" "$pwfile")
    say 'making a PostgreSQL cluster'
    # initdb wants an empty folder and so reads its password beside it
    pg_run "$pg_bin/initdb" -D "$pg_data" -U postgres --pwfile="$pwfile" --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 </dev/null >"$pg_log" 2>&1 || {
        rm -f "$pwfile"
        show_log_end "$pg_log"
        die 'initdb failed'
    }
    rm -f "$pwfile"
}

# The socket folder is the data folder, unless its path is longer than a socket's address may be.
pg_socket_dir() {
    [ ${#pg_data} -gt 85 ] || printf '%s\n' "$pg_data"
}

# synchronous_commit is on because an effect outside follows each commit; the services refuse to start without it.
pg_options() {
    printf -- "-c listen_addresses=127.0.0.1 -c port=%s -c unix_socket_directories='%s' " "${port[postgres]}" "$(pg_socket_dir)"
    printf -- '-c synchronous_commit=on -c max_connections=200 -c shared_buffers=128MB -c max_wal_size=1GB '
    printf -- '-c timezone=UTC -c log_timezone=UTC %s' "${KENTONGAN_POSTGRES_OPTS:-}"
}

pg_start() {
    pg_initdb
    if pg_pid >/dev/null; then
        pg_healthy || die "PostgreSQL runs (pid $(pg_pid)), but does not answer on port ${port[postgres]}"
        return 0
    fi
    need_port PostgreSQL "${port[postgres]}" KENTONGAN_PORT_POSTGRES
    need_space "$state" 256
    pg_drop_stale_lock
    keep_log_small "$pg_log"
    touch "$pg_log"
    [ "$(id -u)" != 0 ] || chown postgres "$pg_log"
    (
        close_our_files
        pg_run "$pg_bin/pg_ctl" start -s -w -t 60 -D "$pg_data" -l "$pg_log" -o "$(pg_options)"
    ) </dev/null >/dev/null 2>&1 || {
        show_log_end "$pg_log"
        die 'PostgreSQL did not start'
    }
    wait_until 10 pg_healthy || die 'PostgreSQL started, but refuses its own superuser'
}

pg_healthy() {
    pg_client_env
    psql -X -q -d postgres -c 'select 1' >/dev/null 2>&1
}

# Fast shutdown: open transactions are rolled back, clients are cut.
pg_stop() {
    local pid
    pid=$(pg_pid) || return 0
    kill -INT "$pid" 2>/dev/null || true
    if ! wait_until 60 pg_is_gone; then
        say "PostgreSQL (pid $pid) did not stop within 60 s: asking for an immediate shutdown"
        kill -QUIT "$pid" 2>/dev/null || true
        wait_until 20 pg_is_gone || die "PostgreSQL (pid $pid) does not stop"
    fi
}
