/* session_internal: what session.c and session_observe.c share. */
#ifndef DOMAIN_SESSION_INTERNAL_H
#define DOMAIN_SESSION_INTERNAL_H

#include "domain/session.h"

/* The next event of @out, with its envelope; the caller adds the payload. */
struct session_event *session_emit(struct session_decision *out, const struct session *session,
                                   const struct session_context *context,
                                   enum session_event_kind kind);

#endif
