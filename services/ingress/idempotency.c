#include "ingress/idempotency.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/crash.h"
#include "base/log.h"
#include "cache/cache_keys.h"
#include "cache/cache_pool.h"
#include "http/http.h"
#include "ingress/handler.h"
#include "ingress/kept.h"
#include "ingress/password.h"

static bool is_key(const char *key)
{
    size_t n = strlen(key);

    for (const unsigned char *c = (const unsigned char *)key; *c != 0; c++) {
        if (*c <= 0x20 || *c >= 0x7f) {
            return false;
        }
    }
    return n >= 1 && n <= IDEMPOTENCY_KEY_MAX;
}

static void fingerprint(struct http_request *request, const json_t *body,
                        char out[IDEMPOTENCY_FINGERPRINT_MAX])
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    struct buf whole = {0};

    buf_addf(&whole, "%s %s\n", http_method_name(request), http_path(request));
    if (text != NULL) {
        buf_add_str(&whole, text);
    } else { /* a stream: what it says beside its bytes, which nobody holds at once */
        const char *length = http_header(request, "Content-Length");

        http_query_canonical(request, &whole);
        buf_addf(&whole, "\n%s", length != NULL ? length : "");
    }
    api_key_hash(buf_text(&whole), out); /* SHA-256 in hex */
    buf_wipe(&whole);
    free(text);
}

/* True when something is kept for the key; it was answered then. */
static bool replay(struct ingress *ingress, struct http_request *request,
                   const struct idempotency *idempotency)
{
    const struct cache_key key =
        cache_key_idempotency(actor_of(request)->user_id, idempotency->key);
    const char *parts[] = {"GET", key.text, NULL};
    struct cache_reply reply = {0};
    struct kept_answer kept = {0};
    struct buf text = {0};
    bool is_kept =
        cache_pool_command_text(ingress->cache, parts, http_arena(request), &reply, NULL) == 0 &&
        reply.kind == CACHE_TEXT && kept_unseal(&ingress->keys, key.text, reply.text, &text) &&
        kept_read_answer(buf_bytes(&text), &kept);

    buf_wipe(&text);
    if (is_kept && strcmp(kept.fingerprint, idempotency->fingerprint) != 0) {
        http_fail(request, 409, "IDEMPOTENCY_CONFLICT",
                  "Idempotency-Key was used for another request");
    } else if (is_kept) {
        http_answer_header(request, "Idempotency-Replayed", "true");
        http_answer_json(request, kept.status, json_incref(kept.body));
    }
    json_decref(kept.body);
    return is_kept;
}

bool idempotency_begin(struct ingress *ingress, struct http_request *request,
                       const struct json_t *body, struct idempotency *out)
{
    *out = (struct idempotency){.key = http_header(request, "Idempotency-Key")};
    if (out->key == NULL) {
        return true;
    }
    if (!is_key(out->key)) {
        http_fail(request, 400, "INVALID_REQUEST",
                  "Idempotency-Key must be 1 to %d visible ASCII characters", IDEMPOTENCY_KEY_MAX);
        return false;
    }
    fingerprint(request, body, out->fingerprint);
    return !replay(ingress, request, out);
}

static void keep(struct ingress *ingress, struct http_request *request,
                 const struct idempotency *idempotency, int status, json_t *body)
{
    const struct cache_key key =
        cache_key_idempotency(actor_of(request)->user_id, idempotency->key);
    struct kept_answer answer = {.status = status, .body = body};
    struct cache_reply reply;
    char ttl[24];
    const char *parts[] = {"SET", key.text, NULL, "PX", ttl, "NX", NULL};
    struct buf sealed = {0};

    memcpy(answer.fingerprint, idempotency->fingerprint, sizeof(answer.fingerprint));
    kept_seal(&ingress->keys, key.text, kept_answer_json(&answer), &sealed);
    parts[2] = buf_text(&sealed);
    (void)snprintf(ttl, sizeof(ttl), "%d", CACHE_IDEMPOTENCY_TTL_MS);
    if (cache_pool_command_text(ingress->cache, parts, http_arena(request), &reply, NULL) < 0) {
        log_debug("an answer was not kept under its idempotency key");
    }
    buf_done(&sealed);
}

void idempotency_answer(struct ingress *ingress, struct http_request *request,
                        const struct idempotency *idempotency, int status, struct json_t *body)
{
    if (idempotency->key != NULL) {
        keep(ingress, request, idempotency, status, body);
    }
    crash_point("ingress", "before.answer");
    http_answer_json(request, status, body);
    crash_point("ingress", "after.answer");
}
