/* mailbox: the messages of one account: outbound rows from hand-over until their receipts, and
 * stanzas that came in and wait for a turn.
 *
 *     accept          prepare               write           ack
 *     QUEUED ---> (peers known) PREPARED ---> WRITTEN ---> DONE (kept a while for receipts)
 *        ^              |           ^            |
 *        |   not_after  v           '-- connection lost, or no ack in time
 *        '--- DONE (expired, failed)
 *
 * Each arrow but "write" is a transaction (accept and prepare are one where the recipient and the
 * sessions with all devices are known already); what is written are bytes that are committed. A row
 * in DONE that has left memory is read again when a receipt or a command names it. */
#ifndef CONNECTOR_MAILBOX_H
#define CONNECTOR_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/uuid.h"
#include "connector/credentials.h"
#include "domain/message.h"
#include "domain/verdict.h"
#include "loop/loop.h"
#include "wa/wa_jid.h"

struct account;
struct err;
struct incoming;
struct lids;
struct peers;
struct pg_rows;
struct turn;
struct wa_ack;
struct wa_node;

enum {
    MAILBOX_DONE_MAX = 256,              /* settled rows kept in memory per account, for receipts */
    MAILBOX_INBOX_FULL = 1000,           /* stanzas waiting for a turn: no more are read ... */
    MAILBOX_INBOX_LOW = 250,             /* ... until they are so few */
    MAILBOX_INBOX_FULL_BYTES = 32 << 20, /* the same of their bytes */
    MAILBOX_INBOX_LOW_BYTES = 8 << 20,
    MAILBOX_INBOX_MAX = 100000, /* where reading must go on (inbox_level): more ends the link */
    MAILBOX_INBOX_MAX_BYTES = 256 << 20,
    MAILBOX_REST_MS = 30000, /* without anything to do for so long: memory is given back */
    MAILBOX_AGAIN_MS = 20    /* then what is due and could not be done is looked at again */
};

/* Columns of a message row behind its session_uuid, as mailbox_load_message reads them. */
#define MAILBOX_COLUMNS                                                                   \
    "message_id, user_id, wa_message_id, recipient, kind, text, contact_name, blast_id, " \
    "blast_index, campaign_id, correlation_id, not_after, state, sequence, attempts, "    \
    "next_attempt, stanza"

/* DONE goes last: the phases are the lists of a mailbox. */
enum row_phase { ROW_QUEUED, ROW_PREPARED, ROW_WRITTEN, ROW_DONE };
enum row_list { ROWS_QUEUED, ROWS_WINDOW, ROWS_DONE, ROWS_COUNT };

struct row {
    struct row *prev; /* of the rows in the same list, in the order in which they came there */
    struct row *next;
    struct arena arena; /* of the texts */
    char message_id[UUID_TEXT_MAX];
    char wa_message_id[CREDENTIALS_WIRE_ID_MAX];
    struct wa_jid to;         /* none: not an address */
    struct send_message send; /* recipient, kind, text, ...: in arena */
    int64_t user_id;
    const char *correlation_id;
    enum row_phase phase;
    struct message state; /* as committed */
    struct buf stanza;    /* committed bytes of a node; empty before prepare and once settled */
    int64_t written_ms;   /* loop time of the last write */
    bool ack_due;         /* of a write on this connection */

    /* in the open turn */
    bool in_turn;
    bool is_new;
    struct row *turn_next;
    struct message staged;
    struct buf staged_stanza;
    bool has_staged_stanza;
};

/* A new encryption for one device that asked for it. Once settled it is kept until the inbox is
 * empty: a repeat of the receipt may stand there. */
struct resend {
    struct resend *next;
    char message_id[UUID_TEXT_MAX];
    char wa_message_id[CREDENTIALS_WIRE_ID_MAX];
    char device[WA_JID_TEXT_MAX];
    int count;
    struct buf stanza; /* empty once settled */
    bool is_new;       /* staged in the open turn */
    bool is_written;
    bool is_settled;
};

/* Bytes of a node that go out after the commit. */
struct outgoing {
    struct outgoing *next;
    struct buf node;
};

