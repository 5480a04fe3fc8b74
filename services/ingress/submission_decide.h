/* submission_decide: one submission through the use case of REST. Blocks: for a thread. */
#ifndef INGRESS_SUBMISSION_DECIDE_H
#define INGRESS_SUBMISSION_DECIDE_H

#include <stdbool.h>

#include "base/buf.h"
#include "ingress/ingress.h"
#include "ingress/submission.h"
#include "ingress/upload.h"

struct submission_verdict {
    bool is_decided; /* false: try again later */
    bool is_accepted;
    bool has_user; /* the key is good: the verdict is kept for this user and request */
    int64_t user_id;
    char request_id[SUBMISSION_REQUEST_ID_MAX + 1];
    char code[48];
    char message[256];
};

/* What one try leaves to the next in this process; all zero at first. */
struct submission_progress {
    struct upload_written written;
};

/* Decide @record (as it came from Kafka) of the owner of the key with @key_sha256 (hex; "" for
 * none). */
void submission_decide(struct ingress *ingress, const struct buf *record, const char *key_sha256,
                       struct submission_progress *progress, struct submission_verdict *out);

#endif
