/* wa_host: the server's end of one connection: intro, handshake, frames, nodes. What the stanzas
 * mean is the caller's. Pure: bytes in, bytes and events out; no clock (time-outs are the
 * caller's). One thread.
 *
 *     HELLO --client hello--> FINISH --client finish--> OPEN      (IK: HELLO -> OPEN)
 *
 * A failed feed or send ends it: say goodbye with nothing and close the socket. */
#ifndef WA_WA_HOST_H
#define WA_WA_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mem.h"
#include "crypto/crypto.h"
#include "wa/wa_node.h"
#include "wa/wa_payload.h"

struct err;
struct wa_host;

/* Shared by all connections of a server; borrowed as long as they live. */
struct wa_host_config {
    struct crypto_pair static_pair; /* that the leaf certificate names */
    struct bytes cert_chain;        /* by wa_cert_chain_make */
    bool refuse_ik;                 /* answer every IK hello with the fallback */
};

struct wa_host_ops {
    /* Send @message as one binary websocket message. Borrowed for the call. */
    void (*on_send)(void *ctx, struct bytes message);
    /* Who the client says it is, once. The caller must look up @noise_key itself before it believes
     * a login, and answers with stanzas. */
    void (*on_payload)(void *ctx, const struct wa_payload *payload,
                       const uint8_t noise_key[CRYPTO_KEY]);
    /* One stanza, in order of arrival. Borrowed for the call. */
    void (*on_node)(void *ctx, struct wa_node *node);
};

/* Gives a connection (wa_host_free); borrows both structs until then. */
struct wa_host *wa_host_new(const struct wa_host_config *config, const struct wa_host_ops *ops,
                            void *ctx);
/* Wipes. From inside a callback the memory goes when the feed returns. */
void wa_host_free(struct wa_host **host);

/* Take bytes off the socket. On failure nothing more is done; close the socket:
 *   -ERR_INVALID  not this protocol (intro, protobuf, node)
 *   -ERR_LIMIT    a frame or tree over its limits
 *   -ERR_CRYPTO   a frame that does not decrypt: changed, lost or repeated
 *   -ERR_CLOSED   it failed or was freed before */
NODISCARD int wa_host_feed(struct wa_host *host, struct bytes in, struct err *err);

/* Send one stanza. -ERR_CLOSED: not open (yet); -ERR_INVALID, -ERR_LIMIT: the node, nothing was
 * sent. */
NODISCARD int wa_host_send(struct wa_host *host, const struct wa_node *node, struct err *err);

/* The same for bytes that wa_node_encode made earlier. */
NODISCARD int wa_host_send_packed(struct wa_host *host, struct bytes packed, struct err *err);

/* Where a feed failed. */
enum wa_host_fault {
    WA_HOST_FRAMING,   /* no intro of ours, or a frame over its limits */
    WA_HOST_HANDSHAKE, /* a hello, finish or payload that does not hold */
    WA_HOST_SEAL,      /* a frame that does not decrypt */
    WA_HOST_NODE       /* what was in it is no node */
};
enum wa_host_fault wa_host_fault(const struct wa_host *host); /* after a failed feed */

bool wa_host_is_open(const struct wa_host *host);
bool wa_host_is_ik(const struct wa_host *host); /* the client resumed by IK */

#endif
