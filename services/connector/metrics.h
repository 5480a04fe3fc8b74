/* metrics: what the connector counts, as Prometheus shows it. Made once; updating is cheap. */
#ifndef CONNECTOR_METRICS_H
#define CONNECTOR_METRICS_H

#include <stdint.h>

struct connector;
struct metric;

struct connector_metrics {
    struct metric *accepted;       /* messages handed over to us */
    struct metric *written;        /* stanzas of messages, repeats too */
    struct metric *acked;          /* by the server */
    struct metric *refused;        /* by the server */
    struct metric *received;       /* messages that came in */
    struct metric *undecryptable;  /* retry receipts that we sent */
    struct metric *resent;         /* retry receipts that we answered */
    struct metric *connections;    /* opened */
    struct metric *ack_seconds;    /* from the write to the ack */
    struct metric *sessions_held;  /* with a connection now */
    struct metric *sessions_ready; /* logged in now */
    struct metric *queued;         /* messages that wait to be prepared */
    struct metric *unacked;        /* prepared or written */
};

extern struct connector_metrics metrics;

void metrics_make(void);                                 /* before anything is counted */
void metrics_measure(const struct connector *connector); /* the gauges, now and then */

#endif
