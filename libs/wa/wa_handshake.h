/* wa_handshake: the three protobuf messages that carry the pieces of the Noise handshake. */
#ifndef WA_WA_HANDSHAKE_H
#define WA_WA_HANDSHAKE_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/buf.h"
#include "noise/noise.h"

struct err;
struct ProtobufCMessage;

enum wa_handshake_kind { WA_CLIENT_HELLO, WA_SERVER_HELLO, WA_CLIENT_FINISH };

/* A message as read; the pieces borrow from it. End it with wa_handshake_done. */
struct wa_handshake {
    struct ProtobufCMessage *message;
    struct noise_message pieces; /* empty where absent */
    bool has_static;             /* in a client hello: an attempt at IK */
};

/* Append one message. Pieces of no bytes are left out. */
void wa_handshake_write(enum wa_handshake_kind kind, const struct noise_message *pieces,
                        struct buf *out);
/* Read one that must be of @kind. -ERR_INVALID, -ERR_LIMIT. */
NODISCARD int wa_handshake_read(enum wa_handshake_kind kind, struct bytes raw,
                                struct wa_handshake *out, struct err *err);
void wa_handshake_done(struct wa_handshake *handshake);

#endif
