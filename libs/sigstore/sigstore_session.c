#include "sigstore/sigstore_session.h"

#include <string.h>

#include "sigstore/sigstore_wire.h"

enum { FORMAT = 1, HEAD = 1 + CRYPTO_KEY, TYPED_KEY = CRYPTO_KEY + 1 };

/* Field numbers of libsignal's RecordStructure, SessionStructure and Chain. */
enum { RECORD_CURRENT = 1, RECORD_PREVIOUS = 2 };
enum {
    SESSION_REMOTE_IDENTITY = 3,
    SESSION_SENDER_CHAIN = 6,
    SESSION_RECEIVER_CHAIN = 7,
    SESSION_PENDING_PREKEY = 9,
    SESSION_REMOTE_REGISTRATION = 10,
    SESSION_BASE_KEY = 13,
};
enum { CHAIN_SKIPPED = 4 }; /* of a sender key state too */
enum { SENDER_RECORD_STATE = 1 };

bool sigstore_session_open(struct bytes record, const uint8_t **identity, struct bytes *session)
{
    if (record.n < HEAD || record.p[0] != FORMAT) {
        return false;
    }
    *identity = record.p + 1;
    *session = (struct bytes){record.p + HEAD, record.n - HEAD};
    return true;
}

void sigstore_session_close(const uint8_t identity[CRYPTO_KEY], struct bytes session,
                            struct buf *out)
{
    buf_add_u8(out, FORMAT);
    buf_add(out, identity, CRYPTO_KEY);
    buf_add(out, session.p, session.n);
}

/* ---- looking ---- */

static bool copy_typed_key(struct bytes from, uint8_t out[CRYPTO_KEY])
{
    if (from.n != TYPED_KEY) {
        return false;
    }
    memcpy(out, from.p + 1, CRYPTO_KEY);
    return true;
}

static int count_skipped(struct bytes chain, size_t *out)
{
    struct sigstore_field field;
    size_t n = 0;
    int rc;

    while ((rc = sigstore_wire_next(&chain, &field)) > 0) {
        n += field.number == CHAIN_SKIPPED ? 1 : 0;
    }
    *out = n > *out ? n : *out;
    return rc;
}

/* @peer is that of the session in use, or NULL for an older one, of which only chains count. */
static int look_state(struct bytes state, struct sigstore_session *out, struct sigstore_peer *peer)
{
    struct sigstore_field field;
    int rc;
    bool pending = false;

    while ((rc = sigstore_wire_next(&state, &field)) > 0) {
        if (field.number == SESSION_RECEIVER_CHAIN) {
            if (count_skipped(field.bytes, &out->skipped_max) < 0) {
                return -1;
            }
        } else if (peer == NULL) {
            continue;
        } else if (field.number == SESSION_REMOTE_IDENTITY) {
            peer->has_identity = copy_typed_key(field.bytes, peer->identity);
        } else if (field.number == SESSION_SENDER_CHAIN) {
            peer->has_session = true;
        } else if (field.number == SESSION_PENDING_PREKEY) {
            pending = true;
        } else if (field.number == SESSION_REMOTE_REGISTRATION) {
            peer->registration_id = (uint32_t)field.value;
        } else if (field.number == SESSION_BASE_KEY) {
            (void)copy_typed_key(field.bytes, peer->base_key);
        }
    }
    if (peer != NULL) {
        peer->is_acknowledged = peer->has_session && !pending;
    }
    return rc;
}

bool sigstore_session_look(struct bytes session, struct sigstore_session *out)
{
    struct sigstore_session made = {0};
    struct sigstore_field field;
    int rc;

    while ((rc = sigstore_wire_next(&session, &field)) > 0) {
        bool current = field.number == RECORD_CURRENT;

        if (!current && field.number != RECORD_PREVIOUS) {
            continue;
        }
        made.peer.archived += current ? 0 : 1;
        if (look_state(field.bytes, &made, current ? &made.peer : NULL) < 0) {
            return false;
        }
    }
    if (rc == 0) {
        *out = made;
    }
    return rc == 0;
}

