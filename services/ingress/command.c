#include "ingress/command.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/text.h"
#include "bus/bus_codec.h"
#include "bus/bus_key.h"
#include "bus/bus_producer.h"
#include "cache/cache_keys.h"
#include "cache/cache_pool.h"
#include "domain/ids.h"
#include "ingress/replies.h"
#include "loop/loop_backoff.h"
#include "pg/pg_pool.h"

enum {
    LOOK_MS = 250,       /* until a look at the keys, in case a channel lost the word */
    LOOK_MOST_MS = 1000, /* looks at tables come ever later, up to this */
    AGAIN_MS = 1500,     /* then the same command is written once more */
    LOOK_EVENTS = 200,   /* newest ones of the aggregate, among which the command's must be */
    APPLY_MORE_MS = 1000 /* over the deadline, for the tracker */
};

/* One command on its way. */
struct flight {
    struct ingress *ingress;
    enum topic topic;
    const struct command_target *target;
    const struct command_made *made;
    struct buf value;
    struct replies_wait wait;
    bool may_be_written; /* some try did not surely fail */
    bool is_projected;   /* its events were seen */
};

struct command_made command_make(const struct command_target *target)
{
    int64_t now_ms = clock_wall_ms();
    struct command_made made = {.issued_at_ms = now_ms,
                                .deadline_ms = now_ms + target->timeout_ms,
                                .until_ms = clock_mono_ms() + target->timeout_ms};

    made.command_id = target->idempotency_key != NULL
                          ? idempotent_uuid(target->actor->user_id, target->kind,
                                            target->session_uuid, target->idempotency_key)
                          : uuid_v7(now_ms);
    return made;
}

/* ---- writing ---- */

static int publish(struct flight *f, struct err *err)
{
    const struct bus_send send = {
        .topic = f->topic,
        .partition = bus_partition(f->target->session_uuid),
        .key = {(const uint8_t *)f->target->session_uuid, strlen(f->target->session_uuid)},
        .value = buf_bytes(&f->value),
    };
    int64_t left_ms = f->made->until_ms - clock_mono_ms();
    int rc;

    crash_point("ingress", "before.command");
    rc = bus_producer_send_wait(f->ingress->producer, &send, left_ms > 0 ? left_ms : 1, NULL, err);
    if (rc == 0) {
        crash_point("ingress", "after.command");
    }
    f->may_be_written |= rc == 0 || rc == -ERR_UNCERTAIN;
    return rc;
}

/* ---- hearing ---- */

static void look_at_verdict(struct flight *f)
{
    const struct cache_key key = cache_key_reply(f->made->command_id.text);
    const char *parts[] = {"GET", key.text, NULL};
    struct arena arena = {0};
    struct cache_reply reply = {0};
    struct kept_verdict verdict;

    if (cache_pool_command_text(f->ingress->cache, parts, &arena, &reply, NULL) == 0 &&
        reply.kind == CACHE_TEXT && kept_read_verdict(reply.text, &verdict)) {
        replies_put_verdict(f->ingress->replies, &verdict);
    }
    arena_done(&arena);
}

/* A number of one row of the tables; -1 for none. Takes @stmt. */
static int64_t ask_number(struct flight *f, struct pg_stmt *stmt)
{
    struct pg_rows *rows = NULL;
    int64_t number = -1;

    if (pg_pool_run(f->ingress->pg, stmt, &rows, NULL) == 0 && pg_rows_n(rows) == 1) {
        number = pg_get_int(rows, 0, 0);
    }
    pg_rows_free(&rows);
    pg_stmt_free(&stmt);
    return number;
}

