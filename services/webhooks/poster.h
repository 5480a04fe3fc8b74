/* poster: HTTP POSTs on the loop (libcurl), as many at a time as gate.h allows, the others waiting
 * in line.
 *
 * A subscriber's URL is not trusted: the address that is connected to is looked at, redirects are
 * not followed, no proxy is used, and little of the answer is read. All calls belong to the loop's
 * thread. */
#ifndef WEBHOOKS_POSTER_H
#define WEBHOOKS_POSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/net.h"

struct err;
struct loop;
struct post;
struct poster;

enum { POSTER_ANSWER_MAX = 65536 }; /* bytes of an answer that are read (and dropped) */

struct poster_options {
    struct net_blocks allowed;
    int64_t timeout_ms;  /* of a whole POST */
    const char *ca_file; /* to trust for https beside the machine's own; NULL: none */
};

/* Gives *@out (poster_close). -ERR_EXTERNAL: libcurl cannot start. */
NODISCARD int poster_new(struct loop *loop, const struct poster_options *options,
                         struct poster **out, struct err *err);
void poster_close(struct poster **poster); /* all posts must be cancelled or ended; NULL is fine */

struct post_request {
    const char *url;
    const char *const *headers; /* "Name: value", ended by NULL */
    struct bytes body;
    bool is_slow; /* the subscriber's last result was_slow */
};

struct post_result {
    int status;            /* HTTP status; 0: no answer */
    const char *error;     /* for people, without the URL; NULL when status is 2xx */
    int64_t retry_after_s; /* the wait that the answer asks for (Retry-After); 0: none */
    int64_t took_ms;       /* from the first byte of connecting, not from standing in line */
    bool was_slow;         /* to be said with the next request to this subscriber */
};

/* @result is borrowed for the call. The post is gone. */
typedef void post_done_cb(const struct post_result *result, void *ctx);

/* Queue a POST (copies @request). @fn(@ctx) hears of the end exactly once, never before this
 * returns, unless it is cancelled. */
struct post *post_start(struct poster *poster, const struct post_request *request, post_done_cb *fn,
                        void *ctx);
void post_cancel(
    struct post **post); /* may have arrived all the same; sets it to NULL; NULL is fine */

size_t poster_running(const struct poster *poster);
size_t poster_waiting(const struct poster *poster); /* in line */

#endif
