/* effects: what follows the commit of a turn, account by account. */
#ifndef CONNECTOR_EFFECTS_H
#define CONNECTOR_EFFECTS_H

struct account;

/* Make the staged state the state, then act on it: connections, QR codes, stanzas, Redis. May end
 * the account's memory: do not touch it afterwards. */
void effects_run(struct account *account);

#endif
