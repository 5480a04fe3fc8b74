/* upload: does what a create command says of its recipients hold: number of chunks, number of
 * recipients, hash? Chunks are read a few at a time, outside of turns, so the loop goes on. */
#ifndef SCHEDULER_UPLOAD_H
#define SCHEDULER_UPLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mem.h"

struct create_blast;
struct err;
struct run;
struct upload;

enum { UPLOAD_REASON_MAX = 160 };

/* Begin to check the upload that @run's first parked command, @create, names. When it is known the
 * run becomes ready. Borrows @create until upload_free. Never calls back itself. */
struct upload *upload_new(struct run *run, const struct create_blast *create);
void upload_free(struct upload **upload); /* sets *@upload to NULL; NULL is fine */

bool upload_is_known(const struct upload *upload);
bool upload_has_failed(const struct upload *upload); /* it could not be read: try again */

/* Once known: "" when it is as the command says, else why not. */
const char *upload_reason(const struct upload *upload);

/* Once known: a blast of another partition got the id while the command waited. */
bool upload_is_taken(const struct upload *upload);

/* ---- the pure part ---- */

struct upload_sum; /* what was seen so far */

struct upload_sum *upload_sum_new(const struct create_blast *create);
void upload_sum_free(struct upload_sum **sum);

/* The next chunk in order of first index. False: it cannot be any more, upload_sum_reason says why.
 */
bool upload_sum_add(struct upload_sum *sum, int32_t first_index, int32_t recipients,
                    struct bytes body);
bool upload_sum_end(struct upload_sum *sum);           /* no chunk is left */
int32_t upload_sum_next(const struct upload_sum *sum); /* the first index of the next chunk */
const char *upload_sum_reason(const struct upload_sum *sum);

#endif
