#include "connector/connector_config.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "cache/cache_url.h"
#include "crypto/crypto_seal.h"
#include "ws/ws.h"

/* WhatsApp's own; the sandbox's replace them in demo and tests. */
#define WHATSAPP_URL      "wss://web.whatsapp.com/ws/chat"
#define WHATSAPP_ROOT_KEY "142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b"

#define S                 struct connector_config

static int check_root_key(const char *text, struct err *err)
{
    struct buf key = {0};
    bool is_good = text_unhex(&key, text, strlen(text)) == 0;

    buf_done(&key);
    return is_good ? 0 : err_set(err, ERR_INVALID, "it is not 64 hex digits");
}

static const struct svc_config_entry entries[] = {
    SVC_COMMON(S, common, cache_url_check),
    SVC_TEXT(S, credentials_key, "CREDENTIALS_KEY", NULL,
             "master key of stored credentials, 64 hex digits; retired keys after commas",
             .min = 64, .check = crypto_keyring_check, SVC_SECRET),
    SVC_TEXT(S, server_url, "WHATSAPP_SERVER_API", WHATSAPP_URL, "websocket URL of WhatsApp",
             .min = 1, .check = ws_url_check),
    SVC_TEXT(S, root_key, "WHATSAPP_ROOT_KEY", WHATSAPP_ROOT_KEY,
             "public key that signs its Noise certificates, 64 hex digits", .min = 64, .max = 64,
             .check = check_root_key),
    SVC_TEXT(S, ca_file, "WHATSAPP_CA_FILE", "",
             "certificates to trust for TLS; empty: the machine's own", .check = svc_check_file),
    SVC_INT(S, send_window, "SEND_WINDOW", "64", 1, 1000,
            "messages of a session that are prepared and not yet acked"),
    SVC_INT(S, ack_timeout_ms, "ACK_TIMEOUT_MS", "20000", 1000, 600000,
            "a message unacked for so long makes the session reconnect"),
    SVC_INT(S, max_attempts, "MESSAGE_MAX_ATTEMPTS", "3", 1, 10,
            "connections on which a message is tried before it fails"),
    SVC_INT(S, keep_days, "MESSAGE_KEEP_DAYS", "30", 1, 365,
            "days that a settled message waits for receipts"),
    SVC_INT(S, connects_per_s, "CONNECTS_PER_SECOND", "50", 1, 500,
            "connections opened per second when many are to be made anew"),
    SVC_INT(S, idle_s, "SESSION_IDLE_SECONDS", "30", 1, 300,
            "a session that waits to be linked and that nobody asks for so long is closed"),
};

const struct svc_config_table connector_config_table = SVC_CONFIG_TABLE(
    "connector", "runs WhatsApp sessions: decides sessions and their messages", entries, NULL);
