#include "wa/wa_proto.h"

#include <protobuf-c/protobuf-c.h>

#include "base/err.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

enum { PROTOBUF_C_WANTED = 1004000 };

struct walk {
    unsigned messages;
    unsigned fields;
    struct err *err;
};

int wa_proto_start(struct err *err)
{
    if (protobuf_c_version_number() < PROTOBUF_C_WANTED) {
        return err_set(err, ERR_EXTERNAL, "protobuf-c %s is bound, want 1.4: wrong link order",
                       protobuf_c_version());
    }
    return 0;
}

/* Take a varint off the front of @in. */
static int take_varint(struct bytes *in, uint64_t *out, struct err *err)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70 && in->n > 0; shift += 7) {
        uint8_t byte = *in->p;

        in->p++;
        in->n--;
        if (shift < 64) {
            v |= (uint64_t)(byte & 0x7f) << shift;
        }
        if ((byte & 0x80) == 0) {
            *out = v;
            return 0;
        }
    }
    (void)err_set(err, ERR_INVALID, "protobuf: a number without an end");
    return -ERR_INVALID;
}

/* Take the value of one field; *@value is its bytes when it has a length. */
static int take_value(unsigned wire, struct bytes *in, struct bytes *value, struct err *err)
{
    uint64_t n = 0;
    int rc = 0;

    *value = (struct bytes){0};
    switch (wire) {
    case WIRE_VARINT:
        return take_varint(in, &n, err);
    case WIRE_FIXED64:
        n = 8;
        break;
    case WIRE_FIXED32:
        n = 4;
        break;
    case WIRE_BYTES:
        rc = take_varint(in, &n, err);
        break;
    default:
        return err_set(err, ERR_INVALID, "protobuf: wire type %u", wire);
    }
    if (rc == 0 && n > in->n) {
        return err_set(err, ERR_INVALID, "protobuf: cut off");
    }
    if (rc == 0) {
        *value = (struct bytes){in->p, (size_t)n};
        in->p += n;
        in->n -= (size_t)n;
    }
    return rc;
}

static int walk_message(struct walk *walk, const ProtobufCMessageDescriptor *kind, struct bytes in,
                        int depth)
{
    int rc = 0;

    if (depth > WA_PROTO_DEPTH_MAX || ++walk->messages > WA_PROTO_MESSAGES_MAX) {
        return err_set(walk->err, ERR_LIMIT, "protobuf: over %d deep or %d messages",
                       WA_PROTO_DEPTH_MAX, WA_PROTO_MESSAGES_MAX);
    }
    while (rc == 0 && in.n > 0) {
        const ProtobufCFieldDescriptor *field = NULL;
        struct bytes value = {0};
        uint64_t key = 0;

        if (++walk->fields > WA_PROTO_FIELDS_MAX) {
            return err_set(walk->err, ERR_LIMIT, "protobuf: over %d fields", WA_PROTO_FIELDS_MAX);
        }
        rc = take_varint(&in, &key, walk->err);
        if (rc == 0) {
            rc = take_value((unsigned)(key & 7), &in, &value, walk->err);
        }
        if (rc == 0 && (key & 7) == WIRE_BYTES && key >> 3 <= UINT32_MAX) {
            field = protobuf_c_message_descriptor_get_field(kind, (unsigned)(key >> 3));
        }
        if (field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE) {
            rc = walk_message(walk, field->descriptor, value, depth + 1);
        }
    }
    return rc;
}

int wa_proto_check(const struct ProtobufCMessageDescriptor *kind, struct bytes raw, struct err *err)
{
    struct walk walk = {.err = err};

    return walk_message(&walk, kind, raw, 1);
}

int wa_proto_unpack(const struct ProtobufCMessageDescriptor *kind, struct bytes raw,
                    struct ProtobufCMessage **out, struct err *err)
{
    ProtobufCMessage *message;
    int rc = wa_proto_check(kind, raw, err);

    if (rc < 0) {
        return rc;
    }
    message =
        protobuf_c_message_unpack(kind, NULL, raw.n, raw.n == 0 ? (const uint8_t *)"" : raw.p);
    if (message == NULL) {
        return err_set(err, ERR_INVALID, "protobuf: not a %s", kind->short_name);
    }
    *out = message;
    return 0;
}

void wa_proto_free(struct ProtobufCMessage **message)
{
    if (*message != NULL) {
        protobuf_c_message_free_unpacked(*message, NULL);
        *message = NULL;
    }
}

void wa_proto_pack(const void *message, struct buf *out)
{
    size_t n = protobuf_c_message_get_packed_size(message);

    (void)protobuf_c_message_pack(message, buf_room(out, n));
    buf_used(out, n);
}
