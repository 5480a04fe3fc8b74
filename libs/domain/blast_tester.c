#include "domain/blast_tester.h"

#include "testkit/testkit.h"

struct blast_event blast_tester_fact(enum blast_event_kind kind)
{
    return (struct blast_event){.kind = kind,
                                .aggregate_id = "b1a57000-0000-7000-8000-000000000001",
                                .id = 1,
                                .blast_key = "blast_20250907_001",
                                .session_uuid = "5e551000-0000-5000-8000-000000000001",
                                .session_key = "sales",
                                .user_id = 7,
                                .occurred_at = BLAST_TESTER_NOON_US - 3600000000};
}

void blast_tester_fold(struct blast *blast, struct blast_event event)
{
    event.sequence = blast->sequence + 1;
    blast_evolve(blast, &event);
}

struct blast blast_tester_given(unsigned status)
{
    static const enum blast_event_kind last[BLAST_STATUS_COUNT] = {
        [BLAST_PAUSED] = BLAST_EVENT_PAUSED,
        [BLAST_COMPLETED] = BLAST_EVENT_COMPLETED,
        [BLAST_STOPPED] = BLAST_EVENT_STOPPED,
        [BLAST_FAILED] = BLAST_EVENT_FAILED,
    };
    struct blast blast = {0};
    struct blast_event created = blast_tester_fact(BLAST_EVENT_CREATED);

    if (status == BLAST_TESTER_REMOVED) {
        blast = blast_tester_given(BLAST_COMPLETED);
        blast_tester_fold(&blast, blast_tester_fact(BLAST_EVENT_DELETED));
    }
    if (status == BLAST_NONE || status == BLAST_TESTER_REMOVED) {
        return blast;
    }
    created.as.created =
        (struct blast_created){.total_messages = BLAST_TESTER_TOTAL, .upload_id = "u"};
    blast_tester_fold(&blast, created);
    if (status != BLAST_IDLE) {
        blast_tester_fold(&blast, blast_tester_fact(BLAST_EVENT_STARTED));
    }
    if (last[status] != BLAST_EVENT_NONE) {
        blast_tester_fold(&blast, blast_tester_fact(last[status]));
    }
    assert_int_equal(blast.status, status);
    return blast;
}

struct blast_command blast_tester_command(enum blast_command_kind kind)
{
    struct blast_command command = {.kind = kind,
                                    .aggregate_id = "b1a57000-0000-7000-8000-000000000001",
                                    .session_uuid = "5e551000-0000-5000-8000-000000000001",
                                    .user_id = 7};

    if (kind == BLAST_COMMAND_CREATE) {
        command.as.create = (struct create_blast){.id = 1,
                                                  .blast_key = "blast_20250907_001",
                                                  .session_key = "sales",
                                                  .campaign_name = "Promo",
                                                  .message_template = "Hi {{name}}",
                                                  .total_messages = BLAST_TESTER_TOTAL,
                                                  .upload_id = "u"};
    }
    return command;
}
