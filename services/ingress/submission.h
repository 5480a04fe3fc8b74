/* submission: blasts that outside producers put on wa.blast.submit.v1.
 *
 *     record -> taken (row, with the offset) -> decided on a thread (the use case of REST)
 *                                                  -> verdict, and a rejection where it is one
 *
 * Both arrows that write are turns of the ledger. A crash between them leaves the row, and the
 * request is decided again; its ids come from (user, request id), so that makes nothing twice. The
 * first verdict on a request stays (B5). Before anything of a blast is published its
 * acceptance is promised, for a session that is named with it; that promise outlives the key and
 * the session, so nothing is rejected that exists. The API key is hashed when the record is taken
 * and is kept nowhere. */
#ifndef INGRESS_SUBMISSION_H
#define INGRESS_SUBMISSION_H

#include <stdbool.h>

#include "base/attr.h"
#include "ingress/ingress.h"

struct err;
struct submissions;

enum {
    SUBMISSION_WAITING_MAX = 256,   /* taken and not decided, per process; then the topic waits */
    SUBMISSION_RUNNING_MAX = 2,     /* decided at once */
    SUBMISSION_RETRY_MS = 1000,     /* after Kafka, PostgreSQL or a decider did not answer */
    SUBMISSION_REQUEST_ID_MAX = 128 /* bytes */
};

/* Gives *@out (submissions_free); begins to read when the group assigns something. On the loop's
 * thread, as all of this. Borrows @ingress. */
NODISCARD int submissions_new(struct ingress *ingress, struct submissions **out, struct err *err);

bool submissions_is_ready(const struct submissions *submissions, struct err *why);

/* Take nothing any more; call @fn(@ctx) when what is being decided has ended: before this returns
 * when nothing is. */
void submissions_drain(struct submissions *submissions, void (*fn)(void *ctx), void *ctx);
void submissions_free(struct submissions **submissions); /* NULL is fine */

#endif
