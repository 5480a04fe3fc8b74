/* inbox: stanzas from the server, in the order in which they came, each in a turn: what it says is
 * staged, and it is acked once that is committed. A crash before the commit leaves nothing behind,
 * and the server gives the stanza again; one after it leaves a repeat, which changes nothing.
 *
 * Before a stanza is handled, what it needs is brought into memory, for many of them at once: LIDs
 * of senders, Signal records, rows that receipts name. */
#ifndef CONNECTOR_INBOX_H
#define CONNECTOR_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "wa/wa_prekeys.h"

struct account;
struct mailbox;
struct turn;
struct wa_node;
struct wa_receipt;

enum {
    INBOX_AHEAD_MAX = 64, /* stanzas that are read for at once */
    INBOX_IDS_MAX = 2000, /* message ids that are looked up at once; one receipt has fewer */
};

enum inbox_bundle { BUNDLE_NONE, BUNDLE_ASKED, BUNDLE_HERE, BUNDLE_FAILED };

/* A stanza that waits. */
struct incoming {
    struct incoming *next;
    struct buf packed; /* as wa_node_decode takes it */
    uint64_t tag;
    bool is_ready;       /* all that it needs was there when it was looked at */
    bool needs_own_keys; /* it does not decrypt: a new bundle of ours is to be offered */
    bool rows_asked;     /* rows that a receipt names have been read, those that there are */
    uint64_t rows_tag;   /* ... are being read by the load with this tag */
    int answered;        /* highest retry of its device that was answered, as the table has it */
    enum inbox_bundle bundle;
    struct wa_bundle keys; /* BUNDLE_HERE: of the device that asked */
};

/* Handle stanzas while there are any and the turn has room. */
void inbox_run(struct turn *turn, struct account *account);

/* Is all there that the first stanzas need? Else it is being read, and the account becomes ready
 * when it has come. */
bool inbox_is_ready(struct account *account);

/* Are the rows of all messages that @receipt names in memory? They may leave it at each commit. */
bool inbox_has_rows(const struct mailbox *mailbox, const struct wa_receipt *receipt);

/* More or fewer stanzas wait than did: the connection is read while there is room for them. Also
 * while somebody's keys are asked for, without which the inbox may not go on: their answer stands
 * behind whatever else the server has sent. */
void inbox_level(struct account *account);

/* ---- one stanza; false: it waits, and nothing was done ---- */

bool inbox_message(struct turn *turn, struct account *account, struct incoming *incoming,
                   const struct wa_node *node);
bool inbox_receipt(struct turn *turn, struct account *account, struct incoming *incoming,
                   const struct wa_node *node);
/* A device cannot decrypt what we sent: the server has it, and the device gets it once more, up to
 * WA_RETRY_LIMIT times. */
bool inbox_retry(struct turn *turn, struct account *account, struct incoming *incoming,
                 const struct wa_node *node, const struct wa_receipt *receipt);

/* Messages decrypted in this turn that no earlier one told of become events. At its end. */
void inbox_tell(struct turn *turn);

#endif
