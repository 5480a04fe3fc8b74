/* bus_consumer: records from Kafka (wraps librdkafka) on the loop, from offsets that the owner
 * keeps.
 *
 * Group mode: range assignor, static membership, read_committed, nothing committed by itself, no
 * reset of offsets. `assigned` says which partitions are ours now; the owner reads its offsets
 * (taking its time) and answers with bus_consumer_start. Manual mode: bus_consumer_start says what
 * to read, at any time; no group.
 *
 * All calls belong to the loop's thread; none blocks. */
#ifndef BUS_BUS_CONSUMER_H
#define BUS_BUS_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mem.h"
#include "bus/bus_producer.h" /* struct bus_header */
#include "record/records.h"

struct arena;
struct err;
struct loop;
struct bus_consumer;

/* One record. Whoever gets it owns it (bus_record_free). Not to be changed. */
struct bus_record {
    enum topic topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* of the broker or the writer; -1 when it has none */
    struct bytes key;     /* p NULL when it has none */
    struct bytes value;   /* p NULL when it has none */
};

void bus_record_free(struct bus_record **record); /* sets *@record to NULL; NULL is fine */

/* The last header of that name, borrowed until bus_record_free; true when there is one. */
bool bus_record_header(const struct bus_record *record, const char *name, struct bytes *out);

bool bus_header_is_secret(const char *name); /* x-api-key, authorization, cookie; any case */

enum { BUS_SECRET_MIN = 8 }; /* bytes; a shorter one is not looked for: it may be anything */

/* Overwrite with asterisks what the secret headers of @record hold, wherever it stands in the @n
 * bytes at @text: clients put their key in the wrong place, too. */
void bus_record_mask(const struct bus_record *record, uint8_t *text, size_t n);

enum { BUS_OFFSET_BEGINNING = -2 }; /* the first record that is kept */

struct bus_partition {
    enum topic topic;
    int32_t number;
    int64_t offset; /* of the next record to read, or BUS_OFFSET_BEGINNING; ignored in `assigned` */
};

struct bus_consumer_events {
    /* Group mode: these and no others are ours from now on, once bus_consumer_start was said.
     * Sorted by topic and number; may be none. Always preceded by `revoked` when there were any
     * before. */
    void (*assigned)(const struct bus_partition *partitions, size_t n, void *ctx);
    /* Group mode: none is ours any more: stop writing and sending before returning. @is_lost:
     * others may have them already. No record of them comes after this. */
    void (*revoked)(bool is_lost, void *ctx);
    /* The next record of a partition that was started. Takes @record. */
    void (*record)(struct bus_record *record, void *ctx);
    /* Manual mode, may be NULL: all that is there now was given; comes again after later records.
     */
    void (*at_end)(enum topic topic, int32_t partition, int64_t next_offset, void *ctx);
    /* @is_fatal: no record will come any more, close it. Examples: the instance id is in use twice;
     * a start offset is not there (-ERR_NOT_FOUND names topic, partition and offset: nothing is
     * skipped silently). Not fatal: no broker can be reached; it goes on trying. */
    void (*failed)(const struct err *err, bool is_fatal, void *ctx);
    void *ctx;
};

struct bus_consumer_options {
    const char *brokers;
    const char *client_id;
    const char *group;        /* NULL: manual mode */
    const char *instance_id;  /* group.instance.id; unique in the group, the same after a restart */
    const enum topic *topics; /* to subscribe to, in group mode */
    size_t n_topics;
    int64_t session_timeout_ms; /* 0: 45000 */
    size_t prefetch_records;    /* kept ready, about; 0: 1000 */
    struct bus_consumer_events events;
};

/* Gives *@out (bus_consumer_close). Keeps nothing of @options but events.ctx. Returns before any
 * broker was reached. -ERR_INVALID: an option that librdkafka refuses. */
NODISCARD int bus_consumer_new(struct loop *loop, const struct bus_consumer_options *options,
                               struct bus_consumer **out, struct err *err);

/* Begin reading. Group mode: once per `assigned`, with its partitions and their offsets; others may
 * stand beside them, such as the same numbers of topics that the group does not subscribe to (L8).
 * Manual mode: replaces what was read before. -ERR_FENCED: the assignment was revoked meanwhile, do
 * nothing; -ERR_INVALID: a partition of the assignment is missing. */
NODISCARD int bus_consumer_start(struct bus_consumer *consumer,
                                 const struct bus_partition *partitions, size_t n, struct err *err);

/* Group mode: ask for a new assignment, of the same partitions perhaps. `revoked` and `assigned`
 * follow. */
void bus_consumer_rejoin(struct bus_consumer *consumer);

/* No record of that partition until resume; what was fetched is kept, bounded. Cheap: fine to say
 * for every record. A partition that is not ours is left alone. */
void bus_consumer_pause(struct bus_consumer *consumer, enum topic topic, int32_t partition);
void bus_consumer_resume(struct bus_consumer *consumer, enum topic topic, int32_t partition);

/* The same for all partitions at once, beside what pause says of each: while a transaction runs. */
void bus_consumer_hold(struct bus_consumer *consumer, bool is_held);

/* Tell the broker, for displays of lag only, that everything before the offsets of @partitions was
 * handled. Its outcome does not matter and is not told. Group mode. */
void bus_consumer_commit(struct bus_consumer *consumer, const struct bus_partition *partitions,
                         size_t n);

/* Records in the log that were not given to `record` yet, as far as known from the last fetch; -1
 * while unknown or not ours. */
int64_t bus_consumer_lag(const struct bus_consumer *consumer, enum topic topic, int32_t partition);

/* @end: the offset behind the last record; negative: -ERR_TIMEOUT when no broker answered,
 * -ERR_CLOSED when the consumer was closed meanwhile. */
typedef void bus_end_cb(int64_t end, void *ctx);

/* Ask the broker, not what is known from the last fetch, where a partition ends now. Calls
 * @fn(@end, @ctx) once, in any case, from the loop. */
void bus_consumer_ask_end(struct bus_consumer *consumer, enum topic topic, int32_t partition,
                          bus_end_cb *fn, void *ctx);

/* Sets *@consumer to NULL (NULL is fine): no more callbacks, unread records are given back. A
 * static member keeps its partitions for the session time-out, so that a restart gets them again.
 * The end itself happens on a thread of the pool; @on_closed(@ctx), may be NULL, hears of it. */
void bus_consumer_close(struct bus_consumer **consumer, void (*on_closed)(void *ctx), void *ctx);

#endif
