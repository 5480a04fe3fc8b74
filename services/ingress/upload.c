#include "ingress/upload.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/metric.h"
#include "base/text.h"
#include "bus/bus_codec.h"
#include "bus/bus_key.h"
#include "bus/bus_producer.h"
#include "ingress/recipient.h"

enum {
    TRIES = 3, /* of one chunk; a chunk may be in the log twice, its first index tells */
    ARENA_BYTES = 4 * 1024 * 1024
};

void upload_init(struct upload *upload, struct ingress *ingress, const char *blast_uuid,
                 const char *session_uuid, int64_t user_id)
{
    memset(upload, 0, sizeof(*upload));
    upload->ingress = ingress;
    upload->blast_uuid = blast_uuid;
    upload->session_uuid = session_uuid;
    upload->user_id = user_id;
    upload->upload_id = uuid_v7(clock_wall_ms());
    upload->hash = EVP_MD_CTX_new();
    (void)EVP_DigestInit_ex(upload->hash, EVP_sha256(), NULL);
}

void upload_go_on(struct upload *upload, const struct uuid *id, struct upload_written *written)
{
    upload->upload_id = *id;
    upload->written = written;
}

void upload_done(struct upload *upload)
{
    EVP_MD_CTX_free(upload->hash);
    arena_done(&upload->arena);
}

static int write_chunk(struct upload *upload, struct bytes value, struct err *err)
{
    const struct bus_send send = {
        .topic = TOPIC_BLAST_RECIPIENTS,
        .partition = bus_partition(upload->session_uuid),
        .key = {(const uint8_t *)upload->session_uuid, strlen(upload->session_uuid)},
        .value = value,
    };
    int rc = -1;

    for (int i = 0; i < TRIES && rc < 0; i++) {
        crash_point("ingress", "before.chunk");
        rc = bus_producer_send_wait(upload->ingress->producer, &send, UPLOAD_TIMEOUT_MS,
                                    &upload->last_offset, err);
    }
    if (rc == 0) {
        crash_point("ingress", "after.chunk");
        metric_add(
            metric_counter("kentongan_recipients_uploaded_total", "Recipients written to Kafka"),
            (int64_t)upload->n);
    }
    return rc;
}

/* Unless an earlier try did. */
static int put_chunk(struct upload *upload, struct bytes value, struct err *err)
{
    struct upload_written *written = upload->written;
    int rc;

    if (written != NULL && upload->chunks < written->chunks) {
        upload->last_offset = written->last_offset;
        return 0;
    }
    rc = write_chunk(upload, value, err);
    if (rc == 0 && written != NULL) {
        *written = (struct upload_written){upload->chunks + 1, upload->last_offset};
    }
    return rc;
}

static int flush(struct upload *upload, struct refusal *why)
{
    const struct blast_recipients record = {
        .blast_id = upload->blast_uuid,
        .upload_id = upload->upload_id.text,
        .session_uuid = upload->session_uuid,
        .user_id = upload->user_id,
        .first_index = (int32_t)(upload->total - (int64_t)upload->n),
        .recipients = {upload->n, upload->chunk},
    };
    struct buf value = {0};
    struct err err = {0};
    struct bytes body;
    int rc;

    if (upload->n == 0) {
        return 0;
    }
    rc = bus_encode(TOPIC_BLAST_RECIPIENTS, &record, &value, &err);
    if (rc < 0) {
        buf_done(&value);
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST", "recipients from %d: %s",
                      record.first_index, err.text);
    }
    body = bus_body(buf_bytes(&value));
    (void)EVP_DigestUpdate(upload->hash, body.p, body.n);
    rc = put_chunk(upload, buf_bytes(&value), &err);
    buf_done(&value);
    if (rc < 0) {
        return refuse_store(why, "Kafka", &err);
    }
    upload->chunks++;
    upload->n = 0;
    upload->bytes = 0;
    arena_reset(&upload->arena);
    return 0;
}

int upload_tidy(struct upload *upload, struct refusal *why)
{
    if (upload->arena.used < ARENA_BYTES) {
        return 0;
    }
    if (upload->n > 0) {
        return flush(upload, why);
    }
    arena_reset(&upload->arena);
    return 0;
}

int upload_add(struct upload *upload, const struct recipient *recipient, struct refusal *why)
{
    if (upload->total >= upload->ingress->config->blast_recipients_max) {
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST",
                      "A blast has at most %lld recipients (BLAST_RECIPIENTS_MAX)",
                      (long long)upload->ingress->config->blast_recipients_max);
    }
    upload->chunk[upload->n++] = *recipient;
    upload->bytes += recipient_bytes(recipient);
    upload->total++;
    if (upload->n == UPLOAD_CHUNK_MAX || upload->bytes >= UPLOAD_CHUNK_BYTES) {
        return flush(upload, why);
    }
    return 0;
}

int upload_finish(struct upload *upload, char hash[UPLOAD_HASH_MAX], struct refusal *why)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct buf hex = {0};
    int rc = flush(upload, why);

    if (rc < 0) {
        return rc;
    }
    (void)EVP_DigestFinal_ex(upload->hash, digest, &n);
    text_hex(&hex, (struct bytes){digest, n});
    memcpy(hash, buf_text(&hex), UPLOAD_HASH_MAX);
    buf_done(&hex);
    return 0;
}