/* Where Redis has no verdict, events that name the command say that it was done. */
static bool look_at_log(struct flight *f)
{
    struct pg_stmt *stmt = pg_stmt_new(
        "SELECT sequence FROM (SELECT sequence, causation_id, correlation_id FROM proj.events "
        "WHERE aggregate_id = $1 ORDER BY sequence DESC LIMIT $2) AS newest "
        "WHERE causation_id = $3 OR correlation_id = $3 LIMIT 1");

    pg_add_uuid(stmt, f->target->aggregate_id);
    pg_add_int(stmt, LOOK_EVENTS);
    pg_add_text(stmt, f->made->command_id.text);
    f->is_projected = ask_number(f, stmt) > 0;
    return f->is_projected;
}

static bool has_verdict(struct flight *f, int64_t until_ms)
{
    return replies_verdict(f->ingress->replies, &f->wait, until_ms);
}

/* Waits for the verdict; writes the command again where none comes. */
static int await_verdict(struct flight *f, struct err *err)
{
    int rc = publish(f, err);
    int64_t end_ms = f->made->until_ms;
    int64_t again_ms = clock_mono_ms() + AGAIN_MS;
    bool is_over = false; /* before the last look, which so is behind the end */

    while (!is_over) {
        int64_t now_ms = clock_mono_ms();
        bool is_late;

        if (rc == -ERR_LIMIT && !f->may_be_written) {
            return rc; /* too much is on its way already */
        }
        if (has_verdict(f, now_ms + LOOK_MS < end_ms ? now_ms + LOOK_MS : end_ms)) {
            return 0;
        }
        now_ms = clock_mono_ms();
        is_over = now_ms >= end_ms;
        is_late = is_over || now_ms >= again_ms;
        look_at_verdict(f);
        if (has_verdict(f, 0) || (is_late && f->may_be_written && look_at_log(f))) {
            return 0;
        }
        if (!is_over && (is_late || rc < 0)) {
            rc = publish(f, err);
            again_ms = clock_mono_ms() + AGAIN_MS;
        }
    }
    return f->may_be_written ? -ERR_UNCERTAIN : rc;
}

/* False: the tracker left no key, or Redis is away. */
static bool look_at_key(struct flight *f)
{
    const struct cache_key key = cache_key_applied(f->wait.aggregate_id);
    const char *parts[] = {"GET", key.text, NULL};
    struct arena arena = {0};
    struct cache_reply reply = {0};
    int64_t sequence = 0;
    bool is_there = cache_pool_command_text(f->ingress->cache, parts, &arena, &reply, NULL) == 0 &&
                    reply.kind == CACHE_TEXT &&
                    text_to_int((const char *)reply.text.p, 0, INT64_MAX, &sequence);

    if (is_there) {
        replies_put_applied(f->ingress->replies, &f->wait, sequence);
    }
    arena_done(&arena);
    return is_there;
}

/* The truth that the key stands for (O2). */
static void look_at_row(struct flight *f)
{
    bool is_blast = strcmp(f->wait.verdict.aggregate_type, "blast") == 0;
    struct pg_stmt *stmt =
        pg_stmt_new(is_blast ? "SELECT applied_seq FROM proj.blasts WHERE uuid = $1"
                             : "SELECT applied_seq FROM proj.sessions WHERE uuid = $1");

    pg_add_uuid(stmt, f->wait.aggregate_id);
    replies_put_applied(f->ingress->replies, &f->wait, ask_number(f, stmt));
}

static bool is_applied(struct flight *f, int64_t until_ms)
{
    return replies_applied(f->ingress->replies, &f->wait, f->wait.verdict.sequence, until_ms);
}

/* Waits until the projections hold what the verdict says. A key may be an old one and the word of
 * the new one lost, so the row is asked as well; once more when the time is up. */
