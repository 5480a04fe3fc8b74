#include "connector/metrics.h"

#include "base/metric.h"
#include "connector/account.h"
#include "connector/connector.h"
#include "connector/link.h"
#include "connector/mailbox.h"

struct connector_metrics metrics;

void metrics_make(void)
{
    metrics = (struct connector_metrics){
        .accepted = metric_counter("kentongan_messages_accepted_total", "Handed over"),
        .written = metric_counter("kentongan_messages_written_total",
                                  "Stanzas of messages written, repeats too"),
        .acked = metric_counter("kentongan_messages_acked_total", "Accepted by WhatsApp"),
        .refused = metric_counter("kentongan_messages_refused_total", "Refused by WhatsApp"),
        .received = metric_counter("kentongan_messages_received_total", "Messages that came in"),
        .undecryptable =
            metric_counter("kentongan_messages_undecryptable_total", "Retry receipts sent"),
        .resent = metric_counter("kentongan_messages_resent_total", "Retry receipts answered"),
        .connections =
            metric_counter("kentongan_connections_opened_total", "Connections to WhatsApp"),
        .ack_seconds = metric_histogram("kentongan_ack_seconds", "From the write to the ack"),
        .sessions_held = metric_gauge("kentongan_sessions_held", "Sessions with a connection"),
        .sessions_ready = metric_gauge("kentongan_sessions_ready", "Sessions logged in"),
        .queued = metric_gauge("kentongan_messages_queued", "Messages to be prepared"),
        .unacked = metric_gauge("kentongan_messages_unacked", "Prepared and not yet acked"),
    };
}

void metrics_measure(const struct connector *connector)
{
    int64_t held = 0;
    int64_t ready = 0;
    int64_t queued = 0;
    int64_t window = 0;

    for (struct map_entry *at = map_first(&connector->accounts); at != NULL; at = map_next(at)) {
        const struct account *account = map_value(at);

        held += account->link != NULL ? 1 : 0;
        ready += link_is_ready(account) ? 1 : 0;
        if (account->mailbox != NULL) {
            queued += (int64_t)account->mailbox->n[ROWS_QUEUED];
            window += (int64_t)account->mailbox->n[ROWS_WINDOW];
        }
    }
    metric_set(metrics.sessions_held, held);
    metric_set(metrics.sessions_ready, ready);
    metric_set(metrics.queued, queued);
    metric_set(metrics.unacked, window);
}
