/* reply: answers to commands, to whoever waits for them. */
#ifndef SCHEDULER_REPLY_H
#define SCHEDULER_REPLY_H

struct scheduler;

/* Keep @verdict in Redis for a minute, and tell the instance @reply_to (NULL: nobody waits). */
void reply_send(struct scheduler *scheduler, const char *reply_to, const char *command_id,
                const char *verdict);

#endif
