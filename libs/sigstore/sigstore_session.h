/* sigstore_session: looking into the stored record of a peer.
 *
 *     peer record = 0x01 || identity (32 bytes) || session
 *     session     = libsignal's RecordStructure, empty when there is none
 *
 * The identity is that of the session in use, and outlives the session, so that one row per peer
 * device is enough to notice that it changed. */
#ifndef SIGSTORE_SIGSTORE_SESSION_H
#define SIGSTORE_SIGSTORE_SESSION_H

#include "base/buf.h"
#include "sigstore/sigstore.h"

/* Split a peer record. Borrows @record. False: not one of ours. */
bool sigstore_session_open(struct bytes record, const uint8_t **identity, struct bytes *session);

/* Append a peer record. */
void sigstore_session_close(const uint8_t identity[CRYPTO_KEY], struct bytes session,
                            struct buf *out);

struct sigstore_session {
    struct sigstore_peer peer; /* of the session in use */
    size_t skipped_max;        /* kept message keys of the chain that has most */
};

/* What a session says. False: malformed. */
bool sigstore_session_look(struct bytes session, struct sigstore_session *out);

/* Append @session with at most @archived older ones and at most @skipped kept keys per chain, the
 * oldest left out. False, @out as it was: malformed. */
bool sigstore_session_trim(struct bytes session, size_t archived, size_t skipped, struct buf *out);

/* Append @session with the one in use set aside. False, @out as it was: malformed. */
bool sigstore_session_archive(struct bytes session, struct buf *out);

/* Append a sender key record with at most @skipped kept keys per state. False, @out as it was:
 * malformed. */
bool sigstore_sender_trim(struct bytes record, size_t skipped, struct buf *out);

#endif
