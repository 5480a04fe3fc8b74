#include "domain/webhook.h"

#include <stddef.h>
#include <string.h>

static const int64_t delays_ms[] = {1000, 5000, 30000, 120000, 600000};

_Static_assert(sizeof(delays_ms) / sizeof(delays_ms[0]) == WEBHOOK_ATTEMPTS_MAX - 1,
               "one delay between two attempts");

static const char *const state_names[WEBHOOK_STATE_COUNT] = {
#define WEBHOOK_STATE_TEXT(name) #name,
    WEBHOOK_STATE_LIST(WEBHOOK_STATE_TEXT)
#undef WEBHOOK_STATE_TEXT
};

const char *webhook_state_name(enum webhook_state state)
{
    return (unsigned)state < WEBHOOK_STATE_COUNT ? state_names[state] : "NONE";
}

bool webhook_state_parse(const char *name, enum webhook_state *out)
{
    for (unsigned i = 0; i < WEBHOOK_STATE_COUNT; i++) {
        if (strcmp(name, state_names[i]) == 0) {
            *out = (enum webhook_state)i;
            return true;
        }
    }
    return false;
}

bool webhook_is_settled(enum webhook_state state)
{
    return state == WEBHOOK_DELIVERED || state == WEBHOOK_DEAD;
}

int64_t webhook_delay_ms(int32_t attempt, int64_t asked_s, uint32_t random)
{
    int32_t last = WEBHOOK_ATTEMPTS_MAX - 1;
    int64_t delay = delays_ms[attempt < 1 ? 0 : (attempt > last ? last : attempt) - 1];
    int64_t longest_s = delays_ms[last - 1] / 1000;
    int64_t asked_ms = (asked_s < longest_s ? asked_s : longest_s) * 1000;

    delay = asked_ms > delay ? asked_ms : delay;
    return delay + delay * (random % 1000) / 10000;
}

static struct webhook_event *emit(const struct webhook *webhook, const struct webhook_input *input,
                                  struct webhook_decision *out, enum webhook_event_kind kind)
{
    out->has_event = true;
    out->event = (struct webhook_event){.aggregate_type = "webhook",
                                        .sequence = webhook->sequence + 1,
                                        .occurred_at = input->now_ms * 1000,
                                        .kind = kind};
    return &out->event;
}

static bool is_open(const struct webhook *webhook)
{
    return webhook->state == WEBHOOK_QUEUED || webhook->state == WEBHOOK_RETRYING;
}

static void dead(const struct webhook *webhook, const struct webhook_input *input, int32_t attempts,
                 const char *reason, struct webhook_decision *out)
{
    emit(webhook, input, out, WEBHOOK_EVENT_DEAD)->as.dead =
        (struct webhook_dead){.attempt = attempts, .reason = reason};
}

/* Retry-After counts where HTTP says that it is about load: Too Many Requests, Service Unavailable.
 */
static int64_t time_asked_s(const struct webhook_input *input)
{
    bool is_busy = input->http_status == 429 || input->http_status == 503;

    return input->kind == WEBHOOK_IN_ANSWERED && is_busy && input->retry_after_s > 0
               ? input->retry_after_s
               : 0;
}

static void attempt_failed(const struct webhook *webhook, const struct webhook_input *input,
                           struct webhook_decision *out)
{
    int32_t attempt = webhook->attempts + 1;
    bool answered = input->kind == WEBHOOK_IN_ANSWERED;
    const char *error = input->error != NULL ? input->error : answered ? "status" : "no answer";

    if (attempt >= WEBHOOK_ATTEMPTS_MAX) {
        dead(webhook, input, attempt, error, out);
        return;
    }
    emit(webhook, input, out, WEBHOOK_EVENT_ATTEMPT_FAILED)->as.attempt_failed =
        (struct webhook_attempt_failed){
            .attempt = attempt,
            .has_http_status = answered,
            .http_status = answered ? input->http_status : 0,
            .error = error,
            .next_at =
                input->now_ms + webhook_delay_ms(attempt, time_asked_s(input), input->random),
        };
}

void webhook_decide(const struct webhook *webhook, const struct webhook_input *input,
                    struct webhook_decision *out)
{
    out->has_event = false;
    if (input->kind == WEBHOOK_IN_MATCHED) {
        if (webhook->state == WEBHOOK_NONE) {
            emit(webhook, input, out, WEBHOOK_EVENT_QUEUED)->as.queued.event = input->event;
        }
        return;
    }
    if (!is_open(webhook)) {
        return;
    }
    switch (input->kind) {
    case WEBHOOK_IN_ANSWERED:
        if (input->http_status >= 200 && input->http_status < 300) {
            emit(webhook, input, out, WEBHOOK_EVENT_DELIVERED)->as.delivered =
                (struct webhook_delivered){.attempt = webhook->attempts + 1,
                                           .http_status = input->http_status};
        } else {
            attempt_failed(webhook, input, out);
        }
        break;
    case WEBHOOK_IN_NO_ANSWER:
        attempt_failed(webhook, input, out);
        break;
    case WEBHOOK_IN_CANCELLED:
        dead(webhook, input, webhook->attempts, "cancelled", out);
        break;
    case WEBHOOK_IN_DROPPED:
        dead(webhook, input, webhook->attempts, input->error != NULL ? input->error : "dropped",
             out);
        break;
    case WEBHOOK_IN_MATCHED:
    case WEBHOOK_IN_RESTARTED: /* goes on at next_at */
    case WEBHOOK_INPUT_COUNT:
        break;
    }
}

void webhook_evolve(struct webhook *webhook, const struct webhook_event *event)
{
    webhook->sequence = event->sequence;
    webhook->next_at_ms = 0;
    switch (event->kind) {
    case WEBHOOK_EVENT_QUEUED:
        webhook->state = WEBHOOK_QUEUED;
        break;
    case WEBHOOK_EVENT_ATTEMPT_FAILED:
        webhook->state = WEBHOOK_RETRYING;
        webhook->attempts = event->as.attempt_failed.attempt;
        webhook->next_at_ms = event->as.attempt_failed.next_at;
        break;
    case WEBHOOK_EVENT_DELIVERED:
        webhook->state = WEBHOOK_DELIVERED;
        webhook->attempts = event->as.delivered.attempt;
        break;
    case WEBHOOK_EVENT_DEAD:
        webhook->state = WEBHOOK_DEAD;
        webhook->attempts = event->as.dead.attempt;
        break;
    case WEBHOOK_EVENT_NONE:
        break;
    }
}
