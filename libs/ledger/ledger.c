#include "ledger/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ledger/ledger_internal.h"

enum {
    SESSION_TIMEOUT_MS = 45000,
    LIMBO_MS = 5000,
    RELAY_BYTES_MAX = 16 << 20,
    BUFFER_RECORDS_MAX = 1000,
    TICK_MS = 500,
    CLEAN_EVERY_MS = 60000 /* old answers to commands go a thousand at a time */
};

#define CLEAN_SQL                                                                              \
    "DELETE FROM command_verdict WHERE command_id IN (SELECT command_id FROM command_verdict " \
    "WHERE at < now() - interval '24 hours' LIMIT 1000)"

const char *ledger_phase_name(enum ledger_phase phase)
{
    static const char *const names[] = {"away", "taking", "loading", "live", "limbo", "fenced"};

    return names[phase];
}

const char *ledger_reset_name(enum ledger_reset why)
{
    static const char *const names[] = {"failed", "fenced", "revoked", "closed"};

    return names[why];
}

/* ---- kinds of records ---- */

int ledger_field_offset(const struct record_type *type, const char *name)
{
    for (size_t i = 0; i < type->fields_n; i++) {
        if (strcmp(type->fields[i].name, name) == 0) {
            return (int)type->fields[i].offset;
        }
    }
    return -1;
}

void ledger_fields_of(enum topic topic, struct ledger_fields *out)
{
    const struct record_type *type = topics[topic].type;
    bool is_event = topics[topic].kind == TOPIC_KIND_EVENT;
    bool is_command = topics[topic].kind == TOPIC_KIND_COMMAND;

    *out = (struct ledger_fields){
        .position = is_event ? ledger_field_offset(type, "position") : -1,
        .epoch = is_event ? ledger_field_offset(type, "epoch") : -1,
        .event_id = is_event ? ledger_field_offset(type, "event_id") : -1,
        .aggregate_id = is_event ? ledger_field_offset(type, "aggregate_id") : -1,
        .sequence = is_event ? ledger_field_offset(type, "sequence") : -1,
        .command_id = is_command ? ledger_field_offset(type, "command_id") : -1,
        .reply_to = is_command ? ledger_field_offset(type, "reply_to") : -1,
        .correlation_id = is_event || is_command ? ledger_field_offset(type, "correlation_id") : -1,
    };
}

static void set_kind(struct ledger_kind *kind, enum topic topic, bool has_verdicts)
{
    kind->topic = topic;
    kind->has_verdicts = has_verdicts;
    kind->begins_anywhere = topics[topic].retention_ms >= 0;
    ledger_fields_of(topic, &kind->at);
}

/* ---- turns ---- */

bool ledger_has_live(const struct ledger *ledger)
{
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        if (ledger->parts[p].phase == LEDGER_LIVE) {
            return true;
        }
    }
    return false;
}

static void on_kick(void *ctx)
{
    struct ledger *ledger = ctx;

    ledger->is_kicked = false;
    if (ledger->is_closed || ledger->tx != NULL || !ledger->is_up || !ledger_has_live(ledger)) {
        return;
    }
    if (ledger->is_wanted || (ledger->has_news && ledger_input_is_waiting(ledger))) {
        ledger_turn_start(ledger);
    }
}

void ledger_kick(struct ledger *ledger)
{
    if (!ledger->is_kicked && !ledger->is_closed) {
        ledger->is_kicked = true;
        loop_defer(ledger->loop, on_kick, ledger);
    }
}

void ledger_want_turn(struct ledger *ledger)
{
    ledger->is_wanted = true;
    ledger_kick(ledger);
}

/* ---- PostgreSQL tells ---- */

void ledger_fatal(struct ledger *ledger, const struct err *err)
{
    if (!ledger->is_closed) {
        ledger->config.events.fatal(err, ledger->config.events.ctx);
    }
}

static void on_state(bool is_up, const struct err *why, void *ctx)
{
    struct ledger *ledger = ctx;

    (void)why;
    if (is_up) {
        ledger->is_up = true;
        ledger->down_since_ms = 0;
        ledger_parts_up(ledger);
        ledger_relay_run(ledger);
        ledger_kick(ledger);
    } else if (ledger->is_up) {
        ledger->is_up = false;
        ledger->is_heartbeat_open = false;
        ledger->down_since_ms = loop_now_ms(ledger->loop);
    }
}

/* ---- every half second ---- */

static void clean_verdicts(struct ledger *ledger, int64_t now_ms)
{
    if (ledger->is_up && ledger_has_live(ledger) && now_ms - ledger->cleaned_ms > CLEAN_EVERY_MS) {
        ledger->cleaned_ms = now_ms;
        pg_query(ledger->pg, pg_stmt_new(CLEAN_SQL), NULL, NULL);
    }
}

