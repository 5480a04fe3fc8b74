#include "cache/cache_link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "cache/cache.h"
#include "cache/cache_url.h"
#include "loop/loop.h"
#include "loop/loop_backoff.h"

enum {
    READ_BYTES = 16384,
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MOST_MS = 5000,
    UNWRITTEN_MAX = 64 << 20
};

enum phase { DOWN, RESOLVING, CONNECTING, LOGGING_IN, UP };

struct look_up { /* lives on while a thread of the pool works, whatever becomes of the link */
    struct cache_link *link; /* NULL: nobody wants to know any more */
    struct cache_url url;
    struct sockaddr_storage address;
    socklen_t length;
    int rc;
};

struct cache_link {
    struct loop *loop;
    struct cache_url url;
    int64_t timeout_ms;
    struct cache_link_events events;
    enum phase phase;
    struct look_up *look_up;
    int socket;
    struct loop_fd *fd;
    redisReader *reader;
    struct buf unwritten;
    unsigned greetings;      /* replies to AUTH and SELECT that are still to come */
    struct loop_timer timer; /* while down: the next try; while it comes up: too late */
    struct loop_backoff backoff;
    uint32_t tries;
    bool is_closed;
};

static void begin(struct cache_link *link);

/* ---- ends ---- */

static void hang_up(struct cache_link *link)
{
    if (link->look_up != NULL) {
        link->look_up->link = NULL;
        link->look_up = NULL;
    }
    loop_timer_stop(&link->timer);
    loop_fd_close(&link->fd);
    if (link->socket >= 0) {
        (void)close(link->socket);
        link->socket = -1;
    }
    if (link->reader != NULL) {
        redisReaderFree(link->reader);
        link->reader = NULL;
    }
    buf_wipe(&link->unwritten); /* may hold AUTH */
    link->greetings = 0;
}

static void on_retry(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    begin(ctx);
}

void cache_link_drop(struct cache_link *link, const struct err *err)
{
    bool was_up = link->phase == UP;
    struct err kept = *err;
    uint32_t spread = ++link->tries * 2654435761U; /* any number will do */

    if (link->is_closed || link->phase == DOWN) {
        return;
    }
    hang_up(link);
    link->phase = DOWN;
    loop_timer_start(link->loop, &link->timer, loop_backoff_next_ms(&link->backoff, spread),
                     on_retry, link);
    link->events.down(&kept, was_up, link->events.ctx);
}

static int drop(struct cache_link *link, const char *what, int code)
{
    struct err err;
    char why[96] = "";

    if (code != 0 && strerror_r(code, why, sizeof(why)) != 0) {
        (void)snprintf(why, sizeof(why), "errno %d", code);
    }
    (void)err_set(&err, ERR_CLOSED, "redis: %s%s%s", what, code != 0 ? ": " : "", why);
    cache_link_drop(link, &err);
    return -ERR_CLOSED;
}

/* ---- reading and writing ---- */

