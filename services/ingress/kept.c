#include "ingress/kept.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/text.h"
#include "cache/cache.h"
#include "cache/cache_keys.h"
#include "crypto/crypto_seal.h"
#include "domain/fixed.h"

static const char label[] = "kept in Redis";

/* ---- sealed ---- */

void kept_seal(const struct crypto_keyring *ring, const char *key, struct json_t *json,
               struct buf *out)
{
    char *text = json_dumps(json, JSON_COMPACT);
    size_t n = strlen(text);
    struct buf sealed = {0};

    crypto_seal(ring, key, label, (struct bytes){(const uint8_t *)text, n}, &sealed);
    text_base64(out, buf_bytes(&sealed), TEXT_BASE64);
    buf_done(&sealed);
    mem_wipe(text, n); /* it may show the secret of a webhook */
    free(text);
    json_decref(json);
}

bool kept_unseal(const struct crypto_keyring *ring, const char *key, struct bytes text,
                 struct buf *out)
{
    struct buf sealed = {0};
    bool is_ours = text_unbase64(&sealed, (const char *)text.p, text.n, TEXT_BASE64) == 0 &&
                   crypto_unseal(ring, key, label, buf_bytes(&sealed), out, NULL) == 0;

    buf_done(&sealed);
    return is_ours;
}

/* ---- JSON ---- */

/* NULL for what is no object. */
static json_t *object_of(struct bytes text)
{
    json_t *json = text_json_too_deep(text) < text.n
                       ? NULL
                       : json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(json)) {
        json_decref(json);
        json = NULL;
    }
    return json;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

static int64_t number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name)); /* 0 for none */
}

bool kept_read_verdict(struct bytes text, struct kept_verdict *out)
{
    json_t *json = object_of(text);
    bool is_one = uuid_is_valid(text_of(json, "command_id")) && text_of(json, "verdict")[0] != '\0';

    if (is_one) {
        *out = (struct kept_verdict){.is_ok = strcmp(text_of(json, "verdict"), "ok") == 0,
                                     .sequence = number_of(json, "sequence")};
        FIXED_COPY(out->command_id, text_of(json, "command_id"));
        FIXED_COPY(out->aggregate_type, text_of(json, "aggregate_type"));
        FIXED_COPY(out->code, text_of(json, "code"));
        FIXED_COPY(out->message, text_of(json, "message"));
    }
    json_decref(json);
    return is_one;
}

bool kept_read_key(struct bytes text, struct kept_key *out)
{
    json_t *json = object_of(text);
    const char *username = text_of(json, "username");
    const char *role = text_of(json, "role");
    bool is_one = number_of(json, "user_id") > 0 && number_of(json, "key_id") > 0 &&
                  username[0] != '\0' && strlen(username) < TOKEN_USERNAME_MAX && role[0] != '\0';

    if (is_one) {
        *out = (struct kept_key){.user_id = number_of(json, "user_id"),
                                 .key_id = number_of(json, "key_id"),
                                 .is_admin = strcmp(role, "admin") == 0};
        FIXED_COPY(out->username, username);
    }
    json_decref(json);
    return is_one;
}

json_t *kept_key_json(const struct kept_key *key)
{
    return json_pack("{s:I, s:s, s:s, s:I}", "user_id", (json_int_t)key->user_id, "username",
                     key->username, "role", key->is_admin ? "admin" : "user", "key_id",
                     (json_int_t)key->key_id);
}

bool kept_read_qr(struct bytes text, int64_t now_ms, char out[KEPT_QR_MAX])
{
    json_t *json = object_of(text);
    const char *code = text_of(json, "text");
    bool is_one =
        code[0] != '\0' && strlen(code) < KEPT_QR_MAX && number_of(json, "expires_at") > now_ms;

    if (is_one) {
        fixed_copy(out, KEPT_QR_MAX, code);
    }
    json_decref(json);
    return is_one;
}

