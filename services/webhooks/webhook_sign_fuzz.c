/* A secret as its owner chose it, to the first newline, and a body: the headers are headers. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "testkit/testkit_fuzz.h"
#include "webhooks/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The value of @name among @lines; there is just one. */
static const char *find(const char *const *lines, const char *name)
{
    const char *found = NULL;

    for (; *lines != NULL; lines++) {
        if (strncmp(*lines, name, strlen(name)) == 0) {
            must(found == NULL);
            found = *lines + strlen(name);
        }
    }
    must(found != NULL);
    return found;
}

static void check(const char *const *lines)
{
    const char *signature = find(lines, "webhook-signature: v1,");
    struct buf mac = {0};

    for (size_t i = 0; lines[i] != NULL; i++) {
        must(strpbrk(lines[i], "\r\n") == NULL && strstr(lines[i], ": ") != NULL);
    }
    must(text_unbase64(&mac, signature, strlen(signature), TEXT_BASE64) == 0);
    must(mac.n == CRYPTO_SHA256);
    must(strlen(find(lines, "X-Webhook-Signature: sha256=")) == (size_t)CRYPTO_SHA256 * 2);
    must(strcmp(find(lines, "webhook-id: "), find(lines, "X-Webhook-Id: ")) == 0);
    buf_done(&mac);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = size == 0 ? NULL : memchr(data, '\n', size);
    size_t n = newline == NULL ? size : (size_t)(newline - data);
    char *secret = mem_strndup((const char *)data, n);
    struct arena arena = {0};
    const char *lines[SIGN_HEADERS_MAX + 1];
    struct sign_delivery delivery = {
        .id = "0d1f7f3c-4b8e-5c7b-9e57-7a3d1b1c2d3e",
        .attempt = 1,
        .now_s = 1643723400,
        .body = newline == NULL ? (struct bytes){NULL, 0} : (struct bytes){newline, size - n},
        .secret = secret,
    };

    sign_headers(&delivery, &arena, lines);
    check(lines);
    arena_done(&arena);
    free(secret);
    return 0;
}
