/* session: one WhatsApp login, as a decider. Pure: times, chance and facts come in.
 *
 * decide says which events a command or an observation makes, and what the shell has to do once
 * they are committed; evolve folds an event into the state. An all-zero state is a session that
 * never existed. The tables in session_table_test.c are the specification. */
#ifndef DOMAIN_SESSION_H
#define DOMAIN_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/uuid.h"
#include "domain/phone.h"
#include "domain/verdict.h"
#include "record/records.h"

struct err;

#define SESSION_PHASE_LIST(X) \
    X(NONE)                   \
    X(CREATED)                \
    X(CONNECTING)             \
    X(WAITING_FOR_SCAN)       \
    X(PAIRING)                \
    X(CONNECTED)              \
    X(RECONNECTING)           \
    X(DISCONNECTED)           \
    X(LOGGED_OUT)             \
    X(DELETED)

enum session_phase {
#define SESSION_PHASE_ENUM(name) SESSION_##name,
    SESSION_PHASE_LIST(SESSION_PHASE_ENUM)
#undef SESSION_PHASE_ENUM
        SESSION_PHASE_COUNT
};

enum {
    SESSION_NAME_MAX = 256,         /* bytes with the NUL; what is longer is cut in the state */
    SESSION_WEBHOOK_URL_MAX = 2049, /* the same */
    SESSION_EVENTS_MAX = 2,         /* of one decision */
    SESSION_UNLINKED_TRIES = 5,     /* lost connections of an account that is not linked */
    SESSION_REPLACED_WITHIN_MS = 300000,
    SESSION_DELAY_MAX_MS = 30000,
};

struct session {
    enum session_phase phase;
    int64_t sequence; /* of the newest event folded */
    int64_t epoch;    /* the newest that wrote */
    char uuid[UUID_TEXT_MAX];
    int64_t id;
    int64_t user_id;
    char session_key[SESSION_KEY_MAX];
    char name[SESSION_NAME_MAX];
    char display_name[SESSION_NAME_MAX]; /* its own at WhatsApp; "" unknown */
    char push_name[SESSION_NAME_MAX];
    char webhook_url[SESSION_WEBHOOK_URL_MAX];
    uint32_t subscribe; /* event_names.h */
    bool wants_online;
    bool linked;                    /* valid credentials exist */
    bool closing;                   /* a disconnect was asked for and not confirmed */
    bool logging_out;               /* a logout was asked for and not confirmed */
    char declared_phone[PHONE_MAX]; /* said when it was created; "" unknown */
    char phone[PHONE_MAX];
    char jid[PHONE_JID_MAX]; /* of the linked device */
    char lid[PHONE_JID_MAX];
    int32_t unlinked_losses; /* connections lost in a row before anything was scanned */
    int32_t refused_code;    /* of OUTDATED or REFUSED, told last since the last login; 0 none */
    int64_t replaced_at_us;  /* last close by another login; 0 never */
};

#define SESSION_CLOSE_LIST(X)                                          \
    X(LOST)       /* any other reason; reconnects */                   \
    X(LOGGED_OUT) /* 401 */                                            \
    X(REPLACED)   /* another login of the same device */               \
    X(BANNED)                                                          \
    X(OUTDATED) /* the server does not take our version; reconnects */ \
    X(REFUSED)  /* nor this login, as its code says; reconnects */

enum session_close {
#define SESSION_CLOSE_ENUM(name) SESSION_CLOSE_##name,
    SESSION_CLOSE_LIST(SESSION_CLOSE_ENUM)
#undef SESSION_CLOSE_ENUM
        SESSION_CLOSE_COUNT
};

/* Facts that the connector reports. */
#define SESSION_OBSERVATION_LIST(X) \
    X(SOCKET_OPENED)                \
    X(QR_ISSUED)                    \
    X(QR_USED_UP)                   \
    X(PAIR_CODE_ISSUED)             \
    X(PAIRED)                       \
    X(LOGGED_IN)                    \
    X(PROFILE)                      \
    X(CLOSED)                       \
    X(IDLE)                         \
    X(DISCONNECT_CONFIRMED)         \
    X(DISCONNECT_FAILED)            \
    X(LOGOUT_CONFIRMED)             \
    X(LOGOUT_FAILED)                \
    X(RESTARTED)

enum session_observation_kind {
#define SESSION_OBSERVATION_ENUM(name) SESSION_SAW_##name,
    SESSION_OBSERVATION_LIST(SESSION_OBSERVATION_ENUM)
#undef SESSION_OBSERVATION_ENUM
        SESSION_OBSERVATION_COUNT
};