/* Who has not reached the database for so long may have been replaced without learning of it: stop
 * all effects. What is in memory is read again when it is back. */
static void check_cut_off(struct ledger *ledger, int64_t now_ms)
{
    if (ledger->down_since_ms == 0 || ledger->tx != NULL ||
        now_ms - ledger->down_since_ms < ledger->session_timeout_ms) {
        return;
    }
    for (int p = 0; p < LEDGER_PARTITIONS && !ledger->is_closed; p++) {
        if (ledger->parts[p].phase == LEDGER_LIVE) {
            ledger_part_fail(&ledger->parts[p]);
        }
    }
}

static void on_tick(struct loop_timer *timer, void *ctx)
{
    struct ledger *ledger = ctx;
    int64_t now_ms = loop_now_ms(ledger->loop);

    loop_timer_start(ledger->loop, timer, TICK_MS, on_tick, ledger);
    ledger_input_tell_kafka(ledger);
    ledger_gauges_update(ledger);
    clean_verdicts(ledger, now_ms);
    ledger_parts_heartbeat(ledger, now_ms);
    check_cut_off(ledger, now_ms);
}

/* ---- life ---- */

static bool has_handlers(const struct ledger_handlers *handlers)
{
    return handlers->on_return != NULL && handlers->on_revoke != NULL &&
           handlers->on_reset != NULL && handlers->on_turn != NULL &&
           handlers->on_committed != NULL && handlers->on_failed != NULL;
}

static int check_config(const struct ledger_config *config, struct err *err)
{
    if (config->n_inputs == 0 || config->n_inputs > LEDGER_INPUTS_MAX ||
        config->n_outputs > LEDGER_OUTPUTS_MAX) {
        return err_set(err, ERR_INVALID, "ledger: %zu inputs, %zu outputs", config->n_inputs,
                       config->n_outputs);
    }
    for (size_t i = 0; i < config->n_inputs; i++) {
        enum topic topic = config->inputs[i].topic;

        if (topics[topic].partitions != LEDGER_PARTITIONS ||
            (config->inputs[i].verdicts && topics[topic].kind != TOPIC_KIND_COMMAND)) {
            return err_set(err, ERR_INVALID, "ledger: %s cannot be an input so",
                           topics[topic].name);
        }
    }
    return 0;
}

static void copy_config(struct ledger *ledger, const struct ledger_config *config)
{
    ledger->config = *config;
    ledger->service = mem_strdup(config->service);
    ledger->group = mem_strdup(config->group);
    ledger->instance = mem_strdup(config->instance);
    ledger->process = uuid_v7(clock_wall_ms());
    ledger->brokers = mem_strdup(config->brokers);
    ledger->session_timeout_ms =
        config->session_timeout_ms > 0 ? config->session_timeout_ms : SESSION_TIMEOUT_MS;
    if (config->limbo_ms == 0) {
        ledger->config.limbo_ms = LIMBO_MS;
    }
    if (config->relay_bytes_max == 0) {
        ledger->config.relay_bytes_max = RELAY_BYTES_MAX;
    }
    if (config->buffer_records_max == 0) {
        ledger->config.buffer_records_max = BUFFER_RECORDS_MAX;
    }
    ledger->n_inputs = config->n_inputs;
    for (size_t i = 0; i < config->n_inputs; i++) {
        set_kind(&ledger->inputs[i], config->inputs[i].topic, config->inputs[i].verdicts);
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            ledger->slots[i][p].input = i;
            ledger->slots[i][p].partition = p;
        }
    }
    for (size_t i = 0; i < config->n_outputs && !config->is_silent; i++) {
        set_kind(&ledger->outputs[ledger->n_outputs++], config->outputs[i], false);
    }
    if (!config->is_silent) {
        set_kind(&ledger->outputs[ledger->n_outputs++], TOPIC_DLQ, false);
    }
}

int ledger_new(struct loop *loop, const struct ledger_config *config,
               const struct ledger_handlers *handlers, struct ledger **out, struct err *err)
{
    struct ledger *ledger;
    struct pg_events events = {.state = on_state};
    struct pg_config pg = config->pg;
    int rc = check_config(config, err);

    assert(has_handlers(handlers) && config->events.fatal != NULL);
    if (rc < 0) {
        return rc;
    }
    ledger = mem_new0(sizeof(*ledger));
    ledger->loop = loop;
    ledger->handlers = *handlers;
    copy_config(ledger, config);
    ledger->turn_max = LEDGER_RECORDS_MAX;
    ledger_parts_init(ledger);
    ledger_relay_init(ledger);
    ledger->gauges = ledger_gauges_new(ledger);
    loop_timer_start(loop, &ledger->tick, TICK_MS, on_tick, ledger);
    events.ctx = ledger;
    pg.is_by_key = true; /* nothing else can be done within a turn */
    rc = pg_new(loop, &pg, &events, &ledger->pg, err);
    if (rc == 0) {
        rc = ledger_group_join(ledger, err);
    }
    if (rc < 0) {
        ledger_close(&ledger);
        return rc;
    }
    *out = ledger;
    return 0;
}

