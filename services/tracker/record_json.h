/* record_json: a struct of records.h as JSON text, by its field table. Bytes are left out: they are
 * keys, sealed tokens, ciphertexts. */
#ifndef TRACKER_RECORD_JSON_H
#define TRACKER_RECORD_JSON_H

#include "record/records.h"

struct buf;

void record_to_json(const struct record_type *type, const void *record,
                    struct buf *out); /* appends */

/* The payload of the kind that @record, an event or command, is of; "{}" for none. */
void record_payload_to_json(const struct record_type *type, const void *record, struct buf *out);

#endif
