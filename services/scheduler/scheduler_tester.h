/* scheduler_tester: what stands around a scheduler under test: ingress, which uploads and
 * commands; the connector, which tells of a session and of messages; and a reader of the log that
 * comes out. The scheduler itself is a process of its own, so that it can be killed. Not part of
 * the product. */
#ifndef SCHEDULER_SCHEDULER_TESTER_H
#define SCHEDULER_SCHEDULER_TESTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/uuid.h"
#include "domain/blast.h"
#include "domain/message.h"
#include "testkit/testkit_pg.h"

struct bus_consumer;
struct bus_producer;
struct loop;

enum { STATION_BLASTS_MAX = 8, STATION_WAIT_MS = 30000, STATION_USER_ID = 7 };

/* What the connector does with a message that is handed over. */
enum station_way { STATION_HOLD, STATION_SEND };

struct station_blast {
    char uuid[UUID_TEXT_MAX];
    char upload_id[32];
    int32_t total;
    int32_t chunks;
    char sha256[65];
    int64_t last_offset;                                  /* of its chunks */
    struct blast state;                                   /* folded from the log */
    unsigned kinds[BLAST_EVENT_RECIPIENTS_CANCELLED + 1]; /* how many of each */
    int64_t progressed_us;
    bool was_restarted; /* then counts are said at once */
    int32_t left_out;
    char reason[64]; /* of the last that was left out */
    int32_t n_cancelled;
    uint8_t *times;   /* handed over so often, by index */
    uint8_t *message; /* enum message_state, by index */
    int32_t n_handed;
    int64_t first_ms; /* when the first was handed over, and the last */
    int64_t last_ms;
    int32_t n_unsettled; /* handed over and not settled */
    int32_t most_unsettled;
};

struct station {
    struct loop *loop;
    struct bus_producer *producer;
    struct bus_consumer *consumer;
    struct testkit_pg db;
    char session[UUID_TEXT_MAX];
    int partition;
    enum station_way way;
    int64_t undelivered;
    int64_t offset; /* of the chunk delivered last */
    int64_t session_sequence;
    int64_t session_position;
    int64_t message_position;
    int64_t position; /* of the blast event folded last */
    struct station_blast blasts[STATION_BLASTS_MAX];
    size_t n_blasts;
    char broken[256]; /* what should never be, the first time; "" */
    /* the last message handed over */
    char text[256];
    char recipient[64];
    int64_t not_after;
    pid_t service; /* 0: not running */
    char env[24][160];
    size_t n_env;
};

/* Topics and a database of its own. Ends the process when a server is missing. */
void station_open(struct station *station, struct loop *loop);
void station_close(struct station *station);
void station_open_bus(struct station *station, const char *brokers); /* a part of open */

/* A setting for services started from now on. */
void station_set(struct station *station, const char *name, const char *value);
void station_start(struct station *station);
void station_kill(struct station *station); /* kill -9 */
int station_stop(struct station *station);  /* SIGTERM; its exit status */

/* Serves as "program service PREFIX": what main calls first. False: go on with the tests. */
bool station_is_service(int argc, char **argv, int *status);

/* Make and send the session's next event; only kind and payload matter. */
void station_session(struct station *station, enum session_event_kind kind);
void station_connect(struct station *station); /* from the beginning to logged in */

/* A new blast whose recipients are written in chunks of @each; @template NULL: none of their own.
 */
struct station_blast *station_upload(struct station *station, int32_t total, int32_t each);
/* One whose only chunk is not written; its offset is that of the last one that was. */
struct station_blast *station_bare(struct station *station, int32_t total);
struct station_blast *station_find(struct station *station, const char *uuid);
/* Write its chunks (again), beginning with number @from. */
void station_write_chunks(struct station *station, struct station_blast *blast, int32_t each,
                          int32_t from);

/* Send a command; its id. */
struct uuid station_create(struct station *station, const struct station_blast *blast,
                           const char *config, bool auto_start);
struct uuid station_command(struct station *station, const struct station_blast *blast,
                            enum blast_command_kind kind);
void station_send(struct station *station, const struct blast_command *command);
struct blast_command station_command_of(const struct station *station,
                                        const struct station_blast *blast,
                                        enum blast_command_kind kind, struct uuid *id);

/* Message @index goes on. */
void station_message(struct station *station, struct station_blast *blast, int32_t index,
                     enum message_event_kind kind);

/* Wait; the test fails when it takes too long. */
void station_until(struct station *station, bool (*is_so)(void *ctx), void *ctx, const char *what);
void station_until_status(struct station *station, struct station_blast *blast,
                          enum blast_status status);
void station_until_handed(struct station *station, struct station_blast *blast, int32_t n);
/* The verdict's code, or its message; lives until the next call. */
const char *station_verdict(struct station *station, struct uuid command_id);
const char *station_message_of(struct station *station, struct uuid command_id);

/* When it returns, turns ended that began behind the call: what was ready before was done. */
void station_fence(struct station *station);
/* All events of the session so far are committed. */
void station_until_session(struct station *station);
/* Messages handed over, of all blasts, as committed: also those that are not in the log yet. */
int64_t station_handed(struct station *station);

#endif
