/* A record that could not be processed, with whatever key and value it has and whatever reason is
 * told: its letter is one, and what a secret header holds stands nowhere in it. Lines: reason, key
 * (which is the secret header, too), value. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bus/bus_codec.h"
#include "bus/bus_consumer.h"
#include "bus/bus_dlq.h"
#include "bus/bus_record.h"
#include "testkit/testkit_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes the bytes up to the next newline off @rest. */
static struct bytes line_of(struct bytes *rest)
{
    const uint8_t *newline = rest->n == 0 ? NULL : memchr(rest->p, '\n', rest->n);
    struct bytes line = {rest->p, newline == NULL ? rest->n : (size_t)(newline - rest->p)};
    size_t used = line.n + (newline == NULL ? 0 : 1);

    *rest = (struct bytes){rest->p + used, rest->n - used};
    return line;
}

static bool has_star(struct bytes text) /* what is masked may be found again with one */
{
    return text.p != NULL && memchr(text.p, '*', text.n) != NULL;
}

static bool holds(struct bytes text, struct bytes part)
{
    for (size_t at = 0; at + part.n <= text.n; at++) {
        if (memcmp(text.p + at, part.p, part.n) == 0) {
            return true;
        }
    }
    return false;
}

static void check(const struct bus_record *record, struct bytes bytes)
{
    struct arena arena = {0};
    struct dead_letter letter;
    size_t n;

    must(bus_decode(TOPIC_DLQ, bytes, &arena, &letter, NULL) == 0);
    n = strlen(letter.reason);
    must(n <= 1100 && text_is_utf8((struct bytes){(const uint8_t *)letter.reason, n}));
    must(letter.value.n == record->value.n && letter.source_offset == record->offset);
    if (record->key.n >= BUS_SECRET_MIN) {
        must(has_star(record->key) || !holds(letter.value, record->key));
    } else {
        must(letter.value.n == 0 || memcmp(letter.value.p, record->value.p, letter.value.n) == 0);
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = {data, size};
    struct bytes line = line_of(&rest);
    char *reason = mem_strndup((const char *)line.p, line.n);
    struct bus_record_box *box = mem_new0(sizeof(*box) + sizeof(struct bus_header));
    struct bus_record *record = &box->record;
    struct buf out = {0};

    record->topic = TOPIC_BLAST_SUBMIT;
    record->partition = 5;
    record->offset = 77;
    record->key = line_of(&rest);
    record->key.p = record->key.n == 0 ? NULL : record->key.p;
    record->value = rest;
    box->n_headers = 1;
    box->headers[0] = (struct bus_header){"x-api-key", record->key};
    must(bus_dlq_encode(record, "ingress", reason, 1700000000000, &out, NULL) == 0);
    check(record, buf_bytes(&out));
    buf_done(&out);
    free(box);
    free(reason);
    return 0;
}
