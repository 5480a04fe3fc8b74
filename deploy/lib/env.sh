# What each service is started with. To be sourced after state.sh.
# shellcheck shell=bash disable=SC2154 # state and port come from state.sh
#
# The files $state/env/<service>.env are made anew at every deploy/up from the ports, the secrets and $state/settings
# (deploy/up --set NAME=VALUE); a service gets only the secrets that it needs.

database=whatsapp_sessions

service_env() {
    local name=$1
    printf 'LOG_LEVEL=info\n'
    if [ "$name" != sandbox ]; then
        printf 'DB_HOST=127.0.0.1\nDB_PORT=%s\nDB_NAME=%s\n' "${port[postgres]}" "$database"
        printf 'DB_USER=%s\nDB_PASS=%s\n' "$name" "$(secret "db_$name")"
        printf 'KAFKA_BROKERS=127.0.0.1:%s\n' "${port[kafka]}"
        printf 'REDIS_URL=%s\n' "$(redis_url)"
    fi
    case $name in
    ingress)
        printf 'PORT=%s\nADMIN_USERNAME=admin\n' "${port[ingress]}"
        printf 'ADMIN_PASSWORD=%s\nAPI_KEY=%s\n' "$(secret admin_password)" "$(secret api_key)"
        printf 'JWT_SECRET=%s\nWEBHOOK_KEY=%s\n' "$(secret jwt_secret)" "$(secret webhook_key)"
        ;;
    connector)
        printf 'CREDENTIALS_KEY=%s\n' "$(secret credentials_key)"
        printf 'WHATSAPP_SERVER_API=wss://127.0.0.1:%s/ws/chat\n' "${port[sandbox-ws]}"
        printf 'WHATSAPP_ROOT_KEY=%s\n' "$(cat "$state/sandbox/root_key" 2>/dev/null)"
        printf 'WHATSAPP_CA_FILE=%s\n' "$state/sandbox/ca.pem"
        ;;
    webhooks)
        printf 'WEBHOOK_KEY=%s\n' "$(secret webhook_key)"
        ;;
    sandbox)
        printf 'SANDBOX_WS_PORT=%s\nSANDBOX_ADMIN_PORT=%s\n' "${port[sandbox-ws]}" "${port[sandbox]}"
        printf 'SANDBOX_STATE_DIR=%s\n' "$state/sandbox"
        ;;
    esac
    cat "$state/settings" 2>/dev/null || true
}

# write_env SERVICE: just before its start, because the connector's has a key that the sandbox makes at its own.
write_env() {
    (umask 077 && service_env "$1" >"$state/env/$1.env.new") && mv "$state/env/$1.env.new" "$state/env/$1.env"
}

# set_setting NAME=VALUE: kept for every later start.
set_setting() {
    case $1 in
    [A-Z]*=*) ;;
    *) die_usage "a setting looks like NAME=VALUE: $1" ;;
    esac
    { grep -v "^${1%%=*}=" "$state/settings" 2>/dev/null; printf '%s\n' "$1"; } >"$state/settings.new" || true
    mv "$state/settings.new" "$state/settings"
}
