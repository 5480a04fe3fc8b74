#include "webhooks/sign.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "crypto/crypto.h"

static void standard_key(const char *secret, struct buf *out)
{
    static const char prefix[] = "whsec_";
    size_t n = sizeof(prefix) - 1;

    if (strncmp(secret, prefix, n) == 0 &&
        text_unbase64(out, secret + n, strlen(secret + n), TEXT_BASE64) == 0 && out->n > 0) {
        return;
    }
    buf_clear(out);
    buf_add_str(out, secret);
}

static const char *standard_signature(const struct sign_delivery *delivery, struct arena *arena)
{
    struct buf key = {0};
    struct buf text = {0};
    uint8_t mac[CRYPTO_SHA256];
    const char *line;

    standard_key(delivery->secret, &key);
    buf_addf(&text, "%s.%" PRId64 ".", delivery->id, delivery->now_s);
    buf_add(&text, delivery->body.p, delivery->body.n);
    crypto_hmac(buf_bytes(&key), buf_bytes(&text), mac);
    buf_clear(&text);
    text_base64(&text, (struct bytes){mac, sizeof(mac)}, TEXT_BASE64);
    line = arena_printf(arena, "webhook-signature: v1,%s", buf_text(&text));
    buf_wipe(&key);
    buf_done(&text);
    return line;
}

static const char *plain_signature(const struct sign_delivery *delivery, struct arena *arena)
{
    struct bytes key = {(const uint8_t *)delivery->secret, strlen(delivery->secret)};
    struct buf text = {0};
    uint8_t mac[CRYPTO_SHA256];
    const char *line;

    crypto_hmac(key, delivery->body, mac);
    text_hex(&text, (struct bytes){mac, sizeof(mac)});
    line = arena_printf(arena, "X-Webhook-Signature: sha256=%s", buf_text(&text));
    buf_done(&text);
    return line;
}

void sign_headers(const struct sign_delivery *delivery, struct arena *arena,
                  const char *out[SIGN_HEADERS_MAX + 1])
{
    size_t n = 0;

    out[n++] = "Content-Type: application/json";
    out[n++] = "User-Agent: Kentongan-Webhooks/1";
    out[n++] = arena_printf(arena, "webhook-id: %s", delivery->id);
    out[n++] = arena_printf(arena, "webhook-timestamp: %" PRId64, delivery->now_s);
    out[n++] = arena_printf(arena, "X-Webhook-Id: %s", delivery->id);
    out[n++] = arena_printf(arena, "X-Webhook-Attempt: %" PRId32, delivery->attempt);
    if (delivery->secret != NULL) {
        out[n++] = standard_signature(delivery, arena);
        out[n++] = plain_signature(delivery, arena);
    }
    out[n] = NULL;
}
