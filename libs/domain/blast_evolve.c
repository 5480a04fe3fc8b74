#include "domain/blast.h"

#include <string.h>

#include "domain/fixed.h"

static void on_created(struct blast *blast, const struct blast_event *event)
{
    blast->status = BLAST_IDLE;
    FIXED_COPY(blast->uuid, event->aggregate_id);
    blast->id = event->id;
    FIXED_COPY(blast->blast_key, event->blast_key);
    blast->user_id = event->user_id;
    FIXED_COPY(blast->session_uuid, event->session_uuid);
    FIXED_COPY(blast->session_key, event->session_key);
    FIXED_COPY(blast->upload_id, event->as.created.upload_id);
    blast->total = event->as.created.total_messages;
    blast->created_at_ms = event->occurred_at / 1000;
}

static void run_from(struct blast *blast, int64_t at_ms)
{
    blast->status = BLAST_RUNNING;
    blast->paused_by_account = false;
    blast->run_from_ms = at_ms;
    blast->run_from_index = blast->counts.current_index;
}

static void ended(struct blast *blast, enum blast_status status, int64_t at_ms)
{
    blast->status = status;
    blast->paused_by_account = false;
    blast->ended_at_ms = at_ms;
}

/* The events that carry counters have six members of the same names. */
#define COUNTS_OF(payload)                                                        \
    (struct blast_counts)                                                         \
    {                                                                             \
        .current_index = (payload)->current_index, .sent = (payload)->sent_count, \
        .failed = (payload)->failed_count, .skipped = (payload)->skipped_count,   \
        .delivered = (payload)->delivered_count, .read = (payload)->read_count,   \
    }

static void counted(struct blast *blast, struct blast_counts counts, int64_t at_us)
{
    blast->counts = counts;
    blast->counted_at_ms = at_us / 1000;
}

static void on_paused(struct blast *blast, const struct blast_paused *paused)
{
    blast->status = BLAST_PAUSED;
    blast->paused_at_ms = paused->at;
    blast->paused_by_account =
        paused->reason != NULL && strcmp(paused->reason, "account_offline") == 0;
}

void blast_evolve(struct blast *blast, const struct blast_event *event)
{
    blast->sequence = event->sequence;
    switch (event->kind) {
    case BLAST_EVENT_CREATED:
        on_created(blast, event);
        break;
    case BLAST_EVENT_STARTED:
        blast->started_at_ms = event->as.started.at;
        run_from(blast, event->as.started.at);
        break;
    case BLAST_EVENT_PAUSED:
        on_paused(blast, &event->as.paused);
        break;
    case BLAST_EVENT_RESUMED:
        blast->resumed_at_ms = event->as.resumed.at;
        run_from(blast, event->as.resumed.at);
        break;
    case BLAST_EVENT_PROGRESSED:
        counted(blast, COUNTS_OF(&event->as.progressed), event->occurred_at);
        break;
    case BLAST_EVENT_COMPLETED:
        counted(blast, COUNTS_OF(&event->as.completed), event->occurred_at);
        ended(blast, BLAST_COMPLETED, event->as.completed.at);
        break;
    case BLAST_EVENT_STOPPED:
        counted(blast, COUNTS_OF(&event->as.stopped), event->occurred_at);
        ended(blast, BLAST_STOPPED, event->as.stopped.at);
        break;
    case BLAST_EVENT_FAILED:
        counted(blast, COUNTS_OF(&event->as.failed), event->occurred_at);
        ended(blast, BLAST_FAILED, event->as.failed.at);
        break;
    case BLAST_EVENT_DELETED:
        blast->deleted = true;
        break;
    case BLAST_EVENT_NONE:
    case BLAST_EVENT_RECIPIENTS_SKIPPED: /* counted with the next progress */
    case BLAST_EVENT_RECIPIENTS_CANCELLED:
        break;
    }
}
