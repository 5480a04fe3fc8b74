/* ledger_station: the other side of a ledger under test: sends commands and events to Kafka and
 * reads the log that comes out, as a reader by position does. Not part of the product. */
#ifndef LEDGER_LEDGER_STATION_H
#define LEDGER_LEDGER_STATION_H

#include "base/attr.h"
#include "base/err.h"
#include "base/uuid.h"
#include "ledger/ledger.h"

enum { STATION_IDS_MAX = 64 };

struct bus_consumer;
struct bus_producer;

struct station {
    struct loop *loop;
    const char *brokers;
    struct bus_producer *producer;
    struct bus_consumer *consumer;
    int64_t undelivered;
    /* the log of wa.blast.events.v1 by the rule of L4 */
    int64_t last[LEDGER_PARTITIONS];
    int64_t applied;
    int64_t repeats;
    int64_t early;
    int64_t broken; /* sequences that did not follow each other, epochs that went back */
    int64_t epoch[LEDGER_PARTITIONS];
    struct {
        char id[UUID_TEXT_MAX];
        int64_t sequence;
    } ids[STATION_IDS_MAX];
    size_t n_ids;
    /* wa.dlq.v1 */
    int64_t dead;
    char reason[256]; /* of the last */
};

/* Makes the topics under a prefix of their own, new for each call in this process, and connects. */
NODISCARD int station_open(struct station *station, struct loop *loop, const char *brokers,
                           struct err *err);
void station_close(struct station *station); /* and deletes its topics */
const char *station_prefix(void);            /* of the last station_open */

/* Send a PauseBlast to blast @id, of session @id. @command_id NULL: a new one. */
void station_command(struct station *station, const char *id, const char *command_id);
/* Send an event of session @id at @position, on wa.session.events.v1 or wa.webhook.events.v1. */
void station_event(struct station *station, enum topic topic, const char *id, int64_t position);
void station_bytes(struct station *station, enum topic topic, const char *id, const char *bytes);
void station_wire(struct station *station, enum topic topic, const char *id, struct bytes wire);

/* Let the broker take records of @topic up to @bytes only. */
NODISCARD int station_limit(const char *brokers, enum topic topic, int bytes, struct err *err);

/* An id in @partition; the same for the same arguments. */
struct uuid station_id(int partition, int number);

#endif