static void write_some(struct cache_link *link)
{
    while (link->unwritten.n > 0) {
        ssize_t n = send(link->socket, link->unwritten.p, link->unwritten.n, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        }
        if (n < 0) {
            (void)drop(link, "writing", errno);
            return;
        }
        buf_drop_front(&link->unwritten, (size_t)n);
    }
    loop_fd_want(link->fd, link->unwritten.n > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

static void queue_command(struct cache_link *link, const struct bytes *parts, size_t n)
{
    const char *texts[CACHE_COMMAND_ARGS_MAX];
    size_t lengths[CACHE_COMMAND_ARGS_MAX];
    char *command = NULL;
    int length;

    for (size_t i = 0; i < n; i++) {
        texts[i] = parts[i].n > 0 ? (const char *)parts[i].p : "";
        lengths[i] = parts[i].n;
    }
    length = redisFormatCommandArgv(&command, (int)n, texts, lengths);
    if (length < 0) {
        abort(); /* out of memory */
    }
    buf_add(&link->unwritten, command, (size_t)length);
    mem_wipe(command, (size_t)length);
    redisFreeCommand(command);
}

static void queue_text(struct cache_link *link, const char *const *texts)
{
    struct bytes parts[4];
    size_t n = 0;

    for (; texts[n] != NULL; n++) {
        parts[n] = (struct bytes){(const uint8_t *)texts[n], strlen(texts[n])};
    }
    queue_command(link, parts, n);
}

static void come_up(struct cache_link *link)
{
    loop_timer_stop(&link->timer);
    loop_backoff_reset(&link->backoff);
    link->phase = UP;
    link->events.up(link->events.ctx);
}

static void greet(struct cache_link *link)
{
    const struct cache_url *url = &link->url;
    char database[16];

    link->phase = LOGGING_IN;
    if (url->password != NULL && url->user != NULL) {
        queue_text(link, (const char *const[]){"AUTH", url->user, url->password, NULL});
        link->greetings++;
    } else if (url->password != NULL) {
        queue_text(link, (const char *const[]){"AUTH", url->password, NULL});
        link->greetings++;
    }
    (void)snprintf(database, sizeof(database), "%d", url->database);
    queue_text(link, (const char *const[]){"SELECT", database, NULL});
    link->greetings++;
    write_some(link);
}

static void on_reply(struct cache_link *link, const redisReply *reply)
{
    struct err err;

    if (link->phase == UP) {
        link->events.reply(reply, link->events.ctx);
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR) { /* Redis does not repeat passwords in its errors */
        (void)err_set(&err, ERR_REFUSED, "redis: %.*s", (int)(reply->len < 120 ? reply->len : 120),
                      reply->str);
        cache_link_drop(link, &err);
    } else if (--link->greetings == 0) {
        come_up(link);
    }
}

/* Everything that is whole; stops when a callback ended the connection. */
static void take_replies(struct cache_link *link)
{
    redisReader *reader = link->reader;

    while (!link->is_closed && link->reader == reader) {
        void *reply = NULL;

        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            (void)drop(link, "an answer that is not its protocol", 0);
            return;
        }
        if (reply == NULL) {
            return;
        }
        on_reply(link, reply);
        freeReplyObject(reply);
    }
}

static void read_some(struct cache_link *link)
{
    char bytes[READ_BYTES];
    ssize_t n = recv(link->socket, bytes, sizeof(bytes), 0);

    if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) {
        return;
    }
    if (n <= 0) {
        (void)drop(link, n == 0 ? "the server closed the connection" : "reading",
                   n == 0 ? 0 : errno);
        return;
    }
    (void)redisReaderFeed(link->reader, bytes, (size_t)n);
    take_replies(link);
}

static void on_ready(struct loop_fd *fd, unsigned events, void *ctx)
{
    struct cache_link *link = ctx;
    int code = 0;
    socklen_t length = sizeof(code);

    (void)fd;
    if (link->phase == CONNECTING) {
        if (getsockopt(link->socket, SOL_SOCKET, SO_ERROR, &code, &length) != 0 || code != 0) {
            (void)drop(link, "connecting", code);
            return;
        }
        greet(link);
        return;
    }
    if ((events & LOOP_READ) != 0) {
        read_some(link);
    }
    if ((events & LOOP_WRITE) != 0 && link->fd != NULL && !link->is_closed) {
        write_some(link);
    }
}

/* ---- connecting ---- */

static void on_late(struct loop_timer *timer, void *ctx)
{
    (void)timer;
    (void)drop(ctx, "no connection in time", 0);
}

