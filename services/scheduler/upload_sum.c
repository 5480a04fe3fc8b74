/* The pure part of upload.h. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "record/records.h"
#include "scheduler/upload.h"

struct upload_sum {
    const struct create_blast *create;
    EVP_MD_CTX *hash;
    int32_t next_index;
    int32_t chunks;
    char reason[UPLOAD_REASON_MAX];
};

/* OpenSSL fails here only without memory. */
static void need(int ok)
{
    if (ok != 1) {
        abort();
    }
}

struct upload_sum *upload_sum_new(const struct create_blast *create)
{
    struct upload_sum *sum = mem_new0(sizeof(*sum));

    sum->create = create;
    sum->hash = EVP_MD_CTX_new();
    need(sum->hash != NULL);
    need(EVP_DigestInit_ex(sum->hash, EVP_sha256(), NULL));
    return sum;
}

void upload_sum_free(struct upload_sum **sum)
{
    if (*sum != NULL) {
        EVP_MD_CTX_free((*sum)->hash);
        free(*sum);
        *sum = NULL;
    }
}

bool upload_sum_add(struct upload_sum *sum, int32_t first_index, int32_t recipients,
                    struct bytes body)
{
    if (first_index != sum->next_index) {
        (void)snprintf(sum->reason, sizeof(sum->reason),
                       "recipients from %d on are missing: the next chunk begins with %d",
                       sum->next_index, first_index);
    } else if (recipients > sum->create->total_messages - sum->next_index) {
        (void)snprintf(sum->reason, sizeof(sum->reason), "more than %d recipients came",
                       sum->create->total_messages);
    } else if (sum->chunks >= sum->create->chunk_count) {
        (void)snprintf(sum->reason, sizeof(sum->reason), "more than %d chunks came",
                       sum->create->chunk_count);
    } else {
        need(EVP_DigestUpdate(sum->hash, body.p, body.n));
        sum->next_index += recipients;
        sum->chunks++;
        return true;
    }
    return false;
}

static bool is_hash_right(struct upload_sum *sum)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct buf hex = {0};
    bool right;

    need(EVP_DigestFinal_ex(sum->hash, digest, &n));
    text_hex(&hex, (struct bytes){digest, n});
    right = strcmp(buf_text(&hex), sum->create->recipients_sha256) == 0;
    buf_done(&hex);
    return right;
}

bool upload_sum_end(struct upload_sum *sum)
{
    const struct create_blast *create = sum->create;

    if (sum->next_index != create->total_messages || sum->chunks != create->chunk_count) {
        (void)snprintf(sum->reason, sizeof(sum->reason),
                       "%d recipients in %d chunks came, %d in %d were announced", sum->next_index,
                       sum->chunks, create->total_messages, create->chunk_count);
    } else if (!is_hash_right(sum)) {
        (void)snprintf(sum->reason, sizeof(sum->reason),
                       "the recipients that came are not those that were announced (SHA-256)");
    } else {
        return true;
    }
    return false;
}

int32_t upload_sum_next(const struct upload_sum *sum)
{
    return sum->next_index;
}

const char *upload_sum_reason(const struct upload_sum *sum)
{
    return sum->reason;
}
