/* upload: the recipients of one blast on their way to Kafka, in chunks as they come, so that memory
 * does not grow with their number. One thread. */
#ifndef INGRESS_UPLOAD_H
#define INGRESS_UPLOAD_H

#include <stdint.h>

#include <openssl/types.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/uuid.h"
#include "ingress/ingress.h"
#include "record/records.h"

enum {
    UPLOAD_CHUNK_MAX = 500,          /* recipients */
    UPLOAD_CHUNK_BYTES = 400 * 1024, /* or about so many bytes, if they come first */
    UPLOAD_TIMEOUT_MS = 15000        /* for one chunk */
};

/* What earlier tries wrote of an upload whose chunks are the same each time: the first @chunks of
 * them, up to @last_offset. */
struct upload_written {
    int32_t chunks;
    int64_t last_offset;
};

struct upload {
    struct ingress *ingress;
    const char *blast_uuid;
    const char *session_uuid;
    int64_t user_id;
    struct uuid upload_id;
    struct arena arena; /* what the recipients of the chunk point to */
    struct recipient chunk[UPLOAD_CHUNK_MAX];
    size_t n;
    size_t bytes;
    EVP_MD_CTX *hash; /* over the chunks' Avro bodies, in order */
    int64_t total;    /* recipients added */
    int32_t chunks;   /* written */
    int64_t last_offset;
    struct upload_written *written; /* NULL: there will be no other try */
};

/* Borrows the texts until upload_done. */
void upload_init(struct upload *upload, struct ingress *ingress, const char *blast_uuid,
                 const char *session_uuid, int64_t user_id);
void upload_done(struct upload *upload);

/* Before the first upload_add: this is the upload @id, of which *@written is not written again; and
 * keeps there what it writes. Borrows @written until upload_done. */
void upload_go_on(struct upload *upload, const struct uuid *id, struct upload_written *written);

/* Add @recipient, whose texts are memory of upload->arena. -1 and *@why: over BLAST_RECIPIENTS_MAX,
 * or a chunk could not be written; chunks that were written are forgotten by the scheduler. */
NODISCARD int upload_add(struct upload *upload, const struct recipient *recipient,
                         struct refusal *why);

/* To be said now and then while rows are dropped: what they left in upload->arena must not add up.
 */
NODISCARD int upload_tidy(struct upload *upload, struct refusal *why);

/* Write the rest. Gives the hash in hex. */
enum { UPLOAD_HASH_MAX = 65 };
NODISCARD int upload_finish(struct upload *upload, char hash[UPLOAD_HASH_MAX], struct refusal *why);

#endif
