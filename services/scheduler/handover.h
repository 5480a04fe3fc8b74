/* handover: which recipients go next: at most the window at a time, at the account's rate, after
 * the delays of their blast and within its hours. */
#ifndef SCHEDULER_HANDOVER_H
#define SCHEDULER_HANDOVER_H

struct account;
struct turn;

/* Hand over all that may go now, one of each blast in turns; the account is woken when more may. */
void handover_run(struct turn *turn, struct account *account);

#endif
