#include "sigstore/sigstore_wire.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5, VARINT_MAX = 10 };

static bool take_varint(struct bytes *rest, uint64_t *out)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < VARINT_MAX && i < rest->n; i++) {
        value |= (uint64_t)(rest->p[i] & 0x7f) << (7 * i);
        if ((rest->p[i] & 0x80) == 0) {
            rest->p += i + 1;
            rest->n -= i + 1;
            *out = value;
            return true;
        }
    }
    return false;
}

static bool take_bytes(struct bytes *rest, uint64_t n, struct bytes *out)
{
    if (n > rest->n) {
        return false;
    }
    *out = (struct bytes){rest->p, (size_t)n};
    rest->p += n;
    rest->n -= (size_t)n;
    return true;
}

int sigstore_wire_next(struct bytes *rest, struct sigstore_field *out)
{
    struct bytes at = *rest;
    struct sigstore_field field = {0};
    uint64_t tag;
    uint64_t n;
    bool ok;

    if (at.n == 0) {
        return 0;
    }
    if (!take_varint(&at, &tag) || tag >> 3 == 0 || tag >> 32 != 0) {
        return -1;
    }
    field.number = (uint32_t)(tag >> 3);
    switch (tag & 7) {
    case WIRE_VARINT:
        ok = take_varint(&at, &field.value);
        break;
    case WIRE_64:
        ok = take_bytes(&at, 8, &field.bytes);
        break;
    case WIRE_BYTES:
        ok = take_varint(&at, &n) && take_bytes(&at, n, &field.bytes);
        break;
    case WIRE_32:
        ok = take_bytes(&at, 4, &field.bytes);
        break;
    default:
        ok = false;
        break;
    }
    if (!ok) {
        return -1;
    }
    field.whole = (struct bytes){rest->p, rest->n - at.n};
    *rest = at;
    *out = field;
    return 1;
}

static void add_varint(struct buf *out, uint64_t value)
{
    while (value >= 0x80) {
        buf_add_u8(out, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    buf_add_u8(out, (uint8_t)value);
}

void sigstore_wire_varint(struct buf *out, uint32_t number, uint64_t value)
{
    add_varint(out, (uint64_t)number << 3 | WIRE_VARINT);
    add_varint(out, value);
}

void sigstore_wire_bytes(struct buf *out, uint32_t number, struct bytes bytes)
{
    add_varint(out, (uint64_t)number << 3 | WIRE_BYTES);
    add_varint(out, bytes.n);
    buf_add(out, bytes.p, bytes.n);
}