static void connect_to(struct cache_link *link, const struct sockaddr_storage *address,
                       socklen_t length)
{
    struct err err;
    int one = 1;

    link->phase = CONNECTING;
    link->reader = redisReaderCreate();
    link->socket = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->socket < 0) {
        (void)drop(link, "socket", errno);
        return;
    }
    if (address->ss_family != AF_UNIX) {
        (void)setsockopt(link->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    if (connect(link->socket, (const struct sockaddr *)address, length) != 0 &&
        errno != EINPROGRESS) {
        (void)drop(link, "connecting", errno);
        return;
    }
    if (loop_fd_new(link->loop, link->socket, on_ready, link, &link->fd, &err) < 0) {
        cache_link_drop(link, &err);
        return;
    }
    loop_fd_want(link->fd, LOOP_WRITE);
}

static void find_address(void *ctx) /* on a thread of the pool */
{
    struct look_up *look_up = ctx;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    look_up->rc = getaddrinfo(look_up->url.host, look_up->url.port, &hints, &found);
    if (look_up->rc == 0) {
        memcpy(&look_up->address, found->ai_addr, found->ai_addrlen);
        look_up->length = found->ai_addrlen;
        freeaddrinfo(found);
    }
}

static void on_found(void *ctx)
{
    struct look_up *look_up = ctx;
    struct cache_link *link = look_up->link;
    struct err err;

    if (link != NULL) {
        link->look_up = NULL;
        if (look_up->rc != 0) {
            (void)err_set(&err, ERR_CLOSED, "redis: %s: %s", look_up->url.host,
                          gai_strerror(look_up->rc));
            cache_link_drop(link, &err);
        } else {
            connect_to(link, &look_up->address, look_up->length);
        }
    }
    cache_url_done(&look_up->url);
    free(look_up);
}

static void begin(struct cache_link *link)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_un *local = (struct sockaddr_un *)&address;
    struct look_up *look_up;

    loop_timer_start(link->loop, &link->timer, link->timeout_ms, on_late, link);
    if (link->url.path != NULL) {
        local->sun_family = AF_UNIX;
        (void)snprintf(local->sun_path, sizeof(local->sun_path), "%s", link->url.path);
        connect_to(link, &address, sizeof(*local));
        return;
    }
    look_up = mem_new0(sizeof(*look_up));
    look_up->link = link;
    look_up->url.host = mem_strdup(link->url.host);
    memcpy(look_up->url.port, link->url.port, sizeof(link->url.port));
    link->look_up = look_up;
    link->phase = RESOLVING;
    loop_work(link->loop, find_address, on_found, look_up);
}

int cache_link_new(struct loop *loop, const char *url, int64_t timeout_ms,
                   const struct cache_link_events *events, struct cache_link **out, struct err *err)
{
    struct cache_link *link = mem_new0(sizeof(*link));
    int rc = cache_url_parse(url, &link->url, err);

    if (rc < 0) {
        free(link);
        return rc;
    }
    link->loop = loop;
    link->timeout_ms = timeout_ms;
    link->events = *events;
    link->socket = -1;
    link->backoff = (struct loop_backoff){
        .first_ms = BACKOFF_FIRST_MS, .most_ms = BACKOFF_MOST_MS, .jitter_percent = 30};
    loop_timer_start(loop, &link->timer, 0, on_retry, link); /* no callback before this returns */
    *out = link;
    return 0;
}

bool cache_link_is_up(const struct cache_link *link)
{
    return link != NULL && link->phase == UP;
}

void cache_link_send(struct cache_link *link, const struct bytes *parts, size_t n)
{
    queue_command(link, parts, n);
    if (link->unwritten.n > UNWRITTEN_MAX) {
        (void)drop(link, "the server reads too slowly", 0);
        return;
    }
    loop_fd_want(link->fd, LOOP_READ | LOOP_WRITE); /* writes all of a turn at once */
}

static void free_link(void *ctx)
{
    struct cache_link *link = ctx;

    cache_url_done(&link->url);
    free(link);
}

void cache_link_close(struct cache_link **link)
{
    struct cache_link *closing = *link;

    *link = NULL;
    if (closing != NULL) {
        closing->is_closed = true;
        hang_up(closing);
        loop_defer(closing->loop, free_link, closing);
    }
}
