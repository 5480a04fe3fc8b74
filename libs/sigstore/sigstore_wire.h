/* sigstore_wire: protobuf fields one after the other, for the few places that look into libsignal's
 * records and messages without unpacking them. */
#ifndef SIGSTORE_SIGSTORE_WIRE_H
#define SIGSTORE_SIGSTORE_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct sigstore_field {
    uint32_t number;
    uint64_t value;     /* of a varint */
    struct bytes bytes; /* of a length-delimited one */
    struct bytes whole; /* with its tag, to copy as it is */
};

/* The next field of *@rest, which moves on: 1; at the end: 0; malformed (groups too): -1. */
int sigstore_wire_next(struct bytes *rest, struct sigstore_field *out);

void sigstore_wire_varint(struct buf *out, uint32_t number, uint64_t value);
void sigstore_wire_bytes(struct buf *out, uint32_t number, struct bytes bytes);

#endif
