/* inbox: stanzas from the server, in the order in which they came, each in a turn: what it says is
 * staged, and it is acked once that is committed. A crash before the commit leaves nothing behind,
 * and the server gives the stanza again; one after it leaves a repeat, which changes nothing. */
#ifndef CONNECTOR_INBOX_H
#define CONNECTOR_INBOX_H

#include <stdbool.h>

struct account;
struct turn;
struct wa_node;

/* Handle stanzas while there are any and the turn has room. */
void inbox_run(struct turn *turn, struct account *account);

/* A message for the account. False: a record must be loaded first; nothing was done. */
bool inbox_message(struct turn *turn, struct account *account, const struct wa_node *node);

/* A receipt of a message that we sent. False: its row must be loaded first. */
bool inbox_receipt(struct turn *turn, struct account *account, const struct wa_node *node);

/* Messages decrypted in this turn that no earlier one told of become events. At its end. */
void inbox_tell(struct turn *turn);

#endif
