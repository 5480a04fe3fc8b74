/* noise: the Noise handshake (XX both sides; IK and XXfallback answered) and the transport that
 * follows it. Pure: bytes in, bytes out; protobuf around the pieces is the caller's. Whoever fails
 * must drop the object: its state is undefined then. */
#ifndef NOISE_NOISE_H
#define NOISE_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "crypto/crypto.h"

struct err;

enum {
    NOISE_STATIC_BOX = CRYPTO_KEY + CRYPTO_GCM_TAG /* bytes of an encrypted static key */
};

/* What both sides hash and mix. */
struct noise_state {
    uint8_t h[CRYPTO_SHA256];
    uint8_t ck[CRYPTO_KEY];
    uint8_t k[CRYPTO_KEY];
    uint32_t n;
};

/* One handshake of either side, in the caller's memory. End it with noise_handshake_wipe. */
struct noise_handshake {
    struct noise_state state;
    struct crypto_pair ephemeral; /* own */
    uint8_t peer_ephemeral[CRYPTO_KEY];
    uint8_t peer_static[CRYPTO_KEY]; /* known after the step that decrypts it */
};

/* The pieces of a message as received; those it does not have are empty. */
struct noise_message {
    struct bytes ephemeral;
    struct bytes static_box;
    struct bytes payload_box;
};

/* The pieces to send. End it with noise_reply_done. */
struct noise_reply {
    uint8_t static_box[NOISE_STATIC_BOX];
    struct buf payload_box;
};

/* Both directions after a handshake; all-zero is none. End it with noise_transport_done. */
struct noise_transport {
    struct crypto_gcm *sealer;
    struct crypto_gcm *opener;
    uint32_t sealed; /* frames so far: the next nonce */
    uint32_t opened;
};

void noise_handshake_wipe(struct noise_handshake *hs);
void noise_reply_done(struct noise_reply *reply);

/* ---- client, XX ----
 * Start with an own ephemeral pair (fresh per connection; given, so that vectors can be made).
 * The hello is hs->ephemeral.pub. */
void noise_client_start(struct noise_handshake *hs, struct bytes prologue,
                        const struct crypto_pair *ephemeral);
/* Take the server's answer; @payload gets the decrypted certificates appended, peer_static is set.
 * -ERR_CRYPTO: a field of wrong length or one that does not decrypt. */
NODISCARD int noise_client_read(struct noise_handshake *hs, const struct noise_message *message,
                                struct buf *payload, struct err *err);
/* Make the last message, which shows the long-lived pair @own and carries @payload, and the
 * transport; wipes the secrets of @hs. */
NODISCARD int noise_client_finish(struct noise_handshake *hs, const struct crypto_pair *own,
                                  struct bytes payload, struct noise_reply *reply,
                                  struct noise_transport *out, struct err *err);

/* ---- server ----
 * XX: start with the hello's ephemeral. After a refused IK hello: the fallback name instead. */
enum noise_answer { NOISE_ANSWER_XX, NOISE_ANSWER_FALLBACK };
NODISCARD int noise_server_start(struct noise_handshake *hs, enum noise_answer answer,
                                 struct bytes prologue, struct bytes client_ephemeral,
                                 const struct crypto_pair *ephemeral, struct err *err);
/* The encrypted static key and @payload (the certificates); goes out with hs->ephemeral.pub. */
NODISCARD int noise_server_write(struct noise_handshake *hs, const struct crypto_pair *own,
                                 struct bytes payload, struct noise_reply *reply, struct err *err);
/* Take the last message: sets peer_static, appends the payload, makes the transport, wipes the
 * secrets of @hs. -ERR_CRYPTO: does not decrypt. */
NODISCARD int noise_server_finish(struct noise_handshake *hs, const struct noise_message *message,
                                  struct buf *payload, struct noise_transport *out,
                                  struct err *err);

/* ---- server, IK: everything in one hello ----
 * Read it: sets peer_static and appends the payload. -ERR_CRYPTO: answer with the fallback. */
NODISCARD int noise_server_ik_read(struct noise_handshake *hs, struct bytes prologue,
                                   const struct crypto_pair *own,
                                   const struct noise_message *message, struct buf *payload,
                                   struct err *err);
/* Answer it with @payload, without a static box; makes the transport, wipes the secrets of @hs. */
NODISCARD int noise_server_ik_finish(struct noise_handshake *hs,
                                     const struct crypto_pair *ephemeral, struct bytes payload,
                                     struct noise_reply *reply, struct noise_transport *out,
                                     struct err *err);

/* ---- transport ---- */
void noise_transport_done(struct noise_transport *transport); /* wipes; leaves it all-zero */
/* Append the sealed form of @plain. -ERR_LIMIT: the counter is used up. */
NODISCARD int noise_seal(struct noise_transport *transport, struct bytes plain, struct buf *out,
                         struct err *err);
/* Write the plaintext, @sealed.n - CRYPTO_GCM_TAG bytes, to @out (may be @sealed.p). The counter
 * moves only on success. -ERR_CRYPTO, -ERR_LIMIT. */
NODISCARD int noise_open(struct noise_transport *transport, struct bytes sealed, uint8_t *out,
                         struct err *err);

#endif
