/* poster_tester: an HTTP server of this process, on a thread of its own, and a poster with its
 * loop. */
#ifndef WEBHOOKS_POSTER_TESTER_H
#define WEBHOOKS_POSTER_TESTER_H

#include <stdint.h>

#include "webhooks/poster.h"

struct poster_server;

/* Where the server listens, both on one port. */
#define POSTER_SERVER_A "127.0.0.1"
#define POSTER_SERVER_B "127.0.0.2"

/* Answers by path: /ok 204, /no 500, /away 302, /big 200 with a long body, /busy 429 and /down 503
 * that ask for a wait of 7 s, /date 503 that asks to wait until two minutes from now, /past 503
 * until long ago, /odd 429 with a wait that is none, /silent never. Gives it (poster_server_free).
 */
struct poster_server *poster_server_new(void);
void poster_server_free(struct poster_server **server);

unsigned poster_server_port(const struct poster_server *server);
unsigned poster_server_requests(struct poster_server *server);    /* read so far */
unsigned poster_server_silent_most(struct poster_server *server); /* unanswered at one time */
unsigned poster_server_connections(struct poster_server *server, const char *address);
const char *poster_server_last(const struct poster_server *server); /* request, once answered */

struct desk {
    struct loop *loop;
    struct poster *poster;
    struct poster_server *server;
    unsigned done; /* posts that ended */
    unsigned want;
    bool is_slow; /* to be said of those that begin */
    int status;   /* of the last that ended */
    int64_t retry_after_s;
    bool was_slow;
    char error[160]; /* empty: none */
};

/* A poster that may also post to @allowed (net_blocks_parse), and a server. */
void desk_open(struct desk *desk, const char *allowed, int64_t timeout_ms);
void desk_close(struct desk *desk);

/* Begin a POST to @url, or to that path of the server when it begins with "/". */
struct post *desk_start(struct desk *desk, const char *url);
void desk_finish(struct desk *desk, unsigned n); /* runs until @n have ended; fails after 10 s */
void desk_post(struct desk *desk, const char *url);

#endif
