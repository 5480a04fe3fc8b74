/* What comes back from Redis, under every reading at once: what is taken keeps its bounds, and is
 * read the same again after it was written. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "cache/cache.h"
#include "ingress/kept.h"
#include "testkit/testkit_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ITEMS_MAX = 16 };

static void as_verdict(struct bytes text)
{
    struct kept_verdict verdict;

    if (kept_read_verdict(text, &verdict)) {
        must(uuid_is_valid(verdict.command_id));
        must(strlen(verdict.aggregate_type) < KEPT_TYPE_MAX);
        must(strlen(verdict.code) < KEPT_CODE_MAX && strlen(verdict.message) < KEPT_TEXT_MAX);
    }
}

static void as_key(struct bytes text)
{
    struct kept_key key;
    struct kept_key again = {0};

    if (kept_read_key(text, &key)) {
        json_t *json = kept_key_json(&key);
        char *written = json_dumps(json, 0);

        must(written != NULL &&
             kept_read_key((struct bytes){(uint8_t *)written, strlen(written)}, &again));
        must(again.user_id == key.user_id && again.key_id == key.key_id);
        must(again.is_admin == key.is_admin && strcmp(again.username, key.username) == 0);
        free(written);
        json_decref(json);
    }
}

static void as_answer(struct bytes text)
{
    struct kept_answer answer;
    struct kept_answer again = {0};

    if (kept_read_answer(text, &answer)) {
        json_t *json = kept_answer_json(&answer);
        char *written = json_dumps(json, 0);

        must(written != NULL &&
             kept_read_answer((struct bytes){(uint8_t *)written, strlen(written)}, &again));
        must(again.status == answer.status && json_equal(again.body, answer.body));
        must(strcmp(again.fingerprint, answer.fingerprint) == 0);
        json_decref(again.body);
        json_decref(answer.body);
        free(written);
        json_decref(json);
    }
}

static void as_qr(struct bytes text)
{
    char code[KEPT_QR_MAX];

    if (kept_read_qr(text, 1000, code)) {
        must(code[0] != '\0' && strlen(code) < KEPT_QR_MAX);
    }
}

static void as_applied(struct bytes text)
{
    struct kept_applied applied;

    while (kept_next_applied(&text, &applied)) {
        must(uuid_is_valid(applied.aggregate_id) && applied.sequence >= 0);
    }
    must(text.n == 0);
}

/* Lines are the names and values of a hash; one that begins with ":" is a number. */
static void as_runtime(char *text)
{
    struct cache_reply items[ITEMS_MAX];
    struct cache_reply hash = {.kind = CACHE_LIST, .items = items};
    struct session_runtime now;

    for (char *line = text; line != NULL && hash.n < ITEMS_MAX; hash.n++) {
        char *newline = strchr(line, '\n');

        if (newline != NULL) {
            *newline++ = '\0';
        }
        items[hash.n] = (struct cache_reply){.kind = line[0] == ':' ? CACHE_INT : CACHE_TEXT,
                                             .text = {(const uint8_t *)line, strlen(line)}};
        line = newline;
    }
    if (kept_read_runtime(&hash, &now)) {
        must(now.is_known && now.sequence >= 0 && now.start_time_ms >= 0);
        must(now.last_seen_us == INT64_MIN || now.last_seen_us > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bytes text = {data, size};
    char *copy = mem_strndup((const char *)data, size);

    as_verdict(text);
    as_key(text);
    as_answer(text);
    as_qr(text);
    as_applied(text);
    as_runtime(copy);
    free(copy);
    return 0;
}
