/* endpoint: one session's subscriber in memory, and the head of its line of deliveries. */
#ifndef WEBHOOKS_ENDPOINT_H
#define WEBHOOKS_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "domain/webhook.h"
#include "loop/loop.h"

struct post;
struct post_result;
struct webhooks;

struct entry { /* one delivery that is not done */
    struct uuid id;
    int64_t number;
    bool is_early;     /* not decided yet whether anybody wants it */
    bool is_committed; /* nothing is posted before */
    struct webhook state;
    int64_t happened_us; /* the event */
    char *source_event_id;
    char *event; /* name, as event_name_text */
    char *body;
    struct entry *next;
};

enum { ENDPOINT_ERROR_MAX = 160 };

struct endpoint {
    struct webhooks *webhooks;
    struct uuid uuid; /* of the session */
    bool is_known;
    bool is_deleted;
    bool is_reading;   /* more of the line */
    bool is_exhausted; /* what is missing of the line is not committed yet */
    bool has_result;   /* of a post for the first entry; waits for a turn */
    bool is_slow;      /* as its last answer was */
    bool is_dropping;  /* what did not fit into the line, and it was logged */
    bool is_asking;    /* in webhooks.asking */
    bool is_touched;   /* by the open turn: nothing is begun before its end */
    int partition;
    int status;            /* of the result */
    int64_t retry_after_s; /* of the result */
    uint32_t subscribe;
    int64_t user_id;
    char *session_key;
    char *url;
    char *jid;
    struct bytes secret; /* sealed, owned; p NULL for none */

    struct entry *first; /* the first @n of the line; its rest is in the table only */
    struct entry *last;
    size_t n;
    size_t waiting; /* in the whole line; endpoint_set_waiting */
    int64_t next_number;
    int64_t cancel_below; /* deliveries with a smaller number are to be cancelled */

    struct post *post;              /* of the first entry */
    struct loop_timer timer;        /* the first entry's next attempt */
    char error[ENDPOINT_ERROR_MAX]; /* of the result, UTF-8; empty: none */

    struct endpoint *next_asking;
    struct endpoint *next_touched;
};

struct endpoint *endpoint_find(const struct webhooks *webhooks, const char *uuid); /* or NULL */

/* The one of @uuid, made empty and unknown where there is none. */
struct endpoint *endpoint_get(struct webhooks *webhooks, const char *uuid, int partition);
void endpoint_drop(struct webhooks *webhooks,
                   int partition); /* forgets all of @partition at once */

void endpoint_set_text(char **text, const char *value);                   /* a copy replaces it */
void endpoint_set_secret(struct endpoint *endpoint, struct bytes sealed); /* copies; p NULL: none */

/* The post of the first entry ended so (copies): the next turn is to settle it. */
void endpoint_set_result(struct endpoint *endpoint, const struct post_result *result);

void endpoint_set_waiting(struct endpoint *endpoint, size_t waiting);
size_t endpoint_waiting(const struct webhooks *webhooks); /* in all lines of live partitions */

/* The line. Does the memory hold all of it, so that a new entry may stand at its end? */
bool endpoint_has_whole_line(const struct endpoint *endpoint);
void endpoint_append(struct endpoint *endpoint, struct entry *entry); /* takes @entry */
void endpoint_shift(struct endpoint *endpoint);                       /* ends the first entry */
void entry_free(struct entry *entry);

/* Look at it in the next turn, which is asked for. */
void endpoint_ask(struct endpoint *endpoint);
void endpoint_keep_asking(struct endpoint *endpoint); /* the same, but any later turn will do */
void endpoint_touch(struct endpoint *endpoint);       /* the open turn changes it */

#endif
