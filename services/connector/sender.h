/* sender: outbound messages of an account from QUEUED to the server's ack (the drawing is in
 * mailbox.h). */
#ifndef CONNECTOR_SENDER_H
#define CONNECTOR_SENDER_H

#include <stdbool.h>

struct account;
struct turn;
struct wa_node;

enum { SENDER_LOOK_MAX = 128 /* queued rows that are looked at: those behind wait for these */ };

/* In a turn: what expired, what was not acked in time, what can be prepared. */
void sender_run(struct turn *turn, struct account *account);

/* In a turn: the server's ack or refusal of a message. */
void sender_ack(struct turn *turn, struct account *account, const struct wa_node *node);

/* May what the server refused with @error (0: it did not) be taken another time? */
bool sender_may_repeat(int error);

/* After a commit: write what is prepared; ask for a turn if there is more that can be. True: bytes
 * were written. */
bool sender_write(struct account *account);
void sender_wake(struct account *account);

#endif