bool kept_read_answer(struct bytes text, struct kept_answer *out)
{
    json_t *json = object_of(text);
    const char *fingerprint = text_of(json, "fingerprint");
    int64_t status = number_of(json, "status");
    json_t *body = json_object_get(json, "body");
    bool is_one = strlen(fingerprint) == IDEMPOTENCY_FINGERPRINT_MAX - 1 && status >= 200 &&
                  status <= 599 && json_is_object(body);

    if (is_one) {
        *out = (struct kept_answer){.status = (int)status, .body = json_incref(body)};
        FIXED_COPY(out->fingerprint, fingerprint);
    }
    json_decref(json);
    return is_one;
}

json_t *kept_answer_json(const struct kept_answer *answer)
{
    return json_pack("{s:s, s:i, s:O}", "fingerprint", answer->fingerprint, "status",
                     answer->status, "body", answer->body);
}

/* ---- lines ---- */

static bool read_applied(const char *line, size_t n, struct kept_applied *out)
{
    char text[UUID_TEXT_MAX + 24];
    const char *number = text + UUID_TEXT_MAX;
    struct kept_applied read = {0};

    if (n < UUID_TEXT_MAX || n >= sizeof(text) || line[UUID_TEXT_MAX - 1] != ' ') {
        return false;
    }
    memcpy(text, line, n);
    text[n] = '\0';
    text[UUID_TEXT_MAX - 1] = '\0';
    if (!uuid_is_valid(text) || !text_to_int(number, 0, INT64_MAX, &read.sequence)) {
        return false;
    }
    FIXED_COPY(read.aggregate_id, text);
    *out = read;
    return true;
}

bool kept_next_applied(struct bytes *rest, struct kept_applied *out)
{
    while (rest->n > 0) {
        const char *line = (const char *)rest->p;
        const char *newline = memchr(line, '\n', rest->n);
        size_t n = newline != NULL ? (size_t)(newline - line) : rest->n;
        size_t taken = newline != NULL ? n + 1 : n;

        *rest = (struct bytes){rest->p + taken, rest->n - taken};
        if (read_applied(line, n, out)) {
            return true;
        }
    }
    return false;
}

/* ---- hashes ---- */

/* The value of @name in a list of names and values; NULL for none. */
static const char *hash_get(const struct cache_reply *hash, const char *name)
{
    for (size_t i = 0; i + 1 < hash->n; i += 2) {
        if (hash->items[i].kind == CACHE_TEXT && hash->items[i + 1].kind == CACHE_TEXT &&
            strcmp((const char *)hash->items[i].text.p, name) == 0) {
            return (const char *)hash->items[i + 1].text.p;
        }
    }
    return NULL;
}

bool kept_read_runtime(const struct cache_reply *hash, struct session_runtime *out)
{
    struct session_runtime now = {.is_known = true, .last_seen_us = INT64_MIN};
    const char *text;
    int64_t ms = 0;

    if (hash->kind != CACHE_LIST || hash->n == 0) {
        return false;
    }
    text = hash_get(hash, CACHE_RUNTIME_WS);
    if (text == NULL || !session_ws_parse(text, &now.ws)) {
        now.ws = SESSION_WS_NONE;
    }
    text = hash_get(hash, CACHE_RUNTIME_STATE);
    if (text == NULL || !session_phase_parse(text, &now.state)) {
        now.state = SESSION_NONE;
    }
    (void)text_to_int(hash_get(hash, CACHE_RUNTIME_SEQUENCE), 0, INT64_MAX, &now.sequence);
    if (text_to_int(hash_get(hash, CACHE_RUNTIME_LAST_SEEN_MS), 1, RECORD_TIME_MS_MAX, &ms)) {
        now.last_seen_us = ms * 1000;
    }
    (void)text_to_int(hash_get(hash, CACHE_RUNTIME_START_TIME_MS), 0, RECORD_TIME_MS_MAX,
                      &now.start_time_ms);
    *out = now;
    return true;
}
