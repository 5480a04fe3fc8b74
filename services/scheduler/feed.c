#include "scheduler/feed.h"

#include <assert.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "bus/bus_codec.h"
#include "pg/pg.h"
#include "scheduler/account.h"
#include "scheduler/ask.h"
#include "scheduler/run.h"

enum { FEED_RETRY_MS = 500 };

/* The chunk that holds one index of the upload that the blast names. */
#define CHUNK_SQL                                                                     \
    "SELECT c.wire, b.message_template FROM blast b JOIN recipient_chunk c "          \
    "ON c.blast_id = b.blast_id AND c.upload_id = b.upload_id WHERE b.blast_id = $1 " \
    "AND c.first_index <= $2 ORDER BY c.first_index DESC LIMIT 1"

static void add(struct run *run, struct letters *letters, struct letter *letter)
{
    if (letters->last != NULL) {
        letters->last->next = letter;
    } else {
        letters->first = letter;
    }
    letters->last = letter;
    letters->n++;
    run->feed.bytes += letter->bytes;
}

static bool is_full(const struct feed *feed)
{
    return feed->fresh.n >= FEED_MAX || feed->bytes >= FEED_BYTES_MAX;
}

/* The lowest index that came back and is not in the feed; -1: none. */
static int32_t wanted_again(const struct run *run)
{
    int32_t lowest = -1;

    for (size_t i = 0; run->n_back > 0 && i < run->n_flights; i++) {
        const struct flight *flight = &run->flights[i];

        if (flight->is_back && !flight->is_fed && (lowest < 0 || flight->index < lowest)) {
            lowest = flight->index;
        }
    }
    return lowest;
}

/* The index that has to be read next; -1: none. */
static int32_t wanted(const struct run *run)
{
    int32_t index = wanted_again(run);

    if (index < 0 && run->feed.next_index < run->state.total && !is_full(&run->feed)) {
        index = run->feed.next_index;
    }
    return index;
}

/* Put all of @chunk in that is wanted and fits. */
static void fill(struct run *run, const struct blast_recipients *chunk, const char *template)
{
    int32_t end = chunk->first_index + (int32_t)chunk->recipients.n;

    for (int32_t index = wanted(run); index >= chunk->first_index && index < end;
         index = wanted(run)) {
        struct letter *letter =
            letter_new(&chunk->recipients.at[index - chunk->first_index], template, index);
        struct flight *flight = run_flight(run, index);

        letter->is_again = flight != NULL;
        if (flight != NULL) {
            flight->is_fed = true;
            add(run, &run->feed.again, letter);
        } else {
            run->feed.next_index = index + 1;
            add(run, &run->feed.fresh, letter);
        }
    }
}

/* What was stored cannot be read: the blast fails, with a reason for people. */
static void fault(struct run *run, const char *why)
{
    log_error("recipients cannot be read", LOG_STR("blast", run->uuid), LOG_STR("why", why));
    run->has_fault = true;
    run_ready(run);
}

static void take_chunk(struct run *run, int32_t index, const struct pg_rows *rows)
{
    struct arena arena = {0};
    struct blast_recipients chunk = {0};
    struct err err = {0};

    if (pg_rows_n(rows) == 0) {
        fault(run, "a chunk is missing");
    } else if (bus_decode(TOPIC_BLAST_RECIPIENTS, pg_get_bytes(rows, 0, 0), &arena, &chunk, &err) <
               0) {
        fault(run, err.text);
    } else if (index >= chunk.first_index + (int32_t)chunk.recipients.n) {
        fault(run, "a chunk is missing");
    } else {
        fill(run, &chunk, pg_get_text(rows, 0, 1));
        account_ready(run->account);
    }
    arena_done(&arena);
}

static void on_chunk(struct run *run, int32_t index, const struct pg_rows *rows,
                     const struct err *err)
{
    if (!run->feed.is_loading) {
        return;
    }
    run->feed.is_loading = false;
    if (rows != NULL) {
        take_chunk(run, index, rows);
    } else {
        log_warn("recipients could not be read", LOG_STR("blast", run->uuid),
                 LOG_STR("why", err->text));
        account_wake(run->account, clock_wall_ms() + FEED_RETRY_MS);
    }
}

static void read_on(struct run *run, int32_t index)
{
    struct pg_stmt *stmt = pg_stmt_new(CHUNK_SQL);

    pg_add_uuid(stmt, run->uuid);
    pg_add_int(stmt, index);
    run->feed.is_loading = true;
    ask_run(run, stmt, index, on_chunk);
}

static struct letters *head(struct feed *feed)
{
    return feed->again.first != NULL ? &feed->again : &feed->fresh;
}

const struct letter *feed_first(struct run *run)
{
    struct feed *feed = &run->feed;

    if (!feed->is_loading && !run->has_fault && (feed->fresh.n < FEED_LOW || run->n_back > 0)) {
        int32_t index = wanted(run);

        if (index >= 0) {
            read_on(run, index);
        }
    }
    if (feed->again.first == NULL && run->n_back > 0) {
        return NULL; /* they are being read, and go before others */
    }
    return head(feed)->first;
}

struct letter *feed_take(struct run *run)
{
    struct letters *letters = head(&run->feed);
    struct letter *letter = letters->first;

    assert(letter != NULL);
    letters->first = letter->next;
    if (letters->first == NULL) {
        letters->last = NULL;
    }
    letters->n--;
    run->feed.bytes -= letter->bytes;
    letter->next = NULL;
    return letter;
}

void feed_clear(struct run *run)
{
    while (head(&run->feed)->first != NULL) {
        struct letter *letter = feed_take(run);

        letter_free(&letter);
    }
    for (size_t i = 0; i < run->n_flights; i++) {
        run->flights[i].is_fed = false;
    }
    run->feed.is_loading = false; /* what was asked for does not count any more */
    run->feed.next_index = run->next_index;
}
