/* pairing: the phone has accepted the link: whose phone is it, then its credentials are kept. */
#ifndef CONNECTOR_PAIRING_H
#define CONNECTOR_PAIRING_H

struct account;
struct seen;
struct turn;

/* Decide a SESSION_SAW_PAIRED once the table of phones in use has answered. Takes @seen. */
void pairing_observe(struct turn *turn, struct account *account, struct seen *seen);

#endif
