/* effects: what follows the commit of a turn, account by account. */
#ifndef CONNECTOR_EFFECTS_H
#define CONNECTOR_EFFECTS_H

struct account;

/* Make the staged state the state, then act on it: connections, QR codes, stanzas, Redis. May end
 * the account's memory: do not touch it afterwards. */
void effects_run(struct account *account);

/* The turn failed: what was staged goes. What it would have done to the connection without any
 * event is done all the same: it followed from the committed state. */
void effects_failed(struct account *account);

#endif