static bool await_applied(struct flight *f)
{
    struct loop_backoff pace = {.first_ms = LOOK_MS, .most_ms = LOOK_MOST_MS};
    int64_t end_ms = f->made->until_ms + APPLY_MORE_MS;
    bool is_over = false;

    if (f->wait.verdict.sequence <= 0 || strcmp(f->wait.verdict.aggregate_type, "message") == 0) {
        return true; /* nothing to apply; messages are not announced, their sender looks itself */
    }
    if (!look_at_key(f)) {
        look_at_row(f);
    }
    while (!is_over) {
        int64_t until_ms = clock_mono_ms() + loop_backoff_next_ms(&pace, 0);

        if (is_applied(f, until_ms < end_ms ? until_ms : end_ms)) {
            return true;
        }
        is_over = clock_mono_ms() >= end_ms;
        (void)look_at_key(f);
        if (!is_applied(f, 0)) {
            look_at_row(f);
        }
    }
    return is_applied(f, 0);
}

/* ---- outcomes ---- */

static int refuse_as_told(const struct kept_verdict *verdict, struct refusal *why)
{
    static const struct {
        const char *code;
        enum refusal_kind kind;
    } kinds[] = {
        {"NOT_FOUND", REFUSED_NOT_FOUND},
        {"NOT_LOGGED_IN", REFUSED_CONFLICT},
        {"INVALID_REQUEST", REFUSED_INVALID},
        {"EXPIRED", REFUSED_TIMEOUT},
        {"LIMIT", REFUSED_LIMIT},
    };
    enum refusal_kind kind = REFUSED_CONFLICT; /* EXISTS, INVALID_STATE, WHATSAPP_SESSION_... */

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        kind = strcmp(verdict->code, kinds[i].code) == 0 ? kinds[i].kind : kind;
    }
    return refuse(why, kind, verdict->code, "%s", verdict->message);
}

static int no_outcome(const struct flight *f, struct refusal *why)
{
    return refuse(why, REFUSED_TIMEOUT, "TIMEOUT",
                  "No outcome of command %s was heard in time; it may still happen",
                  f->made->command_id.text);
}

static int not_projected(const struct flight *f, struct refusal *why)
{
    return refuse(why, REFUSED_TIMEOUT, "TIMEOUT",
                  "Command %s was carried out, but what it changed cannot be read yet; it will be",
                  f->made->command_id.text);
}

static int finish(struct flight *f, struct refusal *why)
{
    if (f->is_projected) {
        return 0;
    }
    if (!f->wait.verdict.is_ok) {
        return refuse_as_told(&f->wait.verdict, why);
    }
    return await_applied(f) ? 0 : not_projected(f, why);
}

static void note(const struct flight *f, const char *outcome)
{
    int64_t ms = clock_wall_ms() - f->made->issued_at_ms;

    metric_observe_us(metric_histogram_for("kentongan_command_seconds",
                                           "From a command's first try to its projected outcome",
                                           "topic=\"%s\"", topics[f->topic].name),
                      ms * 1000);
    log_info("command", LOG_STR("command_id", f->made->command_id.text),
             LOG_STR("topic", topics[f->topic].name), LOG_STR("aggregate", f->target->aggregate_id),
             LOG_STR("outcome", outcome), LOG_INT("ms", ms));
}

int command_run(struct ingress *ingress, enum topic topic, const void *record,
                const struct command_target *target, const struct command_made *made,
                struct refusal *why)
{
    struct flight f = {.ingress = ingress, .topic = topic, .target = target, .made = made};
    struct err err = {0};
    int rc = bus_encode(topic, record, &f.value, &err);

    if (rc < 0) {
        buf_done(&f.value);
        return refuse(why, REFUSED_INVALID, "INVALID_REQUEST", "%s", err.text);
    }
    replies_begin(ingress->replies, &f.wait, made->command_id.text, target->aggregate_id);
    rc = await_verdict(&f, &err);
    if (rc == 0) {
        rc = finish(&f, why);
    } else if (rc != -ERR_UNCERTAIN) {
        rc = refuse_store(why, "Kafka", &err);
    } else {
        rc = no_outcome(&f, why);
    }
    note(&f, rc == 0 ? "ok" : why->code);
    replies_end(ingress->replies, &f.wait);
    buf_done(&f.value);
    return rc;
}
