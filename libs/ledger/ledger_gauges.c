#include <stdlib.h>

#include "base/metric.h"
#include "ledger/ledger_internal.h"

/* A counter of ledger_metrics, and how much of it was told. */
struct told {
    struct metric *metric;
    int64_t value;
};

#define COUNTERS(X)                                                  \
    X(turns, "Transactions committed")                               \
    X(turns_failed, "Transactions that failed")                      \
    X(turns_unknown, "Transactions whose outcome was not learned")   \
    X(records, "Input records handled")                              \
    X(events, "Events and commands committed to the outbox")         \
    X(repeats_dropped, "Events that came again")                     \
    X(early_dropped, "Events that came before one that was missing") \
    X(verdicts_repeated, "Commands answered from the record")        \
    X(dead_letters, "Records given up")                              \
    X(takeovers, "Partitions taken over")                            \
    X(fenced, "Partitions lost to another instance while owned")     \
    X(rejoins, "Consumers replaced after the broker put them out")   \
    X(relay_restarts, "Producers replaced after a failed delivery")

struct ledger_gauges {
#define COUNTER_MEMBER(name, help) struct told name;
    COUNTERS(COUNTER_MEMBER)
#undef COUNTER_MEMBER
    struct metric *outbox_rows;
    struct metric *waiting_ms;
    struct metric *turn_seconds;
    struct metric *owned;
    struct metric *lag[LEDGER_INPUTS_MAX][LEDGER_PARTITIONS];
    size_t n_inputs;
};

struct ledger_gauges *ledger_gauges_new(const struct ledger *ledger)
{
    struct ledger_gauges *gauges = mem_new0(sizeof(*gauges));

#define COUNTER_MAKE(name, help) \
    gauges->name.metric = metric_counter("kentongan_ledger_" #name "_total", help);
    COUNTERS(COUNTER_MAKE)
#undef COUNTER_MAKE
    gauges->outbox_rows =
        metric_gauge("kentongan_ledger_outbox_rows", "Committed and not yet delivered to Kafka");
    gauges->waiting_ms =
        metric_gauge("kentongan_ledger_waiting_ms", "Longest present wait for a missing position");
    gauges->turn_seconds =
        metric_histogram("kentongan_ledger_turn_seconds", "From BEGIN to the answer to COMMIT");
    gauges->owned = metric_gauge("kentongan_ledger_partitions", "Partitions that are live here");
    gauges->n_inputs = ledger->n_inputs;
    for (size_t i = 0; i < ledger->n_inputs; i++) {
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            gauges->lag[i][p] = metric_gauge_for("kentongan_consumer_lag", "Records behind",
                                                 "topic=\"%s\",partition=\"%d\"",
                                                 topics[ledger->inputs[i].topic].name, p);
            metric_hide(gauges->lag[i][p]);
        }
    }
    return gauges;
}

static int64_t lag_of(const struct ledger *ledger, size_t input, int partition)
{
    const struct ledger_slot *slot = &ledger->slots[input][partition];
    int64_t lag = ledger->consumer == NULL
                      ? -1
                      : bus_consumer_lag(ledger->consumer, ledger->inputs[input].topic, partition);

    return lag < 0 ? -1 : lag + (int64_t)slot->n;
}

static void tell(struct told *told, int64_t value)
{
    metric_add(told->metric, value - told->value);
    told->value = value;
}

void ledger_gauges_update(struct ledger *ledger)
{
    struct ledger_gauges *gauges = ledger->gauges;
    struct ledger_metrics now;
    int64_t owned = 0;

    ledger_metrics(ledger, &now);
#define COUNTER_TELL(name, help) tell(&gauges->name, now.name);
    COUNTERS(COUNTER_TELL)
#undef COUNTER_TELL
    metric_set(gauges->outbox_rows, now.outbox_rows);
    metric_set(gauges->waiting_ms, now.waiting_ms);
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        bool is_live = ledger->parts[p].phase == LEDGER_LIVE;

        owned += is_live;
        for (size_t i = 0; i < gauges->n_inputs; i++) {
            int64_t lag = is_live ? lag_of(ledger, i, p) : -1;

            if (lag >= 0) {
                metric_set(gauges->lag[i][p], lag);
            } else {
                metric_hide(gauges->lag[i][p]);
            }
        }
    }
    metric_set(gauges->owned, owned);
}

void ledger_gauges_turn(struct ledger *ledger, int64_t us)
{
    metric_observe_us(ledger->gauges->turn_seconds, us);
}

void ledger_gauges_free(struct ledger_gauges **gauges)
{
    struct ledger_gauges *old = *gauges;

    *gauges = NULL;
    if (old == NULL) {
        return;
    }
    for (size_t i = 0; i < old->n_inputs; i++) {
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            metric_hide(old->lag[i][p]);
        }
    }
    free(old);
}

static int64_t longest_wait(const struct ledger *ledger)
{
    int64_t now = loop_now_ms(ledger->loop);
    int64_t longest = 0;

    for (size_t i = 0; i < ledger->n_inputs; i++) {
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            int64_t since = ledger->slots[i][p].waiting_since_ms;

            if (since > 0 && now - since > longest) {
                longest = now - since;
            }
        }
    }
    return longest;
}

void ledger_metrics(const struct ledger *ledger, struct ledger_metrics *out)
{
    *out = ledger->metrics;
    out->outbox_rows = ledger_relay_rows(ledger);
    out->waiting_ms = longest_wait(ledger);
    for (size_t i = 0; i < ledger->n_inputs; i++) {
        out->inputs[i].lag = 0;
        out->inputs[i].records_waiting = 0;
        for (int p = 0; p < LEDGER_PARTITIONS; p++) {
            int64_t lag = lag_of(ledger, i, p);

            out->inputs[i].records_waiting += (int64_t)ledger->slots[i][p].n;
            if (ledger->parts[p].phase == LEDGER_LIVE) {
                out->inputs[i].lag =
                    lag < 0 || out->inputs[i].lag < 0 ? -1 : out->inputs[i].lag + lag;
            }
        }
    }
    for (int p = 0; p < LEDGER_PARTITIONS; p++) {
        out->phases[p] = ledger->parts[p].phase;
    }
}
