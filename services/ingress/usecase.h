/* usecase: what can be done with sessions, messages and blasts, whoever asks and in whatever form:
 * REST families and Kafka submissions call these and word the outcome themselves.
 *
 * Each validates, reserves ids, sends a command and waits for its projected outcome. 0, or -1 and
 * *@why. Rows live in the arena. */
#ifndef INGRESS_USECASE_H
#define INGRESS_USECASE_H

#include <stdbool.h>

#include "base/attr.h"
#include "domain/phone.h"
#include "ingress/ingress.h"
#include "ingress/upload.h"
#include "ingress/view.h"

struct arena;

/* Who asks, and where what is answered lives. */
struct asker {
    struct ingress *ingress;
    const struct actor *actor;
    struct arena *arena;
};

/* ---- sessions (usecase_session.c) ---- */

struct session_draft {
    const char *key;            /* NULL: one is made */
    const char *name;           /* NULL: "Session <key>" */
    const char *phone;          /* NULL: not known */
    const char *webhook_url;    /* NULL or "": none */
    const char *webhook_secret; /* NULL: one is made when there is a URL */
    const char *idempotency_key;
};

/* *@secret: the webhook secret when one was made just now, to be shown this once; else NULL. */
NODISCARD int usecase_session_create(const struct asker *by, const struct session_draft *draft,
                                     struct session_row *out, const char **secret,
                                     struct refusal *why);

/* Find by any of its ids; REFUSED_NOT_FOUND. */
NODISCARD int usecase_session_get(const struct asker *by, const char *name, struct session_row *out,
                                  struct refusal *why);

enum session_act { SESSION_ACT_CONNECT, SESSION_ACT_DISCONNECT, SESSION_ACT_DELETE };
NODISCARD int usecase_session_act(const struct asker *by, const struct session_row *session,
                                  enum session_act act, struct refusal *why);

NODISCARD int usecase_session_rename(const struct asker *by, const struct session_row *session,
                                     const char *name, struct refusal *why);

/* @url "" removes it. @secret NULL: the one there is stays; *@made as in create. */
NODISCARD int usecase_session_webhook(const struct asker *by, const struct session_row *session,
                                      const char *url, const char *secret, const char **made,
                                      struct refusal *why);

/* ---- single messages (usecase_message.c) ---- */

struct message_draft {
    const char *recipient; /* phone or user's JID, as given */
    const char *text;
    const char *idempotency_key;
};

struct message_fate {
    const char *message_id; /* WhatsApp's, or ours while that is not known */
    bool is_sent;           /* false: accepted, and still on its way */
};

NODISCARD int usecase_send(const struct asker *by, const struct session_row *session,
                           const struct message_draft *draft, struct message_fate *out,
                           struct refusal *why);

/* ---- blasts (usecase_blast.c) ---- */

/* The session of a blast that was begun before. */
struct blast_home {
    struct uuid session_uuid;
    char session_key[SESSION_KEY_MAX];
};

struct blast_draft {
    const char *session; /* any id of the session */
    const char *campaign_name;
    const char *message_template;
    const char *config; /* JSON; NULL: defaults */
    const char *campaign_id;
    bool auto_start;
    const char *idempotency_key;   /* or the request id of a submission */
    const struct blast_home *home; /* NULL: the session must be there; else it may be gone by now */
};

/* A blast that is being made: open, then upload_add for each recipient (their texts in
 * upload.arena), then create, and close in any case. */
struct blast_making {
    struct asker by;
    const struct blast_draft *draft;
    const char *config; /* complete */
    struct uuid uuid;
    struct uuid session_uuid;
    char session_key[SESSION_KEY_MAX];
    int64_t session_sequence;
    struct upload upload;
};

NODISCARD int usecase_blast_open(struct blast_making *making, const struct asker *by,
                                 const struct blast_draft *draft, struct refusal *why);
/* @out NULL: whatever became of it since. */
NODISCARD int usecase_blast_create(struct blast_making *making, struct blast_row *out,
                                   struct refusal *why);
void usecase_blast_close(struct blast_making *making);

NODISCARD int usecase_blast_get(const struct asker *by, const char *name, struct blast_row *out,
                                struct refusal *why);

enum blast_act {
    BLAST_ACT_START,
    BLAST_ACT_PAUSE,
    BLAST_ACT_RESUME,
    BLAST_ACT_STOP,
    BLAST_ACT_DELETE
};

/* *@blast is read again afterwards (not after a delete). */
NODISCARD int usecase_blast_act(const struct asker *by, enum blast_act act, struct blast_row *blast,
                                struct refusal *why);

#endif