struct session_observation {
    enum session_observation_kind kind;
    int64_t epoch;            /* of the owner that saw it; an older one is dropped (S7) */
    enum session_close close; /* CLOSED */
    const struct session_closed *closed;  /* CLOSED: code and text; may be NULL */
    const char *connector_id;             /* SOCKET_OPENED */
    const char *detail;                   /* DISCONNECT_FAILED, LOGOUT_FAILED */
    struct session_qr_issued qr;          /* QR_ISSUED */
    struct session_pair_code_issued code; /* PAIR_CODE_ISSUED */
    struct session_paired paired; /* PAIRED; declared_phone and phone_mismatch are filled in here */
    bool phone_taken;             /* PAIRED: another live session has that phone */
    struct session_logged_in login;         /* LOGGED_IN */
    struct session_profile_updated profile; /* PROFILE; NULL members are not known */
};

/* Why a socket closed. */
struct session_closed {
    bool has_code;
    int32_t code;
    const char *reason;
};

struct session_context {
    int64_t now_us;
    int tries;       /* connections tried in a row without a login, before this one ended */
    uint32_t random; /* any number: takes up to a fifth off a delay */
};

/* What the shell does once the events are committed; OPEN and CLOSE also come without an event. */
enum session_effect {
    SESSION_OPEN = 1 << 0,       /* open a connection now */
    SESSION_OPEN_LATER = 1 << 1, /* ... in delay_ms */
    SESSION_CLOSE = 1 << 2,      /* close the connection and stop trying */
    SESSION_UNLINK =
        1 << 3, /* tell WhatsApp to remove the device, before closing; try again until done */
    SESSION_ERASE = 1 << 4,         /* erase the credentials */
    SESSION_DROP_QR = 1 << 5,       /* a QR or linking code shown so far is void */
    SESSION_FAIL_MESSAGES = 1 << 6, /* all unsettled messages of the session fail (S4) */
};

/* Events have kind, payload, aggregate, session_key, user_id, sequence and occurred_at; their texts
 * are borrowed from the command or observation and from the state. Do not copy the struct: some
 * point into it. */
struct session_decision {
    enum verdict verdict;
    unsigned n;
    struct session_event at[SESSION_EVENTS_MAX];
    unsigned effects; /* of enum session_effect */
    int64_t delay_ms; /* of SESSION_OPEN_LATER */
};

/* VERDICT_OK without an event means "already so". The command's epoch and deadline are the shell's
 * affair. */
void session_decide(const struct session *session, const struct session_command *command,
                    const struct session_context *context, struct session_decision *out);

/* Always VERDICT_OK; no event when the observation says nothing new or comes too late. */
void session_observe(const struct session *session, const struct session_observation *seen,
                     const struct session_context *context, struct session_decision *out);

/* Fold one event in. Cannot fail: it has happened. */
void session_evolve(struct session *session, const struct session_event *event);

/* Questions that make no event. */
#define SESSION_QUESTION_LIST(X) \
    X(PAIR_PHONE)                \
    X(GET_QR_F1)                 \
    X(GET_QR_F2)                 \
    X(GET_QR_F3)                 \
    X(CHECK_NUMBER)              \
    X(LIST_GROUPS)               \
    X(SEND)

enum session_question {
#define SESSION_QUESTION_ENUM(name) SESSION_ASKS_##name,
    SESSION_QUESTION_LIST(SESSION_QUESTION_ENUM)
#undef SESSION_QUESTION_ENUM
        SESSION_QUESTION_COUNT
};

enum session_answer {
    SESSION_ANSWER_REFUSE,
    SESSION_ANSWER_NOW,
    SESSION_ANSWER_EMPTY,  /* there is nothing to show any more: a null QR */
    SESSION_ANSWER_WAIT,   /* for the next state, within the family's time; then refuse with the
                              verdict */
    SESSION_ANSWER_CONNECT /* connect first, then wait */
};

/* @verdict (may be NULL) is set for REFUSE, and for WAIT to what is said when the time is up. */
enum session_answer session_ask(enum session_phase phase, enum session_question question,
                                enum verdict *verdict);

/* 1, 2, 4, 8, 16, 30, 30 s ... for tries 0, 1, 2, ..., less up to a fifth by @random. */
int64_t session_reconnect_delay_ms(int tries, uint32_t random);

/* Should a connection be held? True in every state from CONNECTING to RECONNECTING. */
bool session_is_online(enum session_phase phase);

const char *session_phase_name(enum session_phase phase);            /* "WAITING_FOR_SCAN" */
bool session_phase_parse(const char *name, enum session_phase *out); /* exact */

/* The whole state as one JSON object, for a row; appends. */
void session_to_json(const struct session *session, struct buf *out);
/* -ERR_INVALID says which member. */
NODISCARD int session_from_json(const char *json, size_t n, struct session *out, struct err *err);

#endif
