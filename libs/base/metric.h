/* metric: counters, gauges and histograms of this process, printed as Prometheus text.
 *
 * One registry for the process. Making a metric takes a lock and may allocate, so do it at start or
 * at assignment and keep the pointer, which stays good until the process ends; updating is one
 * relaxed atomic operation. All calls: any thread.
 *
 *     struct metric *sent = metric_counter("kentongan_messages_sent_total", "Acked by the server");
 *     struct metric *lag = metric_gauge_for("kentongan_consumer_lag", "Records behind",
 *                                           "topic=\"%s\",partition=\"%d\"", topic, partition);
 *     metric_add(sent, 1);
 *     metric_set(lag, 17); */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stdint.h>

#include "base/attr.h"

struct buf;
struct metric;

enum { METRIC_LABELS_MAX = 256 }; /* bytes of the text between the braces; longer is cut */

/* Find or make. @name and @help stay the caller's and must live as long as the process (literals).
 * A name has one kind and one help text. Histograms hold durations in seconds (name them
 * ..._seconds), in buckets from 1 ms to 60 s. */
struct metric *metric_counter(const char *name, const char *help);
struct metric *metric_gauge(const char *name, const char *help);
struct metric *metric_histogram(const char *name, const char *help);

/* The same with labels, a printf format of what stands between the braces. */
struct metric *metric_counter_for(const char *name, const char *help, const char *labels, ...)
    PRINTF_LIKE(3, 4);
struct metric *metric_gauge_for(const char *name, const char *help, const char *labels, ...)
    PRINTF_LIKE(3, 4);
struct metric *metric_histogram_for(const char *name, const char *help, const char *labels, ...)
    PRINTF_LIKE(3, 4);

void metric_add(struct metric *metric, int64_t n); /* counters (n >= 0) and gauges */
void metric_set(struct metric *metric, int64_t value);
void metric_observe_us(struct metric *metric, int64_t us); /* histograms; negative counts as 0 */

/* Leave a gauge out of what is printed until it is set again (a partition that went away). */
void metric_hide(struct metric *metric);

int64_t metric_value(const struct metric *metric); /* of a histogram: how many were observed */

/* Append all of it in the Prometheus text format, families together, in the order they were made.
 */
void metric_print(struct buf *out);

#endif
