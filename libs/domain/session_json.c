#include "domain/session.h"
#include "domain/state_json.h"

_Static_assert(sizeof(enum session_phase) == sizeof(uint32_t), "see state_json.c");

#define MEMBER(name, kind)                                                                     \
    {                                                                                          \
#name, kind, offsetof(struct session, name), sizeof(((struct session *)0)->name), NULL \
    }

static const char *const phases[] = {
#define SESSION_PHASE_TEXT(name) #name,
    SESSION_PHASE_LIST(SESSION_PHASE_TEXT)
#undef SESSION_PHASE_TEXT
};

static const struct state_member members[] = {
    {"phase", STATE_WORD, offsetof(struct session, phase), SESSION_PHASE_COUNT, phases},
    MEMBER(sequence, STATE_I64),
    MEMBER(epoch, STATE_I64),
    MEMBER(uuid, STATE_TEXT),
    MEMBER(id, STATE_I64),
    MEMBER(user_id, STATE_I64),
    MEMBER(session_key, STATE_TEXT),
    MEMBER(name, STATE_TEXT),
    MEMBER(display_name, STATE_TEXT),
    MEMBER(push_name, STATE_TEXT),
    MEMBER(webhook_url, STATE_TEXT),
    MEMBER(subscribe, STATE_U32),
    MEMBER(wants_online, STATE_BOOL),
    MEMBER(linked, STATE_BOOL),
    MEMBER(closing, STATE_BOOL),
    MEMBER(logging_out, STATE_BOOL),
    MEMBER(declared_phone, STATE_TEXT),
    MEMBER(phone, STATE_TEXT),
    MEMBER(jid, STATE_TEXT),
    MEMBER(lid, STATE_TEXT),
    MEMBER(unlinked_losses, STATE_I32),
    MEMBER(replaced_at_us, STATE_I64),
    MEMBER(refused_code, STATE_I32),
};

enum { MEMBERS_N = sizeof(members) / sizeof(members[0]) };

void session_to_json(const struct session *session, struct buf *out)
{
    state_to_json(session, members, MEMBERS_N, out);
}

int session_from_json(const char *json, size_t n, struct session *out, struct err *err)
{
    struct session made = {0};
    int rc = state_from_json(json, n, members, MEMBERS_N, &made, err);

    if (rc == 0) {
        *out = made;
    }
    return rc;
}
