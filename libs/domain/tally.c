#include "domain/tally.h"

#include <stddef.h>

/* Which counters a state is in; a state in none of them is an all-zero tally. */
static struct tally counted(enum message_state state)
{
    switch (state) {
    case MESSAGE_SENT:
        return (struct tally){.sent = 1};
    case MESSAGE_DELIVERED:
        return (struct tally){.sent = 1, .delivered = 1};
    case MESSAGE_READ:
        return (struct tally){.sent = 1, .delivered = 1, .read = 1};
    case MESSAGE_FAILED_RETRY:
        return (struct tally){.retrying = 1};
    case MESSAGE_FAILED:
        return (struct tally){.failed = 1};
    case MESSAGE_SKIPPED:
        return (struct tally){.skipped = 1};
    case MESSAGE_NONE:
    case MESSAGE_PENDING:
    case MESSAGE_DISPATCHED:
    case MESSAGE_CANCELLED:
    case MESSAGE_EXPIRED:
    case MESSAGE_STATE_COUNT:
        break;
    }
    return (struct tally){0};
}

bool tally_move(struct tally *tally, enum message_state from, enum message_state to)
{
    struct tally out = counted(from);
    struct tally in = counted(to);
    struct tally next = {
        .sent = tally->sent - out.sent + in.sent,
        .delivered = tally->delivered - out.delivered + in.delivered,
        .read = tally->read - out.read + in.read,
        .retrying = tally->retrying - out.retrying + in.retrying,
        .failed = tally->failed - out.failed + in.failed,
        .skipped = tally->skipped - out.skipped + in.skipped,
    };

    if (next.sent < 0 || next.delivered < 0 || next.read < 0 || next.retrying < 0 ||
        next.failed < 0 || next.skipped < 0 || next.delivered > next.sent ||
        next.read > next.delivered || tally_settled(&next) < tally_settled(tally)) {
        return false;
    }
    *tally = next;
    return true;
}

bool tally_event(struct tally *tally, const struct message_event *event)
{
    enum message_state from = MESSAGE_NONE;
    enum message_state to = message_state_after(event);

    return event->blast_id != NULL && to != MESSAGE_NONE &&
           message_state_parse(event->state_before, &from) && tally_move(tally, from, to);
}

int32_t tally_settled(const struct tally *tally)
{
    return tally->sent + tally->failed + tally->skipped;
}

struct blast_counts tally_counts(const struct tally *tally)
{
    return (struct blast_counts){
        .current_index = tally_settled(tally),
        .sent = tally->sent,
        .failed = tally->failed + tally->retrying,
        .skipped = tally->skipped,
        .delivered = tally->delivered,
        .read = tally->read,
    };
}