static void free_ledger(void *ctx)
{
    struct ledger *ledger = ctx;

    free(ledger->service);
    free(ledger->group);
    free(ledger->instance);
    free(ledger->brokers);
    free(ledger);
}

void ledger_close(struct ledger **ledger)
{
    struct ledger *old = *ledger;

    *ledger = NULL;
    if (old == NULL) {
        return;
    }
    if (old->tx != NULL && old->tx->stage != LEDGER_STAGE_LOOKUP) {
        struct err err = {0};

        (void)err_set(&err, ERR_CLOSED, "the ledger is closed");
        old->is_closed = true; /* nothing that this leads to may begin anything */
        old->handlers.on_failed(old->tx, &err, old->handlers.ctx);
    }
    old->is_closed = true;
    ledger_parts_close(old);
    ledger_turn_abandon(old);
    ledger_relay_close(old);
    ledger_group_leave(old);
    pg_close(&old->pg);
    ledger_gauges_free(&old->gauges);
    loop_timer_stop(&old->tick);
    loop_timer_stop(&old->again);
    loop_timer_stop(&old->drain_timer);
    loop_defer(old->loop, free_ledger, old);
}

/* ---- draining ---- */

static void drained(struct ledger *ledger)
{
    void (*fn)(void *ctx) = ledger->on_drained;

    ledger->on_drained = NULL;
    loop_timer_stop(&ledger->drain_timer);
    ledger_input_tell_kafka(ledger);
    if (fn != NULL) {
        fn(ledger->on_drained_ctx);
    }
}

static void on_drain_timeout(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    drained(ctx);
}

void ledger_check_drained(struct ledger *ledger)
{
    if (ledger->is_draining && ledger->on_drained != NULL && ledger->tx == NULL &&
        !ledger->is_wanted && ledger_relay_is_dry(ledger)) {
        /* from a timer: not within the call that asked, nor within a turn */
        loop_timer_start(ledger->loop, &ledger->drain_timer, 0, on_drain_timeout, ledger);
    }
}

void ledger_drain(struct ledger *ledger, int64_t timeout_ms, void (*on_drained)(void *ctx),
                  void *ctx)
{
    ledger->is_draining = true;
    ledger->on_drained = on_drained;
    ledger->on_drained_ctx = ctx;
    bus_consumer_hold(ledger->consumer, true);
    loop_timer_start(ledger->loop, &ledger->drain_timer, timeout_ms, on_drain_timeout, ledger);
    ledger_check_drained(ledger);
}

/* ---- looking ---- */

bool ledger_is_ready(const struct ledger *ledger, struct err *why)
{
    if (!ledger->is_up) {
        (void)err_set(why, ERR_CLOSED, "postgresql cannot be reached");
        return false;
    }
    if (!ledger->was_assigned) {
        (void)err_set(why, ERR_CLOSED, "not a member of %s yet: %.120s", ledger->group,
                      ledger->trouble.text);
        return false;
    }
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        const struct ledger_part *part = &ledger->parts[p];

        if (part->is_assigned && part->phase != LEDGER_LIVE) {
            (void)err_set(why, ERR_CLOSED, "partition %d is %s", p, ledger_phase_name(part->phase));
            return false;
        }
    }
    return true;
}

bool ledger_is_live(const struct ledger *ledger, int partition)
{
    return ledger->parts[partition].phase == LEDGER_LIVE;
}

int64_t ledger_epoch(const struct ledger *ledger, int partition)
{
    assert(ledger->parts[partition].epoch > 0);
    return ledger->parts[partition].epoch;
}

void ledger_ask_end(struct ledger *ledger, enum topic topic, int partition, ledger_end_cb *fn,
                    void *ctx)
{
    bus_consumer_ask_end(ledger->consumer, topic, partition, fn, ctx);
}

int64_t ledger_offset(const struct ledger *ledger, enum topic topic, int partition)
{
    for (size_t i = 0; i < ledger->n_inputs; i++) {
        if (ledger->inputs[i].topic == topic) {
            const struct ledger_slot *slot = &ledger->slots[i][partition];

            return ledger->tx != NULL ? slot->tx_offset : slot->next_offset;
        }
    }
    assert(false && "no input of this ledger");
    return -1;
}

uint64_t ledger_generation(const struct ledger *ledger, int partition)
{
    return ledger->parts[partition].generation;
}

struct pg *ledger_pg(struct ledger *ledger)
{
    return ledger->pg;
}
