#include "domain/blast.h"
#include "domain/state_json.h"

_Static_assert(sizeof(enum blast_status) == sizeof(uint32_t), "see state_json.c");

#define MEMBER(name, kind)                                                                 \
    {                                                                                      \
#name, kind, offsetof(struct blast, name), sizeof(((struct blast *)0)->name), NULL \
    }
#define COUNT(name)                                                                  \
    {                                                                                \
#name, STATE_I32, offsetof(struct blast, counts.name), sizeof(int32_t), NULL \
    }

static const char *const statuses[] = {
#define BLAST_STATUS_TEXT(name) #name,
    BLAST_STATUS_LIST(BLAST_STATUS_TEXT)
#undef BLAST_STATUS_TEXT
};

static const struct state_member members[] = {
    {"status", STATE_WORD, offsetof(struct blast, status), BLAST_STATUS_COUNT, statuses},
    MEMBER(deleted, STATE_BOOL),
    MEMBER(paused_by_account, STATE_BOOL),
    MEMBER(sequence, STATE_I64),
    MEMBER(uuid, STATE_TEXT),
    MEMBER(id, STATE_I64),
    MEMBER(blast_key, STATE_TEXT),
    MEMBER(user_id, STATE_I64),
    MEMBER(session_uuid, STATE_TEXT),
    MEMBER(session_key, STATE_TEXT),
    MEMBER(upload_id, STATE_TEXT),
    MEMBER(total, STATE_I32),
    COUNT(current_index),
    COUNT(sent),
    COUNT(failed),
    COUNT(skipped),
    COUNT(delivered),
    COUNT(read),
    MEMBER(counted_at_ms, STATE_I64),
    MEMBER(run_from_ms, STATE_I64),
    MEMBER(run_from_index, STATE_I32),
    MEMBER(created_at_ms, STATE_I64),
    MEMBER(started_at_ms, STATE_I64),
    MEMBER(paused_at_ms, STATE_I64),
    MEMBER(resumed_at_ms, STATE_I64),
    MEMBER(ended_at_ms, STATE_I64),
};

enum { MEMBERS_N = sizeof(members) / sizeof(members[0]) };

void blast_to_json(const struct blast *blast, struct buf *out)
{
    state_to_json(blast, members, MEMBERS_N, out);
}

int blast_from_json(const char *json, size_t n, struct blast *out, struct err *err)
{
    struct blast made = {0};
    int rc = state_from_json(json, n, members, MEMBERS_N, &made, err);

    if (rc == 0) {
        *out = made;
    }
    return rc;
}
