/* Hex, base64, numbers, UTF-8 and ids out of texts of strangers. What is taken is written and taken
 * again the same; what is refused leaves nothing behind. libc's iconv says what UTF-8 is. */
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/uuid.h"
#include "testkit/testkit_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same(const struct buf *a, const struct buf *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}

static void as_hex(const char *text, size_t n)
{
    struct buf raw = {0};
    struct buf again = {0};

    if (text_unhex(&raw, text, n) == 0) {
        text_hex(&again, buf_bytes(&raw));
        must(again.n == n);
        for (size_t i = 0; i < n; i++) {
            must(again.p[i] == (text[i] >= 'A' && text[i] <= 'F' ? text[i] + 32 : text[i]));
        }
    } else {
        must(raw.n == 0);
    }
    buf_done(&raw);
    buf_done(&again);
}

static void as_base64(const char *text, size_t n, enum text_base64 variant)
{
    struct buf raw = {0};
    struct buf encoded = {0};
    struct buf again = {0};

    if (text_unbase64(&raw, text, n, variant) == 0) {
        text_base64(&encoded, buf_bytes(&raw), variant);
        must(text_unbase64(&again, (const char *)encoded.p, encoded.n, variant) == 0);
        must(is_same(&raw, &again));
    } else {
        must(raw.n == 0);
    }
    buf_done(&raw);
    buf_done(&encoded);
    buf_done(&again);
}

static void as_number(const char *text)
{
    int64_t value = 0;
    int64_t again = 0;
    char written[24];

    if (text_to_int(text, INT64_MIN, INT64_MAX, &value)) {
        (void)snprintf(written, sizeof(written), "%lld", (long long)value);
        must(text_to_int(written, value, value, &again) && again == value);
    }
    if (text_to_int(text, -5, 500, &value)) {
        must(value >= -5 && value <= 500);
    }
}

static bool iconv_takes(const uint8_t *data, size_t size)
{
    iconv_t converter = iconv_open("UTF-32LE", "UTF-8");
    char *in = mem_strndup((const char *)data, size);
    char *out = mem_new0(4 * size + 4);
    char *from = in;
    char *to = out;
    size_t from_n = size;
    size_t to_n = 4 * size + 4;
    bool took = iconv(converter, &from, &from_n, &to, &to_n) != (size_t)-1;

    (void)iconv_close(converter);
    free(in);
    free(out);
    return took;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_strndup((const char *)data, size);
    bool has_nul = size > 0 && memchr(data, 0, size) != NULL;

    as_hex(text, size);
    as_base64(text, size, TEXT_BASE64);
    as_base64(text, size, TEXT_BASE64URL);
    as_number(text);
    must(!uuid_is_valid(text) || strlen(text) == UUID_TEXT_MAX - 1);
    must(text_is_utf8((struct bytes){data, size}) == (!has_nul && iconv_takes(data, size)));
    free(text);
    return 0;
}