/* ---- trimming ---- */

static int trim_chain(struct bytes chain, size_t skipped, struct buf *out)
{
    struct sigstore_field field;
    size_t n = 0;
    size_t at = 0;
    int rc = count_skipped(chain, &n);

    if (rc < 0) {
        return rc;
    }
    while ((rc = sigstore_wire_next(&chain, &field)) > 0) {
        /* the library appends: the first ones are the oldest */
        if (field.number != CHAIN_SKIPPED || ++at + skipped > n) {
            buf_add(out, field.whole.p, field.whole.n);
        }
    }
    return rc;
}

static int trim_state(struct bytes state, size_t skipped, struct buf *out)
{
    struct sigstore_field field;
    int rc;

    while ((rc = sigstore_wire_next(&state, &field)) > 0) {
        if (field.number == SESSION_RECEIVER_CHAIN) {
            struct buf chain = {0};

            rc = trim_chain(field.bytes, skipped, &chain);
            if (rc == 0) {
                sigstore_wire_bytes(out, field.number, buf_bytes(&chain));
            }
            buf_wipe(&chain);
            if (rc < 0) {
                return rc;
            }
        } else {
            buf_add(out, field.whole.p, field.whole.n);
        }
    }
    return rc;
}

/* An archived session that was never begun is of no use: the library leaves such ones. */
static bool is_begun(struct bytes state)
{
    struct sigstore_field field;

    while (sigstore_wire_next(&state, &field) > 0) {
        if (field.number == SESSION_REMOTE_IDENTITY) {
            return true;
        }
    }
    return false;
}

bool sigstore_session_trim(struct bytes session, size_t archived, size_t skipped, struct buf *out)
{
    struct sigstore_field field;
    size_t before = out->n;
    size_t kept = 0;
    int rc;

    while ((rc = sigstore_wire_next(&session, &field)) > 0) {
        struct buf state = {0};

        if (field.number == RECORD_PREVIOUS && (kept == archived || !is_begun(field.bytes))) {
            continue;
        }
        kept += field.number == RECORD_PREVIOUS ? 1 : 0;
        rc = trim_state(field.bytes, skipped, &state);
        if (rc == 0) {
            sigstore_wire_bytes(out, field.number, buf_bytes(&state));
        }
        buf_wipe(&state);
        if (rc < 0) {
            break;
        }
    }
    if (rc < 0) {
        out->n = before;
    }
    return rc == 0;
}

bool sigstore_session_archive(struct bytes session, struct buf *out)
{
    struct sigstore_field field;
    size_t before = out->n;
    int rc;

    while ((rc = sigstore_wire_next(&session, &field)) > 0) { /* the one in use comes first */
        if (field.number == RECORD_CURRENT && is_begun(field.bytes)) {
            sigstore_wire_bytes(out, RECORD_PREVIOUS, field.bytes);
        } else if (field.number == RECORD_PREVIOUS) {
            buf_add(out, field.whole.p, field.whole.n);
        }
    }
    if (rc < 0) {
        out->n = before;
    }
    return rc == 0;
}

bool sigstore_sender_trim(struct bytes record, size_t skipped, struct buf *out)
{
    struct sigstore_field field;
    size_t before = out->n;
    int rc;

    while ((rc = sigstore_wire_next(&record, &field)) > 0) {
        struct buf state = {0};

        if (field.number != SENDER_RECORD_STATE) {
            continue;
        }
        rc = trim_chain(field.bytes, skipped, &state);
        if (rc == 0) {
            sigstore_wire_bytes(out, field.number, buf_bytes(&state));
        }
        buf_wipe(&state);
        if (rc < 0) {
            break;
        }
    }
    if (rc < 0) {
        out->n = before;
    }
    return rc == 0;
}
