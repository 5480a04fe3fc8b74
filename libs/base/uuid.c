#include "base/uuid.h"

#include <assert.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

/* Random once, fixed for ever: every version 5 id of the product hangs on it. */
static const uint8_t namespace_id[16] = {0x6b, 0x3f, 0x0d, 0x52, 0x9e, 0x14, 0x4c, 0x7a,
                                         0x8d, 0x21, 0x5f, 0xe0, 0xb7, 0x46, 0x93, 0x1c};

static struct uuid to_text(const uint8_t raw[16])
{
    static const char hex[] = "0123456789abcdef";
    struct uuid id;
    unsigned at = 0;

    for (unsigned i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            id.text[at++] = '-';
        }
        id.text[at++] = hex[raw[i] >> 4];
        id.text[at++] = hex[raw[i] & 15];
    }
    id.text[at] = '\0';
    return id;
}

static void set_version(uint8_t raw[16], unsigned version)
{
    raw[6] = (uint8_t)((raw[6] & 0x0fU) | (version << 4));
    raw[8] = (uint8_t)((raw[8] & 0x3fU) | 0x80U);
}

struct uuid uuid_v7(int64_t wall_ms)
{
    uint8_t raw[16];

    randombytes_buf(raw, sizeof(raw));
    for (unsigned i = 0; i < 6; i++) {
        raw[i] = (uint8_t)((uint64_t)wall_ms >> (8 * (5 - i)));
    }
    set_version(raw, 7);
    return to_text(raw);
}

struct uuid uuid_v5(const char *fmt, ...)
{
    struct buf name = {0};
    uint8_t digest[EVP_MAX_MD_SIZE];
    char stack[512];
    va_list ap;
    va_list again;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(stack, sizeof(stack), fmt, ap);
    va_end(ap);
    assert(n >= 0);
    buf_add(&name, namespace_id, sizeof(namespace_id));
    (void)vsnprintf((char *)buf_room(&name, (size_t)n + 1), (size_t)n + 1, fmt, again);
    va_end(again);
    buf_used(&name, (size_t)n);
    if (EVP_Digest(name.p, name.n, digest, NULL, EVP_sha1(), NULL) != 1) {
        assert(false && "SHA-1 is always there");
    }
    buf_done(&name);
    set_version(digest, 5);
    return to_text(digest);
}

bool uuid_is_valid(const char *text)
{
    if (text == NULL || strlen(text) != UUID_TEXT_MAX - 1) {
        return false;
    }
    for (unsigned i = 0; i < UUID_TEXT_MAX - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');

        if (dash ? text[i] != '-' : !hex) {
            return false;
        }
    }
    return true;
}