struct mailbox {
    struct map by_wire; /* rows by wa_message_id */
    struct map by_id;   /* rows by message_id */
    struct row *rows[ROWS_COUNT];
    size_t n[ROWS_COUNT];
    int64_t expiry_ms;     /* wall clock: no queued row ends before; INT64_MAX: none does */
    struct row *turn_rows; /* what the open turn touched, in order */
    struct row *turn_last;
    struct resend *resends;
    struct incoming *inbox_first;
    struct incoming *inbox_last;
    size_t n_inbox;
    size_t inbox_bytes;
    size_t n_rows_asked;     /* stanzas for which rows were read */
    uint64_t loading;        /* tag of what is being read for the first ones; 0: nothing */
    unsigned n_loading;      /* how many answers are still to come */
    bool load_failed;        /* one of them did */
    struct loop_timer again; /* after a load that failed */
    bool retries_unknown;    /* ... and which retries were answered did not come */
    uint64_t fetching_for;   /* tag of the stanza for which a bundle is asked; 0: none */
    struct outgoing *out_first;
    struct outgoing *out_last;
    struct peers *peers;
    struct lids *lids;
    bool failing;    /* the session is gone: every open row fails, turn by turn */
    bool is_unheard; /* a message was not acked in time: connect anew */
    int64_t used_ms; /* loop time */
    struct loop_timer watch;
};

struct mailbox *mailbox_of(struct account *account); /* made when there is none */
void mailbox_free(struct mailbox **mailbox);

/* If the account has been idle: give back what can be read again. True: it had a mailbox. */
bool mailbox_rest(struct account *account);

/* The device is gone: what waited for its connection, and who it knew. Rows stay. */
void mailbox_forget(struct account *account);

/* ---- rows ---- */

/* Decide SendMessage @command on @account: its row, or why not. Sets *@sequence of the message. A
 * row of that id must be in memory if there is one. */
enum verdict mailbox_accept(struct turn *turn, struct account *account,
                            const struct message_command *command, int64_t *sequence);
/* SendMessage @command of a blast is not taken, because of @why: it fails under @id, of which the
 * table has no row. */
void mailbox_refuse(struct turn *turn, struct account *account,
                    const struct message_command *command, const char *id, const char *why);
struct row *mailbox_find(const struct mailbox *mailbox, const char *wa_message_id); /* or NULL */

/* Stage what @input makes of @row: event and columns. @input->now_ms is filled in. */
void mailbox_decide(struct turn *turn, struct account *account, struct row *row,
                    struct message_input *input);
const struct message *mailbox_state(const struct row *row); /* staged or committed */

/* Has the time for sending @row passed? */
bool mailbox_is_late(const struct row *row, int64_t wall_ms);

/* Fail open rows as far as the turn has room; goes on by itself in later turns. */
void mailbox_fail(struct turn *turn, struct account *account);

size_t mailbox_n_open(const struct mailbox *mailbox); /* rows that are not DONE; NULL: 0 */

/* ---- loading ---- */

NODISCARD int mailbox_load_message(struct account *account, const struct pg_rows *rows, size_t row,
                                   struct err *err);
void mailbox_load_retry(struct account *account, const struct pg_rows *rows, size_t row);

/* ---- turn ---- */

void mailbox_run(struct turn *turn, struct account *account);   /* what waits */
void mailbox_stage(struct turn *turn, struct account *account); /* at the turn's end */
void mailbox_committed(struct account *account);                /* sends what may go out */
void mailbox_settle(struct account *account); /* staged rows become the rows; part of it */
void mailbox_set_phase(struct mailbox *mailbox, struct row *row, enum row_phase phase);

/* The server has acked a message: true when what was acked is what was sent again of it, which is
 * settled with that. */
bool mailbox_resend_acked(struct turn *turn, struct account *account, const struct wa_ack *ack);
void mailbox_watch(struct account *account); /* wake up when the next row is due */

/* Send @node (encoded here) once the open turn is committed. What cannot be encoded is not sent. */
void mailbox_send_after(struct account *account, const struct wa_node *node);

/* ---- connection ---- */

/* A stanza that wants a turn. -ERR_LIMIT: MAILBOX_INBOX_MAX or _MAX_BYTES wait already.
 * -ERR_INVALID: it cannot be kept, and never will be. */
NODISCARD int mailbox_take(struct account *account, const struct wa_node *stanza, struct err *err);
void mailbox_drop_inbox(struct mailbox *mailbox);
void mailbox_drop_out(struct mailbox *mailbox); /* acks and receipts not sent */
void mailbox_online(struct account *account);   /* logged in: prepared rows go out again */
void mailbox_offline(struct account *account);  /* what was not acked is to be written again */
void mailbox_returned(struct account *account); /* the partition is ours again */

#endif
