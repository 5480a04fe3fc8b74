/* wa_proto: protobuf messages of a peer, unpacked only after their shape was checked: the library
 * behind recurses and allocates as deep and as much as the bytes say. */
#ifndef WA_WA_PROTO_H
#define WA_WA_PROTO_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

struct err;
struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;

enum {
    WA_PROTO_DEPTH_MAX = 64,       /* messages in messages */
    WA_PROTO_MESSAGES_MAX = 20000, /* in one input, at any depth */
    WA_PROTO_FIELDS_MAX = 200000
};

/* Once per process. -ERR_EXTERNAL: another library's old copy of protobuf-c is bound. */
NODISCARD int wa_proto_start(struct err *err);

/* Look at the nesting of @raw as a message of @kind, without unpacking. -ERR_INVALID: not whole
 * fields; -ERR_LIMIT: one of the limits above. */
NODISCARD int wa_proto_check(const struct ProtobufCMessageDescriptor *kind, struct bytes raw,
                             struct err *err);

/* Check and unpack. Gives *@out, a struct of @kind (wa_proto_free). -ERR_INVALID, -ERR_LIMIT. */
NODISCARD int wa_proto_unpack(const struct ProtobufCMessageDescriptor *kind, struct bytes raw,
                              struct ProtobufCMessage **out, struct err *err);
void wa_proto_free(struct ProtobufCMessage **message); /* NULL is fine */

/* Append the bytes of @message, which is any generated struct. */
void wa_proto_pack(const void *message, struct buf *out);

#endif
