/* What comes from Redis' side of a connection: replies, and what is said on channels. The first
 * byte is the size of the pieces in which it comes. */
#include <string.h>

#include "base/err.h"
#include "cache/cache_reply.h"
#include "testkit/testkit_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COUNT_DIGITS_MAX = 4 };

/* hiredis makes room at once for as many elements as a list announces: no mistake of ours, but one
 * for the sanitizers. */
static bool announces_too_much(struct bytes stream)
{
    size_t digits = COUNT_DIGITS_MAX + 1;

    for (size_t i = 0; i < stream.n; i++) {
        bool is_digit = stream.p[i] >= '0' && stream.p[i] <= '9';

        digits = stream.p[i] == '*' ? 0 : is_digit ? digits + 1 : COUNT_DIGITS_MAX + 1;
        if (digits == COUNT_DIGITS_MAX && i + 1 < stream.n && stream.p[i + 1] != '\r') {
            return true;
        }
    }
    return false;
}

static void check_same(const redisReply *from, const struct cache_reply *copy)
{
    if (from->type == REDIS_REPLY_ARRAY) {
        must(copy->kind == CACHE_LIST && copy->n == from->elements);
        for (size_t i = 0; i < copy->n; i++) {
            check_same(from->element[i], &copy->items[i]);
        }
    } else if (from->type == REDIS_REPLY_INTEGER) {
        must(copy->kind == CACHE_INT && copy->number == from->integer);
    } else if (from->type == REDIS_REPLY_NIL) {
        must(copy->kind == CACHE_NIL);
    } else {
        must(copy->kind == CACHE_TEXT && copy->text.n == (size_t)from->len);
        must(memcmp(copy->text.p, from->str, copy->text.n) == 0 && copy->text.p[copy->text.n] == 0);
    }
}

static void take(const redisReply *reply)
{
    struct arena arena = {0};
    struct cache_word word = {0};
    struct cache_reply copy = cache_reply_copy(reply, &arena);
    struct err err = {0};

    check_same(reply, &copy);
    must((cache_reply_check(reply, &err) < 0) == (reply->type == REDIS_REPLY_ERROR));
    if (cache_word_read(reply, &word)) {
        must(copy.kind == CACHE_LIST && copy.n >= 3 && word.channel.n == copy.items[1].text.n);
        must(!word.is_message || word.message.n == copy.items[2].text.n);
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes stream = {data + 1, size - 1};
    redisReader *reader;
    void *reply = NULL;
    bool is_sound = true;

    if (size == 0 || announces_too_much(stream)) {
        return 0;
    }
    reader = redisReaderCreate();
    while (is_sound && stream.n > 0) {
        size_t step = data[0] == 0 || data[0] > stream.n ? stream.n : data[0];

        (void)redisReaderFeed(reader, (const char *)stream.p, step);
        stream = (struct bytes){stream.p + step, stream.n - step};
        while ((is_sound = redisReaderGetReply(reader, &reply) == REDIS_OK) && reply != NULL) {
            take(reply);
            freeReplyObject(reply);
        }
    }
    redisReaderFree(reader);
    return 0;
}
