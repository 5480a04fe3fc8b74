/* bus_codec: the records of records.h as bytes in Confluent's wire format (0x00, schema id, Avro),
 * and back. One codec for all topics, driven by the tables of libs/record.
 *
 * Any thread may call it (avro-c keeps process-wide state, so calls of several threads wait for
 * each other; a record takes microseconds). */
#ifndef BUS_BUS_CODEC_H
#define BUS_BUS_CODEC_H

#include "base/arena.h"
#include "base/attr.h"
#include "base/buf.h"
#include "record/records.h"

struct err;

enum {
    BUS_RECORD_MAX = 1000000,    /* bytes of a record on the wire; the broker takes a little more */
    BUS_RECORD_ITEMS_MAX = 50000 /* list and map items in one record, nested ones counted */
};

/* Append @record (the struct of topics[@topic].type) to @out, with the newest schema of the topic.
 * A command's or event's type name and schema_version are written by the codec from `kind`: what
 * the struct says there is not looked at. On failure @out is as it was:
 *   -ERR_INVALID  a member that must not be null is NULL, text is no UTF-8, no such kind; names it
 *   -ERR_LIMIT    over BUS_RECORD_MAX */
NODISCARD int bus_encode(enum topic topic, const void *record, struct buf *out, struct err *err);

/* Read @from into @record (zeroed first; lives as long as @arena; borrows nothing of @from) with
 * the schema that it names; members that this schema does not have get the newest schema's
 * defaults.
 *   -ERR_INVALID   not one whole well-formed record of this topic; names the member and why
 *   -ERR_LIMIT     over BUS_RECORD_MAX or BUS_RECORD_ITEMS_MAX
 *   -ERR_NOT_FOUND a schema id that this build does not know: newer writers run somewhere */
NODISCARD int bus_decode(enum topic topic, struct bytes from, struct arena *arena, void *record,
                         struct err *err);

/* Only the Avro body of @record, without the five bytes in front: what hashes over chunks are made
 * of. As bus_encode otherwise. */
NODISCARD int bus_encode_body(enum topic topic, const void *record, struct buf *out,
                              struct err *err);

/* The Avro body inside the wire bytes @from; empty when they are too short. Borrows @from. */
struct bytes bus_body(struct bytes from);

#endif
