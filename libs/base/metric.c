#include "base/metric.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

enum kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM };

static const char *const kind_names[] = {"counter", "gauge", "histogram"};

/* upper ends of the buckets; one more for what is larger */
static const struct {
    int64_t us;
    const char *text;
} buckets[] = {
    {1000, "0.001"},  {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"},
    {50000, "0.05"},  {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},
    {2500000, "2.5"}, {5000000, "5"},   {10000000, "10"}, {30000000, "30"}, {60000000, "60"},
};
enum { BUCKETS = sizeof(buckets) / sizeof(buckets[0]) };

struct metric {
    struct metric *next;
    const char *name;
    const char *help;
    enum kind kind;
    char labels[METRIC_LABELS_MAX];
    atomic_bool hidden;
    atomic_int_fast64_t value; /* of a histogram: how many */
    atomic_int_fast64_t sum_us;
    atomic_int_fast64_t in_bucket[BUCKETS + 1];
};

static struct {
    pthread_mutex_t lock;
    struct metric *first;
    struct metric **end;
} registry = {PTHREAD_MUTEX_INITIALIZER, NULL, &registry.first};

static struct metric *find_or_make(enum kind kind, const char *name, const char *help,
                                   const char *labels)
{
    struct metric *m;

    (void)pthread_mutex_lock(&registry.lock);
    for (m = registry.first; m != NULL; m = m->next) {
        if (strcmp(m->name, name) == 0 && strcmp(m->labels, labels) == 0) {
            break;
        }
    }
    if (m == NULL) {
        m = mem_new0(sizeof(*m));
        m->name = name;
        m->help = help;
        m->kind = kind;
        (void)snprintf(m->labels, sizeof(m->labels), "%s", labels);
        *registry.end = m;
        registry.end = &m->next;
    }
    (void)pthread_mutex_unlock(&registry.lock);
    return m;
}

struct metric *metric_counter(const char *name, const char *help)
{
    return find_or_make(KIND_COUNTER, name, help, "");
}

struct metric *metric_gauge(const char *name, const char *help)
{
    return find_or_make(KIND_GAUGE, name, help, "");
}

struct metric *metric_histogram(const char *name, const char *help)
{
    return find_or_make(KIND_HISTOGRAM, name, help, "");
}

#define MAKE(kind)                                   \
    char text[METRIC_LABELS_MAX];                    \
    va_list ap;                                      \
    va_start(ap, labels);                            \
    (void)vsnprintf(text, sizeof(text), labels, ap); \
    va_end(ap);                                      \
    return find_or_make((kind), name, help, text)

struct metric *metric_counter_for(const char *name, const char *help, const char *labels, ...)
{
    MAKE(KIND_COUNTER);
}

struct metric *metric_gauge_for(const char *name, const char *help, const char *labels, ...)
{
    MAKE(KIND_GAUGE);
}

struct metric *metric_histogram_for(const char *name, const char *help, const char *labels, ...)
{
    MAKE(KIND_HISTOGRAM);
}

void metric_add(struct metric *metric, int64_t n)
{
    (void)atomic_fetch_add_explicit(&metric->value, n, memory_order_relaxed);
}

void metric_set(struct metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
    atomic_store_explicit(&metric->hidden, false, memory_order_relaxed);
}

void metric_observe_us(struct metric *metric, int64_t us)
{
    unsigned i = 0;

    us = us < 0 ? 0 : us;
    while (i < BUCKETS && us > buckets[i].us) {
        i++;
    }
    (void)atomic_fetch_add_explicit(&metric->in_bucket[i], 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&metric->sum_us, us, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&metric->value, 1, memory_order_relaxed);
}

void metric_hide(struct metric *metric)
{
    atomic_store_explicit(&metric->hidden, true, memory_order_relaxed);
}

int64_t metric_value(const struct metric *metric)
{
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

static void print_histogram(const struct metric *m, struct buf *out)
{
    const char *comma = m->labels[0] != 0 ? "," : "";
    const char *open = m->labels[0] != 0 ? "{" : "";
    const char *close = m->labels[0] != 0 ? "}" : "";
    int64_t total = 0;
    int64_t sum = atomic_load_explicit(&m->sum_us, memory_order_relaxed);

    for (unsigned i = 0; i <= BUCKETS; i++) {
        total += atomic_load_explicit(&m->in_bucket[i], memory_order_relaxed);
        buf_addf(out, "%s_bucket{%s%sle=\"%s\"} %lld\n", m->name, m->labels, comma,
                 i < BUCKETS ? buckets[i].text : "+Inf", (long long)total);
    }
    buf_addf(out, "%s_sum%s%s%s %lld.%06lld\n", m->name, open, m->labels, close,
             (long long)(sum / 1000000), (long long)(sum % 1000000));
    buf_addf(out, "%s_count%s%s%s %lld\n", m->name, open, m->labels, close, (long long)total);
}

static void print_one(const struct metric *m, struct buf *out)
{
    if (atomic_load_explicit(&m->hidden, memory_order_relaxed)) {
        return;
    }
    if (m->kind == KIND_HISTOGRAM) {
        print_histogram(m, out);
    } else if (m->labels[0] != 0) {
        buf_addf(out, "%s{%s} %lld\n", m->name, m->labels, (long long)metric_value(m));
    } else {
        buf_addf(out, "%s %lld\n", m->name, (long long)metric_value(m));
    }
}

static bool is_first_of_family(const struct metric *m)
{
    const struct metric *before = registry.first;

    while (strcmp(before->name, m->name) != 0) {
        before = before->next;
    }
    return before == m;
}

void metric_print(struct buf *out)
{
    (void)pthread_mutex_lock(&registry.lock);
    for (const struct metric *m = registry.first; m != NULL; m = m->next) {
        if (!is_first_of_family(m)) {
            continue;
        }
        buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
                 kind_names[m->kind]);
        for (const struct metric *same = m; same != NULL; same = same->next) {
            if (strcmp(same->name, m->name) == 0) {
                print_one(same, out);
            }
        }
    }
    (void)pthread_mutex_unlock(&registry.lock);
}
