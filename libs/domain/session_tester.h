/* session_tester: sessions, facts and commands that the tests of the session's decider begin with.
 */
#ifndef DOMAIN_SESSION_TESTER_H
#define DOMAIN_SESSION_TESTER_H

#include "domain/session.h"

extern const struct session_context session_tester_noon;

/* An event of the one session there is, an hour ago; without sequence. */
struct session_event session_tester_fact(enum session_event_kind kind);
/* Fold @event in as the next one. */
void session_tester_fold(struct session *session, struct session_event event);

/* A session that came into @phase the usual way. @linked: an account, where both may be. */
struct session session_tester_given(enum session_phase phase, bool linked);

/* A command to it. @with_news: it changes what can be changed; else it says what is so already. */
struct session_command session_tester_command(enum session_command_kind kind, bool with_news);

#endif
